"""The read as FHIR writes it.

Source: HL7 FHIR R4, RESTful API (read, conditional read).
"""

from profiles.ehr.read_imaging_study.messages import ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.findings import Decoded
from profiles.wire.fhir.answer import read_answer
from profiles.wire.fhir.imaging_study import pieces
from profiles.wire.fhir.media import Summary, syntax_of, view_of
from profiles.wire.http import HttpIn, HttpOut


def decode_request(request: HttpIn) -> Decoded[ReadImagingStudyRequest]:
    """Read the id; it is the bare Study Instance UID."""
    syntax_of(request)
    view = view_of(request.query)
    listed = view.summary not in (Summary.TRUE, Summary.TEXT) and (view.is_whole or view.shows("series"))
    return Decoded(ReadImagingStudyRequest(study_instance_uid=request.variables["id"], instances=listed))


def encode_response(response: ReadImagingStudyResponse, request: HttpIn) -> HttpOut:
    """Write the resource in pieces, or 304."""
    syntax = syntax_of(request)
    return read_answer(
        request,
        pieces(response.study, response.endpoints, view_of(request.query), syntax),
        syntax,
        version=str(response.study.version),
        updated=response.study.updated,
    )
