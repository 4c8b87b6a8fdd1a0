"""HL7-typed values: exact out, tolerant in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.findings import Finding
from profiles.model.document import ACCESSION, STUDY_INSTANCE_UID, ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.ebxml.datatypes import (
    cx,
    cxi,
    escape_hl7,
    from_cx,
    from_cxi,
    from_dtm,
    from_source_patient_info,
    source_patient_info,
    unescape_hl7,
)

OIDS = st.lists(st.integers(0, 99_999), min_size=2, max_size=6).map(lambda parts: Oid(".".join(map(str, parts))))
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=20)


@given(st.text())
def test_an_escaped_text_has_no_delimiters_and_comes_back(text: str) -> None:
    assert not set(escape_hl7(text).replace("\\F\\", "").replace("\\S\\", "")) & set("|^~&")
    assert unescape_hl7(escape_hl7(text)) == text


@pytest.mark.parametrize("text", [r"a\X0D\b", "a\\", r"\Q\ ", r"\.br\ "])
def test_escapes_that_are_not_delimiters_stay(text: str) -> None:
    assert unescape_hl7(text) == text


@given(TEXTS, OIDS)
def test_a_patient_id_comes_back(value: str, authority: Oid) -> None:
    identifier = PatientIdentifier(value=value, authority=authority)
    assert from_cx(cx(identifier)) == identifier


@pytest.mark.parametrize(
    "text",
    ["A^^^&1.2.3&ISO", "A^^^LAKESIDE&1.2.3&ISO", "A^^^&1.2.3&ISO^PI^^", " A ^^^&urn:oid:1.2.3&ISO", "A^1^M11^&1.2.3"],
)
def test_a_patient_id_is_read_as_peers_write_it(text: str) -> None:
    assert from_cx(text) == PatientIdentifier(value="A", authority=Oid("1.2.3"))


@pytest.mark.parametrize(
    "text", ["", "A", "A^^^", "A^^^LAKESIDE", "A^^^&&ISO", "^^^&1.2.3&ISO", "A^^^&x&ISO", "A^^&1.2&ISO"]
)
def test_a_patient_id_without_an_owner_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"patient id|UID"):
        from_cx(text)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (
            "2013001^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession",
            ReferenceId(value="2013001", type=ACCESSION, authority="1.2.3.4.5.6"),
        ),
        (
            "1.2.3.45.678^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            ReferenceId(value="1.2.3.45.678", type=STUDY_INSTANCE_UID),
        ),
        (
            r"7\S\8^^^RIS^urn:ihe:iti:xds:2013:accession",
            ReferenceId(value="7^8", type=ACCESSION, authority="RIS"),
        ),
    ],
)
def test_a_reference_id_reads_and_writes_the_same(text: str, reference: ReferenceId) -> None:
    assert from_cxi(text) == reference
    assert cxi(reference) == text


@given(TEXTS, st.one_of(st.just(""), OIDS), st.sampled_from([ACCESSION, STUDY_INSTANCE_UID]))
def test_a_reference_id_comes_back(value: str, authority: str, kind: str) -> None:
    reference = ReferenceId(value=value, type=kind, authority=authority)
    assert from_cxi(cxi(reference)) == reference


@pytest.mark.parametrize(
    "text", ["", "1", "1^^^&1.2&ISO", "^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession", "1^^^&1.2&ISO^"]
)
def test_a_reference_id_without_value_or_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="reference id"):
        from_cxi(text)


@pytest.mark.parametrize(
    ("text", "dtm", "rules"),
    [
        ("20260301101500", "20260301101500", []),
        ("2026", "2026", []),
        ("20260301", "20260301", []),
        ("20260301101500+0100", "20260301091500", ["ebrim/dtm"]),
        ("20260301101500.25", "20260301101500", ["ebrim/dtm"]),
    ],
)
def test_a_time_is_utc(text: str, dtm: str, rules: list[str]) -> None:
    findings: list[Finding] = []
    moment = from_dtm(text, "creationTime", "Document01", findings)
    assert moment is not None
    assert moment.dtm == dtm
    assert [finding.rule for finding in findings] == rules


@pytest.mark.parametrize(
    "text", ["yesterday", "20261301", "2026030124", "202603011060", "0001010100+1400", "20260301+9900"]
)
def test_what_is_no_time_is_none_and_an_error(text: str) -> None:
    findings: list[Finding] = []
    assert from_dtm(text, "creationTime", "Document01", findings) is None
    assert findings[-1].severity == "error"


def test_a_name_goes_out_with_suffix_before_prefix() -> None:
    patient = Patient(
        identifiers=(), name=PersonName(family="Test", given="Anna", prefix="Dr", suffix="Jr"), sex=Sex.UNKNOWN
    )
    assert source_patient_info(patient) == ("PID-5|Test^Anna^^Jr^Dr",)


def test_trailing_delimiters_are_not_written() -> None:
    assert source_patient_info(Patient(identifiers=(), name=PersonName(family="Test"))) == ("PID-5|Test",)


NAMES = st.builds(
    PersonName,
    family=TEXTS,
    given=TEXTS | st.just(""),
    middle=TEXTS | st.just(""),
    prefix=TEXTS,
    suffix=TEXTS | st.just(""),
)


@given(
    st.builds(
        Patient,
        identifiers=st.lists(
            st.builds(PatientIdentifier, value=TEXTS, authority=OIDS), min_size=1, max_size=3, unique=True
        ).map(tuple),
        name=NAMES,
        birth_date=st.none() | st.dates().map(lambda date: Moment.from_dtm(date.strftime("%Y%m%d").zfill(8))),
        sex=st.sampled_from(Sex),
        address=st.just("100 Main St^^Metropolis"),
    )
)
def test_a_source_patient_comes_back(patient: Patient) -> None:
    findings: list[Finding] = []
    assert from_source_patient_info(source_patient_info(patient), None, "Document01", findings) == patient
    assert findings == []


def test_a_source_patient_is_read_as_peers_write_it() -> None:
    findings: list[Finding] = []
    fallback = PatientIdentifier(value="F", authority=Oid("1.2"))
    patient = from_source_patient_info(
        (
            "pid-3 | A^^^&1.2.3&ISO~B^^^&1.2.4&ISO",
            "PID-3|no-owner",
            "PID-5|Doe&van&Der^John^^^~Other^Name",
            "PID-7|195605271200",
            "PID-8|X",
            "PID-19|123",
        ),
        fallback,
        "Document01",
        findings,
    )
    assert patient is not None
    assert [identifier.value for identifier in patient.identifiers] == ["A", "B"]
    assert (patient.name.family, patient.name.given) == ("Doe", "John")
    assert patient.birth_date == Moment.from_dtm("19560527")
    assert patient.sex is Sex.UNKNOWN
    assert [finding.rule for finding in findings] == ["ebrim/source-patient-id"]
    assert from_source_patient_info((), fallback, "Document01", findings) is None
    nobody = from_source_patient_info(("PID-7|soon",), fallback, "Document01", findings)
    assert nobody is not None
    assert nobody.identifiers == (fallback,)
    assert nobody.birth_date is None
