"""The three stores that every suite of a row port runs on: memory, SQLite, PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway.adapters.executor import Executor
from gateway.adapters.memory import MemoryStore
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.tables import metadata
from gateway.ports.audit import AuditSink
from gateway.ports.store import Store
from tests.support.postgres import postgresql

KINDS = (
    "memory",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.judge_program),
)


def no_audit(executor: Executor) -> AuditSink:
    """These suites record nothing."""
    raise AssertionError("no audit sink was asked for")


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The address of a database server that lives as long as the tests."""
    with postgresql() as url:
        yield url


async def emptied(url: str) -> None:
    """Take every row out, if the tables are there yet."""
    connection = await asyncpg.connect(url)
    try:
        there = {
            row[0] for row in await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        }
        names = ", ".join(sorted(f'"{name}"' for name in metadata.tables if name in there))
        if names:
            await connection.execute(f"truncate {names}")
    finally:
        await connection.close()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/radgate.db"
    else:
        url = request.getfixturevalue("database")
        await emptied(url)
    made = SqlStore(url, audit=no_audit)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty SQLite store."""
    made = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await made.open()
    yield made
    await made.close()


def on_sqlite(folder: Path, check: Callable[[Store], Awaitable[None]]) -> None:
    """Each example on an empty store; the file is one, its rows go."""

    async def run() -> None:
        store = SqlStore(f"sqlite:///{folder}/radgate.db", audit=no_audit)
        await store.open()
        try:
            async with store.unit() as work:
                raw = work.executor.raw  # type: ignore[attr-defined]
                for (name,) in raw.execute("select name from sqlite_master where type = 'table'").fetchall():
                    if name != "alembic_version":
                        raw.execute(f'delete from "{name}"')
            await check(store)
        finally:
            await store.close()

    asyncio.run(run())


def on_postgresql(url: str, check: Callable[[Store], Awaitable[None]]) -> None:
    """Each example on an empty store of that server."""

    async def run() -> None:
        await emptied(url)
        store = SqlStore(url, audit=no_audit)
        await store.open()
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(run())
