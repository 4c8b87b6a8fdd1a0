"""The archives beside Orthanc, in one run; by hand: `python tests/bench/bench_archive.py [slices a series] [frames]`.

What goes in is durable before it is told; what comes out is counted and thrown away. Ratios travel between machines,
absolute figures do not. Each figure is the best of several rounds, taken in turns.
"""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp

from conformance.samples import SampleStudy, write_capture_study, write_ct_study
from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.dicomweb_client import AS_STORED
from gateway.adapters.http import HttpSessions
from gateway.adapters.overlays import Overlays
from gateway.ports.archive import Archive, Coercion
from tests.bench.compare import quicker
from tests.gateway.adapters.archives import COERCION, PATIENT, READING, bodies_of, pour_of, wanted_of
from tests.support.orthanc import Orthanc, orthanc

ROUNDS = 3
CHUNK_BYTES = 256 * 1024


class Bench:
    """One run: its samples, its judge, a folder for each store."""

    def __init__(self, folder: Path, judge: Orthanc, sessions: HttpSessions, compute: ThreadCompute) -> None:
        self.folder = folder
        self.judge = judge
        self.sessions = sessions
        self.compute = compute
        self.made = 0

    def files(self) -> FilesArchive:
        self.made += 1
        return FilesArchive(
            self.folder / f"files-{self.made}", compute=self.compute, clock=SystemClock(), reading=READING
        )

    def behind(self, *, native: bool) -> DicomwebArchive:
        self.made += 1
        return DicomwebArchive(
            self.judge.dicomweb,
            session=self.sessions.session,
            overlays=Overlays(self.folder / f"overlays-{self.made}", self.compute),
            clock=SystemClock(),
            reading=READING,
            native_url=self.judge.native if native else None,
        )


async def store(archive: Archive, bodies: dict[str, bytes], coercion: Coercion | None = None) -> float:
    started = time.perf_counter()
    told = [each async for each in archive.store(pour_of(bodies, CHUNK_BYTES), coercion)]
    assert all(each.arrived is not None for each in told), next(each.error for each in told if each.error)
    return time.perf_counter() - started


async def pour(archive: Archive, study: SampleStudy) -> tuple[float, float]:
    """Seconds to the first byte and to the last, planning included."""
    started, first, size = time.perf_counter(), 0.0, 0
    plan = await archive.plan(wanted_of(study), None)
    async for part in archive.pour(plan):
        async for chunk in part.chunks:
            first = first or time.perf_counter() - started
            size += len(chunk)
    assert size == sum(each.size_bytes for each in study.instances)
    return first, time.perf_counter() - started


async def stow(bench: Bench, bodies: Sequence[bytes], connections: int) -> float:
    """Orthanc's STOW-RS, ten parts a request."""
    limit = asyncio.Semaphore(connections)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))  # it closes idle ones at once

    async def one(some: Sequence[bytes]) -> None:
        body = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in some)
        kind = 'multipart/related; type="application/dicom"; boundary=x'
        async with (
            limit,
            session.post(
                f"{bench.judge.dicomweb}/studies", data=body + b"--x--\r\n", headers={"Content-Type": kind}
            ) as answer,
        ):
            assert answer.status == 200, await answer.text()

    started = time.perf_counter()
    await asyncio.gather(*(one(bodies[at : at + 10]) for at in range(0, len(bodies), 10)))
    seconds = time.perf_counter() - started
    await session.close()
    return seconds


async def wado(bench: Bench, study: SampleStudy) -> tuple[float, float]:
    """Orthanc's WADO-RS of the study."""
    started, first, size = time.perf_counter(), 0.0, 0
    timeout = aiohttp.ClientTimeout(total=None)
    address = f"{bench.judge.dicomweb}/studies/{study.study_instance_uid}"
    async with bench.sessions.session().get(address, headers={"Accept": AS_STORED}, timeout=timeout) as answer:
        async for chunk in answer.content.iter_any():
            first = first or time.perf_counter() - started
            size += len(chunk)
    assert size > sum(each.size_bytes for each in study.instances)
    return first, time.perf_counter() - started


async def best(work: Callable[[], Awaitable[float]]) -> float:
    return min([await work() for _ in range(ROUNDS)])


async def measure(folder: Path, judge: Orthanc, slices: int, frames: int) -> None:
    study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=2, instances=slices)
    large = write_capture_study(folder / "large", seed=2, patient=PATIENT, frames=frames)
    bodies, megabytes = bodies_of(study), sum(each.size_bytes for each in study.instances) / 1e6
    compute, sessions = ThreadCompute(), HttpSessions()
    bench = Bench(folder, judge, sessions, compute)

    async def clean(work: Callable[[], Awaitable[float]]) -> float:
        judge.clear()
        return await work()

    print(f"{2 * slices} CT slices, {megabytes:.0f} MB; one object of {frames} frames")
    whole = list(bodies.values())
    peer = await best(lambda: clean(lambda: stow(bench, whole, 1)))
    row("STOW-RS into Orthanc, one connection", megabytes / peer)
    four = await best(lambda: clean(lambda: stow(bench, whole, 4)))
    row("STOW-RS into Orthanc, four connections", megabytes / four)
    row("into files", megabytes / await best(lambda: store(bench.files(), bodies)), megabytes / peer)
    row("into files, coerced", megabytes / await best(lambda: store(bench.files(), bodies, COERCION)), megabytes / peer)
    for native in (True, False):
        seconds = await best(lambda native=native: clean(lambda: store(bench.behind(native=native), bodies)))
        row(f"into Orthanc behind us{'' if native else ', DICOMweb only'}", megabytes / seconds, megabytes / peer)

    await out(bench, study, megabytes)
    await out(bench, large, large.instances[0].size_bytes / 1e6)
    print(f"resident at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, samples included")
    await sessions.close()
    compute.close()


async def out(bench: Bench, study: SampleStudy, megabytes: float) -> None:
    bench.judge.clear()
    bodies = bodies_of(study)
    ours, coerced = bench.files(), bench.files()
    await store(ours, bodies)
    await store(bench.behind(native=True), bodies)
    await store(coerced, bodies, COERCION)
    del bodies
    peer = min([await wado(bench, study) for _ in range(ROUNDS)], key=lambda each: each[1])
    print(f"out of it, {megabytes:.0f} MB")
    row("WADO-RS of Orthanc", megabytes / peer[1], first_s=peer[0])
    archives: list[tuple[str, Archive]] = [
        ("out of files", ours),
        ("out of Orthanc behind us", bench.behind(native=True)),
        ("out of Orthanc behind us, DICOMweb only", bench.behind(native=False)),
    ]
    for name, archive in archives:
        first, last = min([await pour(archive, study) for _ in range(ROUNDS)], key=lambda each: each[1])
        row(name, megabytes / last, megabytes / peer[1], first)


def row(name: str, figure: float, peer: float | None = None, first_s: float | None = None) -> None:
    first = f"   first byte {first_s * 1000:6.1f} ms" if first_s is not None else ""
    if peer is None:
        print(f"  {name:<44}{figure:8.0f} MB/s{first}")
    else:
        quicker(f"the archive alone, {name}{first}", ours=figure, peer=peer, unit="MB/s", beside="Orthanc", asked=None)


def main() -> None:
    slices, frames = (*map(int, sys.argv[1:3]), *(250, 400)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as folder, orthanc(Path(folder) / "orthanc") as judge:
        asyncio.run(measure(Path(folder), judge, slices, frames))


if __name__ == "__main__":
    main()
