"""Synchronise: learn what an archive behind us has, and has no more. Until our index is complete, answers say so.

The archive is the local truth: a patient whom it knows under our own authority is a patient of ours, even before the first
ADT. Somebody else's patient in it stays hidden until an ADT or a person says whose it is. What a walk finds after the first
one (a new study, more or fewer instances, a study that is gone) is told to the rules, no faster than `per_minute`; what the
first one finds is for a back-fill.

What a newcomer gets wrong: pages of a search shift while they are read. A study that was not among them is only gone when
the archive, asked for it alone, has nothing of it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from gateway.model.house import House
from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.model.study import StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.store import Store, Work
from gateway.ports.studies import ArrivedInstance, Origin
from gateway.services.lookup import ask_whose
from gateway.services.reconcile import Unsettled, settle
from gateway.services.rules import When, happened
from profiles.errors import IdentityConflict, PeerProtocolError
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria

BATCH = 500  # instances of one commit
PAGE = 200  # studies that are compared at once
LIKE_ONE = Unsettled(
    reason="one of our patients has this name, birth date and sex, and nobody said that it is the same person",
    cure="Release the exchange if it is; or release it to another patient",
)
MANY, SHARE = 20, 0.1  # more studies than both gone at once are a wrong address rather than a deletion


class Indexable(Protocol):
    """An archive that others fill too."""

    def index(self, known: Callable[[str, int | None], Awaitable[bool]]) -> AsyncIterator[ArrivedInstance]:
        """Every instance that the archive has, study after study, but for studies that are `known` with this count."""
        ...

    async def listed(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs of what it has of a study; none: it has no such study."""
        ...


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One way through the archive, and what was found on it."""

    job: ExchangeJob
    first: bool
    seen: set[int] = field(default_factory=set)  # hashes of Study Instance UIDs: a tenth of what the UIDs take
    fewer: list[str] = field(default_factory=list)  # studies of which we have more than the archive tells
    instances: int = 0
    told: int = 0
    gone: int = 0
    nameless: set[str] = field(default_factory=set)  # studies without a patient id

    @property
    def text(self) -> str:
        """For the timeline."""
        nameless = f"; {len(self.nameless)} without a patient id were passed over" if self.nameless else ""
        return (
            f"{len(self.seen)} studies seen, {self.instances} instances read, {self.told} studies changed, "
            f"{self.gone} gone{nameless}"
        )


class Synchronise:
    """Keeps the index up with the archive. `notice` is what answers say while it is behind; "" when it is not."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        archive: Indexable,
        clock: Clock,
        per_minute: int,
        walked: Callable[[Work], Awaitable[None]],
        again: timedelta,
        late: timedelta,
        holds: bool,
    ) -> None:
        """Stand on the ports.

        Args:
            house: Who we are.
            store: Where the index is.
            archive: What is walked through.
            clock: What time it is.
            per_minute: So many studies at most are told to the rules.
            walked: Called in the commit that ends the first walk.
            again: Between two walks.
            late: So long the archive may not tell of what it was given; only after that it has lost it.
            holds: Whether studies of patients who are not settled are held and listed: where they would be published.
        """
        self._house = house
        self._store = store
        self._archive = archive
        self._clock = clock
        self._pause = timedelta(minutes=1) / per_minute
        self._walked = walked
        self._again = again
        self._late = late
        self._holds = holds
        self.notice = "The index of the archive is not complete yet: studies may be missing from this answer."

    async def begin(self) -> None:
        """At start-up: go on with an unfinished run, or begin one."""
        async with self._store.unit() as work:
            runs = await work.ledger.list(kinds=frozenset({Kind.INDEX}), limit=1)
            if await _done(work):
                self.notice = ""
            if not runs or runs[0].state in (State.DONE, State.FAILED, State.ABANDONED):
                await self._open(work)

    async def run(self, job: ExchangeJob) -> None:
        """One walk through the archive; the next one is due `again` later.

        Raises:
            PeerError: As the archive answered; or so much is gone that a person is to look at it first.
        """
        async with self._store.view() as work:
            walk = _Walk(job=job, first=not await _done(work))
        gathered: list[ArrivedInstance] = []
        async for arrived in self._archive.index(partial(self._known, walk)):
            if not arrived.study.patient.identifiers:
                walk.nameless.add(arrived.study.study_instance_uid)
                continue
            if gathered:
                same = arrived.study.study_instance_uid == gathered[0].study.study_instance_uid
                if not same or len(gathered) >= BATCH:
                    await self._add(walk, gathered, whole=not same)
                    gathered = []
            gathered.append(arrived)
            walk.instances += 1
        if gathered:
            await self._add(walk, gathered, whole=True)
        for uid in walk.fewer:
            await self._compare(walk, uid)
        if not walk.first:
            for uid in await self._missing(walk):
                await self._compare(walk, uid)
        await self._end(walk)

    async def _end(self, walk: _Walk) -> None:
        self.notice = ""
        now, job = self._clock.now(), walk.job
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.COMPLETE, now, payload={"instances": walk.instances})
            await work.ledger.note(
                Step(
                    exchange_id=job.id, at=now, transaction="archive", direction=Direction.HERE,
                    outcome=StepOutcome.SUCCESS, text=walk.text,
                )
            )  # fmt: skip
            if walk.first:
                await self._walked(work)
            await work.ledger.advance(job.id, Event.ANNOUNCED, now)
            await self._open(work, self._again)

    async def _known(self, walk: _Walk, study_instance_uid: str, instances: int | None) -> bool:
        """Whether we have as many instances of a study as the archive says it has, those that we hide too."""
        walk.seen.add(hash(study_instance_uid))
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid, everything=True)
        if record is None or instances is None:
            return False
        if record.study.instance_count > instances:
            walk.fewer.append(study_instance_uid)
        return record.study.instance_count >= instances

    async def _open(self, work: Work, after: timedelta = timedelta()) -> None:
        now = self._clock.now()
        job = ExchangeJob(
            id=self._clock.new_uuid(), kind=Kind.INDEX, state=State.RECEIVED, opened_at=now, updated_at=now
        )
        await work.ledger.open(job)
        await work.ledger.advance(job.id, Event.SETTLED, now, due_at=now + after)

    async def _add(self, walk: _Walk, arrived: list[ArrivedInstance], *, whole: bool) -> None:
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
            if whole and not walk.first:
                await self._tell(work, walk, uid, When.AVAILABLE)
            if whole and self._holds:
                await self._hold(work, uid, named)
            await work.ledger.advance(walk.job.id, Event.PROGRESS, now)

    async def _hold(self, work: Work, uid: str, foreign: Patient) -> None:
        """List a study for a person whose patient is not settled, once: as if it had been pushed to us."""
        record = await work.studies.get(uid)
        if record is None or record.status is not StudyStatus.UNKNOWN:
            return
        if await work.ledger.list(kinds=frozenset({Kind.STORE}), study_instance_uid=uid, limit=1):
            return
        now = self._clock.now()
        settled = await settle(work.identity, foreign, foreign.identifiers, self._house.patient_authority, now)
        why = settled if isinstance(settled, Unsettled) else LIKE_ONE
        job = ExchangeJob(
            id=self._clock.new_uuid(), kind=Kind.STORE, state=State.RECEIVED, opened_at=now, updated_at=now,
            study_instance_uid=uid, patient_id=str(foreign.identifiers[0]),
            payload={"foreign": str(foreign.identifiers[0])},
        )  # fmt: skip
        await work.ledger.open(job)
        held = await work.ledger.advance(job.id, Event.UNSETTLED, now, reason=why.reason, cure=why.cure)
        if isinstance(settled, Unsettled):
            await ask_whose(work, self._clock, held, foreign)

    # --- what is gone -------------------------------------------------------------------------------------------------

    async def _missing(self, walk: _Walk) -> list[str]:
        """Studies of the index that were not seen.

        Raises:
            PeerProtocolError: They are so many that a person is to look first.
        """
        missing: list[str] = []
        criteria = StudyCriteria(statuses=(StudyStatus.AVAILABLE.value, StudyStatus.UNKNOWN.value), limit=PAGE)
        count = 0
        while True:
            async with self._store.view() as work:
                page = await work.studies.search(criteria, count=False)
            uids = [record.study.study_instance_uid for record in page.records]
            missing += [str(uid) for uid in uids if hash(uid) not in walk.seen]
            count += len(uids)
            if not page.more:
                break
            criteria = replace(criteria, after=page.records[-1].page_key(criteria.order))
        many = len(missing) > MANY and len(missing) > SHARE * count
        confirmed = walk.job.payload.get("gone")
        if many and not (isinstance(confirmed, int) and len(missing) <= confirmed):
            async with self._store.unit() as work:
                await work.ledger.advance(
                    walk.job.id, Event.PROGRESS, self._clock.now(), payload={"gone": len(missing)}
                )
            raise PeerProtocolError(
                f"the archive does not have {len(missing)} of {count} studies any more; nothing was changed",
                cure="Look whether archive.url is the right one; if the studies are really gone, release this exchange",
            )
        return missing

    async def _compare(self, walk: _Walk, uid: str) -> None:
        """Ask the archive for one study, and let go of what it has no more."""
        there = await self._archive.listed(uid)
        now = self._clock.now()
        async with self._store.unit() as work:
            record = await work.studies.get(uid, everything=True)
            if record is None or record.updated_at > now - self._late:
                return
            lost = [
                str(each.sop_instance_uid) for _, each in record.study.instances() if each.sop_instance_uid not in there
            ]
            if not await work.studies.lose(uid, lost, now):
                return
            left = await work.studies.get(uid)
            gone = left is not None and left.status is StudyStatus.CANCELLED
            walk.gone += gone
            await self._tell(work, walk, uid, When.GONE if gone else When.CHANGED)

    async def _tell(self, work: Work, walk: _Walk, uid: str, when: When) -> None:
        """The rules, one study after another."""
        record = await work.studies.get(uid)
        if record is None or record.status is StudyStatus.UNKNOWN:
            return
        due_at = self._clock.now() + walk.told * self._pause
        walk.told += 1
        await happened(work, self._clock, uid, str(record.study.patient.identifiers[0]), when, due_at)


async def _done(work: Work) -> bool:
    """Whether a walk ever came to its end."""
    return bool(await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.DONE}), limit=1))
