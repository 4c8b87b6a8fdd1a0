"""A search for patients by identifier, and who was found."""

from dataclasses import dataclass

from profiles.model.patient import Patient
from profiles.model.query import Identified


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPatientsRequest:
    """Whom: all `conditions` hold, each is 1..n alternatives. An impossible search has a condition without any."""

    conditions: tuple[tuple[Identified, ...], ...]

    @property
    def candidates(self) -> tuple[Identified, ...]:
        """Where to look: the shortest condition; who is found there must still match."""
        return min(self.conditions, key=len)

    def matches(self, patient: Patient) -> bool:
        """Whether the patient meets every condition."""
        known = {(each.value, str(each.authority)) for each in patient.identifiers}
        values = {value for value, _ in known}
        return all(
            any(
                (value in values) if authority is None else ((value, str(authority)) in known)
                for value, authority in each
            )
            for each in self.conditions
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPatientsResponse:
    """Everybody who matches, in any order, nobody twice."""

    patients: tuple[Patient, ...] = ()
