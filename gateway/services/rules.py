"""Rules: what is to happen by itself with which studies; and the exchange that is opened when something happened to one.

What a newcomer gets wrong: what we published is kept true without a rule. A rule says what is done besides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.study import StudyRecord
from gateway.ports.clock import Clock
from gateway.ports.store import Work

REGISTER = "register"  # in our own registry, without a peer
OFFER = "offer"  # the same with an on-demand entry, or at a peer: `offer:PEER`


def registry_of(action: str) -> str | None:
    """Whose registry an action is about: a peer's name; "": our own. None: it is about none."""
    verb, _, peer = action.partition(":")
    return peer if verb in ("share", REGISTER, OFFER) else None


def action_for(registry: str, *, on_demand: bool) -> str:
    """What makes an entry of this kind there."""
    verb = OFFER if on_demand else "share" if registry else REGISTER
    return f"{verb}:{registry}" if registry else verb


class When(StrEnum):
    """What happened to a study."""

    AVAILABLE = "study.available"  # it has come, or more of it
    CHANGED = "study.changed"  # whose it is, how they are called, or what the archive has of it
    GONE = "study.gone"  # nothing of it is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is to happen by itself: actions as `verb:PEER`, or `register`.

    The conditions must all hold; an empty one is none, and one with several values holds with any of them. `institution`
    and `description` take * and ?, without case. A study that does not say when it began is not younger than anything.
    """

    do: tuple[str, ...]
    when: When = When.AVAILABLE
    modality: tuple[str, ...] = ()
    institution: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    younger_than: timedelta | None = None

    def admits(self, record: StudyRecord, now: datetime) -> bool:
        """Whether it is a study that this rule is for."""
        study = record.study
        return (
            (not self.modality or not frozenset(self.modality).isdisjoint(study.modalities))
            and _one_fits(self.institution, study.institution)
            and _one_fits(self.description, study.description)
            and (
                self.younger_than is None or (study.started is not None and now - study.started.at < self.younger_than)
            )
        )


def _one_fits(patterns: Sequence[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns)


async def happened(
    work: Work, clock: Clock, study_instance_uid: str, patient_id: str, when: When, due_at: datetime | None = None
) -> ExchangeJob:
    """Open the exchange that follows the rules for a study, and keeps true what was published of it."""
    now = clock.now()
    job = ExchangeJob(
        id=clock.new_uuid(), kind=Kind.KEEP, state=State.RECEIVED, opened_at=now, updated_at=now,
        study_instance_uid=study_instance_uid, patient_id=patient_id, payload={"when": when.value},
    )  # fmt: skip
    await work.ledger.open(job)
    return await work.ledger.advance(job.id, Event.SETTLED, now, due_at=due_at)
