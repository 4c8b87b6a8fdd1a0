"""Correlations in rows: one for each patient and community; and what was asked of those that answer later."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table, bindparam, delete, select

from gateway.adapters.executor import Executor, Fixed, Row, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import Words, metadata
from gateway.ports.correlations import Correlation, DeferredQuestion
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

questions = Table(
    "correlations_asked",
    metadata,
    Column("patient", Words, primary_key=True, nullable=False),  # CX
    Column("home", Words, primary_key=True, nullable=False),
    Column("message_id", Words, nullable=False),
    Column("peer", Words, nullable=False),
    Column("exchange", Words, nullable=False),
    Column("answered", SmallInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index(None, "message_id"),
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

_ASK = insert_or_replace(questions)
_ABOUT = (questions.c.patient == bindparam("of_patient"), questions.c.home == bindparam("at_home"))
_NOW = questions.c.until > bindparam("now")
_ASKED = Fixed(select(questions).where(*_ABOUT, _NOW))
_ASKED_AS = Fixed(select(questions).where(questions.c.message_id == bindparam("id"), _NOW))
_TAKE_BACK = Fixed(delete(questions).where(*_ABOUT, questions.c.message_id == bindparam("id")))
_OVER = Fixed(
    select(questions.c.patient, questions.c.home, questions.c.message_id)
    .where(questions.c.until < bindparam("before"))
    .order_by(questions.c.until)
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

    async def ask(self, question: DeferredQuestion) -> None:
        """Put it in the place of what was asked before."""
        row = {
            "patient": str(question.patient),
            "home": question.home,
            "message_id": question.message_id,
            "peer": question.peer,
            "exchange": question.exchange_id,
            "answered": int(question.answered),
            "until": micros(question.until),
        }
        await self._db.run(_ASK, row)

    async def asked(self, patient: PatientIdentifier, home: Oid, now: datetime) -> DeferredQuestion | None:
        """What this community was asked about the patient."""
        asked = {"of_patient": str(patient), "at_home": home, "now": micros(now)}
        return next((_question(row) for row in await self._db.rows(_ASKED, asked)), None)

    async def asked_as(self, message_id: str, now: datetime) -> DeferredQuestion | None:
        """The same by the id of its message."""
        rows = await self._db.rows(_ASKED_AS, {"id": message_id, "now": micros(now)})
        return next((_question(row) for row in rows), None)

    async def take_back(self, question: DeferredQuestion) -> None:
        """Forget that it was asked."""
        named = {"of_patient": str(question.patient), "at_home": question.home, "id": question.message_id}
        await self._db.run(_TAKE_BACK, named)

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of each that ended before."""
        ended = await self._db.rows(_ENDED, {"before": micros(before), "most": limit})
        for patient, home in ended:
            await self._db.run(_FORGET, {"of_patient": patient, "at_home": home})
        over = await self._db.rows(_OVER, {"before": micros(before), "most": limit})
        for patient, home, message_id in over:
            await self._db.run(_TAKE_BACK, {"of_patient": patient, "at_home": home, "id": message_id})
        return len(ended) + len(over)


def _question(row: Row) -> DeferredQuestion:
    patient, home, message_id, peer, exchange, answered, until = row
    return DeferredQuestion(
        patient=PatientIdentifier.from_cx(patient), home=Oid(home), message_id=message_id, peer=peer,
        exchange_id=exchange, answered=bool(answered), until=time_of(until),
    )  # fmt: skip
