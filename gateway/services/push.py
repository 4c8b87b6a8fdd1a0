"""Push: instances that others bring (STOW-RS) are archived, indexed under the local patient, and told of once.

What a newcomer gets wrong: a push has no end that we could wait for. What has come is indexed batch by batch, and whoever
will be told is told when it has been quiet for a while, whether all of it came in one request or in a hundred.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer, UnknownPatientPolicy
from gateway.model.study import StudyStatus
from gateway.ports.archive import Archive, Stored, StoreOutcome
from gateway.ports.clock import Clock
from gateway.ports.store import Store, Work
from gateway.ports.studies import ArrivedInstance
from gateway.services.exchange import Exchange
from gateway.services.inform import keep_link
from gateway.services.lookup import ask_whose
from gateway.services.reconcile import Settled, Unsettled, settle
from gateway.services.screen import Screen, Verdict, bare, study_of
from profiles.errors import ExchangeError, IdentityConflict, RuleViolation, UnknownPatient
from profiles.model.content import Pour
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria
from profiles.pixv3.iti45 import ITI_45
from profiles.transaction import StudyFact
from profiles.wia.rad108 import InstanceOutcome
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.dicom.study import patient_of

QUIET = timedelta(seconds=1)  # a modality sends a study in many requests: it is told of when no more come
MOST_QUIET = timedelta(minutes=10)  # between two batches of one request; later than that, it is taken for broken off
BATCH_INSTANCES = 50  # rows of one index commit, which waits for the disk
BATCH_BYTES = 1024 * 1024  # or so much metadata: the header of an enhanced object may have megabytes


@dataclass(slots=True)
class _Coming:
    """A study of a push, as far as it has come."""

    patient: Patient | None = None  # None: the index has taken nothing of it
    settled: bool = False
    news: bool = False  # something of it came that nobody will be told of yet
    job: ExchangeJob | None = None  # the exchange that tells of it
    is_early: bool = False  # and waits for more than is to be waited for when the push is over
    classes: Counter[str] = field(default_factory=Counter)
    accession_numbers: dict[str, None] = field(default_factory=dict)

    def fact(self, study_instance_uid: str) -> StudyFact:
        """What audit says of it."""
        return StudyFact(
            study_instance_uid=study_instance_uid,
            patient=self.patient.identifiers[0] if self.patient is not None else None,
            accession_numbers=tuple(self.accession_numbers),
            sop_classes=tuple(sorted(self.classes.items())),
        )


class _Pushed:
    """One push while it comes: the batch that is indexed next, and of all before it only what the answer says."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.studies: dict[str, _Coming] = {}
        self.arrived: dict[str, list[ArrivedInstance]] = {}
        self.refused: dict[str, ExchangeError] = {}  # studies of this batch
        self.told: list[InstanceOutcome] = []
        self._batch: list[StoreOutcome] = []
        self._metadata_bytes = 0
        self._created = False
        self._own_id = exchange.id
        self._same: dict[str, str] = {}  # UIDs that many instances share, each once

    @property
    def is_full(self) -> bool:
        return len(self._batch) >= BATCH_INSTANCES or self._metadata_bytes >= BATCH_BYTES

    @property
    def has_come(self) -> bool:
        return bool(self.arrived or self.studies)

    def own_id(self) -> str:
        """The turn's own exchange, for the first who asks: a turn that fails after all opens it for its failure."""
        own, self._own_id = self._own_id, ""
        return own

    def take(self, outcome: StoreOutcome) -> None:
        """One part more."""
        if outcome.arrived is None:
            error = bare(outcome.error) if outcome.error is not None else None
            self.told.append(self._outcome(outcome, "", "", error))
            return
        self._batch.append(outcome)
        self._metadata_bytes += len(outcome.arrived.metadata)
        self.arrived.setdefault(outcome.arrived.study.study_instance_uid, []).append(outcome.arrived)

    def indexed(self) -> None:
        """The batch is in the index, but for studies that were refused: let go of it."""
        for outcome in self._batch:
            assert outcome.arrived is not None
            study = outcome.arrived.study
            error = self.refused.get(study.study_instance_uid)
            self.told.append(
                self._outcome(outcome, study.study_instance_uid, study.series[0].series_instance_uid, error)
            )
            if error is None:
                coming = self.studies[study.study_instance_uid]
                coming.classes[self._once(outcome.sop_class_uid)] += 1
                coming.accession_numbers |= dict.fromkeys(number.value for number in study.accession_numbers)
                self._created = self._created or outcome.stored is Stored.NEW
        self._batch.clear()
        self._metadata_bytes = 0
        self.arrived.clear()
        self.refused.clear()

    def _outcome(self, outcome: StoreOutcome, study: str, series: str, error: ExchangeError | None) -> InstanceOutcome:
        return InstanceOutcome(
            sop_class_uid=self._once(outcome.sop_class_uid), sop_instance_uid=str(outcome.sop_instance_uid),
            study_instance_uid=self._once(study), series_instance_uid=self._once(series), error=error,
        )  # fmt: skip

    def _once(self, uid: str) -> str:
        return self._same.setdefault(uid, uid)

    def learn(self) -> None:
        """What is in the index, how many came in, and why the first that did not."""
        learned = self.exchange.learned
        there = {uid: coming for uid, coming in self.studies.items() if coming.classes}
        learned.studies = tuple(coming.fact(uid) for uid, coming in there.items())
        learned.patients = tuple(dict.fromkeys(fact.patient for fact in learned.studies if fact.patient is not None))
        learned.created = self._created if self.studies else None
        errors = [each.error for each in self.told if each.error is not None]
        came = len(self.told) - len(errors)
        learned.text = f"{came} of {len(self.told)} instances archived" if errors else f"{came} instances archived"
        learned.partial, learned.failed = bool(errors and came), bool(errors and not came)
        if errors:
            learned.why, learned.cure = errors[0].detail, cure_of(errors[0])


class Push:
    """The one place where instances enter that nobody asked for."""

    def __init__(
        self, *, house: House, store: Store, archive: Archive, clock: Clock, peers: Sequence[Peer] = ()
    ) -> None:
        """`peers` are those who may be asked who a patient is, or want to be told."""
        self._peers = peers
        self._asks = any(ITI_45.id in peer.endpoints for peer in peers)
        self._house = house
        self._store = store
        self._archive = archive
        self._clock = clock

    async def store(
        self, pour: Pour, study_instance_uid: str | None, exchange: Exchange
    ) -> tuple[InstanceOutcome, ...]:
        """Archive pushed instances, index them under the local patient, open a job for each study.

        Whose they are is settled by the headers, before the archive takes a byte: an unknown patient's study is kept and
        held, or refused, as the peer's setting says; a study is one patient's.

        What has come is indexed batch by batch, each in a unit of its own; the last one is the turn's. When the push breaks
        off, or the house goes down, the batches before are there, and the exchange that tells of them was opened with them;
        what was archived after them is not in the index until it is sent again.

        Source: DICOM PS3.18 10.5; RAD TF-2 4.108.
        """
        screen = Screen(self._doorkeeper(study_instance_uid, exchange))
        pushed = _Pushed(exchange)
        try:
            outcomes = self._archive.store(screen.passing(pour))
            async with aclosing(outcomes):  # type: ignore[type-var]  # an async generator it is
                async for outcome in outcomes:
                    pushed.take(outcome)
                    if pushed.is_full:
                        async with self._store.unit() as work:
                            await self._index(work, pushed, MOST_QUIET)
                        pushed.indexed()
        except BaseException:
            pushed.learn()
            raise
        for outcome in screen.turned_away:
            pushed.take(outcome)
        if pushed.has_come:
            work = await exchange.begin()
            await self._index(work, pushed, QUIET)
            pushed.indexed()
            await self._close(work, pushed)
        pushed.indexed()
        pushed.learn()
        return tuple(pushed.told)

    def _doorkeeper(self, named: str | None, exchange: Exchange) -> Verdict:
        """Looks at each header of a push; what it turns away is never in the archive. Asks once for each patient."""
        owners: dict[str, Patient] = {}
        judged: dict[tuple[str, tuple[PatientIdentifier, ...]], ExchangeError | None] = {}

        async def verdict(_: str, head: Part10Head) -> ExchangeError | None:
            uid = study_of(head)
            if named is not None and uid != named:
                return RuleViolation(
                    "the instance belongs to another study than the address names",
                    cure="The sender puts the study's own UID into the address, or leaves it out",
                )
            foreign = patient_of(head.dataset, authority=self._house.patient_authority)
            asked = uid, foreign.identifiers
            if asked not in judged:
                judged[asked] = await self._unwelcome(uid, foreign, owners, exchange)
            return judged[asked]

        return verdict

    async def _unwelcome(
        self, uid: str, foreign: Patient, owners: dict[str, Patient], exchange: Exchange
    ) -> ExchangeError | None:
        peer = exchange.peer
        async with self._store.view() as work:
            settled = await settle(
                work.identity, foreign, foreign.identifiers, self._house.patient_authority, exchange.now
            )
            if uid not in owners:
                there = await work.studies.search(StudyCriteria(study_instance_uids=(uid,), limit=1), count=False)
                owners |= {record.study.study_instance_uid: record.study.patient for record in there.records}
        if isinstance(settled, Unsettled) and peer is not None and peer.unknown_patient is UnknownPatientPolicy.REJECT:
            return UnknownPatient(settled.reason, cure=settled.cure)
        patient = settled.patient if isinstance(settled, Settled) else foreign
        if set(owners.setdefault(uid, patient).identifiers).isdisjoint(patient.identifiers):
            return IdentityConflict(
                "the study is another patient's", location=uid,
                cure="Decide which patient the study is of; the other's objects stay out until then",
            )  # fmt: skip
        return None

    async def _index(self, work: Work, pushed: _Pushed, quiet: timedelta) -> None:
        """One batch. What the index does not take is refused, although its bytes are safe in the archive."""
        for uid, arrived in pushed.arrived.items():
            coming = pushed.studies.setdefault(uid, _Coming())
            try:
                settled = await self._add(work, uid, arrived, coming, pushed.exchange)
            except (UnknownPatient, IdentityConflict) as error:
                pushed.refused[uid] = error
                continue
            if coming.news:
                await self._announce(work, uid, arrived[0].study.patient, settled, pushed, quiet)

    async def _add(
        self, work: Work, uid: str, arrived: Sequence[ArrivedInstance], coming: _Coming, exchange: Exchange
    ) -> Settled | Unsettled:
        """Put them into the index. They are news if it did not have one of them, wherever the archive has them from."""
        foreign, peer, now = arrived[0].study.patient, exchange.peer, self._clock.now()
        settled = await settle(work.identity, foreign, foreign.identifiers, self._house.patient_authority, now)
        if isinstance(settled, Unsettled) and peer is not None and peer.unknown_patient is UnknownPatientPolicy.REJECT:
            raise UnknownPatient(settled.reason, cure=settled.cure)
        patient = settled.patient if isinstance(settled, Settled) else foreign
        news = not await _is_here(work, uid, arrived)
        await work.studies.add(arrived, patient, peer.name if peer is not None else "", now)
        if isinstance(settled, Unsettled):
            await work.studies.set_status(uid, StudyStatus.UNKNOWN, now)
        coming.patient, coming.settled = patient, isinstance(settled, Settled)
        coming.news = coming.news or news
        return settled

    async def _announce(
        self, work: Work, uid: str, foreign: Patient, settled: Settled | Unsettled, pushed: _Pushed, quiet: timedelta
    ) -> None:
        """Others are told of the study when it has been quiet for so long."""
        exchange, coming, now = pushed.exchange, pushed.studies[uid], self._clock.now()
        coming.news, coming.is_early = False, quiet != QUIET
        if (job := await self._put_off(work, uid, quiet)) is not None:
            coming.job = job
            return
        assert coming.patient is not None
        local = str(coming.patient.identifiers[0])
        job = ExchangeJob(
            id=pushed.own_id() if quiet == QUIET else self._clock.new_uuid(),
            kind=Kind.STORE, state=State.RECEIVED, opened_at=exchange.now, updated_at=now,
            peer=exchange.peer.name if exchange.peer is not None else "", study_instance_uid=uid, patient_id=local,
            payload={"foreign": str(foreign.identifiers[0])},
        )  # fmt: skip
        coming.job = job
        await work.ledger.open(job)
        if isinstance(settled, Unsettled):
            await work.ledger.advance(job.id, Event.UNSETTLED, now, reason=settled.reason, cure=settled.cure)
            if self._asks:
                await ask_whose(work, self._clock, job, foreign)
            return
        if settled.link is not None:
            await keep_link(work, self._clock, self._peers, settled.link)
        await work.ledger.advance(job.id, Event.SETTLED, now, due_at=now + quiet)

    async def _put_off(self, work: Work, study_instance_uid: str, quiet: timedelta) -> ExchangeJob | None:
        """An exchange that will tell of this study anyway, because it waits for quiet or for a person."""
        waiting = await work.ledger.list(
            kinds=frozenset({Kind.STORE}), states=frozenset({State.READY, State.HELD}),
            study_instance_uid=study_instance_uid, limit=1,
        )  # fmt: skip
        for job in waiting:
            if job.state is State.READY:
                now = self._clock.now()
                await work.ledger.advance(job.id, Event.TEMPORARY, now, due_at=now + quiet)
            return job
        return None

    async def _close(self, work: Work, pushed: _Pushed) -> None:
        """All of it has come. The turn belongs to the exchange of its first study."""
        now, exchange = self._clock.now(), pushed.exchange
        for uid, coming in pushed.studies.items():
            if coming.settled and not await work.studies.expected(uid):
                await work.studies.set_status(uid, StudyStatus.AVAILABLE, now)
            if coming.job is None:
                continue
            if coming.is_early:
                await self._put_off(work, uid, QUIET)
            if exchange.kind is not Kind.STORE:
                if coming.job.id == exchange.id:
                    exchange.job = coming.job
                exchange.id, exchange.kind = coming.job.id, Kind.STORE


async def _is_here(work: Work, study_instance_uid: str, arrived: Iterable[ArrivedInstance]) -> bool:
    """Whether the index has each of them already. One that is new is found out at once, whatever the study's size."""
    for one in arrived:
        for _, instance in one.study.instances():
            place = await work.studies.locate(instance.sop_instance_uid)
            if place is None or place[0] != study_instance_uid:
                return False
    return True
