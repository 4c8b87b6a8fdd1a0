from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.model.codes import DCM, LOINC, SNOMED_CT, Code
from profiles.model.moment import Moment, Precision
from profiles.wire.fhir.datatypes import coding, date, date_time, filled, instant, system_of, text, unsigned


def test_what_says_nothing_is_left_out_and_what_is_false_or_zero_is_not() -> None:
    assert filled(a=None, b="", c=[], d={}, e=(), f=False, g=0, h="x") == {"f": False, "g": 0, "h": "x"}


@given(st.text())
def test_a_string_has_no_control_characters_and_no_white_space_around_it(value: str) -> None:
    told = text(value)
    assert told is None or (told and told == told.strip())
    assert told is None or not any(ord(character) < 32 and character not in "\t\n\r" for character in told)


@pytest.mark.parametrize(("value", "told"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, None), (-1, None), (None, None)])
def test_an_unsigned_int(value: int | None, told: int | None) -> None:
    assert unsigned(value) == told


def test_an_instant_has_milliseconds_and_is_in_utc() -> None:
    at = datetime(2026, 1, 5, 8, 40, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert instant(at) == "2026-01-05T07:40:00.123Z"


@pytest.mark.parametrize(
    ("precision", "told"),
    [
        (Precision.YEAR, "1970"),
        (Precision.MONTH, "1970-02"),
        (Precision.DAY, "1970-02-01"),
        (Precision.SECOND, "1970-02-01"),
    ],
)
def test_a_date_has_no_time(precision: Precision, told: str) -> None:
    assert date(Moment(datetime(1970, 2, 1, 23, 59, tzinfo=UTC), precision)) == told


def test_hours_and_minutes_are_filled_up() -> None:
    at = datetime(2026, 1, 5, 8, 31, tzinfo=UTC)
    assert date_time(Moment(at, Precision.MINUTE)) == "2026-01-05T08:31:00+00:00"


@pytest.mark.parametrize(
    ("system", "address"),
    [
        (DCM, "http://dicom.nema.org/resources/ontology/DCM"),
        ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
        (SNOMED_CT, "http://snomed.info/sct"),
        ("SCT", "http://snomed.info/sct"),
        (LOINC, "http://loinc.org"),
        ("1.2.3", "urn:oid:1.2.3"),
        ("http://x", "http://x"),
        ("99LOCAL", None),
        ("", None),
    ],
)
def test_code_systems_have_addresses(system: str, address: str | None) -> None:
    assert system_of(system) == address
    assert coding(Code(value="1", system=system)).get("system") == address
