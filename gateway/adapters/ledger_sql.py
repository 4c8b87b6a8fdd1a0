"""The ledger in rows: exchanges, their steps, and the lease on what is due.

What a newcomer gets wrong: `claimable_at` is due time and lease in one column, so that claiming looks at one index and an
expired lease needs no sweeper. On PostgreSQL several houses claim at once: rows that another is taking are skipped.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, exists, func, select, update

from gateway.adapters.audit_tables import open_intents
from gateway.adapters.executor import Executor, Fixed, Row, insert
from gateway.adapters.ledger_rules import WENT_DOWN, WENT_DOWN_CURE, Turns, check_ended, claimable_at, claimed, moved
from gateway.adapters.sequence import Sequence as Numbers
from gateway.adapters.stored import micros, micros_or_none, time_of, time_or_none
from gateway.adapters.tables import exchanges, steps
from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from profiles.errors import UnknownDocument

_ALL = tuple(column for column in exchanges.columns if column.name != "claimable_at")
_ONE = select(*_ALL).where(exchanges.c.id == bindparam("of_id"))
_GET = Fixed(_ONE)
_GET_TO_CHANGE = Fixed(_ONE.with_for_update())
_OPEN = insert(exchanges)
_CHANGE = Fixed(
    update(exchanges)
    .where(exchanges.c.id == bindparam("of_id"))
    .values({column.name: bindparam(column.name) for column in exchanges.columns if column.name != "id"})
)
_EXTEND = Fixed(
    update(exchanges)
    .where(exchanges.c.id == bindparam("of_id"), exchanges.c.lease_owner == bindparam("owner"))
    .values(lease_until=bindparam("until"), claimable_at=bindparam("until_too"))
)
_FIRST_PEER = Fixed(
    select(exchanges.c.peer)
    .where(exchanges.c.claimable_at.is_not(None), exchanges.c.peer >= bindparam("peer"))
    .order_by(exchanges.c.peer)
    .limit(1)
)
_NEXT_PEER = Fixed(
    select(exchanges.c.peer)
    .where(exchanges.c.claimable_at.is_not(None), exchanges.c.peer > bindparam("peer"))
    .order_by(exchanges.c.peer)
    .limit(1)
)
_DUE = Fixed(
    select(*_ALL)
    .where(exchanges.c.peer == bindparam("peer"), exchanges.c.claimable_at <= bindparam("now"))
    .order_by(exchanges.c.claimable_at)
    .limit(bindparam("many"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE = Fixed(select(func.min(exchanges.c.claimable_at)).where(exchanges.c.claimable_at.is_not(None)))
_COUNTS = Fixed(select(exchanges.c.state, func.count()).group_by(exchanges.c.state))
_NOTE = insert(steps)
_CLOSE = Fixed(
    update(steps)
    .where(steps.c.exchange_id == bindparam("of_exchange"), steps.c.id == bindparam("of_id"))
    .values(
        {column.name: bindparam(column.name) for column in steps.columns if column.name not in {"id", "exchange_id"}}
    )
)
_TIMELINE = Fixed(
    select(*steps.columns).where(steps.c.exchange_id == bindparam("exchange_id")).order_by(steps.c.at, steps.c.id)
)
_END_LEASES = Fixed(
    update(exchanges)
    .where(exchanges.c.claimable_at.is_not(None), exchanges.c.lease_until.is_not(None))
    .values(lease_owner=bindparam("nobody"), lease_until=bindparam("none"), claimable_at=exchanges.c.due_at)
)
_CLOSE_OPEN = Fixed(
    update(steps)
    .where(
        steps.c.outcome == "open",
        # A step is opened and closed in the commit of its audit intent, so whose intent is still open lives.
        ~exists().where(open_intents.c.exchange_id == steps.c.exchange_id),
    )
    .values(outcome=bindparam("failed"), why=bindparam("why"), cure=bindparam("cure"))
)
_FAIL_QUESTIONS = Fixed(
    update(exchanges)
    .where(
        exchanges.c.kind == Kind.ASK.value,
        exchanges.c.state == State.RECEIVED.value,
        ~exists().where(steps.c.exchange_id == exchanges.c.id, steps.c.outcome == "open"),
    )
    .values(state=bindparam("failed"), updated_at=bindparam("now"), reason=bindparam("why"), cure=bindparam("cure_too"))
)
_ENDED = Fixed(
    select(exchanges.c.id)
    .where(
        exchanges.c.kind == bindparam("of_kind"),
        exchanges.c.state == bindparam("of_state"),
        exchanges.c.updated_at < bindparam("before"),
    )
    .order_by(exchanges.c.updated_at)
    .limit(bindparam("many"))
    .with_for_update(skip_locked=True)
)
_PRUNE_STEPS = Fixed(delete(steps).where(steps.c.exchange_id == bindparam("of_id")))
_PRUNE = Fixed(delete(exchanges).where(exchanges.c.id == bindparam("of_id")))


class SqlLedger:
    """`Ledger` over one executor."""

    __slots__ = ("_db", "_numbers", "_turns", "became_due")

    def __init__(self, executor: Executor, numbers: Numbers, turns: Turns) -> None:
        """`numbers` name steps, `turns` remembers which peer was served when."""
        self._db = executor
        self._numbers = numbers
        self._turns = turns
        self.became_due = False  # something may be claimed, now or later, when this is committed

    async def open(self, job: ExchangeJob) -> None:
        """A new exchange."""
        row = _row(job)
        self.became_due |= row["claimable_at"] is not None
        await self._db.run(_OPEN, row)

    async def get(self, exchange_id: str) -> ExchangeJob | None:
        """One exchange."""
        rows = await self._db.rows(_GET, {"of_id": exchange_id})
        return _job(rows[0]) if rows else None

    async def advance(
        self,
        exchange_id: str,
        event: Event,
        at: datetime,
        *,
        reason: str = "",
        cure: str = "",
        due_at: datetime | None = None,
        payload: dict[str, object] | None = None,
        study_instance_uid: str | None = None,
        patient_id: str | None = None,
    ) -> ExchangeJob:
        """Move it by the table."""
        rows = await self._db.rows(_GET_TO_CHANGE, {"of_id": exchange_id})
        if not rows:
            raise UnknownDocument("no such exchange", location=exchange_id)
        job = moved(
            _job(rows[0]),
            event,
            at,
            reason=reason,
            cure=cure,
            due_at=due_at,
            payload=payload,
            study_instance_uid=study_instance_uid,
            patient_id=patient_id,
        )
        row = _row(job)
        self.became_due |= row["claimable_at"] is not None
        await self._db.run(_CHANGE, row | {"of_id": exchange_id})
        return job

    # --- what is due ---------------------------------------------------------------------------------------------------

    async def claim(self, now: datetime, owner: str, lease: timedelta, limit: int = 1) -> Sequence[ExchangeJob]:
        """Take what is due, peers in turn."""
        taken: list[ExchangeJob] = []
        waiting: dict[str, list[ExchangeJob]] = {}
        for peer in self._turns.in_order(await self._peers()):
            rows = await self._db.rows(_DUE, {"peer": peer, "now": micros(now), "many": limit})
            if rows:
                waiting[peer] = [_job(row) for row in rows]
            if len(waiting) >= limit:
                break  # one for each of those who have waited longest, and nothing is left for another
        while waiting and len(taken) < limit:
            for peer in self._turns.in_order(waiting)[: limit - len(taken)]:
                taken.append(claimed(waiting[peer].pop(0), now, owner, lease))
                self._turns.took(peer)
                if not waiting[peer]:
                    del waiting[peer]
        for job in taken:
            await self._db.run(_CHANGE, _row(job) | {"of_id": job.id})
        return taken

    async def _peers(self) -> list[str]:
        """Those who have anything waiting, found by leaps over the index."""
        found: list[str] = []
        rows = await self._db.rows(_FIRST_PEER, {"peer": ""})
        while rows:
            found.append(rows[0][0])
            rows = await self._db.rows(_NEXT_PEER, {"peer": found[-1]})
        return found

    async def extend(self, exchange_id: str, owner: str, until: datetime) -> bool:
        """Keep holding it."""
        parameters = {"of_id": exchange_id, "owner": owner, "until": micros(until), "until_too": micros(until)}
        return bool(owner) and await self._db.run(_EXTEND, parameters) == 1

    async def next_due(self) -> datetime | None:
        """When the runner should look again."""
        ((due,),) = await self._db.rows(_NEXT_DUE)
        return time_or_none(due)

    # --- the timeline --------------------------------------------------------------------------------------------------

    async def note(self, step: Step) -> int:
        """One line of its timeline."""
        number = self._numbers.next()
        await self._db.run(_NOTE, _step_row(step) | {"id": number})
        return number

    async def close_step(self, step_id: int, step: Step) -> None:
        """Give an OPEN step its end."""
        row = _step_row(step)
        await self._db.run(_CLOSE, row | {"of_id": step_id, "of_exchange": row.pop("exchange_id")})

    async def timeline(self, exchange_id: str) -> Sequence[Step]:
        """Its steps, oldest first."""
        return [_step(row) for row in await self._db.rows(_TIMELINE, {"exchange_id": exchange_id})]

    async def end_leases(self) -> int:
        """Whoever held a lease is gone."""
        return await self._db.run(_END_LEASES, {"nobody": "", "none": None})

    async def close_open_steps(self, at: datetime) -> int:
        """Every OPEN step without a living owner becomes a failure that says the house went down."""
        parameters = {"failed": StepOutcome.FAILURE.value, "why": WENT_DOWN, "cure": WENT_DOWN_CURE}
        closed = await self._db.run(_CLOSE_OPEN, parameters)
        ended = {"failed": State.FAILED.value, "now": micros(at), "why": WENT_DOWN, "cure_too": WENT_DOWN_CURE}
        await self._db.run(_FAIL_QUESTIONS, ended)
        return closed

    async def prune(self, kinds: frozenset[Kind], states: frozenset[State], before: datetime, limit: int) -> int:
        """Let go of what ended before, with its steps."""
        check_ended(states)
        gone = 0
        for kind in sorted(kinds):
            for state in sorted(states):
                bounds = {"of_kind": kind.value, "of_state": state.value, "before": micros(before)}
                rows = await self._db.rows(_ENDED, bounds | {"many": limit - gone})
                ids = [{"of_id": id_} for (id_,) in rows]
                if ids:
                    await self._db.run_many(_PRUNE_STEPS, ids)
                    await self._db.run_many(_PRUNE, ids)
                gone += len(ids)
                if gone == limit:
                    return gone
        return gone

    # --- lists ---------------------------------------------------------------------------------------------------------

    async def list(
        self,
        *,
        kinds: frozenset[Kind] | None = None,
        states: frozenset[State] | None = None,
        peer: str = "",
        study_instance_uid: str = "",
        before: str = "",
        limit: int = 50,
    ) -> Sequence[ExchangeJob]:
        """Exchanges, newest first."""
        statement = select(*_ALL)
        if kinds is not None:
            statement = statement.where(exchanges.c.kind.in_(sorted(kind.value for kind in kinds)))
        if states is not None:
            statement = statement.where(exchanges.c.state.in_(sorted(state.value for state in states)))
        if peer:
            statement = statement.where(exchanges.c.peer == peer)
        if study_instance_uid:
            statement = statement.where(exchanges.c.study_instance_uid == study_instance_uid)
        if before:
            statement = statement.where(exchanges.c.id < before)
        return [_job(row) for row in await self._db.rows(statement.order_by(exchanges.c.id.desc()).limit(limit))]

    async def counts(self) -> dict[State, int]:
        """How many are in each state."""
        return {State(state): count for state, count in await self._db.rows(_COUNTS, slow=True)}


def _row(job: ExchangeJob) -> dict[str, Any]:
    claimable = claimable_at(job)
    return {
        "id": job.id,
        "kind": job.kind.value,
        "state": job.state.value,
        "opened_at": micros(job.opened_at),
        "updated_at": micros(job.updated_at),
        "peer": job.peer,
        "study_instance_uid": job.study_instance_uid,
        "patient_id": job.patient_id,
        "payload": orjson.dumps(dict(job.payload)),
        "reason": job.reason,
        "cure": job.cure,
        "due_at": micros_or_none(job.due_at),
        "attempt": job.attempt,
        "lease_owner": job.lease_owner,
        "lease_until": micros_or_none(job.lease_until),
        "claimable_at": micros_or_none(claimable),
    }


def _job(row: Row) -> ExchangeJob:
    (
        id_, kind, state, opened_at, updated_at, peer, study_instance_uid, patient_id, payload, reason, cure, due_at,
        attempt, lease_owner, lease_until,
    ) = row  # fmt: skip
    return ExchangeJob(
        id=id_,
        kind=Kind(kind),
        state=State(state),
        opened_at=time_of(opened_at),
        updated_at=time_of(updated_at),
        peer=peer,
        study_instance_uid=study_instance_uid,
        patient_id=patient_id,
        payload=orjson.loads(payload),
        reason=reason,
        cure=cure,
        due_at=time_or_none(due_at),
        attempt=attempt,
        lease_owner=lease_owner,
        lease_until=time_or_none(lease_until),
    )


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "exchange_id": step.exchange_id,
        "at": micros(step.at),
        "transaction": step.transaction,
        "direction": step.direction.value,
        "outcome": step.outcome.value,
        "text": step.text,
        "peer": step.peer,
        "size_bytes": step.size_bytes,
        "duration_ms": step.duration_ms,
        "why": step.why,
        "cure": step.cure,
        "raw_key": step.raw_key,
    }


def _step(row: Row) -> Step:
    exchange_id, id_, at, transaction, direction, outcome, text, peer, size_bytes, duration_ms, why, cure, raw_key = row
    return Step(
        exchange_id=exchange_id,
        id=id_,
        at=time_of(at),
        transaction=transaction,
        direction=Direction(direction),
        outcome=StepOutcome(outcome),
        text=text,
        peer=peer,
        size_bytes=size_bytes,
        duration_ms=duration_ms,
        why=why,
        cure=cure,
        raw_key=raw_key,
    )
