"""A search for studies, series or instances, and what was found, in model terms.

What a newcomer gets wrong: a search for series may name attributes of its study. Those go into `criteria`, which the index
decides; conditions of the lower levels, and the few of the study that the index does not know, are decided on what it
found (`rows_of`). Only when there are none of these may the index do the paging (`direct`).
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache

from profiles.model.imaging import Instance, Series, Study
from profiles.model.query import StudyCriteria
from profiles.wire.dicom.web import date_of, time_of

MAX_RESULTS = 1000
"""Of studies and series in one answer; the rest is told by a Warning and asked for by offset."""

MAX_INSTANCES = 10_000
MAX_SCANNED_STUDIES = 1000
"""Studies that are looked through when the index cannot decide a search by itself."""


class Level(Enum):
    """What is searched for."""

    STUDY = "studies"
    SERIES = "series"
    INSTANCE = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition on an attribute that the index does not decide: one of `patterns` fits.

    Patterns have wildcards (`*`, `?`); for dates and times they are ranges (`a-b`, `a-`, `-b`).
    """

    keyword: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """Which of them, and how many. `unsupported` are parameters that are answered as if they were not there."""

    level: Level
    criteria: StudyCriteria = field(default_factory=StudyCriteria)
    conditions: tuple[Condition, ...] = ()
    limit: int = MAX_RESULTS
    offset: int = 0
    include: frozenset[str] = frozenset()  # tags, or "all"
    unsupported: tuple[str, ...] = ()

    @property
    def direct(self) -> bool:
        """Whether the index pages by itself: `criteria` with this limit and offset give the answer."""
        return self.level is Level.STUDY and not self.conditions

    @property
    def needs_instances(self) -> bool:
        """Whether the studies must come with their instances."""
        instance_level = any(each.keyword in _INSTANCE_VALUES for each in self.conditions)
        return self.level is Level.INSTANCE or instance_level

    def scan(self) -> StudyCriteria:
        """What to ask the index when it cannot page."""
        return replace(self.criteria, limit=MAX_SCANNED_STUDIES, offset=0)

    def rows_of(self, study: Study, counts: Mapping[str, int], *, available: bool = True) -> "Iterator[SearchRow]":
        """What of a study is found, in its order.

        Args:
            study: With its series; with its instances when `needs_instances`.
            counts: Instances that are here, by Series Instance UID.
            available: Whether they can be had now.
        """
        whole = SearchRow(study=study, counts=counts, available=available)
        if self.level is Level.STUDY:
            if self._fits(whole):
                yield whole
            return
        for series in study.series:
            row = replace(whole, series=series)
            if self.level is Level.SERIES:
                if self._fits(row):
                    yield row
                continue
            for instance in series.instances:
                found = replace(row, instance=instance)
                if self._fits(found):
                    yield found

    def _fits(self, row: "SearchRow") -> bool:
        return all(_fits(each, row) for each in self.conditions)

    def page(self, rows: "Iterable[SearchRow]") -> "tuple[tuple[SearchRow, ...], int]":
        """This request's page of all rows, and how many come after it."""
        found = list(rows)
        page = tuple(found[self.offset : self.offset + self.limit])
        return page, max(0, len(found) - self.offset - len(page))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """One thing that was found: a study, or a series or instance of it. `counts` as in `SearchRequest.rows_of`."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    available: bool = True

    @property
    def instance_count(self) -> int:
        """Instances of the study, or of the series."""
        if self.series is not None:
            return self.counts.get(self.series.series_instance_uid, len(self.series.instances))
        return sum(self.counts.values()) or self.study.instance_count


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResponse:
    """0..n rows in a stable order. `remaining`: how many more there are; None: there are more, nobody counted.

    `warnings` are sentences for the client, such as that the index is not complete yet.
    """

    rows: tuple[SearchRow, ...] = ()
    remaining: int | None = 0
    warnings: tuple[str, ...] = ()


# --- conditions -------------------------------------------------------------------------------------------------------

_STUDY_VALUES: Mapping[str, Callable[[Study], list[str]]] = {
    "PatientID": lambda study: [each.value for each in study.patient.identifiers],
    "StudyTime": lambda study: [time_of(study.started, None)],
    "PatientBirthDate": lambda study: [date_of(study.patient.birth_date, None)],
    "PatientSex": lambda study: [study.patient.sex.value],
    "AccessionNumber": lambda study: [each.value for each in study.accession_numbers],
    "StudyID": lambda study: [study.study_id],
    "InstitutionName": lambda study: [study.institution],
    "ProcedureCodeSequence.CodeValue": lambda study: [each.value for each in study.procedure_codes],
}
_SERIES_VALUES: Mapping[str, Callable[[Series], list[str]]] = {
    "Modality": lambda series: [series.shown_modality],
    "SeriesInstanceUID": lambda series: [str(series.series_instance_uid)],
    "SeriesNumber": lambda series: ["" if series.number is None else str(series.number)],
    "SeriesDescription": lambda series: [series.description],
    "BodyPartExamined": lambda series: [series.body_part],
    "SeriesDate": lambda series: [date_of(series.started, None)],
    "SeriesTime": lambda series: [time_of(series.started, None)],
    "PerformedProcedureStepStartDate": lambda series: [date_of(series.started, None)],
    "PerformedProcedureStepStartTime": lambda series: [time_of(series.started, None)],
}
_INSTANCE_VALUES: Mapping[str, Callable[[Instance], list[str]]] = {
    "SOPClassUID": lambda instance: [str(instance.sop_class_uid)],
    "SOPInstanceUID": lambda instance: [str(instance.sop_instance_uid)],
    "InstanceNumber": lambda instance: ["" if instance.number is None else str(instance.number)],
}
CONDITIONS = frozenset((*_STUDY_VALUES, *_SERIES_VALUES, *_INSTANCE_VALUES))
"""Keywords that a condition can be about."""

_RANGES = frozenset(
    (
        *("StudyTime", "PatientBirthDate", "SeriesDate", "SeriesTime"),
        *("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    )
)


def _fits(condition: Condition, row: SearchRow) -> bool:
    """Of a study, that one of its series (or instances) fits; of a lower row, that it fits itself."""
    keyword = condition.keyword
    values: list[str]
    if keyword in _STUDY_VALUES:
        values = _STUDY_VALUES[keyword](row.study)
    elif keyword in _SERIES_VALUES:
        all_series = (row.series,) if row.series is not None else row.study.series
        values = [value for each in all_series for value in _SERIES_VALUES[keyword](each)]
    else:
        all_series = (row.series,) if row.series is not None else row.study.series
        instances = (
            (row.instance,)
            if row.instance is not None
            else (each for series in all_series for each in series.instances)
        )
        values = [value for each in instances for value in _INSTANCE_VALUES[keyword](each)]
    is_range = keyword in _RANGES
    return any(
        _in_range(value, pattern) if is_range else _like(value, pattern)
        for pattern in condition.patterns
        for value in values
    )


def _in_range(value: str, pattern: str) -> bool:
    """A DA or TM in a range whose ends may be open and less precise than the value."""
    if not value:
        return False
    start, dash, end = pattern.partition("-")
    if not dash:
        end = start
    return (not start or value >= start) and (not end or value[: len(end)] <= end)


def _like(value: str, pattern: str) -> bool:
    return _pattern(pattern).fullmatch(value.strip()) is not None


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    """DICOM knows `*` and `?`; brackets are characters (PS3.4 C.2.2.2.4)."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
