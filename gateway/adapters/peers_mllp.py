"""MLLP carrier: HL7 v2 messages out, acknowledgements back. One connection per peer and address, one message in flight.

What a newcomer gets wrong: an acknowledgement counts only if its MSA-2 is the MSH-10 that was sent. After a timeout the
connection is closed, for the late answer would be taken for that of the next message.

Source: ITI TF-2x Appendix C.2; HL7 v2.5 2.9.2.
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.adapters.carrying import Carried
from gateway.model.house import House
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from profiles.errors import (
    InternalFault,
    MalformedMessage,
    PeerProtocolError,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    Unsupported,
)
from profiles.transaction import Hl7Transaction, Transaction, User
from profiles.wire.hl7v2.ack import Acknowledgement, read_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.message import header_of
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, MllpLimits, join
from profiles.wire.hl7v2.segments import control_id_of, read_header

Response = TypeVar("Response")
SecureContext = Callable[[Peer], ssl.SSLContext]

DEFAULT_PORT = 2575  # IANA hl7
CONNECT_S = 10.0
ACKNOWLEDGE_S = 30.0
IDLE_S = 300.0  # an unused connection is closed, before a firewall forgets it silently
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_READ_BYTES = 64 * 1024


@dataclass(slots=True)
class _Line:
    """The connection to one peer at one address."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    splitter: FrameSplitter = field(default_factory=FrameSplitter)
    idle: asyncio.TimerHandle | None = None

    def hang_up(self) -> None:
        """Close; the next message connects again."""
        if self.idle is not None:
            self.idle.cancel()
            self.idle = None
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    @property
    def is_open(self) -> bool:
        """As far as anybody can tell before writing."""
        return (
            self.writer is not None
            and not self.writer.is_closing()
            and self.reader is not None
            and not self.reader.at_eof()
        )


class _GoneAway(Exception):
    """The peer closed a connection that we had kept, before it answered a byte."""


class MllpCarrier:
    """Implements `Carrier` for `Hl7Transaction` over `mllp://host:port` and `mllps://host:port`."""

    def __init__(
        self,
        *,
        house: House,
        clock: Clock,
        secure: SecureContext | None = None,
        connect_s: float = CONNECT_S,
        acknowledge_s: float = ACKNOWLEDGE_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """`secure` makes the client's TLS context for a peer; without it only `mllp://` can be carried."""
        self._house = house
        self._clock = clock
        self._secure = secure
        self._connect_s = connect_s
        self._acknowledge_s = acknowledge_s
        self._idle_s = idle_s
        self._lines: dict[tuple[str, str], _Line] = {}

    @asynccontextmanager
    async def carry(
        self,
        transaction: Transaction[Any, Response],
        address: str,
        request: object,
        *,
        peer: Peer,
        message_id: str,
        user: User | None = None,
    ) -> AsyncIterator[Carried[Response]]:
        """Send one message and wait for its acknowledgement.

        `message_id` is MSH-10; one that is too long for it is shortened, the same to the same.

        Raises:
            PeerUnavailable: No connection, or it broke before the answer.
            PeerTimeout: No answer in time.
            PeerRefused: AE, AR, CE or CR; `code` is ERR-3, and `temporary` says whether to send it again.
            PeerProtocolError: No acknowledgement of this message.
        """
        if not isinstance(transaction, Hl7Transaction):
            raise InternalFault(f"{transaction.id} does not travel over MLLP")
        out = Hl7Out(address=self._addressed(peer), control_id=control_id_of(message_id), at=self._clock.now())
        message = transaction.encode_request(request, out)
        answer = await self._exchange(address, message, peer)
        try:
            decoded = transaction.decode_response(answer)
        except MalformedMessage as unreadable:
            raise PeerProtocolError(f"the answer cannot be read: {unreadable.detail}") from unreadable
        yield Carried(
            response=decoded.value,
            findings=decoded.findings,
            sent_bytes=len(message) + 3,
            received_bytes=len(answer) + 3,
        )

    async def close(self) -> None:
        """Close every connection; a message under way ends as `PeerUnavailable`."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.hang_up()

    def _addressed(self, peer: Peer) -> Hl7Address:
        if peer.hl7 is not None:
            return peer.hl7
        return self._house.hl7_address(peer.name, peer.name)

    async def _exchange(self, address: str, message: bytes, peer: Peer) -> bytes:
        line = self._lines.setdefault((peer.name, address), _Line())
        async with line.lock:
            if line.idle is not None:
                line.idle.cancel()
                line.idle = None
            was_kept = line.is_open
            try:
                try:
                    answer = await self._ask(line, address, message, peer)
                except _GoneAway:
                    if not was_kept:
                        raise PeerUnavailable("the peer closed the connection instead of answering") from None
                    # It had hung up while nothing was under way. Sending again is safe: MSH-10 is the same.
                    line.hang_up()
                    answer = await self._ask(line, address, message, peer)
                _judge(answer, read_header(header_of(message)).control_id, peer)
            except PeerRefused:
                self._keep(line)
                raise
            except BaseException:
                line.hang_up()
                raise
            self._keep(line)
            return answer

    def _keep(self, line: _Line) -> None:
        line.idle = asyncio.get_running_loop().call_later(self._idle_s, line.hang_up)

    async def _ask(self, line: _Line, address: str, message: bytes, peer: Peer) -> bytes:
        if not line.is_open:
            line.hang_up()
            await self._connect(line, address, peer)
        reader, writer = line.reader, line.writer
        assert reader is not None and writer is not None
        was_silent = True
        try:
            async with asyncio.timeout(self._acknowledge_s):
                writer.write(join(message))
                await writer.drain()
                while True:
                    data = await reader.read(_READ_BYTES)
                    if not data:
                        break
                    was_silent = False
                    for event in line.splitter.feed(data):
                        if isinstance(event, Framed):
                            return event.message
                        raise PeerProtocolError(f"MLLP: {event.fault.value}")
        except TimeoutError as late:
            raise PeerTimeout(
                f"no acknowledgement within {self._acknowledge_s:g} s",
                cure="See whether the peer's interface is stopped",
            ) from late
        except OSError as broken:
            if was_silent:
                raise _GoneAway from broken
            raise PeerUnavailable("the connection broke inside the answer") from broken
        if was_silent:
            raise _GoneAway
        raise PeerUnavailable("the peer closed the connection inside its answer")

    async def _connect(self, line: _Line, address: str, peer: Peer) -> None:
        host, port, context = self._target(address, peer)
        try:
            async with asyncio.timeout(self._connect_s):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=host if context is not None else None
                )
        except TimeoutError as late:
            raise PeerTimeout(
                f"no connection within {self._connect_s:g} s", cure="Check address and firewall"
            ) from late
        except ssl.SSLError as distrusted:
            reason = getattr(distrusted, "verify_message", "") or distrusted.reason or "handshake failed"
            raise PeerUnavailable(
                f"TLS: {reason}", cure="Check the peer's certificate, and ours in its trust"
            ) from distrusted
        except OSError as refused:
            raise PeerUnavailable(
                f"no connection: {refused.strerror or type(refused).__name__}", cure="Check that the peer listens there"
            ) from refused
        if context is not None and peer.certificate_sha256 and not _is_pinned(writer, peer):
            writer.transport.abort()
            raise PeerUnavailable("TLS: the certificate is not the peer's", cure="Compare it with [[peer]] certificate")
        line.reader, line.writer = reader, writer
        line.splitter = FrameSplitter(MllpLimits(message_bytes=MAX_ANSWER_BYTES))

    def _target(self, address: str, peer: Peer) -> tuple[str, int, ssl.SSLContext | None]:
        wrong = Unsupported(
            "not an MLLP address", cure=f'Write "MLLP" of {peer.name} as mllp://host:port or mllps://host:port'
        )
        parts = urlsplit(address)
        port: int | None = None
        with suppress(ValueError):
            port = parts.port or DEFAULT_PORT
        if parts.scheme not in ("mllp", "mllps") or not parts.hostname or port is None:
            raise wrong
        if parts.scheme == "mllp":
            return parts.hostname, port, None
        if self._secure is None:
            raise Unsupported("mllps needs [tls] key and certificate", cure="Set [tls], or use mllp:// on loopback")
        return parts.hostname, port, self._secure(peer)


def _is_pinned(writer: asyncio.StreamWriter, peer: Peer) -> bool:
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return shown is not None and hashlib.sha256(shown).hexdigest() in peer.certificate_sha256


def _judge(answer: bytes, control_id: str, peer: Peer) -> None:
    """Accept only the acknowledgement of this message.

    Raises:
        PeerProtocolError, PeerRefused: As `carry` says.
    """
    try:
        acknowledgement = read_acknowledgement(answer).value
    except MalformedMessage as unreadable:
        raise PeerProtocolError(f"the answer is no acknowledgement: {unreadable.detail}") from unreadable
    if acknowledgement.message_control_id.strip() != control_id.strip():
        stray = PeerProtocolError("MSA-2 is not the control id of the message that was sent")
        stray.temporary = True  # it counts as no answer: ours may never have been seen
        raise stray
    if not acknowledgement.accepted:
        raise _refused(acknowledgement, peer)


def _refused(acknowledgement: Acknowledgement, peer: Peer) -> PeerRefused:
    first = next(iter(acknowledgement.errors), None)
    where = f" at {first.location}" if first is not None and first.location else ""
    refused = PeerRefused(
        # The peer's own words are not repeated: they may name a patient.
        f"{peer.name} answered {acknowledgement.code}" + (f" {first.code}{where}" if first is not None else ""),
        code=first.code if first is not None else acknowledgement.code.value,
        location=first.location if first is not None else "",
        cure="Look at the message and at what the peer knows of its patient and order",
    )
    refused.temporary = acknowledgement.is_temporary
    return refused
