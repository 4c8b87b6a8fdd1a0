"""A whole house with Orthanc behind it: pushed in, handed out in two syntaxes, found by FHIR, fetched by WADO-RS."""

import asyncio
import io
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, RLELossless

from conformance.samples import SampleStudy, write_ct_study
from profiles.transaction import SoapTransaction
from profiles.wire.multipart import parts_of
from profiles.xcai.rad75 import RAD_75
from profiles.xds.iti41 import ResponseStatus
from profiles.xdsi.rad69 import RAD_69, RetrieveDocumentSetResponse
from tests.support.communities import IMAGING_RESPONDING, VALLEY_HOME, at_home
from tests.support.orthanc import Orthanc, orthanc
from tests.support.scenario import (
    EXPLICIT,
    IMPLICIT,
    SOURCE,
    VALLEY_ID,
    ZEBEDIAH,
    Valley,
    message_of,
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
            assert len(archive.ask("/instances")) == 10
            for study in (pushed, offered):
                for syntax in (EXPLICIT, IMPLICIT):
                    await retrieved(here.valley, study, syntax)
                await fetched(here.valley, study)
                await found(here.valley, study)
            assert (await here.valley.get("/readyz"))[0] == 200


# --- what somebody else put into Orthanc, compressed --------------------------------------------------------------------

AS_VALLEY_KNOWS_HIM = replace(ZEBEDIAH, identifiers=(VALLEY_ID,))
DOORS: Mapping[str, tuple[SoapTransaction[Any, Any], str]] = {
    "RAD-69": (RAD_69, SOURCE),
    "RAD-75": (RAD_75, IMAGING_RESPONDING),
}


def given_by(archive: Orthanc, study: SampleStudy, syntax: str) -> dict[str, bytes]:
    """What Orthanc's own WADO-RS hands out of each instance in a syntax, cut out by hand."""
    found = {}
    for series in study.series:
        for one in series.instances:
            above = f"/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
            path = f"{above}/instances/{one.sop_instance_uid}"
            accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
            asked = urllib.request.Request(archive.dicomweb + path, headers={"Accept": accept})
            with urllib.request.urlopen(asked, timeout=30) as answer:
                body = answer.read()
            file, _, end = body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")
            assert end.rstrip().endswith(b"--")
            found[str(one.sop_instance_uid)] = file
    return found


async def asked_of(
    valley: Valley, door: str, study: SampleStudy, *syntaxes: str
) -> tuple[RetrieveDocumentSetResponse, dict[str, bytes]]:
    transaction, path = DOORS[door]
    request = at_home(rad69_request(study, syntaxes=syntaxes), VALLEY_HOME)
    return await (await valley.post(path, await message_of(transaction, request))).retrieved()


@pytest.mark.parametrize("native", [True, False], ids=["native", "DICOMweb only"])
@pytest.mark.parametrize("stored", [RLELossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
async def test_what_is_compressed_in_orthanc_leaves_by_both_transactions_as_orthanc_gives_it(
    tmp_path: Path, stored: str, native: bool
) -> None:
    with orthanc(tmp_path / "orthanc") as archive:
        study = write_ct_study(
            tmp_path / "study", seed=5, patient=AS_VALLEY_KNOWS_HIM, series=2, instances=2, rows=32,
            transfer_syntax=stored,
        )  # fmt: skip
        for one in study.instances:
            archive.ask("/instances", method="POST", body=one.path.read_bytes())
        behind = {"kind": "dicomweb", "url": archive.dicomweb, "look_again_s": 0.3, "late_s": 0.01}
        if native:
            behind["native_url"] = archive.native
        async with world(tmp_path, archive=behind) as here:
            assert (await here.valley.tell(ZEBEDIAH)).accepted
            async with asyncio.timeout(30):
                while orjson.loads((await here.valley.get("/fhir/r4/ImagingStudy?status=available"))[1])["total"] != 1:
                    await asyncio.sleep(0.1)
            as_stored = given_by(archive, study, stored)
            assert as_stored == {str(one.sop_instance_uid): one.path.read_bytes() for one in study.instances}
            for door in DOORS:
                for syntaxes in ((stored,), (EXPLICIT, stored)):  # what is kept so is not decompressed
                    head, bodies = await asked_of(here.valley, door, study, *syntaxes)
                    assert (head.status, bodies) == (ResponseStatus.SUCCESS, as_stored)
                head, bodies = await asked_of(here.valley, door, study, EXPLICIT)
                if stored == RLELossless:
                    assert (head.status, bodies) == (ResponseStatus.SUCCESS, given_by(archive, study, EXPLICIT))
                    assert all(
                        dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == EXPLICIT for body in bodies.values()
                    )
                else:  # Debian's Orthanc has nothing that decodes JPEG 2000: it says 500, and we say which cannot be had
                    assert (head.status, bodies) == (ResponseStatus.FAILURE, {})
                    assert [error.code for error in head.errors] == ["XDSRepositoryError"] * len(study.instances)
