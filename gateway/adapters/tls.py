"""TLS: who we are, whom we believe, and the floor below which we do not talk. Listeners and clients get contexts here.

Two ways of knowing a peer: an authority signed its certificate, or the certificate itself is the one we were given. A
client context with pins accepts those certificates and no other, whoever signed them.

What a newcomer gets wrong: in TLS 1.3 the client has finished its handshake before the server looks at its certificate, so
that a refusal of *our* certificate shows only when we read.

Source: ITI TF-2 3.19; BCP 195 (RFC 9325).
"""

import hashlib
import ssl
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

CIPHERS = "ECDHE+AESGCM"  # of TLS 1.2; those of 1.3 are fixed. DHE would want parameters that nobody configured


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """Who we are on the wire: a certificate (with its chain behind it) and its key, PEM files."""

    certificate: Path
    key: Path


class ClientCertificate(Enum):
    """What a server asks of who connects."""

    REQUIRED = ssl.CERT_REQUIRED
    OPTIONAL = ssl.CERT_OPTIONAL  # who shows none is nobody: the desk has a login instead


class WrongCertificate(ssl.SSLCertVerificationError):
    """The peer showed another certificate than the one that was pinned, or one that is not valid today."""


def server_context(
    identity: TlsIdentity,
    *,
    trust: Iterable[Path] = (),
    pinned: Iterable[Path] = (),
    client_certificate: ClientCertificate = ClientCertificate.REQUIRED,
) -> ssl.SSLContext:
    """For listeners.

    Args:
        identity: Who we are.
        trust: Authorities whose certificates we accept.
        pinned: Peers' own certificates that we accept beside them, self-signed or not.
        client_certificate: Whether one must be shown. One that is shown must be trusted in any case.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity)
    context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive the trust in its certificate
    context.num_tickets = 0
    _trust(context, (*trust, *pinned))
    context.verify_mode = client_certificate.value
    return context


def client_context(
    identity: TlsIdentity | None = None, *, trust: Iterable[Path] = (), pins: Collection[str] = ()
) -> ssl.SSLContext:
    """For calls to one peer.

    Args:
        identity: Who we are; None: we show nothing.
        trust: Authorities; empty: those of the system. Of no account where there are pins.
        pins: SHA-256 fingerprints of the certificates that the peer may show, lower-case hex. Host names are of no account
            then: a certificate that we were given says more than its name.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, identity)
    if pins:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.sslobject_class = _pinned(frozenset(pins))
        return context
    trust = tuple(trust)
    if trust:
        _trust(context, trust)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _context(protocol: int, identity: TlsIdentity | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def _trust(context: ssl.SSLContext, files: Iterable[Path]) -> None:
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned leaf is an anchor, whoever signed it
    for file in files:
        context.load_verify_locations(file)


def _pinned(pins: frozenset[str]) -> type[ssl.SSLObject]:
    """A connection that ends in the handshake unless the peer is one of these."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            der = self.getpeercert(binary_form=True)
            if der is None or fingerprint(der) not in pins:
                raise WrongCertificate("the certificate is not the one that was given for this peer")
            certificate = x509.load_der_x509_certificate(der)
            if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
                raise WrongCertificate(
                    f"the certificate is valid until {certificate.not_valid_after_utc:%Y-%m-%d} only"
                )

    return Pinned


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, lower-case hex: how peers are known."""
    return hashlib.sha256(der).hexdigest()


def fingerprint_of_file(certificate: Path) -> str:
    """The fingerprint of the first certificate of a PEM file.

    Raises:
        ValueError: There is none in it.
    """
    return fingerprint(x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER))


def expiry_of_file(certificate: Path) -> datetime:
    """Until when the first certificate of a PEM file is valid, UTC: for alarms before it is too late.

    Raises:
        ValueError: There is none in it.
    """
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def renew(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    """Show another certificate from the next handshake on; connections that are open stay as they are."""
    context.load_cert_chain(identity.certificate, identity.key)


def peer_fingerprint(ssl_object: Any) -> str | None:
    """Who is at the other end of a connection (`transport.get_extra_info("ssl_object")`); None: no TLS, no certificate.

    On a listener the certificate was verified already, or the handshake would have failed.
    """
    der = peer_certificate(ssl_object)
    return fingerprint(der) if der else None


def peer_certificate(ssl_object: Any) -> bytes:
    """The same certificate itself, DER; b"": no TLS, no certificate."""
    return (ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None) or b""
