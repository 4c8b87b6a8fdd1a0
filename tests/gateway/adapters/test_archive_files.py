"""What only the archive in files can show: what is on the disk, and when."""

import asyncio
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conformance.samples import SampleStudy, write_capture_study, write_ct_study
from gateway.adapters.archive_files import LEAST_BLOCK_BYTES, FilesArchive
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.durable import Sync
from gateway.ports.archive import Stored
from profiles.errors import InternalFault
from profiles.model.content import DICOM, Part, Pour
from tests.gateway.adapters.archives import (
    COERCION,
    LOCAL,
    PATIENT,
    READING,
    bodies_of,
    fetched,
    known,
    pour_of,
    poured,
    read,
    stored,
    study_of,
    wanted_of,
)
from tests.support.clock import FixedClock
from tests.support.judges import ROOT, require_program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def opened(folder: Path, compute: ThreadCompute, sync: Sync = os.fsync) -> FilesArchive:
    return FilesArchive(folder, compute=compute, clock=FixedClock(), reading=READING, min_free_bytes=0, sync=sync)


@pytest.fixture
def archive(folder: Path, compute: ThreadCompute) -> FilesArchive:
    return opened(folder, compute)


def files_below(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


# --- what is on the disk ------------------------------------------------------------------------------------------------


async def test_bytes_are_kept_as_received_under_names_that_tell_nothing(
    archive: FilesArchive, folder: Path, ct: SampleStudy
) -> None:
    await stored(archive, pour_of(bodies_of(ct)))
    files = files_below(folder)
    assert len(files) == len(ct.instances)
    assert all(re.fullmatch(r"studies/[0-9a-f]{2}/[0-9a-f]{32}/[0-9a-f]{32}\.dcm", each) for each in files)
    assert sorted((folder / each).read_bytes() for each in files) == sorted(bodies_of(ct).values())


async def test_a_coercion_adds_a_small_head_and_leaves_the_file_alone(
    archive: FilesArchive, folder: Path, ct: SampleStudy
) -> None:
    await stored(archive, pour_of(bodies_of(ct)), COERCION)
    originals, heads = list(folder.rglob("*.dcm")), list(folder.rglob("*.head"))
    assert sorted(each.read_bytes() for each in originals) == sorted(bodies_of(ct).values())
    assert len(heads) == len(originals)
    assert all(each.stat().st_size < 4096 for each in heads)


async def test_nobody_else_may_read_it(archive: FilesArchive, folder: Path, ct: SampleStudy) -> None:
    await stored(archive, pour_of(bodies_of(ct)), COERCION)
    for each in folder.rglob("*"):
        assert each.stat().st_mode & 0o077 == 0


async def test_what_was_stored_is_there_after_a_restart(
    archive: FilesArchive, folder: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    outcomes = await stored(archive, pour_of(bodies_of(ct)), COERCION)
    served = await fetched(archive, wanted_of(ct))
    again = opened(folder, compute)
    assert await again.orphans(known(bodies_of(ct))) == []
    assert await fetched(again, wanted_of(ct)) == served
    assert {each.arrived for each in await stored(again, pour_of(bodies_of(ct)))} == {each.arrived for each in outcomes}


async def test_nothing_is_left_of_what_was_refused_or_the_same(
    archive: FilesArchive, folder: Path, ct: SampleStudy
) -> None:
    bodies = bodies_of(ct)
    await stored(archive, pour_of(bodies), COERCION)
    before = files_below(folder)
    changed = {key: body[:-1] + bytes([body[-1] ^ 1]) for key, body in bodies.items()}
    cut = {key: body[:-100] for key, body in bodies.items()}
    await stored(archive, pour_of({**bodies}), COERCION)
    await stored(archive, pour_of(changed), COERCION)
    await stored(archive, pour_of(cut), COERCION)
    assert files_below(folder) == before


# --- half files ---------------------------------------------------------------------------------------------------------


async def test_start_up_removes_half_files_and_heads_without_a_file(
    archive: FilesArchive, folder: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    await stored(archive, pour_of(bodies_of(ct)), COERCION)
    one = next(folder.rglob("*.dcm"))
    one.unlink()  # as if the power had gone between the two renames
    (folder / "incoming" / "0123").write_bytes(b"half")
    again = opened(folder, compute)
    await again.clear()
    await again.orphans(known(bodies_of(ct)))
    assert not one.with_suffix(".head").exists()
    assert list((folder / "incoming").iterdir()) == []
    outcomes = await stored(again, pour_of(bodies_of(ct)))
    assert sorted(each.stored for each in outcomes) == [Stored.NEW, *[Stored.SAME] * (len(ct.instances) - 1)]


async def test_a_head_without_a_file_is_not_served_with_the_file_that_comes_later(
    archive: FilesArchive, folder: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    await stored(archive, pour_of(bodies_of(ct)), COERCION)
    for each in folder.rglob("*.dcm"):
        each.unlink()
    again = opened(folder, compute)
    await stored(again, pour_of(bodies_of(ct)))
    assert await fetched(again, wanted_of(ct)) == bodies_of(ct)


async def test_what_is_stored_while_orphans_are_looked_for_is_none(
    archive: FilesArchive, folder: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    first, *rest = bodies_of(ct)
    await stored(archive, pour_of({first: bodies_of(ct)[first]}))
    again = opened(folder, compute)

    async def nothing_yet() -> AsyncIterator[str]:
        await stored(again, pour_of({uid: bodies_of(ct)[uid] for uid in rest}), COERCION)
        return
        yield

    assert await again.orphans(nothing_yet()) == [first]
    assert len(list(folder.rglob("*.head"))) == len(rest)


async def test_a_store_that_is_cancelled_leaves_nothing_half_done(
    archive: FilesArchive, folder: Path, tmp_path: Path
) -> None:
    study = write_capture_study(tmp_path / "in", seed=4, patient=PATIENT, frames=8, rows=512)
    (body,) = bodies_of(study).values()
    half = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        for start in range(0, len(body) // 2, 300_000):
            yield body[start : start + 300_000]
        half.set()
        await asyncio.Event().wait()

    async def pour() -> Pour:
        yield Part(key="hangs", media_type=DICOM, chunks=hanging())

    storing = asyncio.create_task(stored(archive, pour()))
    await half.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    await asyncio.sleep(0.1)  # a thread that had begun to write cleans up after itself
    assert files_below(folder) == []


async def test_leaving_the_outcomes_early_leaves_nothing_half_done(
    archive: FilesArchive, folder: Path, ct: SampleStudy
) -> None:
    outcomes = archive.store(pour_of(bodies_of(ct)))
    await anext(outcomes)
    await outcomes.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)
    assert list((folder / "incoming").iterdir()) == []


async def test_many_stores_of_the_same_instances_make_one(archive: FilesArchive, folder: Path, ct: SampleStudy) -> None:
    rounds = await asyncio.gather(*(stored(archive, pour_of(bodies_of(ct)), COERCION) for _ in range(6)))
    told = [each.stored for outcomes in rounds for each in outcomes]
    assert told.count(Stored.NEW) == len(ct.instances)
    assert told.count(Stored.SAME) == 5 * len(ct.instances)
    assert len(list(folder.rglob("*.dcm"))) == len(list(folder.rglob("*.head"))) == len(ct.instances)


async def test_a_reader_gets_the_old_view_or_the_new_one_and_never_a_mixture(
    archive: FilesArchive, ct: SampleStudy
) -> None:
    outcomes = await stored(archive, pour_of(bodies_of(ct)))
    plan = await archive.plan(wanted_of(ct), None)
    await archive.rewrite(study_of(outcomes), COERCION)
    with pytest.raises(InternalFault, match="rewritten"):
        await poured(archive, plan)
    for body in (await fetched(archive, wanted_of(ct))).values():
        assert read(body).PatientID == LOCAL.identifiers[0].value


async def test_a_file_that_lost_its_end_breaks_the_pour(archive: FilesArchive, folder: Path, ct: SampleStudy) -> None:
    await stored(archive, pour_of(bodies_of(ct)))
    plan = await archive.plan(wanted_of(ct), None)
    for each in folder.rglob("*.dcm"):
        os.truncate(each, each.stat().st_size - 1)
    with pytest.raises(InternalFault):
        await poured(archive, plan)


async def test_an_archive_that_is_nearly_full_is_not_ready(folder: Path, compute: ThreadCompute) -> None:
    full = FilesArchive(folder, compute=compute, clock=FixedClock(), reading=READING, min_free_bytes=1 << 60)
    assert "MiB left" in await full.ready()


async def test_an_archive_whose_folder_went_away_is_not_ready(archive: FilesArchive, folder: Path) -> None:
    (folder / "incoming").rmdir()
    assert "cannot be written" in await archive.ready()


# --- order --------------------------------------------------------------------------------------------------------------


async def test_outcomes_come_after_file_and_folder_are_synced(
    folder: Path, compute: ThreadCompute, ct: SampleStudy
) -> None:
    """Each outcome needs: fsync of its file, of its head, then of the folder that holds both."""
    seen: list[str] = []

    def sync(descriptor: int) -> None:
        os.fsync(descriptor)
        seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(folder.parent)))

    archive = opened(folder, compute, sync)
    async for outcome in archive.store(pour_of(bodies_of(ct)), COERCION):
        assert outcome.stored is Stored.NEW
        place = next(each for each in folder.rglob("*.dcm"))
        study = str(place.parent.relative_to(folder.parent))
        halves = [at for at, name in enumerate(seen) if name.startswith("archive/incoming/")]
        assert len(halves) >= 2
        assert str(place.parent.parent.relative_to(folder.parent)) in seen  # it holds the study's new folder
        assert study in seen[halves[1] :]


STORE = """
import asyncio, os, sys
from pathlib import Path
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.compute import ThreadCompute
from tests.gateway.adapters.archives import COERCION, READING, pour_of
from tests.support.clock import FixedClock

async def main(folder, source, sync):
    archive = FilesArchive(
        Path(folder), compute=ThreadCompute(4), clock=FixedClock(), reading=READING,
        sync=os.fsync if sync == "sync" else lambda descriptor: None,
    )
    bodies = {str(each): each.read_bytes() for each in sorted(Path(source).rglob("*.dcm"))}
    async for outcome in archive.store(pour_of(bodies), COERCION):
        os.write(1, f"TOLD {outcome.sop_instance_uid}\\n".encode())

asyncio.run(main(*sys.argv[1:]))
"""


def told_too_early(trace: str, instances: int) -> list[str]:
    """Outcomes that were written before a file, its head and their folder were synced; and what is missing.

    Calls of threads are cut in two by strace (`<unfinished ...>`, `<... fsync resumed>`): what counts is the return.
    """
    opened: dict[int, str] = {}
    waiting: dict[str, str] = {}
    synced: list[str] = []
    renamed: dict[str, int] = {}
    early: list[str] = []
    told = 0
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            waiting[thread] = call.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", call)
        if resumed:
            call = waiting.pop(thread, "") + resumed[1]
        if match := re.match(r'openat\(.*?, "([^"]+)".*= (\d+)$', call):
            opened[int(match[2])] = match[1]
        elif match := re.match(r"f(?:data)?sync\((\d+)\)\s*= 0", call):
            synced.append(opened.get(int(match[1]), ""))
        elif match := re.match(r'rename(?:at2?)?\(.*?"([^"]+)".*?"([^"]+)".*= 0', call):
            if match[1] not in synced:
                early.append(f"{match[2]} was renamed before its bytes were synced")
            renamed[match[2]] = len(synced)
        elif match := re.match(r'write\(1, "TOLD ([0-9.]+)', call):
            told += 1
            lasting = [
                path for path, at in renamed.items() if path.endswith(".dcm") and str(Path(path).parent) in synced[at:]
            ]
            if len(lasting) < told:
                early.append(f"{match[1]} was told of before its folder was synced")
    if told != instances:
        early.append(f"{told} of {instances} were told of")
    return early


def traced(tmp_path: Path, ct: SampleStudy, sync: str) -> list[str]:
    judge = require_program("strace")
    trace = tmp_path / f"{sync}.trace"
    source = ct.instances[0].path.parent.parent
    subprocess.run(
        [
            judge, "-f", "-qq", "-e", "trace=openat,fsync,fdatasync,rename,renameat,renameat2,write", "-o", str(trace),
            sys.executable, "-c", STORE, str(tmp_path / sync), str(source), sync,
        ],
        cwd=ROOT, check=True, timeout=100, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return told_too_early(trace.read_text(), len(ct.instances))


@pytest.mark.judge_program
def test_strace_sees_file_and_folder_synced_before_anybody_is_told(tmp_path: Path, ct: SampleStudy) -> None:
    assert traced(tmp_path, ct, "sync") == []


@pytest.mark.judge_program
def test_the_same_test_notices_when_nothing_is_synced(tmp_path: Path, ct: SampleStudy) -> None:
    assert traced(tmp_path, ct, "nosync") != []


# --- a full disk, a kill --------------------------------------------------------------------------------------------------


FILL = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.compute import ThreadCompute
from profiles.errors import OutOfResources
from tests.gateway.adapters.archives import COERCION, READING, pour_of
from tests.support.clock import FixedClock

async def main(folder, large, small):
    archive = FilesArchive(Path(folder), compute=ThreadCompute(4), clock=FixedClock(), reading=READING)
    bodies = [("small", Path(small).read_bytes()), ("large", Path(large).read_bytes())]
    try:
        async for outcome in archive.store(pour_of(bodies, 100_000), COERCION):
            print(outcome.key, outcome.stored)
    except OutOfResources as error:
        print("out of resources:", error.detail)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
asyncio.run(main(*sys.argv[1:]))
"""


def test_a_full_disk_is_out_of_resources_and_what_was_safe_is_told_first(tmp_path: Path, ct: SampleStudy) -> None:
    """The limit on a file's size fails a write as a full disk does (EFBIG for ENOSPC), in the middle of a large one."""
    large = write_capture_study(tmp_path / "in", seed=4, patient=PATIENT, frames=8, rows=512)
    ran = subprocess.run(
        [
            sys.executable, "-c", FILL, str(tmp_path / "archive"),
            str(large.instances[0].path), str(ct.instances[0].path),
        ],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["small new", "out of resources: there is no room left to keep it"]
    assert [Path(each).suffix for each in files_below(tmp_path / "archive")] == [".dcm", ".head"]


@pytest.mark.judge_program
def test_what_was_told_before_a_kill_is_there_after_it(tmp_path: Path, ct: SampleStudy) -> None:
    """SIGKILL after some outcomes; after a restart these are there whole, and half files are gone."""
    source = ct.instances[0].path.parent.parent
    for wait_for in (1, 4):
        folder = tmp_path / f"killed-{wait_for}"
        program = subprocess.Popen(
            [sys.executable, "-c", STORE, str(folder), str(source), "sync"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert program.stdout is not None
        told = [program.stdout.readline().split()[1] for _ in range(wait_for)]
        program.kill()
        told += [line.split()[1] for line in program.stdout if line.endswith("\n")]
        program.wait()
        asyncio.run(_all_there(folder, ct, told))


async def _all_there(folder: Path, ct: SampleStudy, told: list[str]) -> None:
    compute = ThreadCompute(2)
    archive = opened(folder, compute)
    await archive.clear()
    orphans = await archive.orphans(known(told))
    assert list((folder / "incoming").iterdir()) == []
    wanted = [each for each in wanted_of(ct) if each.instance.sop_instance_uid in (*told, *orphans)]
    served = await fetched(archive, wanted)
    assert set(told) <= set(served)
    for uid, body in served.items():
        assert read(body).PatientID == LOCAL.identifiers[0].value
        assert read(body).PixelData == read(bodies_of(ct)[uid]).PixelData
    compute.close()


async def test_pieces_of_any_size_hold_at_most_a_few_blocks(archive: FilesArchive, tmp_path: Path) -> None:
    """A large instance on its way in never has more than some blocks in memory."""
    study = write_capture_study(tmp_path / "in", seed=4, patient=PATIENT, frames=40, rows=512)
    (body,) = bodies_of(study).values()
    pour = pour_of({"large": body}, 256 * 1024)
    tracemalloc.start()
    (outcome,) = await stored(archive, pour)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert outcome.stored is Stored.NEW
    assert len(body) > 20 << 20
    assert peak < 6 << 20


async def test_many_readers_at_once_are_given_smaller_pieces_of_the_same_bytes(
    archive: FilesArchive, tmp_path: Path
) -> None:
    study = write_ct_study(tmp_path / "large", seed=1, patient=PATIENT, series=1, instances=3)
    bodies = bodies_of(study)
    await stored(archive, pour_of(bodies))
    plan = await archive.plan(wanted_of(study), None)
    pours = [archive.pour(plan) for _ in range(40)]
    firsts = [await anext(pour) for pour in pours]
    begun = [await anext(part.chunks) for part in firsts]
    assert len(begun[0]) == len(bodies[firsts[0].key])
    assert len(begun[-1]) <= LEAST_BLOCK_BYTES
    for pour, part, chunk in zip(pours, firsts, begun, strict=True):
        found = {part.key: chunk + b"".join([each async for each in part.chunks])}
        found |= {each.key: b"".join([chunk async for chunk in each.chunks]) async for each in pour}
        assert found == bodies
    part = await anext(archive.pour(plan))
    assert len(await anext(part.chunks)) == len(bodies[part.key])  # whoever comes when they are gone has it all again
