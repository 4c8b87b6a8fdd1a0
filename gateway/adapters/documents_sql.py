"""Which bytes belong to which document, in rows; the small ones are in the row itself.

Source: ITI TF-3 4.2.3.2.26 (uniqueId): two documents may share one only if they are equal.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import bindparam, delete, select

from gateway.adapters.executor import Executor, Fixed, insert_new, insert_or_replace
from gateway.adapters.stored import micros
from gateway.adapters.tables import documents, removed_files
from gateway.ports.objects import StagedObject
from profiles.errors import InternalFault, RuleViolation
from profiles.model.content import Content

PAGE = 1000

_KEEP = insert_new(documents)
_SAME = Fixed(
    select(documents.c.sha1, documents.c.size_bytes).where(documents.c.document_unique_id == bindparam("unique_id"))
)
_OPEN = Fixed(
    select(documents.c.media_type, documents.c.size_bytes, documents.c.sha1, documents.c.path, documents.c.body).where(
        documents.c.document_unique_id == bindparam("unique_id")
    )
)
_PATHS = Fixed(
    select(documents.c.path)
    .where(documents.c.path.is_not(None), documents.c.path > bindparam("after"))
    .distinct()
    .order_by(documents.c.path)
    .limit(bindparam("many"))
)


_REMOVE = Fixed(delete(documents).where(documents.c.document_unique_id == bindparam("unique_id")))
_LEAVE = insert_or_replace(removed_files)
_TAKE_BACK = Fixed(delete(removed_files).where(removed_files.c.path.in_(select(documents.c.path))))
_LEFT = Fixed(
    select(removed_files.c.path)
    .where(removed_files.c.removed_at < bindparam("before"))
    .order_by(removed_files.c.removed_at, removed_files.c.path)
    .limit(bindparam("many"))
)
_FORGET = Fixed(delete(removed_files).where(removed_files.c.path == bindparam("path")))


class Kept(Protocol):
    """Where staged files are: the adapter of `Objects`."""

    def content(self, path: str, *, media_type: str, size_bytes: int | None, sha1: str | None) -> Content:
        """What a row names by `StagedObject.path`."""
        ...


class SqlDocuments:
    """`Documents` over one executor."""

    __slots__ = ("_db", "_kept")

    def __init__(self, executor: Executor, kept: Kept | None) -> None:
        """`kept` opens what is too large for a row; None where nothing is."""
        self._db = executor
        self._kept = kept

    async def keep(self, document_unique_id: str, staged: StagedObject) -> None:
        """Name it."""
        content = staged.content
        sha1, size_bytes = content.sha1, content.size_bytes
        if sha1 is None or size_bytes is None:
            sha1, size_bytes = await _counted(content)
        row = {
            "document_unique_id": document_unique_id,
            "media_type": content.media_type,
            "size_bytes": size_bytes,
            "sha1": sha1,
            "path": staged.path,
            "body": staged.inline,
        }
        if await self._db.run(_KEEP, row):
            return
        ((of_kept, size_of_kept),) = await self._db.rows(_SAME, {"unique_id": document_unique_id})
        if (of_kept, size_of_kept) != (sha1, size_bytes):
            raise RuleViolation(
                "other bytes are kept under the document's uniqueId",
                code="XDSNonIdenticalHash", location=document_unique_id,
            )  # fmt: skip

    async def remove(self, document_unique_id: str, at: datetime) -> None:
        """It is not kept any more."""
        rows = await self._db.rows(_OPEN, {"unique_id": document_unique_id})
        await self._db.run(_REMOVE, {"unique_id": document_unique_id})
        for _, _, _, path, _ in rows:
            if path is not None:
                await self.leave((path,), at)

    async def leave(self, paths: Sequence[str], at: datetime) -> None:
        """Files that came to nothing; one that a document has is taken back by `left`."""
        await self._db.run_many(_LEAVE, [{"path": path, "removed_at": micros(at)} for path in paths])

    async def left(self, before: datetime, limit: int) -> Sequence[str]:
        """Files of documents that were removed before this time."""
        await self._db.run(_TAKE_BACK)
        rows = await self._db.rows(_LEFT, {"before": micros(before), "many": limit})
        return [path for (path,) in rows]

    async def forget(self, paths: Sequence[str]) -> None:
        """These files are gone."""
        await self._db.run_many(_FORGET, [{"path": path} for path in paths])

    async def open(self, document_unique_id: str) -> Content | None:
        """The document as it was received."""
        rows = await self._db.rows(_OPEN, {"unique_id": document_unique_id})
        if not rows:
            return None
        media_type, size_bytes, sha1, path, body = rows[0]
        if path is None:
            return Content.of(body, media_type, sha1)
        if self._kept is None:
            raise InternalFault("a document is in a file, and this store was opened without its files")
        return self._kept.content(path, media_type=media_type, size_bytes=size_bytes, sha1=sha1)

    async def paths(self) -> AsyncIterator[str]:
        """Every path that a row names: what is in files and not among them belongs to nobody."""
        after = ""
        while rows := await self._db.rows(_PATHS, {"after": after, "many": PAGE}):
            for (path,) in rows:
                yield path
            after = rows[-1][0]


async def _counted(content: Content) -> tuple[str, int]:
    sha1, size_bytes = hashlib.sha1(usedforsecurity=False), 0
    async for chunk in content.open():
        sha1.update(chunk)
        size_bytes += len(chunk)
    return sha1.hexdigest(), size_bytes
