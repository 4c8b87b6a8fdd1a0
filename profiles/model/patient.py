"""A person, and how two ids are known to be the same person."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment


class Sex(StrEnum):
    """Administrative sex as DICOM (0010,0040) and HL7 table 0001 share it; U when not said."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = "U"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """A name in parts. The wires order prefix and suffix differently (PN: prefix, suffix; XPN: suffix, prefix).

    `ideographic` and `phonetic` are the other two DICOM groups, as they came.
    """

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    ideographic: str = ""
    phonetic: str = ""

    def __repr__(self) -> str:
        """Nothing: a name must not slip into a log."""
        return "PersonName(…)"


NO_NAME = PersonName()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient as one house knows them. `identifiers` are 1..n; the first is the one the house itself uses.

    Demographics do not print themselves.
    """

    identifiers: tuple[PatientIdentifier, ...]
    name: PersonName = NO_NAME
    birth_date: Moment | None = None
    sex: Sex = Sex.UNKNOWN
    address: str = ""  # XAD as it came: shown and handed on, never taken apart
    active: bool = True
    replaced_by: PatientIdentifier | None = None  # set on the subsumed one of a merge

    def __repr__(self) -> str:
        """The number of ids and nothing else."""
        return f"Patient(identifiers={len(self.identifiers)})"

    def identifier_of(self, authority: str) -> PatientIdentifier | None:
        """The id that this authority gave, if it gave one."""
        return next((each for each in self.identifiers if each.authority == authority), None)

    def survives(
        self, subsumed: Iterable[PatientIdentifier]
    ) -> tuple[tuple[PatientIdentifier, PatientIdentifier], ...]:
        """(subsumed, surviving) for each of these whose authority gave this patient an id too."""
        return tuple((each, stays) for each in subsumed if (stays := self.identifier_of(each.authority)) is not None)

    def known_as(self, identifier: PatientIdentifier) -> "Patient":
        """The same person with this id first."""
        others = tuple(each for each in self.identifiers if each != identifier)
        return replace(self, identifiers=(identifier, *others))


class Evidence(StrEnum):
    """Why two ids are held to be one person."""

    SAME_AUTHORITY = "same authority"  # the id is already ours
    FEED = "patient identity feed"  # one message named both
    DEMOGRAPHICS = "demographics agree"  # name, birth date and sex, one candidate
    PERSON = "decided by a person"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLink:
    """That a foreign id and a local id are one person: on what evidence, who decided, when."""

    local: PatientIdentifier
    foreign: PatientIdentifier
    evidence: Evidence
    decided_by: str
    decided_at: datetime
