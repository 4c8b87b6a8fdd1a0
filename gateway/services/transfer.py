"""Transfer: run a job that fetches. Take the manifest, ask where it says, archive, verify, say what is missing.

State is the job's; what has arrived is in the index, so a worker that dies loses nothing: the next one asks only for what
is not here yet. Comparison is of sets: SOP classes, UIDs, nothing foreign.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.job import NEVER, Direction, Event, ExchangeJob, Step, StepOutcome
from gateway.model.peer import Peer
from gateway.model.study import StudyStatus
from gateway.ports.archive import Archive, Coercion
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store, Work
from gateway.ports.studies import ArrivedInstance, Origin
from gateway.services.ingest import MAX_MANIFEST_BYTES, study_fact
from gateway.services.keeper import ImagingRetrieval, keeper_of_images
from gateway.services.reconcile import whoever_is
from gateway.services.rewrite import Rewrite
from gateway.services.screen import Screen, series_of, study_of
from profiles.errors import (
    ExchangeError,
    HouseError,
    IdentityConflict,
    PeerError,
    PeerProtocolError,
    PeerRefused,
    RuleViolation,
    UnknownDocument,
    UnknownRepository,
    Unsupported,
)
from profiles.findings import Severity
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.patient import Patient
from profiles.model.query import StudyCriteria
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.ebxml.response import CURES, OTHERWISE, RegistryError, ResponseStatus, is_for_good, refusal
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest, to_retrieve_requests, unlocated

RECEIVABLE = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.100",  # MPEG2
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC
    "1.2.840.10008.1.2.4.107",  # HEVC
)
"""What we ask for: everything that we can keep as received (DICOM PS3.5 Annex A). The order expresses no preference."""

FLUSH_INSTANCES = 50  # rows of one index commit: progress is seen, and a commit is paid once
ATTEMPTS = 8  # then a person looks; with the delays below that is about two hours
STOPPED = "not asked"  # in place of a code: what is wrong is about the source and not about the instance
FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=30)


def delay_after(attempt: int) -> timedelta:
    """How long to wait before the next try: doubling from two seconds to half an hour."""
    return min(FIRST_DELAY * (1 << min(attempt, 16)), LONGEST_DELAY)


"""RAD-69 of a source, or RAD-75 of a community's gateway."""

Named = tuple[Study, Series, Instance]
"""An instance, with the series and study that a manifest puts it in."""


@dataclass(slots=True)
class Fetched:
    """What one run brought.

    `refused` says of each instance that did not come why, by SOP Instance UID; `ended` of those that nobody is asked for
    again by which code. `put_off` and `stopped` are what became of a source that could not be asked at all, or broke off:
    for now, or for good; the others were asked all the same.
    """

    arrived: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    put_off: ExchangeError | None = None
    stopped: ExchangeError | None = None


class Transfer:
    """The imaging document consumer's work."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        archive: Archive,
        peers: Peers,
        directory: Directory,
        compute: Compute,
        clock: Clock,
        rewrite: Rewrite,
    ) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._archive = archive
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._rewrite = rewrite

    async def run(self, job: ExchangeJob) -> None:
        """One attempt: READY or INCOMPLETE to STORED, INCOMPLETE, READY again or FAILED."""
        async with self._store.unit() as work:
            await work.ledger.advance(job.id, Event.STARTED, self._clock.now())
        fetched = Fetched(ended=ended_of(job))
        before = frozenset(fetched.ended)
        try:
            patient, manifests = await self._load(job)
            studies = [study for manifest in manifests for study in manifest.studies]
            for manifest in manifests:
                await self._fetch(job, manifest, patient, fetched)
            if fetched.stopped is not None and fetched.put_off is None and not fetched.arrived:
                raise fetched.stopped
            await self._tell_ended(job, fetched, fetched.ended.keys() - before)
            if fetched.put_off is not None:
                raise fetched.put_off
            await self._follow_identity(job, patient, studies)
            await self._finish(job, studies, fetched)
        except IdentityConflict as error:
            await self._conflict(job, error, fetched)
        except PeerError as error:
            await self._later(job, error, fetched)
        except HouseError as error:
            await self._later(job, error, fetched)
        except ExchangeError as error:
            await self._advance(job, Event.PERMANENT, reason=error.detail, cure=cure_of(error))

    async def _load(self, job: ExchangeJob) -> tuple[Patient, list[Manifest]]:
        manifests = []
        async with self._store.view() as work:
            patient = await whoever_is(work.identity, PatientIdentifier.from_cx(job.patient_id))
            contents = [await work.documents.open(unique_id) for unique_id in job.texts("manifests")]
        if patient is None:
            raise RuleViolation(
                "the patient is not known here any more", cure="Register the patient (ADT), then release the exchange"
            )
        for content in contents:
            if content is None:
                raise UnknownDocument(
                    "the manifest is not kept here any more", cure="Ask the sender to submit it again"
                )
            body = await content.read(MAX_MANIFEST_BYTES)
            manifests.append((await self._compute.run(partial(decode_kos, body))).value)
        return patient, manifests

    async def _fetch(self, job: ExchangeJob, manifest: Manifest, patient: Patient, fetched: Fetched) -> None:
        missing = await self._missing(manifest)
        wanted = {uid: named for uid, named in missing.items() if uid not in fetched.ended}
        for uid in wanted.keys() & set(unlocated(manifest)):
            fetched.refused[uid] = "the manifest does not say where it is (Retrieve Location UID)"
        home = _home_of(job, manifest)
        located = to_retrieve_requests(manifest, transfer_syntax_uids=RECEIVABLE, only=frozenset(wanted))
        for each in located:
            there = [str(instance.document.document_unique_id) for instance in each.request.instances()]
            left = {uid: wanted[uid] for uid in there}
            try:
                peer, transaction = keeper_of_images(self._directory, each.retrieve_location_uid, home)
                while left:
                    batch = frozenset(list(left)[: peer.batch_instances])
                    requests = to_retrieve_requests(
                        manifest, transfer_syntax_uids=RECEIVABLE, only=batch, home_community_id=home
                    )
                    request = next(
                        again.request for again in requests if again.retrieve_location_uid == each.retrieve_location_uid
                    )
                    chosen = {uid: wanted[uid] for uid in batch}
                    await self._fetch_batch(job, transaction, request, chosen, peer, patient, fetched)
                    for uid in batch:
                        del left[uid]
            except (PeerError, UnknownRepository, Unsupported) as error:
                # The next source is asked all the same: one that is down for a day holds up nobody's images.
                if isinstance(error, PeerError) and error.temporary:
                    fetched.put_off = fetched.put_off or error
                    continue
                fetched.stopped = fetched.stopped or error
                for uid in await self._awaited(left):
                    fetched.refused[uid] = error.detail
                    fetched.ended[uid] = error.code or STOPPED

    async def _awaited(self, named: Mapping[str, Named]) -> frozenset[str]:
        """Which of these are not here yet: some may have come before their source broke off."""
        awaited: set[str] = set()
        async with self._store.view() as work:
            for uid in {study.study_instance_uid for study, _, _ in named.values()}:
                awaited |= {str(each) for each in await work.studies.expected(uid)}
        return frozenset(named.keys() & awaited)

    async def _missing(self, manifest: Manifest) -> dict[str, Named]:
        """What the manifest names and is awaited still, by SOP Instance UID.

        What is not awaited is here, or a manifest that replaced this one does not name it: then nobody is asked for it.
        """
        missing: dict[str, Named] = {}
        async with self._store.view() as work:
            for study in manifest.studies:
                awaited = await work.studies.expected(study.study_instance_uid)
                for series, instance in study.instances():
                    if instance.sop_instance_uid in awaited:
                        missing[str(instance.sop_instance_uid)] = (study, series, instance)
        return missing

    async def _fetch_batch(
        self,
        job: ExchangeJob,
        transaction: ImagingRetrieval,
        request: RetrieveImagingDocumentSetRequest,
        wanted: Mapping[str, Named],
        peer: Peer,
        patient: Patient,
        fetched: Fetched,
    ) -> None:
        studies = {study.study_instance_uid: study for study, _, _ in wanted.values()}
        facts = Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(patient.identifiers[0],),
            studies=tuple(study_fact([study], patient) for study in studies.values()),
        )  # fmt: skip
        coercion = Coercion(patient=patient, source=peer.name, system=self._house.name)
        screen = Screen(partial(_as_asked, wanted))
        came: set[str] = set()
        gathered: list[ArrivedInstance] = []
        async with self._peers.call(transaction, peer, request, exchange_id=job.id, facts=facts) as call:
            head = call.response.head
            there = {each.document_unique_id for each in head.documents}
            refused = refusal(head.status, head.errors)
            for uid, error in _errors_of(head.errors, wanted.keys() - there).items():
                # The peer's own words may name a patient and are not repeated.
                fetched.refused[uid] = f"{error.code[:64]}: {CURES.get(error.code, OTHERWISE)}"
                of_all = isinstance(refused, PeerRefused) and uid not in error.location.split()
                if of_all or is_for_good(error):  # a request that is refused as a whole gets the same answer again
                    fetched.ended[uid] = error.code[:64]
            if (said := refusal(ResponseStatus.FAILURE, head.errors)) is not None and head.errors:
                call.learned(why=said.detail, cure=said.cure)  # of what is not among the documents
            if refused is not None and not wanted.keys() & fetched.refused.keys():
                raise refused
            try:
                async for outcome in self._archive.store(screen.passing(call.response.pour), coercion):
                    if outcome.arrived is None:
                        reason = outcome.error.detail if outcome.error is not None else "it could not be archived"
                        fetched.refused[outcome.key] = reason
                        continue
                    came.add(outcome.key)
                    fetched.refused.pop(outcome.key, None)
                    fetched.ended.pop(outcome.key, None)
                    gathered.append(outcome.arrived)
                    if len(gathered) >= FLUSH_INSTANCES:
                        await self._index(job, gathered, patient, fetched)
            finally:
                # What is durable in the archive is indexed even when the peer breaks off: it is not asked for again.
                await self._index(job, gathered, patient, fetched)
                for each in screen.turned_away:
                    fetched.refused[each.key] = each.error.detail if each.error is not None else "it does not belong"
                call.learned(
                    delivered=tuple(sorted(came)),
                    undelivered=tuple(sorted(wanted.keys() - came)),
                    text=f"{len(came)} of {len(wanted)} instances fetched and archived",
                    partial=came != wanted.keys(),
                )
        for uid in wanted.keys() - came - fetched.refused.keys():
            fetched.refused[uid] = "the source's answer did not have it"

    async def _index(
        self, job: ExchangeJob, gathered: list[ArrivedInstance], patient: Patient, fetched: Fetched
    ) -> None:
        if not gathered:
            return
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.studies.add(gathered, patient, job.peer, now, Origin.FETCHED)
            await work.ledger.advance(job.id, Event.PROGRESS, now)
        fetched.arrived += len(gathered)
        gathered.clear()

    async def _follow_identity(self, job: ExchangeJob, patient: Patient, studies: Sequence[Study]) -> None:
        """A merge or correction that came while instances were on their way reaches their heads too."""
        async with self._store.view() as work:
            now = await whoever_is(work.identity, patient.identifiers[0])
            records = [await work.studies.get(study.study_instance_uid, everything=True) for study in studies]
        if now is None or (now == patient and not job.payload.get("merged")):
            return
        for record in records:
            if record is not None:
                await self._rewrite.run(
                    record.study, Coercion(patient=now, source=record.source, system=self._house.name)
                )

    async def _conflict(self, job: ExchangeJob, error: IdentityConflict, fetched: Fetched) -> None:
        """The study is another's: because its patient was merged meanwhile, or truly."""
        asked = PatientIdentifier.from_cx(job.patient_id)
        async with self._store.view() as work:
            merged = await work.identity.get(asked) is None and await whoever_is(work.identity, asked) is not None
        if not merged or job.payload.get("merged"):
            await self._advance(job, Event.PERMANENT, reason=error.detail, cure=cure_of(error))
            return
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(
                job.id, Event.TEMPORARY, now, payload={**job.payload, "merged": True}, due_at=now,
                reason="the patient was merged meanwhile", cure="It goes on for the surviving patient by itself",
            )  # fmt: skip

    async def _finish(self, job: ExchangeJob, studies: Sequence[Study], fetched: Fetched) -> None:
        now = self._clock.now()
        async with self._store.unit() as work:
            missing: set[str] = set()
            for study in studies:
                missing |= await work.studies.expected(study.study_instance_uid)
            if not missing:
                left = await self._left(work, studies)
                for uid in left:
                    await work.studies.set_status(uid, StudyStatus.AVAILABLE, now)
                # Of a study that was withdrawn meanwhile nobody is told that it is here.
                told = None if job.study_instance_uid in left else {**job.payload, "todo": []}
                await work.ledger.advance(job.id, Event.COMPLETE, now, payload=told)
                return
            reasons = {**_said(job), **fetched.refused}
            reasons = {uid: reasons.get(uid, "not fetched yet") for uid in sorted(missing)}
            ended = {uid: code for uid, code in fetched.ended.items() if uid in missing}
            payload = {**job.payload, "missing": reasons, "ended": ended}
            first = next(iter(reasons.values()))
            reason = f"{len(missing)} instance(s) did not come; the first because: {first}"
            again = len(ended) < len(missing) and job.attempt < ATTEMPTS
            await work.ledger.advance(
                job.id, Event.PARTLY, now, payload=payload, reason=reason,
                cure="They are asked for again by themselves; or accept what is here" if again
                else "Accept what is here, or ask the sender to mend its manifest; released, they are asked for once more",
                due_at=now + delay_after(job.attempt) if again else NEVER,
            )  # fmt: skip

    async def _tell_ended(self, job: ExchangeJob, fetched: Fetched, ended: AbstractSet[str]) -> None:
        """The line of the timeline that says what nobody is asked for again, and by which words of the source."""
        if not ended:
            return
        codes = Counter(fetched.ended[uid] for uid in ended)
        said = ", ".join(f"{code} ({count})" for code, count in sorted(codes.items()))
        stopped = "" if fetched.stopped is None else cure_of(fetched.stopped)
        cures = dict.fromkeys(stopped if code == STOPPED else CURES.get(code, OTHERWISE) for code in sorted(codes))
        step = Step(
            exchange_id=job.id, at=self._clock.now(), transaction="radgate", direction=Direction.HERE,
            outcome=StepOutcome.FAILURE, text=f"{len(ended)} instance(s) are not asked for again by themselves",
            why=f"refused for good: {said}", cure=" ".join(cures),
        )  # fmt: skip
        async with self._store.unit() as work:
            await work.ledger.note(step)

    async def _left(self, work: Work, studies: Sequence[Study]) -> frozenset[str]:
        """Those of which something may be seen: not all of it was withdrawn while it was being fetched."""
        uids = tuple(dict.fromkeys(study.study_instance_uid for study in studies))
        page = await work.studies.search(StudyCriteria(study_instance_uids=uids, limit=len(uids)), count=False)
        return frozenset(
            record.study.study_instance_uid for record in page.records if record.status is not StudyStatus.CANCELLED
        )

    async def _later(self, job: ExchangeJob, error: ExchangeError, fetched: Fetched) -> None:
        if isinstance(error, PeerError) and not error.temporary:
            await self._advance(job, Event.PERMANENT, reason=error.detail, cure=cure_of(error))
            return
        if job.attempt >= ATTEMPTS:
            await self._advance(
                job, Event.PERMANENT, reason=f"given up after {job.attempt} tries: {error.detail}", cure=cure_of(error)
            )
            return
        payload = None
        if fetched.ended:
            why = {uid: fetched.refused[uid] for uid in fetched.ended if uid in fetched.refused}
            payload = {**job.payload, "ended": fetched.ended, "missing": {**_said(job), **why}}
        await self._advance(
            job, Event.TEMPORARY, reason=error.detail, cure=error.cure or "It is tried again by itself",
            delay=delay_after(job.attempt), payload=payload,
        )  # fmt: skip

    async def _advance(
        self,
        job: ExchangeJob,
        event: Event,
        *,
        reason: str,
        cure: str,
        delay: timedelta | None = None,
        payload: dict[str, object] | None = None,
    ) -> None:
        now = self._clock.now()
        async with self._store.unit() as work:
            await work.ledger.advance(
                job.id, event, now, reason=reason, cure=cure, due_at=now + delay if delay is not None else None,
                payload=payload,
            )  # fmt: skip
            await work.ledger.note(setback(job, now, reason, cure, delay))


def setback(job: ExchangeJob, at: datetime, reason: str, cure: str, delay: timedelta | None) -> Step:
    """The line of the timeline that says why an attempt came to nothing, and what is next. `delay` None: nothing."""
    text = "Stopped; a person can release it" if delay is None else f"Put off for {delay.total_seconds():.0f} s"
    return Step(
        exchange_id=job.id, at=at, transaction="radgate", direction=Direction.HERE, outcome=StepOutcome.FAILURE,
        text=f"{text} (attempt {job.attempt})", why=reason, cure=cure,
    )  # fmt: skip


def ended_of(job: ExchangeJob) -> dict[str, str]:
    """The instances that nobody is asked for again before a person releases the exchange, and by which code."""
    ended = job.payload.get("ended")
    return {str(uid): str(code) for uid, code in ended.items()} if isinstance(ended, dict) else {}


def _said(job: ExchangeJob) -> dict[str, str]:
    """Why what is missing did not come the time before."""
    said = job.payload.get("missing")
    return {str(uid): str(why) for uid, why in said.items()} if isinstance(said, dict) else {}


def _errors_of(errors: Sequence[RegistryError], lacking: AbstractSet[str]) -> dict[str, RegistryError]:
    """Which error each instance that will not come has.

    RAD-69 points at the instance (RAD69-019), RAD-75 at the community (RAD75-004): what points at no instance is about all
    that lack one. Where such errors disagree, the first that may be better later speaks for all.
    """
    told = [error for error in errors if error.severity is Severity.ERROR]
    located = {uid: error for error in told for uid in error.location.split() if uid in lacking}
    general = [error for error in told if not set(error.location.split()) & lacking]
    if not general:
        return located
    spokesman = next((error for error in general if not is_for_good(error)), general[0])
    return {**dict.fromkeys(lacking - located.keys(), spokesman), **located}


async def _as_asked(wanted: Mapping[str, Named], key: str, head: Part10Head) -> ExchangeError | None:
    """Whether a header is the instance that the manifest names."""
    found = wanted.get(key)
    if found is None:
        return PeerProtocolError("the source sent an instance that was not asked for")
    study, series, instance = found
    if head.sop_instance_uid != instance.sop_instance_uid:
        return PeerProtocolError("the file's SOP Instance UID is not the one that was asked for")
    if head.sop_class_uid != instance.sop_class_uid:
        return PeerProtocolError("the file has another SOP class than the manifest says")
    if study_of(head) != study.study_instance_uid or series_of(head) != series.series_instance_uid:
        return PeerProtocolError("the file belongs to another study or series than the manifest says")
    return None


def _home_of(job: ExchangeJob, manifest: Manifest) -> Oid | None:
    """The community whose registry had the manifest's entry; None: ours, or nobody said."""
    homes = job.payload.get("homes")
    home = homes.get(str(manifest.sop_instance_uid)) if isinstance(homes, dict) else None
    return Oid(home) if home else None
