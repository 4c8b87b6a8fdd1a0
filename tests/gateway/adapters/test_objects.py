"""One suite for every `Objects`, then what only files can show."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory.archive import MemoryObjects
from gateway.adapters.objects_files import FileObjects
from gateway.ports.objects import INLINE_BYTES
from profiles.errors import InternalFault, OutOfResources
from profiles.model.content import Content
from tests.support.judges import ROOT

SMALL = b"a manifest of some size" * 20
LARGE = os.urandom(INLINE_BYTES + 1) * 40


@pytest.fixture
def compute() -> Iterator[ThreadCompute]:
    made = ThreadCompute(2)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path, compute: ThreadCompute) -> FileObjects:
    return FileObjects(tmp_path / "objects", compute)


@pytest.fixture(params=["memory", "files"])
def objects(request: pytest.FixtureRequest, files: FileObjects) -> FileObjects | MemoryObjects:
    return files if request.param == "files" else MemoryObjects()


async def whole(content: Content) -> bytes:
    return b"".join([chunk async for chunk in content.open()])


async def pieces(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def known(*paths: str) -> AsyncIterator[str]:
    for path in paths:
        yield path


def files_below(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_a_spooled_body_has_size_and_hash_and_opens_again_and_again(
    objects: FileObjects | MemoryObjects, body: bytes
) -> None:
    spool = objects.spool(len(body))
    for start in range(0, len(body), 7_777):
        spool.write(body[start : start + 7_777])
    content = spool.finish("application/dicom")
    assert content.media_type == "application/dicom"
    assert content.size_bytes == len(body)
    assert content.sha1 == hashlib.sha1(body).hexdigest()
    assert await whole(content) == body
    assert await whole(content) == body
    spool.discard()


async def test_a_spool_refuses_to_grow_beyond_its_limit(objects: FileObjects | MemoryObjects) -> None:
    for limit in (100, len(LARGE) - 1):
        spool = objects.spool(limit)
        with pytest.raises(OutOfResources):
            for start in range(0, len(LARGE), 9_999):
                spool.write(LARGE[start : start + 9_999])


async def test_a_small_object_is_staged_inline(objects: FileObjects | MemoryObjects) -> None:
    spool = objects.spool(1000)
    spool.write(SMALL)
    staged = await objects.stage(spool.finish("text/plain"))
    spool.discard()
    assert staged.inline == SMALL
    assert staged.path is None
    assert await whole(staged.content) == SMALL


async def test_a_large_object_is_staged_under_a_path_and_outlives_its_spool(
    objects: FileObjects | MemoryObjects,
) -> None:
    spool = objects.spool(len(LARGE))
    spool.write(LARGE)
    staged = await objects.stage(spool.finish("application/pdf"))
    spool.discard()
    assert staged.inline is None
    assert staged.path is not None
    again = objects.content(staged.path, media_type="application/pdf", size_bytes=len(LARGE), sha1=staged.content.sha1)
    assert again == staged.content
    assert await whole(staged.content) == LARGE
    assert await whole(again) == LARGE


async def test_a_content_from_elsewhere_is_copied_counted_and_hashed(objects: FileObjects | MemoryObjects) -> None:
    staged = await objects.stage(Content(media_type="x/y", open=lambda: pieces(LARGE)))
    assert staged.content.size_bytes == len(LARGE)
    assert staged.content.sha1 == hashlib.sha1(LARGE).hexdigest()
    assert await whole(staged.content) == LARGE


async def test_the_same_bytes_staged_twice_are_there_once(objects: FileObjects | MemoryObjects) -> None:
    first = await objects.stage(Content.of(LARGE))
    second = await objects.stage(Content.of(LARGE))
    assert first.path == second.path
    assert await whole(second.content) == LARGE


# --- files only --------------------------------------------------------------------------------------------------------


async def test_a_spooled_file_is_adopted_and_not_copied(tmp_path: Path, files: FileObjects) -> None:
    spool = files.spool(len(LARGE))
    spool.write(LARGE)
    content = spool.finish("application/dicom")
    (incoming,) = (tmp_path / "objects" / "incoming").iterdir()
    inode = incoming.stat().st_ino
    staged = await files.stage(content)
    assert staged.path is not None
    assert (tmp_path / "objects" / staged.path).stat().st_ino == inode
    assert files_below(tmp_path / "objects") == [staged.path]
    spool.discard()
    assert await whole(content) == LARGE  # whoever still holds the spooled content reads the kept file


async def test_a_discarded_spool_leaves_nothing_and_cannot_be_read_or_kept(tmp_path: Path, files: FileObjects) -> None:
    for body in (SMALL, LARGE):
        spool = files.spool(len(body))
        spool.write(body)
        content = spool.finish("x/y")
        spool.discard()
        assert files_below(tmp_path) == []
        with pytest.raises(InternalFault):
            await whole(content)
        with pytest.raises(InternalFault):
            await files.stage(content)


async def test_a_source_that_breaks_while_staging_leaves_nothing(tmp_path: Path, files: FileObjects) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await files.stage(Content(open=breaking))
    assert files_below(tmp_path) == []


async def test_nobody_else_may_read_the_files(tmp_path: Path, files: FileObjects) -> None:
    staged = await files.stage(Content.of(LARGE))
    assert staged.path is not None
    kept = tmp_path / "objects" / staged.path
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


async def test_bytes_are_synced_before_they_are_named_and_the_folder_after(
    tmp_path: Path, compute: ThreadCompute
) -> None:
    seen: list[str] = []

    def sync(descriptor: int) -> None:
        seen.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)))
        os.fsync(descriptor)

    objects = FileObjects(tmp_path, compute, sync=sync)
    seen.clear()
    staged = await objects.stage(Content.of(LARGE))
    assert staged.path is not None
    assert seen[0].startswith("incoming/")
    assert seen[1] == "kept"  # the folder that holds the new sub-folder
    assert seen[2] == str(Path(staged.path).parent)
    assert len(seen) == 3


def test_a_folder_says_whose_documents_it_keeps_and_keeps_saying_so(tmp_path: Path, files: FileObjects) -> None:
    assert files.owner() == ""
    files.own("a" * 32)
    assert files.owner() == "a" * 32
    assert files_below(tmp_path / "objects") == ["database"]


async def test_start_up_removes_half_files_and_what_no_row_names(tmp_path: Path, files: FileObjects) -> None:
    kept, orphan = await files.stage(Content.of(LARGE)), await files.stage(Content.of(LARGE[1:]))
    half = files.spool(len(LARGE))
    half.write(LARGE)
    assert kept.path is not None
    assert await files.reconcile(known(kept.path)) == (orphan.path,)
    assert files_below(tmp_path / "objects") == [kept.path]


FILL = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.objects_files import FileObjects
from profiles.errors import OutOfResources
from profiles.model.content import Content
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
objects = FileObjects(Path(sys.argv[1]), ThreadCompute(1))
spool = objects.spool(1 << 30)
try:
    for _ in range(300):
        spool.write(bytes(1000))
except OutOfResources as error:
    print("spool:", error.detail)
try:
    asyncio.run(objects.stage(Content.of(bytes(300_000))))
except OutOfResources as error:
    print("stage:", error.detail)
"""


async def test_where_others_live_what_is_young_stays_and_what_is_staged_again_meanwhile_too(
    tmp_path: Path, files: FileObjects
) -> None:
    old, again, named = [await files.stage(Content.of(body + LARGE, "text/plain")) for body in (b"1", b"2", b"3")]
    young = await files.stage(Content.of(b"4" + LARGE, "text/plain"))
    long_ago = time.time() - 7200
    for each in (old, again, named):
        os.utime(tmp_path / "objects" / str(each.path), (long_ago, long_ago))
    half = tmp_path / "objects" / "incoming" / "half"
    half.write_bytes(b"of a living process")

    async def rows() -> AsyncIterator[str]:
        yield str(named.path)
        await files.stage(Content.of(b"2" + LARGE, "text/plain"))  # by another process, while we look

    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert list(await files.reconcile(rows(), hour_ago)) == [old.path]
    assert half.exists()
    for each in (again, named, young):
        assert (tmp_path / "objects" / str(each.path)).exists()
    os.utime(half, (long_ago, long_ago))
    assert list(await files.reconcile(known(*(str(each.path) for each in (again, named, young))), hour_ago)) == []
    assert not half.exists()


def test_a_full_disk_is_out_of_resources_and_leaves_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.splitlines() == [
        "spool: there is no room left to keep it",
        "stage: there is no room left to keep it",
    ]
    assert files_below(tmp_path) == []
