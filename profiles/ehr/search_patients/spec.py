"""Search for Patient."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.search_patients.audit import audit
from profiles.ehr.search_patients.codec import PARAMETERS, decode_request, encode_response
from profiles.ehr.search_patients.messages import SearchPatientsRequest, SearchPatientsResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

SEARCH_PATIENTS: FhirTransaction[SearchPatientsRequest, SearchPatientsResponse] = FhirTransaction(
    id="FHIR Patient search",
    name="Search for patients",
    section="FHIR R4 Search; Patient",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET", "POST"),
    paths=("/Patient", "/Patient/_search"),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(
        resource="Patient",
        code="search-type",
        parameters=tuple(PARAMETERS.values()),
        documentation="GET and POST, by identifier or _id",
    ),
)
