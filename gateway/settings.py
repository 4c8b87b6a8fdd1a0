"""Every knob, typed, with its unit and the reason of its default. TOML first, environment over it.

`RADGATE__SECTION__KEY=value` overrides `[section] key`. Unknown keys, missing files and settings that contradict each
other are refused together, each with its key, the reason and the cure. Secrets are never printed.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from gateway.model.peer import (
    DEFAULT_TOLERANCES,
    AssertionPolicy,
    SentAssertion,
    Tolerance,
    UnknownPatientPolicy,
)
from profiles.model.identifiers import Oid

ENVIRONMENT = "RADGATE__"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FAILED_TIMES = 10  # how much longer than the others what failed is kept: somebody may yet have to look into it
RAW_KEY = re.compile(r"\s*[0-9A-Fa-f]{64}\s*")  # 32 bytes


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

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class HouseSection(Section):
    """Who we are. Ids that are not given are made once, at the first start, and kept in the data folder."""

    name: str = "radgate"
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


class AffinityDomainSection(Section):
    """The domain whose patient ids and codes a registry shares."""

    patient_authority: OidSetting | None = None  # None: we share in no domain but our own
    code_sets: Path | None = None  # None: built-in codes; see README
    shared_authorities: tuple[OidSetting, ...] = ()  # of ids that all communities share, such as national ones


class StoreSection(Section):
    """Where rows and documents live."""

    url: SecretStr | None = None  # None: SQLite in the data folder
    objects: str | None = None  # file:///path; None: files in the data folder


class ArchiveSection(Section):
    """Where pixels live."""

    kind: Literal["files", "dicomweb"] = "files"
    url: str = ""  # of the DICOMweb service
    native_url: str = ""  # Orthanc's own /instances, where there is one: large objects come several times faster
    user: str = ""
    password: SecretStr = SecretStr("")
    # between two walks: how old the index of what others change may be
    look_again_s: float = Field(default=900.0, gt=0)
    # so long it may not tell of what it was given; after that it has lost it
    late_s: float = Field(default=600.0, ge=0)


class ListenSection(Section):
    """Where we are asked. Port 0 picks a free one and prints it."""

    host: str = "127.0.0.1"  # loopback: nothing is open to a network before somebody says so
    http_port: int = Field(default=8080, ge=0, le=65535)  # 8443 where TLS is configured
    mllp_port: int = Field(default=2575, ge=0, le=65535)
    mllp: bool = True
    base_url: str = ""  # as others reach us; "": made from host and port
    drain_timeout_s: float = Field(default=20.0, gt=0)  # a broken pour costs the peer more than our waiting


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
    checkpoint_records: int = Field(default=1000, gt=0)
    checkpoint_s: float = Field(default=60.0, gt=0)


class AccessSection(Section):
    """Who may ask without a certificate or token."""

    anonymous_loopback: bool = False  # only from this machine, only for trying things out
    session_minutes: int = Field(default=30, gt=0)  # a desk left alone is closed


class LimitsSection(Section):
    """Bounds of what is read. Bytes, unless the name says otherwise."""

    soap_root_bytes: int = 8 * 1024 * 1024  # a SOAP part without inline documents
    document_bytes: int = 256 * 1024 * 1024  # one submitted document
    request_bytes: int = 0  # of one upload; 0: no limit, a study has none
    hl7_message_bytes: int = 64 * 1024 * 1024  # HL7 allows base64 reports
    idle_timeout_s: float = 30.0  # nothing moved for so long; never a limit on a whole exchange
    results: int = 10_000  # entries in one answer
    community_deadline_s: float = Field(default=20.0, gt=0)  # to the head of its answer; a person waits for all of them
    # who is who at other communities; 0: never remembered
    correlation_hours: float = Field(default=24.0, ge=0, le=8_760)


def _file(path: object) -> object:
    return path or None


KeyFile = Annotated[Path | None, BeforeValidator(_file)]
"""A secret is in a file of its own; "" is none."""


class RetentionSection(Section):
    """How long what only operators look at is kept. What failed is kept `FAILED_TIMES` as long; audit is not touched."""

    raw_days: int = Field(default=30, gt=0, le=36_500)  # what a partner's complaint about a message takes to arrive
    raw_bytes: int = Field(default=1024**3, ge=0)  # 16 thousand of 64 KiB; of those that failed, as much again
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
    own_lifetime_s: float = Field(default=300.0, gt=0)  # a call that takes longer has begun within it
    purpose: CodeSetting | None = None  # of calls that the house makes of its own accord; None: treatment


class IssuerSection(Section):
    """Somebody whose assertions we believe."""

    name: str
    entity_id: str = ""  # what its assertions call their Issuer; "": the name
    certificates: tuple[Path, ...] = Field(min_length=1)  # whose keys may sign; two while the issuer changes them
    home_community_ids: tuple[OidSetting, ...] = ()  # for which it may speak; none: for any


class PeerSection(Section):
    """An organisation or system that we exchange with."""

    name: str
    home_community_id: OidSetting | None = None
    homes: tuple[OidSetting, ...] = ()  # further communities that it answers for
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
    hl7_application: str = ""
    hl7_facility: str = ""
    hl7_namespaces: Mapping[str, OidSetting] = Field(default_factory=dict)  # win over the house's: two may say "MPI"
    batch_instances: int = Field(default=100, ge=1, le=1000)
    idle_timeout_s: float = 30.0
    assertion: AssertionPolicy = AssertionPolicy.OFF  # of the person who asks (XUA), in their SOAP requests
    issuers: tuple[str, ...] = ()  # whose assertions they may bring; none: those of any [[issuer]]
    purposes: frozenset[str] = frozenset()  # of use, by their codes; empty: any, and none
    roles: frozenset[str] = frozenset()  # of the person, by their codes; empty: any, and none
    send_assertion: SentAssertion = SentAssertion.OFF  # what of ours we send them
    audience: str = ""  # of what we send; "": the address that is asked


class PublishSection(Section):
    """How what is here is published."""

    per_minute: int = Field(default=60, ge=1, le=60_000)  # studies, of a back-fill and of a walk through the archive


class RuleSection(Section):
    """What is to happen by itself, with studies for which all conditions hold; an empty one is none."""

    when: Literal["study.available", "study.changed"]
    do: tuple[str, ...]  # "announce:PEER", "share:PEER", "register" (our registry), "offer", "offer:PEER" (on demand)
    modality: tuple[str, ...] = ()  # one of them
    institution: tuple[str, ...] = ()  # one of them, with * and ?
    description: tuple[str, ...] = ()  # of the study; the same
    younger_than_days: int = Field(default=0, ge=0)  # since the study began; 0: however old


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


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a file (None: defaults only) and the environment over it; relative paths are relative to the file.

    Raises:
        SettingsError: With every problem that was found.
    """
    tables: dict[str, Any] = {}
    if path is not None:
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SettingsError(
                (Problem(str(path), "there is no such file", "`radgate config init` writes one"),)
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError((Problem(str(path), f"cannot be read: {error}", "Mend the file"),)) from None
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT):
            _override(tables, name[len(ENVIRONMENT) :].lower().split("__"), value)
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        raise SettingsError(tuple(_problems(error))) from None
    settings = _anchored(settings, path.parent if path is not None else Path())
    problems = tuple(contradictions(settings))
    if problems:
        raise SettingsError(problems)
    return settings


def _override(tables: dict[str, Any], names: list[str], value: str) -> None:
    *sections, key = names
    for section in sections:
        tables = tables.setdefault(section, {})
    tables[key] = value


def _problems(error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"])
        if each["type"] == "extra_forbidden":
            yield Problem(key, "is not a setting", "`radgate config init` writes a file with every setting explained")
        elif each["type"] == "missing":
            yield Problem(key, "is missing", "Add it")
        else:
            yield Problem(key, each["msg"].removeprefix("Value error, "), "Change its value")


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make relative paths relative to the file that names them."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else (folder / path).absolute()

    tls = settings.tls.model_copy(
        update={
            "certificate": at(settings.tls.certificate),
            "key": at(settings.tls.key),
            "trust": tuple(folder / each for each in settings.tls.trust),
        }
    )
    return settings.model_copy(
        update={
            "house": settings.house.model_copy(update={"data": at(settings.house.data)}),
            "affinity_domain": settings.affinity_domain.model_copy(
                update={"code_sets": at(settings.affinity_domain.code_sets)}
            ),
            "tls": tls,
            "retention": settings.retention.model_copy(update={"raw_key": at(settings.retention.raw_key)}),
            "assertion": settings.assertion.model_copy(
                update={"certificate": at(settings.assertion.certificate), "key": at(settings.assertion.key)}
            ),
            "issuer": tuple(
                issuer.model_copy(update={"certificates": tuple(folder / each for each in issuer.certificates)})
                for issuer in settings.issuer
            ),
            "audit": settings.audit.model_copy(
                update={"syslog_trust": tuple(folder / each for each in settings.audit.syslog_trust)}
            ),
            "peer": tuple(peer.model_copy(update={"certificate": at(peer.certificate)}) for peer in settings.peer),
        }
    )


def contradictions(settings: Settings) -> Iterator[Problem]:
    """What is well-formed and cannot work."""
    yield from _missing_files(settings)
    tls = settings.tls
    if (tls.certificate is None) != (tls.key is None):
        yield Problem("tls.key", "certificate and key come together", "Name both, or neither")
    loopback = settings.listen.host in LOOPBACK
    if not loopback and not tls.enabled:
        yield Problem("listen.host", "a network address without TLS would show patients' data", "Configure [tls]")
    if settings.access.anonymous_loopback and not loopback:
        yield Problem("access.anonymous_loopback", "only works on loopback", "Set listen.host to 127.0.0.1")
    objects = settings.store.objects
    if objects is not None and not objects.startswith("file:///"):
        yield Problem("store.objects", "only a folder is supported", "Write file:///path, or leave it out")
    if settings.archive.kind == "dicomweb" and not settings.archive.url:
        yield Problem(
            "archive.url", "a DICOMweb archive has an address", "Add it, such as http://localhost:8042/dicom-web"
        )
    key = settings.retention.raw_key
    if key is not None and key.is_file() and not RAW_KEY.fullmatch(key.read_text("utf-8", errors="replace")):
        yield Problem("retention.raw_key", "is not 32 bytes in hexadecimal", f"`openssl rand -hex 32 > {key.name}`")
    where = urlsplit(settings.audit.syslog)
    if settings.audit.syslog and (where.scheme not in {"tls", "tcp"} or not where.hostname):
        yield Problem("audit.syslog", "is not an address", "Write tls://host:6514")
    if where.scheme == "tcp" and where.hostname not in LOOPBACK:
        yield Problem("audit.syslog", "audit records name patients and do not travel in the clear", "Use tls://")
    names = [peer.name for peer in settings.peer]
    for index, peer in enumerate(settings.peer):
        if names.count(peer.name) > 1:
            yield Problem(f"peer.{index}.name", f"two peers are called {peer.name}", "Names tell peers apart")
        for service, address in peer.endpoint.items():
            if "://" not in address:
                yield Problem(f"peer.{index}.endpoint.{service}", "is not an address", "Write scheme://host:port/path")
    yield from _about_assertions(settings)
    for index, rule in enumerate(settings.rule):
        for action in rule.do:
            verb, _, name = action.partition(":")
            if action in {"register", "offer"}:
                continue
            if verb not in {"announce", "share", "offer"}:
                yield Problem(
                    f"rule.{index}.do", f"{verb} is not something we do",
                    "Write announce:PEER, share:PEER, offer:PEER, register or offer",
                )  # fmt: skip
            elif name not in names:
                yield Problem(f"rule.{index}.do", f"there is no peer called {name}", "Add a [[peer]] of this name")


def _about_assertions(settings: Settings) -> Iterator[Problem]:
    """XUA: nobody whom we believe, nothing to sign with, keys that are too short."""
    ours, names = settings.assertion, [issuer.name for issuer in settings.issuer]
    if (ours.certificate is None) != (ours.key is None):
        yield Problem("assertion.key", "certificate and key come together", "Name both, or neither")
    elif ours.certificate is not None and ours.key is not None and ours.certificate.is_file() and ours.key.is_file():
        fault = signing_fault(ours.certificate, ours.key)
        if fault:
            yield Problem("assertion.key", fault, "Put the key of this certificate there, RSA of 2048 bits or a curve")
    said = [issuer.entity_id or issuer.name for issuer in settings.issuer]
    for index, issuer in enumerate(settings.issuer):
        if names.count(issuer.name) > 1 or said.count(said[index]) > 1:
            yield Problem(f"issuer.{index}.name", f"two issuers are {said[index]}", "Give both certificates to one")
        for place, path in enumerate(issuer.certificates):
            fault = certificate_fault(path) if path.is_file() else ""
            if fault:
                yield Problem(f"issuer.{index}.certificates.{place}", fault, "Ask the issuer for one with a longer key")
    for index, peer in enumerate(settings.peer):
        if peer.assertion is not AssertionPolicy.OFF and not settings.issuer:
            yield Problem(
                f"peer.{index}.assertion", "there is nobody whose assertions are believed", "Add an [[issuer]]"
            )
        for name in peer.issuers:
            if name not in names:
                yield Problem(
                    f"peer.{index}.issuers", f"there is no issuer called {name}", "Add an [[issuer]] of this name"
                )
        if (peer.purposes or peer.roles) and peer.assertion is AssertionPolicy.OFF:
            key = "purposes" if peer.purposes else "roles"
            yield Problem(f"peer.{index}.{key}", "only an assertion tells it", 'Set assertion = "required"')
        if peer.send_assertion is not SentAssertion.OFF and ours.key is None:
            yield Problem(
                f"peer.{index}.send_assertion", "there is no key to sign with", "Give [assertion] certificate and key"
            )
        if peer.send_assertion is SentAssertion.HOLDER_OF_KEY and not settings.tls.enabled:
            yield Problem(
                f"peer.{index}.send_assertion", "there is no key to hold", "Configure [tls], whose certificate is shown"
            )


def certificate_fault(path: Path) -> str:
    """Why a file has no certificate that a signature can be verified with; "": it has."""
    from cryptography import x509  # 0.1 s, which a question at the command line need not wait
    from cryptography.exceptions import UnsupportedAlgorithm

    from profiles.wire.signature import key_fault

    try:
        return key_fault(x509.load_pem_x509_certificate(path.read_bytes()).public_key())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return "is not a certificate that can be read"


def signing_fault(certificate: Path, key: Path) -> str:
    """Why nothing can be signed with these; "": it can."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from profiles.wire.signature import key_fault

    try:
        loaded = load_pem_private_key(key.read_bytes(), None)
        public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return "certificate or key cannot be read"
    return key_fault(loaded) or ("" if loaded.public_key() == public else "the key is not that of the certificate")


def _missing_files(settings: Settings) -> Iterator[Problem]:
    named = {
        "tls.certificate": settings.tls.certificate,
        "tls.key": settings.tls.key,
        "affinity_domain.code_sets": settings.affinity_domain.code_sets,
        "retention.raw_key": settings.retention.raw_key,
        "assertion.certificate": settings.assertion.certificate,
        "assertion.key": settings.assertion.key,
        **{
            f"issuer.{index}.certificates.{place}": path
            for index, issuer in enumerate(settings.issuer)
            for place, path in enumerate(issuer.certificates)
        },
        **{f"tls.trust.{index}": path for index, path in enumerate(settings.tls.trust)},
        **{f"audit.syslog_trust.{index}": path for index, path in enumerate(settings.audit.syslog_trust)},
        **{f"peer.{index}.certificate": peer.certificate for index, peer in enumerate(settings.peer)},
    }
    for key, path in named.items():
        if path is not None and not path.is_file():
            yield Problem(key, f"there is no file {path}", "Put it there, or change the path")
