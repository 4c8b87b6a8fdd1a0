"""RAD-69 on the wire: a tree of studies, series and documents there; the response of ITI-43 back, action and all.

Source: RAD TF-2 4.69.4, 4.69.5; XDSI.b_ImagingDocumentSource.xsd.
"""

from collections.abc import Iterator

from lxml import etree

from profiles.errors import ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.model.content import Poured
from profiles.wire.ebxml.response import Speaker, errors_of, status_of
from profiles.wire.ebxml.retrieve import (
    MAX_DOCUMENTS,
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
from profiles.wire.ebxml.rim import IHERAD, XDS
from profiles.wire.ebxml.xml import pieces, text_of
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.xml import attribute as escape
from profiles.xdsi.rad69.messages import RetrieveImagingDocumentSetRequest, SeriesRequest, StudyRequest

_REQUEST = f"{{{IHERAD}}}RetrieveImagingDocumentSetRequest"
_STUDY = f"{{{IHERAD}}}StudyRequest"
_SERIES = f"{{{IHERAD}}}SeriesRequest"
_SYNTAX_LIST = f"{{{IHERAD}}}TransferSyntaxUIDList"
_SYNTAX = f"{{{IHERAD}}}TransferSyntaxUID"

MAX_TRANSFER_SYNTAXES = 200
"""There are some 60 in the standard."""


def encode_request(request: RetrieveImagingDocumentSetRequest) -> SoapOut:
    """Write the request; the transfer syntaxes stand behind the last study."""
    return SoapOut(body=pieces(_request(request)))


def _request(request: RetrieveImagingDocumentSetRequest) -> Iterator[str]:
    yield f'<iherad:RetrieveImagingDocumentSetRequest xmlns:iherad="{IHERAD}" xmlns:xds="{XDS}">'
    for study in request.studies:
        yield f'<iherad:StudyRequest studyInstanceUID="{escape(study.study_instance_uid)}">'
        for series in study.series:
            yield f'<iherad:SeriesRequest seriesInstanceUID="{escape(series.series_instance_uid)}">'
            for document in series.documents:
                yield document_request(document)
            yield "</iherad:SeriesRequest>"
        yield "</iherad:StudyRequest>"
    yield "<iherad:TransferSyntaxUIDList>"
    for uid in request.transfer_syntax_uids:
        yield f"<iherad:TransferSyntaxUID>{escape(uid)}</iherad:TransferSyntaxUID>"
    yield "</iherad:TransferSyntaxUIDList></iherad:RetrieveImagingDocumentSetRequest>"


def decode_request(message: SoapIn) -> Decoded[RetrieveImagingDocumentSetRequest]:
    """Read the request.

    Returns:
        1..n studies, each with 1..n series, each with 1..n instances, in document order; 0..n transfer syntaxes: that
        an empty list is not "any" is for the rules and the source.

    Raises:
        MalformedMessage: An element that the schema requires is missing; location is its name.

    Source: RAD TF-2 4.69.4.1.2.
    """
    body = message.body
    if body.tag != _REQUEST:
        raise MalformedMessage("no iherad:RetrieveImagingDocumentSetRequest", location="Body")
    findings: list[Finding] = []
    studies = tuple(_study(element, findings) for element in body.iterchildren(_STUDY))
    if not studies:
        raise MalformedMessage("no StudyRequest", location="RetrieveImagingDocumentSetRequest")
    if sum(len(series.documents) for study in studies for series in study.series) > MAX_DOCUMENTS:
        raise MalformedMessage(f"more than {MAX_DOCUMENTS} instances in one request", location="DocumentRequest")
    return Decoded(
        RetrieveImagingDocumentSetRequest(studies=studies, transfer_syntax_uids=_syntaxes(body)), tuple(findings)
    )


def _study(element: etree._Element, findings: list[Finding]) -> StudyRequest:
    uid = element.get("studyInstanceUID")
    if uid is None:
        raise MalformedMessage("no studyInstanceUID", location="StudyRequest")
    series = tuple(_one_series(each, findings) for each in element.iterchildren(_SERIES))
    if not series:
        raise MalformedMessage("no SeriesRequest", location="StudyRequest")
    return StudyRequest(study_instance_uid=uid.strip(), series=series)


def _one_series(element: etree._Element, findings: list[Finding]) -> SeriesRequest:
    uid = element.get("seriesInstanceUID")
    if uid is None:
        raise MalformedMessage("no seriesInstanceUID", location="SeriesRequest")
    documents = read_document_requests(element, findings)
    if not documents:
        raise MalformedMessage("no DocumentRequest in the xds-b namespace", location="SeriesRequest")
    return SeriesRequest(series_instance_uid=uid.strip(), documents=documents)


def _syntaxes(body: etree._Element) -> tuple[str, ...]:
    found = next(body.iterchildren(_SYNTAX_LIST), None)
    if found is None:
        raise MalformedMessage("no TransferSyntaxUIDList", location="RetrieveImagingDocumentSetRequest")
    if len(found) > MAX_TRANSFER_SYNTAXES:
        raise MalformedMessage(f"more than {MAX_TRANSFER_SYNTAXES} transfer syntaxes", location="TransferSyntaxUIDList")
    uids = (text_of(element) for element in found.iterchildren(_SYNTAX))
    return tuple(dict.fromkeys(uid for uid in uids if uid))


def refuse(error: ExchangeError) -> Poured[RetrieveDocumentSetResponse]:
    """An error as the source's answer: no instance."""
    errors = errors_of(error, Speaker.SOURCE)
    return Poured(head=RetrieveDocumentSetResponse(status=status_of(errors, 0), errors=errors), pour=nothing())


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
