"""The archive that is simulated: a client nobody here wrote finds, fetches and stores, and what is odd is noticed."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
import pytest
import pytest_asyncio
from dicomweb_client.api import DICOMwebClient

from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_us_study
from conformance.simulators.dicomweb_archive import DicomwebArchive
from profiles.model.identifiers import Oid

AUTHORITY = Oid("1.2.3.4")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleStudy, SampleStudy]:
    """A CT of two series, and an ultrasound of another patient."""
    folder = tmp_path_factory.mktemp("studies")
    ct = write_ct_study(folder / "ct", seed=1, patient=sample_patient(1, AUTHORITY), series=2, instances=3, rows=32)
    return ct, write_us_study(folder / "us", seed=2, patient=sample_patient(2, AUTHORITY))


@pytest_asyncio.fixture
async def archive(studies: tuple[SampleStudy, SampleStudy]) -> AsyncIterator[DicomwebArchive]:
    made = DicomwebArchive("127.0.0.1", 0, ssl=None)
    await made.start()
    for study in studies:
        made.offer(study)
    yield made
    await made.stop()


async def asking(archive: DicomwebArchive, name: str, *arguments: Any, **options: Any) -> Any:
    client = DICOMwebClient(url=archive.address)
    return await asyncio.to_thread(getattr(client, name), *arguments, **options)


def value(attributes: dict[str, Any], tag: str) -> Any:
    return attributes[tag]["Value"][0]


@pytest.mark.judge_program
async def test_studies_are_found_by_what_their_headers_say(
    archive: DicomwebArchive, studies: tuple[SampleStudy, SampleStudy]
) -> None:
    ct, us = studies
    for filters, found in (
        ({}, {ct, us}),
        ({"PatientID": ct.patient.identifiers[0].value}, {ct}),
        ({"AccessionNumber": us.accession_number}, {us}),
        ({"ModalitiesInStudy": "CT"}, {ct}),
        ({"PatientName": f"{us.patient.name.family.lower()}*"}, {us}),
        ({"StudyInstanceUID": f"{ct.study_instance_uid},{us.study_instance_uid}"}, {ct, us}),
        ({"StudyDate": "18000101-18001231"}, set()),
        ({"StudyDate": "19000101-"}, {ct, us}),
        ({"PatientID": "nobody"}, set()),
    ):  # fmt: skip
        came = await asking(archive, "search_for_studies", search_filters=filters)
        assert {value(each, "0020000D") for each in came} == {each.study_instance_uid for each in found}, filters
    (told,) = await asking(archive, "search_for_studies", search_filters={"ModalitiesInStudy": "CT"})
    assert (value(told, "00201206"), value(told, "00201208")) == (2, 6)
    assert len(await asking(archive, "search_for_series", ct.study_instance_uid)) == 2
    one = ct.series[0].series_instance_uid
    paged = [
        await asking(archive, "search_for_instances", ct.study_instance_uid, one, limit=2, offset=offset)
        for offset in (0, 2)
    ]
    assert [len(page) for page in paged] == [2, 1]
    assert {value(each, "00080018") for page in paged for each in page} == {
        each.sop_instance_uid for each in ct.series[0].instances
    }


@pytest.mark.judge_program
async def test_what_is_retrieved_is_what_is_kept(
    archive: DicomwebArchive, studies: tuple[SampleStudy, SampleStudy]
) -> None:
    ct, _ = studies
    for uids, expected in (
        ((ct.study_instance_uid,), ct.instances),
        ((ct.study_instance_uid, ct.series[0].series_instance_uid), ct.series[0].instances),
    ):
        name = "retrieve_study" if len(uids) == 1 else "retrieve_series"
        came = await asking(archive, name, *uids, media_types=((("application/dicom"), "*"),))
        assert {each.SOPInstanceUID: each.PixelData for each in came} == {
            each.sop_instance_uid: pydicom.dcmread(each.path).PixelData for each in expected
        }
    metadata = await asking(archive, "retrieve_study_metadata", ct.study_instance_uid)
    assert {value(each, "00080018") for each in metadata} == {each.sop_instance_uid for each in ct.instances}
    assert [(each.transaction, each.problem) for each in archive.asked] == [
        ("RAD-107", ""), ("RAD-107", ""), ("RAD-107 metadata", ""),
    ]  # fmt: skip


@pytest.mark.judge_program
async def test_what_is_stored_is_found_and_fetched(archive: DicomwebArchive, tmp_path: Path) -> None:
    new = write_ct_study(tmp_path, seed=9, patient=sample_patient(3, AUTHORITY), series=1, instances=2, rows=32)
    answer = await asking(archive, "store_instances", [pydicom.dcmread(each.path) for each in new.instances])
    assert len(answer.ReferencedSOPSequence) == 2
    assert {each.sop_instance_uid for each in new.instances} <= archive.instances
    came = await asking(archive, "retrieve_study", new.study_instance_uid)
    assert len(came) == 2


async def test_an_instance_of_another_study_is_not_taken_and_the_answer_says_so(
    archive: DicomwebArchive, tmp_path: Path
) -> None:
    new = write_ct_study(tmp_path, seed=9, patient=sample_patient(3, AUTHORITY), series=1, instances=1, rows=32)
    body = new.instances[0].path.read_bytes()
    async with aiohttp.ClientSession() as session:
        content_type = 'multipart/related; type="application/dicom"; boundary=b'
        async with session.post(
            f"{archive.address}/studies/1.2.3", headers={"Content-Type": content_type, "Accept": "application/dicom+json"},
            data=b"--b\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--b--\r\n",
        ) as answer:  # fmt: skip
            assert answer.status == 409
            assert "00081198" in await answer.json(content_type=None)
    assert new.instances[0].sop_instance_uid not in archive.instances


async def test_what_is_asked_wrongly_is_refused_and_noticed(archive: DicomwebArchive) -> None:
    async with aiohttp.ClientSession() as session:
        for path, status in (("/studies?Nonsense=1", 400), ("/studies/1.2.3", 404), ("/patients", 404)):
            async with session.get(f"{archive.address}{path}", headers={"Accept": "*/*"}) as answer:
                assert answer.status == status, path
    assert [(each.transaction, bool(each.problem)) for each in archive.asked] == [
        ("RAD-129", True), ("RAD-107", False), ("", True),
    ]  # fmt: skip


async def test_a_part_10_file_that_is_none_is_not_taken(archive: DicomwebArchive) -> None:
    before = archive.instances
    async with aiohttp.ClientSession() as session, session.post(
        f"{archive.address}/studies", data=io.BytesIO(b"--b\r\n\r\nnothing\r\n--b--\r\n"),
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'},
    ) as answer:  # fmt: skip
        assert answer.status == 409
    assert archive.instances == before
