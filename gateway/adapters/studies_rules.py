"""How the index merges what it learns of a study, the same for rows and for memory."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from gateway.adapters.stored import interval, micros
from profiles.errors import IdentityConflict, MalformedMessage
from profiles.model.imaging import Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.model.query import PageKey

UNDATED = 1 << 62  # the place of a study without a start: after all others

Interval = tuple[int, int]

T = TypeVar("T")


def same_person(one: Patient, other: Patient) -> bool:
    """Whether they share an id. Two of the same authority are two patients, whatever else they share."""
    return not set(one.identifiers).isdisjoint(other.identifiers)


def check_patient(there: Study, patient: Patient) -> None:
    """A study is one patient's.

    Raises:
        IdentityConflict: It is here already for another patient.
    """
    if not same_person(there.patient, patient):
        raise IdentityConflict(
            "the study is here already for another patient", location=there.study_instance_uid,
            cure="Decide which patient the study is of; the other's objects stay out until then",
        )  # fmt: skip


def merged_study(there: Study, learned: Study) -> Study:
    """What was empty is filled, numbers and codes add up; what was said first stays said. Series are not touched."""
    return replace(
        there,
        accession_numbers=_union(there.accession_numbers, learned.accession_numbers),
        study_id=there.study_id or learned.study_id,
        started=_more_precise(there.started, learned.started),
        description=there.description or learned.description,
        referring_physician=there.referring_physician
        if any((there.referring_physician.family, there.referring_physician.given))
        else learned.referring_physician,
        institution=there.institution or learned.institution,
        procedure_codes=_union(there.procedure_codes, learned.procedure_codes),
        placer_orders=_union(there.placer_orders, learned.placer_orders),
    )


def merged_series(there: Series, learned: Series) -> Series:
    """The same for a series. Where it can be had follows the last who told: a source may have moved.

    The last guess of a modality stands until one is told; then there is none any more.
    """
    modality = there.modality or learned.modality
    return replace(
        there,
        modality=modality,
        expected_modality="" if modality else learned.expected_modality or there.expected_modality,
        number=learned.number if there.number is None else there.number,
        description=there.description or learned.description,
        body_part=there.body_part or learned.body_part,
        laterality=there.laterality or learned.laterality,
        started=_more_precise(there.started, learned.started),
        retrieve_location_uid=learned.retrieve_location_uid or there.retrieve_location_uid,
        retrieve_url=learned.retrieve_url or there.retrieve_url,
        retrieve_ae_title=learned.retrieve_ae_title or there.retrieve_ae_title,
    )


def corrected_study(there: Study, learned: Study, patient: Patient) -> Study:
    """What is said now stands, of the study and of those series that it is said of; their instances stay."""
    told = {each.series_instance_uid: each for each in learned.series}
    series = tuple(
        corrected_series(each, told[each.series_instance_uid]) if each.series_instance_uid in told else each
        for each in there.series
    )
    return replace(learned, patient=patient, series=series)


def corrected_series(there: Series, learned: Series) -> Series:
    """The same for a series; where it can be had is not forgotten."""
    return replace(
        learned,
        instances=there.instances,
        retrieve_location_uid=learned.retrieve_location_uid or there.retrieve_location_uid,
        retrieve_url=learned.retrieve_url or there.retrieve_url,
        retrieve_ae_title=learned.retrieve_ae_title or there.retrieve_ae_title,
    )


def _union(there: tuple[T, ...], learned: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*there, *learned)))


def _more_precise(there: Moment | None, learned: Moment | None) -> Moment | None:
    if there is None or (learned is not None and learned.precision > there.precision):
        return learned
    return there


def shown_order(series: Series) -> tuple[int, int, str]:
    """Series by number, those without one last."""
    return (series.number is None, series.number or 0, series.series_instance_uid)


def compares(comparison: str, asked: Interval, there: Interval) -> bool:
    """Whether a time that is there fits, both being intervals with their end left out.

    Source: FHIR R4 3.1.1.4.6 (prefixes): `eq` asks that what is there lies within what was asked, `gt` and `lt` that some
    of it lies outside on that side.
    """
    equal = asked[0] <= there[0] and there[1] <= asked[1]
    match comparison:
        case "eq":
            return equal
        case "ne":
            return not equal
        case "gt":
            return there[1] > asked[1]
        case "lt":
            return there[0] < asked[0]
        case "ge":
            return equal or there[1] > asked[1]
        case "le":
            return equal or there[0] < asked[0]
    raise ValueError(f"no such comparison: {comparison}")


def started_order(started: Moment | None) -> int:
    """Ascending is newest first, undated last."""
    return UNDATED if started is None else -interval(started)[0]


def place_after(after: PageKey) -> tuple[int, str]:
    """The place of a page key in ascending order: its value is an ISO time, "" for a study without a start.

    Raises:
        MalformedMessage: The value is not one that we gave.
    """
    if not after.value:
        return UNDATED, after.study_instance_uid
    try:
        at = datetime.fromisoformat(after.value)
    except ValueError:
        raise MalformedMessage("this page does not exist; follow the links") from None
    return -micros(at if at.tzinfo is not None else at.replace(tzinfo=UTC)), after.study_instance_uid
