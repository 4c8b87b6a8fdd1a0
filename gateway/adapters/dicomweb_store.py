"""Instances into an archive that speaks DICOMweb: checked, coerced, and sent by STOW-RS.

Small instances are read whole and sent some at a time; a large one is sent while it comes, alone, so that cutting the
connection takes back nothing but itself.

What a newcomer gets wrong: an archive that already has an instance may answer STOW-RS with success and keep what it had.
So what is there is asked for first, and compared.

Source: DICOM PS3.18 10.5; PS3.18 Annex I (Store Instances Response Module).
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from gateway.adapters.arrival import (
    Coerced,
    Identity,
    Reading,
    arrived,
    behind,
    coerced,
    identity_of,
    refused,
    same_but_coerced,
)
from gateway.adapters.dicomweb_answers import StoreAnswer
from gateway.adapters.dicomweb_client import CONNECTIONS, DicomwebClient, Listing, instance_path
from gateway.ports.archive import Coercion, Stored, StoreOutcome
from gateway.ports.clock import Clock
from profiles.errors import Duplicate, ExchangeError, MalformedMessage, PeerError, RequestError
from profiles.model.content import DICOM, Part, Pour
from profiles.wire.dicom.part10 import Part10Head, Part10Reader
from profiles.wire.multipart import multipart_tail, part_head

WHOLE_BYTES: Final = 4 * 1024 * 1024  # instances up to this size are read whole before anything is sent
BATCH_PARTS: Final = 10  # of one STOW-RS: an archive answers when it has kept them all
BATCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _Ready:
    """An instance that was read whole and is to be sent."""

    key: str
    identity: Identity
    served: Part10Head
    chunks: list[bytes]
    size: int
    sha256: str


@dataclass(slots=True)
class _Call:
    """What one `store` knows and has under way."""

    coercion: Coercion | None
    here: dict[str, Listing] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    batch: list[_Ready] = field(default_factory=list)
    batch_bytes: int = 0
    posting: set[asyncio.Task[list[StoreOutcome]]] = field(default_factory=set)


class DicomwebStore:
    """One archive's way in."""

    def __init__(self, client: DicomwebClient, *, clock: Clock, reading: Reading) -> None:
        """Stand on the wire."""
        self._client = client
        self._clock = clock
        self._reading = reading

    async def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in; outcomes come batch by batch, when the archive has answered."""
        call = _Call(coercion)
        broken: Exception | None = None
        try:
            try:
                async with aclosing(self._stored(pour, call)) as outcomes:
                    async for outcome in outcomes:
                        yield outcome
                        for done in _finished(call):
                            yield done
            except Exception as error:  # what is already on its way is still told of
                broken = error
            self._post_batch(call)
            while call.posting:
                finished, call.posting = await asyncio.wait(call.posting, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    failed = task.exception()
                    if isinstance(failed, Exception):
                        broken = broken or failed
                    else:
                        for done in task.result():
                            yield done
            if broken is not None:
                raise broken
        finally:
            for task in call.posting:
                task.cancel()
            await asyncio.gather(*call.posting, return_exceptions=True)

    async def _stored(self, pour: Pour, call: _Call) -> AsyncGenerator[StoreOutcome, None]:
        """Outcomes of what was sent alone or refused; the rest is in `call.posting`.

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
            incoming = _Incoming(part)
            try:
                outcome = await self._take(incoming, call)
            except RequestError as error:
                outcome = refused(part.key, incoming.reader.head, error)
            cause = incoming.cause
            if cause is not None:
                told = cause if isinstance(cause, ExchangeError) else MalformedMessage("the part stopped early")
                outcome = refused(part.key, incoming.reader.head, told)
            if outcome is not None:
                yield outcome
            for done in _finished(call):
                yield done

    async def _take(self, incoming: "_Incoming", call: _Call) -> StoreOutcome | None:
        """One part. None: it will be told of with its batch.

        Raises:
            RequestError: It is to be refused.
        """
        whole = await incoming.begin()
        if incoming.cause is not None:
            return None
        head = incoming.reader.finish() if whole else incoming.reader.head
        if head is None:
            raise MalformedMessage("the header has no end")
        identity = identity_of(head)
        study, uid = identity.study_instance_uid, identity.sop_instance_uid
        if uid in call.sent:  # the same instance twice in one pour: what was sent first decides
            self._post_batch(call)
            if call.posting:
                await asyncio.wait(call.posting)
            call.here.pop(study, None)
            call.sent.discard(uid)
        if study not in call.here:
            call.here[study] = await self._client.listing(study)
        if uid in call.here[study]:
            return await self._compared(incoming, head, identity)
        new = None if call.coercion is None else coerced(head, call.coercion, self._reading, self._clock.now())
        served = head if new is None else new.head
        call.sent.add(uid)
        if not whole:
            return await self._sent_alone(incoming, head, identity, new)
        tail = head.tail_offset if head.tail_offset is not None else incoming.size
        chunks = list(incoming.held) if new is None else [new.raw, *behind(incoming.held, tail)]
        ready = _Ready(incoming.part.key, identity, served, chunks, incoming.size, incoming.sha256)
        call.batch.append(ready)
        call.batch_bytes += incoming.size
        if len(call.batch) >= BATCH_PARTS or call.batch_bytes >= BATCH_BYTES:
            self._post_batch(call)
            if len(call.posting) >= CONNECTIONS:
                await asyncio.wait(call.posting, return_when=asyncio.FIRST_COMPLETED)
        return None

    def _post_batch(self, call: _Call) -> None:
        if call.batch:
            call.posting.add(asyncio.create_task(self._posted(call.batch)))
            call.batch, call.batch_bytes = [], 0

    async def _posted(self, batch: list[_Ready]) -> list[StoreOutcome]:
        """One STOW-RS of instances that are in memory."""
        boundary = uuid.uuid4().hex
        heads = [part_head(boundary, (("Content-Type", DICOM),), first=at == 0) for at in range(len(batch))]
        tail = multipart_tail(boundary)
        length = sum(map(len, heads)) + sum(len(each) for ready in batch for each in ready.chunks) + len(tail)

        async def body() -> AsyncIterator[bytes]:
            for head, ready in zip(heads, batch, strict=True):
                yield head
                for chunk in ready.chunks:
                    yield chunk
            yield tail

        told = await self._client.stow(body, boundary, length)
        return [
            self._outcome(each.key, each.identity, each.served, told, size=each.size, sha256=each.sha256)
            for each in batch
        ]

    def _outcome(
        self, key: str, identity: Identity, served: Part10Head, told: StoreAnswer, *, size: int, sha256: str
    ) -> StoreOutcome:
        uid = identity.sop_instance_uid
        if uid not in told.stored:
            return refused(key, served, told.error(uid))
        return StoreOutcome(
            key=key,
            stored=Stored.NEW,
            arrived=arrived(served, self._reading, size_bytes=size, sha256=sha256),
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=uid,
        )

    async def _sent_alone(
        self, incoming: "_Incoming", head: Part10Head, identity: Identity, new: Coerced | None
    ) -> StoreOutcome | None:
        """A large instance: sent while it comes. If it breaks off, so does the connection, and nothing was kept."""
        boundary = uuid.uuid4().hex

        begun = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal begun
            yield part_head(boundary, (("Content-Type", DICOM),), first=True)
            if new is not None:
                yield new.raw
            offset = 0 if new is None else head.tail_offset
            if offset is not None:
                for chunk in behind(incoming.held, offset):
                    yield chunk
            begun = True
            incoming.held.clear()
            async for chunk in incoming.rest():
                if offset is not None:
                    yield chunk
            yield multipart_tail(boundary)

        try:
            told = await self._client.stow(body, boundary, None, again=lambda: not begun)
        except PeerError:  # the connection was cut: by them, or by us because of what came
            if incoming.cause is not None:
                return None
            if incoming.refusal is not None:
                raise incoming.refusal from None
            raise
        served = head if new is None else new.head
        return self._outcome(incoming.part.key, identity, served, told, size=incoming.size, sha256=incoming.sha256)

    async def _compared(self, incoming: "_Incoming", head: Part10Head, identity: Identity) -> StoreOutcome | None:
        """An instance that the archive has already: the two are read side by side.

        Raises:
            Duplicate: They differ in more than in what a coercion changes.
        """
        try:
            path = instance_path(identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid)
            async with self._client.open(path) as there:
                ours, rest = await _head_and_rest(there)
                same = same_but_coerced(head, ours)
                begin = head.tail_offset if same and head.tail_offset is not None else incoming.size
                async for chunk in incoming.tail(begin):  # to its end, even if they differ: it may be broken
                    same = same and await _goes_on(rest, chunk)
                same = same and not await rest.take(1)
        except Exception:
            if incoming.cause is not None:
                return None
            raise
        if not same:
            raise Duplicate(
                "an instance of this UID is archived with other content",
                location=identity.sop_instance_uid,
                cure="compare the two with the sender: a changed instance needs a new SOP Instance UID",
            )
        return StoreOutcome(
            key=incoming.part.key,
            stored=Stored.SAME,
            arrived=arrived(ours, self._reading, size_bytes=incoming.size, sha256=incoming.sha256),
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
        )


# --- an instance on its way in ----------------------------------------------------------------------------------------


class _Incoming:
    """A part while it comes. `cause` is what its stream raised, `refusal` what its reader said after it was begun."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.reader = Part10Reader()
        self.held: list[bytes] = []
        self.size = 0
        self.cause: Exception | None = None
        self.refusal: MalformedMessage | None = None
        self._chunks = aiter(part.chunks)
        self._ended = False
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    async def begin(self) -> bool:
        """Hold what comes until it has ended (True), or is too much to be held and its head is known.

        Raises:
            MalformedMessage: It is not DICOM.
        """
        while self.reader.head is None or self.size <= WHOLE_BYTES:
            chunk = await self._next()
            if chunk is None:
                return self.cause is None
            self.reader.feed(chunk)
            self.held.append(chunk)
        return False

    async def rest(self) -> AsyncIterator[bytes]:
        """What comes after that, to a true end.

        Raises:
            MalformedMessage: It ended too early.
            Exception: Whatever the stream raised.
        """
        while (chunk := await self._next()) is not None:
            self._feed(chunk)
            yield chunk
        if self.cause is not None:
            raise self.cause
        self._feed(None)

    async def tail(self, offset: int) -> AsyncIterator[bytes]:
        """Everything from `offset` on."""
        for chunk in behind(self.held, offset):
            yield chunk
        async for chunk in self.rest():
            yield chunk

    async def _next(self) -> bytes | None:
        if self._ended:
            return None
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._ended = True
            return None
        except Exception as error:
            self._ended = True
            self.cause = error
            return None
        self.size += len(chunk)
        self._sha256.update(chunk)
        return chunk

    def _feed(self, chunk: bytes | None) -> None:
        try:
            if chunk is None:
                self.reader.finish()
            else:
                self.reader.feed(chunk)
        except MalformedMessage as error:
            self.refusal = error
            raise


def _finished(call: _Call) -> list[StoreOutcome]:
    """Outcomes of the batches that were answered by now."""
    done = [task for task in call.posting if task.done()]
    call.posting.difference_update(done)
    return [outcome for task in done for outcome in task.result()]


class _Rest:
    """What is left of a stream, given out in the sizes that the reader asks for."""

    def __init__(self, held: bytes, chunks: AsyncIterator[bytes]) -> None:
        self._held = memoryview(held)
        self._chunks = chunks

    async def take(self, size: int) -> memoryview:
        """Up to so many bytes; none at the end."""
        while not self._held:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            self._held = memoryview(chunk)
        taken, self._held = self._held[:size], self._held[size:]
        return taken


async def _head_and_rest(chunks: AsyncIterator[bytes]) -> tuple[Part10Head, _Rest]:
    """The head of a file that is being read, and what comes after it."""
    reader = Part10Reader()
    held = bytearray()
    async for chunk in chunks:
        reader.feed(chunk)
        held += chunk
        if reader.head is not None:
            break
    head = reader.head or reader.finish()
    begin = head.tail_offset if head.tail_offset is not None else len(held)
    return head, _Rest(bytes(held[begin:]), chunks)


async def _goes_on(rest: _Rest, chunk: bytes) -> bool:
    """Whether the next bytes of `rest` are these."""
    left = memoryview(chunk)
    while left:
        taken = await rest.take(len(left))
        if not taken or taken != left[: len(taken)]:
            return False
        left = left[len(taken) :]
    return True
