"""The frame that every transaction folder fills, and that drives us in both directions.

A `Transaction` says what the standard says of one transaction: its names, who plays which part, how its messages are read
and written, what is audited. The same value serves the listener (decode the request, encode the response), the caller
(encode the request, decode the response), the tester and the description of the house. It does not say what *we* do when
asked: that is a method in `gateway/actors` under `@answers(RAD_69)`.

What a newcomer gets wrong: a streamed transaction is not another kind. Its response type is `Poured[Head]`: the head is
written first, then each part as it comes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from profiles.errors import ExchangeError
from profiles.findings import Decoded, Finding
from profiles.model.audit import AuditRecord
from profiles.wire.audit.facts import Facts as Facts
from profiles.wire.audit.facts import Party as Party
from profiles.wire.audit.facts import Side as Side
from profiles.wire.audit.facts import StudyFact as StudyFact
from profiles.wire.audit.facts import User as User
from profiles.wire.hl7v2.address import Hl7Out
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.soap.message import Packaging, SoapIn, SoapOut, Stamp

Request = TypeVar("Request")
Response = TypeVar("Response")


class Actor(StrEnum):
    """The Framework's actors, as it names them."""

    DOCUMENT_SOURCE = "Document Source"
    DOCUMENT_CONSUMER = "Document Consumer"
    DOCUMENT_REGISTRY = "Document Registry"
    DOCUMENT_REPOSITORY = "Document Repository"
    DOCUMENT_RECIPIENT = "Document Recipient"
    DOCUMENT_ADMINISTRATOR = "Document Administrator"
    UPDATE_INITIATOR = "Update Initiator"
    UPDATE_RESPONDER = "Update Responder"
    ON_DEMAND_DOCUMENT_SOURCE = "On-Demand Document Source"
    INITIATING_GATEWAY = "Initiating Gateway"
    RESPONDING_GATEWAY = "Responding Gateway"
    IMAGING_DOCUMENT_SOURCE = "Imaging Document Source"
    IMAGING_DOCUMENT_CONSUMER = "Imaging Document Consumer"
    INITIATING_IMAGING_GATEWAY = "Initiating Imaging Gateway"
    RESPONDING_IMAGING_GATEWAY = "Responding Imaging Gateway"
    IMAGE_MANAGER = "Image Manager"
    PATIENT_IDENTITY_SOURCE = "Patient Identity Source"
    PATIENT_IDENTITY_CONSUMER = "Patient Identity Consumer"
    CROSS_REFERENCE_MANAGER = "Patient Identifier Cross-reference Manager"
    CROSS_REFERENCE_CONSUMER = "Patient Identifier Cross-reference Consumer"
    DEMOGRAPHICS_CONSUMER = "Patient Demographics Consumer"
    DEMOGRAPHICS_SUPPLIER = "Patient Demographics Supplier"
    REPORT_MANAGER = "Report Manager"
    REPORT_REPOSITORY = "Report Repository"
    FHIR_CLIENT = "FHIR client"
    FHIR_SERVER = "FHIR server"
    SECURE_NODE = "Secure Node"
    AUDIT_RECORD_REPOSITORY = "Audit Record Repository"
    SERVICE_USER = "X-Service User"
    SERVICE_PROVIDER = "X-Service Provider"


AuditRule = Callable[[Side, Request | None, Response | None, Facts], tuple[AuditRecord, ...]]
"""1..n records: one per patient and per outcome. Request or response is None when it could not be read or never came."""


@dataclass(frozen=True, kw_only=True)
class Transaction(Generic[Request, Response]):
    """One transaction of one profile.

    `checks` are rules about a request that was read: request -> findings, each with its rule id.
    """

    id: str
    name: str
    section: str
    initiator: Actor
    responder: Actor
    audit: AuditRule[Request, Response]
    checks: tuple[Callable[[Request], Iterable[Finding]], ...] = ()

    def __str__(self) -> str:
        """The id, as people say it."""
        return self.id


# --- SOAP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SoapTransaction(Transaction[Request, Response]):
    """A transaction over SOAP 1.2, dispatched by wsa:Action.

    `refuse` renders an error as the transaction's own response: a SOAP fault is for what never became a request.
    `request_element` and `response_element` are the first children of the SOAP bodies, as `{namespace}name`.
    `brings_documents`: the request carries them (a submission), and not only the answer.
    `stamp` completes an answer that says in its body whose answer it is; None: only the envelope does (wsa:RelatesTo).
    `headers` are SOAP headers (`{namespace}name`) that it really processes, so that they may have to be understood.
    `variants` are the same transaction under further actions: an identity feed has one for each event, a query one to
    be continued.
    """

    packaging: Packaging
    request_action: str
    response_action: str
    decode_request: Callable[[SoapIn], Decoded[Request]]
    encode_request: Callable[[Request], SoapOut]
    decode_response: Callable[[SoapIn], Decoded[Response]]
    encode_response: Callable[[Response], SoapOut]
    refuse: Callable[[ExchangeError], Response]
    request_element: str = ""
    response_element: str = ""
    brings_documents: bool = False
    headers: frozenset[str] = frozenset()
    stamp: Callable[[Response, SoapIn, Stamp], Response] | None = None
    variants: tuple["SoapTransaction[Any, Any]", ...] = ()


# --- HTTP: FHIR and DICOMweb -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HttpTransaction(Transaction[Request, Response]):
    """A transaction over HTTP, dispatched by method and path.

    `paths` are templates below the service's base: `/studies/{study}/metadata`; each of `methods` is served on each.
    Response encoding depends on the request (Accept, base address), so it is handed in.
    """

    service: str  # "fhir/r4" or "dicomweb": the address below the house
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    decode_request: Callable[[HttpIn], Decoded[Request]]
    encode_response: Callable[[Response, HttpIn], HttpOut]
    refuse: Callable[[ExchangeError, HttpIn], HttpOut]
    encode_request: Callable[[Request], HttpOut] | None = None  # None: we are never the client of it
    decode_response: Callable[[HttpIn], Decoded[Response]] | None = None


# --- HL7 v2 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hl7Transaction(Transaction[Request, Response]):
    """A transaction over MLLP, dispatched by MSH-9 and MSH-12.

    Requests and responses are whole messages without the MLLP frame: HL7 v2 messages are small by nature.
    `triggers` are (message code, trigger event), such as ("ADT", "A40"). `respond` writes the acknowledgement of a
    request (its bytes are handed in, so that MSH can be mirrored), `refuse` that of an error.
    """

    triggers: tuple[tuple[str, str], ...]
    versions: tuple[str, ...]
    decode_request: Callable[[bytes], Decoded[Request]]
    encode_request: Callable[[Request, Hl7Out], bytes]
    decode_response: Callable[[bytes], Decoded[Response]]
    respond: Callable[[Response, bytes, Hl7Out], bytes]
    refuse: Callable[[ExchangeError, bytes, Hl7Out], bytes]
