"""Executor: the little that a row repository needs from a database, so that each is written once.

On SQLite a statement runs inline on the event loop (bounded statements cost 6 to 30 us there, 130 to 160 through a thread);
on PostgreSQL it travels. What a newcomer gets wrong: `Fixed` statements are compiled once and skip SQLAlchemy's execution,
so rows come as the driver gives them; columns are therefore integers, text, bytes and floats and nothing cleverer.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Dialect, Executable, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any]
Row = Sequence[Any]
NONE: Parameters = {}
Ordered = Callable[[Parameters], tuple[Any, ...]]
Compiled = tuple[str, Ordered]

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_QMARK = sqlite.dialect(paramstyle="qmark")
_NUMBERED = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here


class Fixed:
    """A statement whose text never changes: made once beside the repository, compiled once.

    `alternative` is the same statement as PostgreSQL spells it, where the two differ (ON CONFLICT).
    """

    __slots__ = ("_for_postgresql", "_for_sqlite", "_postgresql", "_statement")

    def __init__(self, statement: Executable, alternative: Executable | None = None) -> None:
        """Keep it; compilation waits for the first use."""
        self._statement = statement
        self._postgresql = alternative if alternative is not None else statement
        self._for_sqlite: Compiled | None = None
        self._for_postgresql: Compiled | None = None

    def sqlite(self) -> Compiled:
        """Text with question marks, and what puts parameters in their order."""
        if self._for_sqlite is None:
            self._for_sqlite = _compiled(self._statement, _QMARK)
        return self._for_sqlite

    def postgresql(self) -> Compiled:
        """Text with numbered parameters, and what puts them in their order."""
        if self._for_postgresql is None:
            self._for_postgresql = _compiled(self._postgresql, _NUMBERED)
        return self._for_postgresql


def _compiled(statement: Executable, dialect: Dialect) -> Compiled:
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every Executable of ours has it
    assert isinstance(compiled, SQLCompiler)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    return compiled.string, _in_order(compiled.positiontup or [], constants)


def _none(_: Parameters) -> tuple[Any, ...]:
    return ()


def _in_order(names: Sequence[str], constants: Parameters) -> Ordered:
    if not names:
        return _none
    if len(names) == 1:
        (only,) = names
        if only in constants:
            return lambda _: (constants[only],)
        return lambda parameters: (parameters[only],)
    taken = itemgetter(*names)
    if not constants:
        return taken
    return lambda parameters: taken({**constants, **parameters})


Statement = Fixed | Executable


class Executor(Protocol):
    """One connection inside one transaction."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    @property
    def writing(self) -> bool:
        """Whether this is a unit; in a view, nothing may be written or locked."""
        ...

    async def rows(self, statement: Statement, parameters: Parameters = NONE, *, slow: bool = False) -> Sequence[Row]:
        """All rows: a statement names its own limit, so that an answer is bounded.

        `slow` says that finding them is not: it goes to a thread where it would otherwise stand on the loop.
        """
        ...

    async def run(self, statement: Statement, parameters: Parameters = NONE) -> int:
        """How many rows it touched."""
        ...

    async def run_many(self, statement: Fixed, parameters: Sequence[Parameters]) -> None:
        """The same statement for each of these."""
        ...

    async def run_each(self, statement: Fixed, parameters: Sequence[Parameters]) -> int:
        """The same, and how many rows all of them touched."""
        ...


def insert(table: Table) -> Fixed:
    """One row, every column by its name."""
    return Fixed(table.insert().values({column.name: bindparam(column.name) for column in table.columns}))


def insert_new(table: Table) -> Fixed:
    """One row unless its key is there already; `run` answers 1 or 0."""
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
    return Fixed(
        sqlite.insert(table).values(values).on_conflict_do_nothing(),
        postgresql.insert(table).values(values).on_conflict_do_nothing(),
    )


def insert_or_replace(table: Table) -> Fixed:
    """One row; where its key is there already, the other columns take the new values."""
    keys = [column.name for column in table.primary_key.columns]
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
    others = [column.name for column in table.columns if column.name not in keys]
    of_sqlite = sqlite.insert(table).values(values)
    of_postgresql = postgresql.insert(table).values(values)
    return Fixed(
        of_sqlite.on_conflict_do_update(index_elements=keys, set_={name: of_sqlite.excluded[name] for name in others}),
        of_postgresql.on_conflict_do_update(
            index_elements=keys, set_={name: of_postgresql.excluded[name] for name in others}
        ),
    )
