"""What the index tells after a merge is what the file's own new head would tell."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conformance.samples import sample_patient, write_ct_study
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.wire.dicom.dataset import coerced_head, dicom_json, reread
from profiles.wire.dicom.part10 import read_head
from profiles.wire.dicom.recoerce import recoerced_json

AT = datetime(2026, 3, 14, 12, 0, 0, 5, tzinfo=UTC)
OURS = Oid("1.2.3.4")


@pytest.mark.parametrize("seed", range(8))
def test_json_is_coerced_as_the_head_is_however_often(tmp_path: Path, seed: int) -> None:
    study = write_ct_study(
        tmp_path, seed=seed, patient=sample_patient(seed, Oid("1.2.4.4")), series=1, instances=1, rows=16
    )
    head = read_head(study.instances[0].path.read_bytes())
    metadata = dicom_json(head)
    merged: tuple[tuple[Patient, AccessionNumber | None, str], ...] = (
        (sample_patient(seed, OURS, prefix="A"), None, "Lakeside"),
        (sample_patient(seed + 3, OURS, prefix="B"), AccessionNumber(value="N1", authority=OURS), "merge"),
        (Patient(identifiers=(PatientIdentifier(value="Å1", authority=OURS),)), None, "merge"),
    )
    for patient, accession, source in merged:
        how = {"patient": patient, "accession": accession, "source": source, "system": "Valley", "at": AT}
        head = reread(coerced_head(head, **how), head)  # type: ignore[arg-type]
        metadata = recoerced_json(metadata, **how)  # type: ignore[arg-type]
        assert json.loads(metadata) == json.loads(dicom_json(head))


def test_what_reads_so_already_stays(tmp_path: Path) -> None:
    patient = sample_patient(1, OURS)
    study = write_ct_study(tmp_path, seed=1, patient=patient, series=1, instances=1, rows=16)
    head = read_head(study.instances[0].path.read_bytes())
    once = recoerced_json(dicom_json(head), patient=patient, accession=None, source="x", system="y", at=AT)
    again = recoerced_json(once, patient=patient, accession=None, source="x", system="y", at=AT)
    assert json.loads(again) == json.loads(once)
