"""Correlations: by which id another community knows a patient of ours, and until when that may be believed.

What a newcomer gets wrong: a correlation is not an identity link. A link says for good that two ids are one person; a
correlation is what a community told us once, for as long as it said.

Source: ITI TF-2 3.55.4.1.2.7 (CorrelationTimeToLive).
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


class Correlations(Protocol):
    """One for each patient and community."""

    async def keep(self, correlation: Correlation) -> None:
        """Put it in the place of what was known of this patient and community."""
        ...

    async def get(self, patient: PatientIdentifier, home: Oid, now: datetime) -> PatientIdentifier | None:
        """By which id this community knows the patient. None: nothing is known, or not any more."""
        ...

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of those that ended before; how many they were."""
        ...
