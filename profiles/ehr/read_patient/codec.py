"""The read as FHIR writes it.

Source: HL7 FHIR R4, RESTful API (read); Patient.
"""

from profiles.ehr.read_patient.messages import ReadPatientRequest, ReadPatientResponse
from profiles.errors import UnknownPatient
from profiles.findings import Decoded
from profiles.wire.fhir.answer import fingerprint, read_answer
from profiles.wire.fhir.media import syntax_of, view_of, written
from profiles.wire.fhir.patient import MANDATORY, identifier_of, patient_resource
from profiles.wire.http import HttpIn, HttpOut


def decode_request(request: HttpIn) -> Decoded[ReadPatientRequest]:
    """Read the identifier out of the id.

    Raises:
        UnknownPatient: The id was not made by us.
    """
    syntax_of(request)
    view_of(request.query)
    identifier = identifier_of(request.variables["id"])
    if identifier is None:
        raise UnknownPatient("no such patient is known here", location="Patient.id")
    return Decoded(ReadPatientRequest(identifier=identifier))


def encode_response(response: ReadPatientResponse, request: HttpIn) -> HttpOut:
    """Write the resource, or 304. Patients have no version of their own; the content is it."""
    syntax = syntax_of(request)
    resource = patient_resource(response.patient)
    shown = view_of(request.query).of(resource, MANDATORY)
    return read_answer(request, (written(shown, syntax),), syntax, version=fingerprint(resource))
