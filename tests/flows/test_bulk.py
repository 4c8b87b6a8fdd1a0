"""Bulk: a study goes in by STOW-RS, out by WADO-RS and into another house by RAD-69, and no house grows with its size."""

import asyncio
import http.client
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime

import aiohttp
import pytest

from conformance.samples import SampleStudy, sample_patient, write_ct_study
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


def pieces(study: SampleStudy, many: int) -> Iterator[bytes]:
    """A request, made while it is sent."""
    for body in copies(study, NUMBER, many):
        yield b"--x\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n"
    yield b"--x--\r\n"


def store(port: int, study: SampleStudy, many: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("POST", "/dicomweb/studies", body=pieces(study, many), headers=STOW_TYPE, encode_chunked=True)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
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
