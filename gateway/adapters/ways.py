"""Ways on the network: looks a name up, connects, shakes hands, asks for a page. Implements `Ways`.

What a newcomer gets wrong: a peer that does not accept *our* certificate lets the handshake of TLS 1.3 end well, and says
no to the first byte that we read; so that this shows at HTTP, and on MLLP, where the server speaks second, not at all.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cryptography import x509

from gateway.adapters.http import BROKEN, CONNECT_TIMEOUT_S, HttpSessions, idle_timeout, told
from gateway.adapters.tls import TlsIdentity, client_context
from gateway.model.peer import Peer
from gateway.model.probe import Hop, Walked

PORTS = {"https": 443, "http": 80, "mllp": 2575, "mllps": 2575}
SECURE = frozenset({"https", "mllps"})
PAGE_TIMEOUT_S = 10.0
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST"})  # OpenSSL's words for bytes that are no TLS


class NetworkWays:
    """Walks as we are: with the certificate and the trust of this house."""

    def __init__(
        self, *, sessions: HttpSessions, identity: TlsIdentity | None = None, trust: Sequence[Path] = ()
    ) -> None:
        """`sessions` are those of the calls, so that what is found is what calls will find."""
        self._sessions = sessions
        self._identity = identity
        self._trust = tuple(trust)

    async def walk(self, address: str, peer: Peer) -> Sequence[Walked]:
        """Hop by hop."""
        parts = urlsplit(address)
        walked = [await self._name(parts)]
        if walked[-1].good:
            walked.append(await self._connection(parts))
        if walked[-1].good and parts.scheme in SECURE:
            walked.append(await self._tls(address, parts, peer))
        if walked[-1].good and parts.scheme.startswith("http"):
            walked.append(await self._http(address, peer))
        return walked

    async def _name(self, parts: SplitResult) -> Walked:
        started = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, _port_of(parts))
        except (OSError, UnicodeError):
            return Walked(
                hop=Hop.NAME, good=False, detail=f"{parts.hostname} has no address",
                cure="Check the host name in the peer's endpoint, and the name server", ms=_since(started),
            )  # fmt: skip
        addresses = dict.fromkeys(str(each[4][0]) for each in found)
        return Walked(hop=Hop.NAME, good=True, detail=", ".join(addresses), ms=_since(started))

    async def _connection(self, parts: SplitResult) -> Walked:
        started, where = time.perf_counter(), f"{parts.hostname} port {_port_of(parts)}"
        cure = "Check the route and the firewalls between"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(parts.hostname, _port_of(parts))
        except ConnectionRefusedError:
            detail, cure = f"nothing listens at {where}", "Is the peer up? Check the port in its endpoint"
        except TimeoutError:
            detail = f"{where} did not answer in {CONNECT_TIMEOUT_S:g} seconds"
        except OSError as error:
            detail = f"no way to {where}: {error.strerror or 'no connection'}"
        else:
            near, far = writer.get_extra_info("sockname")[0], writer.get_extra_info("peername")[0]
            writer.close()
            return Walked(hop=Hop.CONNECTION, good=True, detail=f"from {near} to {far}", ms=_since(started))
        return Walked(hop=Hop.CONNECTION, good=False, detail=detail, cure=cure, ms=_since(started))

    async def _tls(self, address: str, parts: SplitResult, peer: Peer) -> Walked:
        started = time.perf_counter()
        context = client_context(self._identity, trust=self._trust, pins=peer.certificate_sha256)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(
                    parts.hostname, _port_of(parts), ssl=context, server_hostname=parts.hostname
                )
        except ssl.SSLCertVerificationError as error:
            said = getattr(error, "verify_message", "") or str(error.args[-1])
            return Walked(
                hop=Hop.TLS, good=False, detail=f"we do not accept its certificate: {said}",
                cure="If the peer has a new certificate, verify it with them and put it into its [[peer]] certificate",
                ms=_since(started),
            )  # fmt: skip
        except ssl.SSLError as error:
            detail = f"no handshake: {error.reason or 'broken off'}"
            cure = "Check that the endpoint speaks TLS 1.2 or later, and whether it accepts our certificate"
            if error.reason in NO_TLS:
                detail = "what answers there does not speak TLS"
                cure = f"Write the port that does into the peer's endpoint, or {parts.scheme[:-1]}:// if that may be"
            return Walked(hop=Hop.TLS, good=False, detail=detail, cure=cure, ms=_since(started))
        except (OSError, TimeoutError) as error:
            failed = told(error, address)
            return Walked(hop=Hop.TLS, good=False, detail=failed.detail, cure=failed.cure, ms=_since(started))
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        cipher, der = secured.cipher(), secured.getpeercert(binary_form=True)
        until = f"{x509.load_der_x509_certificate(der).not_valid_after_utc:%Y-%m-%d}" if der else "?"
        detail = f"{secured.version()}, {cipher[0] if cipher else '?'}, its certificate is valid until {until}"
        writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1)
        return Walked(hop=Hop.TLS, good=True, detail=detail, ms=_since(started))

    async def _http(self, address: str, peer: Peer) -> Walked:
        started = time.perf_counter()
        try:
            async with self._sessions.session(peer).get(
                address, allow_redirects=False, timeout=idle_timeout(min(PAGE_TIMEOUT_S, peer.idle_timeout_s))
            ) as answer:
                software = answer.headers.get("Server", "")[:80]
                detail = f"answers {answer.status}" + (f", {software}" if software.isprintable() and software else "")
                advice = _advice(answer.status)
                return Walked(hop=Hop.HTTP, good=True, detail=detail, cure=advice, ms=_since(started))
        except BROKEN as error:
            failed = told(error, address)
            detail, cure = failed.detail, failed.cure
            if address.startswith("http:") and await _speaks_tls(urlsplit(address)):
                detail, cure = f"{detail}: TLS is spoken there", "Write https:// into the peer's endpoint"
            return Walked(hop=Hop.HTTP, good=False, detail=detail, cure=cure, ms=_since(started))


async def _speaks_tls(parts: SplitResult) -> bool:
    """Whether somebody shakes hands there, whoever it is: nothing is sent, and nobody is believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, _port_of(parts), ssl=context)
    except (OSError, TimeoutError):  # ssl.SSLError is one
        return False
    writer.close()
    return True


def _advice(status: int) -> str:
    """What a page's status may mean for who only ever posts there; "": nothing.

    A submission cannot be tried, so that this is the last that is known of its address. 405 is the usual answer.
    """
    if 300 <= status < 400:
        return "It sends us elsewhere: put the new address into the peer's endpoint"
    if status in (401, 403):
        return "It does not let us in: give the peer our certificate"
    if status in (502, 503, 504):
        return "What stands in front of the peer does not reach it: ask them"
    if status in (404, 410):
        return "It has no page there, which may be so only for who does not post: check the path in its endpoint"
    return ""


def _port_of(parts: SplitResult) -> int:
    return parts.port or PORTS.get(parts.scheme, 0)


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
