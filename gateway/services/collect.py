"""Collect: an operator wants a patient's studies from elsewhere. Ask a registry (ITI-18), take the manifests (ITI-43).

A peer that is another community is asked as one (ITI-38, ITI-39), by the id by which it knows the patient (ITI-55). What
the manifests name is then fetched as for any other exchange, by `transfer`.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.discover import Discover, query_of
from gateway.services.ingest import MAX_MANIFEST_BYTES, expect
from gateway.services.keeper import keeper_of_document
from gateway.services.reconcile import whoever_is
from profiles.errors import PeerProtocolError, UnknownDocument, UnknownPatient
from profiles.model.codes import MANIFEST_FORMAT
from profiles.model.content import Content
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.query import DocumentCriteria
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.response import refusal
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti18 import StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import RetrieveDocumentSetRequest


class Collect:
    """The document consumer's work."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        objects: Objects,
        peers: Peers,
        directory: Directory,
        discover: Discover,
        compute: Compute,
        clock: Clock,
    ) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._discover = discover
        self._compute = compute
        self._clock = clock

    async def find(self, job: ExchangeJob) -> ExchangeJob:
        """Find and keep the manifests; the job then names them and is ready to fetch.

        Raises:
            UnknownDocument: The registry knows no manifest of this patient, or of this study.
            PeerError: As a peer answered.
        """
        asked = PatientIdentifier.from_cx(job.texts("asked")[0])
        async with self._store.view() as work:
            patient = await whoever_is(work.identity, asked)
        if patient is None:
            raise UnknownPatient("the patient was merged away or is gone", cure="Ask again with the surviving id")
        registry = self._directory.known(job.peer)
        entries = await self._query(job, registry, await self._discover.id_asked_of(registry, asked, job.id))
        if not entries:
            raise UnknownDocument(
                f"{registry.name} knows no manifest of this patient" + (" and study" if job.study_instance_uid else ""),
                cure="Ask the source whether it published the study, and under which patient id",
            )
        taken = [await self._take(job, registry, entry) for entry in entries]
        manifests = [manifest for _, manifest in taken]
        studies = [study for manifest in manifests for study in manifest.studies]
        named = [unique_id for unique_id, _ in taken]
        now = self._clock.now()
        async with self._store.unit() as work:
            await expect(work, zip(manifests, entries, strict=True), patient, registry.name, self._clock)
            return await work.ledger.advance(
                job.id, Event.TEMPORARY, now, payload={**job.payload, **_found(entries, named)},
                study_instance_uid=studies[0].study_instance_uid, due_at=now, reason="the manifests are here",
            )  # fmt: skip

    async def _query(self, job: ExchangeJob, registry: Peer, patient: PatientIdentifier) -> list[DocumentEntry]:
        criteria = DocumentCriteria(
            patient_ids=(patient,), statuses=(AvailabilityStatus.APPROVED,), format_codes=(MANIFEST_FORMAT,),
            entry_types=(EntryType.STABLE, EntryType.ON_DEMAND),
        )  # fmt: skip
        query = StoredQuery.FIND_DOCUMENTS
        if job.study_instance_uid:
            # CXi of a study has an empty component 4; LIKE lets other spellings of it match too.
            like = (f"{job.study_instance_uid}^%{STUDY_INSTANCE_UID}",)
            criteria, query = replace(criteria, reference_ids=(like,)), StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID
        facts = self._facts(registry, patient)
        asked = StoredQueryRequest(query=query, criteria=criteria)
        async with self._peers.call(query_of(registry), registry, asked, exchange_id=job.id, facts=facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            found = _worth_taking(call.response.entries)
            call.learned(text=f"{len(found)} manifest(s) found")
        return found

    async def _take(self, job: ExchangeJob, registry: Peer, entry: DocumentEntry) -> tuple[str, Manifest]:
        """The manifest, and the uniqueId that it is kept under here: what is made on demand has one of its own."""
        repository = entry.repository_unique_id
        if repository is None:
            raise PeerProtocolError("the entry does not say in which repository its document is")
        peer, transaction = keeper_of_document(self._directory, str(repository), entry.home_community_id)
        wanted = DocumentRequest(
            repository_unique_id=repository,
            document_unique_id=entry.unique_id,
            home_community_id=entry.home_community_id,
        )
        async with self._peers.call(
            transaction, peer, RetrieveDocumentSetRequest(documents=(wanted,)), exchange_id=job.id,
            facts=self._facts(peer, entry.patient_id),
        ) as call:  # fmt: skip
            refused = refusal(call.response.head.status, call.response.head.errors)
            if refused is not None:
                raise refused
            made = next((each.new_document_unique_id for each in call.response.head.documents), "")
            content: Content | None = None
            async for part in call.response.pour:
                spool = self._objects.spool(MAX_MANIFEST_BYTES)
                async for chunk in part.chunks:
                    spool.write(chunk)
                content = spool.finish(part.media_type)
            if content is None:
                raise PeerProtocolError("the answer has no document")
            if entry.hash and content.sha1 != entry.hash:
                raise PeerProtocolError("the document's SHA-1 is not the one that its entry names")
            call.learned(delivered=(entry.unique_id,), text="Manifest taken")
        body = await content.read(MAX_MANIFEST_BYTES)
        manifest = (await self._compute.run(lambda: decode_kos(body))).value
        stable = entry.entry_type is EntryType.STABLE
        unique_id = entry.unique_id if stable else made or str(manifest.sop_instance_uid)
        staged = await self._objects.stage(content)
        async with self._store.unit() as work:
            await work.documents.keep(unique_id, staged)
        return unique_id, manifest

    def _facts(self, peer: Peer, patient: PatientIdentifier) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(patient,),
        )  # fmt: skip


def _worth_taking(entries: Sequence[DocumentEntry]) -> list[DocumentEntry]:
    """Stable entries but for those of a study that is offered on demand too: what is made now says all that they say."""
    offered = {key for entry in entries if entry.entry_type is EntryType.ON_DEMAND for key in _studies(entry)}
    return [
        entry for entry in entries if entry.entry_type is EntryType.ON_DEMAND or offered.isdisjoint(_studies(entry))
    ]


def _studies(entry: DocumentEntry) -> set[tuple[str, str]]:
    """By the repository that says it: another one's manifest leads to other images."""
    repository = str(entry.repository_unique_id)
    return {(repository, each.value) for each in entry.reference_ids if each.type == STUDY_INSTANCE_UID}


def _found(entries: Sequence[DocumentEntry], named: Sequence[str]) -> dict[str, object]:
    """What the transfer needs to know: the manifests as they are kept here, and of which community each is."""
    homes = {
        unique_id: entry.home_community_id
        for unique_id, entry in zip(named, entries, strict=True)
        if entry.home_community_id is not None
    }
    return {"manifests": list(named), "homes": homes}
