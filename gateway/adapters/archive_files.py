"""The embedded archive: one file for an instance as it was received, and beside it, when it was coerced, a new head.

    studies/ab/<study>/<instance>.dcm    the bytes that came, never touched
    studies/ab/<study>/<instance>.head   where the file's tail starts, then the head that is served in front of it
    incoming/                            half files; emptied at start-up

`<study>` and `<instance>` are hashes of the UIDs: nothing that came from a network is ever a path. A head is in place
before its file is, so a file without its head does not exist, whenever the power goes. An outcome is handed out when file
and folder are on the disk: several instances are on their way there at once, and one fsync of a folder serves all renames
that came before it.

What a newcomer gets wrong: an instance that was sent again is `SAME` also when it is what *we* serve (our coerced view come
back), and then nothing changes: whoever wants another head asks for `rewrite`.
"""

import asyncio
import errno
import hashlib
import os
import struct
import threading
import uuid
from array import array
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.adapters.arrival import (
    Coerced,
    Frames,
    Identity,
    Places,
    Reading,
    arrived,
    cannot_be_had,
    coerced,
    identity_of,
    is_compressed,
    refused,
    syntax_for,
    written_in,
)
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
from gateway.ports.archive import Coercion, OpenedPart, Plan, PlannedInstance, Stored, StoreOutcome, Wanted
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from profiles.errors import Duplicate, ExchangeError, InternalFault, MalformedMessage, RequestError, UnknownDocument
from profiles.model.content import DICOM, Content, Part, Pour
from profiles.model.identifiers import Uid
from profiles.model.imaging import Study
from profiles.wire.dicom.part10 import Part10Head, Part10Reader

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

T = TypeVar("T")

IN_FLIGHT: Final = 8  # instances on their way to the disk; fsync gains nothing from more
READ_AHEAD: Final = 2  # batches that are read before they are asked for
BATCH_BLOCKS: Final = 2  # read by a thread at once: four CT, for changing threads costs more than reading one
FEW_POURS: Final = 4  # beyond these, what is read at once and ahead becomes less, so that 200 slow readers hold little
MANY_BLOCKS_BYTES: Final = 2 * 1024 * 1024  # one of each of them together
LEAST_BLOCK_BYTES: Final = 64 * 1024
MIN_FREE_BYTES: Final = 256 * 1024 * 1024  # below this the archive says that it is not ready, before a study breaks off

LOOK_BYTES: Final = 64 * 1024  # most heads end within
SHORT_HEAD_BYTES: Final = 128 * 1024  # a millisecond or two of work; longer heads are worked on in a thread

_HEAD = struct.Struct("<8sQ")
_HEAD_MAGIC: Final = b"RGHEAD1\0"


# --- one instance on the disk -----------------------------------------------------------------------------------------


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode("ascii", "replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an instance is, or will be."""

    folder: Path
    name: str

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.dcm"

    @property
    def head(self) -> Path:
        return self.folder / f"{self.name}.head"


@dataclass(frozen=True, slots=True)
class _View:
    """A file as it is served: `head`, then `path` from `begin` to `end`. Without a head it is the file itself."""

    path: Path
    end: int
    head: bytes = b""
    begin: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.head) + self.end - self.begin

    def blocks(self, skip: int = 0) -> Iterator[bytes]:
        """All of it from `skip` on; blocking."""
        if skip < len(self.head):
            yield self.head[skip:]
        left = self.end - self.begin - max(skip - len(self.head), 0)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.end - left)
            while block := file.read(min(BLOCK_BYTES, left)):
                left -= len(block)
                yield block

    def read(self, offset: int, size: int) -> bytes:
        """Some of it; blocking."""
        if offset < len(self.head):
            first = self.head[offset : offset + size]
            return first + self.read(offset + len(first), size - len(first)) if len(first) < size else first
        begin = offset - len(self.head) + self.begin
        return read_block(self.path, begin, min(size, max(self.end - begin, 0)))

    def in_syntax(self, transfer_syntax_uid: str) -> "_View":
        """The same in another native syntax; blocking."""
        written = written_in(_head_of(self), self.size_bytes, transfer_syntax_uid)
        shift = self.begin - len(self.head)
        return _View(self.path, shift + written.end, written.head, shift + written.begin)


def _view(place: _Place, *, original: bool = False) -> _View:
    """How it is served; blocking.

    Raises:
        FileNotFoundError: It is not here.
    """
    size = place.file.stat().st_size
    if not original:
        with suppress(FileNotFoundError):
            body = place.head.read_bytes()
            _, offset = _HEAD.unpack_from(body)
            return _View(place.file, size, body[_HEAD.size :], offset)
    return _View(place.file, size)


def _size(folder: str, name: str) -> int:
    """How many bytes the served view has; blocking. By strings: a plan asks it of hundreds before the first byte."""
    size = os.stat(f"{folder}/{name}.dcm").st_size  # noqa: PTH116  # a Path takes longer than the call
    try:
        descriptor = os.open(f"{folder}/{name}.head", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return size
    try:
        _, tail = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))
        return os.fstat(descriptor).st_size - _HEAD.size + size - int(tail)
    finally:
        os.close(descriptor)


def _head_of(view: _View) -> Part10Head:
    """The head of a stored file; blocking."""
    reader = Part10Reader()
    for block in view.blocks():
        reader.feed(block)
        if reader.head is not None:
            return reader.head
    return reader.finish()


def _same(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    """Whether two sequences of blocks are the same bytes, however they are cut."""
    ours, theirs = iter(one), iter(other)
    left = right = memoryview(b"")
    while True:
        left = left or memoryview(next(ours, b""))
        right = right or memoryview(next(theirs, b""))
        size = min(len(left), len(right))
        if size == 0:
            return not left and not right
        if left[:size] != right[:size]:
            return False
        left, right = left[size:], right[size:]


# --- one instance on its way in ---------------------------------------------------------------------------------------


class _Incoming:
    """A part while it comes. `take` runs on the loop; `flush` and `put` in threads, one at a time."""

    def __init__(self, part: Part, path: Path) -> None:
        self.key = part.key
        self.path = path
        self.reader = part.reader if isinstance(part, OpenedPart) else Part10Reader()
        self._seen_bytes = self.reader.size_bytes  # of what comes first
        self.pending: list[bytes] = []
        self.pending_bytes = 0
        self._sha256 = hashlib.sha256()
        self._descriptor: int | None = None
        self._state = threading.Lock()
        self._busy = False
        self._discarded = False

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def take(self, chunk: bytes) -> None:
        """Look at the next bytes and hold them.

        Raises:
            MalformedMessage: This is not DICOM.
        """
        if self._seen_bytes > 0:
            self._seen_bytes -= len(chunk)
        elif self.reader.head is None and len(chunk) > LOOK_BYTES:  # what lies behind the head need not be copied
            view = memoryview(chunk)
            self.reader.feed(view[:LOOK_BYTES])
            self.reader.feed(view[LOOK_BYTES:])
        else:
            self.reader.feed(chunk)
        self.pending.append(chunk)
        self.pending_bytes += len(chunk)

    def taken(self) -> list[bytes]:
        """What is held, to be flushed."""
        chunks, self.pending, self.pending_bytes = self.pending, [], 0
        return chunks

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A thread has it: who discards it meanwhile need not wait, the thread will clean up.

        Raises:
            InternalFault: It is discarded already.
        """
        with self._state:
            if self._discarded:
                raise InternalFault("what was given up is not written")
            self._busy = True
        try:
            yield
        finally:
            with self._state:
                self._busy = False
                drop = self._discarded
            if drop:
                self._drop()

    def flush(self, chunks: list[bytes]) -> None:
        """Append to the half file."""
        with self.at_work():
            self._append(chunks)

    def make_durable(self, sync: Sync) -> None:
        """Append the rest; the bytes are on the disk, under the half file's name. Within `at_work`."""
        self._append(self.taken())
        assert self._descriptor is not None
        sync(self._descriptor)

    def _append(self, chunks: list[bytes]) -> None:
        if self._descriptor is None:
            self._descriptor = create(self.path)
        write_all(self._descriptor, chunks)
        for chunk in chunks:
            self._sha256.update(chunk)

    def renamed(self) -> None:
        """The half file is one no longer."""
        self._close()

    def discard(self) -> None:
        """Forget it, and the half file."""
        with self._state:
            self._discarded = True
            if self._busy:
                return
        self._drop()

    def _drop(self) -> None:
        if self._close():
            remove(self.path)

    def _close(self) -> bool:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return False
        os.close(descriptor)
        return True


@dataclass(frozen=True, slots=True)
class _Judged:
    """A part that came whole and is what it says; `new` is its coerced head, if that differs."""

    incoming: _Incoming
    head: Part10Head
    identity: Identity
    place: _Place
    new: Coerced | None


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """An instance on its way out: the first block of its view; `decode` where its frames have to be decompressed."""

    view: _View
    first: bytes
    decode: Frames | None = None

    @property
    def size_bytes(self) -> int | None:
        return self.view.size_bytes if self.decode is None else None


class _FolderSyncs:
    """One fsync of a folder serves everybody who renamed into it before it began."""

    def __init__(self, compute: Compute, sync: Sync) -> None:
        self._compute = compute
        self._sync = sync
        self._running: dict[Path, asyncio.Task[None]] = {}
        self._next: dict[Path, asyncio.Task[None]] = {}

    async def settle(self, folder: Path) -> None:
        """Come back when all renames so far will outlive a power cut."""
        upcoming = self._next.get(folder)
        if upcoming is None:
            upcoming = self._next[folder] = asyncio.create_task(self._run(folder, self._running.get(folder)))
        await asyncio.shield(upcoming)

    async def _run(self, folder: Path, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        task = self._next.pop(folder)
        self._running[folder] = task
        try:
            await self._compute.run(partial(sync_folder, folder, self._sync))
        finally:
            if self._running[folder] is task:
                del self._running[folder]


# --- the archive ------------------------------------------------------------------------------------------------------


class FilesArchive:
    """`Archive` in a folder of its own, for one process."""

    def __init__(
        self,
        folder: Path,
        *,
        compute: Compute,
        clock: Clock,
        reading: Reading,
        min_free_bytes: int = MIN_FREE_BYTES,
        sync: Sync = os.fsync,
    ) -> None:
        """Make the folder if it is not there.

        Args:
            folder: The archive's own; nobody else writes into it.
            compute: Where files are read, written and synced.
            clock: When a coercion happened.
            reading: How headers are understood.
            min_free_bytes: With less room than this, `ready` says no.
            sync: `os.fsync`, but in the test that proves that a missing one is noticed.
        """
        self._folder = folder
        self._incoming = folder / "incoming"
        self._halves = map(f"{uuid.uuid4().hex}-{{}}".format, count())
        self._studies = folder / "studies"
        self._compute = compute
        self._clock = clock
        self._reading = reading
        self._min_free_bytes = min_free_bytes
        self._sync = sync
        self._folders = Folders(sync)
        self._renames = _FolderSyncs(compute, sync)
        self._placing = tuple(threading.Lock() for _ in range(64))  # by instance: who looks first, renames first
        self._pours = 0  # under way
        self._newcomers: set[int] | None = set()  # stored since it was opened; none: nobody will ask any more
        self._folders.make(self._incoming)
        self._folders.make(self._studies)

    def _place(self, study_instance_uid: str, sop_instance_uid: str) -> _Place:
        study = _hashed(study_instance_uid)
        return _Place(self._studies / study[:2] / study, _hashed(sop_instance_uid))

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await self._compute.run(work)
        except OSError as error:
            raise translated(error) from error

    # --- in -----------------------------------------------------------------------------------------------------------

    async def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in; outcomes come as instances become durable."""
        placing: set[asyncio.Task[StoreOutcome]] = set()
        broken: Exception | None = None
        try:
            try:
                async with aclosing(self._received(pour)) as received:
                    async for incoming in received:
                        if isinstance(incoming, StoreOutcome):
                            yield incoming
                            continue
                        placing.add(asyncio.create_task(self._kept(incoming, coercion)))
                        if len(placing) >= IN_FLIGHT:
                            await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
                        for done in [task for task in placing if task.done()]:
                            placing.discard(done)
                            yield done.result()
            except Exception as error:  # what is already on its way is still told of
                broken = error
            while placing:
                done_now, placing = await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
                for done in done_now:
                    if (failed := done.exception()) is None:
                        yield done.result()
                    elif isinstance(failed, Exception):
                        broken = broken or failed
            if broken is not None:
                raise broken
        finally:
            for task in placing:
                task.cancel()
            await asyncio.gather(*placing, return_exceptions=True)

    async def _received(self, pour: Pour) -> AsyncGenerator[_Incoming | StoreOutcome, None]:
        """Parts that have come whole, and outcomes of those that did not.

        A pour that breaks raises what broke the part that it broke in: the rest is only its echo.
        """
        cause: Exception | None = None
        while True:
            try:
                part = await anext(pour)
            except StopAsyncIteration:
                return
            except Exception as error:
                if cause is not None and cause is not error:
                    raise cause from error
                raise
            incoming = _Incoming(part, self._incoming / next(self._halves))
            cause = None
            try:
                cause = await self._receive(part, incoming)
            except ExchangeError as error:
                incoming.discard()
                if not isinstance(error, MalformedMessage):
                    raise
                yield refused(part.key, incoming.reader.head, error)
                continue
            except BaseException:
                incoming.discard()
                raise
            if cause is None:
                yield incoming
                continue
            incoming.discard()
            told = cause if isinstance(cause, ExchangeError) else MalformedMessage("the part stopped early")
            yield refused(part.key, incoming.reader.head, told)

    async def _receive(self, part: Part, incoming: _Incoming) -> Exception | None:
        """Read one part; answers what its stream raised. One block is written while the next one comes.

        Raises:
            MalformedMessage: It is not DICOM.
            OutOfResources: The disk is full.
        """
        writing: asyncio.Task[None] | None = None
        try:
            chunks = aiter(part.chunks)
            while True:
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return None
                except Exception as error:
                    return error
                incoming.take(chunk)
                if incoming.pending_bytes >= BLOCK_BYTES:
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._run(partial(incoming.flush, incoming.taken())))
        finally:
            if writing is not None:
                await writing

    async def _kept(self, incoming: _Incoming, coercion: Coercion | None) -> StoreOutcome:
        """Judge it, make it durable, tell."""
        try:
            judged = await self._quick(incoming, partial(self._judge, incoming, coercion))
            stored, served = await self._run(partial(self._put, judged))
            told = await self._quick(incoming, partial(self._told, judged, served, stored))
        except RequestError as error:
            return refused(incoming.key, incoming.reader.head, error)
        finally:
            incoming.discard()
        try:
            await self._renames.settle(judged.place.folder)
        except OSError as error:
            raise translated(error) from error
        return told

    async def _quick(self, incoming: _Incoming, work: Callable[[], T]) -> T:
        """Work on a head: at once, since threads would only wait for each other's turn; a long one in a thread."""
        head = incoming.reader.head
        return work() if head is None or len(head.raw) <= SHORT_HEAD_BYTES else await self._compute.run(work)

    def _judge(self, incoming: _Incoming, coercion: Coercion | None) -> _Judged:
        """What came, now that it is whole.

        Raises:
            RequestError: It is to be refused.
        """
        head = incoming.reader.finish()
        identity = identity_of(head)
        return _Judged(
            incoming,
            head,
            identity,
            self._place(identity.study_instance_uid, identity.sop_instance_uid),
            None if coercion is None else coerced(head, coercion, self._reading, self._clock.now()),
        )

    def _put(self, judged: _Judged) -> tuple[Stored, Part10Head]:
        """In a thread: everything up to the folder's fsync. Answers the head that is served.

        Raises:
            Duplicate: Other content has this name.
        """
        incoming, place, new = judged.incoming, judged.place, judged.new
        with incoming.at_work():
            self._folders.make(place.folder)
            tail = judged.head.tail_offset
            size = incoming.reader.size_bytes
            written = None if new is None else self._write_head(new.raw, tail if tail is not None else size)
            try:
                incoming.make_durable(self._sync)
                with self._placed(place.name):
                    if place.file.exists():
                        return Stored.SAME, self._compared(judged)
                    if (newcomers := self._newcomers) is not None:
                        newcomers.add(_number(place.name))
                    if written is not None:
                        written.replace(place.head)
                        written = None
                    else:
                        remove(place.head)  # of one that the power kept from coming
                    incoming.path.replace(place.file)
                    incoming.renamed()
            finally:
                if written is not None:
                    remove(written)
        return Stored.NEW, judged.head if new is None else new.head

    def _placed(self, name: str) -> threading.Lock:
        return self._placing[int(name[:2], 16) % len(self._placing)]

    def _told(self, judged: _Judged, served: Part10Head, stored: Stored) -> StoreOutcome:
        incoming, identity = judged.incoming, judged.identity
        return StoreOutcome(
            key=incoming.key,
            stored=stored,
            arrived=arrived(served, self._reading, size_bytes=incoming.reader.size_bytes, sha256=incoming.sha256),
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
        )

    def _write_head(self, raw: bytes, tail: int) -> Path:
        """A durable head file under a half file's name."""
        path = self._incoming / next(self._halves)
        descriptor = create(path)
        try:
            write_all(descriptor, (_HEAD.pack(_HEAD_MAGIC, tail), raw))
            self._sync(descriptor)
        except BaseException:
            remove(path)
            raise
        finally:
            os.close(descriptor)
        return path

    def _compared(self, judged: _Judged) -> Part10Head:
        """The head that we serve of an instance that has come again.

        Raises:
            Duplicate: It has other content.
        """
        place, head = judged.place, judged.head
        new = _View(judged.incoming.path, judged.incoming.reader.size_bytes)
        for original in (True, False):
            view = _view(place, original=original)
            ours = _head_of(view)
            length = view.size_bytes - ours.dataset_offset
            if length == new.size_bytes - head.dataset_offset and _same(
                view.blocks(ours.dataset_offset), new.blocks(head.dataset_offset)
            ):
                return ours if not original else _head_of(_view(place))
        raise Duplicate(
            "an instance of this UID is archived with other content",
            location=head.sop_instance_uid,
            cure="compare the two with the sender: a changed instance needs a new SOP Instance UID",
        )

    # --- out ----------------------------------------------------------------------------------------------------------

    async def plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> Plan:
        """What can be had, in the order asked for; sizes are those of the served view."""
        return await self._run(partial(self._plan, wanted, transfer_syntaxes))

    def _plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> Plan:
        available: list[PlannedInstance] = []
        missing: dict[str, ExchangeError] = {}
        folders: dict[str, str] = {}
        for each in wanted:
            uid = each.instance.sop_instance_uid
            if each.study_instance_uid not in folders:
                folders[each.study_instance_uid] = str(self._place(each.study_instance_uid, "").folder)
            try:
                size = _size(folders[each.study_instance_uid], _hashed(uid))
                stored = each.instance.transfer_syntax_uid
                if stored is None:
                    stored = Uid(_head_of(_view(self._place(each.study_instance_uid, uid))).transfer_syntax_uid)
            except FileNotFoundError:
                missing[uid] = UnknownDocument("the instance is not in this archive", location=uid)
                continue
            syntax = syntax_for(stored, transfer_syntaxes)
            if syntax is None:
                missing[uid] = cannot_be_had(uid)
            else:
                known = size if syntax == stored else None
                available.append(PlannedInstance(wanted=each, transfer_syntax_uid=syntax, size_bytes=known))
        return Plan(available=tuple(available), missing=missing)

    async def pour(self, plan: Plan, *, original: bool = False) -> Pour:
        """All that was planned; what comes next is read while the reader is busy."""
        ahead: deque[asyncio.Task[list[_Outgoing | Exception]]] = deque()
        upcoming = _batches(plan.available, self._block_bytes)
        begun: deque[_Outgoing | Exception] = deque()
        self._pours += 1
        try:
            for planned in plan.available:
                reach = READ_AHEAD if self._pours <= FEW_POURS else 1
                while len(ahead) < reach and (batch := next(upcoming, None)) is not None:
                    begin = partial(self._begun, batch, self._block_bytes(), original=original)
                    ahead.append(asyncio.create_task(self._run(begin)))
                if not begun:
                    begun.extend(await ahead.popleft())
                outgoing = begun.popleft()
                if isinstance(outgoing, Exception):
                    raise translated(outgoing) if isinstance(outgoing, OSError) else outgoing
                if not original and planned.size_bytes not in (None, outgoing.size_bytes):
                    raise InternalFault("an instance was rewritten while it was being sent", cure="ask again")
                yield Part(
                    key=planned.wanted.instance.sop_instance_uid,
                    media_type=DICOM,
                    size_bytes=outgoing.size_bytes,
                    chunks=self._chunks(outgoing)
                    if outgoing.decode is None
                    else self._decompressed(outgoing.decode, planned.transfer_syntax_uid),
                )
        finally:
            self._pours -= 1
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _block_bytes(self) -> int:
        """What is read at once for one of the pours, now that so many are under way."""
        if self._pours <= FEW_POURS:
            return BLOCK_BYTES
        return max(LEAST_BLOCK_BYTES, MANY_BLOCKS_BYTES // self._pours)

    def _begun(
        self, batch: Sequence[PlannedInstance], block_bytes: int, *, original: bool
    ) -> list[_Outgoing | Exception]:
        """In a thread: what is sent first of each. An error stands where it happened: what comes before it goes out."""
        found: list[_Outgoing | Exception] = []
        for planned in batch:
            try:
                found.append(self._first(planned, block_bytes, original=original))
            except Exception as error:
                found.append(error)
                break
        return found

    def _first(self, planned: PlannedInstance, block_bytes: int, *, original: bool) -> _Outgoing:
        place = self._place(planned.wanted.study_instance_uid, planned.wanted.instance.sop_instance_uid)
        view = _view(place, original=original)
        if planned.size_bytes is None:  # it is to be sent in another syntax than it is stored in
            head = _head_of(view)
            if is_compressed(head.transfer_syntax_uid):
                return _Outgoing(view, b"", Frames(head, view.read))
            view = view.in_syntax(planned.transfer_syntax_uid)
        return _Outgoing(view, read_block(view.path, view.begin, min(block_bytes, view.end - view.begin)))

    async def _decompressed(self, frames: Frames, transfer_syntax_uid: str) -> AsyncIterator[bytes]:
        """Head, frames, padding; the next frame is decoded while the reader is busy with one."""
        places = await self._run(partial(frames.places, range(1, frames.count + 1)))
        how = await self._run(partial(frames.decompression, places[0], transfer_syntax_uid))

        def decoded(number: int) -> bytes:
            return how.frame(frames.pixels(number, places[number - 1]))

        yield how.head
        decoding = asyncio.create_task(self._run(partial(decoded, 1)))
        try:
            for number in range(1, frames.count + 1):
                frame = await decoding
                if number < frames.count:
                    decoding = asyncio.create_task(self._run(partial(decoded, number + 1)))
                yield frame
        finally:
            decoding.cancel()
            await asyncio.gather(decoding, return_exceptions=True)
        if how.padding:
            yield how.padding

    async def _chunks(self, outgoing: _Outgoing) -> AsyncIterator[bytes]:
        view = outgoing.view
        if view.head:
            yield view.head
        offset, block = view.begin, outgoing.first
        reading: asyncio.Task[bytes] | None = None
        try:
            while block:
                offset += len(block)
                if offset < view.end:
                    size = min(self._block_bytes(), view.end - offset)
                    reading = asyncio.create_task(self._run(partial(read_block, view.path, offset, size)))
                yield block
                block = await reading if reading is not None else b""
                reading = None
            if offset < view.end:
                raise InternalFault("an archived file lost its end", cure="restore it from the backup")
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def frames(self, wanted: Wanted, numbers: Sequence[int]) -> Pour:
        """Frames as they are stored, in the order asked for.

        Raises:
            UnknownDocument: No such frame, or no such instance.
        """
        place = self._place(wanted.study_instance_uid, wanted.instance.sop_instance_uid)

        def looked() -> tuple[Frames, tuple[Places, ...]]:
            view = _view(place, original=True)
            frames = Frames(_head_of(view), view.read)
            return frames, frames.places(numbers)

        if not await self._compute.run(place.file.exists):
            raise UnknownDocument("the instance is not in this archive", location=wanted.instance.sop_instance_uid)
        frames, places = await self._run(looked)
        return self._framed(frames, dict(zip(numbers, places, strict=True)))

    async def _framed(self, frames: Frames, places: Mapping[int, Places]) -> Pour:
        for number, ranges in places.items():
            pixels = await self._run(partial(frames.pixels, number, ranges))
            yield Part(
                key=str(number),
                media_type=frames.media_type,
                size_bytes=len(pixels),
                chunks=Content.of(pixels).open(),
            )

    # --- upkeep -------------------------------------------------------------------------------------------------------

    async def rewrite(self, study: Study, coercion: Coercion) -> None:
        """New heads for a whole study; whoever reads meanwhile gets the old one or the new one of each instance."""
        at = self._clock.now()
        folder = self._place(study.study_instance_uid, "").folder
        places = [self._place(study.study_instance_uid, instance.sop_instance_uid) for _, instance in study.instances()]
        for start in range(0, len(places), IN_FLIGHT):
            await asyncio.gather(
                *(self._run(partial(self._rewrite, each, coercion, at)) for each in places[start : start + IN_FLIGHT])
            )
        if places:
            await self._renames.settle(folder)

    def _rewrite(self, place: _Place, coercion: Coercion, at: datetime) -> None:
        try:
            view = _view(place)
        except FileNotFoundError as error:
            raise UnknownDocument("an instance of the study is not in this archive") from error
        head = _head_of(view)
        new = coerced(head, coercion, self._reading, at)
        if new is None:
            return
        tail = head.tail_offset if head.tail_offset is not None else view.size_bytes
        written = self._write_head(new.raw, tail - len(view.head) + view.begin)
        written.replace(place.head)

    async def clear(self) -> None:
        """At start-up, before anything is stored: remove what was on its way in."""
        await self._run(self._cleared)

    def _cleared(self) -> None:
        for half in self._incoming.iterdir():
            half.unlink()

    async def orphans(self, known: AsyncIterator[str]) -> Sequence[str]:
        """Name what the index does not know, and remove heads whose file never came.

        A house may have millions of files, so it works meanwhile: a folder at a time, and newcomers are not judged.
        """
        numbers = array("Q")
        async for uid in known:
            numbers.append(_number(_hashed(uid)))
        sorted_ = await self._run(partial(_sorted, numbers))
        found: list[str] = []
        newcomers = self._newcomers
        assert newcomers is not None, "asked once after it was opened"
        for folder in await self._run(lambda: sorted(self._studies.iterdir())):
            found += await self._run(partial(self._swept, folder, sorted_, newcomers))
        self._newcomers = None
        return found

    def _swept(self, parent: Path, known: "NDArray[numpy.uint64]", newcomers: AbstractSet[int]) -> Sequence[str]:
        orphans: list[str] = []
        for folder in sorted(parent.iterdir()):
            names = {each.name for each in folder.iterdir()}
            for name in sorted(names):
                stem, _, kind = name.partition(".")
                if kind == "head" and f"{stem}.dcm" not in names:
                    place = _Place(folder, stem)
                    with self._placed(stem):
                        if not place.file.exists():
                            remove(place.head)
                elif kind == "dcm" and not (_contains(known, _number(stem)) or _number(stem) in newcomers):
                    orphans.append(_head_of(_view(_Place(folder, stem))).sop_instance_uid)
        return orphans

    async def ready(self) -> str:
        """Whether a file can be made and there is room for a study."""
        try:
            free = await self._compute.run(self._tried)
        except OSError as error:
            return f"the archive's folder cannot be written: {errno.errorcode.get(error.errno or 0, 'unknown')}"
        if free < self._min_free_bytes:
            return f"the archive's disk has {free // 2**20} MiB left and wants {self._min_free_bytes // 2**20}"
        return ""

    def _tried(self) -> int:
        probe = self._incoming / f"ready-{next(self._halves)}"
        os.close(create(probe))
        remove(probe)
        room = os.statvfs(self._folder)
        return room.f_bavail * room.f_frsize


def _batches(
    available: Sequence[PlannedInstance], block_bytes: Callable[[], int]
) -> Iterator[Sequence[PlannedInstance]]:
    """As many as a thread reads at once; of a large one, or one whose size nobody knows, only the first block counts."""
    batch: list[PlannedInstance] = []
    size = 0
    for planned in available:
        block = block_bytes()
        more = min(planned.size_bytes, block) if planned.size_bytes is not None else block
        if batch and size + more > (BATCH_BLOCKS * block if block == BLOCK_BYTES else block):
            yield batch
            batch, size = [], 0
        batch.append(planned)
        size += more
    if batch:
        yield batch


def _number(name: str) -> int:
    return int(name[:16], 16)


def _sorted(numbers: "array[int]") -> "NDArray[numpy.uint64]":
    """Eight bytes an instance, where a set would take a hundred."""
    import numpy  # takes some 50 ms to load, and a house that starts has more urgent things to do

    return numpy.sort(numpy.frombuffer(numbers, numpy.uint64))


def _contains(numbers: "NDArray[numpy.uint64]", number: int) -> bool:
    at = int(numbers.searchsorted(number))
    return at < len(numbers) and int(numbers[at]) == number
