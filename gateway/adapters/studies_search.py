"""A search for studies in SQL: its conditions, and where in the order of the answer it is worth looking."""

from collections.abc import Callable, Sequence

from sqlalchemy import Column, ColumnElement, and_, exists, not_, or_, select, true

from gateway.adapters.patterns import Pattern, folded
from gateway.adapters.stored import interval
from gateway.adapters.tables import instances, series, studies, study_keys
from profiles.model.query import StudyCriteria

YEAR = 366 * 86_400_000_000  # no start is told less precisely


def conditions(criteria: StudyCriteria, dialect: str) -> list[ColumnElement[bool]]:
    """Criteria in SQL, one condition for each field that says something."""
    column = studies.c
    found: list[ColumnElement[bool]] = []
    if criteria.study_instance_uids:
        found.append(column.study_instance_uid.in_(criteria.study_instance_uids))
    if criteria.series_instance_uids:
        found.append(
            column.study_instance_uid.in_(
                select(series.c.study_instance_uid).where(
                    series.c.series_instance_uid.in_(criteria.series_instance_uids), series.c.withdrawn == 0
                )
            )
        )
    if criteria.sop_instance_uids:
        found.append(
            column.study_instance_uid.in_(
                select(series.c.study_instance_uid)
                .select_from(instances.join(series, instances.c.series_key == series.c.series_key))
                .where(instances.c.sop_instance_uid.in_(criteria.sop_instance_uids))
            )
        )
    if criteria.patient_ids:
        found.append(_with_key("patient", [_identified(*each) for each in criteria.patient_ids]))
    if criteria.accession_numbers:
        found.append(_with_key("accession", [_identified(*each) for each in criteria.accession_numbers]))
    if criteria.patient_name:
        found.append(_with_key("name", [_text(study_keys.c.value, _plain_name(criteria.patient_name), dialect)]))
    if criteria.study_id:
        found.append(_text(column.study_id, criteria.study_id, dialect))
    if criteria.modalities:
        found.append(
            exists()
            .where(
                series.c.study_instance_uid == column.study_instance_uid,
                series.c.modality.in_(criteria.modalities),
                series.c.withdrawn == 0,
            )
            .correlate(studies)
        )
    if criteria.referring_physician:
        found.append(_text(column.referring_physician, _plain_name(criteria.referring_physician), dialect))
    if criteria.description:
        found.append(_text(column.description, folded(criteria.description), dialect))
    for comparison, moment in criteria.started:
        found.append(column.started_from.is_not(None))
        found.append(_COMPARISONS[comparison](column.started_from, column.started_to, *interval(moment)))
        if not selective(criteria):
            found.append(_stretch(column.started_order, comparison, *interval(moment), longest=YEAR))
    for comparison, moment in criteria.updated:
        found.append(_COMPARISONS[comparison](column.updated_at, column.updated_at + 1, *interval(moment)))
        if not selective(criteria):
            found.append(_stretch(column.updated_order, comparison, *interval(moment), longest=1))
    if criteria.statuses:
        found.append(column.status.in_(criteria.statuses))
    return found


def _stretch(order: Column[int], comparison: str, lower: int, upper: int, *, longest: int) -> ColumnElement[bool]:
    """Where in the order of the answer those that fit are: walking it begins there and ends there.

    Only ever wider than the comparison. What an order says is when something begins, backwards; it lasts at most `longest`.
    """
    newest, oldest = -upper, max(-lower, longest - upper)
    match comparison:
        case "eq":
            return order.between(newest, -lower)
        case "gt" | "ge":
            return order <= oldest
        case "lt" | "le":
            return order >= newest
    return true()


def selective(criteria: StudyCriteria) -> bool:
    """Whether the answer is found among few rows: some studies, or a patient's, or an order's."""
    return bool(
        criteria.study_instance_uids
        or criteria.series_instance_uids
        or criteria.sop_instance_uids
        or criteria.patient_ids
        or criteria.accession_numbers
    )


def _with_key(kind: str, alternatives: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    return studies.c.study_instance_uid.in_(
        select(study_keys.c.study_instance_uid).where(study_keys.c.kind == kind, or_(*alternatives))
    )


def _identified(value: str, authority: str | None) -> ColumnElement[bool]:
    if authority is None:
        return study_keys.c.value == value
    return and_(study_keys.c.value == value, study_keys.c.authority == authority)


def _plain_name(text: str) -> str:
    return folded(text).rstrip("^")


def _text(column: Column[str], text: str, dialect: str) -> ColumnElement[bool]:
    return Pattern.from_dicom(text).condition(column, dialect)


Bound = ColumnElement[int]
_COMPARISONS: dict[str, Callable[[Bound, Bound, int, int], ColumnElement[bool]]] = {
    # `studies_rules.compares`, in SQL
    "eq": lambda start, end, lower, upper: and_(start >= lower, end <= upper),
    "ne": lambda start, end, lower, upper: not_(and_(start >= lower, end <= upper)),
    "gt": lambda start, end, lower, upper: end > upper,
    "lt": lambda start, end, lower, upper: start < lower,
    "ge": lambda start, end, lower, upper: or_(and_(start >= lower, end <= upper), end > upper),
    "le": lambda start, end, lower, upper: or_(and_(start >= lower, end <= upper), start < lower),
}
