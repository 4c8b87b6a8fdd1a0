"""AuditSink: what happened. Durable first, sent later; `AuditArchive` is its reading half, for reviews.

A unary turn records inside its unit. A streamed reply and an outgoing call write an *intent* before the first byte and
close it with what was delivered; at start-up, open intents are closed as failures.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from profiles.model.audit import AuditRecord


class AuditSink(Protocol):
    """Writing, inside a unit of work."""

    async def record(self, records: Sequence[AuditRecord], exchange_id: str = "") -> None:
        """Keep them, chained, in this commit."""
        ...

    async def intend(self, records: Sequence[AuditRecord], exchange_id: str = "") -> str:
        """Keep what will have happened if we do not come back (records of failure); answers the intent's id."""
        ...

    async def close(self, intent: str, records: Sequence[AuditRecord]) -> None:
        """Replace an intent by what did happen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedRecord:
    """A record as the chain keeps it: `xml` is the PS3.15 message, byte for byte what is sent."""

    number: int
    received_at: datetime
    xml: bytes
    record: AuditRecord | None  # None: could not be read back
    exchange_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """Something wrong with the chain, and where: `kind` is changed, deleted, swapped, truncated or rewritten."""

    number: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCriteria:
    """Which records a reviewer asks for; empty fields are no condition.

    Not every record of a study names it: export and import by RAD-68 name the patient and the submission set only. So
    `study_instance_uid` and `exchange_ids` are one condition: records that name the study *or* belong to one of these.
    """

    since: datetime | None = None
    until: datetime | None = None
    patient: str = ""  # CX, or the id alone
    user: str = ""  # part of a participant's user id or name
    organisation: str = ""  # a peer's name or address
    study_instance_uid: str = ""
    exchange_ids: tuple[str, ...] = ()  # records of these count as the study's
    event: str = ""  # event id or transaction code
    outcome: int | None = None
    before: int | None = None  # record number where the last page ended
    limit: int = 100


class AuditArchive(Protocol):
    """Reading, outside of units. Looking at audit is itself audited by the caller (110101)."""

    async def list(self, criteria: AuditCriteria) -> Sequence[ChainedRecord]:
        """Newest first."""
        ...

    def export(self, criteria: AuditCriteria) -> AsyncIterator[ChainedRecord]:
        """All that fit, oldest first."""
        ...

    async def verify(self) -> Sequence[ChainFault]:
        """Walk the chain and its checkpoints; empty when nothing is wrong."""
        ...
