"""The data types: what real senders write is read, and what we write is read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.findings import Finding
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import PersonName, Sex
from profiles.wire.hl7v3.datatypes import (
    HL7,
    InstanceIdentifier,
    read_address,
    read_day,
    read_gender,
    read_ii,
    read_name,
    read_oid,
    read_patient_identifier,
    read_ts,
    write_address,
    write_gender,
    write_ii,
    write_name,
    write_patient_identifier,
    write_ts,
)


def element(text: str) -> etree._Element:
    return etree.fromstring(f'<x xmlns="{HL7}">{text}</x>')[0]


words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12
)


@given(words, words)
def test_an_ii_is_read_as_it_was_written(root: str, extension: str) -> None:
    for ii in (InstanceIdentifier(root=root), InstanceIdentifier(root=root, extension=extension)):
        assert read_ii(element(write_ii("id", ii))) == ii


def test_what_is_not_known_is_null_and_read_as_nothing() -> None:
    nothing = element(write_ii("id", InstanceIdentifier()))
    assert nothing.get("nullFlavor") == "NI"
    assert read_ii(nothing) == read_ii(None) == InstanceIdentifier()


def test_a_home_with_a_urn_in_front_is_understood() -> None:
    assert read_oid(element('<id root="urn:oid:1.2.3"/>')) == Oid("1.2.3")
    assert read_oid(element('<id root="f531489e-67f2"/>')) is None


def test_a_patient_id_has_an_oid_and_a_value() -> None:
    findings: list[Finding] = []
    identifier = PatientIdentifier(value="A&1", authority=Oid("1.2.3"))
    assert read_patient_identifier(element(write_patient_identifier("id", identifier)), "/id", findings) == identifier
    assert findings == []
    for odd in ('<id root="1.2.3"/>', '<id assigningAuthorityName="d" extension="1"/>', '<id root="x" extension="1"/>'):
        assert read_patient_identifier(element(odd), "/id", findings) is None
        assert findings.pop().rule == "hl7v3.no-known-authority"
    assert read_patient_identifier(element('<id nullFlavor="NA"/>'), "/id", findings) is None
    assert findings == []


@pytest.mark.parametrize("dtm", ["1970", "197001", "19700131", "20260301101500"])
def test_a_time_keeps_its_precision(dtm: str) -> None:
    moment = Moment.from_dtm(dtm)
    assert read_ts(element(write_ts("t", moment)), "/t", []) == moment


def test_a_time_with_a_zone_is_that_time() -> None:
    read = read_ts(element('<t value="20131118101609.93-0500"/>'), "/t", [])
    assert read is not None
    assert read.dtm == "20131118151609"


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("19700131", "19700131"),
        ("197001", "197001"),
        ("19700131000000", "19700131"),
        ("19700131000000+0100", "19700131"),  # in UTC it is the day before
        ("19700131233000-0500", "19700131"),  # in UTC it is the day after
    ],
)
def test_a_birthday_is_the_day_that_was_said_whatever_the_zone(value: str, day: str) -> None:
    assert read_day(element(f'<t value="{value}"/>'), "/t", []) == Moment.from_dtm(day)


def test_a_day_that_does_not_exist_is_left_out_and_told() -> None:
    findings: list[Finding] = []
    assert read_ts(element('<t value="20260230"/>'), "/t", findings) is None
    assert [each.rule for each in findings] == ["hl7v3.no-time"]
    assert read_ts(element('<t nullFlavor="UNK"/>'), "/t", findings) is None
    assert len(findings) == 1


@given(st.builds(PersonName, family=words, given=words, middle=words, prefix=words, suffix=words))
def test_a_name_is_read_as_it_was_written(name: PersonName) -> None:
    assert read_name(element(write_name("name", name))) == name


def test_further_given_names_are_middle_names_and_a_bare_text_is_no_name() -> None:
    mary = read_name(element("<name><given>MARY</given><given>ROSE</given><given>ANN</given><family>W</family></name>"))
    assert (mary.given, mary.middle, mary.family) == ("MARY", "ROSE ANN", "W")
    assert read_name(element("<name>Unknown</name>")) == PersonName() == read_name(None)
    assert 'nullFlavor="NI"' in write_name("name", PersonName())


@pytest.mark.parametrize("sex", Sex)
def test_a_sex_is_read_as_it_was_written(sex: Sex) -> None:
    written = write_gender("g", sex)
    assert (read_gender(element(written)) if written else read_gender(None)) is sex


@pytest.mark.parametrize(
    "address",
    ["1 Main St^c/o Doe^Town^ST^01234^USA", "^^Town", "A \\T\\ B^^^^^DE", ""],
    ids=["all", "town", "escaped", "none"],
)
def test_an_address_is_read_as_it_was_written(address: str) -> None:
    written = write_address("addr", address)
    assert (read_address(element(written)) if written else "") == address


def test_house_number_and_street_are_a_line_where_there_is_none() -> None:
    parts = "<city>Graz</city><houseNumber>5</houseNumber><streetName>Ring</streetName>"
    assert read_address(element(f"<addr>{parts}</addr>")) == "5 Ring^^Graz"
