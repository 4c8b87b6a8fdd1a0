"""The system under test, as a file describes it: where it is asked, by which certificate, and what it is known to hold.

```toml
name = "Our archive"
[claims]                                     # actor -> transactions; what is not here is omitted
"Imaging Document Source" = ["RAD-69"]
[options]                                    # actor -> options, as the Framework names them
"Imaging Document Source" = ["Asynchronous Web Services Exchange"]
[endpoint]
"RAD-69" = "https://archive.example.org/xds/imaging-source"
"Initiating Gateway ITI-18" = "https://gateway.example.org/xca"  # where another actor answers the same transaction
[tls]
certificate = "tester.pem"                   # who we are to it
key = "tester.key"
trust = "root.pem"                           # whom we believe
[known]
retrieve_location_uid = "1.2.3"
patients = ["P1^^^&1.2.3.9&ISO"]             # whom its registry knows
patient_authority = "1.2.3.9"                # of the ids of its patients
other_patient_authority = "1.2.3.8"          # another whose ids its manager keeps
local_patient_authority = "1.2.3.7"          # of ids that it has for itself: of others it asks for those that it shares
[hl7]                                        # application|facility; these are the defaults
sender = "EHR|VALLEY"                        # MSH-3 and MSH-4 of what we feed
receiver = "RADGATE|House"                   # MSH-5 and MSH-6
[counterpart]                                # where we listen, for a system that asks or audits
host = "127.0.0.1"
soap_port = 18443                            # it asks https://host:18443/ITI-18, ITI-43, RAD-69, RAD-68
north_port = 18444                           # two other communities, for a gateway that asks: ITI-38, ITI-39, RAD-75,
south_port = 18445                           # ITI-55, ITI-80; North takes patient ids as they are, South has its own
west_port = 18447                            # one that it asks asynchronously: ITI-18, ITI-43, RAD-69, ITI-39, RAD-75
reply_port = 18446                           # answers may be brought to https://host:18446/reply, and nowhere else
audit_port = 16514                           # its audit comes here, by syslog over TLS
hl7_port = 12575                             # and here it says that studies are there, by MLLP (ORU^R01)
certificate = "simulator.pem"                # who we are there; without these three nothing is encrypted
key = "simulator.key"
trust = "root.pem"                           # who vouches for the system
peer = "Simulator"                           # what the system calls us
wait_s = 60                                  # how long a case waits for it
[assertion]                                  # for a system that takes assertions of persons (XUA)
issuer = "https://idp.example.org"           # whom it believes; the suite signs as this issuer
issuer_certificate = "idp.pem"
issuer_key = "idp.key"
audience = "https://archive.example.org"     # a URI that means it
required = true                              # whether it refuses who comes without one
one_time_use = true                          # whether it refuses one that asks to be used once, the second time
certificate = "clinic.pem"                   # who we are to it then; without these two as in [tls]
key = "clinic.key"
[sent_assertion]                             # for a system that sends them with what it asks
issuer = "urn:oid:1.2.3.1"                   # as its assertions name it
certificate = "archive-signs.pem"            # of the key that signs them
audience = "https://simulator.example.org"   # we, as it was told; without it: our address, or the host of it
[[study]]                                    # a study that it holds, as DICOM files that we can read too
folder = "studies/ct"
patient = "P1^^^&1.2.3.9&ISO"                # by the id that it knows the patient by
```

Paths are relative to the file.
"""

import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from conformance.assertions import AssertionTerms, Issuer, SentAssertionTerms
from conformance.samples import SampleStudy, read_study
from profiles.catalogue import transaction
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Actor
from profiles.wire.hl7v2.address import Hl7Address

MAX_WAIT_S = 3600
COMMUNITY = tuple(Oid(f"2.25.71190522.10.{leaf}") for leaf in (1, 2, 3))  # its home, its repository, its source
FOREIGN = ("North", "South")
WEST = "West"
HL7 = Hl7Address(
    sending_application="EHR", sending_facility="VALLEY", receiving_application="RADGATE", receiving_facility="House"
)  # of a description that names nobody
SERVICES = frozenset({"FHIR", "DICOMWEB", "MLLP"})


class BadDescription(Exception):
    """The description cannot be used; the text names the key, the reason and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStudy:
    """A study that the system holds, and the patient's id there."""

    study: SampleStudy
    patient: PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """Another community, where it listens and how it is known: always by the same ids.

    `name` is what the system calls it, `client` who it is where it brings an answer.
    """

    name: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    client: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def home_community_id(self) -> Oid:
        """Its home."""
        return self._oid(1)

    @property
    def repository_unique_id(self) -> Oid:
        """Of its documents."""
        return self._oid(2)

    @property
    def retrieve_location_uid(self) -> Oid:
        """Of its images."""
        return self._oid(3)

    @property
    def patient_authority(self) -> Oid:
        """Of the ids of its patients."""
        return self._oid(4)

    def _oid(self, leaf: int) -> Oid:
        return Oid(f"2.25.71190522.{11 + (*FOREIGN, WEST).index(self.name)}.{leaf}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterpart:
    """Whom a system asks and where its audit goes: a port is None where nobody is to listen, 0 for any that is free.

    `peer` is what the system calls it, `wait_s` how long a case waits for what the system does. The ids are those of its
    community, of its repository (manifests) and of its source of images. `foreign` are the other communities, 0 or 2;
    `west` is one that is asked asynchronously.
    Answers are brought to `reply_port`, where we are by `reply_tls`; None: as elsewhere.
    """

    host: str = "127.0.0.1"
    soap_port: int | None = None
    audit_port: int | None = None
    hl7_port: int | None = None
    peer: str = "Simulator"
    wait_s: float = 60.0
    home_community_id: Oid = COMMUNITY[0]
    repository_unique_id: Oid = COMMUNITY[1]
    retrieve_location_uid: Oid = COMMUNITY[2]
    foreign: tuple[Foreign, ...] = ()
    west: Foreign | None = None
    reply_port: int | None = None
    reply_tls: ssl.SSLContext | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """`endpoints` are by transaction id, or FHIR, DICOMWEB and MLLP; `claims` are (actor, transaction id).

    `options` are (actor, the option's name).
    An actor stands before the transaction id of an endpoint that is not its responder's: `Initiating Gateway ITI-18`.
    `hl7` is of the messages that it is fed: who we are there, and who it is.
    """

    name: str
    endpoints: Mapping[str, str]
    claims: frozenset[tuple[Actor, str]]
    options: frozenset[tuple[Actor, str]] = frozenset()
    home_community_id: Oid | None = None
    repository_unique_id: Oid | None = None
    retrieve_location_uid: Oid | None = None
    patient_authority: Oid | None = None
    other_patient_authority: Oid | None = None
    local_patient_authority: Oid | None = None
    studies: tuple[KnownStudy, ...] = ()
    known_patients: tuple[PatientIdentifier, ...] = ()
    hl7: Hl7Address = HL7
    counterpart: Counterpart | None = None
    assertion: AssertionTerms | None = None
    sent_assertion: SentAssertionTerms | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def patients(self) -> tuple[PatientIdentifier, ...]:
        """Whom it knows: those that are named, then those of its studies."""
        return tuple(dict.fromkeys((*self.known_patients, *(each.patient for each in self.studies))))

    def claims_to(self, actor: Actor, transaction_id: str) -> bool:
        """Whether it says that it is this actor in this transaction."""
        return (actor, transaction_id) in self.claims


def read_system(path: Path) -> System:
    """Read a description.

    Raises:
        BadDescription: It cannot be read, or says what cannot be.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadDescription(f"{path} cannot be read: {error}") from error
    extra = told.keys() - {
        "name", "claims", "options", "endpoint", "tls", "known", "hl7", "counterpart", "study", "assertion",
        "sent_assertion",
    }  # fmt: skip
    if extra:
        raise BadDescription(f"{path}: nothing is called {sorted(extra)[0]}")
    known = dict(_table(told, "known"))
    patients = _patients(known.pop("patients", []), path)
    try:
        oids = {key: Oid.from_urn(str(value)) for key, value in known.items()}
    except ValueError as error:
        raise BadDescription(f"{path}: [known] has what is no OID") from error
    names = {
        "home_community_id", "repository_unique_id", "retrieve_location_uid", "patient_authority",
        "other_patient_authority", "local_patient_authority",
    }  # fmt: skip
    if oids.keys() - names:
        raise BadDescription(f"{path}: [known] takes patients, {', '.join(sorted(names))}")
    return System(
        name=str(told.get("name", path.stem)),
        endpoints=_endpoints(_table(told, "endpoint"), path),
        claims=claims_of(_table(told, "claims"), path),
        options=_options(_table(told, "options"), path),
        known_patients=patients,
        studies=tuple(_study(each, path) for each in told.get("study", ())),
        hl7=hl7_of(_table(told, "hl7"), path),
        counterpart=_counterpart(_table(told, "counterpart"), path),
        assertion=_assertion(_table(told, "assertion"), _table(told, "tls"), path),
        sent_assertion=_sent_assertion(_table(told, "sent_assertion"), path),
        tls=_tls(_table(told, "tls"), path),
        **oids,
    )


def claims_of(told: Mapping[str, Any], path: Path) -> frozenset[tuple[Actor, str]]:
    """Actor -> transaction ids, as pairs.

    Raises:
        BadDescription: There is no such actor, or no such transaction.
    """
    claims = set()
    for name, ids in told.items():
        try:
            actor = Actor(name)
        except ValueError:
            raise BadDescription(f"{path}: no actor is called {name!r}; {', '.join(Actor)}") from None
        for id in ids:
            try:
                claims.add((actor, transaction(str(id)).id))
            except KeyError:
                raise BadDescription(f"{path}: no transaction is called {id!r}") from None
    return frozenset(claims)


def _options(told: Mapping[str, Any], path: Path) -> frozenset[tuple[Actor, str]]:
    options = set()
    for name, names in told.items():
        if name not in set(Actor):
            raise BadDescription(f"{path}: [options] no actor is called {name!r}; {', '.join(Actor)}")
        if not isinstance(names, list):
            raise BadDescription(f"{path}: [options] {name!r} is a list of names")
        options |= {(Actor(name), str(each)) for each in names}
    return frozenset(options)


def hl7_of(told: Mapping[str, Any], path: Path) -> Hl7Address:
    """The addresses of `[hl7]`; what is not named is as in `HL7`.

    Raises:
        BadDescription: An end is not `application|facility`.
    """
    if told.keys() - {"sender", "receiver"}:
        raise BadDescription(f"{path}: [hl7] takes sender and receiver")
    address = HL7
    for end, (application, facility) in (
        ("sender", ("sending_application", "sending_facility")),
        ("receiver", ("receiving_application", "receiving_facility")),
    ):
        if end not in told:
            continue
        parts = str(told[end]).split("|")
        if len(parts) != 2 or not all(_is_address(part) for part in parts):
            raise BadDescription(f"{path}: [hl7] {end} is application|facility, without ~, \\ and &")
        address = replace(address, **{application: parts[0], facility: parts[1]})
    return address


def _is_address(text: str) -> bool:
    """A namespace, or namespace^universal id^type; what would have to be escaped is refused."""
    return bool(text.strip()) and text.isprintable() and not set(text) & set("~\\&")


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = told.get(key, {})
    if not isinstance(value, dict):
        raise BadDescription(f"[{key}] must be a table")
    return value


def _endpoints(told: Mapping[str, Any], path: Path) -> Mapping[str, str]:
    for key in told:
        if key not in SERVICES:
            actor = next((each for each in Actor if key.startswith(f"{each} ")), "")
            try:
                transaction(key.removeprefix(f"{actor} "))
            except KeyError:
                raise BadDescription(
                    f"{path}: [endpoint] {key!r} is neither a transaction nor one of {', '.join(sorted(SERVICES))}"
                ) from None
    return {key: str(value).rstrip("/") if key in SERVICES else str(value) for key, value in told.items()}


def _counterpart(told: Mapping[str, Any], path: Path) -> Counterpart | None:
    if not told:
        return None
    rest: dict[str, Any] = dict(told)
    files = {key: rest.pop(key) for key in ("certificate", "key", "trust") if key in rest}
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "host": str, "peer": str, "soap_port": int, "audit_port": int, "hl7_port": int,
        "wait_s": (int, float),
        "home_community_id": str, "repository_unique_id": str, "retrieve_location_uid": str,
        "north_port": int, "south_port": int, "west_port": int, "reply_port": int,
    }  # fmt: skip
    for key, value in rest.items():
        if key not in kinds:
            raise BadDescription(f"{path}: [counterpart] takes certificate, key, trust, {', '.join(kinds)}")
        fits = isinstance(value, kinds[key]) and not isinstance(value, bool)
        if not fits:
            raise BadDescription(f"{path}: [counterpart] {key} is no {'text' if kinds[key] is str else 'number'}")
        if key.endswith("_port") and not 0 < value < 65_536:
            raise BadDescription(f"{path}: [counterpart] {key} is a port, from 1 to 65535")
        if key == "wait_s" and not 0 < value <= MAX_WAIT_S:
            raise BadDescription(f"{path}: [counterpart] wait_s is above 0 and at most {MAX_WAIT_S}")
        if key.endswith(("_id", "_uid")):
            try:
                rest[key] = Oid.from_urn(value)
            except ValueError as error:
                raise BadDescription(f"{path}: [counterpart] {key} is no OID") from error
    if files and len(files) != 3:
        raise BadDescription(f"{path}: [counterpart] certificate, key and trust go together")
    try:
        tls = door_of(**{key: path.parent / str(value) for key, value in files.items()}) if files else None
    except (OSError, ssl.SSLError) as error:
        raise BadDescription(f"{path}: [counterpart] {error}") from error
    west_port = rest.pop("west_port", None)
    client = tls_of(**{key: path.parent / str(value) for key, value in files.items()}) if files else None
    west = Foreign(name=WEST, port=west_port, tls=tls, client=client) if west_port is not None else None
    ports = [rest.pop(f"{name.lower()}_port", None) for name in FOREIGN]
    if ports.count(None) == 1:
        raise BadDescription(f"{path}: [counterpart] north_port and south_port go together")
    foreign = [Foreign(name=name, port=port, tls=tls) for name, port in zip(FOREIGN, ports, strict=True) if port]
    return Counterpart(**rest, foreign=tuple(foreign), west=west, tls=tls)


def _assertion(told: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> AssertionTerms | None:
    if not told:
        return None
    _hold(
        told, path, "assertion", {"issuer": str, "issuer_certificate": str, "issuer_key": str, "audience": str},
        {"required": bool, "one_time_use": bool, "certificate": str, "key": str},
    )  # fmt: skip
    shown = {key: told[key] for key in ("certificate", "key") if key in told}
    try:
        key = load_pem_private_key((path.parent / told["issuer_key"]).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((path.parent / told["issuer_certificate"]).read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise BadDescription(f"{path}: [assertion] {error}") from error
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise BadDescription(f"{path}: [assertion] issuer_key is neither RSA nor of an elliptic curve")
    return AssertionTerms(
        issuer=Issuer(entity_id=told["issuer"], certificate=certificate, key=key),
        audience=told["audience"],
        required=told.get("required", False),
        one_time_use=told.get("one_time_use", False),
        tls=_tls({**ours, **shown}, path) if shown else None,
    )


def _sent_assertion(told: Mapping[str, Any], path: Path) -> SentAssertionTerms | None:
    if not told:
        return None
    _hold(told, path, "sent_assertion", {"issuer": str, "certificate": str}, {"audience": str})
    try:
        certificate = x509.load_pem_x509_certificate((path.parent / told["certificate"]).read_bytes())
    except (OSError, ValueError) as error:
        raise BadDescription(f"{path}: [sent_assertion] {error}") from error
    return SentAssertionTerms(issuer=told["issuer"], certificate=certificate, audience=told.get("audience", ""))


def _hold(
    told: Mapping[str, Any], path: Path, table: str, needed: Mapping[str, type], others: Mapping[str, type]
) -> None:
    """Refuse a table that lacks what is needed, or has something else."""
    kinds = {**needed, **others}
    for key, value in told.items():
        if key not in kinds:
            raise BadDescription(f"{path}: [{table}] takes {', '.join(kinds)}")
        if not isinstance(value, kinds[key]):
            raise BadDescription(f"{path}: [{table}] {key} is no {'text' if kinds[key] is str else 'true or false'}")
    missing = next((key for key in needed if key not in told), None)
    if missing is not None:
        raise BadDescription(f"{path}: [{table}] needs {missing}")


def _study(told: Mapping[str, Any], path: Path) -> KnownStudy:
    folder = path.parent / str(told.get("folder", ""))
    studies = read_study(folder)
    if len(studies) != 1:
        raise BadDescription(f"{path}: [[study]] folder {folder} holds {len(studies)} studies; one is asked for")
    try:
        patient = patient_of(str(told.get("patient", "")))
    except ValueError as error:
        raise BadDescription(f"{path}: [[study]] patient: {error}") from error
    return KnownStudy(study=studies[0], patient=patient)


def _patients(told: object, path: Path) -> tuple[PatientIdentifier, ...]:
    if not isinstance(told, list):
        raise BadDescription(f"{path}: [known] patients is a list")
    try:
        return tuple(patient_of(str(each)) for each in told)
    except ValueError as error:
        raise BadDescription(f"{path}: [known] patients: {error}") from error


def patient_of(cx: str) -> PatientIdentifier:
    """`value^^^&oid&ISO`, as a person writes it.

    Raises:
        ValueError: It is something else.
    """
    value, _, authority = cx.partition("^^^&")
    return PatientIdentifier(value=value, authority=Oid(authority.partition("&")[0]))


def tls_of(*, trust: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Our side of a connection: whom we believe (None: whom this machine does), and who we are (None: nobody)."""
    context = ssl.create_default_context(cafile=str(trust) if trust is not None else None)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def door_of(*, certificate: Path, key: Path, trust: Path) -> ssl.SSLContext:
    """Where somebody comes in: who we are, and who vouches for whoever comes; without a certificate nobody does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(trust))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _tls(told: Mapping[str, Any], path: Path) -> ssl.SSLContext | None:
    if not told:
        return None
    if told.keys() - {"trust", "certificate", "key"}:
        raise BadDescription(f"{path}: [tls] takes trust, certificate and key")
    try:
        return tls_of(**{key: path.parent / str(value) for key, value in told.items()})
    except (OSError, ssl.SSLError) as error:
        raise BadDescription(f"{path}: [tls] {error}") from error
