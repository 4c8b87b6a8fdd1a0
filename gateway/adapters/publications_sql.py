"""Publications in rows: one for each study and registry."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, bindparam, func, select

from gateway.adapters.executor import Executor, Fixed, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import Words, metadata
from gateway.ports.publications import Publication, Snapshot
from profiles.model.identifiers import PatientIdentifier

publications = Table(
    "publications",
    metadata,
    Column("study_instance_uid", Words, primary_key=True, nullable=False),
    Column("peer", Words, primary_key=True, nullable=False),  # "": our own registry
    Column("at", BigInteger, nullable=False),
    Column("entry_uuid", Words, nullable=False),
    Column("unique_id", Words, nullable=False),
    Column("patient_id", Words, nullable=False),  # CX; "": none was taken
    Column("digest", Words, nullable=False),
    Column("in_force", SmallInteger, nullable=False),
    Column("offered", Words, nullable=False),  # entryUUIDs with spaces between them
    Column("on_demand", SmallInteger, nullable=False),
    Column("snapshot", Words, nullable=False, server_default=""),  # entryUUID, uniqueId and digest; "": there is none
    Index(None, "unique_id"),
    Index(None, "at"),
    Index(None, "in_force", "peer", "on_demand"),
    sqlite_with_rowid=False,
)

_KEEP = insert_or_replace(publications)
_OF_STUDY = publications.c.study_instance_uid == bindparam("study")
_OF = Fixed(select(publications).where(_OF_STUDY).order_by(publications.c.peer))
_GET = Fixed(select(publications).where(_OF_STUDY, publications.c.peer == bindparam("registry")))

_COUNTS = Fixed(
    select(publications.c.peer, publications.c.on_demand, func.count())
    .where(publications.c.in_force == 1)
    .group_by(publications.c.peer, publications.c.on_demand)
)
_LATEST = Fixed(
    select(publications)
    .order_by(publications.c.at.desc(), publications.c.study_instance_uid, publications.c.peer)
    .limit(bindparam("many"))
)
_ON_DEMAND = Fixed(
    select(publications).where(
        publications.c.unique_id == bindparam("document"), publications.c.on_demand == 1, publications.c.in_force == 1
    )
)


class SqlPublications:
    """`Publications` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        """Stand on it."""
        self._db = executor

    async def keep(self, publication: Publication) -> None:
        """Put it in the place of what was known."""
        row = {
            "study_instance_uid": publication.study_instance_uid,
            "peer": publication.peer,
            "at": micros(publication.at),
            "entry_uuid": publication.entry_uuid,
            "unique_id": publication.unique_id,
            "patient_id": str(publication.patient_id) if publication.patient_id is not None else "",
            "digest": publication.digest,
            "in_force": int(publication.in_force),
            "offered": " ".join(publication.offered),
            "on_demand": int(publication.on_demand),
            "snapshot": _written(publication.snapshot),
        }
        await self._db.run(_KEEP, row)

    async def get(self, study_instance_uid: str, peer: str) -> Publication | None:
        """What this registry has of the study."""
        found = await self._rows(_GET, {"study": study_instance_uid, "registry": peer})
        return found[0] if found else None

    async def on_demand(self, unique_id: str) -> Publication | None:
        """The on-demand entry in force whose document has this uniqueId."""
        found = await self._rows(_ON_DEMAND, {"document": unique_id})
        return found[0] if found else None

    async def counts(self) -> Mapping[tuple[str, bool], int]:
        """Of how many studies each registry has an entry in force."""
        rows = await self._db.rows(_COUNTS, {})
        return {(peer, bool(on_demand)): count for peer, on_demand, count in rows}

    async def latest(self, limit: int) -> Sequence[Publication]:
        """What changed last."""
        return await self._rows(_LATEST, {"many": limit})

    async def of(self, study_instance_uid: str) -> Sequence[Publication]:
        """What every registry has of the study."""
        return await self._rows(_OF, {"study": study_instance_uid})

    async def _rows(self, statement: Fixed, parameters: Mapping[str, Any]) -> list[Publication]:
        return [_read(*row) for row in await self._db.rows(statement, parameters)]


def _read(
    study: str,
    peer: str,
    at: int,
    entry_uuid: str,
    unique_id: str,
    patient_id: str,
    digest: str,
    in_force: int,
    offered: str,
    on_demand: int,
    snapshot: str,
) -> Publication:
    return Publication(
        study_instance_uid=study, peer=peer, at=time_of(at), entry_uuid=entry_uuid, unique_id=unique_id,
        patient_id=PatientIdentifier.from_cx(patient_id) if patient_id else None, digest=digest,
        in_force=bool(in_force), offered=tuple(offered.split()), on_demand=bool(on_demand),
        snapshot=_snapshot(*snapshot.split()) if snapshot else None,
    )  # fmt: skip


def _snapshot(entry_uuid: str, unique_id: str, digest: str) -> Snapshot:
    return Snapshot(entry_uuid=entry_uuid, unique_id=unique_id, digest=digest)


def _written(snapshot: Snapshot | None) -> str:
    return f"{snapshot.entry_uuid} {snapshot.unique_id} {snapshot.digest}" if snapshot is not None else ""
