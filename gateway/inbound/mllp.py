"""MLLP listener: HL7 v2 messages in, acknowledgements out, in order.

Connections persist and may be pipelined: a sender may write the next message before it has the answer to the last. Each
connection is one protocol object that cuts the stream and one task that answers, so that what a turn commits is committed
before its acknowledgement is written, and acknowledgements leave in the order of the messages.

What a newcomer gets wrong: a sender that does not get its acknowledgement sends the message again, on another connection,
perhaps while the first is still being worked on. The second one waits for the answer of the first.

Source: ITI TF-2x Appendix C.2; HL7 v2.5 2.9.2 (original mode).
"""

import asyncio
import hashlib
import socket
import ssl as tls
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.actors.answering import Answering
from gateway.inbound.accepting import accept, tell_defect
from gateway.inbound.mllp_connection import Connection
from gateway.inbound.mllp_connection import MllpListenerLimits as MllpListenerLimits
from gateway.inbound.turn import Once, Turns
from gateway.model.peer import Caller
from gateway.ports.answers import MessageName
from gateway.ports.clock import Clock
from gateway.telemetry import logger, where
from profiles.errors import (
    AccessDenied,
    Busy,
    ExchangeError,
    InternalFault,
    MalformedMessage,
    OutOfResources,
    Unauthenticated,
    Unsupported,
)
from profiles.findings import Decoded, Finding, Severity
from profiles.transaction import Hl7Transaction
from profiles.wire.hl7v2.ack import of_error, write_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.message import header_of
from profiles.wire.hl7v2.mllp import Broken, FramingFault
from profiles.wire.hl7v2.segments import Header, control_id_of, read_header

Identify = Callable[[asyncio.BaseTransport, Hl7Address], Caller]
"""Who is asking, by certificate, address and MSH-3 to MSH-6. May raise `Unauthenticated` or `AccessDenied`."""

WIRE = "MLLP"
NOBODY = Hl7Address(sending_application="", sending_facility="", receiving_application="", receiving_facility="")
BACKLOG = 1024
INLINE_BYTES = 256 * 1024  # decoding more than this would hold up the event loop: it is done in a thread


@dataclass(slots=True)
class _Remembered:
    """The answer to a message, given or on its way. `digest` tells the same message from another with its id."""

    digest: bytes
    until: float
    answer: asyncio.Future[bytes | None]


SpokenBy = Callable[[Answering[Any, Any], Caller], Answering[Any, Any]]
"""The same answering, as a caller's messages are to be read."""


@dataclass(slots=True, kw_only=True)
class MllpCounts:
    """What a listener has seen since it started."""

    messages: int = 0
    repeated: int = 0  # came before: answered as then
    control_ids_reused: int = 0  # the same MSH-10 with another content
    broken: int = 0


class MllpListener:
    """Serves HL7 v2 transactions on one port."""

    def __init__(
        self,
        turns: Turns,
        answerings: Iterable[Answering[Any, Any]],
        identify: Identify,
        clock: Clock,
        *,
        limits: MllpListenerLimits | None = None,
        ssl: tls.SSLContext | None = None,
        processing_ids: frozenset[str] = frozenset("PDT"),
        spoken_by: SpokenBy = lambda answering, _: answering,
    ) -> None:
        """Of `answerings` those of `Hl7Transaction`s are served; the others are somebody else's wire.

        `spoken_by` gives the answering for a caller, who may mean something of its own by a namespace.
        """
        self._spoken_by = spoken_by
        self._turns = turns
        self._identify = identify
        self._clock = clock
        self.limits = limits or MllpListenerLimits()
        self._ssl = ssl
        self._processing_ids = processing_ids
        self._routes: dict[tuple[str, str, str], Answering[Any, Any]] = {}
        for answering in answerings:
            transaction = answering.transaction
            if isinstance(transaction, Hl7Transaction):
                for code, trigger in transaction.triggers:
                    for version in transaction.versions:
                        self._routes[code, trigger, version] = answering
        self._codes = {code for code, _, _ in self._routes}
        self._events = {(code, trigger) for code, trigger, _ in self._routes}
        self._memory: OrderedDict[tuple[str, str, str, str], _Remembered] = OrderedDict()
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self.counts = MllpCounts()
        self.held_bytes = 0  # of messages that came in half, or wait

    async def start(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Begin to accept; answers the port, which 0 leaves to the system."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        return self.accept(socket.create_server(address[:2], family=family, reuse_port=reuse_port))

    def accept(self, bound: socket.socket) -> int:
        """The same at a socket that is bound already, and ours from now on."""
        bound.listen(BACKLOG)
        bound.setblocking(False)
        self._socket = bound
        self._accepting = asyncio.get_running_loop().create_task(self._accept(bound))
        return int(bound.getsockname()[1])

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, address = await accept(listening, WIRE)
            if len(self._connections) >= self.limits.connections:
                accepted.close()
                continue
            connection = Connection(self)
            task = loop.create_task(connection.serve(accepted, address, self._ssl))
            self._connections[connection] = task
            task.add_done_callback(partial(self._ended, connection))

    def _ended(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._connections.pop(connection, None)
        tell_defect(task, WIRE)

    async def close(self, drain_s: float = 10.0) -> None:
        """Accept nothing more, answer what came in whole, hang up; what takes longer than `drain_s` is cut off."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._accepting = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for connection, task in tuple(self._connections.items()):
            if not connection.drain():
                task.cancel()
        tasks = tuple(self._connections.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- one message ------------------------------------------------------------------------------------------------------

    async def answer(self, message: bytes, transport: asyncio.BaseTransport) -> bytes | None:
        """The acknowledgement of one message; None if there can be none, and the connection has to go."""
        self.counts.messages += 1
        try:
            header = read_header(header_of(message))
            if not header.control_id.strip():
                raise MalformedMessage("MSH-10 is required", code="101", location="MSH^1^10")
        except MalformedMessage as unreadable:
            return await self._refuse(self._stranger(transport), unreadable, message)
        try:
            caller = self._identify(transport, header.address)
            _trust(caller, header.address)
        except ExchangeError as distrusted:
            return await self._refuse(self._stranger(transport), distrusted, message)
        try:
            answering = self._route(header)
        except Unsupported as unsupported:
            return await self._refuse(caller, unsupported, message)
        return await self._once(self._spoken_by(answering, caller), caller, header, message)

    def _route(self, header: Header) -> Answering[Any, Any]:
        """Source: ITI TF-2x Appendix C.2.3; the order is that of the table: type, event, processing id, version."""
        if header.message_code not in self._codes:
            raise Unsupported("this message type is not served here", code="200", location="MSH^1^9^1^1")
        if (header.message_code, header.trigger_event) not in self._events:
            raise Unsupported("this event is not served here", code="201", location="MSH^1^9^1^2")
        if header.processing_id not in self._processing_ids:
            raise Unsupported("this processing id is not served here", code="202", location="MSH^1^11^1^1")
        answering = self._routes.get((header.message_code, header.trigger_event, header.version))
        if answering is None:
            raise Unsupported("this version is not served here", code="203", location="MSH^1^12^1^1")
        return answering

    async def _once(
        self, answering: Answering[Any, Any], caller: Caller, header: Header, message: bytes
    ) -> bytes | None:
        """Answer a message, or give the answer again that it already got.

        Only what was done is remembered: a message that was refused may be sent again when its cause is gone.
        """
        large = len(message) > INLINE_BYTES
        digest = (await asyncio.to_thread(_digest, message)) if large else _digest(message)
        address = header.address
        key = (_sender(caller), address.sending_application, address.sending_facility, header.control_id)
        now = asyncio.get_running_loop().time()
        reused = False
        while (known := self._memory.get(key)) is not None and known.until > now:
            if known.digest != digest:
                reused = True
                self.counts.control_ids_reused += 1
                break
            given = await asyncio.shield(known.answer)
            if given is not None:
                self.counts.repeated += 1
                return given
        remembered = _Remembered(digest, now + self.limits.remembered_s, asyncio.get_running_loop().create_future())
        self._memory[key] = remembered
        self._memory.move_to_end(key)
        while len(self._memory) > self.limits.remembered or next(iter(self._memory.values())).until <= now:
            self._memory.popitem(last=False)
        done: bytes | None = None
        try:
            ack, is_done = await self._turn(answering, caller, header, message, digest, reused=reused)
            done = ack if is_done else None
            return ack
        finally:
            if done is None and self._memory.get(key) is remembered:
                del self._memory[key]
            remembered.answer.set_result(done)

    async def _turn(
        self,
        answering: Answering[Any, Any],
        caller: Caller,
        header: Header,
        message: bytes,
        digest: bytes,
        *,
        reused: bool,
    ) -> tuple[bytes, bool]:
        transaction = answering.transaction
        assert isinstance(transaction, Hl7Transaction)
        address, out = header.address, self._out(header.address)
        once = Once(
            name=MessageName(
                sender=_sender(caller), application=address.sending_application, facility=address.sending_facility,
                control_id=header.control_id,
            ),
            digest=digest,
            answer=lambda response: transaction.respond(response, message, out),
            reused=reused,
        )  # fmt: skip
        decode = await _decoder(transaction, message)

        def decode_and_tell() -> Decoded[Any]:
            decoded = decode()
            return Decoded(decoded.value, (*decoded.findings, _REUSED)) if reused else decoded

        try:
            async with self._turns.answer(
                answering,
                caller,
                decode_and_tell,
                raw=message,
                received_bytes=len(message),
                message_id=header.control_id,
                once=once,
            ) as answered:
                if answered.given is not None:
                    if answered.given.digest == digest:
                        self.counts.repeated += 1
                        return answered.given.answer, True
                elif answered.error is None:
                    ack = once.answer(answered.response)
                    answered.sent_bytes = len(ack)
                    return ack, True
                else:
                    ack = transaction.refuse(answered.error, message, out)
                    answered.sent_bytes = len(ack)
                    return ack, False
            self.counts.control_ids_reused += 1
            return await self._turn(answering, caller, header, message, digest, reused=True)
        except ExchangeError as failed:
            return transaction.refuse(failed, message, self._out(header.address)), False
        except Exception as defect:
            logger().error(
                "defect", transaction=transaction.id, listener=WIRE, error=type(defect).__name__,
                where=where(defect),
            )  # fmt: skip
            fault = InternalFault("this house has a defect; it was logged")
            return transaction.refuse(fault, message, self._out(header.address)), False

    async def _refuse(self, caller: Caller, error: ExchangeError, message: bytes) -> bytes | None:
        """Note what never became a request, and tell its sender if it can be told."""
        self.counts.broken += 1
        await self._turns.refused(caller, WIRE, error, raw=message)
        try:
            return write_acknowledgement(of_error(error), message, self._out(NOBODY))
        except MalformedMessage:
            return None

    async def broken(self, event: Broken, transport: asyncio.BaseTransport) -> bytes | None:
        """Note a broken frame. A message that is too long is told so, if it got as far as MSH-10."""
        if event.fault is FramingFault.OVERSIZE:
            error: ExchangeError = OutOfResources(
                f"a message has at most {self.limits.message_bytes} bytes here",
                code="207",
                cure="Raise limits.hl7_message_bytes if the sender is right",
            )
            return await self._refuse(self._stranger(transport), error, event.head)
        self.counts.broken += 1
        error = MalformedMessage(
            f"MLLP: {event.fault.value}", cure="Check the sender's framing: 0x0B message 0x1C 0x0D"
        )
        await self._turns.refused(self._stranger(transport), WIRE, error, raw=event.head)
        return None

    async def crowded(self, head: bytes, transport: asyncio.BaseTransport) -> bytes | None:
        """Note a message for which there was no room, and ask its sender to come back."""
        error = Busy(
            "too much is coming in at once", code="206", cure="Raise the memory of this house, or its listeners"
        )
        return await self._refuse(self._stranger(transport), error, head)

    async def handshake_failed(self, address: str, reason: str) -> None:
        """Note a TLS handshake that failed. Source: ITI TF-2 3.19.4 (node authentication failure)."""
        self.counts.broken += 1
        error = Unauthenticated(f"TLS handshake failed: {reason}", cure="Check the peer's certificate and trust")
        await self._turns.refused(Caller(peer=None, network_address=address, via="nobody"), WIRE, error)

    def _stranger(self, transport: asyncio.BaseTransport) -> Caller:
        """Who it is by certificate and network address alone."""
        try:
            return self._identify(transport, NOBODY)
        except ExchangeError:
            return Caller(peer=None, network_address=_address(transport), via="nobody")

    def _out(self, address: Hl7Address) -> Hl7Out:
        mirrored = Hl7Address(
            sending_application=address.receiving_application,
            sending_facility=address.receiving_facility,
            receiving_application=address.sending_application,
            receiving_facility=address.sending_facility,
        )
        return Hl7Out(address=mirrored, control_id=control_id_of(self._clock.new_uuid()), at=self._clock.now())


_REUSED = Finding(
    rule="hl7.control-id-reused",
    text="MSH-10 was used before for another message",
    severity=Severity.WARNING,
    code="205",
    location="MSH^1^10",
)


def _sender(caller: Caller) -> str:
    return caller.peer.name if caller.peer is not None else caller.network_address


def _digest(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


async def _decoder(transaction: Hl7Transaction[Any, Any], message: bytes) -> Callable[[], Decoded[Any]]:
    """The decoding that the turn asks for; of a large message it is done beforehand, beside the event loop."""
    if len(message) <= INLINE_BYTES:
        return lambda: transaction.decode_request(message)
    try:
        decoded = await asyncio.to_thread(transaction.decode_request, message)
    except ExchangeError as refused:
        failure = refused

        def fail() -> Decoded[Any]:
            raise failure

        return fail
    return lambda: decoded


def _trust(caller: Caller, address: Hl7Address) -> None:
    """A peer that we know speaks under its own name and to us; what is not configured is not asked.

    `Peer.hl7` is how messages *to* it are addressed, so that what comes from it is the other way round.

    Raises:
        AccessDenied: It speaks under another name.
    """
    expected = caller.peer.hl7 if caller.peer is not None else None
    if expected is None:
        return
    for said, known, number in (
        (address.sending_application, expected.receiving_application, 3),
        (address.sending_facility, expected.receiving_facility, 4),
        (address.receiving_application, expected.sending_application, 5),
        (address.receiving_facility, expected.sending_facility, 6),
    ):
        if known and said != known and said.partition("^")[0] != known:
            raise AccessDenied(
                "sending or receiving application or facility is not what this house has for the peer",
                code="103",
                location=f"MSH^1^{number}",
                cure="Compare MSH-3 to MSH-6 with hl7_application and hl7_facility of the peer and the house",
            )


def _address(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""
