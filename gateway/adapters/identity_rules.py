"""How patients are made, changed and merged, the same for rows and for memory.

Source: ITI TF-2 3.8.4 (Patient Identity Feed).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.adapters.patterns import Pattern, Wild, folded
from profiles.errors import Duplicate, IdentityConflict, RuleViolation, TooManyResults, UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment, Precision
from profiles.model.patient import IdentityLink, Patient, PersonName
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.wire.hl7v3.datatypes import address_parts


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


# --- who fits ---------------------------------------------------------------------------------------------------------


def fits(patient: Patient, criteria: PatientCriteria) -> bool:
    """Whether a patient meets all conditions but the ids; what is not known of a patient does not meet a condition."""
    return (
        (not criteria.names or any(_named(patient.name, each) for each in criteria.names))
        and (criteria.birth is None or _born(patient.birth_date, criteria.birth))
        and (criteria.sex is None or patient.sex is criteria.sex)
        and _lives_at(patient.address, criteria.address)
    )


def _named(name: PersonName, wanted: NameCriteria) -> bool:
    family, _, given = name.ideographic.partition("^")
    spellings = [name, *((PersonName(family=family, given=given.partition("^")[0]),) if family else ())]
    return any(_spelt(each, wanted) for each in spellings)


def _spelt(name: PersonName, wanted: NameCriteria) -> bool:
    for part in ("family", "given", "middle", "prefix", "suffix"):
        asked, there = folded(getattr(wanted.name, part)), folded(getattr(name, part))
        if asked and not (there.startswith(asked) if wanted.beginning else there == asked):
            return False
    return True


def _born(born: Moment | None, wanted: BirthCriteria) -> bool:
    if born is None:
        return False
    day = born.dtm[:8]
    low, high = (each.dtm[:8] if each is not None else "" for each in (wanted.low, wanted.high))
    # "1970" as a high end is the whole year: digits come before the colon.
    return day >= low and (not high or day < f"{high}:")


def _lives_at(address: str, wanted: tuple[tuple[str, str], ...]) -> bool:
    there = {kind: folded(value) for kind, value in address_parts(address)} if wanted else {}
    return all(there.get(kind) == folded(value) for kind, value in wanted)


def leading(criteria: PatientCriteria) -> tuple[Pattern, ...]:
    """What an index is asked for: how `searched_name` of everybody begins who has one of the names.

    Raises:
        RuleViolation: One of the names has no family name, or there is none: all patients would have to be looked at.
    """
    if not criteria.names or not all(each.name.family for each in criteria.names):
        raise RuleViolation(
            "patients are searched by an id or a family name", cure="Ask with an id, or with a family name"
        )
    patterns = []
    for each in criteria.names:
        family, given = folded(each.name.family), folded(each.name.given)
        if each.beginning:
            patterns.append(Pattern((*family, Wild.ANY)))
            continue
        whole = f"{family}^{given}" if given else family
        patterns += [Pattern(tuple(whole)), Pattern((*whole, "^", Wild.ANY))]
    return tuple(patterns)


def check_limit(count: int, limit: int) -> None:
    """What may be looked at.

    Raises:
        TooManyResults: It is more.
    """
    if count > limit:
        raise TooManyResults(f"more than {limit} patients have such a name", cure="Ask with more of the name, or an id")


def the_same(patients: Sequence[Patient | None]) -> Patient | None:
    """The one whom all ids lead to; None: one of them leads to nobody, or to somebody else."""
    first = patients[0]
    return first if first is not None and all(each == first for each in patients) else None


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
