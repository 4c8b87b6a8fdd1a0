"""Provide and Register: metadata and the documents that they are about. The wire of ITI-41 and RAD-68.

Source: ITI TF-2 3.41; XDS.b_DocumentRepository.xsd.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from profiles.errors import ExchangeError, MalformedMessage, RuleViolation
from profiles.findings import Decoded, Finding
from profiles.model.codes import KOS_SOP_CLASS
from profiles.model.content import Content, Part
from profiles.model.document import DocumentEntry, Submission
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.entry import from_home
from profiles.wire.ebxml.response import (
    RegistryResponse,
    Speaker,
    errors_of,
    read_registry_response,
    registry_response,
    status_of,
)
from profiles.wire.ebxml.rim import XDS, wrong
from profiles.wire.ebxml.rules import submission_findings
from profiles.wire.ebxml.submission import (
    SUBMIT_OBJECTS_REQUEST,
    read_submission,
    submit_objects_request,
    target_of,
)
from profiles.wire.ebxml.xml import pieces
from profiles.wire.ebxml.xop import attached, content_id, content_id_of, include, inline
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.soap.names import DOCUMENT
from profiles.wire.xml import attribute as escape

_REQUEST = f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest"
XDR = "urn:ihe:iti:xdr:2014"
HOME_BLOCK = f"{{{XDR}}}homeCommunityBlock"
"""The SOAP header that names the community that a submission is for."""
_HOME = f"{{{XDR}}}homeCommunityId"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvideAndRegisterRequest:
    """A submission and its documents, 0..n, keyed by `entry_uuid` as the sender wrote it.

    `home_community_id` is the community that it is for; None: whoever is asked.
    """

    submission: Submission
    documents: Mapping[str, Content] = field(default_factory=dict)
    home_community_id: Oid | None = None


def is_manifest(entry: DocumentEntry) -> bool:
    """Whether the document is an imaging manifest: told by its formatCode (RAD68-022)."""
    return entry.format_code.value == KOS_SOP_CLASS


def is_imaging(request: ProvideAndRegisterRequest) -> bool:
    """Whether an ITI-41 request is a RAD-68 one: at least one of its documents is a manifest, or a radiology report."""
    return any(
        is_manifest(entry) or entry.format_code.value.startswith("urn:ihe:rad:") for entry in request.submission.entries
    )


# --- request ----------------------------------------------------------------------------------------------------------


def encode_provide_request(request: ProvideAndRegisterRequest) -> SoapOut:
    """Write the request: metadata and includes as the body, each document as a part, in the order of the mapping."""
    sizes = tuple(
        (content_id(position), _media_type(request, entry_uuid), content.size_bytes)
        for position, (entry_uuid, content) in enumerate(request.documents.items(), 1)
        if content.size_bytes is not None
    )
    home = request.home_community_id
    return SoapOut(
        body=pieces(_request(request)),
        header=_home_block(home) if home is not None else b"",
        parts=_parts(request),
        sizes=sizes if len(sizes) == len(request.documents) else None,
    )


def _home_block(home: Oid) -> bytes:
    named = f"<xdr:homeCommunityId>{home.urn}</xdr:homeCommunityId>"
    return f'<xdr:homeCommunityBlock xmlns:xdr="{XDR}">{named}</xdr:homeCommunityBlock>'.encode()


def _media_type(request: ProvideAndRegisterRequest, entry_uuid: str) -> str:
    """The part's media type: what the entry says the document is."""
    named = next((entry.mime_type for entry in request.submission.entries if entry.entry_uuid == entry_uuid), "")
    return named or request.documents[entry_uuid].media_type


def _request(request: ProvideAndRegisterRequest) -> Iterator[str]:
    yield f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{XDS}">'
    yield from submit_objects_request(request.submission, request.home_community_id)
    for position, entry_uuid in enumerate(request.documents, 1):
        yield f'<xds:Document id="{escape(entry_uuid)}">{include(content_id(position))}</xds:Document>'
    yield "</xds:ProvideAndRegisterDocumentSetRequest>"


async def _parts(request: ProvideAndRegisterRequest) -> AsyncIterator[Part]:
    for position, (entry_uuid, content) in enumerate(request.documents.items(), 1):
        yield Part(
            key=content_id(position),
            media_type=_media_type(request, entry_uuid),
            size_bytes=content.size_bytes,
            chunks=content.open(),
        )


def decode_provide_request(message: SoapIn) -> Decoded[ProvideAndRegisterRequest]:
    """Read the request.

    Returns:
        The submission, and the documents whose bytes are there. Pairing of documents and entries is for the rules; a
        part that no element names, and an element that names no part, are findings already.

    Raises:
        MalformedMessage: It is another element, or has no metadata.
        RuleViolation: The metadata cannot be read as registry objects.

    Source: ITI TF-2 3.41.4.1.2; Appendix V.8.
    """
    body = message.body
    if body.tag != _REQUEST:
        raise MalformedMessage("no xds:ProvideAndRegisterDocumentSetRequest", location="Body")
    metadata = next(body.iterchildren(SUBMIT_OBJECTS_REQUEST), None)
    if metadata is None:
        raise MalformedMessage("no lcm:SubmitObjectsRequest", location="ProvideAndRegisterDocumentSetRequest")
    findings: list[Finding] = []
    documents, named = _documents(body, message.attachments, findings)
    findings += (
        wrong("part-named", "an attached part is named by no Document", key[:128], "XDSMissingDocumentMetadata")
        for key in message.attachments
        if key not in named
    )
    try:
        submission = read_submission(metadata, findings)
    except RuleViolation as error:
        if not error.findings:
            error.findings = tuple(findings)
        raise
    home = _community(metadata, message.header, findings)
    return Decoded(
        ProvideAndRegisterRequest(submission=submission, documents=documents, home_community_id=home), tuple(findings)
    )


def _community(metadata: etree._Element, header: etree._Element | None, findings: list[Finding]) -> Oid | None:
    """Whom the submission is for: a slot of the request says it, or a header block, or both alike."""
    said = target_of(metadata, findings)
    written = "" if header is None else header.findtext(f"{HOME_BLOCK}/{_HOME}") or ""
    carried = from_home(written, "homeCommunityBlock", findings)
    if None not in (said, carried) and said != carried:
        findings.append(
            wrong("one-community", "the header names another community than the request", "homeCommunityBlock")
        )
    return said or carried


def _documents(
    body: etree._Element, attachments: Mapping[str, Content], findings: list[Finding]
) -> tuple[dict[str, Content], set[str]]:
    documents: dict[str, Content] = {}
    named: set[str] = set()
    for element in body.iterchildren(DOCUMENT):
        entry_uuid = (element.get("id") or "").strip()
        if entry_uuid in documents:
            findings.append(wrong("document-once", "two documents with the same id", entry_uuid))
        id = content_id_of(element)
        if id is None:
            documents[entry_uuid] = Content.of(inline(element))
            continue
        key = attached(id, attachments)
        if key is None:
            findings.append(wrong("document-attached", "a Document names no part", entry_uuid, "XDSMissingDocument"))
            continue
        if key in named:
            findings.append(wrong("part-once", "two Documents name the same part", entry_uuid))
        named.add(key)
        documents[entry_uuid] = attachments[key]
    return documents, named


# --- response ---------------------------------------------------------------------------------------------------------


def encode_registry_response(response: RegistryResponse) -> SoapOut:
    """Write the answer to any submission."""
    return SoapOut(body=tuple(pieces(registry_response(response.status, response.errors))))


def decode_registry_response(message: SoapIn) -> Decoded[RegistryResponse]:
    """Read the answer to any submission.

    Raises:
        MalformedMessage: It is another element.
    """
    findings: list[Finding] = []
    response = read_registry_response(message.body, findings)
    return Decoded(response, tuple(findings))


def refuse_registration(error: ExchangeError) -> RegistryResponse:
    """An error as the registry's answer: nothing was registered, changed or removed."""
    errors = errors_of(error, Speaker.REGISTRY)
    return RegistryResponse(status=status_of(errors), errors=errors)


def refuse_provide_request(error: ExchangeError) -> RegistryResponse:
    """An error as the repository's answer: nothing was stored."""
    errors = errors_of(error, Speaker.REPOSITORY)
    return RegistryResponse(status=status_of(errors), errors=errors)


# --- rules ------------------------------------------------------------------------------------------------------------


def metadata_is_complete(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """Every rule of a submission's metadata, in a repository's words."""
    return submission_findings(request.submission, Speaker.REPOSITORY)


def every_entry_has_a_document(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """Exactly one Document per ExtrinsicObject, `@id` equal (ITI TF-2 3.41.4.1.2)."""
    for entry in request.submission.entries:
        if entry.entry_uuid not in request.documents:
            yield wrong("entry-document", "an entry has no document", entry.entry_uuid, "XDSMissingDocument")


def every_document_has_an_entry(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """The other way round."""
    entries = {entry.entry_uuid for entry in request.submission.entries}
    for entry_uuid in request.documents:
        if entry_uuid not in entries:
            yield wrong("document-entry", "a document has no entry", entry_uuid[:128], "XDSMissingDocumentMetadata")
