"""The store in memory: a unit works on a copy of the state, a view keeps the state that it began with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.adapters.ledger_rules import Turns
from gateway.adapters.memory.audit import MemoryAudit
from gateway.adapters.memory.documents import MemoryDocuments, MemoryRawMessages
from gateway.adapters.memory.identity import MemoryIdentity
from gateway.adapters.memory.ledger import MemoryLedger
from gateway.adapters.memory.registry import MemoryRegistry
from gateway.adapters.memory.remembered import (
    MemoryAnswers,
    MemoryCorrelations,
    MemoryPublications,
    MemoryRegistrations,
    MemorySupport,
)
from gateway.adapters.memory.state import MemoryState, Reader
from gateway.adapters.memory.studies import MemoryStudies
from gateway.adapters.sequence import Sequence as Numbers
from gateway.ports.audit import AuditSink
from gateway.ports.store import Work
from profiles.model.audit import AuditRecord


class MemoryWork:
    """`Work` over a state."""

    def __init__(self, reader: Reader, store: "MemoryStore") -> None:
        self.registry = MemoryRegistry(reader)
        self.studies = MemoryStudies(reader)
        self.ledger = MemoryLedger(reader, store.numbers, store.turns)
        self.identity = MemoryIdentity(reader)
        self.documents = MemoryDocuments(reader)
        self.raw = MemoryRawMessages(reader)
        self.answers = MemoryAnswers(reader)
        self.publications = MemoryPublications(reader)
        self.registrations = MemoryRegistrations(reader)
        self.correlations = MemoryCorrelations(reader)
        self.support = MemorySupport(reader)
        self.audit: AuditSink = MemoryAudit(reader)


class MemoryStore:
    """`Store` in memory; `committed` is called after every unit."""

    def __init__(self, committed: Callable[[], None] = lambda: None) -> None:
        self.state = MemoryState()
        self.numbers = Numbers()
        self.turns = Turns()
        self._committed = committed
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Work]:
        """A unit of work."""
        async with self._turn:
            state = self.state.copy()
            yield MemoryWork(Reader(state, writing=True), self)
            self.state = state
        self._committed()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Work]:
        """Reading only."""
        yield MemoryWork(Reader(self.state, writing=False), self)

    async def close(self) -> None:
        """Nothing to let go."""

    def audited(self) -> Sequence[AuditRecord]:
        """Every record, in the order in which it was written; what is still an intent as a failure."""
        return [record for _, records in self.state.audit.values() for record in records]
