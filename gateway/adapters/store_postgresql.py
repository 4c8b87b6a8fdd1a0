"""The shared store: PostgreSQL through asyncpg, one connection and one transaction for each unit.

Several houses may stand on one database. Units run side by side at READ COMMITTED, and the repositories lock the rows that
they decide about (an exchange, a study, a patient's id, a document that is replaced). What cannot be resolved so (a
deadlock, a lost connection) is `Busy`: the whole unit is to be tried again by whoever asked for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.adapters.executor import NONE, POSTGRESQL, Fixed, Parameters, Row, Statement
from profiles.errors import Busy, HouseError, OutOfResources

POOL = 10  # connections held
OVERFLOW = 10  # more under load
WAIT_S = 10.0  # for a connection, before the caller is told to come back

_FULL = frozenset({"53100", "53200", "54000"})  # disk_full, out_of_memory, program_limit_exceeded
_AGAIN = frozenset({
    "40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03", "57014",
    "25P02",  # a statement failed before; what it was is in the exception that this one hides
})  # fmt: skip


def translate(error: BaseException) -> HouseError | None:
    """What a driver's error means to a peer; None where it is a defect that must be seen as such."""
    if isinstance(error, PoolTimeout):
        return Busy("the store is busy")
    if isinstance(error, OSError | asyncio.TimeoutError):
        return Busy("the store does not answer", cure="Look after the database server.")
    if isinstance(error, DBAPIError):
        error = error.orig or error
    state = getattr(error, "sqlstate", None) or ""
    if state in _FULL:
        return OutOfResources("the database's disk is full", cure="Free disk space on the database server.")
    if state in _AGAIN or state.startswith("08") or _closed(error):
        return Busy("the store is busy", cure="The unit is tried again; if this lasts, look after the database server.")
    return None


def _closed(error: BaseException) -> bool:
    """The driver's way to say that the connection went away between two statements."""
    return type(error).__name__ == "InterfaceError" and "closed" in str(error)


class PostgresqlExecutor:
    """One connection inside one transaction.

    Fixed statements go straight to the driver, which prepares each once; SQLAlchemy's execution would cost as much again
    as the journey.
    """

    __slots__ = ("_connection", "_raw", "writing")

    dialect = POSTGRESQL

    def __init__(self, connection: AsyncConnection, raw: Any, *, writing: bool) -> None:
        self._connection = connection
        self._raw = raw
        self.writing = writing

    async def rows(self, statement: Statement, parameters: Parameters = NONE, *, slow: bool = False) -> Sequence[Row]:
        """All rows."""
        if isinstance(statement, Fixed):
            text, ordered = statement.postgresql()
            found: Sequence[Row] = await self._raw.fetch(text, *ordered(parameters))
            return found
        return (await self._connection.execute(statement, dict(parameters))).fetchall()

    async def run(self, statement: Statement, parameters: Parameters = NONE) -> int:
        """How many rows it touched."""
        if isinstance(statement, Fixed):
            text, ordered = statement.postgresql()
            tag: str = await self._raw.execute(text, *ordered(parameters))
            return int(tag.rpartition(" ")[2])  # "INSERT 0 1", "UPDATE 3"
        return (await self._connection.execute(statement, dict(parameters))).rowcount

    async def run_many(self, statement: Fixed, parameters: Sequence[Parameters]) -> None:
        """The same statement for each of these, in one journey."""
        text, ordered = statement.postgresql()
        await self._raw.executemany(text, [ordered(each) for each in parameters])

    async def run_each(self, statement: Fixed, parameters: Sequence[Parameters]) -> int:
        """One after another: for many at once the driver does not tell."""
        return sum([await self.run(statement, each) for each in parameters])


class PostgresqlStore:
    """Units and views of one database."""

    def __init__(self, url: URL, committed: Callable[[], None]) -> None:
        """Connect nothing yet; `committed` is called after every commit."""
        self._committed = committed
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=POOL,
            max_overflow=OVERFLOW,
            pool_timeout=WAIT_S,
            pool_pre_ping=True,
            connect_args={"server_settings": {"synchronous_commit": "on", "application_name": "radgate"}},
        )

    @property
    def engine(self) -> AsyncEngine:
        """For migrations."""
        return self._engine

    async def close(self) -> None:
        """Let go of all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PostgresqlExecutor]:
        """One transaction; leaving waits for its commit."""
        async with self._transaction(writing=True) as executor:
            yield executor
        self._committed()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[PostgresqlExecutor]:
        """A snapshot of what is committed; the database refuses to write."""
        async with self._transaction(writing=False) as executor:
            yield executor

    @asynccontextmanager
    async def _transaction(self, *, writing: bool) -> AsyncIterator[PostgresqlExecutor]:
        """The driver's own transaction; for SQLAlchemy the connection commits by itself and so stays out of the way."""
        try:
            async with self._engine.connect() as connection:
                connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                isolation = "read_committed" if writing else "repeatable_read"
                async with raw.transaction(isolation=isolation, readonly=not writing):
                    yield PostgresqlExecutor(connection, raw, writing=writing)
        except Exception as error:
            if (translated := translate(error)) is not None:
                raise translated from error
            raise
