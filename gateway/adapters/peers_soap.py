"""SOAP out: one request to an address, its answer as a stream. Implements `Carrier` for SOAP transactions.

The envelope of an answer is read first, whatever the order of its parts; documents come as a pour that the caller reads
inside the context. Leaving the context early closes the connection, and so tells the peer to stop.

A peer may be asked to bring its answer to our reply address. Then the connection that asks says only that it was taken,
and the answer is read from the peer's own request, which is acknowledged when the caller has read it to its end.

What a newcomer gets wrong: a fault is read like any answer, whatever the HTTP status says, and an HTTP error without a
fault comes from something in front of the peer more often than from the peer.

Source: ITI TF-2 Appendix V.3, V.5 and V.8.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import aiohttp

from gateway.adapters.asserting import Asserting
from gateway.adapters.carrying import Carried
from gateway.adapters.http import HttpSessions, calling, hop_of, idle_timeout
from gateway.adapters.long_body import long_body_of
from gateway.adapters.questions import OpenQuestions, Question
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.objects import Objects, Spool
from gateway.ports.questions import ANSWERED_AT_ONCE, Arrival
from profiles.errors import (
    ExchangeError,
    InternalFault,
    MalformedMessage,
    PeerProtocolError,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    Unsupported,
)
from profiles.findings import Finding, Severity
from profiles.model.content import Part, Pour, Poured
from profiles.transaction import SoapTransaction, Transaction, User
from profiles.wire.multipart import CutOff, gathered
from profiles.wire.soap.envelope import NewSink, encode_envelope
from profiles.wire.soap.fault import refusal
from profiles.wire.soap.mtom import Packed, SoapLimits, SoapMessage, pack, read_message
from profiles.wire.soap.names import ANONYMOUS

Response = TypeVar("Response")

GATHER_BYTES = 1024 * 1024  # a request up to this size is sent with its Content-Length: some peers know no chunks
TURN_BYTES = 256 * 1024
DRAIN_BYTES = 64 * 1024  # what may follow a unary answer, so that its connection can be kept
SOAP_TYPES = frozenset({"application/soap+xml", "multipart/related"})
ANSWER_LIMITS = SoapLimits(parts=100_000)  # a peer whom we asked for a study may send a study


class SoapCarrier:
    """The way out over SOAP 1.2 and HTTP."""

    def __init__(
        self,
        *,
        sessions: HttpSessions,
        objects: Objects,
        clock: Clock,
        limits: SoapLimits = ANSWER_LIMITS,
        document_bytes: int = 256 * 1024 * 1024,
        asserting: Asserting | None = None,
        questions: OpenQuestions | None = None,
    ) -> None:
        """`objects` spools documents that come inline or before a late root, each up to `document_bytes`.

        `asserting` says who the person is for whom we ask, to peers that want to know; None: nobody can. `questions`
        knows where answers can be brought later; None: nowhere, everybody is asked synchronously.
        """
        self._sessions = sessions
        self._objects = objects
        self._clock = clock
        self._limits = limits
        self._document_bytes = document_bytes
        self._asserting = asserting
        self._questions = questions

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
        """Ask at this address; see `Carrier.carry`."""
        if not isinstance(transaction, SoapTransaction):
            raise Unsupported(f"{transaction.id} is not a SOAP transaction")
        spools: list[Spool] = []

        def new_sink() -> Spool:
            spools.append(self._objects.spool(self._document_bytes))
            return spools[-1]

        ask = Ask(address, peer)
        try:
            asked = f"urn:uuid:{message_id}"
            security = await self._asserting.header(peer, address, user) if self._asserting is not None else b""
            questions = self._questions if transaction.id in peer.ask_asynchronously else None
            packed = self._pack(
                transaction,
                address,
                request,
                asked,
                security,
                questions.address if questions is not None else ANONYMOUS,
            )
            answering = (
                self._answered_later(ask, packed, new_sink, questions, asked)
                if questions is not None
                else self._answered_at_once(ask, packed, new_sink)
            )
            async with answering as answer:
                message = answer.message
                with ask.reading():
                    findings = (
                        message.findings + answer.findings + _checked(message, transaction, asked, answer, address)
                    )
                    decoded = cast(SoapTransaction[Any, Response], transaction).decode_response(message.to_codec())
                message.release()  # what pours behind it may take an hour
                carried = Carried(
                    response=decoded.value,
                    findings=(*findings, *decoded.findings),
                    sent_bytes=ask.sent_bytes,
                    received_bytes=ask.received_bytes,
                )
                ask.carried = carried
                if not isinstance(decoded.value, Poured):
                    await _drain(message.parts)
                yield carried
        finally:
            ask.close()
            for spool in spools:
                spool.discard()

    @asynccontextmanager
    async def _answered_at_once(self, ask: "Ask", packed: Packed, new_sink: NewSink) -> AsyncIterator["_Answer"]:
        """Ask; the answer comes back on the connection."""
        response = await ask.post(self._sessions.session(ask.peer), packed)
        yield await self._read(ask, response, new_sink)

    async def _read(self, ask: "Ask", response: aiohttp.ClientResponse, new_sink: NewSink) -> "_Answer":
        with ask.reading():
            message = await read_message(
                ask.chunks(response), _content_type(response, ask.address), limits=self._limits, new_sink=new_sink,
                as_pour=True,
            )  # fmt: skip
        if message.parts is not None:
            message.parts = ask.translated(message.parts)
        return _Answer(message, response.status)

    @asynccontextmanager
    async def _answered_later(
        self, ask: "Ask", packed: Packed, new_sink: NewSink, questions: OpenQuestions, asked: str
    ) -> AsyncIterator["_Answer"]:
        """Ask; the answer comes to our reply address, perhaps before the connection that asks has said that it was taken.

        Whoever answers on the connection all the same is read, and it is a finding.
        """
        with questions.asked(asked, ask.peer) as question:
            posting = asyncio.create_task(ask.post(self._sessions.session(ask.peer), packed), name="ask")
            try:
                either: set[asyncio.Future[Any]] = {posting, question.arrived}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not question.arrived.done():
                    response = await posting
                    if not await _is_taken(response, ask.address):
                        answer = await self._read(ask, response, new_sink)
                        odd = _odd(
                            ANSWERED_AT_ONCE, "an answer was asked for later, and came on the connection that asks"
                        )
                        yield replace(answer, findings=(odd,))
                        return
                    ask.close()
                    await _begun(question, ask)
                ask.arrival, ask.question = question.arrived.result(), question
                async with self._read_to_its_end(ask, ask.arrival.message, question) as answer:
                    yield answer
            finally:
                posting.cancel()
                await asyncio.gather(posting, return_exceptions=True)

    @asynccontextmanager
    async def _read_to_its_end(self, ask: "Ask", message: SoapMessage, question: Question) -> AsyncIterator["_Answer"]:
        """What came to our reply address; whoever brought it is told how it was read."""
        unread: ExchangeError | None = InternalFault("the answer was not read to its end")
        if message.parts is None:
            ask.ended = True
        else:
            message.parts = ask.translated(message.parts)
        try:
            try:
                yield _Answer(message, 200)
            except PeerRefused:  # a fault, or the transaction's own: it was read all the same
                await _drain(message.parts)
                raise
            await _drain(message.parts)
        except PeerProtocolError as unreadable:
            unread, ask.ended = MalformedMessage(unreadable.detail, location=unreadable.location), False
            raise
        finally:
            question.end(None if ask.ended else unread)

    def _pack(
        self, transaction: SoapTransaction[Any, Any], address: str, request: object, message_id: str, security: bytes,
        reply_address: str,
    ) -> Packed:  # fmt: skip
        out = transaction.encode_request(request)
        envelope = encode_envelope(
            out.body, action=transaction.request_action, message_id=message_id, to=address, reply_to=True,
            relates_to=out.relates_to, reply_address=reply_address, blocks=security + out.header,
        )  # fmt: skip
        return pack(
            transaction.packaging,
            envelope,
            out,
            unique=self._clock.new_uuid().replace("-", ""),
            action=transaction.request_action,
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer whose envelope was read, and the HTTP status that it came with."""

    message: SoapMessage
    status: int
    findings: tuple[Finding, ...] = ()


class Ask:
    """One request and its answer: what was counted, and how long nothing has moved."""

    def __init__(self, address: str, peer: Peer) -> None:
        self.address = address
        self.peer = peer
        self.sent_bytes = 0
        self.carried: Carried[Any] | None = None
        self.arrival: Arrival | None = None  # the answer, where it came to our reply address
        self.question: Question | None = None  # which it answers
        self.ended = False  # whether its last part was read
        self._received_bytes = 0
        self._idle_timeout_s = peer.idle_timeout_s
        self._answer: aiohttp.ClientResponse | None = None

    @property
    def received_bytes(self) -> int:
        """How many bytes of the answer have come so far."""
        return self._received_bytes if self.arrival is None else self.arrival.received_bytes()

    async def post(self, session: aiohttp.ClientSession, packed: Packed) -> aiohttp.ClientResponse:
        """Send, and read the head of the answer."""
        headers = {"Content-Type": packed.content_type}
        async with aclosing(packed.chunks) as chunks:
            first, ended = await gathered(chunks, GATHER_BYTES)
            self.sent_bytes = sum(map(len, first))
            with calling(self.address):
                async with asyncio.timeout(None) as deadline:
                    body: bytes | AsyncIterator[bytes] = b"".join(first)
                    broken: list[Exception] = []
                    if not ended:
                        body = self._sent(first, chunks, deadline, broken)
                        if packed.size_bytes is not None:
                            headers["Content-Length"] = str(packed.size_bytes)
                    try:
                        self._answer = await session.post(
                            self.address,
                            data=body,
                            headers=headers,
                            allow_redirects=False,
                            timeout=idle_timeout(self._idle_timeout_s),
                        )
                    except aiohttp.ClientError:
                        if broken:  # ours broke, not the connection
                            raise broken[0] from None
                        raise
        return self._answer

    async def _sent(
        self,
        pieces: tuple[bytes, ...],
        chunks: AsyncGenerator[bytes, None],
        deadline: asyncio.Timeout,
        broken: list[Exception],
    ) -> AsyncIterator[bytes]:
        """The body, with a deadline on the peer's taking each piece; none while we wait for our own source."""
        loop = asyncio.get_running_loop()
        ended = False
        while True:
            for piece in pieces:
                deadline.reschedule(loop.time() + self._idle_timeout_s)
                yield piece
            deadline.reschedule(None)
            if ended:
                return
            await asyncio.sleep(0)
            try:
                pieces, ended = await gathered(chunks, TURN_BYTES)
            except Exception as error:
                broken.append(error)
                raise
            self.sent_bytes += sum(map(len, pieces))

    async def chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The body of the answer."""
        since_turn = 0
        async for chunk in long_body_of(answer, self.address):
            self._received_bytes += len(chunk)
            if self.carried is not None:
                self.carried.received_bytes = self._received_bytes
            yield chunk
            since_turn += len(chunk)
            if since_turn >= TURN_BYTES:
                since_turn = 0
                await asyncio.sleep(0)

    def reading(self) -> "_Reading":
        """What cannot be read of an answer is the peer's fault."""
        return _Reading(self.address)

    async def translated(self, pour: Pour) -> AsyncIterator[Part]:
        """A pour whose framing errors are the peer's."""
        parts = aiter(pour)
        while True:
            with self.reading():
                part = await anext(parts, None)
            if part is None:
                self.ended = True
                if self.question is not None:  # whoever brought it need not wait for what we make of it
                    self.question.end(None)
                return
            yield part.by(self._translated(part.chunks))

    async def _translated(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self.reading():
            async for chunk in chunks:
                yield chunk

    def close(self) -> None:
        """Keep the connection if the answer was read to its end, else cut it."""
        if self.carried is not None:
            self.carried.received_bytes = self.received_bytes
        if self._answer is not None:
            if self._answer.content.at_eof():
                self._answer.release()
            else:
                self._answer.close()


class _Reading:
    """Turns what a reader says of a message into what it means of a peer."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CutOff):
            raise PeerUnavailable(
                f"{hop_of(self.address)} broke off its answer",
                cure="Ask the peer why, if it goes on; it is tried again",
            ) from error
        if isinstance(error, (MalformedMessage, Unsupported)):
            raise PeerProtocolError(
                f"the answer of {hop_of(self.address)} cannot be read: {error.detail}",
                location=error.location,
                cure="Ask the peer; the same request will get the same answer",
                findings=error.findings,
            ) from error


def _content_type(answer: aiohttp.ClientResponse, address: str) -> str:
    """The Content-Type of an answer that can be SOAP.

    Raises:
        ExchangeError: It cannot; what the HTTP status says of it.
    """
    hop, status = hop_of(address), answer.status
    content_type = answer.headers.get("Content-Type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise PeerProtocolError(f"{hop} answers compressed, although it was asked not to", cure="Ask the peer")
    if kind in SOAP_TYPES:
        return content_type
    if status == 202:
        raise PeerProtocolError(
            f"{hop} took the request and would answer later", cure="The peer must answer on the connection that asks"
        )
    if 300 <= status < 400:
        raise PeerRefused(f"{hop} sends us elsewhere (HTTP {status})", cure="Put the new address into its endpoint")
    if status in (401, 403):
        raise PeerRefused(
            f"{hop} does not let us in (HTTP {status})", code=str(status), cure="Give the peer our certificate"
        )
    if status in (404, 405, 410):
        raise PeerRefused(
            f"{hop} serves nothing at this path (HTTP {status})", code=str(status), cure="Check the peer's endpoint"
        )
    if status in (408, 429, 502, 503, 504):
        raise PeerUnavailable(
            f"{hop} cannot answer now (HTTP {status})",
            code=str(status),
            cure="It is tried again; ask the peer if it lasts",
        )
    raise PeerProtocolError(
        f"{hop} answers with {kind[:80] or 'no Content-Type'} (HTTP {status}) instead of SOAP",
        code=str(status),
        cure="Check the peer's endpoint; something in front of it may have answered",
    )


def _checked(
    message: SoapMessage,
    transaction: SoapTransaction[Any, Any],
    asked: str,
    answer: _Answer,
    address: str,
) -> tuple[Finding, ...]:
    """Whether it is an answer, and to what we asked.

    Raises:
        PeerRefused: It is a fault.
        PeerProtocolError: It answers another request.
    """
    if message.fault is not None:
        raise refusal(message.fault)
    if answer.status >= 400:
        raise PeerRefused(
            f"{hop_of(address)} refused (HTTP {answer.status})", code=str(answer.status), cure="Ask the peer"
        )
    findings: list[Finding] = []
    relates_to = message.addressing.relates_to
    if not relates_to:
        findings.append(_odd("wsa-relates-to", "an answer has no wsa:RelatesTo"))
    elif relates_to != asked:
        raise PeerProtocolError(
            f"{hop_of(address)} answers another request than ours", location="wsa:RelatesTo", cure="Ask the peer"
        )
    if message.addressing.action != transaction.response_action:
        findings.append(_odd("wsa-response-action", "an answer has another wsa:Action than its transaction"))
    return tuple(findings)


async def _is_taken(response: aiohttp.ClientResponse, address: str) -> bool:
    """Whether a peer has taken the question and answers later: 202, or what some say instead, nothing at all."""
    if response.status in (202, 204) or (response.status == 200 and response.content_length == 0):
        return True
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status != 200 or kind in SOAP_TYPES:
        return False
    with calling(address):
        return not await response.content.readany()


async def _begun(question: Question, ask: Ask) -> None:
    """Wait until the answer begins to come.

    Raises:
        PeerTimeout: It did not.
    """
    await asyncio.wait({question.arrived}, timeout=ask.peer.answer_timeout_s)
    if not question.arrived.done():
        raise PeerTimeout(
            f"{hop_of(ask.address)} took the request, and no answer came in {ask.peer.answer_timeout_s:g} seconds",
            cure="Ask the peer whether it reaches our listen.reply_url and lets answers go there; or raise"
            " answer_timeout_s of its [[peer]]",
        )


def _odd(rule: str, text: str) -> Finding:
    return Finding(rule=rule, text=text, severity=Severity.WARNING, location="/Envelope/Header")


async def _drain(parts: Pour | None) -> None:
    """Read what little follows a unary answer. It is complete already: what goes wrong here costs the connection only."""
    if parts is None:
        return
    seen = 0
    try:
        async for part in parts:
            async for chunk in part.chunks:
                seen += len(chunk)
                if seen > DRAIN_BYTES:
                    return
    except ExchangeError:
        return
