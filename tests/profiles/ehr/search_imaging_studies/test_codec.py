import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.ehr.search_imaging_studies import (
    SEARCH_IMAGING_STUDIES,
    Detail,
    SearchImagingStudiesRequest,
    SearchImagingStudiesResponse,
)
from profiles.ehr.search_imaging_studies.codec import MAX_WHOLE_STUDIES, NO_STUDY, PARAMETERS
from profiles.errors import ExchangeError, MalformedMessage, Unsupported
from profiles.findings import Finding, Severity
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment, Precision
from profiles.model.query import PageKey, StudyCriteria
from profiles.wire.fhir.patient import patient_id_of
from profiles.wire.http import HttpIn, HttpOut
from tests.profiles.wire.fhir.samples import ANNA, BASE, ENDPOINTS, EXPECTED, HOSPITAL, INDEXED, large
from tests.support.fhir import from_xml, ordered_like_the_standard, profile_issues, typed
from tests.support.judges import standards

P1 = patient_id_of(ANNA.identifiers[0])
MANY = PatientIdentifier(value="x" * 60, authority=HOSPITAL)


def asked(*pairs: tuple[str, str], **headers: str) -> HttpIn:
    return HttpIn(path="/ImagingStudy", base=BASE, query=pairs, headers=headers)


def decode(*pairs: tuple[str, str], **headers: str) -> SearchImagingStudiesRequest:
    return SEARCH_IMAGING_STUDIES.decode_request(asked(*pairs, **headers)).value


async def answer(response: SearchImagingStudiesResponse, *pairs: tuple[str, str]) -> bytes:
    return await whole(SEARCH_IMAGING_STUDIES.encode_response(response, asked(*pairs)))


async def whole(out: HttpOut) -> bytes:
    if out.body is not None:
        return out.body
    assert out.stream is not None
    stream: AsyncIterator[bytes] = out.stream
    return b"".join([piece async for piece in stream])


CRITERIA: list[tuple[str, list[tuple[str, str]], dict[str, Any]]] = [
    ("nothing: the newest", [], {}),
    ("study UID as FHIR writes it", [("identifier", "urn:dicom:uid|urn:oid:1.2.3")], {"study_instance_uids": ("1.2.3",)}),
    ("study UID without a system", [("identifier", "urn:oid:1.2.3")], {"study_instance_uids": ("1.2.3",)}),
    ("study UID bare", [("identifier", "1.2.3")], {"study_instance_uids": ("1.2.3",)}),
    ("study UID bare in its system", [("identifier", "urn:dicom:uid|1.2.3")], {"study_instance_uids": ("1.2.3",)}),
    ("any study UID", [("identifier", "urn:dicom:uid|")], {}),
    ("several studies", [("identifier", "urn:oid:1.2.3,urn:oid:1.2.4")], {"study_instance_uids": ("1.2.3", "1.2.4")}),
    ("accession of an issuer", [("identifier", "urn:oid:1.2.9|A42")], {"accession_numbers": (("A42", "1.2.9"),)}),
    ("accession alone", [("identifier", "A42")], {"accession_numbers": (("A42", None),)}),
    ("accession that looks like a number", [("identifier", "20260105.7")], {"accession_numbers": (("20260105.7", None),)}),
    ("accession with an escaped comma", [("identifier", r"A\,42")], {"accession_numbers": (("A,42", None),)}),
    (
        "accession by its type",
        [("identifier:of-type", "http://terminology.hl7.org/CodeSystem/v2-0203|ACSN|A42")],
        {"accession_numbers": (("A42", None),)},
    ),
    ("accession and study", [("identifier", "A42"), ("identifier", "1.2.3")],
     {"accession_numbers": (("A42", None),), "study_instance_uids": ("1.2.3",)}),
    ("by id", [("_id", "1.2.3,1.2.4")], {"study_instance_uids": ("1.2.3", "1.2.4")}),
    ("id and identifier meet", [("_id", "1.2.3,1.2.4"), ("identifier", "urn:oid:1.2.4")],
     {"study_instance_uids": ("1.2.4",)}),
    ("patient by id", [("patient", P1)], {"patient_ids": (("P1", HOSPITAL),)}),
    ("patient by reference", [("patient", f"Patient/{P1}")], {"patient_ids": (("P1", HOSPITAL),)}),
    ("patient by address", [("subject", f"{BASE}/Patient/{P1}")], {"patient_ids": (("P1", HOSPITAL),)}),
    ("subject of a type", [("subject:Patient", P1)], {"patient_ids": (("P1", HOSPITAL),)}),
    ("patient by identifier", [("patient.identifier", f"urn:oid:{HOSPITAL}|P1")], {"patient_ids": (("P1", HOSPITAL),)}),
    ("patient by value", [("patient.identifier", "P1")], {"patient_ids": (("P1", None),)}),
    ("subject by identifier", [("subject:Patient.identifier", f"urn:oid:{HOSPITAL}|P1,urn:oid:1.2|X")],
     {"patient_ids": (("P1", HOSPITAL), ("X", "1.2"))}),
    ("patient:identifier", [("patient:identifier", f"urn:oid:{HOSPITAL}|P1")], {"patient_ids": (("P1", HOSPITAL),)}),
    ("the same patient twice", [("patient", P1), ("patient.identifier", f"urn:oid:{HOSPITAL}|P1")],
     {"patient_ids": (("P1", HOSPITAL),)}),
    ("modality", [("modality", "CT,http://dicom.nema.org/resources/ontology/DCM|MR")], {"modalities": ("CT", "MR")}),
    ("status", [("status", "available,registered"), ("status", "available")], {"statuses": ("available",)}),
    ("series", [("series", "urn:oid:1.2.3.1,1.2.3.2")], {"series_instance_uids": ("1.2.3.1", "1.2.3.2")}),
    ("instance", [("instance", "1.2.3.1.1")], {"sop_instance_uids": ("1.2.3.1.1",)}),
    ("started on a day", [("started", "2026-01-05")],
     {"started": (("eq", Moment(datetime(2026, 1, 5, tzinfo=UTC), Precision.DAY, False)),)}),
    ("started in a range", [("started", "ge2026-01"), ("started", "lt2026-03")],
     {"started": (("ge", Moment(datetime(2026, 1, 1, tzinfo=UTC), Precision.MONTH, False)),
                  ("lt", Moment(datetime(2026, 3, 1, tzinfo=UTC), Precision.MONTH, False)))}),
    ("updated since", [("_lastUpdated", "gt2026-01-05T08:00:00Z"), ("_sort", "-_lastUpdated")],
     {"updated": (("gt", Moment(datetime(2026, 1, 5, 8, tzinfo=UTC))),), "order": "updated"}),
    ("by start", [("_sort", "-started")], {"order": "started"}),
    ("a few", [("_count", "3")], {"limit": 3}),
    ("unknown parameters", [("colour", "red"), ("_revinclude", "X:y")], {}),
]  # fmt: skip

NOTHING = [
    ("an id and another identifier", [("_id", "1.2.3"), ("identifier", "urn:oid:1.2.4")]),
    ("an identifier of nobody's system", [("identifier", "http://x.example|A42")]),
    ("an accession without an issuer on purpose", [("identifier", "|A42")]),
    ("a UID that is none", [("identifier", "urn:dicom:uid|A42")]),
    ("a patient id that we did not make", [("patient", "7")]),
    ("a patient elsewhere", [("patient", f"https://elsewhere.example/Patient/{P1}")]),
    ("a device", [("subject", "Device/7")]),
    ("a patient id that nobody can read back", [("patient", patient_id_of(MANY))]),
    ("a patient of no authority", [("patient.identifier", "|P1")]),
    ("a modality of another system", [("modality", "http://x.example|CT")]),
    ("two statuses at once", [("status", "available"), ("status", "registered")]),
    ("a series that is no UID", [("series", "abc")]),
]

REFUSED = [
    ("a UID or an accession", [("identifier", "urn:oid:1.2.3,A42")], Unsupported),
    ("any accession of an issuer", [("identifier", "urn:oid:1.2.9|")], Unsupported),
    ("two accessions at once", [("identifier", "A42"), ("identifier", "A43")], Unsupported),
    ("another type of identifier", [("identifier:of-type", "http://terminology.hl7.org/CodeSystem/v2-0203|MR|1")],
     Unsupported),
    ("two patients at once", [("patient", P1), ("patient.identifier", "P2")], Unsupported),
    ("any patient of an authority", [("patient.identifier", f"urn:oid:{HOSPITAL}|")], Unsupported),
    ("two modalities at once", [("modality", "CT"), ("modality", "PT")], Unsupported),
    ("any modality", [("modality", "http://dicom.nema.org/resources/ontology/DCM|")], Unsupported),
    ("a page of nobody's", [("_page", "AAAA")], MalformedMessage),
    ("oldest first", [("_sort", "started")], Unsupported),
]  # fmt: skip


@pytest.mark.parametrize(("_", "pairs", "expected"), CRITERIA, ids=[name for name, *_ in CRITERIA])
def test_parameters_become_criteria(_: str, pairs: list[tuple[str, str]], expected: dict[str, Any]) -> None:
    assert decode(*pairs).criteria == StudyCriteria(**({"limit": 20} | expected))


@pytest.mark.parametrize(("_", "pairs"), NOTHING, ids=[name for name, _ in NOTHING])
def test_what_nothing_can_meet_is_a_search_and_no_error(_: str, pairs: list[tuple[str, str]]) -> None:
    assert decode(*pairs).criteria.study_instance_uids == NO_STUDY


@pytest.mark.parametrize(("_", "pairs", "error"), REFUSED, ids=[name for name, *_ in REFUSED])
def test_what_the_index_cannot_answer_is_refused(
    _: str, pairs: list[tuple[str, str]], error: type[ExchangeError]
) -> None:
    with pytest.raises(error) as told:
        decode(*pairs)
    assert told.value.location


@given(st.lists(st.tuples(st.sampled_from([*PARAMETERS, "_count", "_sort", "_page", "patient.identifier",
                                           "identifier:of-type", "_include", "_summary", "_elements"]),
                          st.text(max_size=30)), max_size=5))  # fmt: skip
def test_any_search_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        decode(*pairs)
    except ExchangeError as error:
        assert error.detail


@pytest.mark.parametrize(
    ("pairs", "detail", "counted"),
    [
        ([], Detail.INSTANCES, True),
        ([("_summary", "true")], Detail.SERIES, True),
        ([("_summary", "text")], Detail.SERIES, True),
        ([("_summary", "data")], Detail.INSTANCES, True),
        ([("_elements", "started,status")], Detail.SERIES, True),
        ([("_elements", "series")], Detail.INSTANCES, True),
        ([("_summary", "count"), ("_total", "none")], Detail.COUNT, True),
        ([("_count", "0")], Detail.COUNT, True),
        ([("_total", "none")], Detail.INSTANCES, False),
        ([("_total", "estimate")], Detail.INSTANCES, True),
    ],
)
def test_the_index_is_asked_for_no_more_than_is_shown(
    pairs: list[tuple[str, str]], detail: Detail, counted: bool
) -> None:
    request = decode(*pairs)
    assert (request.detail, request.count_matches) == (detail, counted)


def test_a_page_of_instances_is_shorter_than_a_list() -> None:
    assert decode(("_count", "400")).criteria.limit == MAX_WHOLE_STUDIES
    assert decode(("_count", "400"), ("_summary", "true")).criteria.limit == 400


@given(st.text(max_size=40), st.from_regex(r"[0-9]+(\.[0-9]+){0,5}", fullmatch=True))
async def test_a_page_key_goes_through_the_link(value: str, uid: str) -> None:
    value = value.encode("utf-8", "ignore").decode()
    key = PageKey(value=value, study_instance_uid=uid)
    response = SearchImagingStudiesResponse(studies=(INDEXED,), next=key)
    bundle = json.loads(await answer(response, ("status", "available"), ("_page", "old")))
    (onward,) = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    pairs = tuple(parse_qsl(urlsplit(onward).query))
    assert [name for name, _ in pairs] == ["status", "_page"]
    assert decode(*pairs).criteria.after == key


RESPONSE = SearchImagingStudiesResponse(
    studies=(INDEXED, EXPECTED),
    total=7,
    next=PageKey(value="2026", study_instance_uid="1.2.4"),
    endpoints=ENDPOINTS,
    warnings=(Finding(rule="index", text="the index is not complete", severity=Severity.WARNING),),
)
INCLUDING = (("_include", "ImagingStudy:endpoint"), ("_include", "ImagingStudy:patient"))


async def test_a_page_has_matches_then_includes_then_what_is_to_be_told() -> None:
    bundle = json.loads(await answer(RESPONSE, *INCLUDING))
    assert [(entry["search"]["mode"], entry["resource"]["resourceType"]) for entry in bundle["entry"]] == [
        ("match", "ImagingStudy"),
        ("match", "ImagingStudy"),
        ("include", "Endpoint"),
        ("include", "Endpoint"),
        ("include", "Endpoint"),
        ("include", "Patient"),  # both studies are of one
        ("outcome", "OperationOutcome"),
    ]
    assert bundle["total"] == 7
    for entry in bundle["entry"][:-1]:
        resource = entry["resource"]
        assert entry["fullUrl"] == f"{BASE}/{resource['resourceType']}/{resource['id']}"
    assert "fullUrl" not in bundle["entry"][-1]


async def test_no_endpoint_is_included_when_nothing_can_be_had() -> None:
    bundle = json.loads(await answer(replace(RESPONSE, studies=(EXPECTED,), warnings=()), *INCLUDING))
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["ImagingStudy", "Patient"]


async def test_a_summary_lists_no_instances() -> None:
    bundle = json.loads(await answer(RESPONSE, ("_summary", "true")))
    study = bundle["entry"][0]["resource"]
    assert study["numberOfInstances"] == 4
    assert "instance" not in study["series"][0]


@pytest.mark.parametrize(
    "name", ["patient", "subject", "patient.identifier", "subject:identifier", "_id", "identifier"]
)
@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_a_condition_that_says_whose_is_refused_when_it_is_empty_and_never_means_everybody(
    name: str, value: str
) -> None:
    with pytest.raises(MalformedMessage) as refused:
        decode((name, value), ("modality", "CT"))
    assert refused.value.location == name


def test_another_condition_that_is_empty_is_none() -> None:
    assert decode(("modality", ""), ("started", "")).criteria == decode().criteria


@pytest.mark.parametrize("pairs", [(), INCLUDING, (("_summary", "true"),), (("_elements", "started"),)])
async def test_both_syntaxes_say_the_same(pairs: tuple[tuple[str, str], ...]) -> None:
    said = json.loads(await answer(RESPONSE, *pairs, ("_format", "json")))
    by_xml = from_xml(await answer(RESPONSE, *pairs, ("_format", "xml")), "Bundle")
    by_json = json.loads(typed(said).model_dump_json())
    for bundle in (by_xml, by_json):
        bundle.pop("link")  # they name their own syntax
    assert by_xml == by_json


async def test_a_large_page_flows() -> None:
    response = SearchImagingStudiesResponse(studies=(large(2000),) * 3, total=3)
    out = SEARCH_IMAGING_STUDIES.encode_response(response, asked())
    assert out.body is None
    assert len(json.loads(await whole(out))["entry"]) == 3


@pytest.mark.judge_standard
async def test_the_published_profiles_find_nothing_wrong(tmp_path: Path) -> None:
    bundle = json.loads(await answer(RESPONSE, *INCLUDING))
    assert profile_issues(tmp_path, bundle, *(entry["resource"] for entry in bundle["entry"])) == []
    assert ordered_like_the_standard(bundle) == []


@pytest.mark.judge_standard
def test_search_parameters_are_those_of_fhir() -> None:
    published = {
        each["url"]: each for each in json.loads(standards("fhir-igs", "r4-core", "search-parameters.json").read_text())
    }
    for name, parameter in PARAMETERS.items():
        definition = published[parameter.definition]
        assert (definition["code"], definition["type"]) == (name, parameter.type.value)
        assert {"ImagingStudy", "Resource"} & set(definition["base"])


def test_oids_of_other_authorities_are_told_apart() -> None:
    assert decode(("patient.identifier", "urn:oid:1.2.3|P1")).criteria.patient_ids == (("P1", Oid("1.2.3")),)
