"""What is well-formed and cannot work: files that are not what they should be, settings that contradict each other.

`radgate config check` and a start look at the same; nothing here waits for a network. What a newcomer gets wrong: two peers
with one token, certificate or id would be one peer under two names, and the wrong one would be let in.
"""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gateway.model.peer import AssertionPolicy, SentAssertion
from gateway.settings import PeerSection, Problem, Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
RAW_KEY = re.compile(r"\s*[0-9A-Fa-f]{64}\s*")  # 32 bytes
SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
WEB = ("http", "https")
MLLP = ("mllp", "mllps")

ENDPOINTS = {
    **dict.fromkeys(
        (
            "ITI-18", "ITI-42", "ITI-43", "ITI-51", "ITI-57", "ITI-61", "ITI-62", "ITI-86", "ITI-92",
            "RAD-68", "RAD-69",
            "ITI-38", "ITI-39", "ITI-41", "ITI-55", "ITI-80", "RAD-75",
            "ITI-44", "ITI-45", "ITI-46", "ITI-47",
            "FHIR", "DICOMWEB",
        ),
        WEB,
    ),
    "ORU^R01": MLLP,
    "MLLP": MLLP,
}  # fmt: skip
"""What we ask of peers, and the schemes of its addresses."""

NOT_SOAP = frozenset({"FHIR", "DICOMWEB"})

ACROSS_COMMUNITIES = frozenset(
    {"ITI-38", "ITI-39", "ITI-55", "ITI-80", "RAD-75"}
)  # asked of whoever speaks for a community

WANTS = {"share": ("ITI-80", "ITI-41", "RAD-68"), "offer": ("ITI-61",), "announce": ("ORU^R01", "MLLP")}
"""What a rule's action needs of its peer: one of these endpoints."""


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Everything that keeps these settings from working, 0..n."""
    yield from _about_files(settings)
    yield from _about_listening(settings)
    yield from _about_storing(settings)
    yield from _about_auditing(settings)
    for index, peer in enumerate(settings.peer):
        yield from _about_a_peer(f"peer.{index}", peer)
    yield from _about_twins(settings)
    yield from _about_repositories(settings)
    yield from _about_assertions(settings)
    yield from _about_the_registry(settings)
    yield from _about_rules(settings)


def _about_listening(settings: Settings) -> Iterator[Problem]:
    listen, tls = settings.listen, settings.tls
    if (tls.certificate is None) != (tls.key is None):
        yield Problem("tls.key", "certificate and key come together", "Name both, or neither")
    loopback = listen.host in LOOPBACK
    if not loopback and not tls.enabled:
        yield Problem("listen.host", "a network address without TLS would show patients' data", "Configure [tls]")
    if settings.access.anonymous_loopback and not loopback:
        yield Problem("access.anonymous_loopback", "only works on loopback", "Set listen.host to 127.0.0.1")
    if tls.client_certificate == "required" and not tls.enabled:
        yield Problem("tls.client_certificate", "nobody shows one without TLS", "Give [tls] certificate and key")
    if listen.mllp and listen.http_port == listen.mllp_port != 0:
        yield Problem("listen.mllp_port", "is http_port too", "Choose another, or use 0 for a free one")
    if listen.base_url:
        fault = address_fault(listen.base_url, WEB)
        if fault:
            yield Problem("listen.base_url", fault, "Write https://host.example")
        elif tls.enabled and listen.base_url.lower().startswith("http:"):  # the other way round a proxy ends TLS
            yield Problem("listen.base_url", "is http, and [tls] is configured", "Write https://")
    if listen.reply_url:
        fault = address_fault(listen.reply_url, WEB)
        if fault:
            yield Problem("listen.reply_url", fault, "Write https://host.example/soap/reply")
        elif tls.enabled and listen.reply_url.lower().startswith("http:"):
            yield Problem("listen.reply_url", "is http, and [tls] is configured", "Write https://")


def _about_storing(settings: Settings) -> Iterator[Problem]:
    if "\0" in str(settings.house.data):
        yield Problem("house.data", "has a NUL in it", "Name a folder")
    url = settings.store.url.get_secret_value() if settings.store.url is not None else None
    fault = database_fault(url) if url is not None else ""
    if fault:
        yield Problem("store.url", fault, "Write sqlite:///path or postgresql://user@host/database")
    objects = settings.store.objects
    if objects is not None and not objects.startswith("file:///"):
        yield Problem("store.objects", "only a folder is supported", "Write file:///path, or leave it out")
    archive, example = settings.archive, "such as http://localhost:8042/dicom-web"
    if archive.kind == "files":
        for key, told in (("url", archive.url), ("native_url", archive.native_url)):
            if told:
                yield Problem(
                    f"archive.{key}", "an archive of files has no address", 'Set kind = "dicomweb", or remove it'
                )
    elif not archive.url:
        yield Problem("archive.url", "a DICOMweb archive has an address", f"Add it, {example}")
    else:
        for key, told in (("url", archive.url), ("native_url", archive.native_url)):
            fault = address_fault(told, WEB) if told else ""
            if fault:
                yield Problem(f"archive.{key}", fault, f"Write one {example}")
    key_file = settings.retention.raw_key
    if key_file is None or unreadable(key_file):
        return
    if not RAW_KEY.fullmatch(key_file.read_text("utf-8", errors="replace")):
        yield Problem(
            "retention.raw_key", "is not 32 bytes in hexadecimal", f"`openssl rand -hex 32 > {key_file.name}`"
        )


def _about_auditing(settings: Settings) -> Iterator[Problem]:
    syslog = settings.audit.syslog
    if syslog and address_fault(syslog, ("tls", "tcp")):
        yield Problem("audit.syslog", "is not an address", "Write tls://host:6514")
    elif syslog.startswith("tcp:") and urlsplit(syslog).hostname not in LOOPBACK:
        yield Problem("audit.syslog", "audit records name patients and do not travel in the clear", "Use tls://")


def _about_a_peer(at: str, peer: PeerSection) -> Iterator[Problem]:
    for service, address in peer.endpoint.items():
        schemes = ENDPOINTS.get(service)
        if schemes is None:
            yield Problem(f"{at}.endpoint.{service}", "is nothing that we ask", f"Write one of {', '.join(ENDPOINTS)}")
        elif fault := address_fault(address, schemes):
            yield Problem(
                f"{at}.endpoint.{service}", fault, f"Write {schemes[1]}://host:port" + "/path" * (schemes == WEB)
            )
    if "ITI-80" in peer.endpoint and peer.home_community_id is None:
        yield Problem(
            f"{at}.endpoint.ITI-80", "a submission across communities names the one", "Add its home_community_id"
        )
    if peer.forward and "ITI-80" not in peer.endpoint:
        yield Problem(f"{at}.forward", "there is nowhere to pass on to", "Add an ITI-80 endpoint")
    if peer.of_our_community and not (
        "ITI-18" in peer.endpoint
        or (peer.retrieve_location_uids and "RAD-69" in peer.endpoint)
        or (peer.repository_unique_ids and "ITI-43" in peer.endpoint)
    ):
        yield Problem(
            f"{at}.of_our_community", "there is nothing that it could be asked for",
            "Give it an ITI-18 endpoint, or retrieve_location_uids and RAD-69, or repository_unique_ids and ITI-43",
        )  # fmt: skip
    for address in sorted(peer.reply_to):
        if fault := address_fault(address, WEB):
            yield Problem(f"{at}.reply_to", fault, "Write https://host/path")
    if peer.deferred_discovery and "ITI-55" not in peer.endpoint:
        yield Problem(f"{at}.deferred_discovery", "it is not asked ITI-55", 'Add "ITI-55" to its [peer.endpoint]')
    if peer.deferred_discovery and "ITI-55" in peer.ask_asynchronously:
        yield Problem(f"{at}.deferred_discovery", "ITI-55 is asked asynchronously already", "Choose one of the two")
    for name in sorted(peer.ask_asynchronously):
        if ENDPOINTS.get(name) != WEB or name in NOT_SOAP:
            yield Problem(
                f"{at}.ask_asynchronously", f"{name} is no SOAP transaction that we ask", "Write such as RAD-69"
            )
        elif name not in peer.endpoint:
            yield Problem(
                f"{at}.ask_asynchronously", f"{name} has nowhere to go", f'Add "{name}" to its [peer.endpoint]'
            )
    if peer.token_sha256 and not SHA256.fullmatch(peer.token_sha256):
        yield Problem(f"{at}.token_sha256", "is not 64 hexadecimal digits", "`printf %s TOKEN | sha256sum`")
    if peer.scopes:
        from profiles.catalogue import TRANSACTIONS  # 0.3 s, which a question at the command line need not wait

        for name in sorted(peer.scopes - {each.id for each in TRANSACTIONS}):
            yield Problem(f"{at}.scopes", f"{name} is no transaction", "Write such as RAD-69; README has the list")


def _about_twins(settings: Settings) -> Iterator[Problem]:
    """What tells peers apart is one peer's alone."""
    owners: dict[tuple[str, ...], int] = {}
    for index, peer in enumerate(settings.peer):
        for key, *value in _marks(peer):
            owner = owners.setdefault((key, *value), index)
            if owner != index:
                other = settings.peer[owner].name
                yield Problem(f"peer.{index}.{key}", f"is that of peer.{owner} ({other}) too", "Give it to one of them")


def _marks(peer: PeerSection) -> Iterator[tuple[str, ...]]:
    """By what a peer is known: each a key and its value."""
    yield "name", peer.name
    if peer.token_sha256:
        yield "token_sha256", peer.token_sha256.lower()
    if peer.certificate is not None and (shown := _first_certificate(peer.certificate)):
        yield "certificate", shown
    for uid in peer.retrieve_location_uids:
        yield "retrieve_location_uids", uid
    for uid in peer.repository_unique_ids:
        yield "repository_unique_ids", uid
    for home in filter(None, (peer.home_community_id, *peer.homes)):
        for transaction in sorted(ACROSS_COMMUNITIES & peer.endpoint.keys()):
            yield "home_community_id", home, transaction  # one may be asked for documents, another for images
    if peer.hl7_application:
        yield "hl7_application", peer.hl7_application, peer.hl7_facility


def _about_repositories(settings: Settings) -> Iterator[Problem]:
    """Each is one address and one id, and what is ours is no peer's."""
    house, peers = settings.house, settings.peer
    names: dict[str, str] = {}
    ids = {house.repository_unique_id: "house.repository_unique_id"} if house.repository_unique_id is not None else {}
    theirs = {uid: peer.name for peer in peers for uid in peer.repository_unique_ids}
    homes = {home: peer.name for peer in peers for home in filter(None, (peer.home_community_id, *peer.homes))}
    if settings.repository and settings.affinity_domain.registry:
        yield Problem(
            "repository", "our own registry has what further repositories keep, and affinity_domain.registry is a peer",
            "Remove one of the two",
        )  # fmt: skip
    for index, each in enumerate(settings.repository):
        at = f"repository.{index}"
        if (owner := names.setdefault(each.name, at)) != at:
            yield Problem(f"{at}.name", f"is that of {owner} too", "Give it a name of its own: it is its address")
        if (owner := ids.setdefault(each.unique_id, at)) != at:
            yield Problem(f"{at}.unique_id", f"is that of {owner} too", "Give it an id of its own")
        if each.unique_id in theirs:
            yield Problem(
                f"{at}.unique_id", f"is in repository_unique_ids of {theirs[each.unique_id]}", "Give it to one of them"
            )
        if each.home_community_id in homes:
            yield Problem(
                f"{at}.home_community_id", f"is that of the peer {homes[each.home_community_id]}",
                "Give it to one of them; a home is answered for by one house",
            )  # fmt: skip


def _about_the_registry(settings: Settings) -> Iterator[Problem]:
    name = settings.affinity_domain.registry
    peer = next((each for each in settings.peer if each.name == name), None)
    if name and peer is None:
        yield Problem("affinity_domain.registry", f"there is no peer called {name}", "Add a [[peer]] of this name")
    elif peer is not None and "ITI-42" not in peer.endpoint:
        yield Problem(
            "affinity_domain.registry", f"nothing can be registered at {name}",
            f'Add "ITI-42" to [peer.endpoint] of {name}',
        )  # fmt: skip


def _about_rules(settings: Settings) -> Iterator[Problem]:
    peers = {peer.name: peer for peer in settings.peer}
    for index, rule in enumerate(settings.rule):
        at = f"rule.{index}.do"
        for action in rule.do:
            verb, _, name = action.partition(":")
            if action in {"register", "offer"}:
                domain = peers.get(settings.affinity_domain.registry)
                if action == "offer" and domain is not None and "ITI-61" not in domain.endpoint:
                    yield Problem(at, "offer has nowhere to go", f'Add "ITI-61" to [peer.endpoint] of {domain.name}')
                continue
            if verb not in WANTS:
                yield Problem(
                    at, f"{verb} is not something we do",
                    "Write announce:PEER, share:PEER, offer:PEER, register or offer",
                )  # fmt: skip
            elif name not in peers:
                yield Problem(at, f"there is no peer called {name}", "Add a [[peer]] of this name")
            elif not peers[name].endpoint.keys() & set(WANTS[verb]):
                yield Problem(
                    at, f"{action} has nowhere to go", f'Add "{WANTS[verb][-1]}" to [peer.endpoint] of {name}'
                )
            elif verb == "offer" and settings.publish.keep_on_demand and "ITI-42" not in peers[name].endpoint:
                yield Problem(
                    "publish.keep_on_demand", f"{name} cannot be told of what is kept",
                    f'Add "ITI-42" to [peer.endpoint] of {name}, or do not keep it',
                )  # fmt: skip


def _about_assertions(settings: Settings) -> Iterator[Problem]:
    """XUA: nobody whom we believe, nothing to sign with, keys that are too short."""
    ours, names = settings.assertion, [issuer.name for issuer in settings.issuer]
    if (ours.certificate is None) != (ours.key is None):
        yield Problem("assertion.key", "certificate and key come together", "Name both, or neither")
    elif (
        ours.certificate is not None and ours.key is not None and not any(map(unreadable, (ours.certificate, ours.key)))
    ):
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


def _about_files(settings: Settings) -> Iterator[Problem]:
    """There, readable, and PEM where TLS reads them."""
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
    good = set()
    for name, path in named.items():
        if path is None:
            continue
        if fault := unreadable(path):
            yield Problem(name, fault, "Put it there for us to read, or change the path")
        elif name.startswith(("tls.trust", "audit.", "peer.")) and (fault := trust_fault(path)):
            yield Problem(name, fault, "Put a PEM certificate there")
        elif name.startswith("peer.") and not _first_certificate(path):
            yield Problem(name, "there is no certificate in it that can be read", "Ask them for their certificate, PEM")
        else:
            good.add(path)
    certificate, key = settings.tls.certificate, settings.tls.key
    if certificate is None or key is None or not {certificate, key} <= good:
        return
    if fault := trust_fault(certificate):
        yield Problem("tls.certificate", fault, "Put a PEM certificate there")
    elif fault := identity_fault(certificate, key):
        yield Problem("tls.key", fault, "Put the key of this certificate there, PEM and without a password")


def address_fault(address: str, schemes: tuple[str, ...]) -> str:
    """Why this is no absolute address of one of these schemes; "": it is."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in schemes:
        return f"is not an address that begins with {' or '.join(f'{each}://' for each in schemes)}"
    return "" if parts.hostname and port != 0 and not re.search(r"\s", address) else "names no host and port"


def database_fault(url: str) -> str:
    """Why this is no database that we can use; "": it may be."""
    scheme, told, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if not told or kind not in {"sqlite", "postgresql"}:
        return "is neither SQLite nor PostgreSQL"
    if kind == "sqlite":
        path = rest.partition("?")[0]
        return "" if path.startswith("//") and path.strip("/") else "names no file"
    try:
        return "names no database" if urlsplit(url).port == 0 else ""
    except ValueError:
        return "is not an address"


def unreadable(path: Path) -> str:
    """Why a file cannot be read; "": it can."""
    if not path.is_file():
        return f"there is no file {path}"
    try:
        path.read_bytes()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""


def trust_fault(path: Path) -> str:
    """Why a file has no certificate, PEM, that TLS can trust; "": it has."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return "there is no PEM certificate in it"
    return ""


def _first_certificate(path: Path) -> str:
    """By which a peer is known, DER in hex; "": there is none that can be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER).hex()
    except (OSError, ValueError):
        return ""


def identity_fault(certificate: Path, key: Path) -> str:
    """Why a house cannot be this in TLS; "": both are PEM, and the key is that of the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never asks on a terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return "certificate or key cannot be read"
    except OSError as error:
        return f"certificate or key cannot be read: {error.strerror}"
    return ""
