"""Search for Endpoint."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.search_endpoints.audit import audit
from profiles.ehr.search_endpoints.codec import PARAMETERS, decode_request, encode_response
from profiles.ehr.search_endpoints.messages import SearchEndpointsRequest, SearchEndpointsResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

SEARCH_ENDPOINTS: FhirTransaction[SearchEndpointsRequest, SearchEndpointsResponse] = FhirTransaction(
    id="FHIR Endpoint search",
    name="Search for endpoints",
    section="FHIR R4 Search; Endpoint",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET", "POST"),
    paths=("/Endpoint", "/Endpoint/_search"),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(resource="Endpoint", code="search-type", parameters=tuple(PARAMETERS.values())),
)
