"""How bytes become durable on a file system: write aside, fsync, rename into place, fsync the folder.

All of it blocks and is called in threads. What a newcomer gets wrong: a rename without the folder's fsync can be undone by
a power cut, and an fsync of the folder without that of the file can leave a name without its bytes. Only after both may
anybody be told. `Sync` is `os.fsync`; a test hands in another to prove that the order of things is really watched.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from profiles.errors import ExchangeError, InternalFault, OutOfResources

Sync = Callable[[int], None]

BLOCK_BYTES = 1024 * 1024  # one read or write: large enough that a change of threads is lost in it
CHUNKS = 1024  # of one write (IOV_MAX of Linux)
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_REMEMBERED = 4096  # folders; forgetting one costs an fsync

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def translated(error: OSError) -> ExchangeError:
    """What an OSError means to a peer: the disk is full, or a fault of ours. Its text stays here: it names paths."""
    if error.errno in _FULL:
        return OutOfResources("there is no room left to keep it", cure="free or add disk space, then try again")
    return InternalFault(
        "the disk refused", cure=f"look at the disk: {errno.errorcode.get(error.errno or 0, 'unknown')}"
    )


def create(path: Path) -> int:
    """A new private file, open for writing and reading back."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)


def write_all(descriptor: int, chunks: Iterable[bytes]) -> None:
    """Append all of it, many chunks at a time; a short write goes on where it stopped."""
    rest = [memoryview(chunk) for chunk in chunks]
    begin = 0
    while begin < len(rest):
        written = os.writev(descriptor, rest[begin : begin + CHUNKS])
        while begin < len(rest) and written >= len(rest[begin]):
            written -= len(rest[begin])
            begin += 1
        if written:
            rest[begin] = rest[begin][written:]


class Folders:
    """Makes folders that are there after a power cut, and their parents.

    A folder that already stands may stand in memory only: another thread is just making it, or the process before us was
    killed over it. So each one is synced once in each process, and nobody goes on before that is done.
    """

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self._lasting: set[Path] = set()
        self._lock = threading.RLock()

    def make(self, folder: Path) -> None:
        """Blocking; from any thread."""
        if folder in self._lasting:
            return
        with self._lock:
            if folder in self._lasting:
                return
            if not folder.parent.is_dir():
                self.make(folder.parent)
            with suppress(FileExistsError):
                folder.mkdir(mode=PRIVATE_FOLDER)
            sync_folder(folder.parent, self._sync)
            if len(self._lasting) >= _REMEMBERED:
                self._lasting.clear()
            self._lasting.add(folder)


def sync_folder(folder: Path, sync: Sync) -> None:
    """Make renames in it lasting."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, body: bytes, sync: Sync = os.fsync) -> None:
    """The file has this body, or what it had before: never a part of it, whenever the house goes down."""
    fresh = path.with_name(f"{path.name}.new")
    remove(fresh)
    descriptor = create(fresh)
    try:
        write_all(descriptor, (body,))
        sync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    sync_folder(path.parent, sync)


def remove(path: Path) -> None:
    """Gone, or never was there."""
    with suppress(FileNotFoundError):
        path.unlink()


def read_block(path: Path, offset: int, size: int = BLOCK_BYTES) -> bytes:
    """Up to `size` bytes from `offset`; fewer only at the end of the file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)
