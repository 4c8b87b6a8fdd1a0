"""ITI-86 on the wire: `rmd:RemoveDocumentsRequest` there, `rs:RegistryResponse` back.

The published schema has room for one document; the text, and everybody, for several.

Source: ITI TF-2 3.86.4.
"""

from collections.abc import Iterator

from profiles.errors import ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.response import RegistryResponse, Speaker, errors_of, status_of
from profiles.wire.ebxml.retrieve import document_request, read_document_requests
from profiles.wire.ebxml.rim import RMD, XDS
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti86.messages import RemoveDocumentsRequest

_REQUEST = f"{{{RMD}}}RemoveDocumentsRequest"


def encode_request(request: RemoveDocumentsRequest) -> SoapOut:
    """Write the request."""
    return SoapOut(body=pieces(_request(request)))


def _request(request: RemoveDocumentsRequest) -> Iterator[str]:
    yield f'<rmd:RemoveDocumentsRequest xmlns:rmd="{RMD}" xmlns:xds="{XDS}">'
    for document in request.documents:
        yield document_request(document)
    yield "</rmd:RemoveDocumentsRequest>"


def decode_request(message: SoapIn) -> Decoded[RemoveDocumentsRequest]:
    """Read the request: 1..n documents, in document order.

    Raises:
        MalformedMessage: It is another element, names nothing, or an element is missing.
    """
    if message.body.tag != _REQUEST:
        raise MalformedMessage("no rmd:RemoveDocumentsRequest", location="Body")
    findings: list[Finding] = []
    documents = read_document_requests(message.body, findings)
    if not documents:
        raise MalformedMessage("no DocumentRequest", location="RemoveDocumentsRequest")
    return Decoded(RemoveDocumentsRequest(documents=documents), tuple(findings))


def refuse(error: ExchangeError) -> RegistryResponse:
    """An error as the repository's answer: nothing was removed."""
    errors = errors_of(error, Speaker.SOURCE)
    return RegistryResponse(status=status_of(errors), errors=errors)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
