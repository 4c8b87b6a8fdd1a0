"""The embedded store: one writer, many readers, one fsync for everybody who waits.

Units run one after another on one connection, each inside a savepoint. A unit whose body is done waits; when no other unit
is queued, or 64 have gathered, one COMMIT in a thread makes all of them durable and releases them together (a commit costs
some hundred microseconds to some milliseconds, a row ten: this is worth 10 to 20 times). A unit that raises rolls back to
its own savepoint. Statements are bounded and run inline; only COMMIT, which waits for the disk, does not.

What a newcomer gets wrong: `synchronous=FULL` is the promise that an acknowledgement means something. It is not a knob.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.adapters.executor import NONE, SQLITE, Fixed, Parameters, Row, Statement
from profiles.errors import Busy, HouseError, InternalFault, OutOfResources

GROUP = 64  # units that share a commit at most: enough to hide the fsync, few enough that the first does not wait long
READERS = 16  # views open at once; a view more waits
READER_WAIT_S = 10.0
WAL_BYTES = 64 * 1024 * 1024  # what the log shrinks to after it grew beyond (a view that was open for long)
PAGES = 64  # given back in one step, 256 KiB: moving a page costs some 40 us of the loop
LOCK_WAIT_MS = (
    250  # for a lock that another process holds (a backup, a command); statements run on the loop, so not longer
)

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_TOOBIG})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_BROKEN = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN})
_CURES = {
    OutOfResources: "Free disk space on the volume of the data folder.",
    Busy: "Another program holds the database file. It is asked again.",
    InternalFault: "Look at the disk and the database file of the data folder.",
}


def translate(error: BaseException) -> HouseError | None:
    """What a driver's error means to a peer; None where it is a defect that must be seen as such."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return OutOfResources("the disk is full", cure=_CURES[OutOfResources])
    if code in _BUSY:
        return Busy("the store is busy", cure=_CURES[Busy])
    if code in _BROKEN:
        return InternalFault("the store cannot be read or written", cure=_CURES[InternalFault])
    return None


class SqliteExecutor:
    """One connection, statements inline."""

    __slots__ = ("_connection", "_raw", "writing")

    dialect = SQLITE

    def __init__(self, engine: Engine, *, writing: bool) -> None:
        """Connect; the connection stays for the life of the executor."""
        self._connection: Connection = engine.connect()
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self._raw = raw
        self.writing = writing
        if not writing:
            self._raw.execute("PRAGMA query_only = ON")

    @property
    def raw(self) -> sqlite3.Connection:
        """The driver's connection, for transactions."""
        return self._raw

    async def rows(self, statement: Statement, parameters: Parameters = NONE, *, slow: bool = False) -> Sequence[Row]:
        """All rows."""
        if slow:
            return await asyncio.to_thread(self._rows, statement, parameters)
        return self._rows(statement, parameters)

    def _rows(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        if isinstance(statement, Fixed):
            text, ordered = statement.sqlite()
            return self._raw.execute(text, ordered(parameters)).fetchall()
        return self._connection.execute(statement, dict(parameters)).fetchall()

    async def run(self, statement: Statement, parameters: Parameters = NONE) -> int:
        """How many rows it touched."""
        if isinstance(statement, Fixed):
            text, ordered = statement.sqlite()
            return self._raw.execute(text, ordered(parameters)).rowcount
        return self._connection.execute(statement, dict(parameters)).rowcount

    async def run_many(self, statement: Fixed, parameters: Sequence[Parameters]) -> None:
        """The same statement for each of these."""
        await self.run_each(statement, parameters)

    async def run_each(self, statement: Fixed, parameters: Sequence[Parameters]) -> int:
        """The same, and how many rows all of them touched."""
        text, ordered = statement.sqlite()
        return self._raw.executemany(text, map(ordered, parameters)).rowcount

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def engine_of(path: Path) -> Engine:
    """Connections to one file, each with the pragmas that we rely on."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=LOCK_WAIT_MS / 1000
        )
        if not path.exists() or path.stat().st_size == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # once something is written, it would take a VACUUM
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -16384",
            "temp_store = MEMORY",  # a savepoint's journal; 170 us a unit in a file, 60 in memory
            f"journal_size_limit = {WAL_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


class SqliteStore:
    """Units and views of one file."""

    def __init__(self, path: Path, committed: Callable[[], None]) -> None:
        """Connect nothing yet; `committed` is called after every commit."""
        self._path = path
        self._engine = engine_of(path)
        self._committed = committed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._writer: SqliteExecutor | None = None
        self._idle: list[SqliteExecutor] = []
        self._readers = asyncio.Semaphore(READERS)
        self._taken = False  # somebody has the writer: a unit's body, or the commit
        self._owner: asyncio.Task[Any] | None = None
        self._queue: deque[asyncio.Future[None]] = deque()
        self._group: list[asyncio.Future[None]] = []
        self._begun = False
        self._commit: asyncio.Task[None] | None = None
        self._quiet = asyncio.Event()  # nobody has the writer
        self._quiet.set()
        self._closed = False

    @property
    def engine(self) -> Engine:
        """For migrations."""
        return self._engine

    def make(self) -> None:
        """The file, before anything is in it: nobody but us reads patients in it. SQLite gives its other files the same."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)

    def open(self) -> None:
        """Connect the writer."""
        self._writer = SqliteExecutor(self._engine, writing=True)

    async def close(self) -> None:
        """Let those who are queued finish, then let go."""
        self._closed = True
        await self._quiet.wait()
        for reader in self._idle:
            reader.close()
        self._idle.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._thread.shutdown()
        self._engine.dispose()

    async def give_back(self) -> int:
        """Move pages from the end of the file into holes, and cut it; answers how many bytes, 0 when no hole is left.

        The file itself becomes shorter with the log's next checkpoint. One that was made without `auto_vacuum` keeps its
        size and fills its holes.
        """
        async with self.unit() as writer:
            raw = writer.raw
            ((holes,),) = raw.execute("PRAGMA freelist_count").fetchall()
            if not holes:
                return 0
            ((before,),) = raw.execute("PRAGMA page_count").fetchall()
            for _ in range(min(holes, PAGES)):  # Python steps once through what has no columns: one page each
                raw.execute("PRAGMA incremental_vacuum(1)")
            ((after,),) = raw.execute("PRAGMA page_count").fetchall()
            ((page_bytes,),) = raw.execute("PRAGMA page_size").fetchall()
        return int((before - after) * page_bytes)

    # --- units ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteExecutor]:
        """The writer, when it is this caller's turn; leaving waits for the commit that this body is part of."""
        writer = await self._enter()
        try:
            yield writer
        except BaseException as error:
            self._undo(error)
            if (translated := translate(error)) is not None:
                raise translated from error
            raise
        durable = self._done()
        # A cancelled caller does not stop a commit that others wait for; what it staged becomes durable all the same.
        await asyncio.shield(durable)

    async def _enter(self) -> SqliteExecutor:
        if self._closed or self._writer is None:
            raise Busy("the house is shutting down")
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("a unit of work inside a unit of work: hand the Work on instead")
        if self._taken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()  # the turn had just been given to us: hand it on
                raise
        self._taken = True
        self._quiet.clear()
        self._owner = asyncio.current_task()
        try:
            if not self._begun:
                self._writer.raw.execute("BEGIN IMMEDIATE")
                self._begun = True
            self._writer.raw.execute("SAVEPOINT unit")
        except sqlite3.Error as error:
            self._next()
            raise translate(error) or error from error
        return self._writer

    def _done(self) -> "asyncio.Future[None]":
        """A body ended well: it waits for the commit of its group."""
        assert self._writer is not None
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._group.append(durable)
        try:
            self._writer.raw.execute("RELEASE unit")
        except sqlite3.Error as error:
            self._fail(error)
        self._next()
        return durable

    def _undo(self, error: BaseException) -> None:
        """A body raised: only what it did itself is taken back."""
        assert self._writer is not None
        try:
            if self._writer.raw.in_transaction:
                self._writer.raw.execute("ROLLBACK TO unit")
                self._writer.raw.execute("RELEASE unit")
            else:
                # SQLite took the whole transaction back by itself (full disk, IO error): with it goes the group.
                self._fail(error)
        except sqlite3.Error as broken:
            self._fail(broken)
        self._next()

    def _fail(self, error: BaseException) -> None:
        assert self._writer is not None
        if self._writer.raw.in_transaction:
            self._writer.raw.execute("ROLLBACK")
        self._begun = False
        group, self._group = self._group, []
        for each in group:
            if not each.done():
                each.set_exception(translate(error) or InternalFault("the store could not write"))

    def _next(self) -> None:
        """Whoever had the writer is done with it: the next body, or the commit, or nobody."""
        self._owner = None
        while self._queue and len(self._group) < GROUP:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        if self._group:
            self._commit = asyncio.get_running_loop().create_task(self._commit_group())
            return
        if self._begun:
            # Only bodies that were undone: nothing to make durable.
            assert self._writer is not None
            self._writer.raw.execute("ROLLBACK")
            self._begun = False
        self._taken = False
        self._quiet.set()

    async def _commit_group(self) -> None:
        assert self._writer is not None
        if self._queue and len(self._group) < GROUP:
            self._next()  # one turn of the loop later, others have come
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.raw.execute, "COMMIT")
        except BaseException as error:
            self._fail(error)
            self._next()
            if not isinstance(error, sqlite3.Error):
                raise
            return
        self._begun = False
        group, self._group = self._group, []
        for each in group:
            if not each.done():
                each.set_result(None)
        self._next()
        self._committed()

    # --- views ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteExecutor]:
        """A snapshot of what is committed."""
        if self._closed:
            raise Busy("the house is shutting down")
        try:
            async with asyncio.timeout(READER_WAIT_S):
                await self._readers.acquire()
        except TimeoutError:
            raise Busy("too many readers") from None
        try:
            reader = self._idle.pop() if self._idle else SqliteExecutor(self._engine, writing=False)
            try:
                reader.raw.execute("BEGIN")
                yield reader
            except BaseException as error:
                if (translated := translate(error)) is not None:
                    raise translated from error
                raise
            finally:
                if reader.raw.in_transaction:
                    reader.raw.execute("ROLLBACK")
                if self._closed:
                    reader.close()
                else:
                    self._idle.append(reader)
        finally:
            self._readers.release()
