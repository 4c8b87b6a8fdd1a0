"""Documents by hand: a person looks for entries, takes a document, submits a report. Here, or at a peer.

What a newcomer gets wrong: a report is not kept here by being submitted to a peer. The peer's answer says whether *they*
have it, and the person waits for it; nothing of it is tried again later.

Source: ITI TF-2 3.18, 3.43; RAD TF-2 4.68 (reports).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.model.house import House
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.objects import Objects, Spool
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.errand import errand
from gateway.services.ingest import study_fact
from profiles.errors import PeerProtocolError, RuleViolation, UnknownDocument, UnknownPatient, UnknownRepository
from profiles.model.codes import Code
from profiles.model.content import Content
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria
from profiles.transaction import Facts, Party
from profiles.wire.cda import read_report
from profiles.wire.ebxml.response import ignores, refusal, warned
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import (
    RAD_68,
    CodeSet,
    ProvideAndRegisterRequest,
    SiteCodes,
    report_entry,
    submission_for,
)

MAX_REPORT_BYTES = 64 * 1024 * 1024
FOUND = 1000  # entries shown of our own; who has more asks better
BOTH_TYPES = (EntryType.STABLE, EntryType.ON_DEMAND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A document on its way to a person."""

    entry: DocumentEntry
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a person says of a report: its class always, for that of the table is of images.

    None: as the table of codes says; "": as the report says. `replaces` is the entryUUID of a former report.
    """

    class_code: Code
    type_code: Code | None = None
    title: str = ""
    replaces: str = ""


class Documents:
    """What `radgate document` does."""

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
        """`codes` tells what the affinity domain decides; it may read a file, so it is asked in a thread."""
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._codes = codes

    # --- find ---------------------------------------------------------------------------------------------------------

    async def find(
        self, patient: PatientIdentifier, person: str, *, study_instance_uid: str = "", at: str = ""
    ) -> Sequence[DocumentEntry]:
        """The approved entries of a patient, or of one study: of our registry, or of the peer `at`.

        Raises:
            RuleViolation: No such peer.
            PeerError: As the peer answered.
        """
        criteria = DocumentCriteria(
            patient_ids=(patient,), statuses=(AvailabilityStatus.APPROVED,), entry_types=BOTH_TYPES
        )
        query = StoredQuery.FIND_DOCUMENTS
        if study_instance_uid:
            query = StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID
            criteria = replace(criteria, reference_ids=((f"{study_instance_uid}^%{STUDY_INSTANCE_UID}",),))
        async with errand(
            self._store, self._clock, self._house, person=person, text="Documents looked for", peer=at,
            patient=patient, study_instance_uid=study_instance_uid,
        ) as doing:  # fmt: skip
            if at:
                asked = StoredQueryRequest(query=query, criteria=criteria)
                return await self._ask(self._directory.known(at), asked, doing.exchange_id)
            async with self._store.view() as work:
                found = []
                async for entry in work.registry.find(criteria):
                    found.append(entry)
                    if len(found) == FOUND:
                        break
                return found

    async def _ask(self, peer: Peer, asked: StoredQueryRequest, exchange_id: str) -> Sequence[DocumentEntry]:
        async with self._peers.call(
            ITI_18, peer, asked, exchange_id=exchange_id, facts=self._facts(peer, *asked.criteria.patient_ids)
        ) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            call.learned(text=f"{len(call.response.entries)} entries found")
            return tuple(call.response.entries)

    # --- take ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def take(self, unique_id: str, person: str, *, at: str = "") -> AsyncIterator[Taken]:
        """A document by its uniqueId: of our repository, or found and fetched by way of the registry of the peer `at`.

        Raises:
            UnknownDocument: It is not there.
            UnknownRepository: Nobody is known at the repository that its entry names.
            PeerError: As a peer answered.
        """
        async with errand(
            self._store, self._clock, self._house, person=person, text="A document taken", peer=at
        ) as doing:
            if at:
                async with self._fetched(unique_id, self._directory.known(at), doing.exchange_id) as taken:
                    yield taken
                return
            async with self._store.view() as work:
                entries = await work.registry.entries(unique_id)
                content = await work.documents.open(unique_id)
            if not entries or content is None:
                raise UnknownDocument("no such document here", cure="`radgate document find` shows what is registered")
            yield Taken(entry=entries[-1], chunks=content.open())

    @asynccontextmanager
    async def _fetched(self, unique_id: str, registry: Peer, exchange_id: str) -> AsyncIterator[Taken]:
        criteria = DocumentCriteria(unique_ids=(unique_id,), entry_types=BOTH_TYPES)
        asked = StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=criteria)
        entries = await self._ask(registry, asked, exchange_id)
        if not entries:
            raise UnknownDocument(f"{registry.name} knows no such document", cure="Look for it by its patient")
        entry = entries[-1]
        where = str(entry.repository_unique_id or "")
        peer = self._directory.by_repository(where)
        if peer is None:
            raise UnknownRepository(
                f"nobody is known at repository {where or 'without an id'}",
                cure="Add the id to repository_unique_ids of the [[peer]] that keeps the documents",
            )
        wanted = DocumentRequest(
            repository_unique_id=where, document_unique_id=unique_id, home_community_id=entry.home_community_id
        )
        async with self._peers.call(
            ITI_43, peer, RetrieveDocumentSetRequest(documents=(wanted,)), exchange_id=exchange_id,
            facts=self._facts(peer, entry.patient_id),
        ) as call:  # fmt: skip
            refused = refusal(call.response.head.status, call.response.head.errors)
            if refused is not None:
                raise refused
            part = await anext(aiter(call.response.pour), None)
            if part is None:
                raise PeerProtocolError("the answer has no document", cure="Ask the peer")
            yield Taken(entry=entry, chunks=part.chunks)
            call.learned(delivered=(unique_id,), text="Document taken")

    # --- submit -------------------------------------------------------------------------------------------------------

    def spool(self) -> Spool:
        """Where the bytes of a report go before it is submitted."""
        return self._objects.spool(MAX_REPORT_BYTES)

    async def submit(
        self, content: Content, study_instance_uid: str, to: str, person: str, options: ReportOptions
    ) -> DocumentEntry:
        """Provide a report of a study of ours to a peer (RAD-68), and wait for the answer; answers what was submitted.

        Args:
            content: PDF or CDA.
            study_instance_uid: Which study it reports on.
            to: The peer's name.
            person: Who does it.
            options: What the person says of it.

        Raises:
            UnknownDocument: The study is not here.
            UnknownPatient: The patient has no id in the affinity domain.
            Unsupported, MalformedMessage: It is no report.
            UnmappedCode: The affinity domain's codes have nothing for it.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(to)
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
            patient = await work.identity.get(record.study.patient.identifiers[0]) if record is not None else None
        if record is None or patient is None:
            raise UnknownDocument("no such study here", cure="`radgate study list` shows what is here")
        shared = next((each for each in patient.identifiers if each.authority == self._house.domain_authority), None)
        if shared is None:
            raise UnknownPatient(
                "the patient has no id in the affinity domain", cure="Have an ADT name it in PID-3, beside our own id"
            )
        body = await content.read(MAX_REPORT_BYTES)
        report = await self._compute.run(lambda: read_report(body))
        codes = await self._compute.run(self._codes)
        entry = report_entry(
            replace(report, title=options.title or report.title),
            record.study,
            entry_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=self._clock.new_uid(),
            patient_id=shared,
            written=Moment(self._clock.now()),
            class_code=options.class_code,
            type_code=options.type_code or _default(codes, CodeSet.TYPE),
            healthcare_facility_type_code=_default(codes, CodeSet.FACILITY),
            practice_setting_code=_default(codes, CodeSet.PRACTICE_SETTING),
            confidentiality_codes=codes.defaults[CodeSet.CONFIDENTIALITY],
            language_code=codes.language_code,
            accession_authority=codes.accession_authority,
            sha1=content.sha1 or "",
            size_bytes=len(body),
        )
        submission = submission_for(
            entry,
            submission_set_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=self._clock.new_uid(),
            source_id=self._house.source_id,
            submission_time=Moment(self._clock.now()),
            content_type_code=_default(codes, CodeSet.CONTENT_TYPE),
            replaces=options.replaces or None,
        )
        async with errand(
            self._store, self._clock, self._house, person=person, text=f"A report submitted to {to}", peer=to,
            patient=shared, study_instance_uid=study_instance_uid,
        ) as doing:  # fmt: skip
            facts = replace(self._facts(peer, shared), studies=(study_fact((record.study,), patient),))
            request = ProvideAndRegisterRequest(submission=submission, documents={entry.entry_uuid: content})
            async with self._peers.call(RAD_68, peer, request, exchange_id=doing.exchange_id, facts=facts) as call:
                refused = refusal(call.response.status, call.response.errors)
                if refused is not None:
                    raise refused
                why, cure = warned(call.response.errors)
                call.learned(why=why, cure=cure, partial=ignores(call.response.errors))
        return entry

    def _facts(self, peer: Peer, *patients: PatientIdentifier) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(),
            remote=Party(user_id=peer.name), patients=tuple(patients),
        )  # fmt: skip


def _default(codes: SiteCodes, of: CodeSet) -> Code:
    found = codes.defaults.get(of, ())
    if not found:
        raise RuleViolation(
            f"the table of codes has no default for {of.value}",
            cure="Add one to the file of affinity_domain.code_sets, or name the code",
        )
    return found[0]
