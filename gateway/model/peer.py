"""Peer: an organisation or system that we exchange with, as our configuration describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from profiles.model.identifiers import Oid
from profiles.wire.hl7v2.address import Hl7Address

if TYPE_CHECKING:
    from profiles.xua.iti40 import Assertion


class UnknownPatientPolicy(StrEnum):
    """What happens to a submission whose patient cannot be settled."""

    HOLD = "hold"  # keep it, answer Success with the warning DocumentQueued, let a person decide
    REJECT = "reject"  # answer XDSUnknownPatientId


class AssertionPolicy(StrEnum):
    """Whether a peer's requests say who the person is on whose behalf they are made (XUA)."""

    OFF = "off"  # not looked at; a security header that must be understood is refused
    OPTIONAL = "optional"  # one that comes is verified
    REQUIRED = "required"


class SentAssertion(StrEnum):
    """What of our own assertions a peer is sent with our requests."""

    OFF = "off"
    BEARER = "bearer"
    HOLDER_OF_KEY = "holder-of-key"  # tied to the certificate that we show


class Tolerance(StrEnum):
    """A known oddity of real peers that we can read. Each is counted and shown in the peer's support matrix."""

    PLAIN_SOAP_RETRIEVE = "plain-soap-retrieve"  # ITI-43/RAD-69/RAD-75 request as plain SOAP
    ACTION_WHITE_SPACE = "action-white-space"
    UNDERSTOOD_HEADERS = "understood-headers"  # mustUnderstand on headers that we do understand
    FOREIGN_REPOSITORY_ID = "foreign-repository-id"
    SUBMISSION_WITHOUT_MTOM = "submission-without-mtom"
    PERCENT_ENCODED_CONTENT_ID = "percent-encoded-content-id"
    LF_ONLY_MIME = "lf-only-mime"


ONLY_BY_NAME = frozenset({"ITI-57", "ITI-62", "ITI-86", "ITI-92"})
"""What changes or removes what others brought: no peer may it whose `scopes` do not name it."""

DEFAULT_TOLERANCES = frozenset(Tolerance) - {Tolerance.FOREIGN_REPOSITORY_ID, Tolerance.SUBMISSION_WITHOUT_MTOM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One organisation or system.

    `endpoints` are addresses by transaction id ("RAD-69"), or by service: "FHIR", "DICOMWEB", "MLLP"
    (`mllp://host:port`, `mllps://host:port`). `certificate_sha256` are fingerprints in lower-case hex: who they are when
    they call us, and whom we accept when we call them.
    """

    name: str
    home_community_id: Oid | None = None
    homes: tuple[Oid, ...] = ()  # further communities that it answers for, as a hub does
    forward: bool = False  # what others bring us for its communities (ITI-80) is passed on to it
    repository_unique_ids: tuple[Oid, ...] = ()
    retrieve_location_uids: tuple[Oid, ...] = ()
    source_ids: frozenset[Oid] = frozenset()  # sourceIds that it may submit under; empty: any
    patient_authority: Oid | None = None
    certificate_sha256: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    unknown_patient: UnknownPatientPolicy = UnknownPatientPolicy.HOLD
    tolerances: frozenset[Tolerance] = DEFAULT_TOLERANCES
    of_our_community: bool = False  # our responding gateways hand out what it keeps, and ours initiating do
    reply_to: frozenset[str] = frozenset()  # addresses that answers to them may be brought to, as they write them
    ask_asynchronously: frozenset[str] = frozenset()  # transaction ids whose answers they bring to our reply address
    answer_timeout_s: float = 300.0  # an answer that comes later has not begun to come for so long: give up
    deferred_discovery: bool = False  # by which id they know a patient (ITI-55) they are asked to say later
    hl7: Hl7Address | None = None  # how messages to them are addressed
    hl7_namespaces: Mapping[str, Oid] = field(default_factory=dict)  # authorities of ids that name no OID
    device_id: Oid | None = None  # what HL7 V3 calls them as a receiver; None: their home community id
    identifier_domains: tuple[Oid, ...] = ()  # authorities whose ids they are notified of by ITI-46; empty: all
    scopes: frozenset[str] = frozenset()  # transaction ids that they may ask for; empty: all but ONLY_BY_NAME
    batch_instances: int = 100  # instances asked for in one RAD-69
    idle_timeout_s: float = 30.0  # nothing moved for so long: give up; never a limit on the whole exchange
    assertion: AssertionPolicy = AssertionPolicy.OFF
    issuers: frozenset[str] = frozenset()  # entity ids of those whose assertions they may bring; empty: any we believe
    purposes: frozenset[str] = frozenset()  # codes of the purposes of use that are served; empty: any, and none
    roles: frozenset[str] = frozenset()  # codes of roles that are served; empty: any, and none
    send_assertion: SentAssertion = SentAssertion.OFF
    audience: str = ""  # of the assertions that we send; "": the address that is asked

    def speaks_for(self, home: Oid | None) -> bool:
        """Whether what it says of this community is its to say."""
        return home is not None and (home == self.home_community_id or home in self.homes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is asking: the peer (None: nobody we know), from where, as which person.

    `local_address` is the endpoint that was asked, as the caller wrote it; `certificate` what was shown in TLS (DER, b"":
    none); `assertion` who the person is on whose behalf a peer asks, verified (None: nobody said).
    """

    peer: Peer | None
    network_address: str
    local_address: str = ""
    person: str = ""  # a desk login
    certificate: bytes = b""
    assertion: "Assertion | None" = None
    via: str = "certificate"  # certificate, token, name (MSH-3 and 4, without TLS), loopback, desk, nobody
