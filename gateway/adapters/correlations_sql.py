"""Correlations in rows: one for each patient and community."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Table, bindparam, delete, select

from gateway.adapters.executor import Executor, Fixed, insert_or_replace
from gateway.adapters.stored import micros
from gateway.adapters.tables import Words, metadata
from gateway.ports.correlations import Correlation
from profiles.model.identifiers import Oid, PatientIdentifier

correlations = Table(
    "correlations",
    metadata,
    Column("patient", Words, primary_key=True, nullable=False),  # CX
    Column("home", Words, primary_key=True, nullable=False),
    Column("identifier", Words, nullable=False),  # CX
    Column("until", BigInteger, nullable=False),
    Index(None, "until"),
    sqlite_with_rowid=False,
)

_KEEP = insert_or_replace(correlations)
_THIS = (correlations.c.patient == bindparam("of_patient"), correlations.c.home == bindparam("at_home"))
_GET = Fixed(select(correlations.c.identifier).where(*_THIS, correlations.c.until > bindparam("now")))
_FORGET = Fixed(delete(correlations).where(*_THIS))
_ENDED = Fixed(
    select(correlations.c.patient, correlations.c.home)
    .where(correlations.c.until < bindparam("before"))
    .order_by(correlations.c.until)
    .limit(bindparam("most"))
)


class SqlCorrelations:
    """`Correlations` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        """Stand on it."""
        self._db = executor

    async def keep(self, correlation: Correlation) -> None:
        """Put it in the place of what was known."""
        row = {
            "patient": str(correlation.patient),
            "home": correlation.home,
            "identifier": str(correlation.identifier),
            "until": micros(correlation.until),
        }
        await self._db.run(_KEEP, row)

    async def get(self, patient: PatientIdentifier, home: Oid, now: datetime) -> PatientIdentifier | None:
        """By which id this community knows the patient."""
        asked = {"of_patient": str(patient), "at_home": home, "now": micros(now)}
        for (identifier,) in await self._db.rows(_GET, asked):
            return PatientIdentifier.from_cx(identifier)
        return None

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of those that ended before."""
        ended = await self._db.rows(_ENDED, {"before": micros(before), "most": limit})
        for patient, home in ended:
            await self._db.run(_FORGET, {"of_patient": patient, "at_home": home})
        return len(ended)
