from dataclasses import replace

from profiles.ehr.read_endpoint import READ_ENDPOINT
from profiles.errors import AccessDenied
from profiles.model.audit import Outcome
from profiles.transaction import Side
from tests.support.fhir_house import FACTS


def test_a_question_about_an_address_is_a_record_without_a_patient() -> None:
    (record,) = READ_ENDPOINT.audit(Side.RESPONDER, None, None, FACTS)
    assert record.event.code == "110112"
    assert [each.id for each in record.objects] == ["Endpoint"]


def test_who_may_not_ask_is_recorded() -> None:
    (record,) = READ_ENDPOINT.audit(Side.RESPONDER, None, None, replace(FACTS, error=AccessDenied("may not")))
    assert record.outcome is Outcome.MINOR_FAILURE
