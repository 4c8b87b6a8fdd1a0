from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ExchangeError, MalformedMessage, Unsupported
from profiles.model.moment import Moment, Precision
from profiles.wire.fhir.media import MAX_PARAMETERS, pairs_of
from profiles.wire.fhir.search import (
    MAX_ALTERNATIVES,
    MAX_COUNT,
    Asked,
    ParameterType,
    SearchParameter,
    Shape,
    Token,
    Total,
    comparisons,
    escape,
    is_strict,
    moment,
    read,
    reference,
    shape_of,
    split,
    split_name,
    token,
    uid_of,
    unescape,
)
from profiles.wire.http import HttpIn

PARAMETERS = {
    "status": SearchParameter(name="status", type=ParameterType.TOKEN, definition="d"),
    "patient": SearchParameter(
        name="patient",
        type=ParameterType.REFERENCE,
        definition="d",
        modifiers=frozenset({"identifier"}),
        chains=frozenset({"identifier"}),
    ),
}

TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)


def asked(value: str, name: str = "started") -> Asked:
    return Asked(name=name, alternatives=tuple(split(value, ",")), written=(name, value))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_what_is_escaped_is_split_and_read_back(values: list[str]) -> None:
    written = ",".join(map(escape, values))
    assert [unescape(each) for each in split(written, ",")] == values


@given(TEXTS, TEXTS)
def test_a_token_is_read_back_whatever_is_in_it(system: str, code: str) -> None:
    assert token(f"{escape(system)}|{escape(code)}") == Token(system.strip(), code.strip())


@pytest.mark.parametrize(
    ("written", "read_back"),
    [
        ("A42", Token(None, "A42")),  # any system
        ("urn:oid:1.2|A42", Token("urn:oid:1.2", "A42")),
        ("|A42", Token("", "A42")),  # no system
        ("urn:oid:1.2|", Token("urn:oid:1.2", "")),  # any code of the system
        (r"urn:oid:1.2|A\|42\,x\\", Token("urn:oid:1.2", "A|42,x\\")),
    ],
)
def test_the_four_forms_of_a_token(written: str, read_back: Token) -> None:
    assert token(written) == read_back


@pytest.mark.parametrize(
    ("written", "uid"),
    [
        ("1.2.3", "1.2.3"),
        ("urn:oid:1.2.3", "1.2.3"),
        ("urn:dicom:uid|urn:oid:1.2.3", "1.2.3"),
        ("urn:dicom:uid|1.2.3", "1.2.3"),
        ("urn:ietf:rfc:3986|urn:oid:1.2.3", "1.2.3"),
        ("urn:oid:1.9|1.2.3", None),
        ("A42", None),
    ],
)
def test_a_uid_is_found_in_every_way_of_writing_it(written: str, uid: str | None) -> None:
    assert uid_of(token(written)) == uid


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("abc", "abc"),
        ("Patient/abc", "abc"),
        ("Patient/abc/_history/2", "abc"),
        ("https://h/fhir/r4/Patient/abc", "abc"),
        ("https://other/fhir/r4/Patient/abc", None),
        ("https://h/fhir/r4x/Patient/abc", None),
        ("Device/abc", None),
        ("Patient/", None),
        ("Patient/a/b", None),
    ],
)
def test_a_reference_is_an_id_a_relative_or_an_absolute_address(written: str, identity: str | None) -> None:
    assert reference(written, "https://h/fhir/r4", "Patient") == identity


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("patient", ("patient", "", "")),
        ("patient:identifier", ("patient", "identifier", "")),
        ("patient.identifier", ("patient", "", "identifier")),
        ("subject:Patient.identifier", ("subject", "Patient", "identifier")),
    ],
)
def test_a_name_has_a_modifier_and_a_chain(written: str, parts: tuple[str, str, str]) -> None:
    assert split_name(written) == parts


# --- dates ------------------------------------------------------------------------------------------------------------

PLUS_ONE = timezone(timedelta(hours=1))

DATES = [
    ("2026", Moment(datetime(2026, 1, 1, tzinfo=UTC), Precision.YEAR, False)),
    ("2026-01", Moment(datetime(2026, 1, 1, tzinfo=UTC), Precision.MONTH, False)),
    ("2026-01-05", Moment(datetime(2026, 1, 5, tzinfo=UTC), Precision.DAY, False)),
    ("2026-01-05T08:31", Moment(datetime(2026, 1, 5, 8, 31, tzinfo=UTC), Precision.MINUTE, False)),
    ("2026-01-05T08:31Z", Moment(datetime(2026, 1, 5, 8, 31, tzinfo=UTC), Precision.MINUTE, True)),
    ("2026-01-05T08:31:17+01:00", Moment(datetime(2026, 1, 5, 8, 31, 17, tzinfo=PLUS_ONE))),
    ("2026-01-05T08:31:17 01:00", Moment(datetime(2026, 1, 5, 8, 31, 17, tzinfo=PLUS_ONE))),  # "+" read as a space
    ("2026-01-05T08:31:17.5Z", Moment(datetime(2026, 1, 5, 8, 31, 17, 500000, tzinfo=UTC))),
]


@pytest.mark.parametrize(("written", "read_back"), DATES)
def test_a_date_keeps_its_precision_and_whether_it_named_a_zone(written: str, read_back: Moment) -> None:
    assert moment(written) == read_back


@pytest.mark.parametrize(
    "written",
    ["", "26", "2026-13", "2026-02-30", "2026-1-5", "20260105", "2026-01-05T08", "2026-01-05T25:00", "2026-01T08:31",
     "2026-01-05T08:31+15:00", "2026-01-05 08:31", "yesterday", "٢٠٢٦"],
)  # fmt: skip
def test_what_is_no_date_is_told_so_and_where(written: str) -> None:
    with pytest.raises(MalformedMessage) as told:
        comparisons(asked(written, "started"))
    assert told.value.location == "started"
    assert told.value.code == "value"


@given(st.datetimes(min_value=datetime(1900, 1, 1)), st.sampled_from(Precision))  # noqa: DTZ001
def test_every_precision_is_read_back(at: datetime, precision: Precision) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    if precision is Precision.HOUR:
        precision = Precision.MINUTE  # FHIR has no hours without minutes
    text = {1: "%Y", 2: "%Y-%m", 3: "%Y-%m-%d", 5: "%Y-%m-%dT%H:%MZ", 6: "%Y-%m-%dT%H:%M:%SZ"}[precision]
    found = moment(at.strftime(text))
    assert found.precision is precision
    assert found.at.strftime(text) == at.strftime(text)


DAY = Moment(datetime(2026, 1, 5, tzinfo=UTC), Precision.DAY, False)


@pytest.mark.parametrize(
    ("written", "comparison"),
    [("2026-01-05", "eq"), ("eq2026-01-05", "eq"), ("ne2026-01-05", "ne"), ("gt2026-01-05", "gt"),
     ("ge2026-01-05", "ge"), ("lt2026-01-05", "lt"), ("le2026-01-05", "le"), ("sa2026-01-05", "gt"),
     ("eb2026-01-05", "lt")],
)  # fmt: skip
def test_prefixes_compare(written: str, comparison: str) -> None:
    assert comparisons(asked(written)) == ((comparison, DAY),)


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ("ap2026-01-05", "2026-01-04", "2026-01-06"),
        ("ap2026-01", "2025-12", "2026-02"),
        ("ap2026", "2025", "2027"),
        ("ap2026-01-05T00:00Z", "2026-01-04T23:59Z", "2026-01-05T00:01Z"),
        ("ap2026-01-05T00:00:00Z", "2026-01-04T23:59:59Z", "2026-01-05T00:00:01Z"),
    ],
)
def test_about_is_one_unit_to_either_side(written: str, low: str, high: str) -> None:
    assert comparisons(asked(written)) == (("ge", moment(low)), ("le", moment(high)))


def test_the_first_year_has_nothing_before_it() -> None:
    with pytest.raises(MalformedMessage):
        comparisons(asked("ap0001"))


def test_dates_are_no_alternatives() -> None:
    with pytest.raises(Unsupported):
        comparisons(asked("2026,2027"))


# --- parameters -------------------------------------------------------------------------------------------------------


def test_unknown_parameters_are_ignored_unless_the_client_is_strict() -> None:
    pairs = (("status", "available"), ("colour", "red"), ("_revinclude", "X:y"))
    assert [each.name for each in read(pairs, PARAMETERS, strict=False)] == ["status"]
    with pytest.raises(Unsupported) as told:
        read(pairs, PARAMETERS, strict=True)
    assert told.value.location == "colour"


@pytest.mark.parametrize("name", ["status:missing", "status:not", "patient:Device", "patient.name", "status.x"])
@pytest.mark.parametrize("strict", [True, False])
def test_an_unknown_modifier_or_chain_is_always_an_error(name: str, strict: bool) -> None:
    with pytest.raises(Unsupported) as told:
        read(((name, "x"),), PARAMETERS, strict=strict)
    assert told.value.location == name


def test_empty_values_are_no_conditions() -> None:
    assert read((("status", ""), ("status", " "), ("status", ",")), PARAMETERS, strict=True) == ()


def test_result_parameters_and_pages_are_no_conditions() -> None:
    pairs = tuple((name, "1") for name in ("_count", "_format", "_include", "_include:iterate", "_page", "_pretty"))
    assert read(pairs, PARAMETERS, strict=True) == ()


def test_alternatives_have_a_limit() -> None:
    with pytest.raises(MalformedMessage):
        read((("status", ",".join(["a"] * (MAX_ALTERNATIVES + 1))),), PARAMETERS, strict=False)


@pytest.mark.parametrize(
    ("prefer", "strict"),
    [("handling=strict", True), ("return=minimal, handling = strict", True), ("handling=lenient", False), ("", False)],
)
def test_strictness_is_a_preference(prefer: str, strict: bool) -> None:
    assert is_strict(HttpIn(headers={"prefer": prefer})) is strict


FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_a_posted_form_is_merged_with_the_address() -> None:
    request = HttpIn(
        method="POST", query=(("status", "available"),), headers=FORM_HEADERS, body=b"status=registered&a=%C3%BC+b"
    )
    assert pairs_of(request) == (("status", "available"), ("status", "registered"), ("a", "ü b"))


@pytest.mark.parametrize("body", [b"a=%FF", b"\xff=1", b"&".join([b"a=1"] * (MAX_PARAMETERS + 1))])
def test_a_form_that_cannot_be_read_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        pairs_of(HttpIn(method="POST", headers=FORM_HEADERS, body=body))


def test_there_is_a_limit_to_parameters() -> None:
    with pytest.raises(MalformedMessage):
        pairs_of(HttpIn(query=(("a", "1"),) * (MAX_PARAMETERS + 1)))


@given(st.binary(max_size=60))
def test_any_form_is_read_or_refused(body: bytes) -> None:
    try:
        pairs = pairs_of(HttpIn(method="POST", headers=FORM_HEADERS, body=body))
        read(pairs, PARAMETERS, strict=True)
    except ExchangeError:
        pass


# --- shape ------------------------------------------------------------------------------------------------------------


def shape(*pairs: tuple[str, str], strict: bool = False) -> Shape:
    return shape_of(pairs, sorts=("-started",), includes={"A:b": "b", "A:b:C": "b"}, strict=strict)


def test_the_answer_has_a_shape_when_nothing_is_asked() -> None:
    assert shape() == Shape(count=20, total=Total.ACCURATE)


def test_a_count_above_the_limit_is_the_limit_and_no_error() -> None:
    assert shape(("_count", "99999")).count == MAX_COUNT
    assert shape(("_count", "0")).count == 0


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "١", "9999999999999999999999"])
def test_a_count_is_a_whole_number(value: str) -> None:
    with pytest.raises(MalformedMessage) as told:
        shape(("_count", value))
    assert told.value.location == "_count"


def test_includes_are_collected_and_unknown_ones_ignored_unless_strict() -> None:
    assert shape(("_include", "A:b"), ("_include:iterate", "A:b:C"), ("_include", "X:y")).includes == {"b"}
    with pytest.raises(Unsupported):
        shape(("_include", "X:y"), strict=True)


def test_an_order_or_total_that_we_do_not_have_is_an_error() -> None:
    assert shape(("_sort", "-started")).sort == "-started"
    with pytest.raises(Unsupported):
        shape(("_sort", "started"))
    with pytest.raises(MalformedMessage):
        shape(("_total", "all"))
