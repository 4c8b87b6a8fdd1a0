"""The suite on systems that nobody here wrote: what fails there is known, and explained."""

import asyncio
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import aiohttp
import pytest

from conformance.provide import push_study
from conformance.samples import sample_patient, write_ct_study
from profiles.model.identifiers import Oid
from tests.support.orthanc import orthanc

STRANGERS = Path(__file__).resolve().parents[2] / "conformance" / "strangers"
AUTHORITY = Oid("1.2.3.9")


@pytest.mark.judge_program
def test_orthanc_fails_what_is_explained_and_nothing_else(tmp_path: Path) -> None:
    explained = tomllib.loads((STRANGERS / "orthanc.toml").read_text())["failures"]
    patient = sample_patient(3, AUTHORITY, prefix="C")
    study = write_ct_study(tmp_path / "ct", seed=41, patient=patient, series=2, instances=6, rows=128)
    result, target = tmp_path / "result.json", tmp_path / "orthanc.toml"
    with orthanc(tmp_path / "orthanc") as running:

        async def push() -> None:
            async with aiohttp.ClientSession(trust_env=False) as session:
                await push_study(session, running.dicomweb, study)

        asyncio.run(push())
        target.write_text(
            f"""
            name = "Orthanc"
            [claims]
            "Imaging Document Source" = ["RAD-107", "RAD-107 metadata", "RAD-107 frames", "RAD-107 rendered", "RAD-129"]
            "Image Manager" = ["RAD-108"]
            [endpoint]
            DICOMWEB = "{running.dicomweb}"
            [[study]]
            folder = "ct"
            patient = "{patient.identifiers[0].value}^^^&{AUTHORITY}&ISO"
            """
        )
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "conformance", "run", "--target", str(target), "--json", str(result),
             "--evidence", str(tmp_path / "evidence")],
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    told = json.loads(result.read_text())
    assert told["verdicts"]["pass"] >= 25
    assert told["verdicts"]["skip"] == told["verdicts"]["error"] == 0
    failed = {each["case"]: each["detail"] for each in told["results"] if each["verdict"] == "fail"}
    assert failed.keys() == explained.keys(), failed
