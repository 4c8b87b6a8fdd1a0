"""One audited event, the same value for PS3.15 XML and FHIR AuditEvent.

Source: DICOM PS3.15 A.5; ITI TF-2 3.20.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCode:
    """A code as audit messages write it: csd-code, codeSystemName, originalText."""

    code: str
    system: str
    text: str


class Action(StrEnum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


class NetworkAccessPoint(StrEnum):
    """NetworkAccessPointTypeCode."""

    NAME = "1"
    ADDRESS = "2"
    TELEPHONE = "3"
    EMAIL = "4"
    URI = "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveParticipant:
    """A person or process that took part. `is_requestor`: it started the event."""

    user_id: str
    is_requestor: bool
    alternative_user_id: str = ""
    user_name: str = ""
    roles: tuple[AuditCode, ...] = ()
    network_access_point: str = ""
    network_access_point_type: NetworkAccessPoint | None = None
    media: AuditCode | None = None  # MediaType, for a medium that took part (110154, 110155)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantObject:
    """What the event was about. `query` and `details` hold the bytes themselves; base64 belongs to the wire.

    `type_code` and `role` are 0 where a sender did not say (we always do); `id` is "" where there is none.
    `sop_classes` are (SOP class UID, number of instances), for studies.
    """

    type_code: int
    role: int
    id_type: AuditCode
    id: str
    life_cycle: int | None = None
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, bytes], ...] = ()
    accessions: tuple[str, ...] = ()
    sop_classes: tuple[tuple[str, int], ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One event: what, when, with which outcome, who, about what; 1..n participants, 0..n objects.

    One patient per record: where several are touched, several records are written (ITI TF-2 3.20).
    """

    event: AuditCode
    action: Action
    at: datetime
    outcome: Outcome
    source_id: str
    participants: tuple[ActiveParticipant, ...]
    objects: tuple[ParticipantObject, ...] = ()
    types: tuple[AuditCode, ...] = ()
    outcome_description: str = ""
    purposes: tuple[AuditCode, ...] = ()
    enterprise_site_id: str = ""
    source_type: int = 4  # application server
