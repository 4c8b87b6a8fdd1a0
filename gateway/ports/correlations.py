"""Correlations: by which id another community knows a patient of ours, and until when that may be believed.

What a newcomer gets wrong: a correlation is not an identity link. A link says for good that two ids are one person; a
correlation is what a community told us once, for as long as it said.

A community may also say it later (a deferred question). What it was asked is here until it has answered, and for a while
after: that it knows nobody is remembered as a question that was answered without a correlation.

Source: ITI TF-2 3.55.4.1.2.7 (CorrelationTimeToLive), 3.55.4.1.3 (deferred).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from profiles.model.identifiers import Oid, PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """One patient of ours at one community. `patient` is the id by which ours is asked about, `identifier` theirs."""

    patient: PatientIdentifier
    home: Oid
    identifier: PatientIdentifier
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredQuestion:
    """One patient of ours, asked about at one community, which answers later.

    `message_id` is the UUID of what we sent, without prefix; `exchange_id` on whose behalf. `until` is how long the answer
    is awaited, and once it was `answered`, how long that counts.
    """

    patient: PatientIdentifier
    home: Oid
    message_id: str
    peer: str
    exchange_id: str
    until: datetime
    answered: bool = False


class Correlations(Protocol):
    """One for each patient and community; and one question, where it is put to who answers later."""

    async def keep(self, correlation: Correlation) -> None:
        """Put it in the place of what was known of this patient and community."""
        ...

    async def get(self, patient: PatientIdentifier, home: Oid, now: datetime) -> PatientIdentifier | None:
        """By which id this community knows the patient. None: nothing is known, or not any more."""
        ...

    async def ask(self, question: DeferredQuestion) -> None:
        """Put it in the place of what this community was asked about this patient before."""
        ...

    async def asked(self, patient: PatientIdentifier, home: Oid, now: datetime) -> DeferredQuestion | None:
        """What this community was asked about the patient. None: nothing, or it counts no more."""
        ...

    async def asked_as(self, message_id: str, now: datetime) -> DeferredQuestion | None:
        """The same by the id of its message."""
        ...

    async def take_back(self, question: DeferredQuestion) -> None:
        """Forget that it was asked; what was asked about the patient since stays."""
        ...

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of each, correlations and questions, that ended before; how many they were."""
        ...
