"""Audit records in memory: without chain and without wire."""

from collections.abc import Sequence

from gateway.adapters.memory.state import Reader
from profiles.model.audit import AuditRecord


class MemoryAudit:
    """`AuditSink` over a state: without chain and without wire, for tests that ask what was recorded."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def record(self, records: Sequence[AuditRecord], exchange_id: str = "") -> None:
        """Keep them."""
        await self.intend(records, exchange_id)

    async def intend(self, records: Sequence[AuditRecord], exchange_id: str = "") -> str:
        """Keep what will have happened if we do not come back."""
        state = self._reader.change()
        intent = str(len(state.audit) + 1)
        state.audit[intent] = (exchange_id, tuple(records))
        return intent

    async def close(self, intent: str, records: Sequence[AuditRecord]) -> None:
        """Replace an intent by what did happen."""
        state = self._reader.change()
        exchange_id, _ = state.audit[intent]
        state.audit[intent] = (exchange_id, tuple(records))
