"""The statement as FHIR writes it.

Source: HL7 FHIR R4, RESTful API (capabilities); ITI TF-2 Appendix Z.3.
"""

from profiles.ehr.capabilities.messages import CapabilitiesRequest, CapabilitiesResponse
from profiles.errors import MalformedMessage
from profiles.findings import Decoded
from profiles.wire.fhir.answer import fingerprint, read_answer
from profiles.wire.fhir.capability import capability_statement
from profiles.wire.fhir.media import syntax_of, written
from profiles.wire.http import HttpIn, HttpOut

MODES = ("full", "normative", "terminology")


def decode_request(request: HttpIn) -> Decoded[CapabilitiesRequest]:
    """Read the question.

    Raises:
        MalformedMessage: A mode that does not exist.
    """
    syntax_of(request)
    for name, value in request.query:
        if name == "mode" and value not in MODES:
            raise MalformedMessage("mode is full, normative or terminology", location="mode", code="value")
    return Decoded(CapabilitiesRequest())


def encode_response(response: CapabilitiesResponse, request: HttpIn) -> HttpOut:
    """Write the statement, or 304."""
    syntax = syntax_of(request)
    statement = capability_statement(response.software, request.base, response.interactions)
    return read_answer(request, (written(statement, syntax),), syntax, version=fingerprint(statement))
