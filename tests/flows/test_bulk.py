"""Bulk: 4 GB go in by STOW-RS and out by WADO-RS, and the house stays as small as it was."""

import asyncio
import http.client
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from conformance.samples import SampleStudy, sample_patient, write_ct_study
from tests.bench.bench_images import copies
from tests.bench.client import AS_STORED, fetch
from tests.bench.compare import forget_high_water, resident_mib
from tests.bench.houses import AUTHORITY, STOW_TYPE, House, house, scratch

GIGABYTE = 10**9
MOST_GROWTH_MIB = 64.0
PATIENT = sample_patient(1, AUTHORITY)


def pieces(study: SampleStudy, many: int) -> Iterator[bytes]:
    """A request, made while it is sent."""
    for body in copies(study, 1, many):
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


async def grown_mib(ours: House, work: Callable[[], None]) -> float:
    """By how much the house was larger at its highest than it was before."""
    before = resident_mib(ours.pid)
    forget_high_water(ours.pid)
    await asyncio.to_thread(work)
    return resident_mib(ours.pid, "VmHWM") - before


async def bring_and_pour(size_bytes: int) -> tuple[float, float]:
    with scratch() as folder:  # twice the size is never on the disk: the request is made as it is sent
        study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=1, instances=20)
        many = size_bytes // study.instances[0].size_bytes
        uid = f"{str(study.study_instance_uid)[:-4]}0001"
        async with house(folder / "house", knows=[PATIENT]) as ours:
            await asyncio.to_thread(fetch, ours.http, "/healthz")
            came = await grown_mib(ours, partial(store, ours.http, study, many))
            least_bytes = many * study.instances[0].size_bytes
            return came, await grown_mib(ours, partial(retrieve, ours.http, uid, least_bytes))


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_four_gigabytes_come_in_and_go_out_and_the_house_does_not_grow() -> None:
    came, went = await bring_and_pour(4 * GIGABYTE)
    print(f"growth: {came:.1f} MiB by STOW-RS, {went:.1f} MiB by WADO-RS")
    assert came < MOST_GROWTH_MIB
    assert went < MOST_GROWTH_MIB
