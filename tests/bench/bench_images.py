"""A whole house beside Orthanc, in one run: `python -m tests.bench.bench_images [retrieve] [beside] [memory]`.

Both are processes of their own on loopback, asked by the same blocking client. 500 CT out (WADO-RS, RAD-69), one object of
210 MB, `/metadata`, a small request while others pour, and what the house grows by when a study of 1 GB (4 GB with
RADGATE_SOAK=1) goes in and out. It pours faster than anybody could verify: what clients who do get is in `bench_load`.
"""

import asyncio
import http.client
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import pytest

from conformance.samples import SampleStudy, sample_patient, write_capture_study, write_ct_study
from profiles.model.identifiers import Uid
from profiles.xdsi.rad69 import RAD_69
from tests.bench.client import AS_STORED, Fetched, Kept, fetch
from tests.bench.compare import (
    at_most,
    cpu_seconds,
    forget_high_water,
    in_turns,
    median,
    missing,
    process_with,
    quicker,
    resident_mib,
    sooner,
)
from tests.bench.houses import AUTHORITY, LOCATION, STOW_TYPE, House, house, scratch, stow_body
from tests.support.orthanc import Orthanc, orthanc
from tests.support.scenario import message_of, rad69_request

ROUNDS = 5
SLICES = 250  # of each of two series
FRAMES = 400  # 210 MB
PARTS = 10  # of a STOW request
GIGABYTE = 10**9
PATIENT = sample_patient(1, AUTHORITY)


class Bench:
    """One run: the house, the judge, and what both have."""

    def __init__(self, folder: Path, ours: House, judge: Orthanc) -> None:
        self.folder = folder
        self.ours = ours
        self.judge = judge
        self.judge_pid = process_with(str(folder / "orthanc" / "orthanc.json"))
        self.fresh = 0
        self.ct = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=SLICES)

    async def fill(self, study: SampleStudy) -> None:
        """Both get it."""
        for at in range(0, len(study.instances), PARTS):
            body = stow_body([each.path.read_bytes() for each in study.instances[at : at + PARTS]])
            await asyncio.to_thread(post, self.ours.http, "/dicomweb/studies", body)
            await asyncio.to_thread(post, self.judge.http_port, "/dicom-web/studies", body)


def post(port: int, path: str, body: bytes) -> None:
    """One STOW request on a connection of its own."""
    connection = Kept(port)
    connection.post(path, body, STOW_TYPE)
    connection.close()


# --- out --------------------------------------------------------------------------------------------------------------


async def retrieve(bench: Bench) -> None:
    """Pours out, CT and one large object."""
    await bench.fill(bench.ct)
    await pours(bench, bench.ct, "500 CT", 1.5)
    large = write_capture_study(bench.folder / "large", seed=2, patient=PATIENT, frames=FRAMES)
    await bench.fill(large)
    await pours(bench, large, "one object of 210 MB", 4.0)
    await metadata(bench)


async def pours(bench: Bench, study: SampleStudy, what: str, asked: float) -> None:
    path = f"/studies/{study.study_instance_uid}"
    megabytes = sum(each.size_bytes for each in study.instances) / 1e6
    message = await message_of_rad69(study)
    firsts: list[float] = []

    def checked(got: Fetched) -> float:
        assert got.size_bytes > megabytes * 1e6, got
        return megabytes / got.last_s

    async def wado() -> float:
        got = await asyncio.to_thread(fetch, bench.ours.http, f"/dicomweb{path}", {"Accept": AS_STORED})
        firsts.append(got.first_s)
        return checked(got)

    async def rad69() -> float:
        return checked(await asyncio.to_thread(soap, bench.ours.http, message))

    async def peer() -> float:
        return checked(
            await asyncio.to_thread(fetch, bench.judge.http_port, f"/dicom-web{path}", {"Accept": AS_STORED})
        )

    await wado(), await rad69(), await peer()
    firsts.clear()
    rounds = ROUNDS if len(study.instances) > 1 else 3  # Orthanc takes seconds for a large one
    cpu = {"house": 0.0}
    before = cpu_seconds(bench.ours.pid)
    for _ in range(ROUNDS):
        await wado()
    cpu["house"] = (cpu_seconds(bench.ours.pid) - before) / ROUNDS
    before = cpu_seconds(bench.judge_pid)
    await peer()
    cpu["Orthanc"] = cpu_seconds(bench.judge_pid) - before
    figures = await in_turns(rounds, wado, rad69, peer)
    theirs = median(figures[2])
    quicker(
        f"WADO-RS, {what}", ours=median(figures[0]), peer=theirs, unit="MB/s", beside="Orthanc WADO-RS", asked=asked
    )
    quicker(f"RAD-69, {what}", ours=median(figures[1]), peer=theirs, unit="MB/s", beside="Orthanc WADO-RS", asked=asked)
    at_most(f"WADO-RS, {what}: first byte", median(firsts) * 1000, 20.0, "ms")
    sooner(f"WADO-RS, {what}: the server's CPU", ours=cpu["house"] * 1e3, peer=cpu["Orthanc"] * 1e3, unit="ms",
           beside="Orthanc", asked=None)  # fmt: skip


async def message_of_rad69(study: SampleStudy) -> tuple[bytes, dict[str, str]]:
    """The request as our own client would write it."""
    message = await message_of(RAD_69, rad69_request(study, location=LOCATION))
    return message.body, {"Content-Type": message.content_type}


def soap(port: int, message: tuple[bytes, dict[str, str]]) -> Fetched:
    """Ask for it."""
    body, headers = message
    return fetch(port, "/soap/imaging-source", headers, method="POST", body=body)


async def metadata(bench: Bench) -> None:
    """Stored JSON beside JSON made from files."""
    path = f"/studies/{bench.ct.study_instance_uid}/metadata"
    accept = {"Accept": "application/dicom+json"}
    ours, theirs = Kept(bench.ours.http), Kept(bench.judge.http_port)
    for kept, base in ((ours, "/dicomweb"), (theirs, "/dicom-web")):
        kept.seconds(base + path, accept)

    async def one() -> float:
        return await asyncio.to_thread(ours.seconds, f"/dicomweb{path}", accept)

    async def other() -> float:
        return await asyncio.to_thread(theirs.seconds, f"/dicom-web{path}", accept)

    figures = await in_turns(7, one, other)
    sooner("/metadata of 500 instances", ours=median(figures[0]) * 1e3, peer=median(figures[1]) * 1e3, unit="ms",
           beside="Orthanc", asked=20.0)  # fmt: skip
    ours.close()
    theirs.close()


# --- in ---------------------------------------------------------------------------------------------------------------


def copied_study(study: SampleStudy, number: int) -> Uid:
    """Study Instance UID of a copy."""
    return Uid(f"{str(study.study_instance_uid)[:-4]}{number:04d}")


def copied_instance(study: SampleStudy, number: int, each: int) -> Uid:
    """SOP Instance UID of an instance of a copy."""
    name = str(study.instances[each % len(study.instances)].sop_instance_uid)
    return Uid(f"{name[:-8]}{number:03d}{each:05d}")


def copies(study: SampleStudy, number: int, many: int) -> Iterator[bytes]:
    """A study like this one that nobody has seen: other UIDs of the same length, `many` instances of it."""
    for each in range(many):
        instance = study.instances[each % len(study.instances)]
        body = instance.path.read_bytes()
        end = len(body) - 1024 * 1024 if instance.frames > 1 else 8192
        head = body[: max(end, 8192)]
        head = head.replace(study.study_instance_uid.encode(), copied_study(study, number).encode())
        head = head.replace(instance.sop_instance_uid.encode(), copied_instance(study, number, each).encode())
        yield head + body[len(head) :]


# --- beside bulk ------------------------------------------------------------------------------------------------------


async def beside(bench: Bench) -> None:
    """A small request while four clients pour."""
    await bench.fill(bench.ct)
    path = f"/dicomweb/studies/{bench.ct.study_instance_uid}"
    small = f"/dicomweb/studies?StudyInstanceUID={bench.ct.study_instance_uid}"
    kept = Kept(bench.ours.http)
    alone = [await asyncio.to_thread(kept.seconds, small) for _ in range(100)]
    pouring = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.bench.client", str(bench.ours.http), path, "12"], stdout=subprocess.DEVNULL
        )
        for _ in range(4)
    ]
    try:
        await asyncio.sleep(1.0)
        until = perf_counter() + 9
        taken = []
        while perf_counter() < until:
            taken.append(await asyncio.to_thread(kept.seconds, small))
            await asyncio.sleep(0.005)
    finally:
        for each in pouring:
            each.wait()
    kept.close()
    at_most("a small request alone, p99", statistics.quantiles(alone, n=100)[98] * 1e3, None, "ms")
    at_most("a small request beside four pours, p50", median(taken) * 1e3, None, "ms")
    at_most("a small request beside four pours, p99", statistics.quantiles(taken, n=100)[98] * 1e3, 10.0, "ms")


# --- memory -----------------------------------------------------------------------------------------------------------


async def memory(bench: Bench) -> None:
    """What the house grows by while a study goes in and out."""
    gigabytes = 4 if os.environ.get("RADGATE_SOAK") == "1" else 1
    each = bench.ct.instances[0].size_bytes
    many = gigabytes * GIGABYTE // each
    bench.fresh += 1
    number = bench.fresh
    uid = copied_study(bench.ct, number)
    for _ in range(3):
        await asyncio.to_thread(fetch, bench.ours.http, "/healthz")

    def pieces() -> Iterator[bytes]:
        for body in copies(bench.ct, number, many):
            yield b"--x\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n"
        yield b"--x--\r\n"

    def stream() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", bench.ours.http, timeout=300)
        connection.request("POST", "/dicomweb/studies", body=pieces(), headers=STOW_TYPE, encode_chunked=True)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said[:300]
        connection.close()

    def grown(work: Callable[[], object]) -> float:
        before = resident_mib(bench.ours.pid)
        forget_high_water(bench.ours.pid)
        work()
        return resident_mib(bench.ours.pid, "VmHWM") - before

    def out() -> None:
        got = fetch(bench.ours.http, f"/dicomweb/studies/{uid}", {"Accept": AS_STORED})
        assert got.size_bytes > many * each, got

    bound = 64.0
    at_most(
        f"growth while STOW-RS brings a study of {gigabytes} GB", await asyncio.to_thread(grown, stream), bound, "MiB"
    )
    at_most(f"growth while WADO-RS pours a study of {gigabytes} GB", await asyncio.to_thread(grown, out), bound, "MiB")
    at_most("resident afterwards", resident_mib(bench.ours.pid), None, "MiB")


WORKS = {"retrieve": retrieve, "beside": beside, "memory": memory}


async def measure(folder: Path, names: Sequence[str]) -> None:
    """The works of these names."""
    try:
        with orthanc(folder / "orthanc") as judge:
            async with house(folder / "house", knows=[PATIENT]) as ours:
                bench = Bench(folder, ours, judge)
                for name in names:
                    await WORKS[name](bench)
    except pytest.skip.Exception as absent:
        missing("images beside Orthanc", str(absent))


def main() -> None:
    """All, or those named."""
    with scratch() as folder:
        asyncio.run(measure(folder, sys.argv[1:] or list(WORKS)))


if __name__ == "__main__":
    main()
