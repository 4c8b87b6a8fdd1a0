"""Retrieval of documents: the request's smallest part, and the whole response, that ITI-43 and RAD-69 share.

The head of a response (status, errors, which documents) is written first, then each document's bytes as its own part:
plan, then pour. Parts are keyed by *document unique id* for everybody above; the content ids of the wire stay here.

What a newcomer gets wrong: these documents' elements are in the xds-b namespace in both transactions, RepositoryUniqueId
stands before DocumentUniqueId and mimeType before Document, and HomeCommunityId is echoed or absent, never empty.

Source: ITI TF-2 3.43; RAD TF-2 4.69; XDS.b_DocumentRepository.xsd.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from lxml import etree

from profiles.errors import InternalFault, MalformedMessage, PeerProtocolError
from profiles.findings import Decoded, Finding
from profiles.model.content import OCTETS, Part, Pour, Poured, once
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.entry import from_home
from profiles.wire.ebxml.response import (
    REGISTRY_RESPONSE,
    RegistryError,
    ResponseStatus,
    contradictions,
    read_errors,
    read_status,
    registry_response,
)
from profiles.wire.ebxml.rim import XDS, wrong
from profiles.wire.ebxml.xml import pieces, text_of
from profiles.wire.ebxml.xop import content_id, content_id_of, include, inline, spellings
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.soap.names import DOCUMENT
from profiles.wire.xml import attribute as escape

DOCUMENT_REQUEST = f"{{{XDS}}}DocumentRequest"
_RESPONSE = f"{{{XDS}}}RetrieveDocumentSetResponse"
_DOCUMENT_RESPONSE = f"{{{XDS}}}DocumentResponse"
_HOME = f"{{{XDS}}}HomeCommunityId"
_REPOSITORY = f"{{{XDS}}}RepositoryUniqueId"
_DOCUMENT_ID = f"{{{XDS}}}DocumentUniqueId"
_NEW_REPOSITORY = f"{{{XDS}}}NewRepositoryUniqueId"
_NEW_DOCUMENT_ID = f"{{{XDS}}}NewDocumentUniqueId"
_MIME_TYPE = f"{{{XDS}}}mimeType"

MAX_DOCUMENTS = 20_000
"""Documents of one message; a study of 10,000 instances in one request is seen, ten times that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRequest:
    """One document that is asked for. Ids are as the peer wrote them: empty ones are legal XML and answered by code.

    `repository_unique_id` is a repository's OID in ITI-43 and a Retrieve Location UID in RAD-69.
    """

    repository_unique_id: str
    document_unique_id: str
    home_community_id: Oid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedDocument:
    """One document of a response; its bytes come by the pour, keyed by `document_unique_id`.

    The last two say under which ids the content of an on-demand document was kept.
    """

    repository_unique_id: str
    document_unique_id: str
    home_community_id: Oid | None = None
    mime_type: str = OCTETS
    size_bytes: int | None = None
    new_repository_unique_id: str = ""
    new_document_unique_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveDocumentSetResponse:
    """The head: how it went, why not, and the documents that will flow, 0..n.

    Where every size is known, documents flow in this order, and the message has a Content-Length; otherwise in any.
    """

    status: ResponseStatus = ResponseStatus.SUCCESS
    errors: tuple[RegistryError, ...] = ()
    documents: tuple[RetrievedDocument, ...] = ()


async def nothing() -> AsyncIterator[Part]:
    """The pour of a response without documents."""
    parts: tuple[Part, ...] = ()
    for part in parts:
        yield part


# --- request ----------------------------------------------------------------------------------------------------------


def document_request(request: DocumentRequest) -> str:
    """`xds:DocumentRequest`; the prefix is declared around it."""
    return f"<xds:DocumentRequest>{_ids(request)}</xds:DocumentRequest>"


def _ids(named: DocumentRequest | RetrievedDocument) -> str:
    home = named.home_community_id
    return (
        (f"<xds:HomeCommunityId>{home.urn}</xds:HomeCommunityId>" if home else "")
        + f"<xds:RepositoryUniqueId>{escape(named.repository_unique_id)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(named.document_unique_id)}</xds:DocumentUniqueId>"
    )


def read_document_requests(parent: etree._Element, findings: list[Finding]) -> tuple[DocumentRequest, ...]:
    """The DocumentRequests below an element, in document order.

    Raises:
        MalformedMessage: One has no RepositoryUniqueId or no DocumentUniqueId element, or there are too many.
    """
    if len(parent) > MAX_DOCUMENTS:
        raise MalformedMessage(f"more than {MAX_DOCUMENTS} documents in one request", location="DocumentRequest")
    return tuple(
        DocumentRequest(
            repository_unique_id=_required(texts, _REPOSITORY),
            document_unique_id=_required(texts, _DOCUMENT_ID),
            home_community_id=from_home(texts.get(_HOME, ""), texts.get(_DOCUMENT_ID, ""), findings),
        )
        for texts in (_texts(element) for element in parent.iterchildren(DOCUMENT_REQUEST))
    )


def _texts(parent: etree._Element) -> dict[str, str]:
    """The texts of child elements by name."""
    return {str(child.tag): text_of(child) for child in parent.iterchildren("*") if child.tag != DOCUMENT}


def _required(texts: dict[str, str], name: str) -> str:
    found = texts.get(name)
    if found is None:
        raise MalformedMessage(f"no {etree.QName(name).localname}", location="DocumentRequest")
    return found


# --- response, written ------------------------------------------------------------------------------------------------


def encode_retrieve_response(response: Poured[RetrieveDocumentSetResponse]) -> SoapOut:
    """Write the head as the body, and hand the pour on under content ids."""
    documents = response.head.documents
    sizes = tuple(
        (content_id(position), document.mime_type, document.size_bytes)
        for position, document in enumerate(documents, 1)
        if document.size_bytes is not None
    )
    return SoapOut(
        body=pieces(_response(response.head)),
        parts=_renamed(documents, response.pour),
        sizes=sizes if len(sizes) == len(documents) else None,
    )


def _response(head: RetrieveDocumentSetResponse) -> Iterator[str]:
    yield f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">'
    yield from registry_response(head.status, head.errors)
    for position, document in enumerate(head.documents, 1):
        new_repository, new_document = document.new_repository_unique_id, document.new_document_unique_id
        yield (
            f"<xds:DocumentResponse>{_ids(document)}"
            + (
                f"<xds:NewRepositoryUniqueId>{escape(new_repository)}</xds:NewRepositoryUniqueId>"
                if new_repository
                else ""
            )
            + (f"<xds:NewDocumentUniqueId>{escape(new_document)}</xds:NewDocumentUniqueId>" if new_document else "")
            + f"<xds:mimeType>{escape(document.mime_type)}</xds:mimeType>"
            f"<xds:Document>{include(content_id(position))}</xds:Document></xds:DocumentResponse>"
        )
    yield "</xds:RetrieveDocumentSetResponse>"


async def _renamed(documents: tuple[RetrievedDocument, ...], pour: Pour) -> AsyncIterator[Part]:
    """Document unique ids become content ids. A document too few or too many is a defect of ours: break the pour."""
    waiting: dict[str, deque[tuple[str, str]]] = {}
    for position, document in enumerate(documents, 1):
        waiting.setdefault(document.document_unique_id, deque()).append((content_id(position), document.mime_type))
    try:
        async for part in pour:
            ids = waiting.get(part.key)
            if not ids:
                raise InternalFault("a document is poured that the head does not name", location=part.key)
            id, mime_type = ids.popleft()
            yield Part(key=id, media_type=mime_type, size_bytes=part.size_bytes, chunks=part.chunks)
    finally:
        await _close(pour)
    missing = next((uid for uid, ids in waiting.items() if ids), None)
    if missing is not None:
        raise InternalFault("a document that the head names was not poured", location=missing)


async def _close(pour: Pour) -> None:
    """Tell a source that nobody will read on; an iterator that cannot be closed has nothing to let go of."""
    close = getattr(pour, "aclose", None)
    if close is not None:
        await close()


# --- response, read ---------------------------------------------------------------------------------------------------


def decode_retrieve_response(message: SoapIn) -> Decoded[Poured[RetrieveDocumentSetResponse]]:
    """Read the head; the documents flow when the pour is read.

    Returns:
        The head in document order; the pour in wire order, keyed by document unique id. The pour raises
        PeerProtocolError for a part that no DocumentResponse names, and at its end for a document that never came.

    Raises:
        MalformedMessage: It is another element, or an element is missing that says which document it is about.

    Source: ITI TF-2 3.43.5.
    """
    body = message.body
    if body.tag != _RESPONSE:
        raise MalformedMessage("no xds:RetrieveDocumentSetResponse", location="Body")
    registry = next(body.iterchildren(REGISTRY_RESPONSE), None)
    if registry is None:
        raise MalformedMessage("no rs:RegistryResponse", location="RetrieveDocumentSetResponse")
    findings: list[Finding] = []
    status, errors = read_status(registry, findings), read_errors(registry)
    documents: list[RetrievedDocument] = []
    names: dict[str, str] = {}
    written: list[tuple[str, str, bytes]] = []
    for element in body.iterchildren(_DOCUMENT_RESPONSE):
        document = _document(element, findings)
        documents.append(document)
        _bytes_of(element, document, names, written)
    contradictions(status, errors, len(documents), findings)
    head = RetrieveDocumentSetResponse(status=status, errors=errors, documents=tuple(documents))
    return Decoded(Poured(head=head, pour=_by_document(message.parts, names, written)), tuple(findings))


def _document(element: etree._Element, findings: list[Finding]) -> RetrievedDocument:
    texts = _texts(element)
    document_unique_id = _required(texts, _DOCUMENT_ID)
    if not texts.get(_MIME_TYPE):
        findings.append(wrong("mime-type", "a DocumentResponse has no mimeType", document_unique_id))
    return RetrievedDocument(
        repository_unique_id=_required(texts, _REPOSITORY),
        document_unique_id=document_unique_id,
        home_community_id=from_home(texts.get(_HOME, ""), document_unique_id, findings),
        mime_type=texts.get(_MIME_TYPE) or OCTETS,
        new_repository_unique_id=texts.get(_NEW_REPOSITORY, ""),
        new_document_unique_id=texts.get(_NEW_DOCUMENT_ID, ""),
    )


def _bytes_of(
    element: etree._Element, document: RetrievedDocument, names: dict[str, str], written: list[tuple[str, str, bytes]]
) -> None:
    """Note where a document's bytes are: in a part, or in the body itself."""
    binary = next(element.iterchildren(DOCUMENT), None)
    if binary is None:
        raise MalformedMessage("a DocumentResponse has no Document", location=document.document_unique_id)
    id = content_id_of(binary)
    if id is None:
        written.append((document.document_unique_id, document.mime_type, inline(binary)))
        return
    for spelling in spellings(id):
        if names.setdefault(spelling, document.document_unique_id) != document.document_unique_id:
            raise MalformedMessage("two documents name the same part", location=document.document_unique_id)


async def _by_document(
    parts: Pour | None, names: dict[str, str], written: Iterable[tuple[str, str, bytes]]
) -> AsyncIterator[Part]:
    """Content ids become document unique ids."""
    for uid, media_type, body in written:
        yield Part(key=uid, media_type=media_type, size_bytes=len(body), chunks=once(body))
    waiting = set(names.values())
    if parts is not None:
        try:
            async for part in parts:
                named = next((names[each] for each in (part.key, *spellings(part.key)) if each in names), None)
                if named is None:
                    raise PeerProtocolError(
                        "the answer has a part that no DocumentResponse names", location=part.key[:128]
                    )
                waiting.discard(named)
                yield part if named == part.key else part.named(named)
        finally:
            await _close(parts)
    if waiting:
        raise PeerProtocolError("the answer names a document and does not bring it", location=min(waiting)[:128])
