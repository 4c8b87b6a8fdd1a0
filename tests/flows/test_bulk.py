"""Bulk: a study goes in by STOW-RS, out by WADO-RS and into another house by RAD-69, and no house grows with its size."""

import asyncio
import http.client
from collections.abc import Awaitable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import aiohttp
import orjson
import pytest

from conformance.samples import SampleStudy, sample_patient, write_ct_study
from gateway.services.push import BATCH_INSTANCES
from profiles.model.identifiers import Oid, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment
from tests.bench.bench_images import copied_instance, copied_study, copies
from tests.bench.client import AS_STORED, fetch
from tests.bench.compare import forget_high_water, resident_mib
from tests.bench.houses import AUTHORITY, LOCATION, STOW_TYPE, House, house, scratch
from tests.support.scenario import RECIPIENT, SoapReply, new_oid, offer_of, rad68

GIGABYTE = 10**9
MOST_GROWTH_MIB = 64.0
PATIENT = sample_patient(1, AUTHORITY)
NUMBER = 1  # of the copy that is sent
ELSEWHERE = Oid("1.2.3.33")  # where the second house says that its images are
PEER = """
[[peer]]
name = "First"
retrieve_location_uids = ["{location}"]
[peer.endpoint]
"RAD-69" = "http://127.0.0.1:{port}/soap/imaging-source"
"""


def pieces(study: SampleStudy, many: int, stops_at: int = -1, goes_on: Event | None = None) -> Iterator[bytes]:
    """A request, made while it is sent; it may stop until it may go on."""
    for each, body in enumerate(copies(study, NUMBER, many)):
        if each == stops_at and goes_on is not None:
            goes_on.wait(120)
        yield b"--x\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n"
    yield b"--x--\r\n"


def store(port: int, study: SampleStudy, many: int, stops_at: int = -1, goes_on: Event | None = None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = pieces(study, many, stops_at, goes_on)
    with closing(connection):
        connection.request("POST", "/dicomweb/studies", body=body, headers=STOW_TYPE, encode_chunked=True)
        answer = connection.getresponse()
        said = answer.read()
    assert answer.status == 200, said[:300]


def retrieve(port: int, uid: str, least_bytes: int) -> None:
    got = fetch(port, f"/dicomweb/studies/{uid}", {"Accept": AS_STORED})
    assert got.size_bytes > least_bytes


def manifest_of_copy(study: SampleStudy, many: int) -> Manifest:
    """What the first house would say of what it got."""
    (series,) = study.series
    instances = tuple(
        Instance(sop_instance_uid=copied_instance(study, NUMBER, each), sop_class_uid=series.instances[0].sop_class_uid)
        for each in range(many)
    )
    only = Series(
        series_instance_uid=series.series_instance_uid, modality=series.modality, instances=instances,
        retrieve_location_uid=LOCATION,
    )  # fmt: skip
    whole = Study(study_instance_uid=copied_study(study, NUMBER), patient=PATIENT, series=(only,))
    return Manifest(
        sop_instance_uid=Uid(new_oid()), series_instance_uid=Uid(new_oid()), created=Moment(datetime.now(UTC)),
        patient=PATIENT, studies=(whole,), institution="First", manufacturer="tests",
    )  # fmt: skip


async def fetched(ours: House, study: SampleStudy, many: int) -> None:
    """A house is offered the manifest (RAD-68) and fetches (RAD-69) until it has everything."""
    offer = offer_of(study, patient_id=PATIENT.identifiers[0], manifest=manifest_of_copy(study, many))
    message = await rad68(offer)
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"http://127.0.0.1:{ours.http}{RECIPIENT}",
            data=message.body,
            headers={"Content-Type": message.content_type},
        ) as answer,
    ):
        reply = SoapReply(status=answer.status, content_type=answer.headers["Content-Type"], body=await answer.read())
    assert await reply.codes() == ()
    while True:
        (exchange,) = await ours.process.ask("GET", "/exchanges?kind=receive")
        if exchange["state"] not in ("received", "ready", "moving", "stored"):
            break
        await asyncio.sleep(0.2)
    assert exchange["state"] == "done", exchange["reason"]


async def grown_mib(ours: House, work: Awaitable[object]) -> float:
    """By how much the house was larger at its highest than it was before."""
    before = resident_mib(ours.pid)
    forget_high_water(ours.pid)
    await work
    return resident_mib(ours.pid, "VmHWM") - before


async def bring_and_pour(size_bytes: int) -> dict[str, float]:
    """What the houses grew by, by how the study went."""
    grown: dict[str, float] = {}
    with scratch() as folder:  # the request is made as it is sent: the study is on the disk once for each house
        study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=1, instances=20)
        many = size_bytes // study.instances[0].size_bytes
        least_bytes = many * study.instances[0].size_bytes
        async with house(folder / "first", knows=[PATIENT]) as first:
            await asyncio.to_thread(fetch, first.http, "/healthz")
            grown["in by STOW-RS"] = await grown_mib(first, asyncio.to_thread(store, first.http, study, many))
            grown["out by WADO-RS"] = await grown_mib(
                first, asyncio.to_thread(retrieve, first.http, copied_study(study, NUMBER), least_bytes)
            )
            peer = PEER.format(location=LOCATION, port=first.http)
            async with house(folder / "second", knows=[PATIENT], more=peer, location=ELSEWHERE) as second:
                await asyncio.to_thread(fetch, second.http, "/healthz")
                before = resident_mib(first.pid)
                forget_high_water(first.pid)
                grown["in by RAD-69"] = await grown_mib(second, fetched(second, study, many))
                grown["out by RAD-69"] = resident_mib(first.pid, "VmHWM") - before
                await asyncio.to_thread(retrieve, second.http, copied_study(study, NUMBER), least_bytes)
    print(f"{size_bytes // 10**6} MB: " + ", ".join(f"{mib:.1f} MiB {way}" for way, mib in grown.items()))
    return grown


@pytest.mark.timeout(180)
async def test_a_study_comes_in_and_goes_out_and_no_house_holds_it() -> None:
    assert max((await bring_and_pour(GIGABYTE // 8)).values()) < MOST_GROWTH_MIB


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_four_gigabytes_come_in_and_go_out_and_no_house_grows() -> None:
    assert max((await bring_and_pour(4 * GIGABYTE)).values()) < MOST_GROWTH_MIB


# --- a house that goes down ---------------------------------------------------------------------------------------------


async def indexed(ours: House, study: SampleStudy) -> int:
    """How many instances of the copy a search finds."""
    asked = f"http://127.0.0.1:{ours.http}/dicomweb/studies?StudyInstanceUID={copied_study(study, NUMBER)}"
    async with aiohttp.ClientSession() as session, session.get(f"{asked}&includefield=00201208") as answer:
        found = await answer.read()
    return sum(each["00201208"]["Value"][0] for each in orjson.loads(found or b"[]"))


async def told_of(ours: House) -> dict[str, str]:
    """Exchanges that tell of pushed studies, and how far they are."""
    return {each["id"]: each["state"] for each in await ours.process.ask("GET", "/exchanges?kind=store")}


def orphans(ours: House) -> list[int]:
    """How many each start said to be in the archive alone."""
    lines = [orjson.loads(line) for line in ours.process.log().splitlines() if line.startswith("{")]
    return [line["number"] for line in lines if line["event"] == "archive compared with its index"]


@pytest.mark.timeout(120)
async def test_a_house_that_goes_down_in_the_middle_of_a_push_has_whole_batches_and_takes_it_again(
    tmp_path: Path,
) -> None:
    """The batches are indexed and nobody was answered; what came after them is in the archive, and start-up names it."""
    many, whole, sent = BATCH_INSTANCES * 2 + 30, BATCH_INSTANCES * 2, BATCH_INSTANCES * 2 + 20
    study = write_ct_study(tmp_path / "ct", seed=1, patient=PATIENT, series=1, instances=20, rows=64)
    goes_on = Event()
    archive = tmp_path / "house" / "data" / "archive" / "studies"
    async with house(tmp_path / "house", knows=[PATIENT]) as ours:
        pushing = asyncio.create_task(asyncio.to_thread(store, ours.http, study, many, sent, goes_on))
        try:
            async with asyncio.timeout(60):
                while len(list(archive.rglob("*.dcm"))) < sent - 1 or await indexed(ours, study) < whole:
                    await asyncio.sleep(0.05)
            assert await indexed(ours, study) == whole
            (begun,) = await told_of(ours)
            ours.process.process.kill()
        finally:
            goes_on.set()
        with pytest.raises((OSError, http.client.HTTPException)):
            await pushing
    kept = len(list(archive.rglob("*.dcm")))
    async with house(tmp_path / "house", knows=[PATIENT]) as again:
        assert await indexed(again, study) == whole
        assert await told_of(again) == {begun: "ready"}
        async with asyncio.timeout(10):
            while len(orphans(again)) < 2:  # one from each start
                await asyncio.sleep(0.05)
        assert orphans(again) == [0, kept - whole]
        await asyncio.to_thread(store, again.http, study, many)
        assert await indexed(again, study) == many
        assert len(list(archive.rglob("*.dcm"))) == many
        async with asyncio.timeout(30):
            while await told_of(again) != {begun: "done"}:
                await asyncio.sleep(0.1)
