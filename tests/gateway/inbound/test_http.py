"""DICOMweb over a socket: a house whose ports are in memory, with aiohttp and dicomweb-client as clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO

import pydicom
import pytest
from aiohttp import ClientPayloadError, ServerDisconnectedError
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from yarl import URL

from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_us_study
from gateway.model.job import ExchangeJob, Kind, State, StepOutcome
from gateway.ports.archive import Plan, Wanted
from gateway.ports.store import Work
from profiles.errors import Busy, PeerUnavailable
from profiles.model.content import Part, Pour
from profiles.wire.dicom.part10 import read_head
from profiles.wire.multipart import MultipartLimits, parts_of
from tests.support.dicomweb_house import AUTHORITY, BASE, DicomwebHouse, dicomweb_house, files_of, multipart

ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    folder = tmp_path_factory.mktemp("ct")
    return write_ct_study(folder, seed=1, patient=sample_patient(1, AUTHORITY), series=2, instances=3, rows=64)


@pytest.fixture(scope="module")
def loop_study(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    return write_us_study(tmp_path_factory.mktemp("us"), seed=2, patient=sample_patient(2, AUTHORITY))


@pytest.fixture
async def empty() -> AsyncIterator[DicomwebHouse]:
    async with dicomweb_house() as house:
        yield house


@pytest.fixture
async def house(empty: DicomwebHouse, study: SampleStudy) -> DicomwebHouse:
    await empty.know(study)
    status, _ = await empty.push(files_of(study))
    assert status == 200
    return empty


def path_of(study: SampleStudy, series: int = 0, instance: int = 0) -> str:
    found = study.series[series]
    return (
        f"/studies/{study.study_instance_uid}/series/{found.series_instance_uid}"
        f"/instances/{found.instances[instance].sop_instance_uid}"
    )


async def parts(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    return [
        (dict(part.headers), b"".join([c async for c in part.chunks]))
        async for part in parts_of(chunks(), content_type)
    ]


# --- store ------------------------------------------------------------------------------------------------------------


async def test_a_pushed_study_is_answered_per_instance_and_audited(empty: DicomwebHouse, study: SampleStudy) -> None:
    await empty.know(study)
    status, body = await empty.push(files_of(study))
    module = json.loads(body)
    assert status == 200
    assert module["00081190"]["Value"] == [f"{BASE}/studies/{study.study_instance_uid}"]
    stored = {item["00081155"]["Value"][0]: item["00081190"]["Value"][0] for item in module["00081199"]["Value"]}
    assert set(stored) == {each.sop_instance_uid for each in study.instances}
    assert stored[study.instances[0].sop_instance_uid] == BASE + path_of(study)
    assert "00081198" not in module
    assert empty.audited() == [("DICOM Instances Transferred", "C", "RAD-108", 0)]


async def test_the_same_study_again_is_a_success_and_nothing_new(house: DicomwebHouse, study: SampleStudy) -> None:
    status, _ = await house.push(files_of(study))
    assert status == 200
    assert house.audited()[-1] == ("DICOM Instances Transferred", "R", "RAD-108", 0)


async def test_one_broken_instance_makes_202_and_two_audit_records(empty: DicomwebHouse, study: SampleStudy) -> None:
    await empty.know(study)
    files = files_of(study)
    status, body = await empty.push([files[0], files[1][:-100], b"not DICOM at all", files[2]])
    module = json.loads(body)
    assert status == 202
    assert len(module["00081199"]["Value"]) == 2
    refused = [*module.get("00081198", {}).get("Value", []), *module["0008119A"]["Value"]]
    assert [each["00081197"]["Value"] for each in refused] == [[0xC000], [0xC000]]
    assert [outcome for *_, outcome in empty.audited()] == [0, 4]


async def test_instances_of_another_study_than_the_address_names_are_a_conflict(
    empty: DicomwebHouse, study: SampleStudy
) -> None:
    await empty.know(study)
    status, body = await empty.push(files_of(study)[:2], "/studies/1.2.3")
    module = json.loads(body)
    assert status == 409
    assert [item["00081197"]["Value"] for item in module["00081198"]["Value"]] == [[0xA900], [0xA900]]
    assert [outcome for *_, outcome in empty.audited()] == [4]


async def test_a_single_instance_may_come_bare(empty: DicomwebHouse, study: SampleStudy) -> None:
    await empty.know(study)
    headers = {"Content-Type": "application/dicom"}
    async with empty.http.post(empty.url + "/studies", data=files_of(study)[0], headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ('multipart/related; type="application/dicom+json"; boundary=bbb', multipart([b"{}"]), 415),
        ('multipart/related; type="application/dicom"', multipart([b"{}"]), 400),
        ("application/json", b"{}", 415),
        ('multipart/related; type="application/dicom"; boundary=bbb', b"--bbb--\r\n", 400),
        ('multipart/related; type="application/dicom"; boundary=ccc', multipart([b"{}"]), 400),
        ("application/json", bytes(2_000_000), 413),
    ],
)
async def test_what_cannot_be_stored_is_refused_with_its_status(
    empty: DicomwebHouse, content_type: str, body: bytes, status: int
) -> None:
    async with empty.http.post(empty.url + "/studies", data=body, headers={"Content-Type": content_type}) as answer:
        text = await answer.text()
        assert answer.status == status
        assert text
    assert [outcome for *_, outcome in empty.audited()] == [4]


async def test_a_body_that_breaks_off_is_no_success(empty: DicomwebHouse, study: SampleStudy) -> None:
    await empty.know(study)
    body = multipart(files_of(study))[: -len(b"\r\n--bbb--\r\n") - 5000]
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bbb'}
    async with empty.http.post(empty.url + "/studies", data=body, headers=headers) as answer:
        assert answer.status == 400
    assert [outcome for *_, outcome in empty.audited()] == [4]


async def test_compressed_requests_are_refused(empty: DicomwebHouse) -> None:
    status, _ = await empty.push([b"x"], **{"Content-Encoding": "gzip"})
    assert status == 415


async def test_too_many_parts_are_refused(study: SampleStudy) -> None:
    async with dicomweb_house(parts=MultipartLimits(parts=2)) as house:
        status, _ = await house.push(files_of(study))
        assert status == 400


async def test_a_sender_that_stands_still_is_let_go(study: SampleStudy) -> None:
    async with dicomweb_house(idle_timeout_s=0.2) as house:
        await house.know(study)

        async def slowly() -> AsyncIterator[bytes]:
            yield multipart(files_of(study))[:5000]
            await asyncio.sleep(2)

        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bbb'}
        async with house.http.post(house.url + "/studies", data=slowly(), headers=headers) as answer:
            assert answer.status == 400
            assert "nothing of the request came" in await answer.text()


# --- retrieve ---------------------------------------------------------------------------------------------------------


async def test_a_study_comes_as_it_is_stored_with_its_length(house: DicomwebHouse, study: SampleStudy) -> None:
    status, headers, body = await house.get(f"/studies/{study.study_instance_uid}", ANY)
    assert status == 200
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
    found = await parts(headers["Content-Type"], body)
    sent = {read_head(each).sop_instance_uid: each for each in files_of(study)}
    for part_headers, content in found:
        head = read_head(content)
        assert part_headers["content-type"] == f"application/dicom; transfer-syntax={head.transfer_syntax_uid}"
        series = head.series_instance_uid
        location = f"{BASE}/studies/{study.study_instance_uid}/series/{series}/instances/{head.sop_instance_uid}"
        assert part_headers["content-location"] == location
        before, after = sent.pop(head.sop_instance_uid), content
        assert pydicom.dcmread(BytesIO(before)).PixelData == pydicom.dcmread(BytesIO(after)).PixelData
    assert not sent
    assert house.audited()[-1] == ("DICOM Instances Transferred", "R", "RAD-107", 0)


async def test_a_series_and_an_instance_come_alone(house: DicomwebHouse, study: SampleStudy) -> None:
    series = study.series[1]
    status, headers, body = await house.get(
        f"/studies/{study.study_instance_uid}/series/{series.series_instance_uid}", ANY
    )
    assert status == 200
    assert len(await parts(headers["Content-Type"], body)) == 3
    status, headers, body = await house.get(path_of(study), "application/dicom; transfer-syntax=*")
    assert (status, int(headers["Content-Length"])) == (200, len(body))
    assert headers["Content-Type"].startswith("application/dicom; transfer-syntax=1.2.840.10008.1.2")
    assert headers["Content-Location"] == BASE + path_of(study)
    assert read_head(body).sop_instance_uid == study.instances[0].sop_instance_uid


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PUT"])
async def test_other_methods_are_answered(house: DicomwebHouse, study: SampleStudy, method: str) -> None:
    url = f"{house.url}/studies/{study.study_instance_uid}"
    async with house.http.request(method, url, headers={"Accept": ANY}) as answer:
        body = await answer.read()
        if method == "HEAD":
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) > 20_000
            assert body == b""
        else:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/studies/1.2.3", ANY, 404),
        ("/studies/not-a-uid", ANY, 400),
        ("/studies/1.2.3/series/1.2.3/instances/1.2.3/frames/zero", None, 400),
        ("/nothing", None, 404),
        ("/studies/{study}", "application/dicom", 406),
        ("/studies/{study}", "text/html", 406),
        (
            "/studies/{study}",
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
            406,
        ),
        ("/studies/{study}/metadata", "text/html", 406),
        ("{instance}/frames/9", None, 404),
        ("{instance}/rendered", "video/mp4", 406),
        ("{instance}/rendered?window=1,0", None, 400),
        ("/studies?limit=many", None, 400),
        ("/studies?NoSuchKeyword=1", None, 400),
    ],
)
async def test_what_cannot_be_had_is_said_with_its_status(
    house: DicomwebHouse, study: SampleStudy, path: str, accept: str | None, status: int
) -> None:
    path = path.format(study=study.study_instance_uid, instance=path_of(study))
    answered, headers, body = await house.get(path, accept)
    assert answered == status
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body.strip()


async def test_metadata_are_one_array_without_pixels(house: DicomwebHouse, study: SampleStudy) -> None:
    status, headers, body = await house.get(f"/studies/{study.study_instance_uid}/metadata")
    found = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/dicom+json")
    assert int(headers["Content-Length"]) == len(body)
    assert {each["00080018"]["Value"][0] for each in found} == {each.sop_instance_uid for each in study.instances}
    assert all("7FE00010" not in each for each in found)
    _, headers, body = await house.get(
        f"/studies/{study.study_instance_uid}/metadata", 'multipart/related; type="application/dicom+xml"'
    )
    documents = await parts(headers["Content-Type"], body)
    assert len(documents) == 6
    assert documents[0][1].startswith(b"<?xml")


async def test_frames_come_native_or_as_stored(empty: DicomwebHouse, loop_study: SampleStudy) -> None:
    await empty.know(loop_study)
    await empty.push(files_of(loop_study))
    instance = next(each for each in loop_study.instances if each.frames > 1)
    number = loop_study.instances.index(instance)
    native = pydicom.dcmread(instance.path).pixel_array
    path = path_of(loop_study, 0, number)
    status, headers, body = await empty.get(f"{path}/frames/2,1", 'multipart/related; type="application/octet-stream"')
    assert status == 200
    found = await parts(headers["Content-Type"], body)
    assert [each["content-location"][-9:] for each, _ in found] == ["/frames/2", "/frames/1"]
    assert [content for _, content in found] == [native[1].tobytes(), native[0].tobytes()]
    status, headers, body = await empty.get(f"{path}/frames/1", "application/octet-stream; transfer-syntax=*")
    assert status == 200
    assert instance.transfer_syntax_uid in headers["Content-Type"] or "1.2.840.10008.1.2.1" in headers["Content-Type"]


async def test_a_rendered_frame_looks_like_what_was_sent(house: DicomwebHouse, study: SampleStudy) -> None:
    status, headers, body = await house.get(f"{path_of(study)}/frames/1/rendered", "image/png")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert Image.open(BytesIO(body)).size == (64, 64)
    status, headers, body = await house.get(f"{path_of(study)}/rendered?viewport=32,32&window=40,400,linear")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(BytesIO(body)).size == (32, 32)
    status, headers, body = await house.get(f"/studies/{study.study_instance_uid}/thumbnail")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert house.audited()[-1] == ("DICOM Instances Accessed", "R", "RAD-107", 0)


# --- search -----------------------------------------------------------------------------------------------------------


async def test_nothing_found_is_204(house: DicomwebHouse) -> None:
    status, _, body = await house.get("/studies?PatientID=nobody")
    assert (status, body) == (204, b"")
    assert house.audited()[-1] == ("Query", "E", "RAD-129", 0)


async def test_a_study_is_found_by_what_it_is(house: DicomwebHouse, study: SampleStudy) -> None:
    patient = study.patient.identifiers[0]
    for query in (
        f"PatientID={patient.value}",
        f"PatientID={patient.value}&IssuerOfPatientID={patient.authority}",
        f"00100020={patient.value[:-1]}*",
        f"AccessionNumber={study.accession_number}",
        f"StudyInstanceUID={study.study_instance_uid},1.2.3",
        "ModalitiesInStudy=CT",
        f"PatientName={study.patient.name.family[:2]}*",
        "StudyDate=20260101-",
        "Modality=CT&limit=5",
        "",
    ):
        status, _, body = await house.get(f"/studies?{query}")
        assert status == 200, query
        (found,) = json.loads(body)
        assert found["0020000D"]["Value"] == [study.study_instance_uid]
        assert found["00201208"]["Value"] == [6]
        assert found["00201206"]["Value"] == [2]
        assert found["00081190"]["Value"] == [f"{BASE}/studies/{study.study_instance_uid}"]
    for query in ("PatientID=nobody", f"PatientID={patient.value}&IssuerOfPatientID=1.9.9", "StudyDate=-19991231"):
        status, _, _ = await house.get(f"/studies?{query}")
        assert status == 204, query


async def test_paging_tells_what_remains(house: DicomwebHouse, study: SampleStudy) -> None:
    seen: list[str] = []
    for offset in range(0, 8, 2):
        status, headers, body = await house.get(
            f"/studies/{study.study_instance_uid}/instances?limit=2&offset={offset}"
        )
        left = 6 - offset - 2
        assert ("Warning" in headers) == (left > 0)
        if left > 0:
            assert f"There are {left} additional results" in headers["Warning"]
        assert status == (200 if offset < 6 else 204)
        seen += [each["00080018"]["Value"][0] for each in json.loads(body or b"[]")]
    assert sorted(seen) == sorted(each.sop_instance_uid for each in study.instances)


async def test_fuzzy_matching_is_answered_literally_with_a_warning(house: DicomwebHouse) -> None:
    _, headers, _ = await house.get("/studies?fuzzymatching=true")
    assert "Only literal matching has been performed" in headers["Warning"]


async def test_a_parameter_that_is_not_utf_8_is_a_bad_request_and_not_an_empty_answer(house: DicomwebHouse) -> None:
    status, _, body = await house.get("/studies?limit=1&PatientID=%ff")
    assert status == 400
    assert b"PatientID" in body
    assert (await house.get("/studies?PatientID=%C3%BC"))[0] == 204  # one that is, and that nobody has


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_nobody_we_know_is_asked_to_log_in(study: SampleStudy) -> None:
    async with dicomweb_house(person="") as house:
        status, headers, _ = await house.get(f"/studies/{study.study_instance_uid}", ANY)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Bearer")
        status, _ = await house.push(files_of(study))
        assert status == 401
        assert [outcome for *_, outcome in house.audited()] == [4, 4]


# --- breaking ---------------------------------------------------------------------------------------------------------


@dataclass
class Breaking:
    """An archive whose pour breaks after some bytes."""

    whole: Pour
    after: int

    async def pour(self) -> Pour:
        async for part in self.whole:
            yield replace(part, chunks=self._chunks(part))

    async def _chunks(self, part: Part) -> AsyncIterator[bytes]:
        async for chunk in part.chunks:
            self.after -= len(chunk)
            if self.after < 0:
                raise PeerUnavailable("the archive went away")
            yield chunk


@pytest.mark.parametrize("after", [0, 30_000])
async def test_a_pour_that_breaks_is_never_taken_for_complete(
    house: DicomwebHouse, study: SampleStudy, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    pour = house.archive.pour
    monkeypatch.setattr(house.archive, "pour", lambda plan: Breaking(pour(plan), after).pour())
    broken = False
    try:
        status, _, _ = await house.get(f"/studies/{study.study_instance_uid}", ANY)
        broken = status == 502  # nothing was out yet
    except (ClientPayloadError, ServerDisconnectedError):
        broken = True
    assert broken
    assert [outcome for *_, outcome in house.audited()][-1] == 8
    job = await newest(house)
    assert (job.state, job.due_at) == (State.FAILED, None)
    assert job.reason
    assert job.cure


async def newest(house: DicomwebHouse) -> ExchangeJob:
    async with house.store.view() as work:
        return (await work.ledger.list(kinds=frozenset({Kind.ASK}), limit=1))[0]


async def test_a_question_has_ended_when_its_answer_is_poured(house: DicomwebHouse, study: SampleStudy) -> None:
    status, _, _ = await house.get(f"/studies/{study.study_instance_uid}", ANY)
    assert status == 200
    job = await newest(house)
    assert (job.state, job.reason) == (State.DONE, "")
    async with house.store.view() as work:
        (step,) = await work.ledger.timeline(job.id)
    assert step.outcome is StepOutcome.SUCCESS


async def test_a_question_whose_intent_cannot_be_committed_has_failed_and_nothing_is_poured(
    house: DicomwebHouse, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, refused = house.store.unit, False

    @asynccontextmanager
    async def busy_once() -> AsyncIterator[Work]:
        nonlocal refused
        async with unit() as work:
            yield work
            if not refused:
                refused = True
                raise Busy("the store is busy")

    records = len(house.audited())
    monkeypatch.setattr(house.store, "unit", busy_once)
    status, _, _ = await house.get(f"/studies/{study.study_instance_uid}", ANY)
    assert status == 503
    job = await newest(house)
    assert (job.state, job.reason) == (State.FAILED, "the store is busy")
    assert [outcome for *_, outcome in house.audited()[records:]] == [8]
    async with house.store.view() as work:
        (step,) = await work.ledger.timeline(job.id)
    assert step.outcome is StepOutcome.FAILURE


async def test_a_pour_of_more_than_was_promised_is_cut(
    house: DicomwebHouse, study: SampleStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pour = house.archive.pour

    async def too_much(plan: Plan) -> Pour:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield bytes(64 * 1024)

        async for part in pour(plan):
            yield replace(part, chunks=chunks(), size_bytes=None)

    monkeypatch.setattr(house.archive, "pour", too_much)
    with pytest.raises((ClientPayloadError, ServerDisconnectedError)):
        await house.get(f"/studies/{study.study_instance_uid}", ANY)
    assert house.audited()[-1][3] == 8


async def test_a_reader_that_stands_still_is_let_go(study: SampleStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    async with dicomweb_house(idle_timeout_s=0.3) as house:
        await house.know(study)
        await house.push(files_of(study))
        pour = house.archive.pour

        stopped = asyncio.Event()

        async def endless(plan: object) -> Pour:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield bytes(256 * 1024)
                finally:
                    stopped.set()

            async for part in pour(plan):  # type: ignore[arg-type]  # what the server asks for
                yield replace(part, chunks=chunks(), size_bytes=None)

        plan = house.archive.plan

        async def of_unknown_size(wanted: Sequence[Wanted], syntaxes: frozenset[str] | None) -> Plan:
            found = await plan(wanted, syntaxes)
            return replace(found, available=tuple(replace(each, size_bytes=None) for each in found.available))

        monkeypatch.setattr(house.archive, "plan", of_unknown_size)
        monkeypatch.setattr(house.archive, "pour", endless)
        address = URL(house.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        request = f"GET /dicomweb/studies/{study.study_instance_uid} HTTP/1.1\r\nHost: x\r\nAccept: {ANY}\r\n\r\n"
        writer.write(request.encode())
        assert (await reader.read(100)).startswith(b"HTTP/1.1 200")
        assert not stopped.is_set()
        await asyncio.wait_for(stopped.wait(), 20)
        writer.close()
        assert house.audited()[-1] == ("DICOM Instances Transferred", "R", "RAD-107", 8)


# --- dicomweb-client --------------------------------------------------------------------------------------------------


@pytest.fixture
def client(empty: DicomwebHouse) -> Iterator[DICOMwebClient]:
    yield DICOMwebClient(url=empty.url)


async def test_dicomweb_client_stores_finds_and_retrieves(
    empty: DicomwebHouse, client: DICOMwebClient, study: SampleStudy
) -> None:
    await empty.know(study)
    datasets = [pydicom.dcmread(each.path) for each in study.instances]
    answer = await asyncio.to_thread(client.store_instances, datasets)
    assert len(answer.ReferencedSOPSequence) == 6
    found = await asyncio.to_thread(client.search_for_studies, search_filters={"PatientID": datasets[0].PatientID})
    assert [each["0020000D"]["Value"][0] for each in found] == [study.study_instance_uid]
    series = await asyncio.to_thread(client.search_for_series, study.study_instance_uid)
    assert {each["0020000E"]["Value"][0] for each in series} == {each.series_instance_uid for each in study.series}
    instances = await asyncio.to_thread(client.search_for_instances, study.study_instance_uid)
    assert len(instances) == 6
    retrieved = await asyncio.to_thread(client.retrieve_study, study.study_instance_uid)
    assert {each.SOPInstanceUID: each.PixelData for each in retrieved} == {
        each.SOPInstanceUID: each.PixelData for each in datasets
    }
    metadata = await asyncio.to_thread(client.retrieve_study_metadata, study.study_instance_uid)
    assert len(metadata) == 6
    first = study.series[0]
    names = (study.study_instance_uid, first.series_instance_uid, first.instances[0].sop_instance_uid)
    frames = await asyncio.to_thread(client.retrieve_instance_frames, *names, [1])
    assert frames == [datasets[0].pixel_array.tobytes()]
    picture = await asyncio.to_thread(client.retrieve_instance_rendered, *names, media_types=("image/png",))
    assert Image.open(BytesIO(picture)).size == (64, 64)
    instance = await asyncio.to_thread(client.retrieve_instance, *names)
    assert instance.SOPInstanceUID == names[2]
