"""Documents and raw messages in memory. There are no files here, so nothing is left of what is removed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.adapters.memory.state import RawMessage, Reader
from gateway.ports.objects import StagedObject
from profiles.errors import RuleViolation
from profiles.model.content import Content


class MemoryDocuments:
    """`Documents` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, document_unique_id: str, staged: StagedObject) -> None:
        """Name it."""
        state = self._reader.change()
        kept = state.documents.get(document_unique_id)
        if kept is None:
            state.documents[document_unique_id] = staged.content
            return
        if await _whole(kept) != await _whole(staged.content):
            raise RuleViolation(
                "other bytes are kept under the document's uniqueId",
                code="XDSNonIdenticalHash", location=document_unique_id,
            )  # fmt: skip

    async def remove(self, document_unique_id: str, at: datetime) -> None:
        """It is not kept any more; there are no files here to be left."""
        self._reader.change().documents.pop(document_unique_id, None)

    async def leave(self, paths: Sequence[str], at: datetime) -> None:
        """There are no files here."""

    async def left(self, before: datetime, limit: int) -> Sequence[str]:
        """None."""
        return ()

    async def forget(self, paths: Sequence[str]) -> None:
        """Nothing to forget."""

    async def open(self, document_unique_id: str) -> Content | None:
        """The document as it was received."""
        return self._reader.state.documents.get(document_unique_id)


class MemoryRawMessages:
    """`RawMessages` over a state; nothing is at rest here, so nothing is encrypted."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, exchange_id: str, at: datetime, body: bytes, *, failed: bool) -> None:
        """Keep it."""
        kept = RawMessage(exchange_id=exchange_id, at=at, failed=failed, body=body)
        self._reader.change().raw[exchange_id] = kept

    async def open(self, exchange_id: str) -> bytes | None:
        """The message."""
        kept = self._reader.state.raw.get(exchange_id)
        return None if kept is None else kept.body

    async def horizon(self, before: datetime, max_bytes: int, *, failed: bool) -> datetime:
        """Up to when all of a class has to go."""
        together = 0
        for each in reversed(self._of_class(failed)):
            together += len(each.body)
            if each.at >= before and together > max_bytes:
                return each.at + timedelta(microseconds=1)
        return before

    async def prune(self, before: datetime, limit: int, *, failed: bool) -> int:
        """Let go of the oldest."""
        state = self._reader.change()
        gone = [each for each in self._of_class(failed) if each.at < before][:limit]
        for each in gone:
            del state.raw[each.exchange_id]
        return len(gone)

    def _of_class(self, failed: bool) -> list[RawMessage]:
        return sorted((each for each in self._reader.state.raw.values() if each.failed is failed), key=lambda x: x.at)


async def _whole(content: Content) -> bytes:
    return b"".join([chunk async for chunk in content.open()])
