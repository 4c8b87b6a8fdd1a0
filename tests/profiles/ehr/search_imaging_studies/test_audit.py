from dataclasses import replace

from profiles.ehr.search_imaging_studies import (
    SEARCH_IMAGING_STUDIES,
    SearchImagingStudiesRequest,
    SearchImagingStudiesResponse,
)
from profiles.errors import AccessDenied, Busy
from profiles.model.audit import Action, Outcome
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import StudyCriteria
from profiles.transaction import Side
from tests.profiles.wire.fhir.samples import HOSPITAL, INDEXED
from tests.support.fhir_house import FACTS

REQUEST = SearchImagingStudiesRequest(criteria=StudyCriteria())
OTHER = replace(
    INDEXED,
    study=replace(
        INDEXED.study,
        patient=replace(INDEXED.study.patient, identifiers=(PatientIdentifier(value="P2", authority=HOSPITAL),)),
    ),
)
ASKED = replace(FACTS, query=b"GET https://valley.example/fhir/r4/ImagingStudy?status=available")


def test_one_record_for_each_patient_of_the_page() -> None:
    response = SearchImagingStudiesResponse(studies=(INDEXED, OTHER, INDEXED))
    records = SEARCH_IMAGING_STUDIES.audit(Side.RESPONDER, REQUEST, response, ASKED)
    assert [record.objects[0].id for record in records] == [
        "P1^^^&2.16.756.5.30.1.1&ISO",
        "P2^^^&2.16.756.5.30.1.1&ISO",
    ]
    for record in records:
        assert (record.event.code, record.action, record.outcome) == ("110112", Action.EXECUTE, Outcome.SUCCESS)
        assert record.objects[1].query == ASKED.query


def test_the_client_is_the_source_of_the_question_on_both_sides() -> None:
    for side, client in ((Side.RESPONDER, "EHR"), (Side.INITIATOR, "https://valley.example/fhir/r4")):
        (record,) = SEARCH_IMAGING_STUDIES.audit(side, REQUEST, SearchImagingStudiesResponse(), ASKED)
        source, destination = record.participants
        assert (source.user_id, source.is_requestor, source.roles[0].code) == (client, True, "110153")
        assert (destination.is_requestor, destination.roles[0].code) == (False, "110152")


def test_a_search_that_found_nobody_is_one_record_without_a_patient() -> None:
    (record,) = SEARCH_IMAGING_STUDIES.audit(Side.RESPONDER, REQUEST, SearchImagingStudiesResponse(), ASKED)
    assert [each.role for each in record.objects] == [24]


def test_a_failure_is_recorded_with_its_outcome() -> None:
    for error, outcome in ((AccessDenied("may not"), Outcome.MINOR_FAILURE), (Busy("later"), Outcome.SERIOUS_FAILURE)):
        (record,) = SEARCH_IMAGING_STUDIES.audit(Side.RESPONDER, None, None, replace(ASKED, error=error))
        assert record.outcome is outcome
        assert record.outcome_description == error.detail
        assert record.objects[0].query == ASKED.query
