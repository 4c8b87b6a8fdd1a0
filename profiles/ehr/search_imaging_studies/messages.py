"""A search for studies, and a page of what was found."""

from dataclasses import dataclass
from enum import Enum

from profiles.findings import Finding
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
