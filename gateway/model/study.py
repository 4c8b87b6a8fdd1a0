"""StudyRecord: a study as our index keeps it, with what the standards' `Study` does not say."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from profiles.model.imaging import Study


class StudyStatus(StrEnum):
    """FHIR ImagingStudy.status."""

    REGISTERED = "registered"  # its manifest is here, its instances are on their way
    AVAILABLE = "available"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """One study of the index. `study.patient` is the local patient; `source` the peer that it came from ("" : here)."""

    study: Study
    status: StudyStatus
    updated_at: datetime
    version: int = 1
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """A page of matches in the order asked for. `total` counts all matches; None: not counted."""

    records: tuple[StudyRecord, ...] = field(default=())
    total: int | None = None
    more: bool = False
