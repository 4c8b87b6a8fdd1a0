"""Snapshot: the document of an on-demand entry, kept as a stable document when it is retrieved. By option.

What is handed out is durable before it is answered, and registered as a stable entry that is a snapshot of the on-demand
one (IsSnapshotOf), in the registry that holds that. In our own registry all of it is one commit; a registry elsewhere is
told by an exchange of its own (ITI-42), for which nobody waits who retrieves. The same content again is the same snapshot;
other content is a new one, which takes the place of the one before (RPLC), so that one of them is in force.

What a newcomer gets wrong: what cannot be kept is handed out all the same, as a document that is kept nowhere. The timeline
says why.

Source: ITI TF-1 10.2.7 (persistence of retrieved documents); ITI TF-2 3.43.4.2.3; ITI TF-3 4.2.2.2 (IsSnapshotOf). What our
notes of them leave open is whether a new snapshot replaces the last one: here it does, so that a query has one answer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects
from gateway.ports.peers import Directory, Peers
from gateway.ports.publications import Publication, Snapshot
from gateway.ports.registrations import Registration
from gateway.ports.store import Store, Work
from gateway.services.elsewhere import DUPLICATE
from gateway.services.ingest import MAX_MANIFEST_BYTES
from gateway.services.publish import NOT_REPLACEABLE, digest_of
from profiles.errors import Busy, ExchangeError, RuleViolation, UnknownDocument
from profiles.model.content import DICOM, Content
from profiles.model.document import Association, AssociationType, DocumentEntry, Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import decode_kos, encode_kos
from profiles.wire.ebxml.response import refusal
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xdsi.rad68 import SiteCodes, chosen_codes, entry_for, submission_for

SNAPSHOT = "snapshot"  # what such an exchange makes, in its payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A document that is in our repository."""

    unique_id: str
    content: Content
    patient_id: PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registered:
    """What an exchange tells a registry elsewhere."""

    entry_uuid: str
    unique_id: str
    set_uuid: str
    set_unique_id: str
    of: str  # entryUUID of the on-demand entry
    replaces: str  # and of the snapshot before; "": there was none
    patient_id: str  # CX

    def written(self) -> list[str]:
        return [
            self.entry_uuid, self.unique_id, self.set_uuid, self.set_unique_id, self.of, self.replaces, self.patient_id,
        ]  # fmt: skip

    @classmethod
    def read(cls, texts: tuple[str, ...]) -> "_Registered":
        entry_uuid, unique_id, set_uuid, set_unique_id, of, replaces, patient_id = texts
        return cls(
            entry_uuid=entry_uuid, unique_id=unique_id, set_uuid=set_uuid, set_unique_id=set_unique_id, of=of,
            replaces=replaces, patient_id=patient_id,
        )  # fmt: skip


class Snapshots:
    """Keeps what is retrieved of on-demand entries."""

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
    ) -> None:
        """Stand on the ports; `codes` may read a file, so it is asked in a thread."""
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._codes = codes
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def kept(self, named: Publication, manifest: Manifest) -> Kept:
        """The snapshot that says what this manifest says: the one that is there, or a new one, durable.

        Args:
            named: The on-demand entry, as it was found.
            manifest: What its document says now.

        Raises:
            Busy: Somebody else changes what is registered of the study.
            RuleViolation: The registry refuses it, or takes no entries of documents that are kept here.
            UnmappedCode: The affinity domain's codes have nothing for what the study says.
            OutOfResources: There is no room for it.
        """
        turn = self._turns.setdefault((named.study_instance_uid, named.peer), asyncio.Lock())
        async with turn:
            peer = self._directory.known(named.peer) if named.peer else None
            if peer is not None and ITI_42.id not in peer.endpoints:
                raise RuleViolation(
                    f"{peer.name} is told of no document that is kept here, so what was made is kept nowhere",
                    cure=f"Add an endpoint for ITI-42 to {peer.name}, or set publish.keep_on_demand = false",
                )
            async with self._store.view() as work:
                before = await work.publications.get(named.study_instance_uid, named.peer)
                if before is None or before.entry_uuid != named.entry_uuid:
                    raise _changed()
                patient_id = await _whose(work, before)
            codes = await self._compute.run(self._codes)
            said = await self._compute.run(lambda: digest_of(manifest, patient_id, codes, on_demand=False))
            digest = f"{said}:{before.entry_uuid}"
            if before.snapshot is not None and before.snapshot.digest == digest:
                async with self._store.view() as work:
                    content = await work.documents.open(before.snapshot.unique_id)
                if content is not None:
                    return Kept(unique_id=before.snapshot.unique_id, content=content, patient_id=patient_id)
            return await self._keep(before, manifest, patient_id, codes, digest, peer)

    async def _keep(
        self,
        before: Publication,
        manifest: Manifest,
        patient_id: PatientIdentifier,
        codes: SiteCodes,
        digest: str,
        peer: Peer | None,
    ) -> Kept:
        body = await self._compute.run(lambda: encode_kos(manifest))
        spool = self._objects.spool(len(body))
        spool.write(body)
        content = spool.finish(DICOM)
        staged = await self._objects.stage(content)
        entry = self._entry(manifest, self._uuid(), patient_id, codes, content)
        after = replace(
            before, snapshot=Snapshot(entry_uuid=entry.entry_uuid, unique_id=entry.unique_id, digest=digest)
        )
        told = _Registered(
            entry_uuid=entry.entry_uuid, unique_id=entry.unique_id, set_uuid=self._uuid(),
            set_unique_id=self._clock.new_uid(), of=before.entry_uuid,
            replaces=before.snapshot.entry_uuid if before.snapshot is not None else "", patient_id=str(patient_id),
        )  # fmt: skip
        for replaces in dict.fromkeys((told.replaces, "")):
            submission = self._submission(manifest, entry, replace(told, replaces=replaces), codes)
            try:
                async with self._store.unit() as work:
                    if await work.publications.get(before.study_instance_uid, before.peer) != before:
                        raise _changed()
                    await work.documents.keep(entry.unique_id, staged)
                    await work.publications.keep(after)
                    if peer is None:
                        await work.registry.put(submission, self._clock.now())
                    else:
                        await self._open(work, after, told, patient_id, digest)
                break
            except ExchangeError as refused:
                if refused.code not in NOT_REPLACEABLE or not replaces:
                    raise
        return Kept(unique_id=entry.unique_id, content=content, patient_id=patient_id)

    async def _open(
        self, work: Work, publication: Publication, told: _Registered, patient_id: PatientIdentifier, digest: str
    ) -> None:
        """An exchange that tells the registry; what we keep can be fetched from now on."""
        now = self._clock.now()
        await work.registrations.keep(
            Registration(
                set_unique_id=told.set_unique_id, peer=publication.peer, at=now, patient_id=patient_id,
                documents=(told.unique_id,), digest=digest,
            )
        )  # fmt: skip
        job = ExchangeJob(
            id=self._clock.new_uuid(), kind=Kind.SHARE, state=State.RECEIVED, opened_at=now, updated_at=now,
            peer=publication.peer, study_instance_uid=publication.study_instance_uid, patient_id=str(patient_id),
            payload={"entry": SNAPSHOT, SNAPSHOT: told.written()},
        )  # fmt: skip
        await work.ledger.open(job)
        await work.ledger.advance(job.id, Event.SETTLED, now)

    async def register(self, job: ExchangeJob) -> None:
        """Tell the registry elsewhere of a snapshot that is kept here (ITI-42).

        Raises:
            UnknownDocument: It is not kept any more.
            PeerError, RequestError: As the peer answered.
        """
        told = _Registered.read(job.texts(SNAPSHOT))
        peer = self._directory.known(job.peer)
        async with self._store.view() as work:
            content = await work.documents.open(told.unique_id)
        if content is None:
            raise UnknownDocument("the snapshot is not kept here any more", cure="Give this exchange up")
        body = await content.read(MAX_MANIFEST_BYTES)
        manifest = (await self._compute.run(lambda: decode_kos(body))).value
        codes = await self._compute.run(self._codes)
        patient_id = PatientIdentifier.from_cx(told.patient_id)
        entry = self._entry(manifest, told.entry_uuid, patient_id, codes, content)
        for replaces in dict.fromkeys((told.replaces, "")):
            submission = self._submission(manifest, entry, replace(told, replaces=replaces), codes)
            try:
                await self._tell(job, peer, submission, patient_id)
                break
            except ExchangeError as refused:
                if refused.code not in NOT_REPLACEABLE or not replaces:
                    raise
        async with self._store.unit() as work:
            kept = await work.registrations.get(told.set_unique_id)
            if kept is not None:
                await work.registrations.keep(replace(kept, taken=True))

    async def _tell(self, job: ExchangeJob, peer: Peer, submission: Submission, patient_id: PatientIdentifier) -> None:
        facts = Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(patient_id,),
        )  # fmt: skip
        request = RegisterRequest(submission=submission)
        async with self._peers.call(ITI_42, peer, request, exchange_id=job.id, facts=facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            # A duplicate is there already: an answer was lost, for the ids are ours alone.
            if refused is not None and refused.code != DUPLICATE:
                raise refused
            call.learned(text="What was made on demand and kept here is registered")

    def _entry(
        self, manifest: Manifest, entry_uuid: str, patient_id: PatientIdentifier, codes: SiteCodes, content: Content
    ) -> DocumentEntry:
        made = entry_for(
            manifest, entry_uuid=entry_uuid, patient_id=patient_id, codes=codes, sha1=content.sha1 or "",
            size_bytes=content.size_bytes,
        )  # fmt: skip
        return replace(made, repository_unique_id=self._house.repository_unique_id)

    def _submission(self, manifest: Manifest, entry: DocumentEntry, told: _Registered, codes: SiteCodes) -> Submission:
        made = submission_for(
            entry, submission_set_uuid=told.set_uuid, unique_id=told.set_unique_id, source_id=self._house.source_id,
            submission_time=Moment(self._clock.now()),
            content_type_code=chosen_codes(manifest, codes).content_type_code, replaces=told.replaces or None,
        )  # fmt: skip
        arrow = Association(entry_uuid="", type=AssociationType.IS_SNAPSHOT_OF, source=entry.entry_uuid, target=told.of)
        every = (*made.associations, arrow)
        return replace(made, associations=tuple(replace(each, entry_uuid=self._uuid()) for each in every))

    def _uuid(self) -> str:
        return f"urn:uuid:{self._clock.new_uuid()}"


async def _whose(work: Work, publication: Publication) -> PatientIdentifier:
    """The patient of the on-demand entry: of one in our own registry as it is now, for patients are merged."""
    found = await work.registry.objects((publication.entry_uuid,)) if not publication.peer else ()
    known = [each.patient_id for each in found if isinstance(each, DocumentEntry)]
    patient_id = known[0] if known else publication.patient_id
    if patient_id is None:
        raise UnknownDocument("nothing is registered of the study")
    return patient_id


def _changed() -> Busy:
    return Busy(
        "what is registered of the study is being changed", cure="Whoever asks again gets a document that is kept"
    )
