"""How bytes travel: a `Content` can be opened again, a `Pour` is one pass.

Nobody above `wire` ever holds a whole document. A submission's documents are `Content`: spooled, hashed, openable twice.
A retrieval's instances are a `Pour`: each part's chunks live until the next part is asked for, and the slower side sets
the pace.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

Head = TypeVar("Head")

OCTETS = "application/octet-stream"
DICOM = "application/dicom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body not read yet.

    `size_bytes` and `sha1` (40 lower-case hex digits, as XDS wants it) are None until somebody has counted.
    `chunks()` starts from the first byte each time it is called.
    """

    media_type: str = OCTETS
    size_bytes: int | None = None
    sha1: str | None = None
    open: Callable[[], AsyncIterator[bytes]] = field(repr=False, compare=False)

    @classmethod
    def of(cls, body: bytes, media_type: str = OCTETS, sha1: str | None = None) -> "Content":
        """A small body that is in memory already."""
        return cls(media_type=media_type, size_bytes=len(body), sha1=sha1, open=partial(once, body))

    async def read(self, limit_bytes: int) -> bytes:
        """All of it, for bodies that are small by nature (manifests).

        Raises:
            ValueError: There is more than `limit_bytes`.
        """
        body = bytearray()
        async for chunk in self.open():
            body += chunk
            if len(body) > limit_bytes:
                raise ValueError(f"more than {limit_bytes} bytes")
        return bytes(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One body on its way past us. `key` names it for the reader (content id, SOP Instance UID); read once, in order.

    `headers` are those of the wire that it came from, lower-case names; empty when we are the origin.
    """

    key: str
    media_type: str = OCTETS
    size_bytes: int | None = None
    chunks: AsyncIterator[bytes]
    headers: tuple[tuple[str, str], ...] = ()

    # `dataclasses.replace` takes three times as long, and a part passes through many hands.

    def by(self, chunks: AsyncIterator[bytes]) -> "Part":
        """The same part, its bytes by another way."""
        return Part(
            key=self.key, media_type=self.media_type, size_bytes=self.size_bytes, chunks=chunks, headers=self.headers
        )

    def named(self, key: str) -> "Part":
        """The same part under another name."""
        return Part(
            key=key, media_type=self.media_type, size_bytes=self.size_bytes, chunks=self.chunks, headers=self.headers
        )


Pour = AsyncIterator[Part]


async def once(body: bytes) -> AsyncIterator[bytes]:
    """A body in one chunk."""
    yield body


async def flat(pour: Pour) -> AsyncIterator[bytes]:
    """The bytes of every part, one after the other."""
    async for part in pour:
        async for chunk in part.chunks:
            yield chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Poured(Generic[Head]):
    """An answer whose head is known before its bodies flow: plan first, then pour."""

    head: Head
    pour: Pour
