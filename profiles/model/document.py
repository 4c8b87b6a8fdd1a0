"""Registered documents: what XDS calls DocumentEntry, SubmissionSet, Folder and Association.

Source: ITI TF-3 4.2.3 (metadata attributes); 4.2.2 (associations).
"""

from dataclasses import dataclass
from enum import StrEnum

from profiles.model.codes import Code
from profiles.model.identifiers import EntryUuid, Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient

ACCESSION = "urn:ihe:iti:xds:2013:accession"
ORDER = "urn:ihe:iti:xds:2013:order"
DOCUMENT_AVAILABILITY = "documentAvailability"
ONLINE, OFFLINE = (f"urn:ihe:iti:2010:DocumentAvailability:{each}" for each in ("Online", "Offline"))
"""The values of that slot (Metadata Update): can the document be retrieved at once."""

STUDY_INSTANCE_UID = "urn:ihe:iti:xds:2016:studyInstanceUID"


class AvailabilityStatus(StrEnum):
    """Whether queries see the object. PENDING is ours: kept, and invisible until a person releases it."""

    APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
    DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
    PENDING = "pending"


class EntryType(StrEnum):
    """ITI TF-3 4.2.5.2."""

    STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
    ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"


class AssociationType(StrEnum):
    """ITI TF-3 4.2.2; the last two are the operations of an update (ITI-57)."""

    HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
    REPLACE = "urn:ihe:iti:2007:AssociationType:RPLC"
    TRANSFORM = "urn:ihe:iti:2007:AssociationType:XFRM"
    APPEND = "urn:ihe:iti:2007:AssociationType:APND"
    TRANSFORM_REPLACE = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
    SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
    IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
    UPDATE_AVAILABILITY_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
    SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceId:
    """An entry of referenceIdList (CXi): an order, an accession, a study.

    Source: ITI TF-3 4.2.3.2.28.
    """

    value: str
    type: str
    authority: str = ""  # an OID, or a namespace id; empty for types that are globally unique


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who made it. Each value is the HL7 v2 form that XDS writes (XCN, XON, XTN)."""

    person: str = ""
    institutions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()


Slots = tuple[tuple[str, tuple[str, ...]], ...]
"""Extra metadata as it came: slot name and values, in document order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """One document, registered. Fields stand in the Framework's order.

    `entry_uuid` is what the sender wrote, symbolic or not, until a registry has assigned one.

    Source: ITI TF-3 4.2.3.2.
    """

    entry_uuid: str
    unique_id: str
    patient_id: PatientIdentifier
    class_code: Code
    type_code: Code
    format_code: Code
    healthcare_facility_type_code: Code
    practice_setting_code: Code
    confidentiality_codes: tuple[Code, ...]
    event_codes: tuple[Code, ...] = ()
    mime_type: str = "application/octet-stream"
    entry_type: EntryType = EntryType.STABLE
    availability_status: AvailabilityStatus = AvailabilityStatus.APPROVED
    title: str = ""
    comments: str = ""
    authors: tuple[Author, ...] = ()
    legal_authenticator: str = ""
    creation_time: Moment | None = None
    service_start_time: Moment | None = None
    service_stop_time: Moment | None = None
    language_code: str = ""
    source_patient_id: PatientIdentifier | None = None
    source_patient: Patient | None = None  # sourcePatientInfo; None: not sent
    hash: str = ""  # SHA-1, 40 lower-case hex digits
    size_bytes: int | None = None
    repository_unique_id: Oid | None = None
    home_community_id: Oid | None = None
    uri: str = ""
    reference_ids: tuple[ReferenceId, ...] = ()
    logical_id: str = ""  # lid; "": the same as entry_uuid (first version)
    version: int = 1
    extra: Slots = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSet:
    """What was sent together.

    Source: ITI TF-3 4.2.3.3.
    """

    entry_uuid: str
    unique_id: str
    source_id: str
    patient_id: PatientIdentifier
    content_type_code: Code
    submission_time: Moment
    title: str = ""
    comments: str = ""
    authors: tuple[Author, ...] = ()
    intended_recipients: tuple[str, ...] = ()
    availability_status: AvailabilityStatus = AvailabilityStatus.APPROVED
    home_community_id: Oid | None = None
    extra: Slots = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A named group of documents of one patient.

    Source: ITI TF-3 4.2.3.4.
    """

    entry_uuid: str
    unique_id: str
    patient_id: PatientIdentifier
    codes: tuple[Code, ...] = ()
    title: str = ""
    comments: str = ""
    last_update_time: Moment | None = None
    availability_status: AvailabilityStatus = AvailabilityStatus.APPROVED
    home_community_id: Oid | None = None
    logical_id: str = ""  # as of an entry
    version: int = 1
    extra: Slots = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A typed arrow between two registry objects, by entryUUID or, inside a submission, by symbolic id."""

    entry_uuid: str
    type: AssociationType
    source: str
    target: str
    original: bool | None = None  # SubmissionSetStatus: True Original, False Reference, None not a set's member
    availability_status: AvailabilityStatus = AvailabilityStatus.APPROVED
    extra: Slots = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The registry objects of one request: exactly one submission set, 0..n of everything else."""

    submission_set: SubmissionSet
    entries: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()


def logical_id_of(each: DocumentEntry | Folder) -> str:
    """What all versions of an object have in common: the entryUUID of the first of them."""
    return each.logical_id or each.entry_uuid


def is_entry_uuid(text: str) -> bool:
    """Whether an id is a UUID already; anything else is symbolic and valid inside its submission only."""
    try:
        EntryUuid(text)
    except ValueError:
        return False
    return True


def availability_of(entry: DocumentEntry) -> str:
    """Whether its document can be retrieved at once: ONLINE, OFFLINE or what somebody else called it.

    Most entries do not say. Spec ambiguity: what they mean by that is not written; a document that is registered can be
    asked for, so they are online.
    """
    return next((values[0] for name, values in entry.extra if name == DOCUMENT_AVAILABILITY and values), ONLINE)
