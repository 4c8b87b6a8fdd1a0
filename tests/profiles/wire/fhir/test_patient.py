import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.fhir.media import Syntax, written
from profiles.wire.fhir.patient import (
    GENDERS,
    display_name,
    identifier_of,
    patient_id_of,
    patient_resource,
    reference,
)
from tests.profiles.wire.fhir.samples import ANNA, HOSPITAL
from tests.support.fhir import from_xml, ordered_like_the_standard, profile_issues, typed

OIDS = st.from_regex(r"[0-2](\.[0-9]{1,6}){1,8}", fullmatch=True).filter(lambda oid: len(oid) <= 64).map(Oid)
VALUES = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30).filter(str.strip)
IDENTIFIERS = st.builds(PatientIdentifier, value=VALUES, authority=OIDS)

UNREADABLE = PatientIdentifier(value="x" * 60, authority=HOSPITAL)


@given(IDENTIFIERS)
def test_an_id_is_a_fhir_id_and_is_read_back_unless_it_is_a_hash(identifier: PatientIdentifier) -> None:
    patient_id = patient_id_of(identifier)
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", patient_id)
    assert identifier_of(patient_id) == (None if patient_id.startswith("0") else identifier)


@given(IDENTIFIERS, IDENTIFIERS)
def test_two_identifiers_have_two_ids(one: PatientIdentifier, other: PatientIdentifier) -> None:
    assert (patient_id_of(one) == patient_id_of(other)) is (one == other)


@given(st.text(max_size=64))
def test_any_id_is_ours_or_is_not(patient_id: str) -> None:
    found = identifier_of(patient_id)
    assert found is None or patient_id_of(found) == patient_id


def test_usual_identifiers_fit() -> None:
    usual = PatientIdentifier(value="x" * 25, authority=Oid("2.16.840.1.113883.3.72.5.9.1"))
    assert identifier_of(patient_id_of(usual)) == usual


def test_an_identifier_that_does_not_fit_is_referred_to_by_itself() -> None:
    patient = replace(ANNA, identifiers=(UNREADABLE,))
    assert len(patient_id_of(UNREADABLE)) == 41
    assert identifier_of(patient_id_of(UNREADABLE)) is None
    assert reference(patient) == {
        "type": "Patient",
        "identifier": {"system": "urn:oid:2.16.756.5.30.1.1", "value": "x" * 60},
    }


def test_a_patient_is_the_resource_that_the_standard_wants() -> None:
    representation = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
    assert patient_resource(ANNA) == {
        "resourceType": "Patient",
        "id": "filkovvfumfbuh2qge",
        "identifier": [
            {"use": "usual", "system": "urn:oid:2.16.756.5.30.1.1", "value": "P1"},  # the one the house uses
            {"system": "urn:oid:1.2.3.9", "value": "77/a"},
        ],
        "active": True,
        "name": [
            {"family": "Müller", "given": ["Anna", "Maria"], "prefix": ["Dr."]},
            {"extension": [{"url": representation, "valueCode": "IDE"}], "family": "山田", "given": ["太郎"]},
            {"extension": [{"url": representation, "valueCode": "SYL"}], "family": "やまだ", "given": ["たろう"]},
        ],
        "gender": "female",
        "birthDate": "1970-02-01",
        "address": [{"text": "Seestrasse 1, Zürich, 8001, CH"}],
    }


def test_a_subsumed_patient_is_inactive_and_names_the_surviving_one() -> None:
    survivor = PatientIdentifier(value="P2", authority=HOSPITAL)
    resource = patient_resource(replace(ANNA, active=False, replaced_by=survivor))
    assert resource["active"] is False
    assert resource["link"] == [
        {
            "other": {
                "reference": f"Patient/{patient_id_of(survivor)}",
                "type": "Patient",
                "identifier": {"system": "urn:oid:2.16.756.5.30.1.1", "value": "P2"},
            },
            "type": "replaced-by",
        }
    ]


def test_every_sex_has_a_gender() -> None:
    assert set(GENDERS) == set(Sex)


def test_a_name_is_shown_without_carets() -> None:
    assert display_name(PersonName(family="Who", given="Ada", prefix="Dr.", suffix="MD")) == "Dr. Ada Who MD"
    assert display_name(PersonName()) is None


NOBODY = Patient(identifiers=(PatientIdentifier(value="1", authority=HOSPITAL),))
PATIENTS = [ANNA, NOBODY, replace(ANNA, replaced_by=UNREADABLE)]


@pytest.mark.judge_standard
def test_the_published_profile_finds_nothing_wrong(tmp_path: Path) -> None:
    resources = [patient_resource(patient) for patient in PATIENTS]
    assert profile_issues(tmp_path, *resources) == []
    assert [wrong for each in resources for wrong in ordered_like_the_standard(each)] == []


@pytest.mark.parametrize("patient", PATIENTS)
def test_a_typed_library_reads_both_syntaxes_the_same(patient: Patient) -> None:
    resource = patient_resource(patient)
    by_json = json.loads(typed(resource).model_dump_json())
    assert by_json == resource
    assert from_xml(written(resource, Syntax.XML), "Patient") == by_json
