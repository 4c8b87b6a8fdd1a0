"""What can be asked of the indexes, in model terms: documents (the registry), studies (the archive's index), patients.

Every field is a condition; all conditions hold together; an empty tuple or None is no condition.
"""

from dataclasses import dataclass

from profiles.model.codes import Code
from profiles.model.document import AvailabilityStatus, EntryType
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import PersonName, Sex


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """From <= t < to, either may be open. An object without the time is not filtered by it (ITI TF-2 3.18.4.1.2.3.7)."""

    start: Moment | None = None
    end: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCriteria:
    """Which document entries are meant.

    Plain tuples are alternatives (OR). `event_codes`, `confidentiality_codes` and `reference_ids` are AND of OR.
    `reference_ids` and `author_persons` are SQL LIKE patterns against the CXi and XCN text; `unique_ids`,
    `entry_uuids` and `logical_ids` (all versions) name entries directly. `latest`: no version that has a newer one.

    Source: ITI TF-2 3.18.4.1.2.3.7.
    """

    patient_ids: tuple[PatientIdentifier, ...] = ()
    statuses: tuple[AvailabilityStatus, ...] = ()
    entry_types: tuple[EntryType, ...] = (EntryType.STABLE,)
    entry_uuids: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()
    logical_ids: tuple[str, ...] = ()
    latest: bool = False
    class_codes: tuple[Code, ...] = ()
    type_codes: tuple[Code, ...] = ()
    format_codes: tuple[Code, ...] = ()
    practice_setting_codes: tuple[Code, ...] = ()
    healthcare_facility_type_codes: tuple[Code, ...] = ()
    event_codes: tuple[tuple[Code, ...], ...] = ()
    confidentiality_codes: tuple[tuple[Code, ...], ...] = ()
    author_persons: tuple[str, ...] = ()
    reference_ids: tuple[tuple[str, ...], ...] = ()
    creation_time: TimeRange = TimeRange()
    service_start_time: TimeRange = TimeRange()
    service_stop_time: TimeRange = TimeRange()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSetCriteria:
    """Which submission sets are meant; all conditions hold together.

    Source: ITI TF-2 3.18.4.1.2.3.7.2.
    """

    patient_ids: tuple[PatientIdentifier, ...] = ()
    statuses: tuple[AvailabilityStatus, ...] = ()
    entry_uuids: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()
    submission_time: TimeRange = TimeRange()
    author_person: str = ""  # a SQL LIKE pattern
    content_type_codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCriteria:
    """Which folders are meant; all conditions hold together, `codes` are AND of OR, versions are as of entries.

    Source: ITI TF-2 3.18.4.1.2.3.7.3.
    """

    patient_ids: tuple[PatientIdentifier, ...] = ()
    statuses: tuple[AvailabilityStatus, ...] = ()
    entry_uuids: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()
    logical_ids: tuple[str, ...] = ()
    latest: bool = False
    last_update_time: TimeRange = TimeRange()
    codes: tuple[tuple[Code, ...], ...] = ()


Identified = tuple[str, str | None]
"""A value and the OID of its authority; None: any authority."""


def identified(text: str) -> Identified:
    """A patient id as a person types it: alone, or as `ID^^^&OID&ISO`."""
    try:
        found = PatientIdentifier.from_cx(text)
    except ValueError:
        return text, None
    return found.value, str(found.authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKey:
    """Where a page ended: the sort value and the study UID. Keyset paging loses and doubles nothing."""

    value: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCriteria:
    """Which studies are meant.

    Plain tuples are alternatives. Text fields take DICOM wildcards (`*`, `?`) where noted. `started` and `updated` are
    lists of (comparison, moment) that all hold; comparisons are `eq ne gt ge lt le`, a moment is an interval of its
    precision. `statuses` are FHIR's words. Results are ordered by `order`, newest first, then study UID.
    """

    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    patient_ids: tuple[Identified, ...] = ()
    patient_name: str = ""  # wildcards; compared without case and accents
    accession_numbers: tuple[Identified, ...] = ()
    study_id: str = ""
    modalities: tuple[str, ...] = ()
    referring_physician: str = ""
    description: str = ""
    started: tuple[tuple[str, Moment], ...] = ()
    updated: tuple[tuple[str, Moment], ...] = ()
    statuses: tuple[str, ...] = ()
    order: str = "started"  # or "updated"
    after: PageKey | None = None
    limit: int = 50
    offset: int = 0  # QIDO pages by offset; FHIR by `after`


# --- patients ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCriteria:
    """A name that is looked for: each part that it has agrees, without case and accents.

    `beginning`: parts need only begin so (HL7 V3's use SRCH).
    """

    name: PersonName
    beginning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BirthCriteria:
    """Born in this time, both ends included, each as precise as it was said: 1970 to 1970 is the whole year."""

    low: Moment | None = None
    high: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientCriteria:
    """Which patients are meant: all conditions hold together, but that one of several names is enough.

    `identifiers` are all those of one patient. `address` are parts of it by their names in HL7 V3 (`city`).

    Source: ITI TF-2 3.47.4.1.2.1.
    """

    identifiers: tuple[PatientIdentifier, ...] = ()
    names: tuple[NameCriteria, ...] = ()
    birth: BirthCriteria | None = None
    sex: Sex | None = None
    address: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """How many conditions, and nothing of what they say: they are a person's demographics."""
        return f"PatientCriteria(identifiers={len(self.identifiers)}, names={len(self.names)})"
