"""RAD-129: parameters to criteria, rows to DICOM JSON, paging, audit."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage, Unsupported
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.transaction import Side
from profiles.wia.rad129 import RAD_129, Condition, Level, SearchRequest, SearchResponse, SearchRow
from profiles.wire.http import HttpIn
from tests.profiles.wia.facts import facts

BASE = "https://valley.example/dicomweb"
CT, SR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.88.33")


def http(path: str, *query: tuple[str, str], **variables: str) -> HttpIn:
    return HttpIn(path=path, query=query, variables=variables, base=BASE)


def asked(path: str, *query: tuple[str, str], **variables: str) -> SearchRequest:
    return RAD_129.decode_request(http(path, *query, **variables)).value


PATIENT = Patient(
    identifiers=(PatientIdentifier(value="V-1", authority=Oid("1.2.3.4")),),
    name=PersonName(family="Müller", given="Zoë", ideographic="山田^太郎"),
    birth_date=Moment.from_dtm("19700102"),
    sex=Sex.FEMALE,
)
STUDY = Study(
    study_instance_uid=Uid("1.2.1"),
    patient=PATIENT,
    accession_numbers=(AccessionNumber(value="A1", authority=Oid("1.2.3.5")),),
    study_id="S1",
    started=Moment.from_dtm("20240102030405+0100"),
    description="CT head",
    series=(
        Series(
            series_instance_uid=Uid("1.2.1.1"),
            modality="CT",
            number=3,
            description="axial",
            started=Moment.from_dtm("20240102031000+0100"),
            instances=tuple(
                Instance(sop_instance_uid=Uid(f"1.2.1.1.{each}"), sop_class_uid=CT, number=each, rows=512, columns=256)
                for each in (1, 2, 3)
            ),
        ),
        Series(
            series_instance_uid=Uid("1.2.1.2"),
            modality="SR",
            instances=(Instance(sop_instance_uid=Uid("1.2.1.2.1"), sop_class_uid=SR),),
        ),
    ),
)
COUNTS = {"1.2.1.1": 3, "1.2.1.2": 1}


# --- parameters -------------------------------------------------------------------------------------------------------


def test_match_keys_become_criteria() -> None:
    found = asked(
        "/studies",
        ("PatientID", "V-1"),
        ("00100021", "1.2.3.4"),
        ("PatientName", "Mül*"),
        ("AccessionNumber", "A1"),
        ("IssuerOfAccessionNumberSequence.UniversalEntityID", "1.2.3.5"),
        ("StudyDate", "20240101-20240131"),
        ("ModalitiesInStudy", "CT,MR"),
        ("StudyInstanceUID", "1.2.1,1.2.2"),
        ("StudyID", "S1"),
        ("StudyDescription", "*head*"),
        ("ReferringPhysicianName", "House*"),
        ("limit", "10"),
        ("offset", "20"),
    )
    criteria = found.criteria
    assert found.direct
    assert criteria.patient_ids == (("V-1", "1.2.3.4"),)
    assert criteria.patient_name == "Mül*"
    assert criteria.accession_numbers == (("A1", "1.2.3.5"),)
    assert criteria.started == (("ge", Moment.from_dtm("20240101")), ("le", Moment.from_dtm("20240131")))
    assert criteria.modalities == ("CT", "MR")
    assert criteria.study_instance_uids == ("1.2.1", "1.2.2")
    assert (criteria.study_id, criteria.description, criteria.referring_physician) == ("S1", "*head*", "House*")
    assert (criteria.limit, criteria.offset) == (10, 20) == (found.limit, found.offset)
    assert found.unsupported == ()


def test_empty_and_universal_keys_are_no_condition() -> None:
    found = asked("/studies", ("PatientName", "*"), ("PatientID", ""))
    assert found.criteria == asked("/studies").criteria
    assert found.direct


def test_what_the_index_does_not_decide_is_looked_through() -> None:
    found = asked("/studies", ("PatientID", "V-*"), ("StudyTime", "03-04"), ("PatientBirthDate", "1970-"))
    assert not found.direct
    assert {each.keyword for each in found.conditions} == {"PatientID", "StudyTime", "PatientBirthDate"}
    assert found.scan().offset == 0


def test_keys_of_lower_levels_find_studies_too() -> None:
    found = asked("/studies", ("SOPInstanceUID", "1.2.1.1.2"), ("Modality", "CT"))
    assert found.needs_instances
    assert found.criteria.sop_instance_uids == ("1.2.1.1.2",)
    assert [row.study for row in found.rows_of(STUDY, COUNTS)] == [STUDY]
    assert not list(asked("/studies", ("SOPInstanceUID", "9.9")).rows_of(STUDY, COUNTS))


def test_the_path_and_the_parameter_must_both_hold() -> None:
    assert asked("/studies/1.2.1/series", study="1.2.1").criteria.study_instance_uids == ("1.2.1",)
    both = asked("/studies/1.2.1/series", ("StudyInstanceUID", "9.9"), study="1.2.1")
    assert both.criteria.study_instance_uids == ("0.0",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NoSuchKeyword", "1"),
        ("limit", "-1"),
        ("limit", "x"),
        ("offset", "1e9"),
        ("StudyDate", "yesterday"),
        ("StudyDate", "20241399"),
        ("StudyInstanceUID", ",".join(["1.2"] * 1001)),
        ("fuzzymatching", "maybe"),
        ("emptyvaluematching", ""),
    ],
)
def test_parameters_that_make_no_sense_are_bad_requests(name: str, value: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        asked("/studies", (name, value))
    assert raised.value.location == name


def test_an_attribute_twice_is_a_bad_request() -> None:
    with pytest.raises(MalformedMessage):
        asked("/studies", ("PatientID", "1"), ("00100020", "2"))


def test_what_is_not_supported_is_answered_with_a_warning() -> None:
    found = asked("/studies", ("fuzzymatching", "true"), ("PatientAge", "045Y"), ("includefield", "all,00081030"))
    assert found.unsupported == ("fuzzymatching", "PatientAge")
    assert found.include == {"all", "00081030"}
    assert asked("/studies", ("fuzzymatching", "false")).unsupported == ()


def test_an_answer_in_a_strange_media_type_is_not_acceptable() -> None:
    with pytest.raises(Unsupported):
        RAD_129.decode_request(HttpIn(path="/studies", headers={"accept": "text/html"}))


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_level_that_fit() -> None:
    series = asked("/studies/1.2.1/series", ("Modality", "CT"), study="1.2.1")
    assert [row.series.series_instance_uid for row in series.rows_of(STUDY, COUNTS) if row.series] == ["1.2.1.1"]
    instances = asked("/studies/1.2.1/instances", ("SOPClassUID", f"{SR},{CT}"), ("InstanceNumber", "2"), study="1.2.1")
    assert [row.instance.sop_instance_uid for row in instances.rows_of(STUDY, COUNTS) if row.instance] == ["1.2.1.1.2"]
    of_series = asked("/x/instances", study="1.2.1", series="1.2.1.2")
    assert [row.instance.sop_instance_uid for row in of_series.rows_of(STUDY, COUNTS) if row.instance] == ["1.2.1.2.1"]


def test_a_series_on_its_way_is_found_and_shown_with_the_modality_that_is_expected() -> None:
    on_its_way = replace(
        STUDY,
        series=tuple(
            replace(each, modality="", expected_modality=guess, instances=())
            for each, guess in zip(STUDY.series, ("CT", ""), strict=True)
        ),
    )
    found = asked("/studies/1.2.1/series", ("Modality", "CT"), study="1.2.1")
    rows = list(found.rows_of(on_its_way, {}))
    assert [row.series.series_instance_uid for row in rows if row.series] == ["1.2.1.1"]
    ((shown,), _) = answered(http("/studies/1.2.1/series", study="1.2.1"), SearchResponse(rows=tuple(rows)))
    assert values(shown, "00080060") == [["CT"]]
    of_study = tuple(asked("/studies").rows_of(on_its_way, {}))
    ((shown,), _) = answered(http("/studies"), SearchResponse(rows=of_study))
    assert values(shown, "00080061") == [["CT"]]


@pytest.mark.parametrize(
    ("keyword", "pattern", "fits"),
    [
        ("StudyTime", "03", True),
        ("StudyTime", "0300-0310", True),
        ("StudyTime", "-0304", True),
        ("StudyTime", "0305-", False),
        ("PatientBirthDate", "19700102", True),
        ("PatientBirthDate", "19700103-", False),
        ("SeriesDescription", "ax?al", True),
        ("SeriesDescription", "ax[i]al", False),
        ("SeriesNumber", "3", True),
        ("PatientID", "V-*", True),
        ("PatientID", "*-2", False),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33", True),
        ("InstanceNumber", "4", False),
    ],
)
def test_conditions_are_decided_on_what_was_found(keyword: str, pattern: str, fits: bool) -> None:
    request = SearchRequest(level=Level.STUDY, conditions=(Condition(keyword=keyword, patterns=(pattern,)),))
    assert bool(list(request.rows_of(STUDY, COUNTS))) is fits


@given(total=st.integers(0, 40), limit=st.integers(1, 15))
def test_pages_lose_and_double_nothing(total: int, limit: int) -> None:
    rows = [SearchRow(study=STUDY, counts={str(number): number}) for number in range(total)]
    seen: list[SearchRow] = []
    offset = 0
    while True:
        page, remaining = SearchRequest(level=Level.STUDY, limit=limit, offset=offset).page(rows)
        assert remaining == max(0, total - offset - len(page))
        seen += page
        offset += limit
        if not remaining:
            break
    assert seen == rows


# --- answers ----------------------------------------------------------------------------------------------------------


def answered(request: HttpIn, response: SearchResponse) -> tuple[list[dict[str, Any]], dict[str, str]]:
    out = RAD_129.encode_response(response, request)
    assert out.media_type == "application/dicom+json"
    return json.loads(out.body or b""), dict(out.headers)


def values(attributes: dict[str, Any], *tags: str) -> list[Any]:
    return [attributes[tag].get("Value") for tag in tags]


def test_a_study_has_every_attribute_that_must_be_there() -> None:
    request = http("/studies")
    ((study,), headers) = answered(request, SearchResponse(rows=(SearchRow(study=STUDY, counts=COUNTS),)))
    assert list(study) == sorted(study)
    assert values(study, "00080020", "00080030", "00080201") == [["20240102"], ["030405"], ["+0100"]]
    assert values(study, "00080050", "00080061", "00081030") == [["A1"], ["CT", "SR"], ["CT head"]]
    assert study["00080051"]["Value"][0]["00400032"]["Value"] == ["1.2.3.5"]
    assert study["00080090"] == {"vr": "PN"}  # required, and without a value: there and empty
    assert study["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë", "Ideographic": "山田^太郎"}]
    assert values(study, "00100020", "00100021", "00100030", "00100040") == [["V-1"], ["1.2.3.4"], ["19700102"], ["F"]]
    assert values(study, "0020000D", "00200010", "00201206", "00201208") == [["1.2.1"], ["S1"], [2], [4]]
    assert values(study, "00081190", "00080056") == [[f"{BASE}/studies/1.2.1"], ["ONLINE"]]
    assert headers == {}


def test_series_and_instances_have_theirs() -> None:
    first = STUDY.series[0]
    row = SearchRow(study=STUDY, series=first, counts=COUNTS)
    ((series,), _) = answered(http("/studies/1.2.1/series", study="1.2.1"), SearchResponse(rows=(row,)))
    assert values(series, "00080060", "0008103E", "0020000E", "00200011", "00201209") == [
        ["CT"], ["axial"], ["1.2.1.1"], [3], [3],
    ]  # fmt: skip
    assert values(series, "00081190", "0020000D") == [[f"{BASE}/studies/1.2.1/series/1.2.1.1"], ["1.2.1"]]
    assert "00100010" not in series
    row = SearchRow(study=STUDY, series=first, instance=first.instances[1], counts=COUNTS, available=False)
    ((instance,), _) = answered(http("/instances"), SearchResponse(rows=(row,)))
    assert values(instance, "00080016", "00080018", "00200013") == [[str(CT)], ["1.2.1.1.2"], [2]]
    assert values(instance, "00280010", "00280011", "00080056") == [[512], [256], ["OFFLINE"]]
    assert instance["00081190"]["Value"] == [f"{BASE}/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.2"]
    assert instance["00100020"]["Value"] == ["V-1"]  # a search without a study in its path says whose it is


def test_nothing_is_204_and_not_an_empty_array() -> None:
    out = RAD_129.encode_response(SearchResponse(), http("/studies"))
    assert (out.status, out.body) == (204, b"")


@pytest.mark.parametrize(
    ("remaining", "text"),
    [(7, "There are 7 additional results that can be requested"), (None, "There are additional results")],
)
def test_what_remains_is_said(remaining: int | None, text: str) -> None:
    response = SearchResponse(
        rows=(SearchRow(study=STUDY),), remaining=remaining, warnings=("The index is incomplete.",)
    )
    out = RAD_129.encode_response(response, http("/studies"))
    warnings = [value for name, value in out.headers if name == "Warning"]
    assert warnings[0].startswith(f'299 {BASE}: "{text}')
    assert "The index is incomplete." in warnings[1]


# --- audit ------------------------------------------------------------------------------------------------------------


def test_a_search_is_a_query_for_each_patient_found() -> None:
    response = SearchResponse(rows=(SearchRow(study=STUDY), SearchRow(study=STUDY)))
    asked_for = facts(studies=(), patients=(), query=b"/dicomweb/studies?PatientID=V-1")
    (record,) = RAD_129.audit(Side.RESPONDER, asked("/studies"), response, asked_for)
    assert (record.event.code, record.action, record.outcome) == ("110112", "E", 0)
    patient, query = record.objects
    assert patient.id == "V-1^^^&1.2.3.4&ISO"
    assert (query.id, query.query) == ("1.2.840.10008.5.1.4.1.2.2.1", b"/dicomweb/studies?PatientID=V-1")
    assert record.participants[0].is_requestor
    (nobody,) = RAD_129.audit(Side.RESPONDER, asked("/studies"), SearchResponse(), asked_for)
    assert len(nobody.objects) == 1
    (failed,) = RAD_129.audit(Side.RESPONDER, None, None, facts(studies=(), patients=(), error=MalformedMessage("no")))
    assert failed.outcome == 4
