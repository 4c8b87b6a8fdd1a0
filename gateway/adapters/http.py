"""HTTP out: one session for each peer's TLS identity. Connections are kept, redirects are not followed, nothing is guessed.

`calling` turns what aiohttp raises into what it means to us: which hop failed, why, and what an operator can do.
"""

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from yarl import URL

from gateway.adapters.tls import TlsIdentity, client_context
from gateway.model.peer import Peer
from profiles.errors import ExchangeError, PeerError, PeerProtocolError, PeerRefused, PeerTimeout, PeerUnavailable

CONNECT_TIMEOUT_S = 10.0
BUFFER_BYTES = 256 * 1024  # of what came and was not read yet, per connection
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


class HttpSessions:
    """The sessions of the house, made when they are first asked for, inside the running loop."""

    def __init__(self, *, identity: TlsIdentity | None = None, trust: Sequence[Path] = ()) -> None:
        """`identity` is shown to every peer that asks; `trust` counts for peers without a certificate of their own."""
        self._identity = identity
        self._trust = tuple(trust)
        self._sessions: dict[tuple[str, ...], aiohttp.ClientSession] = {}

    def session(self, peer: Peer | None = None) -> aiohttp.ClientSession:
        """The session for a peer; None: whoever the trusted authorities vouch for."""
        pins = tuple(sorted(peer.certificate_sha256)) if peer is not None else ()
        if pins not in self._sessions:
            context = client_context(self._identity, trust=self._trust, pins=pins)
            self._sessions[pins] = aiohttp.ClientSession(
                # No limit: a slow reader of one answer must not keep others from asking.
                connector=aiohttp.TCPConnector(ssl=context, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                # Compression is never worth it here: archives become ten times slower, and limits would not mean bytes.
                headers={"Accept-Encoding": "identity", "User-Agent": "radgate"},
                auto_decompress=False,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=BUFFER_BYTES,
            )
        return self._sessions[pins]

    async def close(self) -> None:
        """Let go of every connection."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()


def idle_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """For one call: how long nothing may come. Never a limit on the whole."""
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=seconds)


@contextmanager
def calling(address: str) -> Iterator[None]:
    """What goes wrong on the way to an address, as the error that it is to us.

    Raises:
        PeerUnavailable, PeerTimeout: Come back later.
        PeerRefused: A certificate, theirs or ours, is not accepted.
        PeerProtocolError: What came is not HTTP.
    """
    try:
        yield
    except BROKEN as error:
        raise told(error, address) from error


def told(error: BaseException, address: str) -> ExchangeError:
    """An error of the connection to an address, with hop, cause and cure."""
    said = _told(error, address)
    said.sent = not isinstance(
        error, (aiohttp.InvalidURL, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    )
    return said


def _told(error: BaseException, address: str) -> PeerError:
    hop = hop_of(address)
    match error:
        case aiohttp.InvalidURL():
            return PeerRefused(f"{address[:200]} is not an address", cure="Mend the peer's endpoint")
        case aiohttp.ClientConnectorCertificateError():
            return PeerRefused(
                f"{hop} shows a certificate that we do not accept: {_reason(error.certificate_error)}",
                cure="If the peer has a new certificate, verify it with them and put it into its [[peer]] certificate",
            )
        case aiohttp.ClientConnectorDNSError():
            return PeerUnavailable(
                f"the name of {hop} is not known",
                cure="Check the host name in the peer's endpoint, and the name server",
            )
        case aiohttp.ClientSSLError():
            return PeerUnavailable(
                f"TLS with {hop} failed: {_reason(error.os_error)}",
                cure="Check that the endpoint speaks TLS 1.2 or later, and whether it accepts our certificate",
            )
        case aiohttp.ClientConnectorError():
            return PeerUnavailable(
                f"nothing answers at {hop}: {error.os_error.strerror or 'no connection'}",
                cure="Check that the peer is up, the port in its endpoint, and the firewalls between",
            )
        case aiohttp.ConnectionTimeoutError():
            return PeerTimeout(
                f"{hop} did not take the connection in {CONNECT_TIMEOUT_S:g} seconds",
                cure="Check that the peer is up, and the firewalls between",
            )
        case TimeoutError():
            return PeerTimeout(f"nothing moved to or from {hop} for too long", cure="Ask the peer; it is tried again")
        case aiohttp.ClientResponseError():
            return PeerProtocolError(f"what {hop} sends is not HTTP", cure="Check the port in the peer's endpoint")
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            return PeerRefused(
                f"{hop} ended TLS: {_reason(error)}",
                cure="Give the peer our certificate; it may not know it, or not any more",
            )
        case aiohttp.ClientOSError() if isinstance(error.__cause__, ssl.SSLError):
            return _told(error.__cause__, address)
        case aiohttp.ServerDisconnectedError() if hop.startswith("https:"):
            return PeerUnavailable(
                f"{hop} closed the connection without a word",
                cure="If it goes on, ask the peer whether it accepts our certificate; many say nothing when they do not",
            )
        case _:
            return PeerUnavailable(
                f"{hop} broke the connection", cure="Ask the peer why, if it goes on; it is tried again"
            )


def hop_of(address: str) -> str:
    """Scheme, host and port of an address: what failed, without paths that may say more."""
    try:
        url = URL(address)
        return f"{url.scheme}://{url.host}:{url.port}"
    except ValueError:
        return address[:100]


def _reason(error: BaseException) -> str:
    """A library's short words for a TLS failure: they name certificates and alerts, never bodies."""
    return str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error)[:200]


async def body_of(response: aiohttp.ClientResponse, address: str) -> AsyncIterator[bytes]:
    """The body as it comes, errors of the connection translated."""
    while True:
        try:  # not `calling`: a context manager for each chunk is felt
            chunk = await response.content.readany()
        except BROKEN as error:
            raise told(error, address) from error
        if not chunk:
            return
        yield chunk
