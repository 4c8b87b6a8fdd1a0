"""How patients are made, changed and merged, the same for rows and for memory.

Source: ITI TF-2 3.8.4 (Patient Identity Feed).
"""

import re
from dataclasses import replace

from gateway.adapters.patterns import Pattern, Wild, folded
from profiles.errors import Duplicate, IdentityConflict, UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Precision
from profiles.model.patient import IdentityLink, Patient


def updated(there: Patient, told: Patient) -> Patient:
    """Demographics are replaced, identifiers are added; the house goes on using the same one."""
    return replace(
        told,
        identifiers=tuple(dict.fromkeys((*there.identifiers, *told.identifiers))),
        active=there.active,
        replaced_by=there.replaced_by,
    )


def matching(patient: Patient) -> str:
    """What two patients must have equal to be candidates: name, birth date and sex. "": too little is known."""
    born = patient.birth_date
    family = folded(patient.name.family)
    if not family or born is None or born.precision < Precision.DAY:
        return ""
    return f"{family}^{folded(patient.name.given)}|{born.dtm[:8]}|{patient.sex}"


def searched_name(patient: Patient) -> str:
    """What a search by name looks at: `family^given^middle`, folded."""
    return folded("^".join((patient.name.family, patient.name.given, patient.name.middle)).rstrip("^"))


def searched_ideographic(patient: Patient) -> str:
    """The same for the ideographic group."""
    return folded(patient.name.ideographic)


def beginnings(text: str) -> tuple[Pattern, ...]:
    """Names that begin with what a person typed: "doe", "doe, jane", "jane doe"."""
    words = [folded(word) for word in re.split(r"[\s,^]+", text.strip()) if word]
    if not words:
        return ()
    orders = [words] if len(words) == 1 else [words, words[::-1]]
    patterns = []
    for order in orders:
        parts: list[str | Wild] = []
        for position, word in enumerate(order):
            parts += [*(("^",) if position else ()), *word, Wild.ANY]
        patterns.append(Pattern(tuple(parts)))
    return tuple(patterns)


def beginning(text: str) -> Pattern:
    """Ids that begin with this."""
    return Pattern((*text.strip(), Wild.ANY))


def check_merge(subsumed: PatientIdentifier, surviving: PatientIdentifier) -> None:
    """What can be said of a merge without looking.

    Raises:
        Duplicate, IdentityConflict: As the port says.
    """
    if subsumed == surviving:
        raise Duplicate("both ids of the merge are the same", code="205")
    if subsumed.authority != surviving.authority:
        raise IdentityConflict("the ids of a merge are of one authority", code="204")


def not_valid(which: str) -> UnknownPatient:
    """An id of a merge that is not known, or was merged away already."""
    return UnknownPatient(f"the {which} id is not known here, or was merged already", code="204")


def merged(subsumed: PatientIdentifier, gone: Patient, surviving: PatientIdentifier, stays: Patient) -> Patient:
    """The survivor: what other ids the subsumed patient had are theirs now."""
    others = tuple(each for each in gone.identifiers if each != subsumed)
    kept = tuple(each for each in stays.identifiers if each != subsumed)
    return replace(stays, identifiers=tuple(dict.fromkeys((*kept, *others, surviving))))


def buried(subsumed: PatientIdentifier, gone: Patient, surviving: PatientIdentifier) -> Patient:
    """The subsumed patient, for those who still look."""
    return replace(gone, identifiers=(subsumed,), active=False, replaced_by=surviving)


def repointed(link: IdentityLink, subsumed: PatientIdentifier, surviving: PatientIdentifier) -> IdentityLink | None:
    """A link after a merge; None where it would join an id with itself."""
    local = surviving if link.local == subsumed else link.local
    foreign = surviving if link.foreign == subsumed else link.foreign
    return None if local == foreign else replace(link, local=local, foreign=foreign)
