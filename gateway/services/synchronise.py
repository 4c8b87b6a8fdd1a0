"""Synchronise: learn what an archive behind us has, and has no more. Until our index is complete, answers say so.

The archive is the local truth: a patient whom it knows under our own authority is a patient of ours, even before the first
ADT. Somebody else's patient in it stays hidden until an ADT or a person says whose it is. What a walk finds after the first
one (a new study, more or fewer instances, a study that is gone) is told to the rules, no faster than `per_minute`; what the
first one finds is for a back-fill.

What the archive itself corrects (a description, an accession number, a name, a date) is noticed by what its search tells
of each study: what it told last is remembered in a few bytes, and a study is read again when it tells something else. A
corrected name counts where nobody but the archive has told it: an ADT knows better. A study that has another patient id now
is moved to that patient; where the id is not one of ours, it is out of sight until a person decides.

What a newcomer gets wrong: pages of a search shift while they are read. A study that was not among them is only gone when
the archive, asked for it alone, has nothing of it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import timedelta
from functools import partial
from hashlib import blake2b
from typing import NamedTuple, Protocol

from gateway.model.house import House
from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.store import Store, Work
from gateway.ports.studies import ArrivedInstance, Glimpse, Origin
from gateway.services.errand import errand
from gateway.services.lookup import ask_whose
from gateway.services.reconcile import Unsettled, settle, whoever_is
from gateway.services.rules import When, happened
from profiles.errors import Busy, IdentityConflict, PeerProtocolError
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

    def index(
        self, known: Callable[[Glimpse], Awaitable[bool]], *, study: str = "", patient: str = ""
    ) -> AsyncIterator[ArrivedInstance]:
        """Every instance that the archive has, study after study, but for studies that are `known` as it lists them.

        `study` is a Study Instance UID, `patient` an id: only what there is of it.
        """
        ...

    async def bare(self, study_instance_uid: str) -> None:
        """What a merge laid over the heads of this study is not true any more."""
        ...

    async def listed(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs of what it has of a study; none: it has no such study."""
        ...


class Looked(NamedTuple):
    """What was found of a study or patient, and the exchange on whose timeline it stands."""

    exchange_id: str
    text: str


class _Told(NamedTuple):
    """What an archive told of a study, each in a few bytes."""

    whose: str  # the patient id
    who: str  # name, birth date and sex
    said: str
    updated: str

    @classmethod
    def of(cls, glimpse: Glimpse) -> "_Told":
        whose = "|".join(map(str, glimpse.patient.identifiers[:1]))
        return cls(_brief(whose), _who(glimpse.patient), _brief(glimpse.said), _brief(glimpse.updated))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A study that is being read: what the archive told of it last (None: nothing yet), and now."""

    before: _Told | None = None
    now: _Told | None = None
    anew: bool = False  # what is read stands in the place of what was known
    listed: str = ""  # the patient id that the search tells; "": none
    patients: set[str] = field(default_factory=set)  # ids that its instances name
    version: int | None = None  # of our record when the reading began, and how many instances it had; None: not begun
    had: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all of it says what the search says: an archive may be in the middle of moving it."""
        return len(self.patients) == 1 and (not self.listed or self.listed in self.patients)

    @property
    def moved(self) -> bool:
        """Whether it has another patient id."""
        other = self.before is not None and self.now is not None and self.before.whose != self.now.whose
        return other and self.agrees

    @property
    def renamed(self) -> bool:
        """Whether the patient is told of in another way."""
        return self.before is not None and self.now is not None and self.before.who != self.now.who


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One way through the archive, and what was found on it."""

    job_id: str
    first: bool
    looked: bool = False  # only one study or patient: what is not seen is not missing
    seen: set[int] = field(default_factory=set)  # hashes of Study Instance UIDs: a tenth of what the UIDs take
    reading: dict[str, _Reading] = field(default_factory=dict)  # by study; the one that is read, and the next one
    told_first: dict[str, str] = field(
        default_factory=dict
    )  # studies of which it was not remembered what is told of them
    moved: int = 0
    fewer: list[str] = field(default_factory=list)  # studies of which we have more than the archive tells
    instances: int = 0
    told: int = 0
    gone: int = 0
    nameless: set[str] = field(default_factory=set)  # studies without a patient id

    @property
    def text(self) -> str:
        """For the timeline."""
        nameless = f"; {len(self.nameless)} without a patient id were passed over" if self.nameless else ""
        moved = f"; {self.moved} have another patient now" if self.moved else ""
        return (
            f"{len(self.seen)} studies seen, {self.instances} instances read, {self.told} studies changed, "
            f"{self.gone} gone{moved}{nameless}"
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
            walk = _Walk(job_id=job.id, first=not await _done(work))
        await self._read_all(walk)
        for uid in walk.fewer:
            await self._compare(walk, uid)
        if not walk.first:
            for uid in await self._missing(walk, job.payload.get("gone")):
                await self._compare(walk, uid)
        await self._end(walk)

    async def look(self, person: str, *, study: str = "", patient: str = "") -> Looked:
        """Look at one study or one patient id of the archive now, as the next walk would; answers what was found.

        Who fills the archive may call for it, so that nobody waits for the next walk.

        Args:
            person: Who asks.
            study: A Study Instance UID.
            patient: A patient id as the archive has it.

        Raises:
            Busy: The first walk has not come to its end: what it finds is for a back-fill.
            PeerError: As the archive answered.
        """
        async with errand(
            self._store, self._clock, self._house, person=person, text="The archive looked at", study_instance_uid=study
        ) as doing:
            async with self._store.view() as work:
                if not await _done(work):
                    raise Busy(
                        "the archive is being walked through for the first time", cure="Wait until that has ended"
                    )
                there = await work.studies.get(study) if study else None
            walk = _Walk(job_id=doing.exchange_id, first=False, looked=True)
            await self._read_all(walk, study=study, patient=patient)
            if there is not None and hash(study) not in walk.seen:
                walk.fewer.append(study)
            for uid in walk.fewer:
                await self._compare(walk, uid)
            async with self._store.unit() as work:
                await work.ledger.note(self._step(walk))
            return Looked(doing.exchange_id, walk.text)

    async def _read_all(self, walk: _Walk, *, study: str = "", patient: str = "") -> None:
        gathered: list[ArrivedInstance] = []
        async for arrived in self._archive.index(partial(self._known, walk), study=study, patient=patient):
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
        await self._remember(walk)

    async def _end(self, walk: _Walk) -> None:
        self.notice = ""
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(walk.job_id, Event.COMPLETE, now, payload={"instances": walk.instances})
            await work.ledger.note(self._step(walk))
            if walk.first:
                await self._walked(work)
            await work.ledger.advance(walk.job_id, Event.ANNOUNCED, now)
            await self._open(work, self._again)

    def _step(self, walk: _Walk) -> Step:
        return Step(
            exchange_id=walk.job_id, at=self._clock.now(), transaction="archive", direction=Direction.HERE,
            outcome=StepOutcome.SUCCESS, text=walk.text,
        )  # fmt: skip

    async def _known(self, walk: _Walk, glimpse: Glimpse) -> bool:
        """Whether we have as many instances of a study as the archive says it has, those that we hide too, and as it says.

        Where it is not remembered what was said (it came by us, or before this was remembered), what is said now is right.
        """
        uid = str(glimpse.study_instance_uid)
        walk.seen.add(hash(uid))
        async with self._store.view() as work:
            record = await work.studies.get(uid, everything=True)
            told = await work.studies.told(uid)
        reading = _Reading(
            before=_Told(*told.split()) if told else None, now=_Told.of(glimpse),
            listed="".join(each.value for each in glimpse.patient.identifiers[:1]),
        )  # fmt: skip
        walk.reading[uid] = reading
        if len(walk.reading) > 2:  # of one that has vanished nothing was read
            del walk.reading[next(iter(walk.reading))]
        if record is None or glimpse.instances is None:
            reading.anew = record is not None and _corrected(reading, record)
            return False
        if record.study.instance_count > glimpse.instances:
            walk.fewer.append(uid)
        reading.anew = _corrected(reading, record)
        if record.study.instance_count < glimpse.instances or (reading.before or reading.now) != reading.now:
            return False
        del walk.reading[uid]
        if reading.before is None and reading.now is not None:
            walk.told_first[uid] = " ".join(reading.now)
            if len(walk.told_first) >= BATCH:
                await self._remember(walk)
        return True

    async def _remember(self, walk: _Walk) -> None:
        if walk.told_first:
            async with self._store.unit() as work:
                await work.studies.remember(walk.told_first)
            walk.told_first = {}

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
        uid = str(arrived[0].study.study_instance_uid)
        reading = walk.reading.get(uid) or _Reading()
        reading.patients.update(each.study.patient.identifiers[0].value for each in arrived)
        if reading.moved:
            await self._archive.bare(uid)
        async with self._store.unit() as work:
            record = await work.studies.get(uid)
            if reading.version is None:
                reading.version = record.version if record is not None else 0
                reading.had = record.study.instance_count if record is not None else 0
            others = await self._rename(work, named, reading) if record is not None else ()
            patient = await self._patient(work, named, record, reading)
            try:
                await work.studies.add(arrived, patient or named, "", now, Origin.KNOWN, anew=reading.anew)
            except IdentityConflict:
                return
            if record is None or (reading.moved and record.status in (StudyStatus.AVAILABLE, StudyStatus.UNKNOWN)):
                status = StudyStatus.AVAILABLE if patient is not None else StudyStatus.UNKNOWN
                await work.studies.set_status(uid, status, now)
            if whole:
                await self._read(work, walk, uid, reading)
            for other in others:
                if other != uid:
                    await self._tell(work, walk, other, When.CHANGED)
            if whole and self._holds:
                await self._hold(work, uid, named, again=reading.moved)
            if not walk.looked:
                await work.ledger.advance(walk.job_id, Event.PROGRESS, now)

    async def _patient(
        self, work: Work, named: Patient, record: StudyRecord | None, reading: _Reading
    ) -> Patient | None:
        """Whose a study is that is told to be `named`'s. None: we do not know."""
        identifier = named.identifiers[0]
        if record is not None and not reading.moved and record.status is not StudyStatus.UNKNOWN:
            return await whoever_is(work.identity, record.study.patient.identifiers[0]) or record.study.patient
        patient = await whoever_is(work.identity, identifier)
        if patient is None and identifier.authority == self._house.patient_authority:
            patient = await work.identity.put(named, self._clock.now())
        if record is not None and not reading.moved:
            return record.study.patient if not reading.anew else patient  # hidden until a person says whose it is
        return patient

    async def _rename(self, work: Work, named: Patient, reading: _Reading) -> Sequence[str]:
        """Correct one of our own patients whom only the archive has told of; answers their studies."""
        there = await work.identity.get(named.identifiers[0]) if reading.renamed and not reading.moved else None
        ours = named.identifiers[0].authority == self._house.patient_authority
        if there is None or reading.before is None or not ours or _who(there) != reading.before.who:
            return ()
        now = self._clock.now()
        corrected = replace(there, name=named.name, birth_date=named.birth_date, sex=named.sex)
        return await work.studies.refresh(await work.identity.put(corrected, now), now)

    async def _read(self, work: Work, walk: _Walk, uid: str, reading: _Reading) -> None:
        """All of a study was read: remember what was told of it, and tell the rules what is other than it was."""
        walk.reading.pop(uid, None)
        if reading.now is not None and reading.agrees:
            await work.studies.remember({uid: " ".join(reading.now)})
        record = await work.studies.get(uid)
        if walk.first or record is None:
            return
        walk.moved += reading.moved
        if not reading.anew or record.study.instance_count > reading.had:
            await self._tell(work, walk, uid, When.AVAILABLE, unsettled=reading.moved)
        elif record.version != reading.version:
            await self._tell(work, walk, uid, When.CHANGED, unsettled=reading.moved)

    async def _hold(self, work: Work, uid: str, foreign: Patient, *, again: bool) -> None:
        """List a study for a person whose patient is not settled, once: as if it had been pushed to us."""
        record = await work.studies.get(uid)
        if record is None or record.status is not StudyStatus.UNKNOWN:
            return
        if not again and await work.ledger.list(kinds=frozenset({Kind.STORE}), study_instance_uid=uid, limit=1):
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

    async def _missing(self, walk: _Walk, confirmed: object) -> list[str]:
        """Studies of the index that were not seen; so many that a person has `confirmed` are not too many.

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
        if many and not (isinstance(confirmed, int) and len(missing) <= confirmed):
            async with self._store.unit() as work:
                await work.ledger.advance(
                    walk.job_id, Event.PROGRESS, self._clock.now(), payload={"gone": len(missing)}
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

    async def _tell(self, work: Work, walk: _Walk, uid: str, when: When, *, unsettled: bool = False) -> None:
        """The rules, one study after another; `unsettled`: also of one that is out of sight, for it may be registered."""
        record = await work.studies.get(uid)
        if record is None or (record.status is StudyStatus.UNKNOWN and not unsettled):
            return
        due_at = self._clock.now() + walk.told * self._pause
        walk.told += 1
        await happened(work, self._clock, uid, str(record.study.patient.identifiers[0]), when, due_at)


def _corrected(reading: _Reading, record: StudyRecord) -> bool:
    """Whether the archive has corrected the study.

    That something was written to one of a peer's is no correction: more of it may have come by us, and its manifest knows
    what no header says.
    """
    before, now = reading.before, reading.now
    if before is None or now is None:
        return False
    return before[:3] != now[:3] or (before != now and not record.source)


def _who(patient: Patient) -> str:
    """How a patient is told of, but for ids."""
    born = patient.birth_date.dtm if patient.birth_date is not None else ""
    return _brief(f"{astuple(patient.name)} {born} {patient.sex.value}")


def _brief(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


async def _done(work: Work) -> bool:
    """Whether a walk ever came to its end."""
    return bool(await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.DONE}), limit=1))
