"""A whole house with Orthanc behind it: pushed in, handed out in two syntaxes, found by FHIR, fetched by WADO-RS."""

import io
from pathlib import Path

import orjson
import pytest
from pydicom import dcmread

from conformance.samples import SampleStudy
from profiles.wire.multipart import parts_of
from tests.support.orthanc import orthanc
from tests.support.scenario import (
    EXPLICIT,
    IMPLICIT,
    VALLEY_ID,
    ZEBEDIAH,
    Valley,
    offer_of,
    rad69_request,
    world,
    write_study,
)

pytestmark = pytest.mark.judge_program


def pixels(study: SampleStudy) -> dict[str, bytes]:
    return {str(one.sop_instance_uid): dcmread(one.path).PixelData for one in study.instances}


async def retrieved(valley: Valley, study: SampleStudy, syntax: str) -> None:
    """RAD-69, everything in this syntax, with our patient and their pixels."""
    head, bodies = await (await valley.retrieve(rad69_request(study, syntaxes=(syntax,)))).retrieved()
    assert head.errors == ()
    told = {uid: dcmread(io.BytesIO(body)) for uid, body in bodies.items()}
    wanted = pixels(study)
    assert set(told) == set(wanted)
    for uid, dataset in told.items():
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert dataset.PixelData == wanted[uid]
        assert dataset.PatientID == VALLEY_ID.value


async def fetched(valley: Valley, study: SampleStudy) -> None:
    """WADO-RS."""
    url = f"{valley.url}/dicomweb/studies/{study.study_instance_uid}"
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    async with valley.http.get(url, headers={"Accept": accept}) as answer:
        assert answer.status == 200
        bodies = [
            b"".join([chunk async for chunk in part.chunks])
            async for part in parts_of(answer.content.iter_any(), answer.headers["Content-Type"])
        ]
    got = {str(dataset.SOPInstanceUID): dataset.PixelData for dataset in (dcmread(io.BytesIO(body)) for body in bodies)}
    assert got == pixels(study)


async def found(valley: Valley, study: SampleStudy) -> None:
    """FHIR."""
    status, body = await valley.get(
        f"/fhir/r4/ImagingStudy?identifier=urn:dicom:uid|urn:oid:{study.study_instance_uid}"
    )
    assert status == 200
    (resource,) = (entry["resource"] for entry in orjson.loads(body)["entry"])
    assert resource["status"] == "available"
    assert resource["numberOfInstances"] == len(study.instances)


async def test_a_study_goes_into_orthanc_and_comes_out_by_every_door(tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as archive:
        behind = {"kind": "dicomweb", "url": archive.dicomweb, "native_url": archive.native}
        async with world(tmp_path, archive=behind) as here:
            assert (await here.valley.tell(ZEBEDIAH)).accepted
            pushed = write_study(tmp_path / "pushed", seed=2, series=2, instances=3)
            status, _ = await here.valley.push(one.path.read_bytes() for one in pushed.instances)
            assert status == 200
            await here.valley.rests("done", kind="store")
            offered = here.study(seed=3, series=1, instances=4)
            assert await (await here.valley.provide(offer_of(offered))).codes() == ()
            done = await here.valley.rests("done", "failed", within_s=60)
            assert done["state"] == "done", done
            assert len(archive.ask("/instances")) == 10  # type: ignore[arg-type]  # a list it is
            for study in (pushed, offered):
                for syntax in (EXPLICIT, IMPLICIT):
                    await retrieved(here.valley, study, syntax)
                await fetched(here.valley, study)
                await found(here.valley, study)
            assert (await here.valley.get("/readyz"))[0] == 200
