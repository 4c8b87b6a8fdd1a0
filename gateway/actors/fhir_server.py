"""FHIR server: what an EHR asks. ImagingStudy, Patient and Endpoint, rendered from the one index."""

from gateway.actors.answering import answers
from gateway.model.house import House
from gateway.model.study import StudyRecord
from gateway.services.exchange import Exchange
from gateway.services.search import Search
from profiles.describe.capability import interactions_of
from profiles.ehr.capabilities import CAPABILITIES, CapabilitiesRequest, CapabilitiesResponse
from profiles.ehr.profile import TRANSACTIONS
from profiles.ehr.read_endpoint import READ_ENDPOINT, ReadEndpointRequest, ReadEndpointResponse
from profiles.ehr.read_imaging_study import READ_IMAGING_STUDY, ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.ehr.read_patient import READ_PATIENT, ReadPatientRequest, ReadPatientResponse
from profiles.ehr.search_endpoints import SEARCH_ENDPOINTS, SearchEndpointsRequest, SearchEndpointsResponse
from profiles.ehr.search_imaging_studies import (
    SEARCH_IMAGING_STUDIES,
    Detail,
    SearchImagingStudiesRequest,
    SearchImagingStudiesResponse,
)
from profiles.ehr.search_patients import SEARCH_PATIENTS, SearchPatientsRequest, SearchPatientsResponse
from profiles.errors import UnknownDocument
from profiles.findings import Finding, Severity
from profiles.wire.fhir.capability import Software
from profiles.wire.fhir.endpoint import endpoints_of
from profiles.wire.fhir.imaging_study import IndexedStudy, Instances


class FhirServer:
    """Answers in model terms; resources are the wire's."""

    def __init__(self, *, house: House, search: Search, software: Software) -> None:
        """`software` describes us in the CapabilityStatement."""
        self._search = search
        self._software = software
        self._zone = house.zone
        self._endpoints = endpoints_of(
            dicomweb=house.dicomweb_url,
            imaging_source=f"{house.base_url}/soap/imaging-source",
            retrieve_location_uid=house.retrieve_location_uid,
        )

    @answers(CAPABILITIES)
    async def capabilities(self, request: CapabilitiesRequest, exchange: Exchange) -> CapabilitiesResponse:
        """What we do, made from the transactions that we serve."""
        return CapabilitiesResponse(software=self._software, interactions=interactions_of(TRANSACTIONS))

    @answers(SEARCH_IMAGING_STUDIES)
    async def search_imaging_studies(
        self, request: SearchImagingStudiesRequest, exchange: Exchange
    ) -> SearchImagingStudiesResponse:
        """A page of studies."""
        request = request.in_zone(self._zone)
        page = await self._search.studies(
            request.criteria, exchange, count=request.count_matches, instances=request.detail is Detail.INSTANCES
        )
        instances = Instances.LISTED if request.detail is Detail.INSTANCES else Instances.COUNTED
        return SearchImagingStudiesResponse(
            studies=() if request.detail is Detail.COUNT else tuple(indexed(each, instances) for each in page.records),
            total=page.total,
            next=page.records[-1].page_key(request.criteria.order) if page.more and page.records else None,
            endpoints=self._endpoints,
            warnings=tuple(
                Finding(rule="index.incomplete", text=text, severity=Severity.WARNING, code="incomplete")
                for text in self._search.warnings
            ),
        )

    @answers(READ_IMAGING_STUDY)
    async def read_imaging_study(
        self, request: ReadImagingStudyRequest, exchange: Exchange
    ) -> ReadImagingStudyResponse:
        """One study."""
        record = await self._search.study(request.study_instance_uid, exchange)
        return ReadImagingStudyResponse(study=indexed(record, Instances.LISTED), endpoints=self._endpoints)

    @answers(SEARCH_PATIENTS)
    async def search_patients(self, request: SearchPatientsRequest, exchange: Exchange) -> SearchPatientsResponse:
        """Everybody who matches."""
        candidates = await self._search.patients(request.candidates, exchange)
        found = tuple(patient for patient in candidates if request.matches(patient))
        exchange.learned.patients = tuple(patient.identifiers[0] for patient in found)
        return SearchPatientsResponse(patients=found)

    @answers(READ_PATIENT)
    async def read_patient(self, request: ReadPatientRequest, exchange: Exchange) -> ReadPatientResponse:
        """One patient."""
        return ReadPatientResponse(patient=await self._search.patient(request.identifier, exchange))

    @answers(SEARCH_ENDPOINTS)
    async def search_endpoints(self, request: SearchEndpointsRequest, exchange: Exchange) -> SearchEndpointsResponse:
        """Those of our addresses that match."""
        return SearchEndpointsResponse(endpoints=tuple(filter(request.matches, self._endpoints)))

    @answers(READ_ENDPOINT)
    async def read_endpoint(self, request: ReadEndpointRequest, exchange: Exchange) -> ReadEndpointResponse:
        """One address of ours."""
        found = next((each for each in self._endpoints if each.id == request.endpoint_id), None)
        if found is None:
            raise UnknownDocument("no such endpoint")
        return ReadEndpointResponse(endpoint=found)


def indexed(record: StudyRecord, instances: Instances) -> IndexedStudy:
    """A record of the index, as the wire takes it."""
    return IndexedStudy(
        study=record.study,
        status=record.status.value,
        updated=record.updated_at,
        version=record.version,
        instances=instances,
        counts=record.instance_counts,
    )
