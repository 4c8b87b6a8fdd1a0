"""Orthanc as a client of our DICOMweb address: it pushes a study, finds it, forgets it, and fetches it back."""

import asyncio
import json
from pathlib import Path

import pytest

from conformance.samples import sample_patient, write_ct_study
from tests.support.dicomweb_house import AUTHORITY, dicomweb_house, files_of
from tests.support.orthanc import orthanc


@pytest.mark.judge_program
async def test_orthanc_stores_finds_and_retrieves(tmp_path: Path) -> None:
    study = write_ct_study(
        tmp_path / "ct", seed=3, patient=sample_patient(3, AUTHORITY), series=2, instances=3, rows=64
    )
    uid = study.study_instance_uid
    async with dicomweb_house() as house:
        await house.know(study)
        servers = {"radgate": [f"{house.url}/"]}
        context = orthanc(tmp_path / "orthanc", DicomWeb={"Enable": True, "Root": "/dicom-web/", "Servers": servers})
        client = await asyncio.to_thread(context.__enter__)
        try:

            async def ask(path: str, body: object | bytes = b"", method: str = "POST") -> object:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                return await asyncio.to_thread(client.ask, path, method=method, body=data or None)

            for body in files_of(study):
                await ask("/instances", body)
            (stored,) = await ask("/studies", method="GET")  # type: ignore[misc]  # a list of one
            await ask("/dicom-web/servers/radgate/stow", {"Resources": [stored], "Synchronous": True})
            assert house.audited()[-1] == ("DICOM Instances Transferred", "C", "RAD-108", 0)
            status, _, body = await house.get(f"/studies/{uid}/instances")
            assert status == 200
            assert len(json.loads(body)) == 6

            found = await ask(
                "/dicom-web/servers/radgate/qido", {"Uri": "/studies", "Arguments": {"StudyInstanceUID": str(uid)}}
            )
            assert str(uid) in json.dumps(found)

            await asyncio.to_thread(client.clear)
            assert await ask("/instances", method="GET") == []
            await ask("/dicom-web/servers/radgate/retrieve", {"Resources": [{"Study": str(uid)}], "Synchronous": True})
            assert len(await ask("/instances", method="GET")) == 6  # type: ignore[arg-type]  # a list
            assert house.audited()[-1] == ("DICOM Instances Transferred", "R", "RAD-107", 0)
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
