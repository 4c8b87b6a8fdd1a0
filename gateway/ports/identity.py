"""Identity: who is this? Patients of our own domain and of the affinity domain, and links to everybody else's ids."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import IdentityLink, Patient
from profiles.model.query import PatientCriteria


class Identity(Protocol):
    """The patients."""

    async def put(self, patient: Patient, at: datetime) -> Patient:
        """Create or update by any identifier that we know; demographics are replaced, identifiers are added.

        Answers the patient as it is now, with the same first identifier as before.

        Raises:
            IdentityConflict: Its identifiers belong to different patients already.
        """
        ...

    async def get(self, identifier: PatientIdentifier) -> Patient | None:
        """The patient who is known by this id, through links too. A subsumed id answers None: it is not valid any more.

        Source: ITI TF-2 3.8.4.2.4.
        """
        ...

    async def subsumed(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving id, if this one was merged away."""
        ...

    async def match(self, patient: Patient) -> Sequence[Patient]:
        """Candidates whose name, birth date and sex agree; 0..n, never the subsumed."""
        ...

    async def find(self, criteria: PatientCriteria, limit: int) -> Sequence[Patient]:
        """The patients who fit all conditions, never the subsumed, in a fixed order; 0..`limit`.

        There is a search by ids and by family names; the other conditions only narrow it.

        Raises:
            RuleViolation: Neither an id nor a family name is among the conditions.
            TooManyResults: More than `limit` have to be looked at.

        Source: ITI TF-2 3.47.4.1.3.2 (all exact matches are returned).
        """
        ...

    async def search(self, text: str, limit: int = 50) -> Sequence[Patient]:
        """By id or by the beginning of a name, for people; without a text the first of all, by name."""
        ...

    async def link(self, link: IdentityLink) -> None:
        """Hold a foreign id and a local one for the same person."""
        ...

    async def links(self, identifier: PatientIdentifier) -> Sequence[IdentityLink]:
        """Links that name this id, on either side."""
        ...

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> Patient:
        """A40: the subsumed id stops being valid; answers the survivor.

        Raises:
            UnknownPatient: One of them is not known, or was merged away already.
            IdentityConflict: Different authorities.
            Duplicate: Both are the same.

        Source: ITI TF-2 3.8.4.2.
        """
        ...
