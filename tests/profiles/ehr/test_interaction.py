"""The audit records of all interactions, as the standard's schema and a reader see them."""

from dataclasses import replace

import pytest
from lxml import etree

from profiles.ehr.profile import TRANSACTIONS
from profiles.ehr.read_endpoint import READ_ENDPOINT
from profiles.ehr.read_imaging_study import READ_IMAGING_STUDY, ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.ehr.read_patient import READ_PATIENT, ReadPatientResponse
from profiles.ehr.search_imaging_studies import SEARCH_IMAGING_STUDIES, SearchImagingStudiesResponse
from profiles.ehr.search_patients import SEARCH_PATIENTS, SearchPatientsResponse
from profiles.errors import UnknownDocument
from profiles.model.audit import AuditRecord
from profiles.transaction import Side
from profiles.wire.audit.message import encode
from profiles.wire.audit.sentences import sentence
from tests.profiles.wire.fhir.samples import ANNA, INDEXED
from tests.support.fhir_house import FACTS
from tests.support.judges import standards

ASKED = replace(FACTS, query=b"GET https://valley.example/fhir/r4/ImagingStudy?status=available")
FAILED = replace(ASKED, error=UnknownDocument("no such study"))

RECORDS: list[tuple[AuditRecord, tuple[str, ...]]] = [
    (record, told)
    for records, told in [
        (
            SEARCH_IMAGING_STUDIES.audit(Side.RESPONDER, None, SearchImagingStudiesResponse(studies=(INDEXED,)), ASKED),
            ("EHR", "patient P1", "succeeded"),
        ),
        (
            SEARCH_IMAGING_STUDIES.audit(Side.RESPONDER, None, SearchImagingStudiesResponse(), ASKED),
            ("EHR", "asked valley.example", "succeeded"),
        ),
        (
            SEARCH_PATIENTS.audit(Side.RESPONDER, None, SearchPatientsResponse(patients=(ANNA,)), ASKED),
            ("EHR", "patient P1", "succeeded"),
        ),
        (
            READ_IMAGING_STUDY.audit(Side.RESPONDER, None, ReadImagingStudyResponse(study=INDEXED), ASKED),
            ("EHR", "study 1.2.3", "patient P1", "succeeded"),
        ),
        (
            READ_IMAGING_STUDY.audit(Side.RESPONDER, ReadImagingStudyRequest(study_instance_uid="1.2"), None, FAILED),
            ("EHR", "study 1.2", "failed: no such study"),
        ),
        (
            READ_PATIENT.audit(Side.RESPONDER, None, ReadPatientResponse(patient=ANNA), ASKED),
            ("EHR", "patient P1", "succeeded"),
        ),
        (
            READ_ENDPOINT.audit(Side.RESPONDER, None, None, ASKED),
            ("EHR", "asked valley.example", "succeeded"),
        ),
    ]
    for record in records
]


@pytest.mark.parametrize(("record", "told"), RECORDS)
def test_a_compliance_officer_reads_who_asked_about_whom_and_how_it_ended(
    record: AuditRecord, told: tuple[str, ...]
) -> None:
    assert [part for part in told if part not in sentence(record)] == []


@pytest.mark.judge_standard
def test_every_record_is_valid_by_the_schema_of_dicom() -> None:
    judge = etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd")))
    for record, _ in RECORDS:
        judge.assertValid(etree.fromstring(encode(record)))


def test_names_and_addresses_are_their_own() -> None:
    assert len({transaction.id for transaction in TRANSACTIONS}) == len(TRANSACTIONS)
    served = [(method, path) for each in TRANSACTIONS for path in each.paths for method in each.methods]
    assert len(set(served)) == len(served)
    assert {transaction.service for transaction in TRANSACTIONS} == {"fhir/r4"}
