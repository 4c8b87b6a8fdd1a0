"""Orthanc as our archive: what a house in front of it costs, beside Orthanc alone: `python -m tests.bench.bench_behind`.

RAD-69 of 500 CT and of one object of 210 MB from a house with `archive.kind = "dicomweb"`, beside Orthanc's own WADO-RS of
the same study; with its native address and without (a portable archive); four clients at once; what the house grows by.
"""

import asyncio
import http.client
import json
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from conformance.samples import SampleStudy, write_capture_study, write_ct_study
from tests.bench.bench_images import FRAMES, PARTS, PATIENT, SLICES, message_of_rad69, post, soap
from tests.bench.client import AS_STORED, fetch
from tests.bench.compare import at_most, forget_high_water, in_turns, median, missing, quicker, resident_mib
from tests.bench.houses import House, house, scratch, stow_body
from tests.support.orthanc import Orthanc, orthanc

ROUNDS = 5
KNOWN_S = 60.0  # the longest that the house may take to learn what its archive has


def settings(judge: Orthanc, *, native: bool) -> str:
    """The archive behind the house."""
    more = f'native_url = "{judge.native}"\n' if native else ""
    return f'[archive]\nkind = "dicomweb"\nurl = "{judge.dicomweb}"\n{more}'


async def known(ours: House, study: SampleStudy, count: int) -> None:
    """Wait until the house has learned of it."""
    until = perf_counter() + KNOWN_S
    path = f"/dicomweb/studies/{study.study_instance_uid}/metadata"
    while perf_counter() < until:
        if await asyncio.to_thread(counted, ours.http, path) == count:
            return
        await asyncio.sleep(0.5)
    raise TimeoutError(f"the house does not know {count} instances of its archive after {KNOWN_S:g} s")


def counted(port: int, path: str) -> int:
    """How many objects an answer in DICOM JSON has."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Accept": "application/dicom+json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return len(json.loads(body)) if answer.status == 200 else 0


async def measure(folder: Path) -> None:
    """With and without the native address."""
    ct = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=SLICES)
    large = write_capture_study(folder / "large", seed=2, patient=PATIENT, frames=FRAMES)
    try:
        with orthanc(folder / "orthanc") as judge:
            for study in (ct, large):
                for at in range(0, len(study.instances), PARTS):
                    body = stow_body([each.path.read_bytes() for each in study.instances[at : at + PARTS]])
                    await asyncio.to_thread(post, judge.http_port, "/dicom-web/studies", body)
            for native in (True, False):
                kind = "Orthanc behind us" if native else "a portable archive behind us"
                more = settings(judge, native=native)
                async with house(folder / f"house-{native}", knows=[PATIENT], more=more) as ours:
                    await known(ours, ct, 2 * SLICES)
                    await known(ours, large, 1)
                    await poured(ours, judge, ct, f"500 CT, {kind}", 0.9 if native else 0.75)
                    if native:
                        await four(ours, judge, ct, f"500 CT to four clients, {kind}")
                        await poured(ours, judge, large, f"one object of 210 MB, {kind}", 2.0)
    except pytest.skip.Exception as absent:
        missing("RAD-69 with Orthanc behind us", str(absent))


def sides(
    ours: House, judge: Orthanc, study: SampleStudy, message: tuple[bytes, dict[str, str]], clients: int
) -> tuple[Callable[[], Awaitable[float]], Callable[[], Awaitable[float]]]:
    """MB/s of each, of all clients together."""
    megabytes = sum(each.size_bytes for each in study.instances) / 1e6
    path = f"/dicom-web/studies/{study.study_instance_uid}"

    def timed(one: Callable[[int], object]) -> float:
        started = perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))
        return clients * megabytes / (perf_counter() - started)

    def through(_: int) -> None:
        got = soap(ours.http, message)
        assert got.size_bytes > megabytes * 1e6, got

    async def house_side() -> float:
        return await asyncio.to_thread(timed, through)

    async def judge_side() -> float:
        return await asyncio.to_thread(timed, lambda _: fetch(judge.http_port, path, {"Accept": AS_STORED}))

    return house_side, judge_side


async def poured(ours: House, judge: Orthanc, study: SampleStudy, what: str, asked: float) -> None:
    """One client, in turns."""
    both = sides(ours, judge, study, await message_of_rad69(study), 1)
    before = resident_mib(ours.pid)
    forget_high_water(ours.pid)
    cold = await both[0]()  # transfer syntaxes are asked for, once
    await both[1]()
    figures = await in_turns(ROUNDS, *both)
    quicker(f"RAD-69, {what}", ours=median(figures[0]), peer=median(figures[1]), unit="MB/s",
            beside="Orthanc WADO-RS", asked=asked)  # fmt: skip
    quicker(f"RAD-69, {what}, the first time", ours=cold, peer=median(figures[1]), unit="MB/s",
            beside="Orthanc WADO-RS", asked=None)  # fmt: skip
    at_most(f"RAD-69, {what}: growth", resident_mib(ours.pid, "VmHWM") - before, 64.0, "MiB")


async def four(ours: House, judge: Orthanc, study: SampleStudy, what: str) -> None:
    """Four at once, on both sides."""
    figures = await in_turns(3, *sides(ours, judge, study, await message_of_rad69(study), 4))
    quicker(f"RAD-69, {what}", ours=median(figures[0]), peer=median(figures[1]), unit="MB/s",
            beside="Orthanc WADO-RS, four clients", asked=0.5)  # fmt: skip


def main() -> int:
    """Everything."""
    with scratch() as folder:
        asyncio.run(measure(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
