"""A FHIR server over a list of studies, for tests of codecs and of the listener."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from gateway.actors.answering import Answering, answers
from gateway.inbound.turn import Answered
from gateway.model.peer import Caller
from gateway.services.exchange import Exchange
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
from profiles.errors import ExchangeError, InternalFault, UnknownDocument, UnknownPatient
from profiles.findings import Decoded, Finding
from profiles.model.audit import AuditRecord
from profiles.model.patient import Patient
from profiles.model.query import PageKey, StudyCriteria
from profiles.transaction import Facts, Party, Side, User
from profiles.wire.fhir.capability import Software
from profiles.wire.fhir.endpoint import Endpoint
from profiles.wire.fhir.imaging_study import IndexedStudy, without_instances

SOFTWARE = Software(
    name="radgate", version="0.1.0", published=datetime(2026, 11, 24, tzinfo=UTC), description="a test house"
)


def _page_key(indexed: IndexedStudy) -> PageKey:
    started = indexed.study.started
    return PageKey(
        value=started.at.astimezone(UTC).isoformat() if started else "",
        study_instance_uid=indexed.study.study_instance_uid,
    )


def _place(key: PageKey) -> tuple[float, str]:
    """Newest first, undated last, then by UID."""
    at = -datetime.fromisoformat(key.value).timestamp() if key.value else float("inf")
    return at, key.study_instance_uid


def meets(indexed: IndexedStudy, criteria: StudyCriteria) -> bool:
    """Whether a study is meant, for the conditions that the tests use."""
    study = indexed.study
    patient = {(each.value, authority) for each in study.patient.identifiers for authority in (each.authority, None)}
    accessions = {(each.value, authority) for each in study.accession_numbers for authority in (each.authority, None)}
    return (
        (not criteria.study_instance_uids or study.study_instance_uid in criteria.study_instance_uids)
        and (not criteria.patient_ids or bool(patient & set(criteria.patient_ids)))
        and (not criteria.accession_numbers or bool(accessions & set(criteria.accession_numbers)))
        and (not criteria.modalities or bool(set(study.modalities) & set(criteria.modalities)))
        and (not criteria.statuses or indexed.status in criteria.statuses)
    )


@dataclass
class ListedServer:
    """Answers from its list. `broken` is raised instead of an answer."""

    studies: list[IndexedStudy] = field(default_factory=list)
    patients: list[Patient] = field(default_factory=list)
    endpoints: tuple[Endpoint, ...] = ()
    warnings: tuple[Finding, ...] = ()
    broken: Exception | None = None

    @answers(CAPABILITIES)
    async def capabilities(self, request: CapabilitiesRequest, exchange: Exchange) -> CapabilitiesResponse:
        return CapabilitiesResponse(software=SOFTWARE, interactions=tuple(each.interaction for each in TRANSACTIONS))

    @answers(SEARCH_IMAGING_STUDIES)
    async def search_imaging_studies(
        self, request: SearchImagingStudiesRequest, exchange: Exchange
    ) -> SearchImagingStudiesResponse:
        if self.broken is not None:
            raise self.broken
        criteria = request.criteria
        matches = sorted(
            (each for each in self.studies if meets(each, criteria)), key=lambda each: _place(_page_key(each))
        )
        after = criteria.after
        rest = [each for each in matches if after is None or _place(_page_key(each)) > _place(after)]
        page = rest[: criteria.limit]
        if request.detail is not Detail.INSTANCES:
            page = [without_instances(each) for each in page]
        return SearchImagingStudiesResponse(
            studies=tuple(page),
            total=len(matches) if request.count_matches else None,
            next=_page_key(page[-1]) if len(page) < len(rest) else None,
            endpoints=self.endpoints,
            warnings=self.warnings,
        )

    @answers(READ_IMAGING_STUDY)
    async def read_imaging_study(
        self, request: ReadImagingStudyRequest, exchange: Exchange
    ) -> ReadImagingStudyResponse:
        for each in self.studies:
            if each.study.study_instance_uid == request.study_instance_uid:
                return ReadImagingStudyResponse(study=each, endpoints=self.endpoints)
        raise UnknownDocument("no such study")

    @answers(SEARCH_PATIENTS)
    async def search_patients(self, request: SearchPatientsRequest, exchange: Exchange) -> SearchPatientsResponse:
        return SearchPatientsResponse(patients=tuple(filter(request.matches, self.patients)))

    @answers(READ_PATIENT)
    async def read_patient(self, request: ReadPatientRequest, exchange: Exchange) -> ReadPatientResponse:
        for each in self.patients:
            if request.identifier in each.identifiers:
                return ReadPatientResponse(patient=each)
        raise UnknownPatient("no such patient")

    @answers(SEARCH_ENDPOINTS)
    async def search_endpoints(self, request: SearchEndpointsRequest, exchange: Exchange) -> SearchEndpointsResponse:
        return SearchEndpointsResponse(endpoints=tuple(filter(request.matches, self.endpoints)))

    @answers(READ_ENDPOINT)
    async def read_endpoint(self, request: ReadEndpointRequest, exchange: Exchange) -> ReadEndpointResponse:
        for each in self.endpoints:
            if each.id == request.endpoint_id:
                return ReadEndpointResponse(endpoint=each)
        raise UnknownDocument("no such endpoint")


@dataclass
class PlainTurns:
    """Turns without a store: decode, answer, and keep the audit records that would have been written."""

    records: list[AuditRecord] = field(default_factory=list)
    refusals: list[ExchangeError] = field(default_factory=list)
    queries: list[bytes] = field(default_factory=list)
    sent_bytes: int = 0

    @asynccontextmanager
    async def answer(
        self,
        answering: Answering[Any, Any],
        caller: Caller,
        decode: Callable[[], Decoded[Any]],
        *,
        query: bytes | None = None,
        raw: bytes = b"",
        received_bytes: int = 0,
        user: User | None = None,
        message_id: str = "",
    ) -> AsyncIterator[Answered[Any]]:
        answered: Answered[Any] = Answered(exchange_id="exchange-1")
        self.queries.append(query or b"")
        request = None
        try:
            request = decode().value
            answered.response = await answering.method(request, None)  # type: ignore[arg-type]
        except ExchangeError as error:
            answered.error = error
        except Exception:
            answered.error = InternalFault("this house has a defect; it was logged")
        self.records += answering.transaction.audit(
            Side.RESPONDER, request, answered.response, replace(FACTS, query=query, error=answered.error)
        )
        yield answered
        self.sent_bytes += answered.sent_bytes

    async def refused(
        self,
        caller: Caller,
        wire: str,
        error: ExchangeError,
        *,
        raw: bytes = b"",
        transaction_id: str = "",
        claimed: str = "",
    ) -> None:
        self.refusals.append(error)


FACTS = Facts(
    at=datetime(2026, 11, 24, 7, 0, tzinfo=UTC),
    source_id="Valley",
    local=Party(user_id="https://valley.example/fhir/r4", network_address="10.0.0.1", process_id="42"),
    remote=Party(user_id="EHR", network_address="10.0.0.2"),
)


def uids(bundle: dict[str, Any]) -> Sequence[str]:
    """The ids of the matches of a page."""
    return [entry["resource"]["id"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]
