"""What a header says: as DICOM JSON (pydicom judges), as a Study, coerced, and in another native syntax."""

import contextlib
import json
import random
import warnings
from array import array
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from profiles.errors import MalformedMessage, Unsupported
from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.dicom.dataset import COERCED_TAGS, coerced_head, dicom_json, head_in, reread, study_of
from profiles.wire.dicom.part10 import Part10Head, Part10Reader, read_head
from profiles.wire.dicom.study import patient_of
from tests.profiles.wire.dicom.generated import NATIVE, datasets, read, written
from tests.profiles.wire.dicom.judged import PIXELS, TEST_FILES, UNREADABLE

quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
THEIRS, OURS = Oid("1.2.4.4"), Oid("1.2.3.4")
AT = datetime(2026, 11, 24, 6, 7, 8, 9, tzinfo=UTC)
MUELLER = Patient(
    identifiers=(PatientIdentifier(value="V-1", authority=OURS),),
    name=PersonName(family="Müller", given="Zoë"),
    birth_date=Moment.from_dtm("19700102"),
    sex=Sex.FEMALE,
)


# --- DICOM JSON -------------------------------------------------------------------------------------------------------


def _meaning(attributes: dict[str, Any]) -> dict[str, Any]:
    """JSON attributes without the freedoms that Annex F leaves: numbers or strings, padding, null or empty."""
    result = {}
    for tag, attribute in attributes.items():
        if tag in ("00080005", "7FE00010") or tag.endswith("0000"):
            continue
        vr, values = attribute["vr"], attribute.get("Value", [])
        if vr == "SQ":
            values = [_meaning(item) for item in values]
        elif vr == "PN":
            values = [{key: text.strip() for key, text in (name or {}).items() if text.strip()} for name in values]
        elif vr in ("FL", "FD", "DS", "IS"):
            values = [None if value in (None, "") else float(value) for value in values]
        else:
            values = [(value.strip(" \0") or None) if isinstance(value, str) else value for value in values]
        while values and values[-1] in (None, "", {}) and vr != "SQ" and len(values) == 1:
            values = []
        result[tag] = (vr, values, attribute.get("InlineBinary"))
    return result


def _judged(body: bytes, head: Part10Head) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged: dict[str, Any] = read(body).to_json_dict()
    for attributes in _levels(judged):
        for attribute in attributes.values():
            if len(attribute.get("InlineBinary", "")) > 1368:
                del attribute["InlineBinary"]
            elif head.encoding.big and attribute["vr"] == "OW" and "InlineBinary" in attribute:
                words = array("H", b64decode(attribute["InlineBinary"]))
                words.byteswap()  # pydicom keeps the file's byte order; JSON is little endian whatever the file was
                attribute["InlineBinary"] = b64encode(words.tobytes()).decode()
    return judged


def _levels(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    nested = [item for each in attributes.values() if each["vr"] == "SQ" for item in each.get("Value", [])]
    return [attributes, *(level for item in nested for level in _levels(item))]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda each: each.name)
@given(dataset=datasets())
@quickly
def test_json_means_what_pydicom_says(syntax: pydicom.uid.UID, dataset: Dataset) -> None:
    body = written(dataset, syntax, PIXELS)
    head = read_head(body)
    rendered = dicom_json(head)
    mine = json.loads(rendered)
    assert list(mine) == sorted(mine)
    assert _meaning(mine) == _meaning(_judged(body, head))
    assert Dataset.from_json(rendered.decode()).SOPInstanceUID == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    "path", [path for path in TEST_FILES if Path(path).name not in UNREADABLE], ids=lambda path: Path(path).name
)
def test_json_of_files_of_many_makers_means_what_pydicom_says(path: str) -> None:
    body = Path(path).read_bytes()
    head = read_head(body)
    mine = json.loads(dicom_json(head))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            judged = pydicom.dcmread(path, force=True, stop_before_pixels=True).to_json_dict()
        except Exception:
            return
    for attributes in _levels(judged):
        for attribute in attributes.values():
            if len(attribute.get("InlineBinary", "")) > 1368:
                del attribute["InlineBinary"]
    expected = {tag: each for tag, each in _meaning(judged).items() if tag < "7FE00010"}
    assert _meaning(mine) == expected


# --- Study ------------------------------------------------------------------------------------------------------------


def _header(**attributes: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.1.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1", "1.2.3.1.1"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _designator(oid: str) -> Sequence:
    entity = Dataset()
    entity.UniversalEntityID, entity.UniversalEntityIDType = oid, "ISO"
    return Sequence([entity])


def test_a_header_is_a_study_of_one_series_with_one_instance() -> None:
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "77477000", "SCT", "CT"
    body = written(
        _header(
            SpecificCharacterSet="ISO_IR 100",
            PatientName="Müller^Zoë^^Dr.",
            PatientID="L-7",
            IssuerOfPatientIDQualifiersSequence=_designator("1.2.4.4"),
            PatientBirthDate="19700102",
            PatientSex="F",
            AccessionNumber="A1",
            IssuerOfAccessionNumberSequence=_designator("1.2.4.5"),
            StudyID="S1",
            StudyDate="20240102",
            StudyTime="030405.25",
            TimezoneOffsetFromUTC="-0130",
            StudyDescription="CT head",
            ReferringPhysicianName="House^Greg",
            InstitutionName="Lakeside",
            ProcedureCodeSequence=Sequence([procedure]),
            Modality="CT",
            SeriesNumber="3",
            SeriesDescription="axial",
            BodyPartExamined="HEAD",
            Laterality="L",
            SeriesDate="20240102",
            InstanceNumber="12",
            Rows=512,
            Columns=256,
            NumberOfFrames="4",
        ),
        ExplicitVRLittleEndian,
    )
    study = study_of(read_head(body), authority=THEIRS, zone=UTC)
    assert study.patient.identifiers == (PatientIdentifier(value="L-7", authority=Oid("1.2.4.4")),)
    assert study.patient.name == PersonName(family="Müller", given="Zoë", prefix="Dr.")
    assert study.patient.birth_date == Moment.from_dtm("19700102")
    assert study.patient.sex is Sex.FEMALE
    assert study.accession_numbers == (AccessionNumber(value="A1", authority=Oid("1.2.4.5")),)
    assert (study.study_id, study.description, study.institution) == ("S1", "CT head", "Lakeside")
    zone = timezone(-timedelta(hours=1, minutes=30))
    assert study.started == Moment(datetime(2024, 1, 2, 3, 4, 5, 250000, zone))
    assert study.referring_physician == PersonName(family="House", given="Greg")
    assert study.procedure_codes == (Code(value="77477000", system="2.16.840.1.113883.6.96", display="CT"),)
    (series,) = study.series
    assert (series.modality, series.number, series.description) == ("CT", 3, "axial")
    assert (series.body_part, series.laterality) == ("HEAD", "L")
    assert series.started == Moment.from_dtm("20240102")
    assert series.started is not None
    assert series.started.precision is Precision.DAY
    (instance,) = series.instances
    assert (instance.number, instance.rows, instance.columns, instance.frames) == (12, 512, 256, 4)
    assert instance.transfer_syntax_uid == ExplicitVRLittleEndian


@pytest.mark.parametrize(
    ("attributes", "authority"),
    [
        ({}, THEIRS),
        ({"IssuerOfPatientID": "1.2.9.9"}, Oid("1.2.9.9")),
        ({"IssuerOfPatientID": "LAKESIDE"}, THEIRS),
        ({"IssuerOfPatientID": "12"}, THEIRS),  # a number is no OID, though it could be one by its digits
        ({"IssuerOfPatientIDQualifiersSequence": _designator("1.2.9.8")}, Oid("1.2.9.8")),
    ],
)
def test_the_issuer_is_that_of_the_header_or_the_one_handed_in(attributes: dict[str, object], authority: Oid) -> None:
    body = written(_header(PatientID="L-7", **attributes), ImplicitVRLittleEndian)
    assert study_of(read_head(body), authority=THEIRS, zone=UTC).patient.identifiers[0].authority == authority


def test_a_header_without_patient_id_gives_a_patient_without_identifiers() -> None:
    assert (
        study_of(read_head(written(_header(), ImplicitVRLittleEndian)), authority=THEIRS, zone=UTC).patient.identifiers
        == ()
    )


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["", "1.2.x", "1." * 33 + "1"])
def test_a_header_without_uids_is_malformed(keyword: str, value: str) -> None:
    dataset = _header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setattr(dataset, keyword, value)
        body = written(dataset, ImplicitVRLittleEndian)
    with pytest.raises(MalformedMessage):
        study_of(read_head(body), authority=THEIRS, zone=UTC)


@given(dataset=datasets(), syntax=st.sampled_from(NATIVE))
@quickly
def test_no_generated_header_surprises(dataset: Dataset, syntax: pydicom.uid.UID) -> None:
    study = study_of(read_head(written(dataset, syntax)), authority=THEIRS, zone=UTC)
    assert study.study_instance_uid == dataset.StudyInstanceUID


# --- coercion ---------------------------------------------------------------------------------------------------------


def _coerced(head: Part10Head, patient: Patient = MUELLER, accession: AccessionNumber | None = None) -> bytes:
    return coerced_head(head, patient=patient, accession=accession, source="Lakeside", system="RADGATE", at=AT)


def _view(body: bytes, head: Part10Head, coerced: bytes) -> bytes:
    """What is served: the coerced head and the untouched tail."""
    return coerced + (b"" if head.tail_offset is None else body[head.tail_offset :])


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda each: each.name)
@given(dataset=datasets(), data=st.data())
@quickly
def test_coercion_changes_what_it_says_and_nothing_else(
    syntax: pydicom.uid.UID, dataset: Dataset, data: st.DataObject
) -> None:
    body = written(dataset, syntax, PIXELS)
    head = read_head(body)
    accession = data.draw(st.sampled_from([None, AccessionNumber(value="V-A-1", authority=OURS)]))
    before, after = read(body), read(_view(body, head, _coerced(head, accession=accession)))
    assert str(after.PatientName) == "Müller^Zoë"
    assert (after.PatientID, after.IssuerOfPatientID) == ("V-1", OURS)
    assert after.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == OURS
    assert (after.PatientBirthDate, after.PatientSex) == ("19700102", "F")
    if accession is not None:
        assert after.AccessionNumber == "V-A-1"
        assert after.IssuerOfAccessionNumberSequence[0].UniversalEntityID == OURS
    assert after.PixelData == before.PixelData
    changed = {*COERCED_TAGS, 0x04000561, 0x00080005}
    for element in before:
        if element.tag not in changed:
            assert _same(after[element.tag], element), element.tag
    assert {int(tag) for tag in after.keys()} - {int(tag) for tag in before.keys()} <= changed  # noqa: SIM118
    history = after.OriginalAttributesSequence
    assert len(history) == 1 + len(before.get("OriginalAttributesSequence", []))
    last = history[-1]
    assert last.ReasonForTheAttributeModification == "COERCE"
    assert (last.ModifyingSystem, last.SourceOfPreviousValues) == ("RADGATE", "Lakeside")
    assert last.AttributeModificationDateTime == "20261124060708.000009+0000"
    previous = last.ModifiedAttributesSequence[0]
    assert str(previous.PatientName) == str(before.PatientName)
    if before.PatientID != "V-1":
        assert previous.PatientID == before.PatientID
        if before.PatientID:
            assert after.OtherPatientIDsSequence[-1].PatientID == before.PatientID
    assert previous.PatientBirthDate == ""


def _same(one: pydicom.DataElement, other: pydicom.DataElement) -> bool:
    if one.VR == "SQ":
        return len(one.value) == len(other.value) and all(
            all(_same(a[each.tag], each) for each in b) and len(a) == len(b)
            for a, b in zip(one.value, other.value, strict=True)
        )
    return bool(one.value == other.value) or str(one.value) == str(other.value)


@given(dataset=datasets(), syntax=st.sampled_from(NATIVE))
@quickly
def test_coercing_twice_changes_nothing_more(dataset: Dataset, syntax: pydicom.uid.UID) -> None:
    body = written(dataset, syntax, PIXELS)
    head = read_head(body)
    once = _coerced(head)
    again = reread(once, head)
    assert read_head(_coerced(again)).raw == read_head(once).raw


def test_what_did_not_change_is_copied_byte_for_byte() -> None:
    body = written(
        _header(PatientName="A^B", PatientID="L-7", StudyDescription="CT", Modality="CT"), ExplicitVRLittleEndian
    )
    head = read_head(body)
    coerced = read_head(_coerced(head, replace(MUELLER, name=PersonName(family="Miller"))))
    for tag in set(head.dataset.places) - set(COERCED_TAGS):
        mine, theirs = coerced.dataset.places[tag], head.dataset.places[tag]
        assert coerced.raw[mine.start : mine.stop] == head.raw[theirs.start : theirs.stop]
    assert coerced.raw[: coerced.dataset_offset] == head.raw[: head.dataset_offset]


def test_a_name_that_the_character_set_cannot_write_moves_the_head_to_utf_8() -> None:
    body = written(
        _header(SpecificCharacterSet="ISO_IR 144", PatientName="Иванов", PatientID="L-7", StudyDescription="КТ"),
        ImplicitVRLittleEndian,
    )
    after = read(_coerced(read_head(body)))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert str(after.PatientName) == "Müller^Zoë"
    assert after.StudyDescription == "КТ"
    assert str(after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName) == "Иванов"


def test_an_unchanged_header_gets_no_history() -> None:
    patient = Patient(identifiers=(PatientIdentifier(value="V-1", authority=OURS),))
    body = written(
        _header(PatientID="V-1", IssuerOfPatientID=str(OURS), IssuerOfPatientIDQualifiersSequence=_designator(OURS)),
        ExplicitVRLittleEndian,
    )
    assert _coerced(read_head(body), patient) == body


def test_our_own_id_without_issuer_is_not_an_outside_id() -> None:
    patient = Patient(identifiers=(PatientIdentifier(value="V-1", authority=OURS),))
    after = read(_coerced(read_head(written(_header(PatientID="V-1"), ExplicitVRLittleEndian)), patient))
    assert "OtherPatientIDsSequence" not in after
    assert after.IssuerOfPatientID == OURS


def test_a_header_cut_before_the_history_is_not_changed() -> None:
    dataset = _header(PatientID="L-7", EncapsulatedDocument=bytes(100_000))
    reader = Part10Reader(max_head_bytes=20_000)
    reader.feed(written(dataset, ExplicitVRLittleEndian))
    with pytest.raises(Unsupported):
        _coerced(reader.finish())


@pytest.mark.parametrize(
    "path", [path for path in TEST_FILES if Path(path).name not in UNREADABLE], ids=lambda path: Path(path).name
)
def test_files_of_many_makers_are_coerced_and_read_again(path: str) -> None:
    body = Path(path).read_bytes()
    head = read_head(body)
    coerced = _coerced(head)
    again = read_head(_view(body, head, coerced))
    assert again.dataset.first(0x00100020) == "V-1"
    assert again.pixel_length == head.pixel_length
    assert set(again.dataset.places) >= {tag for tag in head.dataset.places if tag & 0xFFFF}
    judged = read(coerced)
    assert judged.PatientID == "V-1"
    assert judged.OriginalAttributesSequence[-1].ReasonForTheAttributeModification == "COERCE"


# --- transfer syntaxes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", NATIVE, ids=lambda each: each.name)
@pytest.mark.parametrize("target", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=lambda each: each.name)
@given(dataset=datasets())
@quickly
def test_a_head_in_another_syntax_says_the_same(
    source: pydicom.uid.UID, target: pydicom.uid.UID, dataset: Dataset
) -> None:
    pixels = None if source == ExplicitVRBigEndian else PIXELS
    body = written(dataset, source, pixels)
    head = read_head(body)
    written_anew = head_in(head, target)
    if head.pixel_value_offset is not None:
        written_anew += body[head.pixel_value_offset :][: head.pixel_length]
    before, after = read(body), read(written_anew)
    assert after.file_meta.TransferSyntaxUID == target
    assert {int(tag) for tag in after.keys()} == {int(tag) for tag in before.keys()}  # noqa: SIM118
    for element in before:
        if source != ExplicitVRBigEndian or element.VR not in ("OW", "SQ"):
            assert _same(after[element.tag], element) or element.tag.is_private, element
    assert json.loads(dicom_json(read_head(written_anew))).keys() == json.loads(dicom_json(head)).keys()


def test_compressed_pixels_and_big_endian_words_are_not_relabelled() -> None:
    dataset = _header(BitsAllocated=16)
    for syntax in (ExplicitVRBigEndian, RLELossless):
        body = written(
            dataset, ExplicitVRBigEndian if syntax is ExplicitVRBigEndian else ExplicitVRLittleEndian, PIXELS
        )
        head = read_head(body)
        if syntax is RLELossless:
            head = replace(head, transfer_syntax_uid=str(syntax))
        with pytest.raises(Unsupported):
            head_in(head, ImplicitVRLittleEndian)
    with pytest.raises(Unsupported):
        head_in(read_head(written(dataset, ExplicitVRLittleEndian)), RLELossless)


def test_study_uids_are_checked_values() -> None:
    study = study_of(read_head(written(_header(), ImplicitVRLittleEndian)), authority=THEIRS, zone=UTC)
    assert study.study_instance_uid == Uid("1.2.3.1")


# --- damage -----------------------------------------------------------------------------------------------------------


def test_damaged_headers_are_read_or_refused_and_nothing_else() -> None:
    readable = [Path(path) for path in TEST_FILES if Path(path).name not in UNREADABLE]
    seeds = [path.read_bytes() for path in readable if path.stat().st_size < 60_000]
    chance = random.Random(20261124)
    reached = 0
    for _ in range(600):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(132, min(len(body), 3000))] = chance.randrange(256)
        try:
            head = read_head(bytes(body))
        except MalformedMessage:
            continue
        reached += 1
        for reads in (
            lambda head: json.loads(dicom_json(head)),
            lambda head: study_of(head, authority=THEIRS, zone=UTC),
            lambda head: read_head(_coerced(head)),
            lambda head: head_in(head, ExplicitVRLittleEndian),
        ):
            with contextlib.suppress(MalformedMessage, Unsupported):
                reads(head)
    assert reached > 180, f"only {reached} of 600 came past the scanner"


# --- whose it is, remembered -------------------------------------------------------------------------------------------


def who(charset: str = "ISO_IR 100", **changes: object) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.SOPInstanceUID, dataset.SOPClassUID = charset, "1.2.9", "1.2.8"
    dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = (
        "P1",
        "Doe^Jane",
        "19610417",
        "F",
    )
    qualifiers, other = Dataset(), Dataset()
    qualifiers.UniversalEntityID = "1.2.3.77"
    other.PatientID, other.IssuerOfPatientIDQualifiersSequence = "O1", Sequence([qualifiers])
    dataset.OtherPatientIDsSequence = Sequence([other])
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda each: each.name)
def test_a_patient_that_is_told_again_is_the_same_and_one_who_differs_is_not(syntax: pydicom.uid.UID) -> None:
    def told(dataset: Dataset, authority: str = "1.2.3") -> Patient:
        return patient_of(read_head(written(dataset, syntax, PIXELS)).dataset, authority=Oid(authority))

    first = told(who())
    assert [(each.value, each.authority) for each in first.identifiers] == [("P1", "1.2.3"), ("O1", "1.2.3.77")]
    assert (first.name.family, first.sex) == ("Doe", Sex.FEMALE)
    assert told(who(SOPInstanceUID="1.2.10", StudyDescription="another one")) == first
    for changed in (who(PatientID="P2"), who(PatientName="Doe^June"), who(PatientBirthDate="19610418"), who(PatientSex="M"),
                    who(IssuerOfPatientID="1.2.4"), who(OtherPatientIDsSequence=Sequence())):  # fmt: skip
        assert told(changed) != first
    assert told(who(), "1.2.5").identifiers[0].authority == "1.2.5"
    long = told(who(OtherPatientIDsSequence=Sequence([who(OtherPatientIDsSequence=Sequence()) for _ in range(200)])))
    assert long.identifiers == first.identifiers[:1]


def test_the_same_bytes_in_another_character_set_are_another_patient() -> None:
    def told(charset: str) -> Patient:
        body = written(who(charset="ISO_IR 101", PatientName="Wa\u0142\u0119sa"), ExplicitVRLittleEndian, PIXELS)
        return patient_of(read_head(body.replace(b"ISO_IR 101", charset.encode())).dataset, authority=Oid("1.2.3"))

    assert told("ISO_IR 101").name.family == "Wa\u0142\u0119sa"
    assert told("ISO_IR 100").name.family == "Wa\xb3\xeasa"
