"""Documents by hand: a person looks for entries, takes a document, submits or replaces one. Here, or at a peer.

What a newcomer gets wrong: a document is not kept here by being submitted to a peer. The peer's answer says whether *they*
have it, and the person waits for it; nothing of it is tried again later.

Source: ITI TF-2 3.18, 3.41, 3.43, 3.80; RAD TF-2 4.68 (reports).
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
from gateway.services.demand import Demand
from gateway.services.discover import Discover, query_of
from gateway.services.elsewhere import Elsewhere
from gateway.services.errand import errand
from gateway.services.ingest import study_fact, with_uuids
from gateway.services.keeper import keeper_of_document
from gateway.services.provide import addressed, as_known_there
from profiles.errors import (
    ExchangeError,
    PeerProtocolError,
    RuleViolation,
    UnknownDocument,
    UnknownPatient,
)
from profiles.model.codes import Code
from profiles.model.content import Content
from profiles.model.document import (
    STUDY_INSTANCE_UID,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.model.query import DocumentCriteria
from profiles.transaction import Facts, Party, SoapTransaction, StudyFact
from profiles.wire.cda import FORMAT_CODES, read_report
from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.wire.ebxml.response import ignores, refusal, warned
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xca.iti38 import ITI_38
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti43 import RetrieveDocumentSetRequest
from profiles.xds.iti51 import ITI_51
from profiles.xdsi.rad68 import (
    CodeSet,
    ProvideAndRegisterRequest,
    SiteCodes,
    is_manifest,
    report_entry,
    submission_for,
)

MAX_REPORT_BYTES = 64 * 1024 * 1024
MAX_DOCUMENT_BYTES = 1024 * 1024 * 1024  # what a peer takes is its own to say
MOST_TITLE = 127  # characters; shorter than 128 (ITI TF-3 4.2.3.2.29)
OF_REPORTS = "urn:ihe:rad:"
SUFFICIENT = Code(value="urn:ihe:iti:xds:2017:mimeTypeSufficient", system=FORMAT_CODES, display="MIME type sufficient")
DONE = {
    AssociationType.REPLACE: "A document replaced",
    AssociationType.APPEND: "A document added to",
    AssociationType.TRANSFORM: "A document transformed",
    AssociationType.TRANSFORM_REPLACE: "A document transformed and replaced",
}
FOUND = 1000  # entries shown of our own; who has more asks better
BOTH_TYPES = (EntryType.STABLE, EntryType.ON_DEMAND)

Question = SoapTransaction[StoredQueryRequest, StoredQueryResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A document on its way to a person; `sha1` is what was registered of it, "": nothing."""

    media_type: str
    sha1: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """What a person says of a document, and of the way that it goes.

    None: as the table of codes says, or as was said of the former document; "": as the document says. The class of a new
    one is always said, for that of the table is of images. `replaces` is the entryUUID of a former report. `by` and `home`
    are those of `services.provide`.
    """

    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    mime_type: str = ""
    title: str = ""
    replaces: str = ""
    recipients: tuple[str, ...] = ()  # intendedRecipient, `XON|XCN|XTN`
    by: str = ""
    home: Oid | None = None


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
        discover: Discover,
        elsewhere: Elsewhere | None = None,
        demand: Demand | None = None,
    ) -> None:
        """`codes` tells what the affinity domain decides; it may read a file, so it is asked in a thread.

        `elsewhere`: another house has the registry of what we keep; None: it is ours. `demand` makes documents of on-demand
        entries; None: there are no such entries.
        """
        self._demand = demand
        self._elsewhere = elsewhere
        self._house = house
        self._store = store
        self._objects = objects
        self._peers = peers
        self._directory = directory
        self._compute = compute
        self._clock = clock
        self._codes = codes
        self._discover = discover

    # --- find ---------------------------------------------------------------------------------------------------------

    async def find(
        self, patients: Sequence[PatientIdentifier], person: str, *, study_instance_uid: str = "", at: str = ""
    ) -> Sequence[DocumentEntry]:
        """The approved entries of 1..n patients, or of one study: of our registry, or of the peer `at`.

        Of several patients a peer is asked at once (ITI-51) where it has an endpoint for that, else of one after another.

        Raises:
            RuleViolation: No patient, or no such peer.
            PeerError: As the peer answered.
        """
        patients = tuple(dict.fromkeys(patients))
        if not patients:
            raise RuleViolation("documents are looked for by whose they are", cure="Name a patient")
        criteria = DocumentCriteria(
            patient_ids=patients, statuses=(AvailabilityStatus.APPROVED,), entry_types=BOTH_TYPES
        )
        if study_instance_uid:
            criteria = replace(criteria, reference_ids=((f"{study_instance_uid}^%{STUDY_INSTANCE_UID}",),))
        async with errand(
            self._store, self._clock, self._house, person=person, text="Documents looked for", peer=at,
            patients=patients, study_instance_uid=study_instance_uid,
        ) as doing:  # fmt: skip
            if at:
                return await self._find_at(self._directory.known(at), criteria, doing.exchange_id)
            async with self._store.view() as work:
                found = []
                async for entry in work.registry.find(criteria):
                    found.append(entry)
                    if len(found) == FOUND:
                        break
                return found

    async def _find_at(self, peer: Peer, criteria: DocumentCriteria, exchange_id: str) -> Sequence[DocumentEntry]:
        of_study = bool(criteria.reference_ids)
        if len(criteria.patient_ids) > 1 and ITI_51.id in peer.endpoints:
            together = (
                MultiPatientQuery.FIND_DOCUMENTS_BY_REFERENCE_ID if of_study else MultiPatientQuery.FIND_DOCUMENTS
            )
            return await self._ask(peer, StoredQueryRequest(query=together, criteria=criteria), exchange_id, ITI_51)
        query = StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID if of_study else StoredQuery.FIND_DOCUMENTS
        found: list[DocumentEntry] = []
        for patient in criteria.patient_ids:
            there = await self._discover.id_asked_of(peer, patient, exchange_id)
            asked = StoredQueryRequest(query=query, criteria=replace(criteria, patient_ids=(there,)))
            found += await self._ask(peer, asked, exchange_id, query_of(peer))
        return found

    async def _ask(
        self, peer: Peer, asked: StoredQueryRequest, exchange_id: str, way: Question = ITI_18
    ) -> Sequence[DocumentEntry]:
        async with self._peers.call(
            way, peer, asked, exchange_id=exchange_id, facts=self._facts(*asked.criteria.patient_ids)
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
            made = await self._demand.made(unique_id) if self._demand is not None else None
            if made is not None:
                yield Taken(
                    media_type=made.content.media_type, sha1=made.content.sha1 or "", chunks=made.content.open()
                )
                return
            async with self._store.view() as work:
                entries = await work.registry.entries(unique_id)
                content = await work.documents.open(unique_id)
                elsewhere = await work.registrations.of_document(unique_id)
            if content is None or not (entries or elsewhere):
                raise UnknownDocument("no such document here", cure="`radgate document find` shows what is registered")
            if entries:
                yield Taken(media_type=entries[-1].mime_type, sha1=entries[-1].hash, chunks=content.open())
            else:
                yield Taken(media_type=content.media_type, sha1=content.sha1 or "", chunks=content.open())

    @asynccontextmanager
    async def _fetched(self, unique_id: str, registry: Peer, exchange_id: str) -> AsyncIterator[Taken]:
        criteria = DocumentCriteria(unique_ids=(unique_id,), entry_types=BOTH_TYPES)
        way = query_of(registry)
        home = registry.home_community_id if way is ITI_38 else None  # a question about no patient has to name it
        asked = StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=criteria, home_community_id=home)
        entries = await self._ask(registry, asked, exchange_id, way)
        if not entries:
            raise UnknownDocument(f"{registry.name} knows no such document", cure="Look for it by its patient")
        entry = entries[-1]
        where = str(entry.repository_unique_id or "")
        if where in {each.unique_id for each in self._house.repositories}:
            async with self._store.view() as work:
                content = await work.documents.open(unique_id)
            if content is None:
                raise UnknownDocument(
                    "it is registered as ours, and is not here", cure="Have it removed there, or replace it"
                )
            yield Taken(media_type=entry.mime_type, sha1=entry.hash, chunks=content.open())
            return
        peer, retrieval = keeper_of_document(self._directory, where, entry.home_community_id)
        wanted = DocumentRequest(
            repository_unique_id=where, document_unique_id=unique_id, home_community_id=entry.home_community_id
        )
        async with self._peers.call(
            retrieval, peer, RetrieveDocumentSetRequest(documents=(wanted,)), exchange_id=exchange_id,
            facts=self._facts(entry.patient_id),
        ) as call:  # fmt: skip
            refused = refusal(call.response.head.status, call.response.head.errors)
            if refused is not None:
                raise refused
            part = await anext(aiter(call.response.pour), None)
            if part is None:
                raise PeerProtocolError("the answer has no document", cure="Ask the peer")
            if part.key != unique_id:
                raise PeerProtocolError("the answer has a document that was not asked for", cure="Ask the peer")
            yield Taken(media_type=entry.mime_type, sha1=entry.hash, chunks=part.chunks)
            call.learned(delivered=(unique_id,), text="Document taken")

    # --- submit -------------------------------------------------------------------------------------------------------

    def spool(self) -> Spool:
        """Where the bytes of a document go before it is submitted."""
        return self._objects.spool(MAX_DOCUMENT_BYTES)

    async def submit(
        self,
        content: Content,
        to: str,
        person: str,
        options: DocumentOptions,
        *,
        study_instance_uid: str = "",
        patient: PatientIdentifier | None = None,
    ) -> DocumentEntry:
        """Provide a report of a study of ours, or any document of a patient, to a peer; answers what was submitted.

        Args:
            content: The document; a report is PDF or CDA.
            to: The peer's name. By what it is provided, `services.provide` says. "", and the peer that has the registry
                of what we keep: our own repository.
            person: Who does it.
            options: What the person says of it.
            study_instance_uid: Which study it reports on; "": it is no report.
            patient: Whose it is, by any id that is known here; a report is the study's patient's.

        Raises:
            UnknownDocument: The study is not here.
            UnknownPatient: Nobody has this id, or the patient has none in the affinity domain.
            Unsupported, MalformedMessage: It is no report; or the peer has no address for it.
            UnmappedCode: The affinity domain's codes have nothing for it.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(to) if to else None
        codes = await self._compute.run(self._codes)
        if study_instance_uid:
            entry, facts = await self._report(content, study_instance_uid, codes, options)
        else:
            entry = await self._plain(content, patient, codes, options)
            facts = self._facts(entry.patient_id)
        submission = self._submission(entry, codes, options.replaces or None, recipients=options.recipients)
        what = "report" if study_instance_uid else "document"
        async with errand(
            self._store, self._clock, self._house, person=person, peer=to,
            text=f"A {what} submitted to {to or 'ourselves'}",
            patients=(entry.patient_id,), study_instance_uid=study_instance_uid,
        ) as doing:  # fmt: skip
            if peer is None or self._keeps(peer, options):
                await self._register(submission, content, doing.exchange_id, facts.studies)
            else:
                await self._send(peer, submission, content, doing.exchange_id, facts, options)
        return entry

    async def replace(
        self,
        unique_id: str,
        content: Content,
        person: str,
        options: DocumentOptions,
        *,
        at: str = "",
        relation: AssociationType = AssociationType.REPLACE,
    ) -> DocumentEntry:
        """Put a document in the place of one that is registered, here or at the peer `at`; answers what was submitted.

        What the person does not say of it is what was said of the former one. With another `relation` that one stays in
        force, and the new one is an addition to it, or a transformation of it.

        Raises:
            UnknownDocument: No entry of it is in force.
            RuleViolation: It was made of images, which are shared again instead; or the registry refuses.
            Unsupported, MalformedMessage: In the place of a report: it is none.
            PeerError: As a peer answered.

        Source: ITI TF-2 3.41, 3.42; ITI TF-3 4.2.2.2.
        """
        peer = self._directory.known(at) if at else None
        codes = await self._compute.run(self._codes)
        async with errand(self._store, self._clock, self._house, person=person, text=DONE[relation], peer=at) as doing:
            former = await self._in_force(unique_id, peer, doing.exchange_id)
            entry = await self._instead_of(former, content, options)
            submission = self._submission(entry, codes, former.entry_uuid, relation)
            if peer is None or self._keeps(peer, options):
                await self._register(submission, content, doing.exchange_id)
            else:
                facts = self._facts(entry.patient_id)
                await self._send(peer, submission, content, doing.exchange_id, facts, options)
        return entry

    async def _report(
        self, content: Content, study_instance_uid: str, codes: SiteCodes, options: DocumentOptions
    ) -> tuple[DocumentEntry, Facts]:
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
            patient = await work.identity.get(record.study.patient.identifiers[0]) if record is not None else None
        if record is None or patient is None:
            raise UnknownDocument("no such study here", cure="`radgate study list` shows what is here")
        shared = self._shared_id(patient)
        body = await content.read(MAX_REPORT_BYTES)
        report = await self._compute.run(lambda: read_report(body))
        entry = report_entry(
            replace(report, title=options.title or report.title),
            record.study,
            entry_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=self._clock.new_uid(),
            patient_id=shared,
            written=Moment(self._clock.now()),
            class_code=_class_of(options),
            type_code=options.type_code or _default(codes, CodeSet.TYPE),
            healthcare_facility_type_code=_default(codes, CodeSet.FACILITY),
            practice_setting_code=_default(codes, CodeSet.PRACTICE_SETTING),
            confidentiality_codes=codes.defaults[CodeSet.CONFIDENTIALITY],
            language_code=codes.language_code,
            accession_authority=codes.accession_authority,
            sha1=content.sha1 or "",
            size_bytes=len(body),
        )
        return entry, replace(self._facts(shared), studies=(study_fact((record.study,), patient),))

    async def _plain(
        self, content: Content, patient: PatientIdentifier | None, codes: SiteCodes, options: DocumentOptions
    ) -> DocumentEntry:
        """The entry of a document of which only its sender knows what it is."""
        if patient is None:
            raise RuleViolation("a document is of a study or of a patient", cure="Name the one or the other")
        async with self._store.view() as work:
            known = await work.identity.get(patient)
        if known is None:
            raise UnknownPatient("nobody here has this id", cure="Register the patient (ADT) first")
        shared = self._shared_id(known)
        ours = known.identifier_of(self._house.patient_authority) or shared
        return DocumentEntry(
            entry_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=self._clock.new_uid(),
            patient_id=shared,
            class_code=_class_of(options),
            type_code=options.type_code or _default(codes, CodeSet.TYPE),
            format_code=options.format_code or SUFFICIENT,
            healthcare_facility_type_code=_default(codes, CodeSet.FACILITY),
            practice_setting_code=_default(codes, CodeSet.PRACTICE_SETTING),
            confidentiality_codes=codes.defaults[CodeSet.CONFIDENTIALITY],
            mime_type=options.mime_type or content.media_type,
            title=options.title[:MOST_TITLE],
            creation_time=Moment(self._clock.now()),
            language_code=codes.language_code,
            source_patient_id=ours,
            source_patient=replace(known, identifiers=(ours,)),
            hash=content.sha1 or "",
            size_bytes=content.size_bytes,
        )

    async def _in_force(self, unique_id: str, peer: Peer | None, exchange_id: str) -> DocumentEntry:
        """The entry that is to be replaced or added to."""
        if peer is None:
            async with self._store.view() as work:
                entries = await work.registry.entries(unique_id)
        else:
            criteria = DocumentCriteria(unique_ids=(unique_id,), entry_types=BOTH_TYPES)
            asked = StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=criteria)
            entries = await self._ask(peer, asked, exchange_id)
        found = in_force(entries)
        if is_manifest(found[-1]) or found[-1].entry_type is not EntryType.STABLE:
            raise RuleViolation(
                "this document was made of images",
                cure="`radgate study share`, or release its exchange: it is made again",
            )
        return found[-1]

    async def _instead_of(self, former: DocumentEntry, content: Content, options: DocumentOptions) -> DocumentEntry:
        """The entry of a document that says what the former one said, but for what is told otherwise."""
        kind, unique_id = (options.format_code, options.mime_type or former.mime_type), ""
        title, written = options.title, Moment(self._clock.now())
        if kind[0] is None and former.format_code.value.startswith(OF_REPORTS):
            body = await content.read(MAX_REPORT_BYTES)
            report = await self._compute.run(lambda: read_report(body))
            kind, unique_id = (report.kind.format_code, report.kind.mime_type), report.unique_id
            title, written = title or report.title, report.written or written
        format_code = kind[0] or (former.format_code if kind[1] == former.mime_type else SUFFICIENT)
        return replace(
            former,
            entry_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=unique_id or self._clock.new_uid(),
            class_code=options.class_code or former.class_code,
            type_code=options.type_code or former.type_code,
            format_code=format_code,
            mime_type=kind[1],
            title=(title or former.title)[:MOST_TITLE],
            creation_time=written,
            hash=content.sha1 or "",
            size_bytes=content.size_bytes,
            legal_authenticator="",
            uri="",
            repository_unique_id=None,
            home_community_id=None,
            logical_id="",
            version=1,
        )

    def _submission(
        self,
        entry: DocumentEntry,
        codes: SiteCodes,
        former: str | None,
        relation: AssociationType = AssociationType.REPLACE,
        recipients: tuple[str, ...] = (),
    ) -> Submission:
        made = submission_for(
            entry,
            submission_set_uuid=f"urn:uuid:{self._clock.new_uuid()}",
            unique_id=self._clock.new_uid(),
            source_id=self._house.source_id,
            submission_time=Moment(self._clock.now()),
            content_type_code=_default(codes, CodeSet.CONTENT_TYPE),
            replaces=former,
            relation=relation,
        )
        return replace(made, submission_set=replace(made.submission_set, intended_recipients=recipients))

    async def _send(
        self,
        peer: Peer,
        submission: Submission,
        content: Content,
        exchange_id: str,
        facts: Facts,
        options: DocumentOptions,
    ) -> None:
        request = ProvideAndRegisterRequest(
            submission=submission, documents={submission.entries[0].entry_uuid: content}
        )
        way, request = addressed(peer, request, by=options.by, home=options.home)
        request = await as_known_there(request, peer, self._discover, exchange_id)
        async with self._peers.call(way, peer, request, exchange_id=exchange_id, facts=facts) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            why, cure = warned(call.response.errors)
            call.learned(why=why, cure=cure, partial=ignores(call.response.errors))

    def _keeps(self, peer: Peer, options: DocumentOptions) -> bool:
        """Whether what goes to this peer stays here and is registered there, unless the person says by what it goes."""
        return self._elsewhere is not None and peer.name == self._elsewhere.registry.name and not options.by

    async def _register(
        self, submission: Submission, content: Content, exchange_id: str, studies: tuple[StudyFact, ...] = ()
    ) -> None:
        """In our own repository, and in the registry of what it keeps; where that is ours, in one commit."""
        (entry,), now = submission.entries, self._clock.now()
        here = replace(entry, repository_unique_id=self._house.repository_unique_id)
        filled = with_uuids(replace(submission, entries=(here,)), self._clock)
        staged = await self._objects.stage(content)
        try:
            if self._elsewhere is not None:
                taken, _ = await self._elsewhere.register(filled, (staged,), exchange_id=exchange_id, studies=studies)
            async with self._store.unit() as work:
                if self._elsewhere is not None:
                    await work.registrations.keep(taken)
                else:
                    await work.documents.keep(here.unique_id, staged)
                    await work.registry.put(filled, now)
        except ExchangeError:
            if staged.path is not None:
                async with self._store.unit() as work:
                    await work.documents.leave((staged.path,), now)
            raise

    def _shared_id(self, patient: Patient) -> PatientIdentifier:
        """By which id the affinity domain knows the patient."""
        shared = patient.identifier_of(self._house.domain_authority)
        if shared is None:
            raise UnknownPatient(
                "the patient has no id in the affinity domain", cure="Have an ADT name it in PID-3, beside our own id"
            )
        return shared

    def _facts(self, *patients: PatientIdentifier) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=""),
            patients=tuple(patients),
        )  # fmt: skip


def in_force(entries: Sequence[DocumentEntry]) -> Sequence[DocumentEntry]:
    """Of a document's entries those that are approved, 1..n.

    Raises:
        UnknownDocument: None is.
    """
    found = [each for each in entries if each.availability_status is AvailabilityStatus.APPROVED]
    if not found:
        raise UnknownDocument(
            "no entry of this document is in force", cure="`radgate document find` shows what is registered"
        )
    return found


def _class_of(options: DocumentOptions) -> Code:
    if options.class_code is None:
        raise RuleViolation("a new document has a class", cure="Say it: the class of the table is of images")
    return options.class_code


def _default(codes: SiteCodes, of: CodeSet) -> Code:
    found = codes.defaults.get(of, ())
    if not found:
        raise RuleViolation(
            f"the table of codes has no default for {of.value}",
            cure="Add one to the file of affinity_domain.code_sets, or name the code",
        )
    return found[0]
