"""Exchange: one thing that is to come to an end across all wires, its states, and the steps that led there.

Every turn and every call notes one `Step` on its exchange, so the ledger *is* the timeline. The lease (who works on it
until when) is not a state: claiming is an operation of the ledger, legal in every state that has work left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Kind(StrEnum):
    """What the exchange is for."""

    ASK = "ask"  # one question that was answered; never has work left
    RECEIVE = "receive"  # a manifest came (RAD-68): fetch, archive, announce
    STORE = "store"  # instances came (STOW-RS, C-STORE): announce
    COLLECT = "collect"  # an operator wants a study: find, take the manifest, fetch, archive
    SHARE = "share"  # publish our own manifest to a peer
    FEED = "feed"  # patient identity messages
    INDEX = "index"  # learn what an archive behind us has
    BACKFILL = "backfill"  # publish what is here already, study by study
    ANSWER = "answer"  # a question was taken whose answer is to be brought later
    KEEP = "keep"  # something happened to a study of ours: follow the rules, keep true what was published of it


class State(StrEnum):
    """Where it stands."""

    RECEIVED = "received"
    HELD = "held"  # a person decides
    READY = "ready"
    MOVING = "moving"
    INCOMPLETE = "incomplete"  # part of it is here; the rest is asked for again, or a person accepts
    STORED = "stored"  # all of it is here and durable; others have not been told yet
    AWAITING_REPLY = "awaiting reply"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


class Event(StrEnum):
    """What can happen to it."""

    SETTLED = "settled"
    UNSETTLED = "unsettled"
    STARTED = "started"
    PROGRESS = "progress"
    PARTLY = "partly"
    COMPLETE = "complete"
    ANNOUNCED = "announced"
    ASKED = "asked"
    TEMPORARY = "temporary"  # come back later
    PERMANENT = "permanent"
    RELEASED = "released"  # by a person
    ACCEPTED = "accepted"  # by a person: what is here is enough
    GIVEN_UP = "given up"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.RECEIVED, Event.SETTLED): State.READY,
    (State.RECEIVED, Event.UNSETTLED): State.HELD,  # a person decides whose study it is
    (State.RECEIVED, Event.COMPLETE): State.STORED,  # pushed to us whole
    (State.RECEIVED, Event.ANNOUNCED): State.DONE,  # asked and answered in one turn
    (State.RECEIVED, Event.PERMANENT): State.FAILED,
    (State.HELD, Event.SETTLED): State.READY,
    (State.HELD, Event.RELEASED): State.READY,
    (State.HELD, Event.GIVEN_UP): State.ABANDONED,
    (State.READY, Event.STARTED): State.MOVING,
    (State.READY, Event.TEMPORARY): State.READY,
    (State.READY, Event.GIVEN_UP): State.ABANDONED,
    (State.READY, Event.CANCELLED): State.CANCELLED,
    (State.MOVING, Event.STARTED): State.MOVING,  # claimed again after its worker died
    (State.MOVING, Event.UNSETTLED): State.HELD,
    (State.MOVING, Event.PROGRESS): State.MOVING,
    (State.MOVING, Event.PARTLY): State.INCOMPLETE,
    (State.MOVING, Event.COMPLETE): State.STORED,
    (State.MOVING, Event.ASKED): State.AWAITING_REPLY,
    (State.MOVING, Event.TEMPORARY): State.READY,
    (State.MOVING, Event.PERMANENT): State.FAILED,
    (State.MOVING, Event.CANCELLED): State.CANCELLED,
    (State.AWAITING_REPLY, Event.PROGRESS): State.MOVING,
    (State.AWAITING_REPLY, Event.TEMPORARY): State.READY,
    (State.AWAITING_REPLY, Event.PERMANENT): State.FAILED,
    (State.INCOMPLETE, Event.STARTED): State.MOVING,
    (State.INCOMPLETE, Event.ACCEPTED): State.STORED,
    (State.INCOMPLETE, Event.RELEASED): State.READY,  # a person wants what was refused asked for once more
    (State.INCOMPLETE, Event.TEMPORARY): State.INCOMPLETE,
    (State.INCOMPLETE, Event.PERMANENT): State.FAILED,
    (State.INCOMPLETE, Event.GIVEN_UP): State.ABANDONED,
    (State.STORED, Event.PROGRESS): State.STORED,  # one of several told
    (State.STORED, Event.ANNOUNCED): State.DONE,
    (State.STORED, Event.UNSETTLED): State.HELD,  # it cannot be published before a person has mended the table of codes
    (State.STORED, Event.TEMPORARY): State.STORED,
    (State.STORED, Event.PERMANENT): State.FAILED,
    (State.FAILED, Event.RELEASED): State.READY,
    (State.FAILED, Event.GIVEN_UP): State.ABANDONED,
}

HAS_WORK = frozenset({State.READY, State.MOVING, State.STORED, State.INCOMPLETE, State.AWAITING_REPLY})
"""States in which the ledger may hand the exchange to a worker."""

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""`due_at` of an exchange that has work left and waits for a person."""

ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED, State.ABANDONED})


class InvalidTransition(Exception):
    """This event cannot happen in this state; the exchange is left as it was."""


def after(state: State, event: Event) -> State:
    """The next state.

    Raises:
        InvalidTransition: The table has no such cell.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(f"{event} cannot happen to an exchange that is {state}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeJob:
    """One exchange as the ledger keeps it.

    `payload` is JSON of the kind's own making (which entry, which rules are still to do, which instances are missing).
    `reason` and `cure` are sentences for the operator about the state it is in now.
    `due_at` is when a worker may next claim it; None: nothing left to do.
    """

    id: str  # UUID, version 7: sorts by time
    kind: Kind
    state: State
    opened_at: datetime
    updated_at: datetime
    peer: str = ""
    study_instance_uid: str = ""
    patient_id: str = ""  # CX of the local patient; "" while unsettled
    payload: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    cure: str = ""
    due_at: datetime | None = None
    attempt: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None

    @property
    def lacks_codes(self) -> bool:
        """Whether it is held for a code that the affinity domain's table has not, and not for its patient."""
        return self.texts("held") == ("codes",)

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts, of the payload; () where there is none."""
        value = self.payload.get(key, ())
        if isinstance(value, str):
            return (value,)
        return tuple(str(each) for each in value) if isinstance(value, list | tuple) else ()


class Direction(StrEnum):
    """Seen from this house."""

    IN = "in"
    OUT = "out"
    HERE = "here"  # a step without a wire: reconciled, archived, released


class StepOutcome(StrEnum):
    """How a step ended."""

    SUCCESS = "success"
    PARTIAL = "partial"
    FAILURE = "failure"
    OPEN = "open"  # begun, not closed: at start-up such steps are closed as failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the timeline. `text` says what happened; `why` and `cure` only where something is to be explained.

    No patient data in any of them. `raw_key` names the raw message kept for operators, if one was kept.
    """

    exchange_id: str
    at: datetime
    transaction: str  # "RAD-69", "ITI-8", "archive", "reconcile"
    direction: Direction
    outcome: StepOutcome
    text: str
    peer: str = ""
    size_bytes: int = 0
    duration_ms: float = 0.0
    why: str = ""
    cure: str = ""
    raw_key: str = ""
    id: int = 0  # 0: not yet noted
