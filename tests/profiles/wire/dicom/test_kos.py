"""Manifests as Key Object Selections: lossless both ways, judged by dciodvfy and highdicom, tolerant of real ones."""

import contextlib
import io
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import highdicom
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.findings import Severity
from profiles.model.codes import DCM, MANIFEST_TITLE, SNOMED_CT, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.dicom.kos import decode_kos, encode_kos, value_type_of
from tests.profiles.wire.dicom.generated import read
from tests.support.judges import require_program, standards

quickly = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

CT, SR, ECG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.9.1.1"

# --- what a KOS can say, generated ------------------------------------------------------------------------------------

zones = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
uids = st.integers(1, 10**30).map(lambda number: Uid(f"1.2.{number}"))
words = st.text(
    st.characters(
        min_codepoint=0x21, exclude_characters="\\^=", exclude_categories=["Cc", "Cs", "Cn", "Co", "Z", "Cf"]
    ),
    max_size=12,
)
some_word = words.filter(bool)
oids = uids.map(Oid)


def moments(least: Precision = Precision.DAY) -> st.SearchStrategy[Moment]:
    def build(at: datetime, precision: Precision, zone: timezone) -> Moment:
        if precision <= Precision.DAY:
            return Moment(datetime(at.year, at.month, at.day, tzinfo=UTC), Precision.DAY, zoned=False)
        kept = {Precision.HOUR: ("minute", "second", "microsecond"), Precision.MINUTE: ("second", "microsecond")}
        at = at.replace(**dict.fromkeys(kept.get(precision, ()), 0))
        # A KOS has one zone, and its offsets have whole quarters: hours stay hours in it.
        return Moment(at.replace(tzinfo=zone), precision)

    times = st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1))  # noqa: DTZ001  # hypothesis wants naive bounds
    return st.builds(build, times, st.sampled_from([each for each in Precision if each >= least]), zones)


names = st.builds(
    PersonName,
    family=some_word,
    given=words,
    middle=words,
    prefix=words,
    suffix=words,
    ideographic=words,
    phonetic=words,
)
identifiers = st.builds(PatientIdentifier, value=some_word, authority=oids)
patients = st.builds(
    Patient,
    identifiers=st.lists(identifiers, min_size=1, max_size=3, unique=True).map(tuple),
    name=names,
    birth_date=st.none() | moments().map(lambda at: Moment.from_dtm(at.at.strftime("%Y%m%d"))),
    sex=st.sampled_from(Sex),
)
numbers = st.builds(AccessionNumber, value=some_word, authority=st.none() | oids)
codes = st.builds(
    Code, value=some_word, system=st.sampled_from([DCM, SNOMED_CT, "99LOCAL"]) | oids.map(str), display=some_word
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    patient, created = draw(patients), draw(moments(Precision.SECOND))
    zone = created.at.tzinfo
    taken = iter(draw(st.lists(uids, min_size=60, max_size=60, unique=True)))
    institution = draw(words)
    studies: list[Study] = []
    for position in range(draw(st.integers(1, 3))):
        series = tuple(
            Series(
                series_instance_uid=next(taken),
                instances=tuple(
                    Instance(sop_instance_uid=next(taken), sop_class_uid=Uid(draw(st.sampled_from([CT, SR, ECG]))))
                    for _ in range(draw(st.integers(1, 4)))
                ),
                retrieve_location_uid=draw(st.none() | oids),
                retrieve_url=draw(st.sampled_from(["", "https://lakeside.example/dicomweb"])),
                retrieve_ae_title=draw(st.sampled_from(["", "LAKESIDE"])),
            )
            for _ in range(draw(st.integers(1, 3)))
        )
        study = Study(
            study_instance_uid=next(taken),
            patient=patient,
            series=series,
            accession_numbers=tuple(draw(st.lists(numbers, max_size=3, unique=True))),
            placer_orders=tuple(draw(st.lists(numbers, max_size=2, unique=True))),
        )
        if position == 0:  # the header has room for one study
            started = draw(st.none() | moments())
            if started is not None and started.precision > Precision.DAY and zone is not None:
                started = Moment(started.at.replace(tzinfo=zone), started.precision)
            study = replace(
                study,
                study_id=draw(words),
                started=started,
                description=draw(words),
                referring_physician=draw(names),
                institution=institution,
                procedure_codes=tuple(draw(st.lists(codes, max_size=2))),
            )
        studies.append(study)
    return Manifest(
        sop_instance_uid=next(taken),
        series_instance_uid=next(taken),
        created=created,
        patient=patient,
        studies=tuple(studies),
        institution=institution,
        manufacturer=draw(words),
        texts=tuple(draw(st.lists(some_word, max_size=2))),
    )


@given(manifest=manifests())
@quickly
def test_a_manifest_comes_back_as_it_was_written(manifest: Manifest) -> None:
    decoded = decode_kos(encode_kos(manifest))
    assert decoded.value == manifest
    missing = {finding.rule for finding in decoded.findings}
    assert missing <= {"kos/retrieve-location", "kos/retrieve-ae-title"}


def _manifest(instances: int = 3) -> Manifest:
    patient = Patient(
        identifiers=(PatientIdentifier(value="V-1", authority=Oid("1.2.3.4")),),
        name=PersonName(family="Müller", given="Zoë"),
        birth_date=Moment.from_dtm("19700102"),
        sex=Sex.FEMALE,
    )
    classes = (CT, SR, ECG)
    series = tuple(
        Series(
            series_instance_uid=Uid(f"1.2.3.100.{number}"),
            instances=tuple(
                Instance(sop_instance_uid=Uid(f"1.2.3.100.{number}.{each}"), sop_class_uid=Uid(sop_class))
                for each in range(1, instances + 1)
            ),
            retrieve_location_uid=Oid("1.2.3.3"),
            retrieve_ae_title="RADGATE",
        )
        for number, sop_class in enumerate(classes, 1)
    )
    study = Study(
        study_instance_uid=Uid("1.2.3.100"),
        patient=patient,
        accession_numbers=(AccessionNumber(value="A1", authority=Oid("1.2.3.4")),),
        placer_orders=(AccessionNumber(value="P1", authority=Oid("1.2.3.5")),),
        study_id="S1",
        started=Moment.from_dtm("20240102030405.5", timezone(timedelta(hours=1))),
        description="CT head",
        institution="Valley",
        series=series,
    )
    return Manifest(
        sop_instance_uid=Uid("1.2.3.9"),
        series_instance_uid=Uid("1.2.3.8"),
        created=Moment.from_dtm("20261124060708", timezone(timedelta(hours=1))),
        patient=patient,
        studies=(study,),
        institution="Valley",
        manufacturer="radgate",
        texts=("for the tumour board",),
    )


# --- judges -----------------------------------------------------------------------------------------------------------


@pytest.mark.judge_program
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    path = tmp_path / "kos.dcm"
    path.write_bytes(encode_kos(_manifest()))
    judged = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
    errors = [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
    assert "KeyObjectSelectionDocument" in judged.stdout + judged.stderr
    assert errors == []


@pytest.mark.judge_program
@given(manifest=manifests())
@settings(quickly, max_examples=30)
def test_dciodvfy_finds_no_error_in_any_of_them(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> None:
    path = tmp_path_factory.getbasetemp() / "any-kos.dcm"
    path.write_bytes(encode_kos(manifest))
    program = require_program("dciodvfy")
    judged = subprocess.run([program, "-new", path], capture_output=True, text=True, errors="replace", check=False)
    errors = [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
    # It counts bytes where DICOM counts characters, and all groups of a name as one (PS3.5 6.2).
    assert [line for line in errors if "Length invalid for this VR" not in line] == []


@pytest.mark.judge_program
def test_dcmdump_reads_every_element(tmp_path: Path) -> None:
    program = require_program("dcmdump")
    path = tmp_path / "kos.dcm"
    path.write_bytes(encode_kos(_manifest(50)))
    judged = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout.count("ReferencedSOPInstanceUID") == 2 * 150


def test_highdicom_reads_it_and_names_the_same_instances() -> None:
    manifest = _manifest()
    (study,) = manifest.studies
    # highdicom 0.28 knows no WAVEFORM content item: pydicom and dciodvfy judge those.
    manifest = replace(manifest, studies=(replace(study, series=study.series[:2]),))
    dataset = read(encode_kos(manifest))
    document = highdicom.ko.KeyObjectSelectionDocument.from_dataset(dataset)
    named = {
        uid for study in manifest.studies for _, instance in study.instances() for uid in [instance.sop_instance_uid]
    }
    assert {document.resolve_reference(uid) for uid in named} == {
        ("1.2.3.100", series.series_instance_uid, instance.sop_instance_uid)
        for series, instance in manifest.studies[0].instances()
    }
    assert len(document.content.get_references()) == 6


def test_pydicom_reads_the_content_tree() -> None:
    dataset = read(encode_kos(_manifest(1)))
    kinds = [item.ValueType for item in dataset.ContentSequence]
    assert kinds == ["TEXT", "IMAGE", "COMPOSITE", "WAVEFORM"]
    assert dataset.ContentSequence[0].TextValue == "for the tumour board"
    assert dataset.ConceptNameCodeSequence[0].CodeValue == "113030"
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    assert dataset.TimezoneOffsetFromUTC == "+0100"
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        (CT, b"IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.66.4", b"IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.481.2", b"IMAGE"),
        ("1.2.840.10008.5.1.4.1.1.77.1.5.1", b"IMAGE"),
        (ECG, b"WAVEFORM"),
        (SR, b"COMPOSITE"),
        ("1.2.840.10008.5.1.4.1.1.104.1", b"COMPOSITE"),
        ("1.2.840.10008.5.1.4.1.1.11.1", b"COMPOSITE"),
        ("1.2.840.10008.5.1.4.1.1.481.3", b"COMPOSITE"),
        ("1.2.840.10008.5.1.4.1.1.66.1", b"COMPOSITE"),
        ("1.2.3.4.5", b"COMPOSITE"),
    ],
)
def test_content_names_instances_by_what_their_class_is(sop_class: str, expected: bytes) -> None:
    assert value_type_of(sop_class) == expected


# --- real ones --------------------------------------------------------------------------------------------------------

SAMPLES = [
    # file, studies, instances, rules that are reported
    ("xds/kos/ids_4801-kos-single.dcm", 1, 1, {"kos/patient-issuer"}),
    ("xds/kos/ids_4802-kos-multi.dcm", 1, 36, {"kos/patient-issuer"}),
    ("xds/kos/IDCDEPT002-kos-large.dcm", 1, 36, {"kos/patient-issuer", "kos/instance-twice"}),
    ("xds/kos/eu-kos-sample.dcm", 1, 2, set()),
    ("xds/rad-68/kos-IDCDEPT001-a.dcm", 1, 1, {"kos/patient-issuer"}),
    ("xds/rad-68/kos-IDCDEPT041-a.dcm", 1, 1, {"kos/patient-issuer"}),
    ("fhir/eu-kos/eu-kos-1.dcm", 1, 1, {"kos/patient-issuer", "kos/title"}),  # 113000: a key image note
    ("fhir/eu-kos/eu-kos-2.dcm", 1, 2, {"kos/patient-issuer", "kos/own-series"}),
    ("fhir/mado/MADO_KOS_A.dcm", 1, 86, {"kos/retrieve-ae-title"}),
    ("fhir/mado/MADO_KOS_B.dcm", 1, 21, {"kos/retrieve-ae-title"}),
    ("fhir/mado/mado-kos-101.dcm", 1, 86, {"kos/patient-issuer", "kos/retrieve-location"}),
]


@pytest.mark.judge_standard
@pytest.mark.parametrize(("path", "studies", "instances", "rules"), SAMPLES, ids=[each[0] for each in SAMPLES])
def test_published_manifests_are_read(path: str, studies: int, instances: int, rules: set[str]) -> None:
    decoded = decode_kos(standards("samples", *path.split("/")).read_bytes())
    assert len(decoded.value.studies) == studies
    assert decoded.value.instance_count == instances
    assert {finding.rule for finding in decoded.findings} == rules
    refused = [finding for finding in decoded.findings if finding.severity is Severity.ERROR]
    assert bool(refused) == ("kos/title" in rules)
    assert decode_kos(encode_kos(decoded.value)).value == decoded.value


@pytest.mark.judge_standard
def test_a_bare_patient_id_belongs_to_the_authority_that_is_handed_in() -> None:
    body = standards("samples", "xds", "kos", "ids_4801-kos-single.dcm").read_bytes()
    assert decode_kos(body).value.patient.identifiers == ()
    (identifier,) = decode_kos(body, authority=Oid("1.2.4.4")).value.patient.identifiers
    assert identifier == PatientIdentifier(value="IDS-DEPT001-a", authority=Oid("1.2.4.4"))


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _edited(edit: Callable[[pydicom.Dataset], None]) -> bytes:
    dataset = read(encode_kos(_manifest()))
    edit(dataset)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(file, dataset)
    return file.getvalue()


def _drop_content(dataset: pydicom.Dataset) -> None:
    del dataset.ContentSequence[-1]


def _name_itself(dataset: pydicom.Dataset) -> None:
    reference = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    reference[0].ReferencedSOPInstanceUID = dataset.SOPInstanceUID


def _other_title(dataset: pydicom.Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeValue = "113037"


def _other_study(dataset: pydicom.Dataset) -> None:
    dataset.StudyInstanceUID = "1.2.3.999"


def _no_title(dataset: pydicom.Dataset) -> None:
    del dataset.ConceptNameCodeSequence


@pytest.mark.parametrize(
    ("edit", "rules", "refused"),
    [
        (_drop_content, {"kos/content"}, False),
        (_name_itself, {"kos/instance-twice", "kos/content"}, False),
        (_other_title, {"kos/title"}, True),
        (_no_title, {"kos/title"}, False),
        (_other_study, {"kos/header-study"}, False),
    ],
)
def test_what_is_odd_is_reported(edit: Callable[[pydicom.Dataset], None], rules: set[str], refused: bool) -> None:
    decoded = decode_kos(_edited(edit))
    assert {finding.rule for finding in decoded.findings} == rules
    assert any(finding.severity is Severity.ERROR for finding in decoded.findings) is refused


def _not_a_kos(dataset: pydicom.Dataset) -> None:
    dataset.SOPClassUID = CT


def _no_evidence(dataset: pydicom.Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence


def _bad_uid(dataset: pydicom.Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.x"


def _no_series(dataset: pydicom.Dataset) -> None:
    del dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence


def _no_time(dataset: pydicom.Dataset) -> None:
    del dataset.ContentDate, dataset.InstanceCreationDate, dataset.StudyDate


@pytest.mark.parametrize("edit", [_not_a_kos, _no_evidence, _bad_uid, _no_series, _no_time])
def test_what_is_no_manifest_at_all_is_malformed(edit: Callable[[pydicom.Dataset], None]) -> None:
    with pytest.raises(MalformedMessage):
        decode_kos(_edited(edit))


@given(data=st.data())
@quickly
def test_a_damaged_manifest_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(encode_kos(_manifest()))
    for _ in range(data.draw(st.integers(1, 6))):
        where = data.draw(st.integers(132, len(body) - 1))
        body[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(body), len(body) // 2, len(body) - 1]))
    with contextlib.suppress(MalformedMessage):
        decode_kos(bytes(body[:cut]))


def test_the_title_is_that_of_a_manifest_when_none_is_given() -> None:
    assert decode_kos(_edited(_no_title)).value.title == MANIFEST_TITLE
