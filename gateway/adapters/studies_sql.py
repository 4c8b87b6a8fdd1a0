"""The index of studies in rows: studies, their series, their instances, those on their way and those that are withdrawn.

What a newcomer gets wrong: an instance row carries a hash of its study and series UIDs and not the UIDs themselves, because
they would be most of the row; the DICOM JSON of an instance is deflated with a dictionary of what all headers share; and a
withdrawn instance is a row of another table, so that what asks for instances need not think of it.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)

from gateway.adapters.executor import SQLITE, Executor, Fixed, Row, insert_new, insert_or_replace
from gateway.adapters.patterns import Pattern, folded, folded_name, name_groups
from gateway.adapters.stored import (
    instance_of,
    interval,
    micros,
    series_body,
    series_of,
    study_body,
    study_of,
    time_of,
)
from gateway.adapters.studies_rules import (
    check_patient,
    merged_series,
    merged_study,
    place_after,
    shown_order,
    started_order,
)
from gateway.adapters.tables import expected_instances, instances, series, studies, study_keys, withdrawn_instances
from gateway.model.study import StudyPage, StudyRecord, StudyStatus, Withdrawn
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.errors import UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Instance, Series, Study
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria

YEAR = 366 * 86_400_000_000  # no start is told less precisely
SLICE = 64  # instances handled between two turns of the loop: about 4 ms
PAGE = 200
PAUSE_S = 0.002  # after each page of millions: who asks the house meanwhile shall not feel it


_INSERT_STUDY = insert_new(studies)
_INSERT_KEY = insert_new(study_keys)
_INSERT_SERIES = insert_or_replace(series)
_INSERT_INSTANCE = insert_or_replace(instances)
_INSERT_EXPECTED = insert_new(expected_instances)
_INSERT_WITHDRAWN = insert_or_replace(withdrawn_instances)

_STUDY = Fixed(
    select(studies.c.body, studies.c.status, studies.c.version, studies.c.source, studies.c.updated_at).where(
        studies.c.study_instance_uid == bindparam("study")
    )
)
_STUDY_TO_CHANGE = Fixed(
    select(studies.c.body, studies.c.status, studies.c.version, studies.c.source, studies.c.updated_at)
    .where(studies.c.study_instance_uid == bindparam("study"))
    .with_for_update()
)
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
_EXPECTED = Fixed(
    select(expected_instances.c.sop_instance_uid, expected_instances.c.series_key, expected_instances.c.chain).where(
        expected_instances.c.study_instance_uid == bindparam("study")
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
_SERIES = Fixed(
    select(
        series.c.body, series.c.series_instance_uid, series.c.series_key, series.c.instances, series.c.withdrawn
    ).where(series.c.study_instance_uid == bindparam("study"))
)


def _columns(table: Table) -> tuple[Column[Any], ...]:
    """What `instance_of` reads."""
    of = table.c
    return (
        of.sop_instance_uid, of.sop_class_uid, of.transfer_syntax_uid, of.number, of.frames, of["rows"], of["columns"],
        of.size_bytes, of.sha256,
    )  # fmt: skip


def _one(table: Table) -> tuple[ColumnElement[bool], ...]:
    return table.c.series_key == bindparam("series_key"), table.c.sop_instance_uid == bindparam("sop")


_INSTANCES = Fixed(select(*_columns(instances)).where(instances.c.series_key == bindparam("series_key")))
_INSTANCE = Fixed(select(*_columns(instances), instances.c.metadata, instances.c.chain).where(*_one(instances)))
_HERE = Fixed(
    select(instances.c.sop_instance_uid, instances.c.chain).where(instances.c.series_key == bindparam("series_key"))
)
_UIDS = {
    table: Fixed(
        select(table.c.sop_instance_uid)
        .where(table.c.sop_instance_uid > bindparam("after"))
        .distinct()
        .order_by(table.c.sop_instance_uid)
        .limit(bindparam("many"))
    )
    for table in (instances, withdrawn_instances)
}
_LOCATE = Fixed(
    select(series.c.study_instance_uid, series.c.series_instance_uid)
    .select_from(instances.join(series, instances.c.series_key == series.c.series_key))
    .where(instances.c.sop_instance_uid == bindparam("sop"))
    .order_by(series.c.study_instance_uid)
    .limit(1)
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
_METADATA_PAGE = {
    table: Fixed(
        select(table.c.sop_instance_uid, table.c.number, table.c.metadata)
        .where(table.c.series_key == bindparam("series_key"), table.c.sop_instance_uid > bindparam("after"))
        .order_by(table.c.sop_instance_uid)
        .limit(bindparam("many"))
    )
    for table in (instances, withdrawn_instances)
}
_METADATA = {table: Fixed(select(table.c.metadata).where(*_one(table))) for table in (instances, withdrawn_instances)}

# --- what is withdrawn -------------------------------------------------------------------------------------------------

_gone = withdrawn_instances.c
_ANY_WITHDRAWN = Fixed(select(_gone.sop_instance_uid).where(_gone.study_instance_uid == bindparam("study")).limit(1))
_WITHDRAWN = Fixed(
    select(_gone.series_key, _gone.sop_instance_uid, _gone.chain, _gone.withdrawn_at, _gone.withdrawn_by)
    .where(_gone.study_instance_uid == bindparam("study"))
    .order_by(_gone.series_key, _gone.sop_instance_uid)
)
_WITHDRAWN_INSTANCES = Fixed(select(*_columns(withdrawn_instances)).where(_gone.series_key == bindparam("series_key")))
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
        ).where(*_one(instances)),
    )
)
_SHOW = Fixed(
    instances.insert().from_select(
        [*_SAME_IN_BOTH, "chain"],
        select(*(_gone[name] for name in _SAME_IN_BOTH), bindparam("chain_now", type_=BigInteger)).where(
            *_one(withdrawn_instances)
        ),
    )
)
_DELETE_INSTANCE = {table: Fixed(delete(table).where(*_one(table))) for table in (instances, withdrawn_instances)}


class SqlStudies:
    """`Studies` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        self._db = executor

    # --- learning ------------------------------------------------------------------------------------------------------

    async def expect(self, study: Study, source: str, at: datetime, chains: Sequence[str] = ()) -> int:
        """A manifest named these instances; they are on their way."""
        there = await self._open(study, study.patient, source, StudyStatus.REGISTERED, at)
        uid = str(study.study_instance_uid)
        known = _Known(uid, await self._series(uid))
        here: dict[str, list[tuple[int, int | None]]] = {}
        for _, series_key, count, _ in known.there.values():
            if count:
                for sop, chain in await self._db.rows(_HERE, {"series_key": series_key}):
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
            await self._db.run_many(_OF_NO_CHAIN, shared[start : start + PAGE])
        shown = await self._show(named.keys() - here.keys(), known, ours)
        await self._await({sop: key for sop, key in named.items() if sop not in here and sop not in shown}, uid, ours)
        await self._write_series(known)
        for each in chains:
            key = {"study_instance_uid": uid, "kind": "chain", "value": str(each), "authority": ""}
            await self._db.run(_INSERT_KEY, key)
        if there.status is StudyStatus.CANCELLED and named:
            there, known.changed = replace(there, status=StudyStatus.REGISTERED), True
        await self._touch(there, merged_study(there.study, study), at, changed=known.changed)
        return len(shown)

    async def _show(self, sops: AbstractSet[str], known: "_Known", ours: Sequence[int]) -> set[str]:
        """Those of these that are withdrawn are seen again; answers them."""
        rows = []
        for series_key, sop, chain, _, _ in await self._db.rows(_WITHDRAWN, {"study": known.study_uid}):
            if sop in sops:
                known.arrived(known.uid_of(series_key))
                rows.append(
                    {"series_key": series_key, "sop": sop, "chain_now": _first(ours) if chain not in ours else chain}
                )
        for start in range(0, len(rows), PAGE):
            await self._db.run_many(_SHOW, rows[start : start + PAGE])
            await self._db.run_many(_DELETE_INSTANCE[withdrawn_instances], rows[start : start + PAGE])
            await asyncio.sleep(0)
        known.changed = known.changed or bool(rows)
        return {row["sop"] for row in rows}

    async def _await(self, missing: Mapping[str, int], uid: str, ours: Sequence[int]) -> None:
        """These are on their way. What another chain awaits too is no chain's."""
        awaited = {sop: chain for sop, _, chain in await self._db.rows(_EXPECTED, {"study": uid})} if missing else {}
        shared = [
            {"study": uid, "sop": sop}
            for sop in missing
            if (chain := awaited.get(sop)) is not None and chain not in ours
        ]
        new = [
            {"study_instance_uid": uid, "sop_instance_uid": sop, "series_key": series_key, "chain": _first(ours)}
            for sop, series_key in missing.items()
            if sop not in awaited
        ]
        for start in range(0, len(shared), PAGE):
            await self._db.run_many(_EXPECTED_OF_NO_CHAIN, shared[start : start + PAGE])
        for start in range(0, len(new), PAGE):
            await self._db.run_many(_INSERT_EXPECTED, new[start : start + PAGE])
            await asyncio.sleep(0)

    async def add(
        self,
        arrived: Sequence[ArrivedInstance],
        patient: Patient,
        source: str,
        at: datetime,
        origin: Origin = Origin.PUSHED,
    ) -> None:
        """Instances are here."""
        by_study: dict[str, list[ArrivedInstance]] = {}
        for each in arrived:
            by_study.setdefault(each.study.study_instance_uid, []).append(each)
        for uid, of_study in by_study.items():
            there = await self._open(of_study[0].study, patient, source, StudyStatus.AVAILABLE, at)
            learned = there.study
            known = _Known(uid, await self._series(uid))
            known.awaits = bool(await self._db.rows(_ANY_EXPECTED, {"study": uid}))
            known.withdrawn = {
                (key, sop): _withdrawn_row(uid, chain, since, by)
                for key, sop, chain, since, by in await self._db.rows(_WITHDRAWN, {"study": uid})
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
        self, arrived: Sequence[ArrivedInstance], known: "_Known", origin: Origin, at: datetime
    ) -> None:
        rows: dict[_Place, dict[str, Any]] = {}
        hidden: dict[_Place, dict[str, Any]] = {}
        for each in arrived:
            for one_series, instance in each.study.instances():
                series_key = known.learn(one_series)
                row = _instance_row(series_key, instance, each.metadata)
                place = (series_key, row["sop_instance_uid"])
                if (before := rows.get(place) or hidden.get(place)) is not None:
                    before |= row
                    continue
                found = await self._db.rows(_INSTANCE, {"series_key": series_key, "sop": place[1]})
                if found:
                    *compared, chain = found[0]
                    row["chain"] = None if origin is Origin.PUSHED else chain
                    if compared != [row[name] for name in _COMPARED]:
                        rows[place] = row
                    elif row["chain"] != chain:
                        await self._db.run(_OF_NO_CHAIN, {"of_series": series_key, "sop": place[1]})
                else:
                    row |= await self._belonging(place, known, origin, at)
                    if "withdrawn_at" in row:
                        hidden[place] = row
                        continue
                    known.arrived(one_series.series_instance_uid)
                    rows[place] = row
        if hidden:
            await self._db.run_many(_INSERT_WITHDRAWN, list(hidden.values()))
        if not rows:
            return
        known.changed = True
        await self._db.run_many(_INSERT_INSTANCE, list(rows.values()))
        if seen := [{"series_key": key, "sop": sop} for key, sop in rows.keys() & known.withdrawn.keys()]:
            await self._db.run_many(_DELETE_INSTANCE[withdrawn_instances], seen)
        if known.awaits:
            await self._db.run_many(_DELETE_EXPECTED, [{"study": known.study_uid, "sop": sop} for _, sop in rows])

    async def _belonging(self, place: "_Place", known: "_Known", origin: Origin, at: datetime) -> Mapping[str, Any]:
        """What brought an instance that was not to be seen until now; and, if it stays so, the columns that say why."""
        if origin is Origin.PUSHED:
            return {"chain": None}
        if (gone := known.withdrawn.get(place)) is not None:
            return gone
        asked = {"study": known.study_uid, "sop": place[1]}
        if known.awaits and (awaited := await self._db.rows(_EXPECTED_INSTANCE, asked)):
            return {"chain": awaited[0][0]}
        if origin is Origin.KNOWN:
            return {"chain": None}
        return _withdrawn_row(known.study_uid, None, micros(at), "")

    async def withdraw(
        self, chains: Sequence[str], named: Sequence[Study], manifest: str, at: datetime
    ) -> Mapping[str, int]:
        """Hide what these chains alone brought and `named` does not name."""
        kept: dict[str, set[str]] = {}
        for study in named:
            uids = (str(instance.sop_instance_uid) for _, instance in study.instances())
            kept.setdefault(str(study.study_instance_uid), set()).update(uids)
        of_chains = {uid for each in chains for (uid,) in await self._db.rows(_OF_CHAIN, {"value": str(each)})}
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
        there = await self._record(uid, lock=True)
        if there is None:
            return None
        known = _Known(uid, await self._series(uid))
        rows: list[dict[str, Any]] = []
        for series_uid, (_, series_key, count, _) in known.there.items():
            of_series = await self._db.rows(_HERE, {"series_key": series_key}) if count else ()
            going = [sop for sop, chain in of_series if chain in ours and sop not in kept]
            known.left(series_uid, len(going))
            rows += (
                {"series_key": series_key, "sop": sop, "study": uid, "at": micros(at), "by": str(manifest)}
                for sop in going
            )
        for start in range(0, len(rows), PAGE):
            await self._db.run_many(_HIDE, rows[start : start + PAGE])
            await self._db.run_many(_DELETE_INSTANCE[instances], rows[start : start + PAGE])
            await asyncio.sleep(0)
        awaited = await self._db.rows(_EXPECTED, {"study": uid})
        dropped = {sop for sop, _, chain in awaited if chain in ours and sop not in kept}
        if not rows and not dropped:
            return None
        if dropped:
            await self._db.run_many(_DELETE_EXPECTED, [{"study": uid, "sop": sop} for sop in sorted(dropped)])
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
        there = await self._record(uid, lock=True)
        if there is None:
            return 0
        known = _Known(uid, await self._series(uid))
        seen: list[dict[str, Any]] = []
        for series_uid, (_, series_key, count, _) in known.there.items():
            of_series = await self._db.rows(_HERE, {"series_key": series_key}) if count else ()
            going = [{"series_key": series_key, "sop": sop} for sop, _ in of_series if sop in lost]
            known.left(series_uid, len(going))
            seen += going
        hidden = [
            {"series_key": key, "sop": sop}
            for key, sop, *_ in await self._db.rows(_WITHDRAWN, {"study": uid})
            if sop in lost
        ]
        for rows, table in ((seen, instances), (hidden, withdrawn_instances)):
            for start in range(0, len(rows), PAGE):
                await self._db.run_many(_DELETE_INSTANCE[table], rows[start : start + PAGE])
                await asyncio.sleep(0)
        if not seen:
            return 0
        awaited = {series_key for _, series_key, _ in await self._db.rows(_EXPECTED, {"study": uid})}
        for series_uid, (_, series_key, count, _) in known.there.items():
            if not count and not {series_key, None} & awaited and any(row["series_key"] == series_key for row in seen):
                known.hide(series_uid)
        await self._write_series(known)
        status = there.status
        if status is not StudyStatus.UNKNOWN and not any(count for _, _, count, _ in known.there.values()):
            status = StudyStatus.REGISTERED if awaited else StudyStatus.CANCELLED
        await self._write(replace(there, status=status, updated_at=at, version=there.version + 1), before=there.study)
        return len(seen)

    async def _write_series(self, known: "_Known") -> None:
        rows = known.rows()
        if rows:
            known.changed = known.changed or not all(row["withdrawn"] for row in rows)
            await self._db.run_many(_INSERT_SERIES, rows)

    async def _open(
        self, study: Study, patient: Patient, source: str, status: StudyStatus, at: datetime
    ) -> StudyRecord:
        """The study as it is, locked; made now if it is new."""
        bare = replace(study, series=(), patient=patient)
        record = StudyRecord(study=bare, status=status, updated_at=at, version=0, source=source)
        row = _study_row(record, at) | {"study_instance_uid": study.study_instance_uid, "source": source}
        if await self._db.run(_INSERT_STUDY, row):
            await self._write_keys(bare)
            return record
        there = await self._record(study.study_instance_uid, lock=True)
        assert there is not None
        check_patient(there.study, patient)
        return there

    async def _touch(self, there: StudyRecord, study: Study, at: datetime, *, changed: bool) -> None:
        """Write what has changed, as a new version; nothing when nothing has."""
        if study == there.study and not changed and there.version > 0:
            return
        await self._write(replace(there, study=study, updated_at=at, version=there.version + 1), before=there.study)

    async def _write(self, record: StudyRecord, before: Study) -> None:
        uid = record.study.study_instance_uid
        await self._db.run(_UPDATE_STUDY, _study_row(record, record.updated_at) | {"of_study": uid})
        if _keys(record.study) != _keys(before):
            await self._db.run(_DELETE_TOLD_KEYS, {"study": uid})
            await self._write_keys(record.study)

    async def _write_keys(self, study: Study) -> None:
        await self._db.run_many(
            _INSERT_KEY,
            [
                {"study_instance_uid": study.study_instance_uid, "kind": kind, "value": value, "authority": authority}
                for kind, value, authority in _keys(study)
            ],
        )

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        there = await self._record(study_instance_uid, lock=True)
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
            found = await self._db.rows(_OF_PATIENT, {"value": each.value, "authority": each.authority})
            uids.update(dict.fromkeys(uid for (uid,) in found))
        given = []
        for uid in uids:
            there = await self._record(uid, lock=True)
            if there is None or there.study.patient == patient:
                continue
            study = replace(there.study, patient=patient)
            await self._write(replace(there, study=study, updated_at=at, version=there.version + 1), before=there.study)
            given.append(uid)
        return given

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` of a study of which nothing has come; where something has, only nothing is expected any more."""
        known = await self._series(study_instance_uid)
        await self._db.run(_DELETE_ALL_EXPECTED, {"study": study_instance_uid})
        if any(count for _, _, count, _ in known.values()):
            return
        if await self._db.rows(_ANY_WITHDRAWN, {"study": study_instance_uid}):
            return
        for statement in (_DELETE_KEYS, _DELETE_SERIES, _DELETE_STUDY):
            await self._db.run(statement, {"study": study_instance_uid})

    # --- telling -------------------------------------------------------------------------------------------------------

    async def get(self, study_instance_uid: str, *, everything: bool = False) -> StudyRecord | None:
        """The study with all series and those instances that are here."""
        record = await self._record(study_instance_uid)
        if record is None:
            return None
        asked = (_INSTANCES, _WITHDRAWN_INSTANCES) if everything else (_INSTANCES,)
        filled: list[Series] = []
        for one, series_key, _, withdrawn in sorted(
            (await self._series(study_instance_uid)).values(), key=lambda each: shown_order(each[0])
        ):
            if withdrawn and not everything:
                continue
            found = [
                instance_of(row)
                for statement in asked
                for row in await self._db.rows(statement, {"series_key": series_key})
            ]
            found.sort(key=_instance_order)
            filled.append(replace(one, instances=tuple(found)))
            if len(found) > SLICE:
                await asyncio.sleep(0)
        return replace(
            record,
            study=replace(record.study, series=tuple(filled)),
            instance_counts={one.series_instance_uid: len(one.instances) for one in filled},
        )

    async def expected(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs that a manifest named and that have not arrived."""
        return frozenset(uid for uid, _, _ in await self._db.rows(_EXPECTED, {"study": study_instance_uid}))

    async def withdrawn(self, study_instance_uid: str) -> Sequence[Withdrawn]:
        """What of a study is kept and hidden."""
        rows = await self._db.rows(_WITHDRAWN, {"study": study_instance_uid})
        names = {key: uid for uid, (_, key, _, _) in (await self._series(study_instance_uid)).items()} if rows else {}
        found = [
            Withdrawn(series_instance_uid=names[key], sop_instance_uid=sop, manifest=by, at=time_of(since))
            for key, sop, _, since, by in rows
        ]
        return sorted(found, key=lambda each: (each.series_instance_uid, each.sop_instance_uid))

    async def uids(self) -> AsyncIterator[str]:
        """SOP Instance UID of every instance that is kept: a file that is not among them belongs to nobody."""
        for statement in _UIDS.values():
            after = ""
            while rows := await self._db.rows(statement, {"after": after, "many": PAGE}):
                for (uid,) in rows:
                    yield uid
                after = rows[-1][0]
                await asyncio.sleep(PAUSE_S)

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        rows = await self._db.rows(_LOCATE, {"sop": sop_instance_uid})
        return (rows[0][0], rows[0][1]) if rows else None

    async def metadata(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        everything: bool = False,
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order."""
        known = await self._series(study_instance_uid)
        asked = (instances, withdrawn_instances) if everything else (instances,)
        for one, series_key, _, _ in sorted(known.values(), key=lambda each: shown_order(each[0])):
            if series_instance_uid is not None and one.series_instance_uid != series_instance_uid:
                continue
            if sop_instance_uid is not None:
                for table in asked:
                    place = {"series_key": series_key, "sop": sop_instance_uid}
                    for (deflated,) in await self._db.rows(_METADATA[table], place):
                        yield inflate(deflated)
                continue
            kept = sorted([each for table in asked for each in await self._deflated(table, series_key)])
            for start in range(0, len(kept), SLICE):
                for _, _, _, deflated in kept[start : start + SLICE]:
                    yield inflate(deflated)
                await asyncio.sleep(0)

    async def _deflated(self, table: Table, series_key: int) -> list[tuple[bool, int, str, bytes]]:
        """The series' metadata with its place in instance number order, as it is kept: some hundred bytes an instance."""
        kept: list[tuple[bool, int, str, bytes]] = []
        after = ""
        while True:
            rows = await self._db.rows(_METADATA_PAGE[table], {"series_key": series_key, "after": after, "many": PAGE})
            kept += ((number is None, number or 0, uid, deflated) for uid, number, deflated in rows)
            if len(rows) < PAGE:
                return kept
            after = rows[-1][0]
            await asyncio.sleep(0)

    async def search(self, criteria: StudyCriteria, count: bool = True) -> StudyPage:
        """A page of studies with their series, without instances."""
        where = _conditions(criteria, self._db.dialect)
        slow = not _selective(criteria)
        if criteria.limit <= 0:
            total = await self._total(where, slow=slow) if count else None
            return StudyPage(total=total, more=bool(total))
        order = studies.c.updated_order if criteria.order == "updated" else studies.c.started_order
        statement = select(
            studies.c.body,
            studies.c.status,
            studies.c.version,
            studies.c.source,
            studies.c.updated_at,
            studies.c.study_instance_uid,
        ).where(*where)
        if criteria.after is not None:
            place = place_after(criteria.after)
            statement = statement.where(tuple_(order, studies.c.study_instance_uid) > tuple_(*place))
        statement = statement.order_by(order, studies.c.study_instance_uid).limit(criteria.limit + 1)
        if criteria.offset:
            statement = statement.offset(criteria.offset)
        rows = await self._db.rows(statement, slow=slow)
        records = await self._with_series([_record(row, row[5]) for row in rows[: criteria.limit]])
        more = len(rows) > criteria.limit
        total = None
        if count and not more and criteria.after is None and not criteria.offset:
            total = len(records)  # this page is all of it
        elif count:
            total = await self._total(where, slow=slow)
        return StudyPage(records=tuple(records), total=total, more=more)

    async def _total(self, where: Sequence[ColumnElement[bool]], *, slow: bool) -> int:
        ((total,),) = await self._db.rows(select(func.count()).select_from(studies).where(*where), slow=slow)
        return int(total)

    async def _with_series(self, records: list[StudyRecord]) -> list[StudyRecord]:
        by_study = await self._series_of([record.study.study_instance_uid for record in records])
        filled = []
        for record in records:
            found = sorted(by_study.get(record.study.study_instance_uid, ()), key=lambda each: shown_order(each[0]))
            filled.append(
                replace(
                    record,
                    study=replace(record.study, series=tuple(one for one, _ in found)),
                    instance_counts={one.series_instance_uid: held for one, held in found},
                )
            )
        return filled

    async def _series_of(self, uids: Sequence[str]) -> dict[str, list[tuple[Series, int]]]:
        """Series and how many of their instances are here, by study."""
        found: dict[str, list[tuple[Series, int]]] = {}
        if self._db.dialect == SQLITE:  # nothing travels: a short question for each is quicker than one made for all
            for uid in uids:
                found[uid] = [
                    (one, held) for one, _, held, withdrawn in (await self._series(uid)).values() if not withdrawn
                ]
            return found
        for start in range(0, len(uids), PAGE):
            statement = select(
                series.c.study_instance_uid, series.c.body, series.c.series_instance_uid, series.c.instances
            ).where(series.c.study_instance_uid.in_(uids[start : start + PAGE]), series.c.withdrawn == 0)
            for uid, body, series_uid, held in await self._db.rows(statement):
                found.setdefault(uid, []).append((series_of(body, series_uid), held))
        return found

    # --- parts ---------------------------------------------------------------------------------------------------------

    async def _record(self, uid: str, *, lock: bool = False) -> StudyRecord | None:
        rows = await self._db.rows(_STUDY_TO_CHANGE if lock else _STUDY, {"study": uid})
        return _record(rows[0], uid) if rows else None

    async def _series(self, uid: str) -> "dict[str, _Kept]":
        return {
            series_uid: (series_of(body, series_uid), series_key, count, bool(withdrawn))
            for body, series_uid, series_key, count, withdrawn in await self._db.rows(_SERIES, {"study": uid})
        }


_Kept = tuple[Series, int, int, bool]
"""A series without its instances, its key, how many instances are here, and whether all of it is withdrawn."""

_Place = tuple[int, str]
"""The key of a series and the SOP Instance UID of an instance in it."""

_COMPARED = (
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "number",
    "frames",
    "rows",
    "columns",
    "size_bytes",
    "sha256",
    "metadata",
)


class _Known:
    """The series of one study while something is learned of them; each that changed is written once."""

    __slots__ = ("_told", "_touched", "awaits", "came", "changed", "study_uid", "there", "withdrawn")

    def __init__(self, study_uid: str, there: dict[str, _Kept]) -> None:
        self.study_uid = study_uid
        self.there = there
        self.changed = False
        self.came = False
        self.awaits = False
        self.withdrawn: dict[_Place, dict[str, Any]] = {}
        self._touched: set[str] = set()
        self._told: dict[str, Series] = {}

    def learn(self, learned: Series) -> int:
        """Merge what is told of a series; answers its key. A new one is hidden until an instance of it is there."""
        uid = learned.series_instance_uid
        bare = replace(learned, instances=())
        kept = self.there.get(uid)
        if kept is None:
            self.there[uid] = kept = (bare, key_of(self.study_uid, uid), 0, True)
            self._touched.add(uid)
        elif self._told.get(uid) != bare:
            after = merged_series(kept[0], bare)
            if after != kept[0]:
                self.there[uid] = kept = (after, *kept[1:])
                self._touched.add(uid)
        self._told[uid] = bare
        return kept[1]

    def arrived(self, uid: str) -> None:
        """One instance more."""
        one, series_key, count, _ = self.there[uid]
        self._put(uid, (one, series_key, count + 1, False))
        self.came = True

    def left(self, uid: str, instances: int) -> None:
        """So many fewer."""
        one, series_key, count, withdrawn = self.there[uid]
        self._put(uid, (one, series_key, count - instances, withdrawn))

    def show(self, uid: str) -> None:
        """Something of it is here or awaited."""
        self._put(uid, (*self.there[uid][:3], False))

    def hide(self, uid: str) -> None:
        """Nothing of it is."""
        self._put(uid, (*self.there[uid][:3], True))

    def uid_of(self, series_key: int) -> str:
        """The series of that key."""
        return next(uid for uid, kept in self.there.items() if kept[1] == series_key)

    def rows(self) -> list[dict[str, Any]]:
        """Those that changed, as rows."""
        return [
            {
                "study_instance_uid": self.study_uid,
                "series_instance_uid": uid,
                "series_key": self.there[uid][1],
                "modality": self.there[uid][0].shown_modality,
                "instances": self.there[uid][2],
                "body": series_body(self.there[uid][0]),
                "withdrawn": int(self.there[uid][3]),
            }
            for uid in sorted(self._touched)
        ]

    def _put(self, uid: str, kept: _Kept) -> None:
        if kept != self.there[uid]:
            self.there[uid] = kept
            self._touched.add(uid)


def key_of(study_instance_uid: str, series_instance_uid: str) -> int:
    """A series in eight bytes, signed: two among ten million meet with a chance of three in a million."""
    digest = blake2b(f"{study_instance_uid} {series_instance_uid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def chain_key(chain: str) -> int:
    """A chain of manifests in eight bytes, signed."""
    return int.from_bytes(blake2b(chain.encode(), digest_size=8).digest(), "big", signed=True)


def _first(chains: Sequence[int]) -> int | None:
    return chains[0] if chains else None


def _instance_row(series_key: int, instance: Instance, metadata: bytes) -> dict[str, Any]:
    return {
        "series_key": series_key,
        # Exact strings: the driver looks for adapters of anything else, at 1.6 us a value.
        "sop_instance_uid": str(instance.sop_instance_uid),
        "sop_class_uid": str(instance.sop_class_uid),
        "transfer_syntax_uid": None if instance.transfer_syntax_uid is None else str(instance.transfer_syntax_uid),
        "number": instance.number,
        "frames": instance.frames,
        "rows": instance.rows,
        "columns": instance.columns,
        "size_bytes": instance.size_bytes,
        "sha256": instance.sha256,
        "metadata": deflate(metadata),
    }


def _withdrawn_row(study_uid: str, chain: int | None, since: int, by: str) -> dict[str, Any]:
    """What a row of a withdrawn instance has beside that of one that is seen."""
    return {"chain": chain, "study_instance_uid": study_uid, "withdrawn_at": since, "withdrawn_by": by}


def _instance_order(instance: Instance) -> tuple[bool, int, str]:
    return (instance.number is None, instance.number or 0, instance.sop_instance_uid)


def _record(row: Row, uid: str) -> StudyRecord:
    return StudyRecord(
        study=study_of(row[0], uid),
        status=StudyStatus(row[1]),
        version=row[2],
        source=row[3],
        updated_at=time_of(row[4]),
    )


def _study_row(record: StudyRecord, at: datetime) -> dict[str, Any]:
    study = record.study
    started = (None, None) if study.started is None else interval(study.started)
    return {
        "status": record.status.value,
        "version": record.version,
        "updated_at": micros(at),
        "updated_order": -micros(at),
        "started_from": started[0],
        "started_to": started[1],
        "started_order": started_order(study.started),
        "study_id": study.study_id,
        "description": folded(study.description),
        "referring_physician": folded_name(study.referring_physician),
        "body": study_body(study),
    }


def _keys(study: Study) -> list[tuple[str, str, str]]:
    """By what a study is found beside its own columns: (kind, value, authority)."""
    return [
        *(("patient", each.value, str(each.authority)) for each in study.patient.identifiers),
        *(("accession", each.value, each.authority or "") for each in study.accession_numbers),
        *(("name", group, "") for group in name_groups(study.patient.name)),
    ]


def _conditions(criteria: StudyCriteria, dialect: str) -> list[ColumnElement[bool]]:
    """Criteria in SQL, one condition for each field that says something."""
    column = studies.c
    found: list[ColumnElement[bool]] = []
    if criteria.study_instance_uids:
        found.append(column.study_instance_uid.in_(criteria.study_instance_uids))
    if criteria.series_instance_uids:
        found.append(
            column.study_instance_uid.in_(
                select(series.c.study_instance_uid).where(
                    series.c.series_instance_uid.in_(criteria.series_instance_uids), series.c.withdrawn == 0
                )
            )
        )
    if criteria.sop_instance_uids:
        found.append(
            column.study_instance_uid.in_(
                select(series.c.study_instance_uid)
                .select_from(instances.join(series, instances.c.series_key == series.c.series_key))
                .where(instances.c.sop_instance_uid.in_(criteria.sop_instance_uids))
            )
        )
    if criteria.patient_ids:
        found.append(_with_key("patient", [_identified(*each) for each in criteria.patient_ids]))
    if criteria.accession_numbers:
        found.append(_with_key("accession", [_identified(*each) for each in criteria.accession_numbers]))
    if criteria.patient_name:
        found.append(_with_key("name", [_text(study_keys.c.value, _plain_name(criteria.patient_name), dialect)]))
    if criteria.study_id:
        found.append(_text(column.study_id, criteria.study_id, dialect))
    if criteria.modalities:
        found.append(
            exists()
            .where(
                series.c.study_instance_uid == column.study_instance_uid,
                series.c.modality.in_(criteria.modalities),
                series.c.withdrawn == 0,
            )
            .correlate(studies)
        )
    if criteria.referring_physician:
        found.append(_text(column.referring_physician, _plain_name(criteria.referring_physician), dialect))
    if criteria.description:
        found.append(_text(column.description, folded(criteria.description), dialect))
    for comparison, moment in criteria.started:
        found.append(column.started_from.is_not(None))
        found.append(_COMPARISONS[comparison](column.started_from, column.started_to, *interval(moment)))
        if not _selective(criteria):
            found.append(_stretch(column.started_order, comparison, *interval(moment), longest=YEAR))
    for comparison, moment in criteria.updated:
        found.append(_COMPARISONS[comparison](column.updated_at, column.updated_at + 1, *interval(moment)))
        if not _selective(criteria):
            found.append(_stretch(column.updated_order, comparison, *interval(moment), longest=1))
    if criteria.statuses:
        found.append(column.status.in_(criteria.statuses))
    return found


def _stretch(order: Column[int], comparison: str, lower: int, upper: int, *, longest: int) -> ColumnElement[bool]:
    """Where in the order of the answer those that fit are: walking it begins there and ends there.

    Only ever wider than the comparison. What an order says is when something begins, backwards; it lasts at most `longest`.
    """
    newest, oldest = -upper, max(-lower, longest - upper)
    match comparison:
        case "eq":
            return order.between(newest, -lower)
        case "gt" | "ge":
            return order <= oldest
        case "lt" | "le":
            return order >= newest
    return true()


def _selective(criteria: StudyCriteria) -> bool:
    """Whether the answer is found among few rows: some studies, or a patient's, or an order's."""
    return bool(
        criteria.study_instance_uids
        or criteria.series_instance_uids
        or criteria.sop_instance_uids
        or criteria.patient_ids
        or criteria.accession_numbers
    )


def _with_key(kind: str, alternatives: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    return studies.c.study_instance_uid.in_(
        select(study_keys.c.study_instance_uid).where(study_keys.c.kind == kind, or_(*alternatives))
    )


def _identified(value: str, authority: str | None) -> ColumnElement[bool]:
    if authority is None:
        return study_keys.c.value == value
    return and_(study_keys.c.value == value, study_keys.c.authority == authority)


def _plain_name(text: str) -> str:
    return folded(text).rstrip("^")


def _text(column: Column[str], text: str, dialect: str) -> ColumnElement[bool]:
    return Pattern.from_dicom(text).condition(column, dialect)


Bound = ColumnElement[int]
_COMPARISONS: dict[str, Callable[[Bound, Bound, int, int], ColumnElement[bool]]] = {
    # `studies_rules.compares`, in SQL
    "eq": lambda start, end, lower, upper: and_(start >= lower, end <= upper),
    "ne": lambda start, end, lower, upper: not_(and_(start >= lower, end <= upper)),
    "gt": lambda start, end, lower, upper: end > upper,
    "lt": lambda start, end, lower, upper: start < lower,
    "ge": lambda start, end, lower, upper: or_(and_(start >= lower, end <= upper), end > upper),
    "le": lambda start, end, lower, upper: or_(and_(start >= lower, end <= upper), start < lower),
}


# --- DICOM JSON, deflated ----------------------------------------------------------------------------------------------

_TAGS = """
00080005:CS 00080008:CS 00080016:UI 00080018:UI 00080020:DA 00080021:DA 00080022:DA 00080023:DA 00080030:TM
00080031:TM 00080032:TM 00080033:TM 00080050:SH 00080060:CS 00080070:LO 00080080:LO 00080090:PN 00081010:SH
00081030:LO 0008103E:LO 00081090:LO 00081140:SQ 00081150:UI 00081155:UI 00100010:PN 00100020:LO 00100021:LO
00100030:DA 00100040:CS 00101010:AS 00180010:LO 00180015:CS 00180050:DS 00180060:DS 00180088:DS 00181020:LO
00181030:LO 00181100:DS 00181151:IS 00181210:SH 00185100:CS 0020000D:UI 0020000E:UI 00200010:SH 00200011:IS
00200012:IS 00200013:IS 00200032:DS 00200037:DS 00200052:UI 00201040:LO 00201041:DS 00280002:US 00280004:CS
00280008:IS 00280010:US 00280011:US 00280030:DS 00280100:US 00280101:US 00280102:US 00280103:US 00281050:DS
00281051:DS 00281052:DS 00281053:DS 00281054:LO 7FE00010:OW
"""
_SHARED = "".join(f'"{tag}":{{"vr":"{vr}","Value":["' for tag, vr in re.findall("([0-9A-F]{8}):([A-Z]{2})", _TAGS))
_SHARED += (
    '"]},"Value":[{"Alphabetic":"ORIGINAL","PRIMARY","AXIAL","MONOCHROME2"ISO_IR 1001.2.840.10008.5.1.4.1.1.2.1.2.840.'
)
_DICTIONARY = _SHARED.encode()
_FIRST = b"\x01"
"""What a body begins with names its dictionary: the one above may never change, only be followed by another."""


def deflate(metadata: bytes) -> bytes:
    """Smaller: a CT header of 3 KB becomes some hundred bytes."""
    deflater = zlib.compressobj(level=1, wbits=-15, zdict=_DICTIONARY)
    return _FIRST + deflater.compress(metadata) + deflater.flush()


def inflate(body: bytes) -> bytes:
    """As it was handed in."""
    return zlib.decompressobj(wbits=-15, zdict=_DICTIONARY).decompress(memoryview(body)[1:])
