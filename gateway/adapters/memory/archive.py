"""Objects and the archive in memory: for tests and first steps. Nothing here outlives the process."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.adapters.arrival import (
    Frames,
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
from gateway.ports.archive import Coercion, Plan, PlannedInstance, Stored, StoreOutcome, Wanted
from gateway.ports.clock import Clock
from gateway.ports.objects import INLINE_BYTES, StagedObject
from profiles.errors import Duplicate, ExchangeError, MalformedMessage, OutOfResources, UnknownDocument
from profiles.model.content import DICOM, Content, Part, Pour
from profiles.model.imaging import Study
from profiles.wire.dicom.part10 import Part10Head, read_head


class MemorySpool:
    """Bytes on their way in."""

    __slots__ = ("_body", "_limit")

    def __init__(self, limit_bytes: int) -> None:
        self._body = bytearray()
        self._limit = limit_bytes

    def write(self, chunk: bytes) -> None:
        """Take some."""
        if len(self._body) + len(chunk) > self._limit:
            self.discard()
            raise OutOfResources(f"more than {self._limit} bytes are not taken at once")
        self._body += chunk

    def finish(self, media_type: str) -> Content:
        """The whole."""
        body = bytes(self._body)
        return Content.of(body, media_type, hashlib.sha1(body, usedforsecurity=False).hexdigest())

    def discard(self) -> None:
        """Forget it."""
        self._body = bytearray()


class MemoryObjects:
    """`Objects` in a dictionary; large ones are named by their hash, as files would be."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def spool(self, limit_bytes: int) -> MemorySpool:
        """A new spool."""
        return MemorySpool(limit_bytes)

    async def stage(self, content: Content) -> StagedObject:
        """Hold it."""
        body = b"".join([chunk async for chunk in content.open()])
        sha1 = content.sha1 or hashlib.sha1(body, usedforsecurity=False).hexdigest()
        held = Content.of(body, content.media_type, sha1)
        if len(body) <= INLINE_BYTES:
            return StagedObject(content=held, inline=body, path=None)
        path = f"kept/{hashlib.sha256(body).hexdigest()}"
        self._kept[path] = body
        return StagedObject(content=held, inline=None, path=path)

    async def discard(self, path: str, unless_since: datetime) -> bool:
        """Let go of it; nothing here was placed again."""
        self._kept.pop(path, None)
        return True

    def content(self, path: str, *, media_type: str, size_bytes: int | None, sha1: str | None) -> Content:
        """What a row names by `StagedObject.path`."""
        body = self._kept[path]
        return Content.of(body if size_bytes is None else body[:size_bytes], media_type, sha1)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An instance as it was received, and as it is served."""

    original: bytes
    served: bytes
    sha256: str


class MemoryArchive:
    """`Archive` in a dictionary. Decides exactly as the one in files does."""

    def __init__(self, *, clock: Clock, reading: Reading) -> None:
        self._clock = clock
        self._reading = reading
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def store(self, pour: Pour, coercion: Coercion | None = None) -> AsyncIterator[StoreOutcome]:
        """Take every part in."""
        cause: Exception | None = None
        while True:
            try:
                part = await anext(pour)
            except StopAsyncIteration:
                return
            except Exception as error:
                raise error if cause is None else cause from error
            cause = None
            body = bytearray()
            try:
                async for chunk in part.chunks:
                    body += chunk
            except Exception as error:
                cause = error
                told = error if isinstance(error, ExchangeError) else MalformedMessage("the part stopped early")
                yield refused(part.key, None, told)
                continue
            yield self._keep(part.key, bytes(body), coercion)

    def _keep(self, key: str, body: bytes, coercion: Coercion | None) -> StoreOutcome:
        head: Part10Head | None = None
        try:
            head = read_head(body)
            identity = identity_of(head)
            served, name = head, (identity.study_instance_uid, identity.sop_instance_uid)
            before = self._kept.get(name)
            if before is not None:
                if not _same(before, body, head):
                    raise Duplicate(
                        "an instance of this UID is archived with other content", location=head.sop_instance_uid
                    )
                served = read_head(before.served)
            else:
                new = coerced(head, coercion, self._reading, self._clock.now()) if coercion is not None else None
                whole, served = (body, head) if new is None else (new.raw + _tail(body, head), new.head)
                self._kept[name] = _Kept(body, whole, hashlib.sha256(body).hexdigest())
            return StoreOutcome(
                key=key,
                stored=Stored.NEW if before is None else Stored.SAME,
                arrived=arrived(served, self._reading, size_bytes=len(body), sha256=self._kept[name].sha256),
                sop_class_uid=identity.sop_class_uid,
                sop_instance_uid=identity.sop_instance_uid,
            )
        except ExchangeError as error:
            return refused(key, head, error)

    async def plan(self, wanted: Sequence[Wanted], transfer_syntaxes: frozenset[str] | None) -> Plan:
        """What can be had, in the order asked for."""
        available: list[PlannedInstance] = []
        missing: dict[str, ExchangeError] = {}
        for each in wanted:
            uid = each.instance.sop_instance_uid
            kept = self._kept.get((each.study_instance_uid, uid))
            if kept is None:
                missing[uid] = UnknownDocument("the instance is not in this archive", location=uid)
                continue
            stored = read_head(kept.served).transfer_syntax_uid
            syntax = syntax_for(stored, transfer_syntaxes)
            if syntax is None:
                missing[uid] = cannot_be_had(uid)
                continue
            size = len(_in_syntax(kept.served, syntax)) if syntax != stored else len(kept.served)
            available.append(PlannedInstance(wanted=each, transfer_syntax_uid=syntax, size_bytes=size))
        return Plan(available=tuple(available), missing=missing)

    async def pour(self, plan: Plan, *, original: bool = False) -> Pour:
        """All that was planned."""
        for planned in plan.available:
            wanted = planned.wanted
            kept = self._kept[wanted.study_instance_uid, wanted.instance.sop_instance_uid]
            body = kept.original if original else kept.served
            if read_head(body).transfer_syntax_uid != planned.transfer_syntax_uid:
                body = _in_syntax(body, planned.transfer_syntax_uid)
            yield Part(
                key=wanted.instance.sop_instance_uid,
                media_type=DICOM,
                size_bytes=len(body),
                chunks=Content.of(body).open(),
            )

    async def frames(self, wanted: Wanted, numbers: Sequence[int]) -> Pour:
        """Frames as they are stored."""
        kept = self._kept.get((wanted.study_instance_uid, wanted.instance.sop_instance_uid))
        if kept is None:
            raise UnknownDocument("the instance is not in this archive", location=wanted.instance.sop_instance_uid)
        frames = _frames(kept.original)
        return _framed(frames, dict(zip(numbers, frames.places(numbers), strict=True)))

    async def rewrite(self, study: Study, coercion: Coercion) -> None:
        """New heads for a whole study."""
        at = self._clock.now()
        for _, instance in study.instances():
            name = (study.study_instance_uid, instance.sop_instance_uid)
            kept = self._kept.get(name)
            if kept is None:
                raise UnknownDocument("an instance of the study is not in this archive")
            head = read_head(kept.served)
            new = coerced(head, coercion, self._reading, at)
            if new is not None:
                self._kept[name] = replace(kept, served=new.raw + _tail(kept.served, head))

    async def clear(self) -> None:
        """Nothing is ever half done."""

    async def orphans(self, known: AsyncIterator[str]) -> Sequence[str]:
        """Name what the index does not know. It is never opened again: everything is judged."""
        named = {uid async for uid in known}
        return [uid for _, uid in self._kept if uid not in named]

    async def ready(self) -> str:
        """Always."""
        return ""


def _tail(body: bytes, head: Part10Head) -> bytes:
    return body[head.tail_offset :] if head.tail_offset is not None else b""


def _same(before: _Kept, body: bytes, head: Part10Head) -> bool:
    dataset = body[head.dataset_offset :]
    return any(each[read_head(each).dataset_offset :] == dataset for each in (before.original, before.served))


def _frames(body: bytes) -> Frames:
    return Frames(read_head(body), lambda offset, size: body[offset : offset + size])


async def _framed(frames: Frames, places: Mapping[int, Places]) -> Pour:
    for number, ranges in places.items():
        pixels = frames.pixels(number, ranges)
        yield Part(
            key=str(number), media_type=frames.media_type, size_bytes=len(pixels), chunks=Content.of(pixels).open()
        )


def _in_syntax(body: bytes, transfer_syntax_uid: str) -> bytes:
    frames = _frames(body)
    if is_compressed(frames.head.transfer_syntax_uid):
        places = frames.places(range(1, frames.count + 1))
        how = frames.decompression(places[0], transfer_syntax_uid)
        decoded = (how.frame(frames.pixels(at + 1, each)) for at, each in enumerate(places))
        return b"".join((how.head, *decoded, how.padding))
    written = written_in(frames.head, len(body), transfer_syntax_uid)
    return written.head + body[written.begin : written.end]
