"""Objects in files: `incoming/` for bytes on their way, `kept/` for what a row may name.

A file under `kept/` is named by the SHA-256 of its bytes (XDS asks for SHA-1, and two documents of one SHA-1 can be made),
so that the same document is there once and a name never means other bytes. What no row names after a crash is found at
start-up by `reconcile`. Paths that leave this room are relative to the folder, so that the folder may be moved.
"""

import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final

from gateway.adapters.durable import (
    BLOCK_BYTES,
    Folders,
    Sync,
    create,
    read_block,
    remove,
    sync_folder,
    translated,
    write_all,
)
from gateway.ports.compute import Compute
from gateway.ports.objects import INLINE_BYTES, StagedObject
from profiles.errors import InternalFault, OutOfResources
from profiles.model.content import Content

IN_MEMORY_BYTES: Final = INLINE_BYTES  # what travels inline anyway is never written aside


class FileSpool:
    """Bytes of one body on their way in. `write` is called on the loop: it reaches the page cache, never the disk."""

    __slots__ = ("_body", "_compute", "_file", "_limit", "_path", "_placed", "_sha1", "_sha256", "_size")

    def __init__(self, path: Path, limit_bytes: int, compute: Compute) -> None:
        self._path = path
        self._limit = limit_bytes
        self._compute = compute
        self._body = bytearray()
        self._file: FileIO | None = None  # closes itself when nobody holds the spool any more
        self._placed = False
        self._size = 0
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    @property
    def path(self) -> Path:
        """The file; there is none while the body is small."""
        return self._path

    @property
    def in_file(self) -> bool:
        """Whether the body has outgrown memory."""
        return self._file is not None or self._placed

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._sha256.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Count, hash and take."""
        self._size += len(chunk)
        if self._size > self._limit:
            self.discard()
            raise OutOfResources(f"more than {self._limit} bytes are not taken at once")
        self._sha1.update(chunk)
        self._sha256.update(chunk)
        try:
            if self._file is None:
                self._body += chunk
                if self._size <= IN_MEMORY_BYTES:
                    return
                self._file = FileIO(create(self._path), "r+")
                chunk = bytes(self._body)
                self._body = bytearray()
            write_all(self._file.fileno(), (chunk,))
        except OSError as error:
            self.discard()
            raise translated(error) from error

    def finish(self, media_type: str) -> Content:
        """The whole, openable any number of times."""
        return Content(
            media_type=media_type, size_bytes=self._size, sha1=self._sha1.hexdigest(), open=SpooledBody(self)
        )

    def discard(self) -> None:
        """Forget it; what was adopted by `stage` stays."""
        self._body = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None
            if not self._placed:
                remove(self._path)

    def place(self, target: Path, sync: Sync, folders: Folders) -> None:
        """In a thread: make the file durable under this name. A second time it is there already."""
        if self._placed:
            return
        if self._file is None:
            raise InternalFault("a discarded spool cannot be kept")
        sync(self._file.fileno())
        folders.make(target.parent)
        self._path.replace(target)
        self._path = target
        self._placed = True
        sync_folder(target.parent, sync)

    async def chunks(self) -> AsyncIterator[bytes]:
        """From the first byte."""
        if not self.in_file:
            if len(self._body) < self._size:
                raise InternalFault("a discarded spool was read")
            yield bytes(self._body)
            return
        offset = 0
        while offset < self._size:
            block = await self._compute.run(partial(read_block, self._path, offset))
            if not block:
                raise InternalFault("a spooled body lost its end")
            offset += len(block)
            yield block


class SpooledBody:
    """`Content.open` of a spool; being a value that can be recognised, it lets `stage` adopt the file."""

    __slots__ = ("spool",)

    def __init__(self, spool: FileSpool) -> None:
        self.spool = spool

    def __call__(self) -> AsyncIterator[bytes]:
        """Start again."""
        return self.spool.chunks()


OWNER = "database"  # a file beside the two folders: whose documents these are


def owner_of(folder: Path) -> str:
    """The database whose documents are in a folder, as it says; "": it does not, or is not there."""
    try:
        return (folder / OWNER).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


class FileObjects:
    """`Objects` in a folder of its own."""

    def __init__(self, folder: Path, compute: Compute, *, sync: Sync = os.fsync) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._compute = compute
        self._sync = sync
        self._folders = Folders(sync)
        self._folders.make(self._incoming)
        self._folders.make(folder / "kept")

    def owner(self) -> str:
        """In a thread: as `owner_of`."""
        return owner_of(self._folder)

    def own(self, database: str) -> None:
        """In a thread: say so, durably."""
        half = self._incoming / uuid.uuid4().hex
        descriptor = create(half)
        try:
            write_all(descriptor, (f"{database}\n".encode(),))
            self._sync(descriptor)
        finally:
            os.close(descriptor)
        half.replace(self._folder / OWNER)
        sync_folder(self._folder, self._sync)

    def spool(self, limit_bytes: int) -> FileSpool:
        """A new spool that refuses to grow beyond the limit."""
        return FileSpool(self._incoming / uuid.uuid4().hex, limit_bytes, self._compute)

    async def stage(self, content: Content) -> StagedObject:
        """Make it durable, or hold it if it is small."""
        body = content.open
        if isinstance(body, SpooledBody):
            return await self._adopt(body.spool, content)
        spool = self.spool(content.size_bytes if content.size_bytes is not None else 1 << 62)
        try:
            async for chunk in content.open():
                spool.write(chunk)
            return await self._adopt(spool, spool.finish(content.media_type))
        finally:
            spool.discard()

    async def _adopt(self, spool: FileSpool, content: Content) -> StagedObject:
        if not spool.in_file:
            small = await content.read(IN_MEMORY_BYTES)
            kept = Content.of(small, content.media_type, content.sha1)
            return StagedObject(content=kept, inline=small, path=None)
        path = f"kept/{spool.sha256[:2]}/{spool.sha256}"
        try:
            await self._compute.run(partial(spool.place, self._folder / path, self._sync, self._folders))
        except OSError as error:
            raise translated(error) from error
        kept = self.content(path, media_type=content.media_type, size_bytes=content.size_bytes, sha1=content.sha1)
        return StagedObject(content=kept, inline=None, path=path)

    async def discard(self, path: str, unless_since: datetime) -> bool:
        """Let go of a file, unless it was placed again since then."""
        try:
            return await self._compute.run(partial(self._discard, self._folder / path, unless_since.timestamp()))
        except OSError as error:
            raise translated(error) from error

    def _discard(self, file: Path, since: float) -> bool:
        aside = self._incoming / uuid.uuid4().hex
        try:
            file.rename(aside)  # first: whoever places it again from now on places another file
        except FileNotFoundError:
            return True
        if aside.stat().st_mtime >= since:
            aside.replace(file)
            return False
        aside.unlink()
        return True

    def content(self, path: str, *, media_type: str, size_bytes: int | None, sha1: str | None) -> Content:
        """What a row names by `StagedObject.path`."""
        return Content(media_type=media_type, size_bytes=size_bytes, sha1=sha1, open=partial(self._chunks, path))

    async def _chunks(self, path: str) -> AsyncIterator[bytes]:
        file = self._folder / path
        offset = 0
        while True:
            try:
                block = await self._compute.run(partial(read_block, file, offset))
            except OSError as error:
                raise translated(error) from error
            if block:
                yield block
            if len(block) < BLOCK_BYTES:
                return
            offset += len(block)

    async def reconcile(self, known: AsyncIterator[str], before: datetime | None = None) -> Sequence[str]:
        """At start-up, before anything is taken in: remove half files and files that no row names; answers the latter.

        Args:
            known: Every `StagedObject.path` that a row names.
            before: Where others live in this folder: what is younger may be about to be named, and stays.
        """
        named = {path async for path in known}
        return await self._compute.run(partial(self._sweep, named, None if before is None else before.timestamp()))

    def _sweep(self, named: set[str], before: float | None) -> Sequence[str]:
        for half in self._incoming.iterdir():
            if before is None or _written(half) < before:
                half.unlink(missing_ok=True)
        gone = []
        for file in sorted((self._folder / "kept").glob("*/*")):
            path = str(file.relative_to(self._folder))
            if path in named or (before is not None and _written(file) >= before):
                continue
            if before is None:
                file.unlink()
            elif not self._discard(file, before):
                continue
            gone.append(path)
        return tuple(gone)


def _written(file: Path) -> float:
    """When it was written last; of what another process has just taken away, never."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
