"""Identify: who is at the other end. A certificate names a peer, or a token; a setting may let this machine in."""

import hashlib
import ipaddress
from asyncio import BaseTransport
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.model.peer import Caller, Peer
from gateway.ports.peers import Directory
from profiles.wire.hl7v2.address import Hl7Address

Fingerprint = Callable[[Any], str | None]
"""SHA-256 of the certificate that the other side of a TLS connection showed; None: none."""

Certificate = Callable[[Any], bytes]
"""That certificate itself, DER; b"": none."""


def _nothing_shown(_: Any) -> bytes:
    return b""


class Identifier:
    """Finds the peer behind a connection."""

    def __init__(
        self,
        *,
        directory: Directory,
        fingerprint: Fingerprint,
        person: Callable[[web.Request], str],
        anonymous_loopback: bool,
        certificate: Certificate = _nothing_shown,
    ) -> None:
        """Know where to look.

        Args:
            directory: Whom we know.
            fingerprint: Of the certificate behind a TLS connection.
            person: Who sits at the desk that a request comes from; "": nobody.
            certificate: The certificate itself, for assertions that are tied to it.
            anonymous_loopback: Callers of this machine without a name are `via` loopback, which a policy may accept.
        """
        self._person = person
        self._directory = directory
        self._fingerprint = fingerprint
        self._certificate = certificate
        self._anonymous_loopback = anonymous_loopback

    def of_request(self, request: web.Request) -> Caller:
        """The caller of an HTTP request; its address is the socket's, never a header's."""
        transport = request.transport
        address = _address(transport)
        peer = self._of_connection(transport)
        if peer is not None:
            shown = self._certificate(transport.get_extra_info("ssl_object")) if transport is not None else b""
            return Caller(
                peer=peer, network_address=address, local_address=_asked(request), certificate=shown, via="certificate"
            )
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            peer = self._directory.by_token(hashlib.sha256(token.strip().encode()).hexdigest())
            if peer is not None:
                return Caller(peer=peer, network_address=address, local_address=_asked(request), via="token")
        person = self._person(request)
        if person:
            return Caller(peer=None, network_address=address, local_address=_asked(request), person=person, via="desk")
        return Caller(peer=None, network_address=address, local_address=_asked(request), via=self._otherwise(address))

    def of_transport(self, transport: BaseTransport, address: Hl7Address) -> Caller:
        """The caller of an MLLP message: by certificate, else by its sending application and facility where TLS is off."""
        network_address = _address(transport)
        peer, via = self._of_connection(transport), "certificate"
        if peer is None and transport.get_extra_info("ssl_object") is None:
            peer, via = next((each for each in self._directory.all() if _speaks_as(each, address)), None), "name"
        if peer is None:
            via = self._otherwise(network_address)
        return Caller(peer=peer, network_address=network_address, local_address="mllp", via=via)

    def _of_connection(self, transport: BaseTransport | None) -> Peer | None:
        ssl_object = transport.get_extra_info("ssl_object") if transport is not None else None
        shown = self._fingerprint(ssl_object) if ssl_object is not None else None
        return self._directory.by_certificate(shown) if shown is not None else None

    def _otherwise(self, address: str) -> str:
        return "loopback" if self._anonymous_loopback and is_loopback(address) else "nobody"


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _address(transport: BaseTransport | None) -> str:
    name = transport.get_extra_info("peername") if transport is not None else None
    return str(name[0]) if isinstance(name, tuple) else ""


def _asked(request: web.Request) -> str:
    return str(request.url.with_query(None))


def _speaks_as(peer: Peer, address: Hl7Address) -> bool:
    """Without TLS a name is all there is: enough on loopback, where alone plain MLLP is served."""
    return (
        peer.hl7 is not None
        and bool(peer.hl7.receiving_application)
        and address.sending_application == peer.hl7.receiving_application
        and peer.hl7.receiving_facility in ("", address.sending_facility)
    )
