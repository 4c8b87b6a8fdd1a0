"""SqlStore: units and views over a database, SQLite or PostgreSQL by its address.

The repositories are written once over `Executor`; this room puts them together, opens the database and brings its schema up
to date. The audit sink comes in as a factory, because its tables and its chain are another room's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from sqlalchemy import URL, Connection, bindparam, create_engine, func, inspect, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.adapters.answers_sql import SqlAnswers
from gateway.adapters.correlations_sql import SqlCorrelations
from gateway.adapters.documents_sql import Kept, SqlDocuments
from gateway.adapters.executor import Executor, Fixed, insert_new
from gateway.adapters.identity_sql import SqlIdentity
from gateway.adapters.ledger_rules import Turns
from gateway.adapters.ledger_sql import SqlLedger
from gateway.adapters.migrations import NewerSchema, refuse_newer, upgrade
from gateway.adapters.publications_sql import SqlPublications
from gateway.adapters.raw_sql import RawKey, SqlRawMessages
from gateway.adapters.registrations_sql import SqlRegistrations
from gateway.adapters.registry_sql import SqlRegistry
from gateway.adapters.sequence import Sequence
from gateway.adapters.store_sqlite import SqliteStore
from gateway.adapters.studies_sql import SqlStudies
from gateway.adapters.support_sql import SqlSupport
from gateway.adapters.tables import entries, premises, steps
from gateway.ports.audit import AuditSink
from gateway.ports.store import Work
from profiles.errors import HouseError

if TYPE_CHECKING:
    from gateway.adapters.store_postgresql import PostgresqlStore

__all__ = ["NewerSchema", "SqlStore", "SqlWork", "StoreUnusable"]


_NAME = insert_new(premises)
_NAMED = Fixed(select(premises.c.value).where(premises.c.name == bindparam("of_name")))


class StoreUnusable(HouseError):
    """There is no database where the settings say, or it is none that we can use."""


class SqlWork:
    """`Work` over one executor; each port is made when it is first asked for."""

    __slots__ = ("_audit", "_documents", "_identity", "_ledger", "_raw", "_registry", "_store", "_studies", "executor")

    def __init__(self, executor: Executor, store: "SqlStore") -> None:
        self.executor = executor
        self._store = store
        self._registry: SqlRegistry | None = None
        self._studies: SqlStudies | None = None
        self._ledger: SqlLedger | None = None
        self._identity: SqlIdentity | None = None
        self._audit: AuditSink | None = None
        self._documents: SqlDocuments | None = None
        self._raw: SqlRawMessages | None = None

    @property
    def registry(self) -> SqlRegistry:
        """What is shared."""
        if self._registry is None:
            self._registry = SqlRegistry(self.executor, self._store.numbers)
        return self._registry

    @property
    def studies(self) -> SqlStudies:
        """The index."""
        if self._studies is None:
            self._studies = SqlStudies(self.executor)
        return self._studies

    @property
    def ledger(self) -> SqlLedger:
        """The exchanges."""
        if self._ledger is None:
            self._ledger = SqlLedger(self.executor, self._store.numbers, self._store.turns)
        return self._ledger

    @property
    def became_due(self) -> bool:
        """Whether an exchange waits to be claimed that did not before."""
        return self._ledger is not None and self._ledger.became_due

    @property
    def identity(self) -> SqlIdentity:
        """The patients."""
        if self._identity is None:
            self._identity = SqlIdentity(self.executor)
        return self._identity

    @property
    def audit(self) -> AuditSink:
        """What happened."""
        if self._audit is None:
            self._audit = self._store.audit(self.executor)
        return self._audit

    @property
    def documents(self) -> SqlDocuments:
        """Bytes of documents."""
        if self._documents is None:
            self._documents = SqlDocuments(self.executor, self._store.kept)
        return self._documents

    @property
    def raw(self) -> SqlRawMessages:
        """Messages as they came."""
        if self._raw is None:
            self._raw = SqlRawMessages(self.executor, self._store.raw_key)
        return self._raw

    @property
    def answers(self) -> SqlAnswers:
        """What was said to messages that may come again."""
        return SqlAnswers(self.executor)

    @property
    def publications(self) -> SqlPublications:
        """What registries have of our studies."""
        return SqlPublications(self.executor)

    @property
    def registrations(self) -> SqlRegistrations:
        """Which documents are registered elsewhere."""
        return SqlRegistrations(self.executor)

    @property
    def correlations(self) -> SqlCorrelations:
        """By which ids other communities know our patients."""
        return SqlCorrelations(self.executor)

    @property
    def support(self) -> SqlSupport:
        """What peers support."""
        return SqlSupport(self.executor)


class SqlStore:
    """`Store` over a database.

    Args:
        url: `sqlite:///path/to/file` (three slashes and a relative path, four for an absolute one) or
            `postgresql://user@host/database`.
        audit: Makes the audit sink of a unit or view.
        kept: The `Objects` adapter, which opens documents that are too large for a row.
        raw_key: 32 bytes that raw messages are encrypted with; None: they are kept in the clear.
        committed: Called after every commit, on the loop: there may be something to be sent.
        due: Called when a unit is committed after which an exchange waits to be claimed. Most leave none: a runner that
            looked after every commit would read twice for each of them.
    """

    def __init__(
        self,
        url: str,
        *,
        audit: Callable[[Executor], AuditSink],
        kept: Kept | None = None,
        raw_key: bytes | None = None,
        committed: Callable[[], None] = lambda: None,
        due: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect nothing yet."""
        self._due = due
        self.audit = audit
        self.kept = kept
        self.raw_key = None if raw_key is None else RawKey(raw_key)
        self.numbers = Sequence()
        self.turns = Turns()
        parsed = make_url(url)
        self._inner: SqliteStore | PostgresqlStore
        if parsed.get_backend_name() == "sqlite":
            self._inner = SqliteStore(Path(parsed.database or ""), committed)
        else:
            self._inner = _shared(parsed.set(drivername="postgresql+asyncpg"), committed)

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of this house's own, and so nobody else works on it."""
        return isinstance(self._inner, SqliteStore)

    async def open(self) -> None:
        """Bring the schema up to date and be ready.

        Raises:
            NewerSchema: A later version of this program has been here.
            StoreUnusable: There is no database there that we can use.
        """
        try:
            if isinstance(self._inner, SqliteStore):
                await asyncio.to_thread(self._upgrade_sqlite, self._inner)
                self._inner.open()
            else:
                async with self._inner.engine.begin() as connection:
                    await connection.run_sync(upgrade)
        except _refusals(self._inner) as error:
            raise _unusable(error) from error
        async with self._inner.view() as executor:
            for newest in (select(func.max(entries.c.registered)), select(func.max(steps.c.id))):
                ((last,),) = await executor.rows(newest, slow=True)
                self.numbers.start_after(last or 0)

    @asynccontextmanager
    async def named(self) -> AsyncIterator[tuple[str, bool]]:
        """Who the database is, and whether it is told so only now: that is kept if the block is left without an error.

        Processes that share it come through here one after another until one of them has named it.
        """
        async with self._inner.unit() as executor:
            is_new = await executor.run(_NAME, {"name": "database", "value": uuid4().hex}) == 1
            ((name,),) = await executor.rows(_NAMED, {"of_name": "database"})
            yield name, is_new

    @staticmethod
    def _upgrade_sqlite(inner: SqliteStore) -> None:
        inner.make()
        with inner.engine.connect() as connection:
            _in_one_transaction(connection)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Work]:
        """A unit of work."""
        async with self._inner.unit() as executor:
            work = SqlWork(executor, self)
            yield work
        if work.became_due:
            self._due()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Work]:
        """Reading only."""
        async with self._inner.view() as executor:
            yield SqlWork(executor, self)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Executor]:
        """A view for readers that are no port of a unit (the audit archive)."""
        async with self._inner.view() as executor:
            yield executor

    async def paths(self) -> AsyncIterator[str]:
        """Every path of a kept document, for reconciling the files at start-up."""
        async with self.reading() as executor:
            async for path in SqlDocuments(executor, None).paths():
                yield path

    async def instances(self) -> AsyncIterator[str]:
        """SOP Instance UID of every instance that is indexed, for comparing the archive with it."""
        async with self.reading() as executor:
            async for uid in SqlStudies(executor).uids():
                yield uid

    async def give_back(self) -> int:
        """Give a bounded piece of what was deleted back to the disk; answers how many bytes, 0 when nothing is left.

        A database server does this by itself (PostgreSQL: autovacuum, which keeps the room for what comes).
        """
        return await self._inner.give_back() if isinstance(self._inner, SqliteStore) else 0

    async def close(self) -> None:
        """Finish what is committing and let go."""
        await self._inner.close()


def _shared(url: URL, committed: Callable[[], None]) -> "PostgresqlStore":
    # The asynchronous half of SQLAlchemy takes some 50 ms to load, and an embedded house never needs it.
    from gateway.adapters.store_postgresql import PostgresqlStore

    try:
        return PostgresqlStore(url, committed)
    except SQLAlchemyError as error:
        raise StoreUnusable(
            "the address of store.url cannot be read", cure="Write postgresql://user@host/database"
        ) from error


async def examine_database(url: str) -> str:
    """Open the database, look at its schema, and leave it as it is; an SQLite file that is not there yet will be made.

    Returns:
        Who it is, as it says to the folder of its documents; "": it was never asked.

    Raises:
        NewerSchema: A later version of this program has been here.
        StoreUnusable: There is no database there that we can use.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await asyncio.to_thread(_examine_file, Path(parsed.database or ""))
    shared = _shared(parsed.set(drivername="postgresql+asyncpg"), lambda: None)
    try:
        async with shared.engine.connect() as connection:
            return await connection.run_sync(_examined)
    except _refusals(shared) as error:
        raise _unusable(error) from error
    finally:
        await shared.close()


def _examine_file(path: Path) -> str:
    if not path.exists():
        return ""
    engine = create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return _examined(connection)
    except SQLAlchemyError as error:
        raise _unusable(error) from error
    finally:
        engine.dispose()


def _examined(connection: Connection) -> str:
    refuse_newer(connection)
    if not inspect(connection).has_table(premises.name):
        return ""
    return connection.scalar(select(premises.c.value).where(premises.c.name == "database")) or ""


def _refusals(inner: "SqliteStore | PostgresqlStore") -> tuple[type[Exception], ...]:
    if isinstance(inner, SqliteStore):
        return OSError, SQLAlchemyError
    from asyncpg import PostgresError  # of an extra that is there by now; while connecting nobody translates it

    return OSError, SQLAlchemyError, PostgresError


def _unusable(error: Exception) -> StoreUnusable:
    """What the database said in one line; neither the address nor the statement, which may hold secrets."""
    said = str(getattr(error, "orig", None) or error).partition("\n")[0] or type(error).__name__
    return StoreUnusable(
        f"the database of store.url cannot be used: {said}",
        cure="Is it there and running, is it ours, and may we read and write it?",
    )


def _in_one_transaction(connection: Connection) -> None:
    """SQLite's driver is in autocommit mode here: a migration begins and ends like everything else."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        upgrade(connection)
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
