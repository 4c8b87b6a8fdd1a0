import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from conformance.samples import (
    LOSSLESS,
    SampleStudy,
    read_study,
    sample_patient,
    sample_uid,
    write_capture_study,
    write_ct_study,
    write_mr_study,
    write_us_study,
)
from profiles.model.identifiers import Oid
from profiles.model.patient import NO_NAME, Sex
from tests.support.judges import require_program

AUTHORITY = Oid("1.2.3.4")
PATIENT = sample_patient(1, AUTHORITY)

Write = Callable[[Path, str], SampleStudy]


def ct(folder: Path, syntax: str = ExplicitVRLittleEndian) -> SampleStudy:
    return write_ct_study(folder, seed=1, patient=PATIENT, series=2, instances=3, rows=64, transfer_syntax=syntax)


def mr(folder: Path, syntax: str = ExplicitVRLittleEndian) -> SampleStudy:
    return write_mr_study(folder, seed=2, patient=PATIENT, instances=2, rows=64, transfer_syntax=syntax)


def us(folder: Path, syntax: str = ExplicitVRLittleEndian) -> SampleStudy:
    return write_us_study(folder, seed=3, patient=PATIENT, frames=3, rows=64, transfer_syntax=syntax)


def capture(folder: Path, syntax: str = ExplicitVRLittleEndian) -> SampleStudy:
    return write_capture_study(folder, seed=4, patient=PATIENT, frames=3, rows=64, transfer_syntax=syntax)


EVERY = [
    pytest.param(write, syntax, id=f"{write.__name__}-{syntax.name}")
    for write in (ct, mr, us, capture)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, *LOSSLESS)
]


@pytest.mark.parametrize(("write", "syntax"), EVERY)
def test_what_is_told_is_what_is_in_the_files(tmp_path: Path, write: Write, syntax: str) -> None:
    study = write(tmp_path, syntax)
    for series in study.series:
        assert [each.number for each in series.instances] == list(range(1, len(series.instances) + 1))
        for instance in series.instances:
            dataset = dcmread(instance.path)
            assert dataset.SOPInstanceUID == instance.sop_instance_uid
            assert dataset.SOPClassUID == instance.sop_class_uid
            assert dataset.SeriesInstanceUID == series.series_instance_uid
            assert dataset.StudyInstanceUID == study.study_instance_uid
            assert dataset.file_meta.TransferSyntaxUID == instance.transfer_syntax_uid == syntax
            assert instance.size_bytes == instance.path.stat().st_size
            assert instance.pixels_sha256 == hashlib.sha256(dataset.PixelData).hexdigest()
            assert dataset.AccessionNumber == study.accession_number


@pytest.mark.parametrize("write", [ct, us, capture])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_compressed_pixels_decode_to_the_same_picture(tmp_path: Path, write: Write, syntax: str) -> None:
    plain, packed = write(tmp_path / "plain", ExplicitVRLittleEndian), write(tmp_path / "packed", syntax)
    for one, other in zip(plain.instances, packed.instances, strict=True):
        assert one.sop_instance_uid == other.sop_instance_uid
        assert numpy.array_equal(dcmread(one.path).pixel_array, dcmread(other.path).pixel_array)


@pytest.mark.parametrize("write", [ct, mr, us, capture])
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, write: Write) -> None:
    first, second = write(tmp_path / "a", ExplicitVRLittleEndian), write(tmp_path / "b", ExplicitVRLittleEndian)
    assert [each.path.read_bytes() for each in first.instances] == [each.path.read_bytes() for each in second.instances]


@pytest.mark.parametrize("write", [ct, mr, us, capture])
def test_a_folder_is_read_as_it_was_told(tmp_path: Path, write: Write) -> None:
    study = write(tmp_path, ExplicitVRLittleEndian)
    (tmp_path / "README.txt").write_text("not DICOM")
    (tmp_path / "empty").touch()
    assert read_study(tmp_path) == (study,)


def test_several_studies_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    one, two = ct(tmp_path / "one"), mr(tmp_path / "two")
    assert set(read_study(tmp_path)) == {one, two}


def test_an_id_without_issuer_is_nobodys(tmp_path: Path) -> None:
    study = ct(tmp_path)
    for instance in study.instances:
        dataset = dcmread(instance.path)
        del dataset.IssuerOfPatientIDQualifiersSequence, dataset.PatientName
        dataset.PatientBirthDate = dataset.PatientSex = ""
        dataset.save_as(instance.path)
    (read,) = read_study(tmp_path)
    (identifier,) = read.patient.identifiers
    assert identifier.value == PATIENT.identifiers[0].value
    assert identifier.authority == sample_uid("no issuer")
    assert (read.patient.name, read.patient.birth_date, read.patient.sex) == (NO_NAME, None, Sex.UNKNOWN)


def test_slices_differ_and_the_lesion_moves(tmp_path: Path) -> None:
    study = write_ct_study(tmp_path, seed=1, patient=PATIENT, series=1, instances=4, rows=64)
    pictures = [dcmread(each.path).pixel_array.astype(int) for each in study.instances]
    assert len({each.pixels_sha256 for each in study.instances}) == 4
    assert all(abs(one - two).max() > 300 for one, two in pairwise(pictures))


def test_patients_differ_by_seed_and_belong_to_their_authority() -> None:
    patients = [sample_patient(seed, AUTHORITY) for seed in range(20)]
    assert len({each.identifiers[0] for each in patients}) == 20
    assert {each.identifiers[0].authority for each in patients} == {AUTHORITY}
    assert sample_patient(3, AUTHORITY) == sample_patient(3, AUTHORITY)


def test_uid_and_accession_may_be_given(tmp_path: Path) -> None:
    wanted = sample_uid("mine")
    study = write_ct_study(
        tmp_path, seed=1, patient=PATIENT, study_instance_uid=wanted, accession_number="X1", instances=1, rows=64
    )
    assert (study.study_instance_uid, study.accession_number) == (wanted, "X1")
    assert replace(study, series=()) == replace(read_study(tmp_path)[0], series=())


@pytest.mark.judge_program
@pytest.mark.parametrize(("write", "syntax"), EVERY)
def test_dciodvfy_finds_no_error(tmp_path: Path, write: Write, syntax: str) -> None:
    judge = require_program("dciodvfy")
    for instance in write(tmp_path, syntax).instances:
        judged = subprocess.run([judge, str(instance.path)], capture_output=True, text=True, check=False)
        assert [line for line in judged.stderr.splitlines() if line.startswith("Error")] == []


@pytest.mark.judge_program
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_dcmtk_decodes_the_pixels(tmp_path: Path, syntax: str) -> None:
    program = {RLELossless: "dcmdrle", JPEGLSLossless: "dcmdjpls", JPEG2000Lossless: ""}.get(syntax, "dcmconv")
    judge = require_program(program)
    plain, packed = ct(tmp_path / "plain"), ct(tmp_path / "packed", syntax)
    for one, other in zip(plain.instances, packed.instances, strict=True):
        subprocess.run([judge, str(other.path), str(tmp_path / "out.dcm")], check=True, capture_output=True)
        assert dcmread(tmp_path / "out.dcm").PixelData == dcmread(one.path).PixelData
