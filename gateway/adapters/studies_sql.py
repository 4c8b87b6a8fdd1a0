"""The index of studies in rows: studies, their series, their instances, and those that are on their way.

What a newcomer gets wrong: an instance row carries a hash of its study and series UIDs and not the UIDs themselves, because
they would be most of the row; and the DICOM JSON of an instance is deflated with a dictionary of what all headers share.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
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
from gateway.adapters.tables import expected_instances, instances, series, studies, study_keys
from gateway.model.study import StudyPage, StudyRecord, StudyStatus
from gateway.ports.studies import ArrivedInstance
from profiles.errors import UnknownDocument
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Instance, Series, Study
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria

SLICE = 64  # instances handled between two turns of the loop: about 4 ms
PAGE = 200


_INSERT_STUDY = insert_new(studies)
_INSERT_KEY = insert_new(study_keys)
_INSERT_SERIES = insert_or_replace(series)
_INSERT_INSTANCE = insert_or_replace(instances)
_INSERT_EXPECTED = insert_new(expected_instances)

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
    select(expected_instances.c.sop_instance_uid).where(expected_instances.c.study_instance_uid == bindparam("study"))
)
_SERIES = Fixed(
    select(series.c.body, series.c.series_instance_uid, series.c.series_key, series.c.instances).where(
        series.c.study_instance_uid == bindparam("study")
    )
)
_INSTANCE_COLUMNS = (
    instances.c.sop_instance_uid,
    instances.c.sop_class_uid,
    instances.c.transfer_syntax_uid,
    instances.c.number,
    instances.c.frames,
    instances.c.rows,
    instances.c.columns,
    instances.c.size_bytes,
    instances.c.sha256,
)
_INSTANCES = Fixed(select(*_INSTANCE_COLUMNS).where(instances.c.series_key == bindparam("series_key")))
_INSTANCE = Fixed(
    select(*_INSTANCE_COLUMNS, instances.c.metadata).where(
        instances.c.series_key == bindparam("series_key"), instances.c.sop_instance_uid == bindparam("sop")
    )
)
_HERE = Fixed(select(instances.c.sop_instance_uid).where(instances.c.series_key == bindparam("series_key")))
_UIDS = Fixed(
    select(instances.c.sop_instance_uid)
    .where(instances.c.sop_instance_uid > bindparam("after"))
    .distinct()
    .order_by(instances.c.sop_instance_uid)
    .limit(bindparam("many"))
)
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
_METADATA_PAGE = Fixed(
    select(instances.c.sop_instance_uid, instances.c.number, instances.c.metadata)
    .where(instances.c.series_key == bindparam("series_key"), instances.c.sop_instance_uid > bindparam("after"))
    .order_by(instances.c.sop_instance_uid)
    .limit(bindparam("many"))
)
_METADATA = Fixed(select(instances.c.metadata).where(
    instances.c.series_key == bindparam("series_key"), instances.c.sop_instance_uid == bindparam("sop")
))  # fmt: skip


class SqlStudies:
    """`Studies` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        self._db = executor

    # --- learning ------------------------------------------------------------------------------------------------------

    async def expect(self, study: Study, source: str, at: datetime) -> None:
        """A manifest named these instances; they are on their way."""
        there = await self._open(study, study.patient, source, StudyStatus.REGISTERED, at)
        known = _Known(study.study_instance_uid, await self._series(study.study_instance_uid))
        here: set[str] = set()
        for _, series_key, count in known.there.values():
            if count:
                here.update(uid for (uid,) in await self._db.rows(_HERE, {"series_key": series_key}))
        for learned in study.series:
            known.learn(learned)
        await self._write_series(known)
        missing = [
            {"study_instance_uid": str(study.study_instance_uid), "sop_instance_uid": str(instance.sop_instance_uid)}
            for _, instance in study.instances()
            if instance.sop_instance_uid not in here
        ]
        for start in range(0, len(missing), PAGE):
            await self._db.run_many(_INSERT_EXPECTED, missing[start : start + PAGE])
            await asyncio.sleep(0)
        await self._touch(there, merged_study(there.study, study), at, changed=known.changed)

    async def add(self, arrived: Sequence[ArrivedInstance], patient: Patient, source: str, at: datetime) -> None:
        """Instances are here."""
        by_study: dict[str, list[ArrivedInstance]] = {}
        for each in arrived:
            by_study.setdefault(each.study.study_instance_uid, []).append(each)
        for uid, of_study in by_study.items():
            there = await self._open(of_study[0].study, patient, source, StudyStatus.AVAILABLE, at)
            learned = there.study
            known = _Known(uid, await self._series(uid))
            awaited = bool(await self._db.rows(_ANY_EXPECTED, {"study": uid}))
            for start in range(0, len(of_study), SLICE):
                some = of_study[start : start + SLICE]
                for each in some:
                    learned = merged_study(learned, each.study)
                await self._add_instances(some, known, awaited=awaited)
                await asyncio.sleep(0)
            await self._write_series(known)
            await self._touch(there, learned, at, changed=known.changed)

    async def _add_instances(self, arrived: Sequence[ArrivedInstance], known: "_Known", *, awaited: bool) -> None:
        rows: dict[tuple[int, str], dict[str, Any]] = {}
        for each in arrived:
            for one_series, instance in each.study.instances():
                series_key = known.learn(one_series)
                row = _instance_row(series_key, instance, each.metadata)
                place = (series_key, row["sop_instance_uid"])
                before = rows.get(place)
                if before is None:
                    found = await self._db.rows(_INSTANCE, {"series_key": series_key, "sop": place[1]})
                    if not found:
                        known.arrived(one_series)
                    elif tuple(found[0]) == tuple([row[name] for name in _COMPARED]):
                        continue
                rows[place] = row
        if not rows:
            return
        known.changed = True
        await self._db.run_many(_INSERT_INSTANCE, list(rows.values()))
        if awaited:
            await self._db.run_many(_DELETE_EXPECTED, [{"study": known.study_uid, "sop": sop} for _, sop in rows])

    async def _write_series(self, known: "_Known") -> None:
        rows = known.rows()
        if rows:
            known.changed = True
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
            await self._db.run(_DELETE_KEYS, {"study": uid})
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
        if any(count for _, _, count in known.values()):
            return
        for statement in (_DELETE_KEYS, _DELETE_SERIES, _DELETE_STUDY):
            await self._db.run(statement, {"study": study_instance_uid})

    # --- telling -------------------------------------------------------------------------------------------------------

    async def get(self, study_instance_uid: str) -> StudyRecord | None:
        """The study with all series and those instances that are here."""
        record = await self._record(study_instance_uid)
        if record is None:
            return None
        filled: list[Series] = []
        for one, series_key, _ in sorted(
            (await self._series(study_instance_uid)).values(), key=lambda each: shown_order(each[0])
        ):
            found = [instance_of(row) for row in await self._db.rows(_INSTANCES, {"series_key": series_key})]
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
        return frozenset(uid for (uid,) in await self._db.rows(_EXPECTED, {"study": study_instance_uid}))

    async def uids(self) -> AsyncIterator[str]:
        """SOP Instance UID of every instance that is here: a file that is not among them belongs to nobody."""
        after = ""
        while True:
            rows = await self._db.rows(_UIDS, {"after": after, "many": PAGE})
            for (uid,) in rows:
                yield uid
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        rows = await self._db.rows(_LOCATE, {"sop": sop_instance_uid})
        return (rows[0][0], rows[0][1]) if rows else None

    async def metadata(
        self, study_instance_uid: str, series_instance_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order."""
        known = await self._series(study_instance_uid)
        for one, series_key, _ in sorted(known.values(), key=lambda each: shown_order(each[0])):
            if series_instance_uid is not None and one.series_instance_uid != series_instance_uid:
                continue
            if sop_instance_uid is not None:
                for (deflated,) in await self._db.rows(_METADATA, {"series_key": series_key, "sop": sop_instance_uid}):
                    yield inflate(deflated)
                continue
            kept = await self._deflated(series_key)
            for start in range(0, len(kept), SLICE):
                for _, _, _, deflated in kept[start : start + SLICE]:
                    yield inflate(deflated)
                await asyncio.sleep(0)

    async def _deflated(self, series_key: Any) -> list[tuple[bool, int, str, bytes]]:
        """The series' metadata in instance number order, as it is kept: some hundred bytes an instance."""
        kept: list[tuple[bool, int, str, bytes]] = []
        after = ""
        while True:
            rows = await self._db.rows(_METADATA_PAGE, {"series_key": series_key, "after": after, "many": PAGE})
            kept += ((number is None, number or 0, uid, deflated) for uid, number, deflated in rows)
            if len(rows) < PAGE:
                kept.sort()
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
                found[uid] = [(one, held) for one, _, held in (await self._series(uid)).values()]
            return found
        for start in range(0, len(uids), PAGE):
            statement = select(
                series.c.study_instance_uid, series.c.body, series.c.series_instance_uid, series.c.instances
            ).where(series.c.study_instance_uid.in_(uids[start : start + PAGE]))
            for uid, body, series_uid, held in await self._db.rows(statement):
                found.setdefault(uid, []).append((series_of(body, series_uid), held))
        return found

    # --- parts ---------------------------------------------------------------------------------------------------------

    async def _record(self, uid: str, *, lock: bool = False) -> StudyRecord | None:
        rows = await self._db.rows(_STUDY_TO_CHANGE if lock else _STUDY, {"study": uid})
        return _record(rows[0], uid) if rows else None

    async def _series(self, uid: str) -> "dict[str, _Kept]":
        return {
            series_uid: (series_of(body, series_uid), series_key, count)
            for body, series_uid, series_key, count in await self._db.rows(_SERIES, {"study": uid})
        }


_Kept = tuple[Series, int, int]
"""A series without its instances, its key, and how many instances are here."""

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

    __slots__ = ("_told", "_touched", "changed", "study_uid", "there")

    def __init__(self, study_uid: str, there: dict[str, _Kept]) -> None:
        self.study_uid = study_uid
        self.there = there
        self.changed = False
        self._touched: set[str] = set()
        self._told: dict[str, Series] = {}

    def learn(self, learned: Series) -> int:
        """Merge what is told of a series; answers its key."""
        uid = learned.series_instance_uid
        bare = replace(learned, instances=())
        kept = self.there.get(uid)
        if kept is None:
            self.there[uid] = kept = (bare, key_of(self.study_uid, uid), 0)
            self._touched.add(uid)
        elif self._told.get(uid) != bare:
            after = merged_series(kept[0], bare)
            if after != kept[0]:
                self.there[uid] = kept = (after, kept[1], kept[2])
                self._touched.add(uid)
        self._told[uid] = bare
        return kept[1]

    def arrived(self, of_series: Series) -> None:
        """One instance more."""
        uid = of_series.series_instance_uid
        one, series_key, count = self.there[uid]
        self.there[uid] = (one, series_key, count + 1)
        self._touched.add(uid)

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
            }
            for uid in sorted(self._touched)
        ]


def key_of(study_instance_uid: str, series_instance_uid: str) -> int:
    """A series in eight bytes, signed: two among ten million meet with a chance of three in a million."""
    digest = blake2b(f"{study_instance_uid} {series_instance_uid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


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
                    series.c.series_instance_uid.in_(criteria.series_instance_uids)
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
    for comparison, moment in criteria.updated:
        found.append(_COMPARISONS[comparison](column.updated_at, column.updated_at + 1, *interval(moment)))
    if criteria.statuses:
        found.append(column.status.in_(criteria.statuses))
    return found


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
