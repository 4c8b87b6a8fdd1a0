"""Every knob, typed, with its unit and the reason of its default. Secrets are never printed.

How they are read is `settings_reading`; what is well-formed and cannot work is `settings_checks`. Whatever is wrong is
refused together, each problem with its key, the reason and the cure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gateway.model.peer import (
    DEFAULT_TOLERANCES,
    AssertionPolicy,
    SentAssertion,
    Tolerance,
    UnknownPatientPolicy,
)
from profiles.model.identifiers import Oid

FAILED_TIMES = 10  # how much longer than the others what failed is kept: somebody may yet have to look into it
LONGEST_S = 86_400.0  # a wait of more than a day is a mistake
MOST_BYTES = 2**40  # and so is a message of more than 1 TiB


def _oid(text: object) -> object:
    return Oid.from_urn(text) if isinstance(text, str) else text


OidSetting = Annotated[Oid, BeforeValidator(_oid)]
"""An OID, with or without `urn:oid:`."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("no such time zone; use a name such as Europe/Berlin") from None
    return name


class Section(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class HouseSection(Section):
    """Who we are. Ids that are not given are made once, at the first start, and kept in the data folder."""

    name: str = Field(default="radgate", min_length=1, pattern=r"\S")
    data: Path = Path("data")  # everything that is ours is below this folder
    home_community_id: OidSetting | None = None
    repository_unique_id: OidSetting | None = None
    retrieve_location_uid: OidSetting | None = None
    source_id: OidSetting | None = None  # SubmissionSet.sourceId; None: the repository's id
    patient_authority: OidSetting | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"  # of DICOM and HL7 times that name none
    ae_title: str = Field(default="RADGATE", max_length=16)
    hl7_application: str = "RADGATE"
    hl7_facility: str = ""  # "": the house's name
    hl7_namespaces: Mapping[str, OidSetting] = Field(default_factory=dict)  # of ids that name no OID
    recipients: tuple[str, ...] = ()  # whom submissions from other communities may be for; none: anybody


class AffinityDomainSection(Section):
    """The domain whose patient ids and codes a registry shares."""

    patient_authority: OidSetting | None = None  # None: we share in no domain but our own
    code_sets: Path | None = None  # None: built-in codes; see README
    check_codes: Literal["off", "warn", "refuse"] = "off"  # others' codes; off: who sends from outside has other lists
    registry: str = ""  # the [[peer]] that registers what our repository keeps (ITI-42); "": our own registry does
    shared_authorities: tuple[OidSetting, ...] = ()  # of ids that all communities share, such as national ones


class StoreSection(Section):
    """Where rows and documents live."""

    url: SecretStr | None = None  # sqlite:///path or postgresql://; None: SQLite in the data folder
    objects: str | None = None  # file:///path; None: files in the data folder


class ArchiveSection(Section):
    """Where pixels live."""

    kind: Literal["files", "dicomweb"] = "files"
    url: str = ""  # of the DICOMweb service
    native_url: str = ""  # Orthanc's own /instances, where there is one: large objects come several times faster
    user: str = ""
    password: SecretStr = SecretStr("")
    # between two walks: how old the index of what others change may be
    look_again_s: float = Field(default=900.0, gt=0, le=30 * LONGEST_S)
    # so long it may not tell of what it was given; after that it has lost it
    late_s: float = Field(default=600.0, ge=0, le=30 * LONGEST_S)


class ListenSection(Section):
    """Where we are asked. Port 0 picks a free one and prints it."""

    host: str = "127.0.0.1"  # loopback: nothing is open to a network before somebody says so
    http_port: int = Field(default=8080, ge=0, le=65535)  # 8443 where TLS is configured
    mllp_port: int = Field(default=2575, ge=0, le=65535)
    mllp: bool = True
    base_url: str = ""  # as others reach us; "": made from host and port
    reply_url: str = ""  # where others bring answers that we asked for asynchronously; "": base_url + /soap/reply
    drain_timeout_s: float = Field(
        default=20.0, gt=0, le=LONGEST_S
    )  # a broken pour costs the peer more than our waiting


class TlsSection(Section):
    """Who we are on the wire, and whom we believe."""

    certificate: Path | None = None
    key: Path | None = None
    trust: tuple[Path, ...] = ()  # authorities; peers' own certificates are trusted beside them
    client_certificate: Literal["required", "optional"] = "optional"  # optional: the desk has a login instead

    @property
    def enabled(self) -> bool:
        """Whether we listen with TLS."""
        return self.certificate is not None


class AuditSection(Section):
    """Where audit goes beside our own chain."""

    syslog: str = ""  # tls://host:port; "": kept here only
    syslog_trust: tuple[Path, ...] = ()
    enterprise_site_id: str = ""
    checkpoint_records: int = Field(default=1000, gt=0, le=1_000_000)
    checkpoint_s: float = Field(default=60.0, gt=0, le=LONGEST_S)


class AccessSection(Section):
    """Who may ask without a certificate or token."""

    anonymous_loopback: bool = False  # only from this machine, only for trying things out
    session_minutes: int = Field(default=30, gt=0, le=1_440)  # a desk left alone is closed


class LimitsSection(Section):
    """Bounds of what is read. Bytes, unless the name says otherwise."""

    soap_root_bytes: int = Field(default=8 * 1024 * 1024, gt=0, le=MOST_BYTES)  # a SOAP part without inline documents
    document_bytes: int = Field(default=256 * 1024 * 1024, gt=0, le=MOST_BYTES)  # one submitted document
    request_bytes: int = Field(default=0, ge=0)  # of one upload; 0: no limit, a study has none
    hl7_message_bytes: int = Field(default=64 * 1024 * 1024, gt=0, le=MOST_BYTES)  # HL7 allows base64 reports
    idle_timeout_s: float = Field(
        default=30.0, gt=0, le=LONGEST_S
    )  # nothing moved for so long; never a limit on a whole exchange
    results: int = Field(default=10_000, gt=0, le=1_000_000)  # entries in one answer
    community_deadline_s: float = Field(
        default=20.0, gt=0, le=LONGEST_S
    )  # to the head of its answer; a person waits for all of them
    # who is who at other communities; 0: never remembered
    correlation_hours: float = Field(default=24.0, ge=0, le=8_760)


def _file(path: object) -> object:
    return path or None


KeyFile = Annotated[Path | None, BeforeValidator(_file)]
"""A secret is in a file of its own; "" is none."""


class RetentionSection(Section):
    """How long what only operators look at is kept. What failed is kept `FAILED_TIMES` as long; audit is not touched."""

    raw_days: int = Field(default=30, gt=0, le=36_500)  # what a partner's complaint about a message takes to arrive
    raw_bytes: int = Field(
        default=1024**3, ge=0, le=2**50
    )  # 16 thousand of 64 KiB; of those that failed, as much again
    raw_key: KeyFile = None  # a file with 32 bytes, hexadecimal, that encrypts them at rest; None: in the clear
    ask_days: int = Field(default=90, gt=0, le=36_500)  # a quarter's questions, for its report


class CodeSetting(Section):
    """A code of a system."""

    code: str = Field(min_length=1)
    system: str = Field(min_length=1)  # its OID
    display: str = ""


class AssertionSection(Section):
    """XUA: what we accept of other people's assertions, and what we put into our own."""

    audience: tuple[str, ...] = ()  # URIs that mean us; none: listen.base_url and our home community
    clock_skew_s: float = Field(default=60.0, ge=0, le=600)  # how far the clocks of two houses may be apart
    lifetime_s: float = Field(
        default=3600.0, gt=0, le=86_400
    )  # of one that is accepted: what is stolen is good so long
    once: bool = False  # true: every assertion is good for one message; else only those that ask for it themselves
    certificate: Path | None = None  # of the key that signs ours
    key: Path | None = None
    entity_id: str = ""  # who we are as an issuer; "": our home community
    organization: str = ""  # "": the house's name
    own_lifetime_s: float = Field(default=300.0, gt=0, le=LONGEST_S)  # a call that takes longer has begun within it
    purpose: CodeSetting | None = None  # of calls that the house makes of its own accord; None: treatment


class IssuerSection(Section):
    """Somebody whose assertions we believe."""

    name: str
    entity_id: str = ""  # what its assertions call their Issuer; "": the name
    certificates: tuple[Path, ...] = Field(min_length=1)  # whose keys may sign; two while the issuer changes them
    home_community_ids: tuple[OidSetting, ...] = ()  # for which it may speak; none: for any


class PeerSection(Section):
    """An organisation or system that we exchange with."""

    name: str = Field(min_length=1, pattern=r"\S")
    home_community_id: OidSetting | None = None
    homes: tuple[OidSetting, ...] = ()  # further communities that it answers for
    forward: bool = False  # pass on to it what others submit to its communities: nobody relays without being asked to
    of_our_community: bool = (
        False  # other communities are handed out what it keeps: nothing leaves without being told to
    )
    repository_unique_ids: tuple[OidSetting, ...] = ()
    source_ids: frozenset[OidSetting] = frozenset()  # that its submissions may name; empty: any
    retrieve_location_uids: tuple[OidSetting, ...] = ()
    patient_authority: OidSetting | None = None
    certificate: Path | None = None  # who they are; also who we let in
    token_sha256: str = ""  # of a bearer token, lower-case hex; the token itself is nowhere here
    unknown_patient: UnknownPatientPolicy = UnknownPatientPolicy.HOLD
    tolerances: frozenset[Tolerance] = DEFAULT_TOLERANCES
    device_id: OidSetting | None = None  # receiver.device.id of HL7 V3; None: home_community_id
    identifier_domains: tuple[OidSetting, ...] = ()  # by ITI-46; empty: all domains
    scopes: frozenset[str] = frozenset()
    endpoint: Mapping[str, str] = Field(default_factory=dict)
    reply_to: frozenset[str] = frozenset()  # where their SOAP requests may ask the answer to be brought (wsa:ReplyTo)
    ask_asynchronously: frozenset[str] = frozenset()  # SOAP transactions whose answers they bring to listen.reply_url
    deferred_discovery: bool = False  # they say later by which id they know a patient, at our initiating gateway
    # until an answer that comes later begins; somebody may have to look the study up on tape
    answer_timeout_s: float = Field(default=300.0, gt=0, le=LONGEST_S)
    hl7_application: str = ""
    hl7_facility: str = ""
    hl7_namespaces: Mapping[str, OidSetting] = Field(default_factory=dict)  # win over the house's: two may say "MPI"
    batch_instances: int = Field(default=100, ge=1, le=1000)
    idle_timeout_s: float = Field(default=30.0, gt=0, le=LONGEST_S)
    assertion: AssertionPolicy = AssertionPolicy.OFF  # of the person who asks (XUA), in their SOAP requests
    issuers: tuple[str, ...] = ()  # whose assertions they may bring; none: those of any [[issuer]]
    purposes: frozenset[str] = frozenset()  # of use, by their codes; empty: any, and none
    roles: frozenset[str] = frozenset()  # of the person, by their codes; empty: any, and none
    send_assertion: SentAssertion = SentAssertion.OFF  # what of ours we send them
    audience: str = ""  # of what we send; "": the address that is asked


class RepositorySection(Section):
    """A further repository of this house, at `/soap/repository/{name}`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)  # a part of its address
    unique_id: OidSetting  # its documents are registered with it
    home_community_id: OidSetting | None = None  # None: the house's
    patient_authority: OidSetting | None = None  # of the ids that its submissions name; None: the affinity domain's


class PublishSection(Section):
    """How what is here is published."""

    per_minute: int = Field(default=60, ge=1, le=60_000)  # studies, of a back-fill and of a walk through the archive
    keep_on_demand: bool = False  # what is made on demand, as a stable document; off: it can be made anew


class RuleSection(Section):
    """What is to happen by itself, with studies for which all conditions hold; an empty one is none."""

    when: Literal["study.available", "study.changed"]
    do: tuple[str, ...] = Field(
        min_length=1
    )  # "announce:PEER", "share:PEER", "register" (our registry), "offer", "offer:PEER" (on demand)
    modality: tuple[str, ...] = ()  # one of them
    institution: tuple[str, ...] = ()  # one of them, with * and ?
    description: tuple[str, ...] = ()  # of the study; the same
    younger_than_days: int = Field(default=0, ge=0, le=36_500)  # since the study began; 0: however old


class Settings(Section):
    """The whole file."""

    house: HouseSection = HouseSection()
    affinity_domain: AffinityDomainSection = AffinityDomainSection()
    store: StoreSection = StoreSection()
    archive: ArchiveSection = ArchiveSection()
    listen: ListenSection = ListenSection()
    tls: TlsSection = TlsSection()
    audit: AuditSection = AuditSection()
    access: AccessSection = AccessSection()
    limits: LimitsSection = LimitsSection()
    retention: RetentionSection = RetentionSection()
    assertion: AssertionSection = AssertionSection()
    issuer: tuple[IssuerSection, ...] = ()
    peer: tuple[PeerSection, ...] = ()
    repository: tuple[RepositorySection, ...] = ()
    publish: PublishSection = PublishSection()
    rule: tuple[RuleSection, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps us from starting."""

    key: str
    reason: str
    cure: str

    def __str__(self) -> str:
        """As the operator reads it."""
        return f"{self.key}: {self.reason}. {self.cure}"


class SettingsError(Exception):
    """The settings cannot be used; `problems` has 1..n reasons, all that were found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep them all."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
