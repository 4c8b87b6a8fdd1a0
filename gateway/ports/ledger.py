"""Ledger: every exchange, its steps, and what is due. Written before the reply, read by operators and by the runner."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from gateway.model.job import Event, ExchangeJob, Kind, State, Step


class Ledger(Protocol):
    """The exchanges. `advance` is the only way a state changes, and it follows the table."""

    async def open(self, job: ExchangeJob) -> None:
        """A new exchange."""
        ...

    async def note(self, step: Step) -> int:
        """One line of its timeline; answers the step's id."""
        ...

    async def close_step(self, step_id: int, step: Step) -> None:
        """Give an OPEN step its end."""
        ...

    async def get(self, exchange_id: str) -> ExchangeJob | None:
        """One exchange."""
        ...

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
        """Move it. `due_at` None means now, where the new state has work left; None fields stay as they are.

        The lease ends with every move but PROGRESS and STARTED.

        Raises:
            InvalidTransition: The table has no such cell.
        """
        ...

    async def claim(self, now: datetime, owner: str, lease: timedelta, limit: int = 1) -> Sequence[ExchangeJob]:
        """Take up to `limit` due exchanges that nobody holds; each counts one attempt."""
        ...

    async def extend(self, exchange_id: str, owner: str, until: datetime) -> bool:
        """Keep holding it. False: somebody else has it."""
        ...

    async def next_due(self) -> datetime | None:
        """When the runner should look again."""
        ...

    async def timeline(self, exchange_id: str) -> Sequence[Step]:
        """Its steps, oldest first."""
        ...

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
        """Exchanges, newest first; `before` is the id where the last page ended."""
        ...

    async def counts(self) -> dict[State, int]:
        """How many are in each state."""
        ...

    async def end_leases(self) -> int:
        """At start-up of a store that nobody else works on: whoever held a lease is gone; answers how many there were."""
        ...

    async def close_open_steps(self, at: datetime) -> int:
        """Every OPEN step of a process that is gone becomes a failure that says so; answers how many.

        Gone is whose audit intents were answered for it. On a shared exchange it may take until the others' intents end.
        Questions whose answers were still being poured have failed with them.
        """
        ...

    async def prune(self, kinds: frozenset[Kind], states: frozenset[State], before: datetime, limit: int) -> int:
        """Let go of exchanges of these kinds that ended so before, with their steps; the longest ended first.

        Answers how many went, at most `limit`. Audit keeps what it knows of them.

        Raises:
            ValueError: One of the states is no end.
        """
        ...
