"""What the index of studies in rows tells: a study, its instances, their metadata, and which studies fit a search.

What a newcomer gets wrong: the totals of a search cost more than its page, and are counted only where somebody asked.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, bindparam, func, select, tuple_

from gateway.adapters.executor import SQLITE, Executor, Fixed, Row
from gateway.adapters.stored import instance_of, series_of, study_of, time_of
from gateway.adapters.studies_headers import inflate
from gateway.adapters.studies_rules import place_after, shown_order
from gateway.adapters.studies_search import conditions, selective
from gateway.adapters.tables import expected_instances, instances, series, studies, withdrawn_instances
from gateway.model.study import StudyPage, StudyRecord, StudyStatus, Withdrawn
from profiles.model.imaging import Instance, Series
from profiles.model.query import StudyCriteria

SLICE = 64  # instances handled between two turns of the loop: about 4 ms
PAGE = 200
PAUSE_S = 0.002  # after each page of millions: who asks the house meanwhile shall not feel it

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
EXPECTED = Fixed(
    select(expected_instances.c.sop_instance_uid, expected_instances.c.series_key, expected_instances.c.chain).where(
        expected_instances.c.study_instance_uid == bindparam("study")
    )
)
_SERIES = Fixed(
    select(
        series.c.body, series.c.series_instance_uid, series.c.series_key, series.c.instances, series.c.withdrawn
    ).where(series.c.study_instance_uid == bindparam("study"))
)


def instance_columns(table: Table) -> tuple[Column[Any], ...]:
    """What `instance_of` reads."""
    of = table.c
    return (
        of.sop_instance_uid, of.sop_class_uid, of.transfer_syntax_uid, of.number, of.frames, of["rows"], of["columns"],
        of.size_bytes, of.sha256,
    )  # fmt: skip


def one_instance(table: Table) -> tuple[ColumnElement[bool], ...]:
    """The one that the parameters `series_key` and `sop` name."""
    return table.c.series_key == bindparam("series_key"), table.c.sop_instance_uid == bindparam("sop")


_INSTANCES = Fixed(select(*instance_columns(instances)).where(instances.c.series_key == bindparam("series_key")))
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
_METADATA_PAGE = {
    table: Fixed(
        select(table.c.sop_instance_uid, table.c.number, table.c.metadata)
        .where(table.c.series_key == bindparam("series_key"), table.c.sop_instance_uid > bindparam("after"))
        .order_by(table.c.sop_instance_uid)
        .limit(bindparam("many"))
    )
    for table in (instances, withdrawn_instances)
}
_METADATA = {
    table: Fixed(select(table.c.metadata).where(*one_instance(table))) for table in (instances, withdrawn_instances)
}

_gone = withdrawn_instances.c
WITHDRAWN = Fixed(
    select(_gone.series_key, _gone.sop_instance_uid, _gone.chain, _gone.withdrawn_at, _gone.withdrawn_by)
    .where(_gone.study_instance_uid == bindparam("study"))
    .order_by(_gone.series_key, _gone.sop_instance_uid)
)
_WITHDRAWN_INSTANCES = Fixed(
    select(*instance_columns(withdrawn_instances)).where(_gone.series_key == bindparam("series_key"))
)

Kept = tuple[Series, int, int, bool]
"""A series without its instances, its key, how many instances are here, and whether all of it is withdrawn."""


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


class ToldStudies:
    """The reading half of `Studies` over one executor."""

    __slots__ = ("db",)

    def __init__(self, executor: Executor) -> None:
        self.db = executor  # whoever writes as well goes by the same

    async def get(self, study_instance_uid: str, *, everything: bool = False) -> StudyRecord | None:
        """The study with all series and those instances that are here."""
        record = await self.record(study_instance_uid)
        if record is None:
            return None
        asked = (_INSTANCES, _WITHDRAWN_INSTANCES) if everything else (_INSTANCES,)
        filled: list[Series] = []
        for one, series_key, _, withdrawn in sorted(
            (await self.series(study_instance_uid)).values(), key=lambda each: shown_order(each[0])
        ):
            if withdrawn and not everything:
                continue
            found = [
                instance_of(row)
                for statement in asked
                for row in await self.db.rows(statement, {"series_key": series_key})
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
        return frozenset(uid for uid, _, _ in await self.db.rows(EXPECTED, {"study": study_instance_uid}))

    async def withdrawn(self, study_instance_uid: str) -> Sequence[Withdrawn]:
        """What of a study is kept and hidden."""
        rows = await self.db.rows(WITHDRAWN, {"study": study_instance_uid})
        names = {key: uid for uid, (_, key, _, _) in (await self.series(study_instance_uid)).items()} if rows else {}
        found = [
            Withdrawn(series_instance_uid=names[key], sop_instance_uid=sop, manifest=by, at=time_of(since))
            for key, sop, _, since, by in rows
        ]
        return sorted(found, key=lambda each: (each.series_instance_uid, each.sop_instance_uid))

    async def uids(self) -> AsyncIterator[str]:
        """SOP Instance UID of every instance that is kept: a file that is not among them belongs to nobody."""
        for statement in _UIDS.values():
            after = ""
            while rows := await self.db.rows(statement, {"after": after, "many": PAGE}):
                for (uid,) in rows:
                    yield uid
                after = rows[-1][0]
                await asyncio.sleep(PAUSE_S)

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        rows = await self.db.rows(_LOCATE, {"sop": sop_instance_uid})
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
        known = await self.series(study_instance_uid)
        asked = (instances, withdrawn_instances) if everything else (instances,)
        for one, series_key, _, _ in sorted(known.values(), key=lambda each: shown_order(each[0])):
            if series_instance_uid is not None and one.series_instance_uid != series_instance_uid:
                continue
            if sop_instance_uid is not None:
                for table in asked:
                    place = {"series_key": series_key, "sop": sop_instance_uid}
                    for (deflated,) in await self.db.rows(_METADATA[table], place):
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
            rows = await self.db.rows(_METADATA_PAGE[table], {"series_key": series_key, "after": after, "many": PAGE})
            kept += ((number is None, number or 0, uid, deflated) for uid, number, deflated in rows)
            if len(rows) < PAGE:
                return kept
            after = rows[-1][0]
            await asyncio.sleep(0)

    async def search(self, criteria: StudyCriteria, count: bool = True) -> StudyPage:
        """A page of studies with their series, without instances."""
        where = conditions(criteria, self.db.dialect)
        slow = not selective(criteria)
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
        rows = await self.db.rows(statement, slow=slow)
        records = await self._with_series([_record(row, row[5]) for row in rows[: criteria.limit]])
        more = len(rows) > criteria.limit
        total = None
        if count and not more and criteria.after is None and not criteria.offset:
            total = len(records)  # this page is all of it
        elif count:
            total = await self._total(where, slow=slow)
        return StudyPage(records=tuple(records), total=total, more=more)

    async def _total(self, where: Sequence[ColumnElement[bool]], *, slow: bool) -> int:
        ((total,),) = await self.db.rows(select(func.count()).select_from(studies).where(*where), slow=slow)
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
        if self.db.dialect == SQLITE:  # nothing travels: a short question for each is quicker than one made for all
            for uid in uids:
                found[uid] = [
                    (one, held) for one, _, held, withdrawn in (await self.series(uid)).values() if not withdrawn
                ]
            return found
        for start in range(0, len(uids), PAGE):
            statement = select(
                series.c.study_instance_uid, series.c.body, series.c.series_instance_uid, series.c.instances
            ).where(series.c.study_instance_uid.in_(uids[start : start + PAGE]), series.c.withdrawn == 0)
            for uid, body, series_uid, held in await self.db.rows(statement):
                found.setdefault(uid, []).append((series_of(body, series_uid), held))
        return found

    async def record(self, uid: str, *, lock: bool = False) -> StudyRecord | None:
        """The study without its series; locked until the unit ends, if it is to be changed."""
        rows = await self.db.rows(_STUDY_TO_CHANGE if lock else _STUDY, {"study": uid})
        return _record(rows[0], uid) if rows else None

    async def series(self, uid: str) -> dict[str, Kept]:
        """All series of a study, by their UIDs."""
        return {
            series_uid: (series_of(body, series_uid), series_key, count, bool(withdrawn))
            for body, series_uid, series_key, count, withdrawn in await self.db.rows(_SERIES, {"study": uid})
        }
