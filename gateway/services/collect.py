"""Collect: an operator wants a patient's studies from elsewhere. Ask a registry (ITI-18), take the manifests (ITI-43).

What the manifests name is then fetched as for any other exchange, by `transfer`.
"""

from dataclasses import replace

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.ingest import MAX_MANIFEST_BYTES, expect
from gateway.services.reconcile import whoever_is
from profiles.errors import PeerProtocolError, UnknownDocument, UnknownPatient, UnknownRepository
from profiles.model.codes import MANIFEST_FORMAT
from profiles.model.content import Content
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry
from profiles.model.identifiers import PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.query import DocumentCriteria
from profiles.transaction import Facts, Party
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.response import refusal
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest


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
        compute: Compute,
        clock: Clock,
    ) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
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
        entries = await self._query(job, registry, asked)
        if not entries:
            raise UnknownDocument(
                f"{registry.name} knows no manifest of this patient" + (" and study" if job.study_instance_uid else ""),
                cure="Ask the source whether it published the study, and under which patient id",
            )
        manifests = [await self._take(job, registry, entry) for entry in entries]
        studies = [study for manifest in manifests for study in manifest.studies]
        now = self._clock.now()
        async with self._store.unit() as work:
            await expect(work, zip(manifests, entries, strict=True), patient, registry.name, self._clock)
            return await work.ledger.advance(
                job.id, Event.TEMPORARY, now, payload={**job.payload, "manifests": [entry.unique_id for entry in entries]},
                study_instance_uid=studies[0].study_instance_uid, due_at=now, reason="the manifests are here",
            )  # fmt: skip

    async def _query(self, job: ExchangeJob, registry: Peer, patient: PatientIdentifier) -> list[DocumentEntry]:
        criteria = DocumentCriteria(
            patient_ids=(patient,), statuses=(AvailabilityStatus.APPROVED,), format_codes=(MANIFEST_FORMAT,)
        )
        query = StoredQuery.FIND_DOCUMENTS
        if job.study_instance_uid:
            # CXi of a study has an empty component 4; LIKE lets other spellings of it match too.
            like = (f"{job.study_instance_uid}^%{STUDY_INSTANCE_UID}",)
            criteria, query = replace(criteria, reference_ids=(like,)), StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID
        facts = self._facts(registry, patient)
        async with self._peers.call(
            ITI_18, registry, StoredQueryRequest(query=query, criteria=criteria), exchange_id=job.id, facts=facts
        ) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            found = list(call.response.entries)
            call.learned(text=f"{len(found)} manifest(s) found")
        return found

    async def _take(self, job: ExchangeJob, registry: Peer, entry: DocumentEntry) -> Manifest:
        repository = entry.repository_unique_id
        if repository is None:
            raise PeerProtocolError("the entry does not say in which repository its document is")
        peer = self._directory.by_repository(str(repository))
        if peer is None:
            raise UnknownRepository(
                f"nobody is known at repository {repository}",
                cure="Add the id to repository_unique_ids of the [[peer]] that keeps the documents",
            )
        wanted = DocumentRequest(
            repository_unique_id=repository,
            document_unique_id=entry.unique_id,
            home_community_id=entry.home_community_id,
        )
        async with self._peers.call(
            ITI_43, peer, RetrieveDocumentSetRequest(documents=(wanted,)), exchange_id=job.id,
            facts=self._facts(peer, entry.patient_id),
        ) as call:  # fmt: skip
            refused = refusal(call.response.head.status, call.response.head.errors)
            if refused is not None:
                raise refused
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
        staged = await self._objects.stage(content)
        async with self._store.unit() as work:
            await work.documents.keep(entry.unique_id, staged)
        return manifest

    def _facts(self, peer: Peer, patient: PatientIdentifier) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(patient,),
        )  # fmt: skip
