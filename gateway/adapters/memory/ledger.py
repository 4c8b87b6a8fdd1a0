"""Exchanges and their timelines in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.adapters.ledger_rules import WENT_DOWN, WENT_DOWN_CURE, Turns, check_ended, claimable_at, claimed, moved
from gateway.adapters.memory.state import Reader
from gateway.adapters.sequence import Sequence as Numbers
from gateway.model.job import Event, ExchangeJob, Kind, State, Step, StepOutcome
from profiles.errors import UnknownDocument


class MemoryLedger:
    """`Ledger` over a state."""

    def __init__(self, reader: Reader, numbers: Numbers, turns: Turns) -> None:
        self._reader = reader
        self._numbers = numbers
        self._turns = turns

    async def open(self, job: ExchangeJob) -> None:
        """A new exchange."""
        self._reader.change().exchanges[job.id] = job

    async def note(self, step: Step) -> int:
        """One line of its timeline."""
        number = self._numbers.next()
        self._reader.change().steps[number] = replace(step, id=number)
        return number

    async def close_step(self, step_id: int, step: Step) -> None:
        """Give an OPEN step its end."""
        state = self._reader.change()
        if step_id in state.steps:
            state.steps[step_id] = replace(step, id=step_id)

    async def get(self, exchange_id: str) -> ExchangeJob | None:
        """One exchange."""
        return self._reader.state.exchanges.get(exchange_id)

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
        state = self._reader.change()
        if exchange_id not in state.exchanges:
            raise UnknownDocument("no such exchange", location=exchange_id)
        job = moved(
            state.exchanges[exchange_id],
            event,
            at,
            reason=reason,
            cure=cure,
            due_at=due_at,
            payload=payload,
            study_instance_uid=study_instance_uid,
            patient_id=patient_id,
        )
        state.exchanges[exchange_id] = job
        return job

    async def claim(self, now: datetime, owner: str, lease: timedelta, limit: int = 1) -> Sequence[ExchangeJob]:
        """Take what is due, peers in turn."""
        state = self._reader.change()
        taken: list[ExchangeJob] = []
        while len(taken) < limit:
            due = [job for job in state.exchanges.values() if (at := claimable_at(job)) is not None and at <= now]
            if not due:
                break
            peer = self._turns.in_order({job.peer for job in due})[0]
            first = min((job for job in due if job.peer == peer), key=_due)
            self._turns.took(peer)
            state.exchanges[first.id] = claimed(first, now, owner, lease)
            taken.append(state.exchanges[first.id])
        return taken

    async def extend(self, exchange_id: str, owner: str, until: datetime) -> bool:
        """Keep holding it."""
        state = self._reader.change()
        job = state.exchanges.get(exchange_id)
        if job is None or not owner or job.lease_owner != owner:
            return False
        state.exchanges[exchange_id] = replace(job, lease_until=until)
        return True

    async def next_due(self) -> datetime | None:
        """When the runner should look again."""
        return min(filter(None, map(claimable_at, self._reader.state.exchanges.values())), default=None)

    async def timeline(self, exchange_id: str) -> Sequence[Step]:
        """Its steps, oldest first."""
        found = [step for step in self._reader.state.steps.values() if step.exchange_id == exchange_id]
        return sorted(found, key=lambda step: (step.at, step.id))

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
        found = [
            job
            for job in self._reader.state.exchanges.values()
            if (kinds is None or job.kind in kinds)
            and (states is None or job.state in states)
            and peer in {"", job.peer}
            and study_instance_uid in {"", job.study_instance_uid}
            and (not before or job.id < before)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    async def counts(self) -> dict[State, int]:
        """How many are in each state."""
        found: dict[State, int] = {}
        for job in self._reader.state.exchanges.values():
            found[job.state] = found.get(job.state, 0) + 1
        return found

    async def end_leases(self) -> int:
        """Whoever held a lease is gone."""
        state = self._reader.change()
        held = [
            job for job in state.exchanges.values() if job.lease_until is not None and claimable_at(job) is not None
        ]
        for job in held:
            state.exchanges[job.id] = replace(job, lease_owner="", lease_until=None)
        return len(held)

    async def close_open_steps(self, at: datetime) -> int:
        """Every OPEN step becomes a failure that says the house went down."""
        state = self._reader.change()
        open_steps = [step for step in state.steps.values() if step.outcome is StepOutcome.OPEN]
        for step in open_steps:
            state.steps[step.id] = replace(step, outcome=StepOutcome.FAILURE, why=WENT_DOWN, cure=WENT_DOWN_CURE)
        for job in state.exchanges.values():
            if job.kind is Kind.ASK and job.state is State.RECEIVED:
                state.exchanges[job.id] = replace(
                    job, state=State.FAILED, updated_at=at, reason=WENT_DOWN, cure=WENT_DOWN_CURE
                )
        return len(open_steps)

    async def prune(self, kinds: frozenset[Kind], states: frozenset[State], before: datetime, limit: int) -> int:
        """Let go of what ended before, with its steps."""
        check_ended(states)
        state = self._reader.change()
        ended = [
            job
            for job in state.exchanges.values()
            if job.kind in kinds and job.state in states and job.updated_at < before
        ]
        gone = {job.id for job in sorted(ended, key=lambda job: job.updated_at)[:limit]}
        for id_ in gone:
            del state.exchanges[id_]
        for step in list(state.steps.values()):
            if step.exchange_id in gone:
                del state.steps[step.id]
        return len(gone)


def _due(job: ExchangeJob) -> tuple[datetime, str]:
    at = claimable_at(job)
    assert at is not None
    return at, job.id
