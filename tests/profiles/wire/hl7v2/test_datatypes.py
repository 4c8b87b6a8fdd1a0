"""HL7 v2 types and the model: authorities, ids, names, times."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.findings import Finding, Severity
from profiles.model.codes import DCM, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.moment import Moment, Precision
from profiles.model.patient import NO_NAME, Patient, PersonName, Sex
from profiles.wire.hl7v2.datatypes import (
    NO_SITE,
    Site,
    read_address,
    read_assigned,
    read_birth_date,
    read_code,
    read_entity,
    read_moment,
    read_name,
    read_patient_identifier,
    read_patient_identifiers,
    read_sex,
    write_address,
    write_code,
    write_entity,
    write_name,
    write_patient_identifier,
)
from profiles.wire.hl7v2.message import STANDARD, Segment, Value, read_message, write_field, write_message, written
from profiles.wire.hl7v2.segments import Visit, control_id_of, read_patient, read_visit, write_patient, write_visit

SITE = Site(
    namespaces={"HOSP": Oid("1.2.3.4"), "CHU-X&000897406&N": Oid("1.2.250.1.7"), "DNSED": Oid("1.2.9")},
)


def pid(**fields: str) -> Segment:
    """PID with the fields given as `f3="..."`."""
    numbers = {int(name[1:]): raw for name, raw in fields.items()}
    return Segment("|".join(["PID", *(numbers.get(number, "") for number in range(1, 41))]), 1, STANDARD, "utf-8")


CX = [
    ("OID and type", "4711^^^&1.2.3.4&ISO", "1.2.3.4", []),
    ("all three", "4711^^^HOSP&1.2.3.4&ISO^MR", "1.2.3.4", []),
    ("namespace alone, in the table", "4711^^^HOSP", "1.2.3.4", []),
    ("namespace alone, not in the table", "4711^^^ELSE", None, ["hl7.authority-unknown"]),
    ("an OID of another authority", "4711^^^ELSE&1.9.9&ISO", "1.9.9", []),
    (
        "namespace and OID of two authorities",
        "4711^^^HOSP&1.9.9&ISO",
        None,
        ["hl7.authority-contradiction", "hl7.authority-unknown"],
    ),
    ("an OID in the place of the namespace", "4711^^^1.2.3.4", "1.2.3.4", ["hl7.authority-spelling"]),
    ("urn:oid: in front", "4711^^^&urn:oid:1.2.3.4&ISO", "1.2.3.4", ["hl7.authority-spelling"]),
    ("type null", "4711^^^&1.2.3.4&null", "1.2.3.4", ["hl7.authority-spelling"]),
    ("no type", "4711^^^&1.2.3.4", "1.2.3.4", ["hl7.authority-spelling"]),
    ("another type, by the whole HD", "4711^^^CHU-X&000897406&N", "1.2.250.1.7", []),
    ("another type, by the namespace", "4711^^^DNSED&hospital.example&DNS", "1.2.9", []),
    ("another type that nobody knows", "4711^^^X&hospital.example&DNS", None, ["hl7.authority-unknown"]),
    ("a type that is not ISO does not make an OID", "4711^^^&1.2.3.4&DNS", None, ["hl7.authority-unknown"]),
    ("no authority", "4711", None, ["hl7.authority-unknown"]),
    ("only delimiters where the authority is", "4711^^^&&", None, ["hl7.authority-unknown"]),
    ("no id", "^^^HOSP", None, ["hl7.identifier-without-value"]),
    ("an id to delete", '""^^^HOSP', None, ["hl7.identifier-without-value"]),
    ("nothing", "^^^&&", None, []),
]


@pytest.mark.parametrize(("_", "raw", "authority", "rules"), CX, ids=[name for name, *_ in CX])
def test_a_patient_id_is_read_with_its_authority(_: str, raw: str, authority: str | None, rules: list[str]) -> None:
    findings: list[Finding] = []
    identifier = read_patient_identifier(Value(raw), SITE, "PID^1^3^1", findings)
    assert identifier == (PatientIdentifier(value="4711", authority=Oid(authority)) if authority else None)
    assert [finding.rule for finding in findings] == rules
    assert all(finding.location.startswith("PID^1^3^1^") for finding in findings)


def test_leading_zeros_and_case_of_an_id_count_and_spaces_around_it_do_not() -> None:
    identifier = read_patient_identifier(Value("  00aB7 ^5^M11^HOSP"), SITE, "", [])
    assert identifier is not None
    assert identifier.value == "00aB7"


def test_an_id_without_authority_is_of_the_default_authority_if_there_is_one() -> None:
    site = Site(default_authority=Oid("1.7"))
    assert read_patient_identifier(Value("1"), site, "", []) == PatientIdentifier(value="1", authority=Oid("1.7"))
    assert read_patient_identifier(Value("1^^^ELSE"), site, "", []) is None


def test_repetitions_are_kept_in_order_and_each_once() -> None:
    findings: list[Finding] = []
    found = read_patient_identifiers(pid(f3="2^^^HOSP~1^^^&1.9&ISO~3^^^ELSE~2^^^&1.2.3.4&ISO"), 3, SITE, findings)
    assert [(each.value, each.authority) for each in found] == [("2", "1.2.3.4"), ("1", "1.9")]
    assert [(finding.rule, finding.location) for finding in findings] == [("hl7.authority-unknown", "PID^1^3^3^4")]
    assert findings[0].severity is Severity.WARNING


OIDS = st.sampled_from(["1.2.3.4", "2.999.7", "1.2.840.10008.1"]).map(Oid)
WORDS = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda t: t and t != '""')
)
IDS = st.builds(PatientIdentifier, value=WORDS, authority=OIDS)


@given(IDS, st.booleans())
def test_a_patient_id_comes_back(identifier: PatientIdentifier, with_table: bool) -> None:
    site = SITE if with_table else NO_SITE
    raw = write_field(write_patient_identifier(identifier, site, "MR"))
    assert read_patient_identifier(Value(raw), site, "", []) == identifier


def test_the_form_without_a_table_is_that_of_xds() -> None:
    identifier = PatientIdentifier(value="4711", authority=Oid("1.2.3.4"))
    assert write_field(write_patient_identifier(identifier)) == str(identifier) == "4711^^^&1.2.3.4&ISO"
    assert write_field(write_patient_identifier(identifier, SITE)) == "4711^^^HOSP&1.2.3.4&ISO"


# --- names ------------------------------------------------------------------------------------------------------------

NAMES = [
    (
        "suffix comes before prefix",
        "Sample^Anna^M^Jr.^Dr.^^L",
        PersonName(family="Sample", given="Anna", middle="M", suffix="Jr.", prefix="Dr."),
    ),
    ("family with own prefix", "van Dyk&van&Dyk^Piet", PersonName(family="van Dyk", given="Piet")),
    (
        "the legal one of several",
        "Maid^Anna^^^^^M~Legal^Anna^^^^^L~Nick^^^^^^N",
        PersonName(family="Legal", given="Anna"),
    ),
    ("legal before display", "Show^A^^^^^D~Legal^A^^^^^L", PersonName(family="Legal", given="A")),
    ("only a maiden name", "Maid^Anna^^^^^M", PersonName(family="Maid", given="Anna")),
    ("first repetition empty, for a query's answer", "~^^^^^^S", NO_NAME),
    ("only a type", "^^^^^^L", NO_NAME),
    ("a space", " ", NO_NAME),
    ("deleted", '""', NO_NAME),
    ("a part deleted", 'Sample^""^M', PersonName(family="Sample", middle="M")),
    ("escapes", "O\\T\\Neill^A\\S\\B", PersonName(family="O&Neill", given="A^B")),
    (
        "ideographic and phonetic, in DICOM's order",
        "Yamada^Tarou^^Sr^Dr^^L^A~山田^太郎^^殿^博士^^L^I~やまだ^たろう^^^^^L^P",
        PersonName(
            family="Yamada",
            given="Tarou",
            suffix="Sr",
            prefix="Dr",
            ideographic="山田^太郎^^博士^殿",
            phonetic="やまだ^たろう",
        ),
    ),
]


@pytest.mark.parametrize(("_", "raw", "name"), NAMES, ids=[name for name, *_ in NAMES])
def test_a_name_is_read(_: str, raw: str, name: PersonName) -> None:
    assert read_name(pid(f5=raw), 5) == name


PART = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip).filter(lambda text: text != '""')
)
PEOPLE = st.builds(PersonName, family=WORDS, given=PART, middle=PART, prefix=PART, suffix=PART)


@given(PEOPLE)
def test_a_name_comes_back(name: PersonName) -> None:
    assert read_name(pid(f5=write_field(write_name(name))), 5) == name


def test_a_name_in_three_scripts_comes_back() -> None:
    name = read_name(pid(f5=NAMES[-1][1]), 5)
    assert read_name(pid(f5=write_field(write_name(name))), 5) == name


# --- the rest of PID --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "birth_date", "rules"),
    [
        ("19710523", Moment(datetime(1971, 5, 23, tzinfo=UTC), Precision.DAY, False), []),
        ("19710523083000", Moment(datetime(1971, 5, 23, tzinfo=UTC), Precision.DAY, False), []),
        ("1971", Moment(datetime(1971, 1, 1, tzinfo=UTC), Precision.YEAR, False), []),
        ("197100", Moment(datetime(1971, 1, 1, tzinfo=UTC), Precision.YEAR, False), ["hl7.birth-date"]),
        ("19710532", Moment(datetime(1971, 5, 1, tzinfo=UTC), Precision.MONTH, False), ["hl7.birth-date"]),
        ("unknown", None, ["hl7.birth-date"]),
        ('""', None, []),
        ("", None, []),
    ],
)
def test_a_birth_date_is_as_precise_as_it_was_said(raw: str, birth_date: Moment | None, rules: list[str]) -> None:
    findings: list[Finding] = []
    assert read_birth_date(pid(f7=raw), 7, findings) == birth_date
    assert [finding.rule for finding in findings] == rules


@pytest.mark.parametrize(
    ("raw", "sex", "is_told"),
    [
        ("F", Sex.FEMALE, False),
        ("m", Sex.MALE, False),
        ("A", Sex.OTHER, False),
        ("N", Sex.OTHER, False),
        ("U", Sex.UNKNOWN, False),
        ("", Sex.UNKNOWN, False),
        ("X", Sex.UNKNOWN, True),
    ],
)
def test_sex_is_of_table_0001(raw: str, sex: Sex, is_told: bool) -> None:
    findings: list[Finding] = []
    assert read_sex(pid(f8=raw), 8, findings) is sex
    assert bool(findings) is is_told


def test_times_without_an_offset_are_of_the_site() -> None:
    berlin = Site(zone=ZoneInfo("Europe/Berlin"))
    moment = read_moment(pid(f7="20260704101500"), 7, berlin, [])
    assert moment is not None
    assert moment.at.astimezone(UTC) == datetime(2026, 7, 4, 8, 15, tzinfo=UTC)
    with_offset = read_moment(pid(f7="20131118101609.93-0500"), 7, berlin, [])
    assert with_offset is not None
    assert with_offset.at == datetime(2013, 11, 18, 10, 16, 9, 930000, tzinfo=timezone(timedelta(hours=-5)))


@pytest.mark.parametrize("raw", ["tomorrow", "20261301", "2026010199", "20260101+9999"])
def test_what_is_no_time_refuses_the_message_and_says_where(raw: str) -> None:
    findings: list[Finding] = []
    assert read_moment(pid(f33=raw), 33, NO_SITE, findings) is None
    assert [(finding.code, finding.location, finding.severity) for finding in findings] == [
        ("102", "PID^1^33", Severity.ERROR)
    ]


@pytest.mark.parametrize("raw", ["Main St 1&Main St&1^^Town^^12345^DEU^H", "Weg \\T\\ Steg^^Ort", "PatientAddress"])
def test_an_address_is_handed_on_as_it_came(raw: str) -> None:
    address = read_address(pid(f11=f"{raw}~other"), 11)
    assert address == raw
    assert write_field(write_address(address)) == raw


def test_an_address_in_other_delimiters_or_another_character_set_is_brought_to_ours() -> None:
    data = b"MSH#*!?%#A####2026##ADT*A01#1#P#2.5######8859/1\rPID###########Stra?XDF?e%x**Ort^1\r"
    address = read_address(read_message(data).segments[1], 11)
    assert address == "Straße&x^^Ort\\S\\1"


@given(
    st.builds(
        Patient,
        identifiers=st.lists(IDS, min_size=1, max_size=3, unique=True).map(tuple),
        name=PEOPLE,
        sex=st.sampled_from(Sex),
    )
)
def test_a_patient_comes_back(patient: Patient) -> None:
    data = write_message([written("MSH", {9: "ADT", 10: "1"}), write_patient(patient, SITE)])
    findings: list[Finding] = []
    assert read_patient(read_message(data).segments[1], SITE, findings) == patient
    assert findings == []


def test_text_that_could_not_be_decoded_is_told() -> None:
    findings: list[Finding] = []
    patient = read_patient(pid(f3="1^^^HOSP", f5="M\\XFC\\ller"), SITE, findings)
    assert patient.name.family == "M\ufffdller"
    assert [(finding.rule, finding.location) for finding in findings] == [("hl7.text-lost", "PID^1^5")]


def test_the_old_field_stands_in_for_the_new_one() -> None:
    assert read_patient(pid(f2="1^^^HOSP"), SITE, []).identifiers[0].value == "1"
    assert read_patient(pid(f2="1^^^HOSP", f3="2^^^HOSP"), SITE, []).identifiers[0].value == "2"


# --- orders, codes, visits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("PL77^HIS", AccessionNumber(value="PL77")),
        ("PL77^HOSP", AccessionNumber(value="PL77", authority=Oid("1.2.3.4"))),
        ("PL77^HIS^1.9.1^ISO", AccessionNumber(value="PL77", authority=Oid("1.9.1"))),
        ("PL77", AccessionNumber(value="PL77")),
        ("^HIS", None),
        ('""', None),
        ("", None),
    ],
)
def test_an_order_number_is_read(raw: str, number: AccessionNumber | None) -> None:
    assert read_entity(Value(raw), SITE) == number


@given(WORDS, st.none() | OIDS)
def test_an_order_number_comes_back(value: str, authority: Oid | None) -> None:
    number = AccessionNumber(value=value, authority=authority)
    assert read_entity(Value(write_field(write_entity(number)))) == number
    assert write_entity(None) == ""


def test_a_visit_number_has_its_authority() -> None:
    assert read_assigned(Value("V1^^^&1.2.9&ISO^VN")) == AccessionNumber(value="V1", authority=Oid("1.2.9"))
    visit = Visit(patient_class="I", number=AccessionNumber(value="V1", authority=Oid("1.2.9")))
    data = write_message([written("MSH", {10: "1"}), write_visit(visit, default_class="U")])
    assert read_visit(read_message(data).segments[1]) == visit
    assert read_visit(None) is None
    assert read_visit(Segment("PV1|1", 1, STANDARD, "utf-8")) is None


def test_codes_carry_the_names_of_table_0396() -> None:
    code = Code(value="113014", system=DCM, display="DICOM Study")
    assert write_field(write_code(code)) == "113014^DICOM Study^DCM"
    assert read_code(Value("113014^DICOM Study^DCM")) == code
    assert read_code(Value("X1^Local thing^99LOCAL")) == Code(value="X1", system="99LOCAL", display="Local thing")
    assert read_code(Value("^^L")) is None


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_control_id_has_at_most_twenty_characters_and_is_the_same_for_the_same(message_id: str) -> None:
    control_id = control_id_of(message_id)
    assert len(control_id) <= 20
    assert control_id == control_id_of(message_id)
    assert control_id == message_id or len(message_id) > 20
