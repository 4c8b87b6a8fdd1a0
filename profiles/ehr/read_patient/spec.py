"""Read of Patient."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.read_patient.audit import audit
from profiles.ehr.read_patient.codec import decode_request, encode_response
from profiles.ehr.read_patient.messages import ReadPatientRequest, ReadPatientResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

READ_PATIENT: FhirTransaction[ReadPatientRequest, ReadPatientResponse] = FhirTransaction(
    id="FHIR Patient read",
    name="Read a patient",
    section="FHIR R4 RESTful API; Patient",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=("/Patient/{id}",),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(resource="Patient", code="read", conditional_read=True),
)
