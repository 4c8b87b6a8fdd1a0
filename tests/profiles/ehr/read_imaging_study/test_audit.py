from dataclasses import replace

from profiles.ehr.read_imaging_study import READ_IMAGING_STUDY, ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.errors import UnknownDocument
from profiles.model.audit import Action, Outcome
from profiles.transaction import Side
from tests.profiles.wire.fhir.samples import INDEXED
from tests.support.fhir_house import FACTS

REQUEST = ReadImagingStudyRequest(study_instance_uid="1.2.3")


def test_a_read_names_the_study_its_accessions_and_its_patient() -> None:
    (record,) = READ_IMAGING_STUDY.audit(Side.RESPONDER, REQUEST, ReadImagingStudyResponse(study=INDEXED), FACTS)
    assert (record.event.code, record.action, record.outcome) == ("110103", Action.READ, Outcome.SUCCESS)
    patient, study = record.objects
    assert patient.id == "P1^^^&2.16.756.5.30.1.1&ISO"
    assert (study.id, study.accessions) == ("1.2.3", ("A42", "B 7"))
    assert study.sop_classes == (("1.2.840.10008.5.1.4.1.1.2", 3), ("1.2.840.10008.5.1.4.1.1.88.33", 1))


def test_the_server_is_the_source_of_what_is_read_and_the_client_asked() -> None:
    (record,) = READ_IMAGING_STUDY.audit(Side.RESPONDER, REQUEST, ReadImagingStudyResponse(study=INDEXED), FACTS)
    source, destination = record.participants
    assert (source.user_id, source.is_requestor, source.roles[0].code) == (FACTS.local.user_id, False, "110153")
    assert (destination.user_id, destination.is_requestor, destination.roles[0].code) == ("EHR", True, "110152")


def test_a_failure_names_what_was_asked_for() -> None:
    failed = replace(FACTS, error=UnknownDocument("no such study"))
    (record,) = READ_IMAGING_STUDY.audit(Side.RESPONDER, REQUEST, None, failed)
    assert record.outcome is Outcome.MINOR_FAILURE
    assert [each.id for each in record.objects] == ["1.2.3"]
    (unread,) = READ_IMAGING_STUDY.audit(Side.RESPONDER, None, None, failed)
    assert unread.objects == ()
