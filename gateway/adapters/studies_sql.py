"""The index of studies in rows: studies, their series, their instances, those on their way and those that are withdrawn.

What a newcomer gets wrong: an instance row carries a hash of its study and series UIDs and not the UIDs themselves, because
they would be most of the row; the DICOM JSON of an instance is deflated with a dictionary of what all headers share; and a
withdrawn instance is a row of another table, so that what asks for instances need not think of it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, delete, null, select, update

from gateway.adapters.executor import Fixed, insert_new, insert_or_replace
from gateway.adapters.stored import micros
from gateway.adapters.studies_rows import (
    COMPARED,
    Known,
    Place,
    chain_key,
    first_of,
    instance_row,
    keys_of,
    study_row,
    withdrawn_row,
)
from gateway.adapters.studies_rules import check_patient, corrected_study, merged_study
from gateway.adapters.studies_told_sql import (
    EXPECTED,
    PAGE,
    SLICE,
    WITHDRAWN,
    ToldStudies,
    instance_columns,
    one_instance,
)
from gateway.adapters.tables import (
    expected_instances,
    instances,
    series,
    studies,
    study_keys,
    told_studies,
    withdrawn_instances,
)
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.errors import UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.patient import Patient

_INSERT_STUDY = insert_new(studies)
_INSERT_KEY = insert_new(study_keys)
_INSERT_SERIES = insert_or_replace(series)
_INSERT_INSTANCE = insert_or_replace(instances)
_INSERT_EXPECTED = insert_new(expected_instances)
_INSERT_WITHDRAWN = insert_or_replace(withdrawn_instances)
_REMEMBER = insert_or_replace(told_studies)

_TOLD = Fixed(select(told_studies.c.told).where(told_studies.c.study_instance_uid == bindparam("study")))

_UPDATE_STUDY = Fixed(
    update(studies)
    .where(studies.c.study_instance_uid == bindparam("of_study"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "status",
                "version",
                "updated_at",
                "updated_order",
                "started_from",
                "started_to",
                "started_order",
                "study_id",
                "description",
                "referring_physician",
                "body",
            )
        }
    )
)
_DELETE_KEYS = Fixed(delete(study_keys).where(study_keys.c.study_instance_uid == bindparam("study")))
_DELETE_TOLD_KEYS = Fixed(
    delete(study_keys).where(study_keys.c.study_instance_uid == bindparam("study"), study_keys.c.kind != "chain")
)
_DELETE_STUDY = Fixed(delete(studies).where(studies.c.study_instance_uid == bindparam("study")))
_ANY_EXPECTED = Fixed(
    select(expected_instances.c.sop_instance_uid)
    .where(expected_instances.c.study_instance_uid == bindparam("study"))
    .limit(1)
)
_DELETE_SERIES = Fixed(delete(series).where(series.c.study_instance_uid == bindparam("study")))
_DELETE_ALL_EXPECTED = Fixed(
    delete(expected_instances).where(expected_instances.c.study_instance_uid == bindparam("study"))
)
_DELETE_EXPECTED = Fixed(
    delete(expected_instances).where(
        expected_instances.c.study_instance_uid == bindparam("study"),
        expected_instances.c.sop_instance_uid == bindparam("sop"),
    )
)
_EXPECTED_INSTANCE = Fixed(
    select(expected_instances.c.chain).where(
        expected_instances.c.study_instance_uid == bindparam("study"),
        expected_instances.c.sop_instance_uid == bindparam("sop"),
    )
)
_EXPECTED_OF_NO_CHAIN = Fixed(
    update(expected_instances)
    .where(
        expected_instances.c.study_instance_uid == bindparam("study"),
        expected_instances.c.sop_instance_uid == bindparam("sop"),
    )
    .values(chain=null())
)
_OF_NO_CHAIN = Fixed(
    update(instances)
    .where(instances.c.series_key == bindparam("of_series"), instances.c.sop_instance_uid == bindparam("sop"))
    .values(chain=null())
)
_INSTANCE = Fixed(
    select(*instance_columns(instances), instances.c.metadata, instances.c.chain).where(*one_instance(instances))
)
_HERE = Fixed(
    select(instances.c.sop_instance_uid, instances.c.chain).where(instances.c.series_key == bindparam("series_key"))
)
_OF_PATIENT = Fixed(
    select(study_keys.c.study_instance_uid)
    .where(
        study_keys.c.kind == "patient",
        study_keys.c.value == bindparam("value"),
        study_keys.c.authority == bindparam("authority"),
    )
    .order_by(study_keys.c.study_instance_uid)
)
_OF_CHAIN = Fixed(
    select(study_keys.c.study_instance_uid).where(
        study_keys.c.kind == "chain", study_keys.c.value == bindparam("value")
    )
)

_gone = withdrawn_instances.c
_ANY_WITHDRAWN = Fixed(select(_gone.sop_instance_uid).where(_gone.study_instance_uid == bindparam("study")).limit(1))
_SAME_IN_BOTH = [column.name for column in instances.columns if column.name != "chain"]
_HIDE = Fixed(
    withdrawn_instances.insert().from_select(
        [*_SAME_IN_BOTH, "chain", "study_instance_uid", "withdrawn_at", "withdrawn_by"],
        select(
            *(instances.c[name] for name in _SAME_IN_BOTH),
            instances.c.chain,
            bindparam("study", type_=Text),
            bindparam("at", type_=BigInteger),
            bindparam("by", type_=Text),
        ).where(*one_instance(instances)),
    )
)
_SHOW = Fixed(
    instances.insert().from_select(
        [*_SAME_IN_BOTH, "chain"],
        select(*(_gone[name] for name in _SAME_IN_BOTH), bindparam("chain_now", type_=BigInteger)).where(
            *one_instance(withdrawn_instances)
        ),
    )
)
_DELETE_INSTANCE = {
    table: Fixed(delete(table).where(*one_instance(table))) for table in (instances, withdrawn_instances)
}


class SqlStudies(ToldStudies):
    """`Studies` over one executor."""

    __slots__ = ()

    async def expect(self, study: Study, source: str, at: datetime, chains: Sequence[str] = ()) -> int:
        """A manifest named these instances; they are on their way."""
        there = await self._open(study, study.patient, source, StudyStatus.REGISTERED, at)
        uid = str(study.study_instance_uid)
        known = Known(uid, await self.series(uid))
        here: dict[str, list[tuple[int, int | None]]] = {}
        for _, series_key, count, _ in known.there.values():
            if count:
                for sop, chain in await self.db.rows(_HERE, {"series_key": series_key}):
                    here.setdefault(sop, []).append((series_key, chain))
        named: dict[str, int] = {}
        for learned in study.series:
            series_key = known.learn(learned)
            known.show(learned.series_instance_uid)
            named.update((str(instance.sop_instance_uid), series_key) for instance in learned.instances)
        ours = [chain_key(each) for each in chains]
        shared = [
            {"of_series": series_key, "sop": sop}
            for sop in named.keys() & here.keys()
            for series_key, chain in here[sop]
            if chain is not None and chain not in ours
        ]
        for start in range(0, len(shared), PAGE):
            await self.db.run_many(_OF_NO_CHAIN, shared[start : start + PAGE])
        shown = await self._show(named.keys() - here.keys(), known, ours)
        await self._await({sop: key for sop, key in named.items() if sop not in here and sop not in shown}, uid, ours)
        await self._write_series(known)
        for each in chains:
            key = {"study_instance_uid": uid, "kind": "chain", "value": str(each), "authority": ""}
            await self.db.run(_INSERT_KEY, key)
        if there.status is StudyStatus.CANCELLED and named:
            there, known.changed = replace(there, status=StudyStatus.REGISTERED), True
        await self._touch(there, merged_study(there.study, study), at, changed=known.changed)
        return len(shown)

    async def _show(self, sops: AbstractSet[str], known: Known, ours: Sequence[int]) -> set[str]:
        """Those of these that are withdrawn are seen again; answers them."""
        rows = []
        for series_key, sop, chain, _, _ in await self.db.rows(WITHDRAWN, {"study": known.study_uid}):
            if sop in sops:
                known.arrived(known.uid_of(series_key))
                rows.append(
                    {"series_key": series_key, "sop": sop, "chain_now": first_of(ours) if chain not in ours else chain}
                )
        for start in range(0, len(rows), PAGE):
            await self.db.run_many(_SHOW, rows[start : start + PAGE])
            await self.db.run_many(_DELETE_INSTANCE[withdrawn_instances], rows[start : start + PAGE])
            await asyncio.sleep(0)
        known.changed = known.changed or bool(rows)
        return {row["sop"] for row in rows}

    async def _await(self, missing: Mapping[str, int], uid: str, ours: Sequence[int]) -> None:
        """These are on their way. What another chain awaits too is no chain's."""
        awaited = {sop: chain for sop, _, chain in await self.db.rows(EXPECTED, {"study": uid})} if missing else {}
        shared = [
            {"study": uid, "sop": sop}
            for sop in missing
            if (chain := awaited.get(sop)) is not None and chain not in ours
        ]
        new = [
            {"study_instance_uid": uid, "sop_instance_uid": sop, "series_key": series_key, "chain": first_of(ours)}
            for sop, series_key in missing.items()
            if sop not in awaited
        ]
        for start in range(0, len(shared), PAGE):
            await self.db.run_many(_EXPECTED_OF_NO_CHAIN, shared[start : start + PAGE])
        for start in range(0, len(new), PAGE):
            await self.db.run_many(_INSERT_EXPECTED, new[start : start + PAGE])
            await asyncio.sleep(0)

    async def add(
        self,
        arrived: Sequence[ArrivedInstance],
        patient: Patient,
        source: str,
        at: datetime,
        origin: Origin = Origin.PUSHED,
        *,
        anew: bool = False,
    ) -> None:
        """Instances are here."""
        by_study: dict[str, list[ArrivedInstance]] = {}
        for each in arrived:
            by_study.setdefault(each.study.study_instance_uid, []).append(each)
        for uid, of_study in by_study.items():
            there = await self._open(of_study[0].study, patient, source, StudyStatus.AVAILABLE, at, check=not anew)
            learned = there.study
            if anew:
                learned = corrected_study(there.study, replace(of_study[0].study, series=()), patient)
            known = Known(uid, await self.series(uid), anew=anew)
            known.awaits = bool(await self.db.rows(_ANY_EXPECTED, {"study": uid}))
            known.withdrawn = {
                (key, sop): withdrawn_row(uid, chain, since, by)
                for key, sop, chain, since, by in await self.db.rows(WITHDRAWN, {"study": uid})
            }
            for start in range(0, len(of_study), SLICE):
                some = of_study[start : start + SLICE]
                for each in some:
                    learned = merged_study(learned, each.study)
                await self._add_instances(some, known, origin, at)
                await asyncio.sleep(0)
            await self._write_series(known)
            if there.status is StudyStatus.CANCELLED and known.came:
                there = replace(there, status=StudyStatus.AVAILABLE)
            await self._touch(there, learned, at, changed=known.changed)

    async def _add_instances(
        self, arrived: Sequence[ArrivedInstance], known: Known, origin: Origin, at: datetime
    ) -> None:
        rows: dict[Place, dict[str, Any]] = {}
        hidden: dict[Place, dict[str, Any]] = {}
        for each in arrived:
            for one_series, instance in each.study.instances():
                series_key = known.learn(one_series)
                row = instance_row(series_key, instance, each.metadata)
                place = (series_key, row["sop_instance_uid"])
                if (before := rows.get(place) or hidden.get(place)) is not None:
                    before |= row
                    continue
                found = await self.db.rows(_INSTANCE, {"series_key": series_key, "sop": place[1]})
                if found:
                    *compared, chain = found[0]
                    row["chain"] = None if origin is Origin.PUSHED else chain
                    if compared != [row[name] for name in COMPARED]:
                        rows[place] = row
                    elif row["chain"] != chain:
                        await self.db.run(_OF_NO_CHAIN, {"of_series": series_key, "sop": place[1]})
                else:
                    row |= await self._belonging(place, known, origin, at)
                    if "withdrawn_at" in row:
                        hidden[place] = row
                        continue
                    known.arrived(one_series.series_instance_uid)
                    rows[place] = row
        if hidden:
            await self.db.run_many(_INSERT_WITHDRAWN, list(hidden.values()))
        if not rows:
            return
        known.changed = True
        await self.db.run_many(_INSERT_INSTANCE, list(rows.values()))
        if seen := [{"series_key": key, "sop": sop} for key, sop in rows.keys() & known.withdrawn.keys()]:
            await self.db.run_many(_DELETE_INSTANCE[withdrawn_instances], seen)
        if known.awaits:
            await self.db.run_many(_DELETE_EXPECTED, [{"study": known.study_uid, "sop": sop} for _, sop in rows])

    async def _belonging(self, place: Place, known: Known, origin: Origin, at: datetime) -> Mapping[str, Any]:
        """What brought an instance that was not to be seen until now; and, if it stays so, the columns that say why."""
        if origin is Origin.PUSHED:
            return {"chain": None}
        if (gone := known.withdrawn.get(place)) is not None:
            return gone
        asked = {"study": known.study_uid, "sop": place[1]}
        if known.awaits and (awaited := await self.db.rows(_EXPECTED_INSTANCE, asked)):
            return {"chain": awaited[0][0]}
        if origin is Origin.KNOWN:
            return {"chain": None}
        return withdrawn_row(known.study_uid, None, micros(at), "")

    async def withdraw(
        self, chains: Sequence[str], named: Sequence[Study], manifest: str, at: datetime
    ) -> Mapping[str, int]:
        """Hide what these chains alone brought and `named` does not name."""
        kept: dict[str, set[str]] = {}
        for study in named:
            uids = (str(instance.sop_instance_uid) for _, instance in study.instances())
            kept.setdefault(str(study.study_instance_uid), set()).update(uids)
        of_chains = {uid for each in chains for (uid,) in await self.db.rows(_OF_CHAIN, {"value": str(each)})}
        ours = frozenset(chain_key(each) for each in chains)
        hidden: dict[str, int] = {}
        for uid in sorted(of_chains):
            count = await self._withdraw(uid, ours, kept.get(uid, set()), manifest, at)
            if count is not None:
                hidden[uid] = count
        return hidden

    async def _withdraw(
        self, uid: str, ours: AbstractSet[int], kept: AbstractSet[str], manifest: str, at: datetime
    ) -> int | None:
        there = await self.record(uid, lock=True)
        if there is None:
            return None
        known = Known(uid, await self.series(uid))
        rows: list[dict[str, Any]] = []
        for series_uid, (_, series_key, count, _) in known.there.items():
            of_series = await self.db.rows(_HERE, {"series_key": series_key}) if count else ()
            going = [sop for sop, chain in of_series if chain in ours and sop not in kept]
            known.left(series_uid, len(going))
            rows += (
                {"series_key": series_key, "sop": sop, "study": uid, "at": micros(at), "by": str(manifest)}
                for sop in going
            )
        for start in range(0, len(rows), PAGE):
            await self.db.run_many(_HIDE, rows[start : start + PAGE])
            await self.db.run_many(_DELETE_INSTANCE[instances], rows[start : start + PAGE])
            await asyncio.sleep(0)
        awaited = await self.db.rows(EXPECTED, {"study": uid})
        dropped = {sop for sop, _, chain in awaited if chain in ours and sop not in kept}
        if not rows and not dropped:
            return None
        if dropped:
            await self.db.run_many(_DELETE_EXPECTED, [{"study": uid, "sop": sop} for sop in sorted(dropped)])
        still = {series_key for sop, series_key, _ in awaited if sop not in dropped}
        touched = {row["series_key"] for row in rows} | {key for sop, key, _ in awaited if sop in dropped}
        for series_uid, (_, series_key, count, _) in known.there.items():
            if series_key in touched and not count and not {series_key, None} & still:
                known.hide(series_uid)
        await self._write_series(known)
        status = there.status
        if status is not StudyStatus.UNKNOWN and not any(count for _, _, count, _ in known.there.values()):
            status = StudyStatus.REGISTERED if still else StudyStatus.CANCELLED
        await self._write(replace(there, status=status, updated_at=at, version=there.version + 1), before=there.study)
        return len(rows)

    async def lose(self, study_instance_uid: str, sop_instance_uids: Collection[str], at: datetime) -> int:
        """These are in the archive no more."""
        uid, lost = study_instance_uid, frozenset(map(str, sop_instance_uids))
        there = await self.record(uid, lock=True)
        if there is None:
            return 0
        known = Known(uid, await self.series(uid))
        seen: list[dict[str, Any]] = []
        for series_uid, (_, series_key, count, _) in known.there.items():
            of_series = await self.db.rows(_HERE, {"series_key": series_key}) if count else ()
            going = [{"series_key": series_key, "sop": sop} for sop, _ in of_series if sop in lost]
            known.left(series_uid, len(going))
            seen += going
        hidden = [
            {"series_key": key, "sop": sop}
            for key, sop, *_ in await self.db.rows(WITHDRAWN, {"study": uid})
            if sop in lost
        ]
        for rows, table in ((seen, instances), (hidden, withdrawn_instances)):
            for start in range(0, len(rows), PAGE):
                await self.db.run_many(_DELETE_INSTANCE[table], rows[start : start + PAGE])
                await asyncio.sleep(0)
        if not seen:
            return 0
        awaited = {series_key for _, series_key, _ in await self.db.rows(EXPECTED, {"study": uid})}
        for series_uid, (_, series_key, count, _) in known.there.items():
            if not count and not {series_key, None} & awaited and any(row["series_key"] == series_key for row in seen):
                known.hide(series_uid)
        await self._write_series(known)
        status = there.status
        if status is not StudyStatus.UNKNOWN and not any(count for _, _, count, _ in known.there.values()):
            status = StudyStatus.REGISTERED if awaited else StudyStatus.CANCELLED
        await self._write(replace(there, status=status, updated_at=at, version=there.version + 1), before=there.study)
        return len(seen)

    async def _write_series(self, known: Known) -> None:
        rows = known.rows()
        if rows:
            known.changed = known.changed or not all(row["withdrawn"] for row in rows)
            await self.db.run_many(_INSERT_SERIES, rows)

    async def _open(
        self, study: Study, patient: Patient, source: str, status: StudyStatus, at: datetime, *, check: bool = True
    ) -> StudyRecord:
        """The study as it is, locked; made now if it is new."""
        bare = replace(study, series=(), patient=patient)
        record = StudyRecord(study=bare, status=status, updated_at=at, version=0, source=source)
        row = study_row(record, at) | {"study_instance_uid": study.study_instance_uid, "source": source}
        if await self.db.run(_INSERT_STUDY, row):
            await self._write_keys(bare)
            return record
        there = await self.record(study.study_instance_uid, lock=True)
        assert there is not None
        if check:
            check_patient(there.study, patient)
        return there

    async def told(self, study_instance_uid: str) -> str:
        """What is remembered of this study."""
        rows = await self.db.rows(_TOLD, {"study": study_instance_uid})
        return str(rows[0][0]) if rows else ""

    async def remember(self, told: Mapping[str, str]) -> None:
        """Keep what an archive told last."""
        await self.db.run_many(_REMEMBER, [{"study_instance_uid": uid, "told": text} for uid, text in told.items()])

    async def _touch(self, there: StudyRecord, study: Study, at: datetime, *, changed: bool) -> None:
        """Write what has changed, as a new version; nothing when nothing has."""
        if study == there.study and not changed and there.version > 0:
            return
        await self._write(replace(there, study=study, updated_at=at, version=there.version + 1), before=there.study)

    async def _write(self, record: StudyRecord, before: Study) -> None:
        uid = record.study.study_instance_uid
        await self.db.run(_UPDATE_STUDY, study_row(record, record.updated_at) | {"of_study": uid})
        if keys_of(record.study) != keys_of(before):
            await self.db.run(_DELETE_TOLD_KEYS, {"study": uid})
            await self._write_keys(record.study)

    async def _write_keys(self, study: Study) -> None:
        await self.db.run_many(
            _INSERT_KEY,
            [
                {"study_instance_uid": study.study_instance_uid, "kind": kind, "value": value, "authority": authority}
                for kind, value, authority in keys_of(study)
            ],
        )

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        there = await self.record(study_instance_uid, lock=True)
        if there is None:
            raise UnknownDocument("no such study", location=study_instance_uid)
        if there.status is not status:
            changed = replace(there, status=status, updated_at=at, version=there.version + 1)
            await self._write(changed, before=there.study)

    async def merge(self, subsumed: PatientIdentifier, surviving: Patient, at: datetime) -> Sequence[str]:
        """Studies of one patient now belong to another."""
        return await self._give((subsumed,), surviving, at)

    async def refresh(self, patient: Patient, at: datetime) -> Sequence[str]:
        """Every study of theirs shows the new demographics; answers those that showed others."""
        return await self._give(patient.identifiers, patient, at)

    async def _give(self, identifiers: Sequence[PatientIdentifier], patient: Patient, at: datetime) -> Sequence[str]:
        uids: dict[str, None] = {}
        for each in identifiers:
            found = await self.db.rows(_OF_PATIENT, {"value": each.value, "authority": each.authority})
            uids.update(dict.fromkeys(uid for (uid,) in found))
        given = []
        for uid in uids:
            there = await self.record(uid, lock=True)
            if there is None or there.study.patient == patient:
                continue
            study = replace(there.study, patient=patient)
            await self._write(replace(there, study=study, updated_at=at, version=there.version + 1), before=there.study)
            given.append(uid)
        return given

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` of a study of which nothing has come; where something has, only nothing is expected any more."""
        known = await self.series(study_instance_uid)
        await self.db.run(_DELETE_ALL_EXPECTED, {"study": study_instance_uid})
        if any(count for _, _, count, _ in known.values()):
            return
        if await self.db.rows(_ANY_WITHDRAWN, {"study": study_instance_uid}):
            return
        for statement in (_DELETE_KEYS, _DELETE_SERIES, _DELETE_STUDY):
            await self.db.run(statement, {"study": study_instance_uid})
