"""Capabilities."""

from profiles.ehr.capabilities.audit import audit
from profiles.ehr.capabilities.codec import decode_request, encode_response
from profiles.ehr.capabilities.messages import CapabilitiesRequest, CapabilitiesResponse
from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

CAPABILITIES: FhirTransaction[CapabilitiesRequest, CapabilitiesResponse] = FhirTransaction(
    id="FHIR capabilities",
    name="Capabilities of the FHIR server",
    section="FHIR R4 RESTful API; ITI TF-2 Z.3",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=("/metadata",),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(resource="", code="capabilities"),
)
