"""Answers in rows: one for each message that was done, so that it is not done again after a crash."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, bindparam, delete, select, tuple_

from gateway.adapters.executor import Executor, Fixed, insert_new, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import Words, metadata
from gateway.ports.answers import Given, MessageName

answers = Table(
    "hl7_answers",
    metadata,
    Column("sender", Words, primary_key=True, nullable=False),
    Column("application", Words, primary_key=True, nullable=False),
    Column("facility", Words, primary_key=True, nullable=False),
    Column("control_id", Words, primary_key=True, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the message
    Column("at", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Index(None, "at"),
    sqlite_with_rowid=False,
)

_KEY = (answers.c.sender, answers.c.application, answers.c.facility, answers.c.control_id)
_NEW = insert_new(answers)
_REPLACE = insert_or_replace(answers)
_GET = Fixed(
    select(answers.c.digest, answers.c.at, answers.c.answer).where(
        *(key == bindparam(f"of_{key.name}") for key in _KEY)
    )
)
_PRUNE = Fixed(
    delete(answers).where(
        tuple_(*_KEY).in_(
            select(*_KEY).where(answers.c.at < bindparam("before")).order_by(answers.c.at).limit(bindparam("many"))
        )
    )
)


class SqlAnswers:
    """`Answers` over one executor."""

    __slots__ = ("_db",)

    def __init__(self, executor: Executor) -> None:
        """Stand on it."""
        self._db = executor

    async def keep(self, given: Given, *, replace: bool = False) -> bool:
        """Keep it; on PostgreSQL this waits for another process that is keeping the same."""
        row = {
            "sender": given.name.sender,
            "application": given.name.application,
            "facility": given.name.facility,
            "control_id": given.name.control_id,
            "digest": given.digest,
            "at": micros(given.at),
            "answer": given.answer,
        }
        return await self._db.run(_REPLACE if replace else _NEW, row) == 1

    async def get(self, name: MessageName) -> Given | None:
        """What was answered."""
        parameters = {
            "of_sender": name.sender,
            "of_application": name.application,
            "of_facility": name.facility,
            "of_control_id": name.control_id,
        }
        rows = await self._db.rows(_GET, parameters)
        if not rows:
            return None
        digest, at, answer = rows[0]
        return Given(name=name, digest=bytes(digest), at=time_of(at), answer=bytes(answer))

    async def prune(self, before: datetime, limit: int) -> int:
        """Let go of the oldest."""
        return await self._db.run(_PRUNE, {"before": micros(before), "many": limit})
