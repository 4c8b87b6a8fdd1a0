"""How an exchange moves and who may take it, the same for rows and for memory."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.model.job import ENDED, HAS_WORK, NEVER, Event, ExchangeJob, State, after

KEEPS_LEASE = frozenset({Event.PROGRESS, Event.STARTED})
BEGINS_ANEW = frozenset({Event.SETTLED, Event.RELEASED, Event.COMPLETE, Event.ACCEPTED})
"""What follows is other work than what was tried before: attempts count from nothing again."""

WENT_DOWN = "The house stopped before this step had ended."
WENT_DOWN_CURE = "Nothing to do: what has work left is taken up again by itself."


def moved(
    job: ExchangeJob,
    event: Event,
    at: datetime,
    *,
    reason: str,
    cure: str,
    due_at: datetime | None,
    payload: dict[str, object] | None,
    study_instance_uid: str | None,
    patient_id: str | None,
) -> ExchangeJob:
    """The exchange after an event.

    Raises:
        InvalidTransition: The table has no such cell.
    """
    state = after(job.state, event)
    keeps = event in KEEPS_LEASE
    return replace(
        job,
        state=state,
        updated_at=at,
        reason=reason,
        cure=cure,
        due_at=(due_at or at) if state in HAS_WORK else None,
        payload=job.payload if payload is None else payload,
        study_instance_uid=job.study_instance_uid if study_instance_uid is None else study_instance_uid,
        patient_id=job.patient_id if patient_id is None else patient_id,
        attempt=0 if event in BEGINS_ANEW else job.attempt,
        lease_owner=job.lease_owner if keeps else "",
        lease_until=job.lease_until if keeps else None,
    )


def claimable_at(job: ExchangeJob) -> datetime | None:
    """When somebody may take it: due, and no lease that runs. None: never."""
    if job.due_at is None or job.due_at >= NEVER:
        return None
    return job.due_at if job.lease_until is None else max(job.due_at, job.lease_until)


def claimed(job: ExchangeJob, now: datetime, owner: str, lease: timedelta) -> ExchangeJob:
    """The exchange in somebody's hands; one attempt more."""
    return replace(job, lease_owner=owner, lease_until=now + lease, attempt=job.attempt + 1)


def check_ended(states: Iterable[State]) -> None:
    """Only what has come to an end may be let go.

    Raises:
        ValueError: One of the states is no end.
    """
    alive = sorted(frozenset(states) - ENDED)
    if alive:
        raise ValueError(f"an exchange that is {alive[0]} has not ended")


class Turns:
    """Which peer has waited longest for a turn: a peer with ten thousand exchanges does not starve one with a single one.

    Kept by a store as long as it lives; after a restart all have waited equally long.
    """

    __slots__ = ("_last", "_turn")

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._turn = 0

    def in_order(self, peers: Iterable[str]) -> list[str]:
        """Who has waited longest first."""
        return sorted(peers, key=lambda peer: (self._last.get(peer, 0), peer))

    def took(self, peer: str) -> None:
        """It had a turn."""
        self._turn += 1
        self._last[peer] = self._turn
