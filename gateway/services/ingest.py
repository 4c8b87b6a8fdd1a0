"""Ingest: accept the documents that others bring. A manifest (RAD-68), a document (ITI-41), metadata (ITI-42).

All their doors meet here; instances come by `push`. Accepting is quick: keep it, register it, say whose it is, open the job
that does the rest. What a newcomer gets wrong: the foreign entry stays as it was received, with the sender's patient id;
only the *study* is ours.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gateway.model.house import House, Repository
from gateway.model.job import HAS_WORK, NEVER, Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer, UnknownPatientPolicy
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects, StagedObject
from gateway.ports.store import Work
from gateway.services.elsewhere import Elsewhere, findings_of
from gateway.services.exchange import Exchange
from gateway.services.inform import keep_link
from gateway.services.lookup import ask_whose
from gateway.services.reconcile import Unsettled, settle
from gateway.services.supersede import Chain, Changed, chain_of, withdraw
from gateway.services.vet import Vet
from profiles.errors import AccessDenied, MalformedMessage, RuleViolation, UnknownPatient
from profiles.findings import Decoded, Finding, Severity, errors_of
from profiles.model.codes import KOS_SOP_CLASS
from profiles.model.content import Content
from profiles.model.document import Association, AvailabilityStatus, DocumentEntry, Submission, is_entry_uuid
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Manifest, Series, Study
from profiles.model.modalities import modality_of_classes
from profiles.model.patient import Patient
from profiles.pixv3.iti45 import ITI_45
from profiles.transaction import StudyFact
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.response import warned
from profiles.xdsi.rad68 import contradictions, modalities_of_entry

MAX_MANIFEST_BYTES = 64 * 1024 * 1024  # 150,000 references; a study has some thousands
INLINE_MANIFEST_BYTES = 8 * 1024  # 0.2 to 0.5 ms; in a thread it costs the loop more, waiting for the interpreter lock


def with_uuids(submission: Submission, clock: Clock) -> Submission:
    """Symbolic ids become entryUUIDs (ITI TF-2 3.42.4.1.3.7); references to registered objects stay."""
    known: dict[str, str] = {}

    def uuid(text: str) -> str:
        if is_entry_uuid(text):
            return text.lower()
        if text not in known:
            known[text] = f"urn:uuid:{clock.new_uuid()}"
        return known[text]

    def associated(each: Association) -> Association:
        return replace(each, entry_uuid=uuid(each.entry_uuid), source=uuid(each.source), target=uuid(each.target))

    return replace(
        submission,
        submission_set=replace(submission.submission_set, entry_uuid=uuid(submission.submission_set.entry_uuid)),
        entries=tuple(replace(each, entry_uuid=uuid(each.entry_uuid)) for each in submission.entries),
        folders=tuple(replace(each, entry_uuid=uuid(each.entry_uuid)) for each in submission.folders),
        associations=tuple(map(associated, submission.associations)),
    )


def first_versions(submission: Submission) -> Submission:
    """What is registered is the first version of its own, whatever its sender says."""
    return replace(
        submission,
        entries=tuple(replace(each, logical_id="", version=1) for each in submission.entries),
        folders=tuple(replace(each, logical_id="", version=1) for each in submission.folders),
    )


async def known_in_domain(work: Work, domains: Collection[Oid], identifier: PatientIdentifier) -> None:
    """Whoever registers or changes something does it to a patient of the affinity domain, by an id of these authorities.

    Raises:
        UnknownPatient: XDSUnknownPatientId.
    """
    if identifier.authority not in domains or await work.identity.get(identifier) is None:
        raise UnknownPatient(
            "the patient id is not known in this affinity domain", code="XDSUnknownPatientId",
            cure="Have the patient's identity fed by ADT (ITI-8), then submit again",
        )  # fmt: skip


class Door(StrEnum):
    """Where a submission came in, which says what its patient id means."""

    REPOSITORY = "repository"  # XDS: an id of the affinity domain, known there, else XDSUnknownPatientId
    RECIPIENT = "document recipient"  # XDR-I: the sender's own id, reconciled to ours


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A document of a submission, ready to be named by a row."""

    entry: DocumentEntry
    staged: StagedObject
    manifest: Manifest | None


class Ingest:
    """The one place where documents enter."""

    def __init__(
        self,
        *,
        house: House,
        objects: Objects,
        compute: Compute,
        clock: Clock,
        peers: Sequence[Peer] = (),
        elsewhere: Elsewhere | None = None,
        vet: Vet | None = None,
        repository: Repository | None = None,
    ) -> None:
        """`repository` is whose doors these are; None: the house's own.

        `peers` are those who may be asked who a patient is, or want to be told.

        `elsewhere`: another house has the registry of what our repository keeps; None: it is ours. `vet` looks at codes;
        None: nobody does.
        """
        self._vet = vet
        self._elsewhere = elsewhere
        self._peers = peers
        self._asks = any(ITI_45.id in peer.endpoints for peer in peers)
        self._house = house
        self._repository = repository or house.own
        self._objects = objects
        self._compute = compute
        self._clock = clock

    async def accept(
        self, submission: Submission, documents: Mapping[str, Content], door: Door, exchange: Exchange
    ) -> tuple[Finding, ...]:
        """Keep and register a submission; answers the warnings to send along.

        Raises:
            RuleViolation: Hash or size do not fit the bytes (XDSRepositoryMetadataError); document and metadata
                contradict (InvalidDocumentContent); the registry's rules.
            UnknownPatient: By the door's rule (XDSUnknownPatientId).

        Source: ITI TF-2 3.41.4.1.3; RAD TF-3 4.68.4.1.3.
        """
        under_its_own_name(submission, exchange)
        kept = [await self._keep(entry, documents[entry.entry_uuid], exchange) for entry in submission.entries]
        submission = replace(self._at_home(submission), entries=tuple(each.entry for each in kept))
        studies = tuple(study for each in kept if each.manifest for study in each.manifest.studies)
        exchange.learned.patients = (submission.submission_set.patient_id,)
        exchange.learned.studies = tuple(StudyFact(study_instance_uid=study.study_instance_uid) for study in studies)
        if door is Door.REPOSITORY and self._elsewhere is not None:
            return await self._register_elsewhere(self._elsewhere, submission, kept, studies, exchange)
        submission = with_uuids(first_versions(submission), self._clock)
        for index, entry in enumerate(submission.entries):
            kept[index] = replace(kept[index], entry=entry)
        warnings = await self._vet.vetted(submission, exchange) if self._vet is not None else ()
        if door is Door.REPOSITORY:
            work = await exchange.begin()
            await known_in_domain(work, (self._repository.patient_authority,), submission.submission_set.patient_id)
            await self._register(work, submission, kept, exchange.now)
            exchange.learned.text = _registered_text(submission, studies)
            return warnings
        return (*warnings, *await self._receive(submission, kept, studies, exchange))

    def _at_home(self, submission: Submission) -> Submission:
        """Where we are several communities, what is brought is of the one whose repository takes it."""
        home = self._repository.home_community_id
        if len(self._house.homes) == 1:
            return submission
        return replace(
            submission,
            submission_set=replace(submission.submission_set, home_community_id=home),
            folders=tuple(replace(each, home_community_id=home) for each in submission.folders),
        )

    async def register(self, submission: Submission, exchange: Exchange) -> tuple[Finding, ...]:
        """Register metadata whose documents are elsewhere (ITI-42).

        Source: ITI TF-2 3.42.4.1.3.
        """
        under_its_own_name(submission, exchange)
        submission = with_uuids(first_versions(submission), self._clock)
        exchange.learned.patients = (submission.submission_set.patient_id,)
        warnings = await self._vet.vetted(submission, exchange) if self._vet is not None else ()
        work = await exchange.begin()
        await known_in_domain(work, self._house.domains, submission.submission_set.patient_id)
        await work.registry.put(submission, exchange.now)
        exchange.learned.text = _registered_text(submission, ())
        return warnings

    async def _register_elsewhere(
        self,
        elsewhere: Elsewhere,
        submission: Submission,
        kept: list[_Kept],
        studies: tuple[Study, ...],
        exchange: Exchange,
    ) -> tuple[Finding, ...]:
        """Whose it is, and whether it may be, is for the registry to say."""
        await elsewhere.may(submission, exchange)
        taken, warnings = await elsewhere.register(
            submission, [each.staged for each in kept], exchange_id=exchange.id, user=exchange.user,
            studies=exchange.learned.studies,
        )  # fmt: skip
        work = await exchange.begin()
        await work.registrations.keep(taken)
        exchange.learned.text = f"{_registered_text(submission, studies)} at {taken.peer}"
        exchange.learned.why, exchange.learned.cure = warned(warnings)
        return findings_of(warnings)

    async def _keep(self, entry: DocumentEntry, content: Content, exchange: Exchange) -> _Kept:
        if entry.hash and content.sha1 is not None and entry.hash != content.sha1:
            raise RuleViolation(
                "the document's SHA-1 is not the one that its metadata names",
                code="XDSRepositoryMetadataError", location=entry.entry_uuid,
                cure="The sender computes the hash over the document as it is sent",
            )  # fmt: skip
        if entry.size_bytes is not None and content.size_bytes is not None and entry.size_bytes != content.size_bytes:
            raise RuleViolation(
                "the document has another size than its metadata names",
                code="XDSRepositoryMetadataError", location=entry.entry_uuid,
                cure="The sender counts the bytes of the document as it is sent",
            )  # fmt: skip
        manifest = None
        if entry.format_code.value == KOS_SOP_CLASS:
            decoded = await self._manifest(entry, content)
            manifest = decoded.value
            found = errors_of((*decoded.findings, *contradictions(entry, manifest)))
            if found:  # one error for the document, whatever is wrong with it
                raise RuleViolation(
                    "; ".join(dict.fromkeys(each.text for each in found[:3])), code="InvalidDocumentContent",
                    location=entry.unique_id, cure="The sender mends the manifest or its metadata and submits again",
                )  # fmt: skip
        entry = replace(
            entry, hash=content.sha1 or entry.hash, size_bytes=content.size_bytes,
            repository_unique_id=self._repository.unique_id,
        )  # fmt: skip
        staged = await self._objects.stage(content)
        if staged.path is not None:
            exchange.staged.append(staged.path)
        return _Kept(entry=entry, staged=staged, manifest=manifest)

    async def _manifest(self, entry: DocumentEntry, content: Content) -> Decoded[Manifest]:
        """A document that its formatCode calls a manifest; another document is not what its metadata says."""
        if content.size_bytes is not None and content.size_bytes > MAX_MANIFEST_BYTES:
            raise RuleViolation(
                f"a manifest has at most {MAX_MANIFEST_BYTES} bytes here", code="InvalidDocumentContent",
                location=entry.unique_id, cure="The sender splits the manifest; it cannot be a list of instances",
            )  # fmt: skip
        body = await content.read(MAX_MANIFEST_BYTES)
        try:
            if len(body) <= INLINE_MANIFEST_BYTES:
                return decode_kos(body)
            return await self._compute.run(lambda: decode_kos(body))
        except MalformedMessage as unreadable:
            raise RuleViolation(
                f"the document is no manifest: {unreadable.detail}", code="InvalidDocumentContent",
                location=entry.unique_id, cure="The sender mends the manifest, or the formatCode of its metadata",
            ) from unreadable  # fmt: skip

    async def _register(self, work: Work, submission: Submission, kept: list[_Kept], at: datetime) -> None:
        for each in kept:
            await work.documents.keep(each.entry.unique_id, each.staged)
        await work.registry.put(submission, at)

    async def _receive(
        self, submission: Submission, kept: list[_Kept], studies: tuple[Study, ...], exchange: Exchange
    ) -> tuple[Finding, ...]:
        """The recipient's door: settle whose it is, or hold it."""
        work = await exchange.begin()
        again = [bool(await work.registry.entries(each.entry.unique_id)) for each in kept]
        entry = submission.entries[0] if submission.entries else None
        manifest = next((each.manifest for each in kept if each.manifest is not None), None)
        foreign = claimed_patient(entry, manifest, (submission.submission_set.patient_id,))
        settled = await settle(work.identity, foreign, foreign.identifiers, self._house.patient_authority, exchange.now)
        peer = exchange.peer
        if isinstance(settled, Unsettled) and peer is not None and peer.unknown_patient is UnknownPatientPolicy.REJECT:
            raise UnknownPatient(settled.reason, code="XDSUnknownPatientId", cure=settled.cure)
        job = ExchangeJob(
            id=exchange.id, kind=Kind.RECEIVE, state=State.RECEIVED, opened_at=exchange.now, updated_at=exchange.now,
            peer=peer.name if peer is not None else "",
            study_instance_uid=studies[0].study_instance_uid if studies else "",
            payload={
                "manifests": [each.entry.unique_id for each in kept if each.manifest is not None],
                "entries": [each.entry.entry_uuid for each in kept],
                "folders": [each.entry_uuid for each in submission.folders],
                "set": submission.submission_set.entry_uuid,
            },
        )  # fmt: skip
        exchange.job, exchange.kind = job, Kind.RECEIVE
        await work.ledger.open(job)
        if isinstance(settled, Unsettled):
            await self._register(work, _pending(submission), kept, exchange.now)
            await work.ledger.advance(job.id, Event.UNSETTLED, exchange.now, reason=settled.reason, cure=settled.cure)
            if self._asks:
                await ask_whose(work, self._clock, job, foreign)
            exchange.learned.text = "Kept and held: a person decides whose it is"
            exchange.learned.why, exchange.learned.cure = settled.reason, settled.cure
            return (
                Finding(
                    rule="xdr.queued",
                    severity=Severity.WARNING,
                    code="DocumentQueued",
                    text="the submission is kept; a person decides which patient it belongs to",
                    location=submission.submission_set.unique_id,
                ),
            )
        await self._register(work, submission, kept, exchange.now)
        if settled.link is not None:
            await keep_link(work, self._clock, self._peers, settled.link)
        named = [(each.manifest, each.entry) for each in kept if each.manifest is not None]
        changed = await expect(work, named, settled.patient, job.peer, self._clock)
        local = settled.patient.identifier_of(self._house.patient_authority) or settled.patient.identifiers[0]
        complete = not studies or (all(again) and not changed and await _is_settled(work, studies))
        await work.ledger.advance(job.id, Event.SETTLED, exchange.now, patient_id=str(local))
        if complete:
            await work.ledger.advance(job.id, Event.STARTED, exchange.now)
            await work.ledger.advance(job.id, Event.COMPLETE, exchange.now)
            await work.ledger.advance(job.id, Event.ANNOUNCED, exchange.now)
        exchange.learned.text = (
            _registered_text(submission, studies)
            + changed.text
            + (f"; the patient is ours by: {settled.evidence}" if not complete or not studies else "; sent before")
        )
        return ()


async def _is_settled(work: Work, studies: Iterable[Study]) -> bool:
    """Whether everything of these studies is here, or an exchange is under way that will bring it."""
    for study in studies:
        uid = study.study_instance_uid
        if not await work.studies.expected(uid):
            continue
        jobs = await work.ledger.list(kinds=frozenset({Kind.RECEIVE, Kind.COLLECT}), study_instance_uid=uid)
        if not any(job.state in HAS_WORK and job.due_at != NEVER for job in jobs):
            return False
    return True


def claimed_patient(
    entry: DocumentEntry | None, manifest: Manifest | None, named: Iterable[PatientIdentifier] = ()
) -> Patient:
    """Who the sender says it is: every id that it gave, without repeats, those of the metadata first.

    Demographics are those of sourcePatientInfo; where it has neither name nor birth date, those of the manifest. A patient
    id of the manifest without an issuer is no id more: it is sourcePatientId, which is required and has its authority.

    Source: RAD TF-2 4.68.4.1.2.3.
    """
    identifiers = list(named)
    told = Patient(identifiers=())
    if entry is not None:
        identifiers.append(entry.patient_id)
        if entry.source_patient_id is not None:
            identifiers.append(entry.source_patient_id)
        if entry.source_patient is not None:
            told = entry.source_patient
            identifiers += told.identifiers
    if manifest is not None:
        identifiers += manifest.patient.identifiers
        if not told.name.family and told.birth_date is None:
            told = manifest.patient
    return replace(told, identifiers=tuple(dict.fromkeys(identifiers)))


def _pending(submission: Submission) -> Submission:
    """The same, invisible to queries until a person has released it."""
    return replace(
        submission,
        submission_set=replace(submission.submission_set, availability_status=AvailabilityStatus.PENDING),
        entries=tuple(replace(each, availability_status=AvailabilityStatus.PENDING) for each in submission.entries),
        folders=tuple(replace(each, availability_status=AvailabilityStatus.PENDING) for each in submission.folders),
    )


def _registered_text(submission: Submission, studies: tuple[Study, ...]) -> str:
    text = f"{len(submission.entries)} document(s) registered"
    if studies:
        text += f"; the manifest names {sum(study.instance_count for study in studies)} instances"
    return text


def under_its_own_name(submission: Submission, exchange: Exchange) -> None:
    """Whoever a certificate says it is does not submit as somebody else.

    Raises:
        AccessDenied: The sourceId is none of those that the peer may submit under.
    """
    peer, source_id = exchange.peer, submission.submission_set.source_id
    if peer is not None and peer.source_ids and source_id not in peer.source_ids:
        raise AccessDenied(
            "the submission names a source that is not the one who sends it", location=submission.submission_set.unique_id,
            cure=f"If it is theirs, add {source_id[:64]} to source_ids of the [[peer]] {peer.name}",
        )  # fmt: skip


def study_fact(fragments: Sequence[Study], patient: Patient) -> StudyFact:
    """What audit says of instances of one study."""
    classes = Counter(str(instance.sop_class_uid) for each in fragments for _, instance in each.instances())
    return StudyFact(
        study_instance_uid=fragments[0].study_instance_uid,
        patient=patient.identifiers[0],
        accession_numbers=tuple(dict.fromkeys(number.value for each in fragments for number in each.accession_numbers)),
        sop_classes=tuple(sorted(classes.items())),
    )


async def expect(
    work: Work,
    manifests: Iterable[tuple[Manifest, DocumentEntry | None]],
    patient: Patient,
    source: str,
    clock: Clock,
) -> Changed:
    """The studies of manifests are ours from now on: registered, their instances on the way.

    Each manifest comes with its entry, None when that is not known. Until the pixels tell, a series is shown with the
    modality of its SOP classes, else with the one that the entry names, if it names one. Where an entry replaces others,
    what those brought and none of these manifests names is hidden. Of the first study the caller's exchange tells.
    """
    manifests, changed, chains, at = tuple(manifests), Changed(), list[Chain](), clock.now()
    brought = frozenset(entry.entry_uuid for _, entry in manifests if entry is not None)
    for manifest, entry in manifests:
        chains.append(await chain_of(work, entry, brought))
        modalities = modalities_of_entry(entry) if entry is not None else frozenset[str]()
        single = next(iter(modalities)) if len(modalities) == 1 else ""
        for study in manifest.studies:
            series = tuple(_guessed(each, single) for each in study.series)
            named = replace(study, patient=patient, series=series)
            changed.shown += await work.studies.expect(named, source, at, chains[-1].begun_by)
    if manifests:
        studies = [study for manifest, _ in manifests for study in manifest.studies]
        changed.hidden = await withdraw(work, chains, studies, manifests[-1][0].sop_instance_uid, clock)
    return changed


def _guessed(series: Series, single: str) -> Series:
    """The series with the modality that is expected of it; as it is, when it tells its own."""
    if series.modality:
        return series
    return replace(series, expected_modality=modality_of_classes(series.instances) or single)
