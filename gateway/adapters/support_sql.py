"""What peers support, in rows: a probe for each endpoint, a count for each kind of sighting."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, LargeBinary, Table, bindparam, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.adapters.executor import Executor, Fixed, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import Words, metadata
from gateway.model.probe import Hop, Probed, Walked
from gateway.model.sighting import Sighting, Sort
from gateway.ports.support import KeptProbe

probes = Table(
    "support_probes",
    metadata,
    Column("peer", Words, primary_key=True, nullable=False),
    Column("transaction", Words, primary_key=True, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("probed", LargeBinary, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

sightings = Table(
    "support_sightings",
    metadata,
    Column("peer", Words, primary_key=True, nullable=False),
    Column("transaction", Words, primary_key=True, nullable=False),
    Column("sort", Words, primary_key=True, nullable=False),
    Column("what", Words, primary_key=True, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_FORGET = Fixed(delete(probes).where(probes.c.peer == bindparam("of_peer")))
_KEEP = insert_or_replace(probes)
_PROBES = Fixed(
    select(probes.c.at, probes.c.probed).where(probes.c.peer == bindparam("of_peer")).order_by(probes.c.transaction)
)
_SIGHTINGS = Fixed(
    select(sightings)
    .where(sightings.c.peer == bindparam("of_peer"))
    .order_by(sightings.c.transaction, sightings.c.sort, sightings.c.what)
)


def _count_up() -> Fixed:
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in sightings.columns}
    keys = [column.name for column in sightings.primary_key.columns]
    had = sightings.c
    of_sqlite, of_postgresql = sqlite.insert(sightings).values(values), postgresql.insert(sightings).values(values)
    return Fixed(
        *(
            insert.on_conflict_do_update(
                index_elements=keys,
                set_={
                    "count": had.count + insert.excluded["count"],
                    "last": case((insert.excluded["last"] > had.last, insert.excluded["last"]), else_=had.last),
                },
            )
            for insert in (of_sqlite, of_postgresql)
        )
    )


_SEEN = _count_up()


class SqlSupport:
    """`Support` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        """Stand on it."""
        self._db = executor

    async def probed(self, peer: str, probed: Sequence[Probed], at: datetime) -> None:
        """Put it in the place of all that was found before."""
        await self._db.run(_FORGET, {"of_peer": peer})
        rows = [
            {"peer": peer, "transaction": each.transaction, "at": micros(at), "probed": orjson.dumps(asdict(each))}
            for each in probed
        ]
        if rows:
            await self._db.run_many(_KEEP, rows)

    async def probes(self, peer: str) -> Sequence[KeptProbe]:
        """What was found the last time."""
        rows = await self._db.rows(_PROBES, {"of_peer": peer})
        return [KeptProbe(at=time_of(at), probed=_probed(orjson.loads(body))) for at, body in rows]

    async def seen(self, sightings: Sequence[Sighting]) -> None:
        """Add to what was seen."""
        rows = [{**asdict(each), "sort": each.sort.value, "last": micros(each.last)} for each in sightings]
        if rows:
            await self._db.run_many(_SEEN, rows)

    async def sightings(self, peer: str) -> Sequence[Sighting]:
        """All that was ever seen of a peer."""
        rows = await self._db.rows(_SIGHTINGS, {"of_peer": peer})
        return [
            Sighting(peer=peer, transaction=transaction, sort=Sort(sort), what=what, count=count, last=time_of(last))
            for _, transaction, sort, what, count, last in rows
        ]


def _probed(told: dict[str, object]) -> Probed:
    hops = told.pop("hops")
    assert isinstance(hops, list)
    return Probed(hops=tuple(Walked(**{**hop, "hop": Hop(hop["hop"])}) for hop in hops), **told)  # type: ignore[arg-type]  # as we wrote it
