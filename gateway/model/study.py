"""StudyRecord: a study as our index keeps it, with what the standards' `Study` does not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from profiles.model.imaging import Study
from profiles.model.query import PageKey


class StudyStatus(StrEnum):
    """FHIR ImagingStudy.status."""

    REGISTERED = "registered"  # its manifest is here, its instances are on their way
    AVAILABLE = "available"
    CANCELLED = "cancelled"  # nothing of it is left: its manifest was replaced, and no other names anything of it
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """One study of the index. `study.patient` is the local patient; `source` the peer that it came from ("" : here).

    `instance_counts` says by Series Instance UID how many instances are here, also where `study` is without instances.
    """

    study: Study
    status: StudyStatus
    updated_at: datetime
    version: int = 1
    source: str = ""
    instance_counts: Mapping[str, int] = field(default_factory=dict, compare=False)

    def page_key(self, order: str) -> PageKey:
        """Where a page that ends with this record ends, in this order ("started" or "updated")."""
        at = self.updated_at if order == "updated" else None if self.study.started is None else self.study.started.at
        value = "" if at is None else at.astimezone(UTC).isoformat()
        return PageKey(value=value, study_instance_uid=self.study.study_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """An instance that is kept and hidden: the manifest that brought it was replaced by one that does not name it.

    `manifest` is the uniqueId of that one; "": what had named it was replaced while it was being fetched.
    """

    series_instance_uid: str
    sop_instance_uid: str
    manifest: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """A page of matches in the order asked for. `total` counts all matches; None: not counted."""

    records: tuple[StudyRecord, ...] = field(default=())
    total: int | None = None
    more: bool = False
