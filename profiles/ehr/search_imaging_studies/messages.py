"""A search for studies, and a page of what was found."""

from dataclasses import dataclass, replace
from datetime import tzinfo
from enum import Enum

from profiles.findings import Finding
from profiles.model.moment import Moment
from profiles.model.query import PageKey, StudyCriteria
from profiles.wire.fhir.endpoint import Endpoint
from profiles.wire.fhir.imaging_study import IndexedStudy


class Detail(Enum):
    """How much of each study the answer will show."""

    COUNT = "count"  # no study at all, only how many there are
    SERIES = "series"  # instances are counted, not listed
    INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchImagingStudiesRequest:
    """Which studies, how much of them, and whether all matches are to be counted."""

    criteria: StudyCriteria
    detail: Detail = Detail.INSTANCES
    count_matches: bool = True

    def in_zone(self, zone: tzinfo) -> "SearchImagingStudiesRequest":
        """The same, with days and times that named no zone read by this clock: the server's, says FHIR."""

        def placed(conditions: tuple[tuple[str, Moment], ...]) -> tuple[tuple[str, Moment], ...]:
            return tuple((comparison, _placed(at, zone)) for comparison, at in conditions)

        criteria = replace(self.criteria, started=placed(self.criteria.started), updated=placed(self.criteria.updated))
        return replace(self, criteria=criteria)


def _placed(at: Moment, zone: tzinfo) -> Moment:
    return at if at.zoned else Moment(at.at.replace(tzinfo=zone), at.precision, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchImagingStudiesResponse:
    """A page: 0..n studies in the order asked for.

    `total` counts all matches (None: not counted), `next` is where the page ended (None: it is the last one). `endpoints`
    are all of the house; studies that can be had refer to them. `warnings` travel as an OperationOutcome.
    """

    studies: tuple[IndexedStudy, ...] = ()
    total: int | None = None
    next: PageKey | None = None
    endpoints: tuple[Endpoint, ...] = ()
    warnings: tuple[Finding, ...] = ()
