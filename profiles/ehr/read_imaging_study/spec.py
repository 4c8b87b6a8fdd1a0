"""Read of ImagingStudy."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.read_imaging_study.audit import audit
from profiles.ehr.read_imaging_study.codec import decode_request, encode_response
from profiles.ehr.read_imaging_study.messages import ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

READ_IMAGING_STUDY: FhirTransaction[ReadImagingStudyRequest, ReadImagingStudyResponse] = FhirTransaction(
    id="FHIR ImagingStudy read",
    name="Read an imaging study",
    section="FHIR R4 RESTful API; ImagingStudy",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=("/ImagingStudy/{id}",),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(resource="ImagingStudy", code="read", conditional_read=True, versioned=True),
)
