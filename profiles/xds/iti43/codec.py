"""ITI-43 on the wire. The response is RAD-69's too, so it lives in `profiles.wire.ebxml.retrieve`.

Source: ITI TF-2 3.43.4, 3.43.5.
"""

from collections.abc import Iterator

from profiles.errors import ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.model.content import Poured
from profiles.wire.ebxml.response import Speaker, errors_of, status_of
from profiles.wire.ebxml.retrieve import (
    RetrieveDocumentSetResponse,
    document_request,
    nothing,
    read_document_requests,
)
from profiles.wire.ebxml.retrieve import (
    decode_retrieve_response as decode_response,
)
from profiles.wire.ebxml.retrieve import (
    encode_retrieve_response as encode_response,
)
from profiles.wire.ebxml.rim import XDS
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti43.messages import RetrieveDocumentSetRequest

_REQUEST = f"{{{XDS}}}RetrieveDocumentSetRequest"


def encode_request(request: RetrieveDocumentSetRequest) -> SoapOut:
    """Write the request."""
    return SoapOut(body=pieces(_request(request)))


def _request(request: RetrieveDocumentSetRequest) -> Iterator[str]:
    yield f'<xds:RetrieveDocumentSetRequest xmlns:xds="{XDS}">'
    for document in request.documents:
        yield document_request(document)
    yield "</xds:RetrieveDocumentSetRequest>"


def decode_request(message: SoapIn) -> Decoded[RetrieveDocumentSetRequest]:
    """Read the request: 1..n documents, in document order.

    Raises:
        MalformedMessage: It is another element, asks for nothing, or an element is missing.
    """
    if message.body.tag != _REQUEST:
        raise MalformedMessage("no xds:RetrieveDocumentSetRequest", location="Body")
    findings: list[Finding] = []
    documents = read_document_requests(message.body, findings)
    if not documents:
        raise MalformedMessage("no DocumentRequest", location="RetrieveDocumentSetRequest")
    return Decoded(RetrieveDocumentSetRequest(documents=documents), tuple(findings))


def refuse(error: ExchangeError) -> Poured[RetrieveDocumentSetResponse]:
    """An error as the repository's answer: no document."""
    errors = errors_of(error, Speaker.SOURCE)
    return Poured(head=RetrieveDocumentSetResponse(status=status_of(errors, 0), errors=errors), pour=nothing())


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
