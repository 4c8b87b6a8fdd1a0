from dataclasses import replace

from profiles.ehr.read_patient import READ_PATIENT, ReadPatientRequest, ReadPatientResponse
from profiles.errors import UnknownPatient
from profiles.model.audit import Action, Outcome
from profiles.transaction import Side
from tests.profiles.wire.fhir.samples import ANNA
from tests.support.fhir_house import FACTS

REQUEST = ReadPatientRequest(identifier=ANNA.identifiers[1])


def test_a_read_is_a_patient_record_that_was_read() -> None:
    (record,) = READ_PATIENT.audit(Side.RESPONDER, REQUEST, ReadPatientResponse(patient=ANNA), FACTS)
    assert (record.event.code, record.action, record.outcome) == ("110110", Action.READ, Outcome.SUCCESS)
    assert [each.id for each in record.objects] == ["P1^^^&2.16.756.5.30.1.1&ISO"]
    assert [each.is_requestor for each in record.participants] == [False, True]


def test_a_failure_names_whom_it_was_about() -> None:
    failed = replace(FACTS, error=UnknownPatient("nobody"))
    (record,) = READ_PATIENT.audit(Side.RESPONDER, REQUEST, None, failed)
    assert record.outcome is Outcome.MINOR_FAILURE
    assert [each.id for each in record.objects] == [str(ANNA.identifiers[1])]
    (unread,) = READ_PATIENT.audit(Side.RESPONDER, None, None, failed)
    assert unread.objects == ()
