"""The read as FHIR writes it.

Source: HL7 FHIR R4, RESTful API (read); Endpoint.
"""

from profiles.ehr.read_endpoint.messages import ReadEndpointRequest, ReadEndpointResponse
from profiles.findings import Decoded
from profiles.wire.fhir.answer import fingerprint, read_answer
from profiles.wire.fhir.endpoint import MANDATORY, endpoint_resource
from profiles.wire.fhir.media import syntax_of, view_of, written
from profiles.wire.http import HttpIn, HttpOut


def decode_request(request: HttpIn) -> Decoded[ReadEndpointRequest]:
    """Read the id."""
    syntax_of(request)
    view_of(request.query)
    return Decoded(ReadEndpointRequest(endpoint_id=request.variables["id"]))


def encode_response(response: ReadEndpointResponse, request: HttpIn) -> HttpOut:
    """Write the resource, or 304; the content is its version."""
    syntax = syntax_of(request)
    resource = endpoint_resource(response.endpoint)
    shown = view_of(request.query).of(resource, MANDATORY)
    return read_answer(request, (written(shown, syntax),), syntax, version=fingerprint(resource))
