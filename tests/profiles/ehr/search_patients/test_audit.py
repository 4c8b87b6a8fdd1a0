from dataclasses import replace

from profiles.ehr.search_patients import SEARCH_PATIENTS, SearchPatientsRequest, SearchPatientsResponse
from profiles.errors import Busy
from profiles.model.audit import Outcome
from profiles.transaction import Side
from tests.profiles.wire.fhir.samples import ANNA
from tests.support.fhir_house import FACTS

REQUEST = SearchPatientsRequest(conditions=((("P1", None),),))


def test_a_search_is_a_query_about_whom_it_found() -> None:
    (record,) = SEARCH_PATIENTS.audit(Side.RESPONDER, REQUEST, SearchPatientsResponse(patients=(ANNA,)), FACTS)
    assert record.event.code == "110112"
    assert [each.id for each in record.objects] == ["P1^^^&2.16.756.5.30.1.1&ISO", "Patient"]
    (nobody,) = SEARCH_PATIENTS.audit(Side.RESPONDER, REQUEST, SearchPatientsResponse(), FACTS)
    assert [each.id for each in nobody.objects] == ["Patient"]


def test_a_failure_is_recorded() -> None:
    (record,) = SEARCH_PATIENTS.audit(Side.RESPONDER, REQUEST, None, replace(FACTS, error=Busy("later")))
    assert record.outcome is Outcome.SERIOUS_FAILURE
