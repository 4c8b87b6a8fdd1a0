"""A registry and a repository in memory, asked as a listener asks them: body in, turn, body out, audit kept."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from lxml import etree

from gateway.actors.answering import Answering, answers_of
from gateway.actors.document_registry import DocumentRegistry
from gateway.actors.document_repository import DocumentRepository
from gateway.adapters.arrival import Reading
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryArchive, MemoryObjects
from gateway.adapters.policy_table import TablePolicy
from gateway.inbound.turn import Turn
from gateway.model.peer import Caller, Peer
from gateway.ports.store import Store
from gateway.services.ingest import Ingest
from gateway.services.remove import Removal
from gateway.services.retrieve import Retrieve
from gateway.services.stored_query import StoredQueries
from gateway.services.update import Update
from gateway.services.vet import Vet
from profiles.model.audit import AuditRecord
from profiles.model.content import Content
from profiles.model.document import Association, DocumentEntry, Folder, Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import SoapTransaction
from tests.support.clock import FixedClock
from tests.support.ebxml import soap_in, written
from tests.support.hl7 import HOUSE
from tests.support.registered import entry, entry_uuid, patient, submission

Request = TypeVar("Request")
Response = TypeVar("Response")
Result = TypeVar("Result")

JAN = PatientIdentifier(value="jan", authority=HOUSE.domain_authority)
KIM = PatientIdentifier(value="kim", authority=HOUSE.domain_authority)


class InlineCompute:
    """Work is done where it is asked for."""

    async def run(self, work: Callable[[], Result]) -> Result:
        return work()


class RegistryHouse:
    """The two actors behind one turn, over `store`; JAN and KIM are known."""

    def __init__(self, store: Store | None = None, vet: Vet | None = None) -> None:
        self.memory = MemoryStore()
        self.store: Store = store or self.memory
        self.clock = FixedClock()
        self.answers: dict[str, Answering[Any, Any]] = {}
        self.caller = Caller(
            peer=None, network_address="127.0.0.1", local_address="http://here/soap/registry", via="loopback"
        )
        compute = InlineCompute()
        reading = Reading(authority=HOUSE.patient_authority, zone=HOUSE.zone, system=HOUSE.name)
        archive = MemoryArchive(clock=self.clock, reading=reading)
        ingest = Ingest(house=HOUSE, objects=MemoryObjects(), compute=compute, clock=self.clock, vet=vet)
        queries = StoredQueries(house=HOUSE, store=self.store, limit=1000)
        self.turns = Turn(house=HOUSE, store=self.store, clock=self.clock, policy=TablePolicy(anonymous_loopback=True))
        removal = Removal(house=HOUSE, compute=compute)
        update = Update(house=HOUSE, clock=self.clock, vet=vet)
        retrieve = Retrieve(house=HOUSE, store=self.store, archive=archive)
        self.play(DocumentRegistry(ingest=ingest, queries=queries, update=update, removal=removal))
        self.play(DocumentRepository(ingest=ingest, retrieve=retrieve, removal=removal))

    def play(self, actor: object) -> None:
        """Let an actor answer here."""
        for each in answers_of(actor):
            self.answers[each.transaction.id] = each

    async def open(self) -> "RegistryHouse":
        """Register the two people."""
        async with self.store.unit() as work:
            for each in (JAN, KIM):
                await work.identity.put(patient(each), self.clock.now())
        return self

    async def ask(
        self,
        transaction: SoapTransaction[Request, Response],
        request: Request,
        attachments: dict[str, Content] | None = None,
        *,
        peer: Peer | None = None,
    ) -> Response:
        """What comes back over the wire."""
        out = transaction.encode_request(request)
        return await self.tell(transaction, written(out), attachments, peer=peer)

    async def tell(
        self,
        transaction: SoapTransaction[Any, Response],
        body: etree._Element,
        attachments: dict[str, Content] | None = None,
        *,
        peer: Peer | None = None,
    ) -> Response:
        """The same for a body as somebody else wrote it."""
        answering = self.answers[transaction.id]
        caller = self.caller if peer is None else replace(self.caller, peer=peer, via="certificate")
        message = soap_in(body, attachments)
        async with self.turns.answer(answering, caller, lambda: transaction.decode_request(message)) as answered:
            error = answered.error
            value = answered.response if error is None else transaction.refuse(error)
            assert value is not None
            self.answer = written(transaction.encode_response(value))
        return transaction.decode_response(soap_in(self.answer)).value

    def audited(self) -> list[AuditRecord]:
        """Every audit record so far."""
        return list(self.memory.audited())


def registrable(of: PatientIdentifier = JAN, **fields: object) -> DocumentEntry:
    """An entry with everything that a registry wants of it."""
    return entry(
        of,
        **{
            "mime_type": "application/dicom",
            "language_code": "en-US",
            "source_patient_id": PatientIdentifier(value="P1", authority=of.authority),
            "repository_unique_id": HOUSE.repository_unique_id,
            **fields,
        },
    )


def brought(
    *entries: DocumentEntry,
    folders: tuple[Folder, ...] = (),
    associations: tuple[Association, ...] = (),
    of: PatientIdentifier = JAN,
) -> Submission:
    """A submission as it comes back over the wire: times to the second."""
    return submission(*entries, folders=folders, associations=associations, patient_id=of)


def next_of(old: DocumentEntry | Folder, **fields: object) -> DocumentEntry | Folder:
    changed = {"entry_uuid": entry_uuid(), "logical_id": old.logical_id or old.entry_uuid} | fields
    return replace(old, **changed)  # type: ignore[arg-type]


def version(new: DocumentEntry | Folder, previous: int = 1, **slots: str) -> Submission:
    """An update with one new version."""
    of = new.patient_id
    whole = brought(new, of=of) if isinstance(new, DocumentEntry) else brought(folders=(new,), of=of)
    named = {"PreviousVersion": str(previous), **slots}
    extra = tuple((name, (value,)) for name, value in named.items())
    return replace(whole, associations=tuple(replace(each, extra=extra) for each in whole.associations))


def with_arrows(whole: Submission, *arrows: Association) -> Submission:
    """The submission with these associations beside its own."""
    return replace(whole, associations=(*whole.associations, *arrows))


def codes(errors: Iterable[Any]) -> list[str]:
    """Error codes, sorted."""
    return sorted(each.code for each in errors)
