"""Objects: documents and manifests as bytes. Never rewritten: hash and size stay true.

A request's binaries are spooled as they come (`Objects.spool`); what is to be kept is made durable (`stage`) and then
named by a row in the unit of work (`Documents.keep`). What is not kept is discarded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from profiles.model.content import Content

INLINE_BYTES = 64 * 1024  # smaller ones travel in the unit's own commit, as a row


class Spool(Protocol):
    """A place for bytes on their way in: counted and hashed (SHA-1) as they pass, on disk beyond a few kilobytes."""

    def write(self, chunk: bytes) -> None:
        """Take some.

        Raises:
            OutOfResources: The disk is full, or the caller's quota is used up.
        """
        ...

    def finish(self, media_type: str) -> Content:
        """The whole, with size and hash, openable any number of times until discarded."""
        ...

    def discard(self) -> None:
        """Forget it. Harmless after `finish` was staged and kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedObject:
    """Bytes that are durable, or small enough to become so with the commit, and that no row names yet."""

    content: Content
    inline: bytes | None
    path: str | None


class Objects(Protocol):
    """Bytes outside the unit of work."""

    def spool(self, limit_bytes: int) -> Spool:
        """A new spool that refuses to grow beyond the limit."""
        ...

    async def stage(self, content: Content) -> StagedObject:
        """Make it durable (or hold it, if small). A spooled content is adopted, not copied."""
        ...

    async def discard(self, path: str, unless_since: datetime) -> bool:
        """Let go of a file that no row names; False: it was made durable again since this time, for a row to come."""
        ...


class Documents(Protocol):
    """Which bytes belong to which document; part of the unit of work."""

    async def keep(self, document_unique_id: str, staged: StagedObject) -> None:
        """Name it. Keeping the same bytes again under the same id changes nothing.

        Raises:
            RuleViolation: Other bytes are kept under this id (XDSNonIdenticalHash).
        """
        ...

    async def remove(self, document_unique_id: str, at: datetime) -> None:
        """It is not kept any more, and cannot be opened from now on. Unknown ids are nobody's.

        Bytes that are in a file, and that no other document has, are left behind for `left` to name.
        """
        ...

    async def leave(self, paths: Sequence[str], at: datetime) -> None:
        """Files that were staged and came to nothing: they are left behind too, unless a document has them."""
        ...

    async def left(self, before: datetime, limit: int) -> Sequence[str]:
        """Files that were left behind before this time, at most so many, by `StagedObject.path`.

        One that a document names again since is not among them, and is not left any more.
        """
        ...

    async def forget(self, paths: Sequence[str]) -> None:
        """These files are gone."""
        ...

    async def open(self, document_unique_id: str) -> Content | None:
        """The document as it was received. None: none of this id."""
        ...
