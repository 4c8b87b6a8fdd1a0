"""Objects and the archive in memory: for tests and first steps. Nothing here outlives the process."""

import hashlib

from gateway.ports.objects import INLINE_BYTES, StagedObject
from profiles.errors import OutOfResources
from profiles.model.content import Content


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

    def content(self, path: str, *, media_type: str, size_bytes: int | None, sha1: str | None) -> Content:
        """What a row names by `StagedObject.path`."""
        body = self._kept[path]
        return Content.of(body if size_bytes is None else body[:size_bytes], media_type, sha1)
