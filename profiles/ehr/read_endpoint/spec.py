"""Read of Endpoint."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.read_endpoint.audit import audit
from profiles.ehr.read_endpoint.codec import decode_request, encode_response
from profiles.ehr.read_endpoint.messages import ReadEndpointRequest, ReadEndpointResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

READ_ENDPOINT: FhirTransaction[ReadEndpointRequest, ReadEndpointResponse] = FhirTransaction(
    id="FHIR Endpoint read",
    name="Read an endpoint",
    section="FHIR R4 RESTful API; Endpoint",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=("/Endpoint/{id}",),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(resource="Endpoint", code="read", conditional_read=True),
)
