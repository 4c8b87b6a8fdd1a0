"""Publish: our own manifest of a study we have, registered: at a peer (RAD-68), or in our own registry.

Every house publishes its own manifest: a new KOS, our Retrieve Location UID, our addresses, the patient id of the domain
that the registry speaks. It is kept here before it is sent, so that what a consumer asks us for is known. What was
published is kept true: the same study again replaces what was published before (RPLC, RAD68-006), where it says something
new; what is gone is withdrawn (RAD68-007).

What a newcomer gets wrong: an answer that did not come says nothing. `ports/publications` remembers what was offered.

Source: RAD TF-2 4.68.4.1.2; ITI TF-3 4.2.2.2.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from weakref import WeakValueDictionary

import orjson

from gateway.model.house import House
from gateway.model.job import Direction, ExchangeJob, Step, StepOutcome
from gateway.model.peer import Peer
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects, StagedObject
from gateway.ports.peers import Call, Directory, Peers
from gateway.ports.publications import Publication
from gateway.ports.store import Store, Work
from gateway.services.discover import Discover
from gateway.services.elsewhere import Elsewhere
from gateway.services.ingest import study_fact
from gateway.services.lookup import Lookup
from gateway.services.provide import addressed, as_known_there
from gateway.services.reconcile import whoever_is
from profiles.errors import Busy, ExchangeError, RequestError, RuleViolation, UnknownDocument, UnknownPatient
from profiles.model.content import DICOM, Content
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import PatientIdentifier, Uid
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import encode_kos
from profiles.wire.ebxml.operations import NEW_STATUS, ORIGINAL_STATUS
from profiles.wire.ebxml.response import RegistryResponse, ignores, refusal, warned
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xdsi.rad68 import (
    DEFAULTS,
    CodeSet,
    ProvideAndRegisterRequest,
    SiteCodes,
    chosen_codes,
    entry_for,
    submission_for,
)

NOT_REPLACEABLE = frozenset({"UnresolvedReferenceException", "XDSRegistryDeprecatedDocumentError"})
OFFERS = 5  # entries without an answer that are remembered: one is rare
GONE = frozenset({StudyStatus.CANCELLED, StudyStatus.ENTERED_IN_ERROR})
_NOBODY, _NEVER = Uid("2.25.0"), Moment(datetime(1970, 1, 1, tzinfo=UTC))


class Published(StrEnum):
    """What became of it."""

    TAKEN = "published"
    UNCHANGED = "already there"  # the registry has all that there is to say
    WITHDRAWN = "withdrawn"  # the study is gone, and so is its entry
    NOTHING = "nothing to publish"  # the study is gone and was never published


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """A manifest about to be registered. `digest` is of all that it says, but for ids and times of its own."""

    manifest: Manifest
    entry: DocumentEntry
    codes: SiteCodes
    digest: str
    record: StudyRecord
    document: tuple[Content, StagedObject] | None = None  # None: it is made when it is asked for


class Publish:
    """The imaging document source's giving side."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        objects: Objects,
        peers: Peers,
        directory: Directory,
        compute: Compute,
        clock: Clock,
        codes: Callable[[], SiteCodes],
        lookup: Lookup | None = None,
        discover: Discover | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Stand on the ports.

        `codes` tells what the affinity domain and the site decide; it may read a file, so it is asked in a thread.
        `lookup` finds a patient's id in the affinity domain that nobody told us; None: nobody can be asked.
        `discover` finds by which id another community knows a patient; None: it is sent ours.
        `elsewhere`: another house has the registry of what we keep, and our own is not told; None: it is ours.
        """
        self._elsewhere = elsewhere
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._codes = codes
        self._lookup = lookup
        self._discover = discover
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def share(
        self, job: ExchangeJob, study_instance_uid: str, registry: str, *, anew: bool = False, on_demand: bool = False
    ) -> Published:
        """Make a registry's entry of a study true.

        Args:
            job: The exchange that it is done for.
            study_instance_uid: Which study.
            registry: A peer's name; "": that of the affinity domain, which is our own or `elsewhere`.
            anew: Also where there is nothing new to say, or the registry does not know what is to be replaced.
            on_demand: An entry without a document, which is made when it is asked for (ITI-61 at a peer).

        Raises:
            UnknownDocument: The study is not here, or not whole.
            UnknownPatient: The patient has no id in the affinity domain.
            UnmappedCode: The affinity domain's codes have nothing for what the study says.
            PeerError: As the peer answered.
            RequestError: As our own registry answered.
        """
        registry = registry or self._domain_registry
        peer = self._directory.known(registry) if registry else None
        # Two exchanges of one study must not replace the same entry. What other processes do, `_unchanged` sees.
        turn = self._turns.setdefault((study_instance_uid, registry), asyncio.Lock())
        async with turn:
            return await self._share(job, study_instance_uid, peer, anew, on_demand)

    async def _share(
        self, job: ExchangeJob, study_instance_uid: str, peer: Peer | None, anew: bool, on_demand: bool
    ) -> Published:
        registry = peer.name if peer is not None else ""
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
            before = await work.publications.get(study_instance_uid, registry)
            patient = await work.identity.get(record.study.patient.identifiers[0]) if record is not None else None
        before = before or Publication(study_instance_uid=study_instance_uid, peer=registry, at=self._clock.now())
        if record is not None and record.status in GONE:
            return await self._withdraw(job, before, peer, "the study is gone")
        left = ""
        if record is not None and await self._moved(before, record):
            before, left = await self._withdraw_from_other(job, before, peer)
            if record.status is StudyStatus.UNKNOWN:
                _complain(left, peer)
                return Published.WITHDRAWN
        if record is None or record.status is not StudyStatus.AVAILABLE or patient is None:
            raise UnknownDocument("the study is not available here", cure="Wait until it has arrived, or accept it")
        known = tuple(dict.fromkeys((*patient.identifiers, *record.study.patient.identifiers)))
        if self._lookup is not None and all(each.authority != self._house.domain_authority for each in known):
            found = await self._lookup.domain_id(patient, job.id)
            known = (*known, found) if found is not None else known
        offer = await self._offer(record, self._shared_id(known), on_demand=on_demand)
        if before.in_force and not before.offered and before.digest == offer.digest and not anew:
            await self._note(job, registry, "What is registered of the study says all that there is to say")
            return Published.UNCHANGED
        targets = [*before.offered, *([before.entry_uuid] if before.in_force else [])]
        if anew or not before.in_force:
            targets.append("")
        for place, target in enumerate(targets, start=1):
            try:
                if peer is None:
                    await self._register(job, offer, before, target)
                else:
                    before = await self._provide(job, offer, before, target, peer)
                break
            except ExchangeError as refused:
                if refused.code not in NOT_REPLACEABLE or place == len(targets):
                    raise
        _complain(left, peer)
        return Published.TAKEN

    async def _moved(self, before: Publication, record: StudyRecord) -> bool:
        """Whether what is registered names a patient who is another one than the study's.

        One who was merged with the study's is not: registries follow merges by themselves.
        """
        if before.patient_id is None or not (before.in_force or before.offered):
            return False
        async with self._store.view() as work:
            registered = await whoever_is(work.identity, before.patient_id)
            now = await whoever_is(work.identity, record.study.patient.identifiers[0]) or record.study.patient
        return registered is not None and set(registered.identifiers).isdisjoint(now.identifiers)

    async def _withdraw_from_other(
        self, job: ExchangeJob, before: Publication, peer: Peer | None
    ) -> tuple[Publication, str]:
        """No document of one patient replaces one of another (XDSPatientIdDoesNotMatch): the entry is deprecated.

        Answers what is registered then, and the entry that a peer keeps because it takes no updates; "": none.
        """
        left = ""
        if peer is not None and ITI_57.id not in peer.endpoints:
            left = " and ".join(
                each for each in (before.entry_uuid, before.snapshot.entry_uuid if before.snapshot else "") if each
            )
            await self._keep(replace(before, in_force=False, offered=(), snapshot=None, at=self._clock.now()))
            await self._note(
                job, peer.name, f"The study is another patient's now, and {peer.name} has the entry {left}"
            )
        else:
            await self._withdraw(job, before, peer, "the study is another patient's now")
        async with self._store.view() as work:
            after = await work.publications.get(before.study_instance_uid, before.peer)
        return after or before, left

    async def has_news(self, study_instance_uid: str, registry: str, *, on_demand: bool = False) -> bool:
        """Whether `share` would send something, or could not tell: then its exchange says why."""
        registry = registry or self._domain_registry
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
            before = await work.publications.get(study_instance_uid, registry)
            patient = await work.identity.get(record.study.patient.identifiers[0]) if record is not None else None
        if before is None or before.offered or not before.in_force or record is None or patient is None:
            return True
        try:
            identifier = self._shared_id(
                tuple(dict.fromkeys((*patient.identifiers, *record.study.patient.identifiers)))
            )
            codes = await self._compute.run(self._codes)
            manifest = manifest_of(record, self._house, self._clock)
            said = await self._compute.run(lambda: digest_of(manifest, identifier, codes, on_demand=on_demand))
            return before.digest != said
        except RequestError:
            return True

    @property
    def _domain_registry(self) -> str:
        return self._elsewhere.registry.name if self._elsewhere is not None else ""

    # --- what is said -------------------------------------------------------------------------------------------------

    async def _offer(self, record: StudyRecord, identifier: PatientIdentifier, *, on_demand: bool) -> _Offer:
        codes = await self._compute.run(self._codes)
        manifest = manifest_of(record, self._house, self._clock)
        digest = await self._compute.run(lambda: digest_of(manifest, identifier, codes, on_demand=on_demand))
        if on_demand:
            entry = entry_for(manifest, entry_uuid=self._uuid(), patient_id=identifier, codes=codes)
            entry = replace(
                entry, entry_type=EntryType.ON_DEMAND, creation_time=None,
                repository_unique_id=self._house.repository_unique_id,
            )  # fmt: skip
            return _Offer(manifest=manifest, entry=entry, codes=codes, digest=digest, record=record)
        body = await self._compute.run(lambda: encode_kos(manifest))
        spool = self._objects.spool(len(body))
        spool.write(body)
        content = spool.finish(DICOM)
        entry = entry_for(
            manifest, entry_uuid=self._uuid(), patient_id=identifier, codes=codes, sha1=content.sha1 or "",
            size_bytes=content.size_bytes,
        )  # fmt: skip
        staged = await self._objects.stage(content)
        return _Offer(
            manifest=manifest, entry=entry, document=(content, staged), codes=codes, digest=digest, record=record
        )

    def _shared_id(self, identifiers: tuple[PatientIdentifier, ...]) -> PatientIdentifier:
        found = next((each for each in identifiers if each.authority == self._house.domain_authority), None)
        if found is None:
            raise UnknownPatient(
                "the patient has no id in the affinity domain",
                cure="Have an ADT name it in PID-3, beside our own id; then release the exchange",
            )
        return found

    def _submission(self, offer: _Offer, entry: DocumentEntry, target: str) -> Submission:
        made = submission_for(
            entry, submission_set_uuid=self._uuid(), unique_id=self._clock.new_uid(), source_id=self._house.source_id,
            submission_time=Moment(self._clock.now()),
            content_type_code=chosen_codes(offer.manifest, offer.codes).content_type_code, replaces=target or None,
        )  # fmt: skip
        return replace(made, associations=tuple(replace(each, entry_uuid=self._uuid()) for each in made.associations))

    def _uuid(self) -> str:
        """Ours from the beginning, so that we know what to replace: a registry keeps a UUID that it is given."""
        return f"urn:uuid:{self._clock.new_uuid()}"

    # --- where it is said ---------------------------------------------------------------------------------------------

    async def _register(self, job: ExchangeJob, offer: _Offer, before: Publication, target: str) -> None:
        """In our own registry: document, entry and what we know of it in one commit."""
        entry = replace(offer.entry, repository_unique_id=self._house.repository_unique_id)
        submission = self._submission(offer, entry, target)
        now = self._clock.now()
        async with self._store.unit() as work:
            await _unchanged(work, before)
            await _keep_document(work, offer)
            await work.registry.put(submission, now)
            taken = _taken(before, offer, now)
            if offer.document is not None:  # it says what a snapshot would, and stays true
                await _deprecate_snapshot(work, before, now)
                taken = replace(taken, snapshot=None)
            await work.publications.keep(taken)
        await self._note(job, "", f"Our manifest of {offer.manifest.instance_count} instances is registered here")

    async def _provide(
        self, job: ExchangeJob, offer: _Offer, before: Publication, target: str, peer: Peer
    ) -> Publication:
        """At a peer. Offered before it is sent, in force when the peer has said so; answers what we know of it then."""
        now = self._clock.now()
        elsewhere = self._elsewhere if peer.name == self._domain_registry and offer.document is not None else None
        if elsewhere is not None:  # the document stays here
            ours = self._house.repository_unique_id
            offer = replace(offer, entry=replace(offer.entry, repository_unique_id=ours))
        submission = self._submission(offer, offer.entry, target)
        registration = elsewhere.registration(submission) if elsewhere is not None else None
        offered = tuple(dict.fromkeys((offer.entry.entry_uuid, *before.offered)))[:OFFERS]
        async with self._store.unit() as work:
            await _unchanged(work, before)
            await _keep_document(work, offer)
            await work.publications.keep(replace(before, offered=offered, at=now))
            if registration is not None:
                await work.registrations.keep(registration)
        study, facts = offer.record.study, self._facts(peer, offer.entry.patient_id)
        facts = replace(facts, studies=(study_fact([study], study.patient),))
        async with await self._sent(peer, submission, offer, job, facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None and not refused.temporary:
                await self._keep(before)  # it was not taken, and we know it
                if elsewhere is not None and registration is not None:
                    await elsewhere.forget(registration)
            if refused is not None:
                raise refused
            queued = any(error.code == "DocumentQueued" for error in call.response.errors)
            replaced = target and not ignores(call.response.errors)
            said = "; it replaces the one before" if replaced else ""
            said += "; the peer holds it until a person decides" if queued else ""
            why, cure = warned(call.response.errors)
            text = f"Our manifest of {offer.manifest.instance_count} instances was taken{said}"
            call.learned(text=text, why=why, cure=cure, partial=ignores(call.response.errors))
            taken = _taken(before, offer, now)
            async with self._store.unit() as work:
                await work.publications.keep(taken)
                if registration is not None:
                    await work.registrations.keep(replace(registration, taken=True))
        return taken

    async def _sent(
        self, peer: Peer, submission: Submission, offer: _Offer, job: ExchangeJob, facts: Facts
    ) -> AbstractAsyncContextManager[Call[RegistryResponse]]:
        """With its document (RAD-68, or as the peer takes manifests), or without: it is here (ITI-42), or made (ITI-61)."""
        if offer.document is None:
            on_demand = RegisterOnDemandRequest(submission=submission)
            return self._peers.call(ITI_61, peer, on_demand, exchange_id=job.id, facts=facts)
        if offer.entry.repository_unique_id is not None:
            kept = RegisterRequest(submission=submission)
            return self._peers.call(ITI_42, peer, kept, exchange_id=job.id, facts=facts)
        documents = {offer.entry.entry_uuid: offer.document[0]}
        request = ProvideAndRegisterRequest(submission=submission, documents=documents)
        way, request = addressed(peer, request)
        if self._discover is not None:
            request = await as_known_there(request, peer, self._discover, job.id)
        return self._peers.call(way, peer, request, exchange_id=job.id, facts=facts)

    async def _withdraw(self, job: ExchangeJob, before: Publication, peer: Peer | None, why: str) -> Published:
        """The entry is not to promise the study any more.

        Source: RAD TF-2 4.68 (RAD68-007).
        """
        if not before.in_force and not before.offered:
            await self._note(job, before.peer, "The study is gone, and nothing is registered of it")
            return Published.NOTHING
        if peer is not None:
            await self._deprecate(job, before, peer, why)
            return Published.WITHDRAWN
        now = self._clock.now()
        async with self._store.unit() as work:
            await _unchanged(work, before)
            await work.registry.set_status(before.entry_uuid, AvailabilityStatus.DEPRECATED, now)
            await _deprecate_snapshot(work, before, now)
            await work.publications.keep(replace(before, in_force=False, snapshot=None, at=now))
        await self._note(job, "", f"{why.capitalize()}: its entry is deprecated")
        return Published.WITHDRAWN

    async def _deprecate(self, job: ExchangeJob, before: Publication, peer: Peer, why: str) -> None:
        """Change the status of the one entry that is in force at a peer: the last offered that it took, or the one before.

        Source: ITI TF-2 3.57.4.1.2 (update availability status).
        """
        targets = [*before.offered, *([before.entry_uuid] if before.in_force else [])]
        if ITI_57.id not in peer.endpoints or before.patient_id is None:
            raise RuleViolation(
                f"{why}, and the registry of {peer.name} has the entry {targets[-1]}",
                cure="Have it deprecated there, then give this exchange up; an endpoint for ITI-57 does it by itself",
            )
        codes = await self._compute.run(self._codes)
        for place, target in enumerate(targets, start=1):
            try:
                await self._update(job, before.patient_id, target, codes, peer, why)
                break
            except ExchangeError as refused:
                if refused.code not in NOT_REPLACEABLE or place == len(targets):
                    raise
        if before.snapshot is not None:
            try:
                await self._update(job, before.patient_id, before.snapshot.entry_uuid, codes, peer, why)
            except ExchangeError as refused:
                if refused.code not in NOT_REPLACEABLE:  # the registry was never told of it, or it is deprecated
                    raise
        await self._keep(replace(before, in_force=False, offered=(), snapshot=None, at=self._clock.now()))

    async def _update(
        self, job: ExchangeJob, identifier: PatientIdentifier, target: str, codes: SiteCodes, peer: Peer, why: str
    ) -> None:
        set_uuid = self._uuid()
        change = Association(
            entry_uuid=self._uuid(), type=AssociationType.UPDATE_AVAILABILITY_STATUS, source=set_uuid, target=target,
            extra=(
                (ORIGINAL_STATUS, (AvailabilityStatus.APPROVED.value,)),
                (NEW_STATUS, (AvailabilityStatus.DEPRECATED.value,)),
            ),
        )  # fmt: skip
        (content_type,) = codes.defaults.get(CodeSet.CONTENT_TYPE) or DEFAULTS[CodeSet.CONTENT_TYPE]
        submission_set = SubmissionSet(
            entry_uuid=set_uuid, unique_id=self._clock.new_uid(), source_id=self._house.source_id, patient_id=identifier,
            content_type_code=content_type, submission_time=Moment(self._clock.now()),
        )  # fmt: skip
        request = UpdateRequest(submission=Submission(submission_set=submission_set, associations=(change,)))
        facts = self._facts(peer, identifier)
        async with self._peers.call(ITI_57, peer, request, exchange_id=job.id, facts=facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            call.learned(text=f"{why.capitalize()}: our entry was deprecated")

    def _facts(self, peer: Peer, identifier: PatientIdentifier) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(identifier,),
        )  # fmt: skip

    async def _keep(self, publication: Publication) -> None:
        async with self._store.unit() as work:
            await work.publications.keep(publication)

    async def _note(self, job: ExchangeJob, peer: str, text: str) -> None:
        step = Step(
            exchange_id=job.id, at=self._clock.now(), transaction="publish", direction=Direction.HERE,
            outcome=StepOutcome.SUCCESS, text=text, peer=peer,
        )  # fmt: skip
        async with self._store.unit() as work:
            await work.ledger.note(step)


def manifest_of(record: StudyRecord, house: House, clock: Clock) -> Manifest:
    """Our own manifest of a study, new: our Retrieve Location UID, our addresses.

    Source: RAD TF-2 4.68.4.1.2.1.
    """
    series = tuple(
        replace(
            each,
            retrieve_location_uid=house.retrieve_location_uid,
            retrieve_url=house.dicomweb_url,
            retrieve_ae_title=house.ae_title,
        )
        for each in record.study.series
    )
    return Manifest(
        sop_instance_uid=clock.new_uid(),
        series_instance_uid=clock.new_uid(),
        created=Moment(clock.now()),
        patient=record.study.patient,
        studies=(replace(record.study, series=series),),
        institution=record.study.institution or house.name,
        manufacturer="radgate",
    )


def _complain(left: str, peer: Peer | None) -> None:
    """Have a person deprecate what we cannot.

    Raises:
        RuleViolation: There is such an entry.
    """
    if left and peer is not None:
        raise RuleViolation(
            f"the study is another patient's now, and the registry of {peer.name} has the entry {left} for the one before",
            cure="Have it deprecated there, then give this exchange up; an endpoint for ITI-57 does it by itself",
        )


async def _deprecate_snapshot(work: Work, before: Publication, at: datetime) -> None:
    """In our own registry; somebody may have removed it."""
    if before.snapshot is not None and await work.registry.objects((before.snapshot.entry_uuid,)):
        await work.registry.set_status(before.snapshot.entry_uuid, AvailabilityStatus.DEPRECATED, at)


async def _keep_document(work: Work, offer: _Offer) -> None:
    if offer.document is not None:
        await work.documents.keep(offer.entry.unique_id, offer.document[1])


def digest_of(manifest: Manifest, identifier: PatientIdentifier, codes: SiteCodes, *, on_demand: bool) -> str:
    """Of all that is said: document and entry, but for their own ids and times. On demand, the entry is all."""
    nameless = replace(manifest, sop_instance_uid=_NOBODY, series_instance_uid=_NOBODY, created=_NEVER)
    entry = entry_for(nameless, entry_uuid="", patient_id=identifier, codes=codes)
    document = b"on demand" if on_demand else encode_kos(nameless)
    return hashlib.sha256(document + orjson.dumps(asdict(entry), default=str)).hexdigest()


async def _unchanged(work: Work, before: Publication) -> None:
    """Nobody else has published it meanwhile.

    Raises:
        Busy: Somebody has; it is looked at again.
    """
    there = await work.publications.get(before.study_instance_uid, before.peer)
    if there is not None and there != before:
        raise Busy("the study is being published by another exchange", cure="It is tried again by itself")


def _taken(before: Publication, offer: _Offer, at: datetime) -> Publication:
    return replace(
        before, at=at, entry_uuid=offer.entry.entry_uuid, unique_id=offer.entry.unique_id,
        patient_id=offer.entry.patient_id, digest=offer.digest, in_force=True, offered=(),
        on_demand=offer.document is None,
    )  # fmt: skip
