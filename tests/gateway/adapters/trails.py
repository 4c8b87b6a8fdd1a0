"""One house's audit, running on a store of its own."""

from dataclasses import dataclass
from pathlib import Path

from gateway.adapters.audit_sql import AuditTrail, SqlAuditArchive
from gateway.adapters.store_sql import SqlStore
from profiles.model.audit import AuditRecord
from tests.profiles.wire.audit.records import FACTS
from tests.support.clock import FixedClock


@dataclass
class Trail:
    """One house's audit, running."""

    folder: Path
    store: SqlStore
    trail: AuditTrail
    archive: SqlAuditArchive
    clock: FixedClock

    @property
    def database(self) -> Path:
        return self.folder / "radgate.db"

    @property
    def audit(self) -> Path:
        return self.folder / "audit"

    async def record(self, *records: AuditRecord, exchange_id: str = "") -> None:
        async with self.store.unit() as work:
            await work.audit.record(records, exchange_id)

    async def stop(self) -> None:
        await self.trail.stop()
        await self.store.close()


async def started(folder: Path, url: str = "", **settings: object) -> Trail:
    clock = FixedClock()
    trail = AuditTrail(
        folder=folder / "audit",
        clock=clock,
        source_id="valley",
        party=FACTS.local,
        **settings,  # type: ignore[arg-type]
    )
    store = SqlStore(url or f"sqlite:///{folder}/radgate.db", audit=trail.sink, committed=trail.committed)
    await store.open()
    await trail.start(store)
    return Trail(folder, store, trail, trail.archive(store), clock)
