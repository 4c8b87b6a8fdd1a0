"""Synchronise: learn what an archive behind us has already. The index is ours; until it is complete, answers say so.

The archive is the local truth: a patient whom it knows under our own authority is a patient of ours, even before the first
ADT. Somebody else's patient in it stays hidden until an ADT or a person says whose it is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Protocol

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.study import StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.store import Store, Work
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.errors import IdentityConflict

AGAIN = timedelta(minutes=15)  # how old the index of an archive without events may become
BATCH = 500  # instances of one commit


class Indexable(Protocol):
    """An archive that others fill too."""

    def index(self, known: Callable[[str, int | None], Awaitable[bool]]) -> AsyncIterator[ArrivedInstance]:
        """Every instance that the archive has, study after study, but for studies that are `known` with this count."""
        ...


class Synchronise:
    """Keeps the index up with the archive. `notice` is what answers say while it is behind; "" when it is not."""

    def __init__(self, *, house: House, store: Store, archive: Indexable, clock: Clock) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._archive = archive
        self._clock = clock
        self.notice = "The index of the archive is not complete yet: studies may be missing from this answer."

    async def begin(self) -> None:
        """At start-up: go on with an unfinished run, or begin one."""
        async with self._store.unit() as work:
            runs = await work.ledger.list(kinds=frozenset({Kind.INDEX}), limit=1)
            if runs and runs[0].state is State.DONE:
                self.notice = ""
            if not runs or runs[0].state in (State.DONE, State.FAILED, State.ABANDONED):
                await self._open(work)

    async def run(self, job: ExchangeJob) -> None:
        """One walk through the archive; the next one is due a quarter of an hour later."""
        gathered: list[ArrivedInstance] = []
        added = count()
        total = 0
        async for arrived in self._archive.index(self._known):
            if gathered and (
                len(gathered) >= BATCH or arrived.study.study_instance_uid != gathered[0].study.study_instance_uid
            ):
                await self._add(job, gathered)
                gathered = []
            gathered.append(arrived)
            total = next(added) + 1
        if gathered:
            await self._add(job, gathered)
        self.notice = ""
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.COMPLETE, now, payload={"instances": total})
            await work.ledger.advance(job.id, Event.ANNOUNCED, now)
            await self._open(work, AGAIN)

    async def _known(self, study_instance_uid: str, instances: int | None) -> bool:
        """Whether we have as many instances of a study as the archive says it has, those that we hide too."""
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid, everything=True)
        return record is not None and instances is not None and record.study.instance_count >= instances

    async def _open(self, work: Work, after: timedelta = timedelta()) -> None:
        now = self._clock.now()
        job = ExchangeJob(
            id=self._clock.new_uuid(), kind=Kind.INDEX, state=State.RECEIVED, opened_at=now, updated_at=now
        )
        await work.ledger.open(job)
        await work.ledger.advance(job.id, Event.SETTLED, now, due_at=now + after)

    async def _add(self, job: ExchangeJob, arrived: list[ArrivedInstance]) -> None:
        now = self._clock.now()
        named = arrived[0].study.patient
        uid = arrived[0].study.study_instance_uid
        async with self._store.unit() as work:
            patient = await work.identity.get(named.identifiers[0])
            ours = named.identifiers[0].authority == self._house.patient_authority
            if patient is None and ours:
                patient = await work.identity.put(named, now)
            record = await work.studies.get(uid)
            if record is not None:
                patient = record.study.patient
            try:
                await work.studies.add(arrived, patient or named, "", now, Origin.KNOWN)
            except IdentityConflict:
                return
            if record is None:
                status = StudyStatus.AVAILABLE if patient is not None else StudyStatus.UNKNOWN
                await work.studies.set_status(uid, status, now)
            await work.ledger.advance(job.id, Event.PROGRESS, now)
