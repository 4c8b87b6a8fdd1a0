"""What the house knew of an exchange when it ended: all that an audit record says beyond the request and the response.

`profiles.transaction` hands these names on; transaction folders import them from there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from profiles.errors import ExchangeError
from profiles.model.audit import AuditCode
from profiles.model.identifiers import Oid, PatientIdentifier


class Side(StrEnum):
    """Whose audit record it is."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One system of the two, as audit names it: `user_id` is the endpoint, AE title or `facility|application`."""

    user_id: str
    network_address: str = ""
    process_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """The person for whom a system acts, if an assertion or a login told us; and the organisation that the person is of."""

    user_id: str
    user_name: str = ""
    roles: tuple[AuditCode, ...] = ()
    purposes: tuple[AuditCode, ...] = ()
    home_community_id: Oid | None = None
    organization: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFact:
    """A study that an exchange was about, with what of it was handed over."""

    study_instance_uid: str
    patient: PatientIdentifier | None = None
    accession_numbers: tuple[str, ...] = ()
    sop_classes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the house knew of an exchange when it ended, beyond its request and response.

    `delivered` names the parts that went out whole (document unique ids, SOP Instance UIDs), `undelivered` the others;
    both are empty for a transaction that pours nothing. `error` is None for success and for partial success.
    `query` is the request as it came, where audit asks for it (base64 is the wire's business).
    """

    at: datetime
    source_id: str
    local: Party
    remote: Party
    enterprise_site_id: str = ""
    user: User | None = None
    patients: tuple[PatientIdentifier, ...] = ()
    studies: tuple[StudyFact, ...] = ()
    delivered: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()
    created: bool | None = None  # a store: whether the objects were new to us
    query: bytes | None = None
    error: ExchangeError | None = None
