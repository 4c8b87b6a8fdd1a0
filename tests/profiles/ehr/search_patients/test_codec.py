import json
from dataclasses import replace

import pytest

from profiles.ehr.search_patients import SEARCH_PATIENTS, SearchPatientsRequest, SearchPatientsResponse
from profiles.errors import MalformedMessage, Unsupported
from profiles.model.identifiers import PatientIdentifier
from profiles.wire.fhir.patient import patient_id_of
from profiles.wire.http import HttpIn
from tests.profiles.wire.fhir.samples import ANNA, BASE, HOSPITAL

SEVERAL = tuple(
    replace(ANNA, identifiers=(PatientIdentifier(value=f"P{number}", authority=HOSPITAL),)) for number in range(7)
)


def asked(*pairs: tuple[str, str]) -> HttpIn:
    return HttpIn(path="/Patient", base=BASE, query=pairs)


def decode(*pairs: tuple[str, str]) -> SearchPatientsRequest:
    return SEARCH_PATIENTS.decode_request(asked(*pairs)).value


def test_identifiers_and_ids_are_conditions() -> None:
    anna = ANNA.identifiers[0]
    assert decode(("identifier", f"urn:oid:{HOSPITAL}|P1,X"), ("_id", patient_id_of(anna))).conditions == (
        (("P1", HOSPITAL), ("X", None)),
        (("P1", HOSPITAL),),
    )
    assert decode(("identifier", "http://x|P1")).conditions == ((),)  # met by nobody


@pytest.mark.parametrize("pairs", [(), (("family", "M"),), (("identifier", ""),), (("identifier", "urn:oid:1.2|"),)])
def test_nobody_may_ask_for_everybody(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises((Unsupported, MalformedMessage)):
        decode(*pairs)


def test_all_conditions_hold() -> None:
    def matches(*conditions: tuple[tuple[str, str | None], ...]) -> bool:
        return SearchPatientsRequest(conditions=conditions).matches(ANNA)

    assert matches((("P1", HOSPITAL),))
    assert matches((("P1", None),), (("77/a", None),))
    assert not matches((("P1", "1.2.3.9"),))
    assert not matches((("P1", None),), (("P2", None),))
    assert not matches(())


def test_the_shortest_condition_says_where_to_look() -> None:
    request = SearchPatientsRequest(conditions=((("a", None), ("b", None)), (("c", None),)))
    assert request.candidates == (("c", None),)


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_pages_hold_everybody_once(count: int) -> None:
    seen: list[str] = []
    pairs: tuple[tuple[str, str], ...] = (("identifier", "x"), ("_count", str(count)))
    for _ in range(10):
        SEARCH_PATIENTS.decode_request(asked(*pairs))
        out = SEARCH_PATIENTS.encode_response(SearchPatientsResponse(patients=SEVERAL), asked(*pairs))
        assert out.body is not None
        bundle = json.loads(out.body)
        assert bundle["total"] == 7
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        onward = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not onward:
            break
        pairs = (*pairs[:2], ("_page", onward[0].rpartition("_page=")[2]))
    assert sorted(seen) == sorted(patient_id_of(each.identifiers[0]) for each in SEVERAL)
