"""Search for ImagingStudy."""

from profiles.ehr.interaction import SERVICE, FhirTransaction
from profiles.ehr.search_imaging_studies.audit import audit
from profiles.ehr.search_imaging_studies.codec import PARAMETERS, decode_request, encode_response
from profiles.ehr.search_imaging_studies.messages import SearchImagingStudiesRequest, SearchImagingStudiesResponse
from profiles.transaction import Actor
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.capability import Interaction

SEARCH_IMAGING_STUDIES: FhirTransaction[SearchImagingStudiesRequest, SearchImagingStudiesResponse] = FhirTransaction(
    id="FHIR ImagingStudy search",
    name="Search for imaging studies",
    section="FHIR R4 Search; ImagingStudy",
    initiator=Actor.FHIR_CLIENT,
    responder=Actor.FHIR_SERVER,
    audit=audit,
    service=SERVICE,
    methods=("GET", "POST"),
    paths=("/ImagingStudy", "/ImagingStudy/_search"),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
    interaction=Interaction(
        resource="ImagingStudy",
        code="search-type",
        parameters=tuple(PARAMETERS.values()),
        includes=("ImagingStudy:endpoint", "ImagingStudy:patient", "ImagingStudy:subject"),
        documentation="GET and POST; newest first; paged by the next link; _sort by -started or -_lastUpdated",
    ),
)
