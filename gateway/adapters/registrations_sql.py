"""Registrations in rows: one for each document of a submission, and one where it has none."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, bindparam, delete, select

from gateway.adapters.executor import Executor, Fixed, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import Words, metadata
from gateway.ports.registrations import Registration
from profiles.model.identifiers import PatientIdentifier

registrations = Table(
    "registrations",
    metadata,
    Column("set_unique_id", Words, primary_key=True, nullable=False),
    Column("document_unique_id", Words, primary_key=True, nullable=False),  # "": it brings no document
    Column("peer", Words, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("patient_id", Words, nullable=False),  # CX
    Column("digest", Words, nullable=False),
    Column("taken", SmallInteger, nullable=False),
    Index(None, "document_unique_id"),
    sqlite_with_rowid=False,
)

_KEEP = insert_or_replace(registrations)
_OF_SET = registrations.c.set_unique_id == bindparam("submission")
_OF_DOCUMENT = registrations.c.document_unique_id == bindparam("document")
_GET = Fixed(select(registrations).where(_OF_SET).order_by(registrations.c.document_unique_id))
_PATIENTS = Fixed(
    select(registrations.c.patient_id).where(_OF_DOCUMENT).order_by(registrations.c.at, registrations.c.set_unique_id)
)
_DROP = Fixed(delete(registrations).where(_OF_SET))
_WITHOUT = Fixed(delete(registrations).where(_OF_DOCUMENT))


class SqlRegistrations:
    """`Registrations` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        """Stand on it."""
        self._db = executor

    async def keep(self, registration: Registration) -> None:
        """Put it in the place of what was known."""
        await self.drop(registration.set_unique_id)
        row = {
            "set_unique_id": registration.set_unique_id,
            "peer": registration.peer,
            "at": micros(registration.at),
            "patient_id": str(registration.patient_id),
            "digest": registration.digest,
            "taken": int(registration.taken),
        }
        named = registration.documents or ("",)
        await self._db.run_many(_KEEP, [{**row, "document_unique_id": each} for each in named])

    async def get(self, set_unique_id: str) -> Registration | None:
        """By the uniqueId of its submission set."""
        rows = await self._db.rows(_GET, {"submission": set_unique_id})
        if not rows:
            return None
        _, _, peer, at, patient_id, digest, taken = rows[0]
        return Registration(
            set_unique_id=set_unique_id, peer=peer, at=time_of(at), patient_id=PatientIdentifier.from_cx(patient_id),
            documents=tuple(row[1] for row in rows if row[1]), digest=digest, taken=bool(taken),
        )  # fmt: skip

    async def of_document(self, unique_id: str) -> Sequence[PatientIdentifier]:
        """Whose the document is, once for each submission that has it."""
        rows = await self._db.rows(_PATIENTS, {"document": unique_id})
        return [PatientIdentifier.from_cx(patient_id) for (patient_id,) in rows]

    async def drop(self, set_unique_id: str) -> None:
        """Forget a submission."""
        await self._db.run(_DROP, {"submission": set_unique_id})

    async def without(self, document_unique_id: str) -> None:
        """No submission has it."""
        await self._db.run(_WITHOUT, {"document": document_unique_id})
