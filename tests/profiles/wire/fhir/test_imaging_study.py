import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.model.identifiers import Uid
from profiles.model.imaging import Series
from profiles.model.modalities import MODALITY_OF_SOP_CLASS
from profiles.model.moment import Moment, Precision
from profiles.wire.fhir.imaging_study import (
    BODY_SITES,
    INSTANCES_PER_PIECE,
    LATERALITIES,
    IndexedStudy,
    Instances,
    imaging_study,
    pieces,
    series_fragment,
    series_head,
    without_instances,
)
from profiles.wire.fhir.media import WHOLE, Summary, Syntax, View, written
from tests.profiles.wire.fhir.samples import ENDPOINTS, EXPECTED, INDEXED, STUDY, instances, large
from tests.support.fhir import from_xml, ordered_like_the_standard, profile_issues, typed
from tests.support.judges import standards

WHOLE_RESOURCE = {
    # FHIR id of the resource: the bare UID; R4 ImagingStudy, Resource.id
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-05T07:40:00.123Z"},
    "identifier": [
        {  # (0020,000D): system urn:dicom:uid, value with urn:oid:
            "type": {
                "coding": [
                    {
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": "110180",
                        "display": "Study Instance UID",
                    }
                ]
            },
            "system": "urn:dicom:uid",
            "value": "urn:oid:1.2.3",
        },
        {  # (0008,0050) with (0008,0051)>(0040,0032)
            "type": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                        "code": "ACSN",
                        "display": "Accession ID",
                    },
                    {
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": "121022",
                        "display": "Accession Number",
                    },
                ]
            },
            "system": "urn:oid:1.2.3.4.5.6",
            "value": "A42",
        },
        {  # issuer not known: no system
            "type": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                        "code": "ACSN",
                        "display": "Accession ID",
                    },
                    {
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": "121022",
                        "display": "Accession Number",
                    },
                ]
            },
            "value": "B 7",
        },
    ],
    "status": "available",
    "modality": [  # Coding in R4, CodeableConcept in R5
        {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
        {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "SR"},
    ],
    "subject": {
        "reference": "Patient/filkovvfumfbuh2qge",
        "type": "Patient",
        "identifier": {"system": "urn:oid:2.16.756.5.30.1.1", "value": "P1"},
    },
    "started": "2026-01-05T08:31:17+01:00",  # a time always has a zone
    "basedOn": [
        {
            "type": "ServiceRequest",
            "identifier": {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "PLAC",
                            "display": "Placer Identifier",
                        }
                    ]
                },
                "system": "urn:oid:1.2.3.5",
                "value": "O1",
            },
        }
    ],
    "referrer": {"type": "Practitioner", "display": "Dr. Ada Who"},  # never with carets
    "endpoint": [
        {"reference": "Endpoint/wado-rs", "type": "Endpoint"},
        {"reference": "Endpoint/qido-rs", "type": "Endpoint"},
        {"reference": "Endpoint/xds-i", "type": "Endpoint"},
    ],
    "numberOfSeries": 2,
    "numberOfInstances": 4,
    "procedureCode": [
        {"coding": [{"system": "http://snomed.info/sct", "code": "77477000", "display": "CT"}]},
        {"coding": [{"code": "X1", "display": "local"}]},  # a private scheme has no address
    ],
    "description": "CT <Thorax> & Abdomen",  # the escape character is gone
    "series": [
        {
            "uid": "1.2.3.1",  # type id: bare, without urn:oid:
            "number": 1,
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
            "description": "axial",
            "numberOfInstances": 3,
            "bodySite": {"system": "http://snomed.info/sct", "code": "816094009", "display": "Chest"},
            "laterality": {"system": "http://snomed.info/sct", "code": "7771000", "display": "Left"},
            "started": "2026-01-05T08:32:00+01:00",
            "instance": [
                {
                    "uid": f"1.2.3.1.{number}",
                    "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
                    "number": number,
                }
                for number in (1, 2, 3)
            ],
        },
        {  # the series number -1 is no unsignedInt and is left out
            "uid": "1.2.3.2",
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "SR"},
            "numberOfInstances": 1,
            "instance": [
                {
                    "uid": "1.2.3.2.1",
                    "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.88.33"},
                }
            ],
        },
    ],
}

NOT_WHOLE = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


def joined(indexed: IndexedStudy, view: View = WHOLE, syntax: Syntax = Syntax.JSON) -> bytes:
    return b"".join(pieces(indexed, ENDPOINTS, view, syntax))


def test_a_study_is_the_resource_that_the_standard_wants() -> None:
    assert imaging_study(INDEXED, ENDPOINTS) == WHOLE_RESOURCE


@pytest.mark.parametrize("indexed", [INDEXED, EXPECTED, without_instances(INDEXED), large(2000)])
@pytest.mark.parametrize(
    "view",
    [View(), View(summary=Summary.TRUE), View(summary=Summary.TEXT), View(elements=frozenset({"series"})),
     View(elements=frozenset({"started", "modality"}))],
)  # fmt: skip
def test_the_pieces_joined_are_the_resource(indexed: IndexedStudy, view: View) -> None:
    resource = imaging_study(indexed, ENDPOINTS, view)
    assert json.loads(joined(indexed, view)) == resource
    assert joined(indexed, view, Syntax.XML) == written(resource, Syntax.XML)


def test_a_series_rendered_before_is_joined_as_it_is() -> None:
    kept = replace(INDEXED, fragments=tuple(map(series_fragment, STUDY.series)))
    assert joined(kept) == joined(INDEXED)
    marked = replace(INDEXED, fragments=(b'{"uid":"kept"}', b'{"uid":"too"}'))
    assert json.loads(joined(marked))["series"] == [{"uid": "kept"}, {"uid": "too"}]


def test_fragments_are_not_used_where_instances_are_not_asked_for() -> None:
    kept = replace(INDEXED, fragments=tuple(map(series_fragment, STUDY.series)))
    assert "instance" not in json.loads(joined(kept, View(summary=Summary.TRUE)))["series"][0]


def test_four_thousand_instances_come_in_pieces_and_none_is_lost() -> None:
    indexed = large(4000)
    told = list(pieces(indexed, ENDPOINTS))
    assert max(map(len, told)) < INSTANCES_PER_PIECE * 200
    resource = json.loads(b"".join(told))
    uids = [instance["uid"] for series in resource["series"] for instance in series["instance"]]
    assert uids == [instance.sop_instance_uid for _, instance in indexed.study.instances()]
    assert resource["numberOfInstances"] == 4000


def test_a_study_on_its_way_says_so_and_names_no_endpoint() -> None:
    resource = imaging_study(EXPECTED, ENDPOINTS)
    assert resource["status"] == "registered"
    assert "endpoint" not in resource


def test_the_modality_comes_from_the_sop_class_before_the_pixels_do() -> None:
    by_class, unknown, empty = imaging_study(EXPECTED, ENDPOINTS)["series"]
    assert by_class["modality"]["code"] == "CT"
    for series in (unknown, empty):
        assert series["modality"]["code"] == "OT"
        assert series["modality"]["extension"] == [
            {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "temp-unknown"}
        ]
    assert [each["code"] for each in imaging_study(EXPECTED)["modality"]] == ["CT"]


@pytest.mark.parametrize(("told", "expected", "shown"), [("", "MR", "MR"), ("CT", "MR", "CT"), (" ", "", "OT")])
def test_an_expected_modality_shows_without_instances_until_one_is_told(told: str, expected: str, shown: str) -> None:
    series = Series(series_instance_uid=Uid("1.2"), modality=told, expected_modality=expected)
    modality = series_head(series, None)["modality"]
    assert modality["code"] == shown
    assert ("extension" in modality) is (shown == "OT")


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (Moment(datetime(2026, 1, 5, 8, 31, 17, tzinfo=UTC)), "2026-01-05T08:31:17+00:00"),
        (Moment(datetime(2026, 1, 5, 8, 31, 17, tzinfo=UTC), Precision.SECOND, False), "2026-01-05"),
        (Moment(datetime(2026, 1, 5, tzinfo=UTC), Precision.DAY, False), "2026-01-05"),
        (Moment(datetime(2026, 1, 1, tzinfo=UTC), Precision.MONTH, False), "2026-01"),
        (None, None),
    ],
)
def test_a_time_without_a_zone_is_told_as_a_day(moment: Moment | None, told: str | None) -> None:
    indexed = replace(INDEXED, study=replace(STUDY, started=moment))
    assert imaging_study(indexed).get("started") == told


def test_a_list_counts_instances_without_listing_them_and_says_that_it_is_a_part() -> None:
    resource = imaging_study(without_instances(INDEXED), ENDPOINTS)
    assert resource["numberOfInstances"] == 4
    assert [series["numberOfInstances"] for series in resource["series"]] == [3, 1]
    assert all("instance" not in series for series in resource["series"])
    assert resource["meta"]["tag"] == [NOT_WHOLE]


def test_a_count_that_nobody_knows_is_not_told_as_zero() -> None:
    indexed = replace(without_instances(INDEXED), counts=None)
    resource = imaging_study(indexed)
    assert "numberOfInstances" not in resource
    assert all("numberOfInstances" not in series for series in resource["series"])


def test_elements_keep_what_is_mandatory_and_tag_the_part() -> None:
    resource = imaging_study(INDEXED, ENDPOINTS, View(elements=frozenset({"started"})))
    assert list(resource) == ["resourceType", "id", "meta", "status", "subject", "started"]
    assert resource["meta"]["tag"] == [NOT_WHOLE]


def test_the_summary_has_everything_but_the_instances() -> None:
    resource = imaging_study(INDEXED, ENDPOINTS, View(summary=Summary.TRUE))
    without = [{name: value for name, value in each.items() if name != "instance"} for each in WHOLE_RESOURCE["series"]]
    assert resource["series"] == without
    assert resource["meta"]["tag"] == [NOT_WHOLE]


@given(
    st.text(max_size=20), st.text(max_size=20), st.integers(), st.text(max_size=20),
    st.integers(min_value=0, max_value=3), st.text(max_size=8),
)  # fmt: skip
def test_no_member_is_ever_empty(
    description: str, modality: str, number: int, part: str, count: int, value: str
) -> None:
    series = Series(
        series_instance_uid=Uid("1.2"), modality=modality, number=number, description=description, body_part=part,
        laterality=part, instances=instances("1.2", count),
    )  # fmt: skip
    study = replace(STUDY, description=description, series=(series,), accession_numbers=(), procedure_codes=())

    def walk(member: object) -> None:
        assert member not in (None, "", [], {})
        if isinstance(member, dict):
            list(map(walk, member.values()))
        elif isinstance(member, list):
            list(map(walk, member))

    walk(json.loads(joined(replace(INDEXED, study=study))))


def test_unknown_body_parts_get_no_coding_and_known_ones_do_whatever_their_case() -> None:
    def site(text: str) -> object:
        series = replace(STUDY.series[0], body_part=text)
        return imaging_study(replace(INDEXED, study=replace(STUDY, series=(series,))))["series"][0].get("bodySite")

    assert site("Left thing") is None
    assert site(" abdomen ") == {"system": "http://snomed.info/sct", "code": "818981001", "display": "Abdomen"}


def test_body_sites_are_those_of_dicom() -> None:
    from pydicom.sr._concepts_dict import concepts

    names: dict[str, set[str]] = {}
    for keyword in concepts["SCT"].values():
        for code, (meaning, _) in keyword.items():
            names.setdefault(code, set()).add(meaning)
    for part, (code, display) in BODY_SITES.items():
        assert display in names.get(code, set()), part


def test_modalities_are_of_storage_classes_that_exist() -> None:
    from pydicom.uid import UID_dictionary

    for uid in MODALITY_OF_SOP_CLASS:
        assert UID_dictionary[uid][1] == "SOP Class"


@pytest.mark.judge_standard
def test_modalities_and_laterality_are_in_the_published_lists() -> None:
    lists = json.loads(standards("fhir-igs", "terminology", "dicom-cid-29-33-244-7010.json").read_text())
    known = set(lists["29"]) | set(lists["33"]) | {"ANN"}  # Annotation is younger than the stored edition
    assert set(MODALITY_OF_SOP_CLASS.values()) <= known
    assert {side["code"]: side["display"] for side in LATERALITIES.values()} == lists["244"]


@pytest.mark.judge_standard
@pytest.mark.parametrize("indexed", [INDEXED, EXPECTED, without_instances(INDEXED), large(400)])
def test_the_published_profile_finds_nothing_wrong(indexed: IndexedStudy, tmp_path: Path) -> None:
    assert profile_issues(tmp_path, imaging_study(indexed, ENDPOINTS)) == []


@pytest.mark.judge_standard
def test_the_published_profile_would_find_something_wrong(tmp_path: Path) -> None:
    wrong = imaging_study(INDEXED, ENDPOINTS)
    wrong["series"][0]["uid"] = "urn:oid:1.2.3.1"
    wrong["modality"] = [{"coding": wrong["modality"]}]
    assert len([line for line in profile_issues(tmp_path, wrong) if "error" in line]) >= 2


@pytest.mark.judge_standard
@pytest.mark.parametrize("indexed", [INDEXED, EXPECTED, without_instances(INDEXED)])
def test_members_stand_in_the_standards_order(indexed: IndexedStudy) -> None:
    assert ordered_like_the_standard(imaging_study(indexed, ENDPOINTS)) == []


@pytest.mark.parametrize("indexed", [INDEXED, EXPECTED, without_instances(INDEXED)])
def test_a_typed_library_reads_both_syntaxes_the_same(indexed: IndexedStudy) -> None:
    resource = imaging_study(indexed, ENDPOINTS)
    assert typed(resource).id == resource["id"]
    by_json = json.loads(typed(resource).model_dump_json())
    assert from_xml(joined(indexed, syntax=Syntax.XML), "ImagingStudy") == by_json


def test_instances_left_out_stay_left_out() -> None:
    once = without_instances(INDEXED)
    assert without_instances(once) is once
    assert once.instances is Instances.COUNTED
