"""The SOAP listener: reads its wire, enters a turn, writes what the turn answered.

One address serves several transactions, told apart by wsa:Action. Documents of a request are spooled as they come; an
answer is written as it is made. Nothing limits how long an exchange takes, only how long nothing may move.

An answer may go elsewhere (wsa:ReplyTo), where the peer's settings allow that very address. Then 202 says only that the
request was read: the turn is taken afterwards, and its answer acknowledges it.

What a newcomer gets wrong: once the first byte of an answer is out, its status cannot be mended. If a pour breaks then, the
connection is cut, because a body that is cut off cannot be mistaken for a complete one.

Source: ITI TF-2 Appendix V.3, V.5 and V.8; what is tolerated of whom: `gateway.model.peer.Tolerance`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from gateway.actors.answering import Answering
from gateway.inbound.assertions import NOTHING, Assertions, NotBelieved
from gateway.inbound.flow import EXCHANGE_HEADER, Incoming, Outgoing, to_tell
from gateway.inbound.turn import Answered, Turns
from gateway.model.peer import DEFAULT_TOLERANCES, Caller, Peer, Tolerance
from gateway.ports.clock import Clock
from gateway.ports.objects import Objects, Spool
from gateway.ports.replies import Replies
from profiles.describe.wsdl import encode_wsdl
from profiles.errors import (
    Busy,
    ExchangeError,
    RuleViolation,
    Unauthenticated,
    UnknownQuery,
    Unsupported,
)
from profiles.findings import Decoded, Finding, Severity
from profiles.transaction import SoapTransaction
from profiles.wire.soap.envelope import RAW_BYTES, check_header, encode_envelope
from profiles.wire.soap.fault import ACTION_NOT_SUPPORTED, encode_fault, fault_code, fault_status
from profiles.wire.soap.message import Packaging, Stamp
from profiles.wire.soap.mtom import Packed, SoapLimits, SoapMessage, pack, read_message
from profiles.wire.soap.names import SOAP_XML
from profiles.xua.iti40 import user_of

QUERY_BYTES = RAW_BYTES  # audit quotes no larger request
DEFAULT_LIMITS = SoapLimits()
LATER_AT_ONCE = 64  # answers on their way elsewhere: each holds its request

Identify = Callable[[web.Request], Caller]


@dataclass(frozen=True, slots=True)
class _Served:
    """A SOAP transaction of an address, and what answers it."""

    transaction: SoapTransaction[Any, Any]
    answering: Answering[Any, Any]


class SoapListener:
    """The SOAP addresses of the house."""

    def __init__(
        self,
        *,
        turns: Turns,
        objects: Objects,
        identify: Identify,
        clock: Clock,
        limits: SoapLimits = DEFAULT_LIMITS,
        document_bytes: int = 256 * 1024 * 1024,
        idle_timeout_s: float = 30.0,
        anonymous_loopback: bool = False,
        base_url: str = "",
        assertions: Assertions | None = None,
        replies: Replies | None = None,
    ) -> None:
        """Serve nothing yet.

        Args:
            turns: The one path.
            objects: Where documents on their way in are spooled.
            identify: Who is asking.
            clock: For message ids and boundaries.
            limits: Of one message.
            document_bytes: Of one document of a request.
            idle_timeout_s: How long nothing may move, either way.
            anonymous_loopback: Whether callers of this machine that we do not know may ask.
            base_url: How others reach us, for `?wsdl`; "": as the one who asks for it wrote it.
            assertions: Who verifies who the person is on whose behalf a peer asks; None: nobody, and none is looked at.
            replies: The way to where a peer wants its answers; None: they go back on the connection that asks.
        """
        self._turns = turns
        self._objects = objects
        self._identify = identify
        self._clock = clock
        self._limits = limits
        self._document_bytes = document_bytes
        self._idle_timeout_s = idle_timeout_s
        self._anonymous_loopback = anonymous_loopback
        self._base_url = base_url.rstrip("/")
        self._assertions = assertions
        self._replies = replies
        self._later: set[asyncio.Task[None]] = set()
        self._served: dict[str, dict[str, _Served]] = {}

    def add(self, address: str, answerings: Iterable[Answering[Any, Any]]) -> None:
        """Serve these transactions at this path; those that are not SOAP are left to other listeners.

        Raises:
            ValueError: Two transactions of one address have the same action.
        """
        served = self._served.setdefault(address, {})
        for answering in answerings:
            transaction = answering.transaction
            if not isinstance(transaction, SoapTransaction):
                continue
            if transaction.request_action in served:
                raise ValueError(f"{address} would answer {transaction.request_action} twice")
            served[transaction.request_action] = _Served(transaction, answering)

    def routes(self, app: web.Application) -> None:
        """Add every address to the application; call it after the last `add`."""
        for address in self._served:
            app.router.add_post(address, partial(self._post, address))
            app.router.add_get(address, partial(self._describe, address), allow_head=False)

    async def _describe(self, address: str, request: web.Request) -> web.Response:
        """`?wsdl`: what is served here, in our own words."""
        if "wsdl" not in {name.lower() for name in request.query}:
            raise web.HTTPMethodNotAllowed("GET", ["POST"])
        here = f"{self._base_url}{request.path}" if self._base_url else str(request.url.with_query(None))
        body = encode_wsdl(here, [each.transaction for each in self._served[address].values()])
        return web.Response(body=body, content_type="text/xml", charset="utf-8")

    async def _post(self, address: str, request: web.Request) -> web.StreamResponse:
        post = _Post(request, self._identify(request), self._objects, self._document_bytes, self._idle_timeout_s)
        try:
            return await self._answer(post, self._served[address])
        finally:
            if not post.later:
                post.discard()

    async def close(self, within_s: float) -> None:
        """Let answers that go elsewhere arrive; what takes longer than that is given up."""
        if self._later:
            _, late = await asyncio.wait(self._later, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _answer(self, post: "_Post", served: Mapping[str, _Served]) -> web.StreamResponse:
        try:
            self._admit(post)
            post.message = await read_message(
                post.incoming.chunks(),
                post.request.headers.get("Content-Type", ""),
                limits=self._limits,
                new_sink=post.spool,
            )
            understood = self._assertions.understood(post.caller) if self._assertions is not None else NOTHING
            asked = _dispatch(post, post.message, served, understood, elsewhere=self._may_go_elsewhere(post))
            if self._assertions is not None:
                address = f"{self._base_url}{post.request.path}"
                post.caller = await self._assertions.identify(post.caller, post.message, address)
        except ExchangeError as error:
            return await self._refuse(post, error)
        except Exception as defect:
            return await self._refuse(post, to_tell(defect))
        if post.message.addressing.elsewhere:
            return await self._answer_elsewhere(post, asked, post.message)
        try:
            async with self._answered(post, asked, post.message) as (answered, answer):
                if isinstance(answer, ExchangeError):
                    return self._fault(post, answer, answered.exchange_id)
                return await post.send(answer, answered)
        except asyncio.CancelledError:
            post.outgoing.cut()
            raise
        except Exception as error:
            return self._broken(post, asked.transaction.id, error)

    def _may_go_elsewhere(self, post: "_Post") -> bool:
        """Whether the answer may be brought to the address that the request names for it: never because it says so."""
        peer, address = post.caller.peer, post.message.addressing.reply_to if post.message is not None else ""
        return self._replies is not None and peer is not None and address in peer.reply_to

    async def _answer_elsewhere(self, post: "_Post", asked: _Served, message: SoapMessage) -> web.StreamResponse:
        """Say that it is taken; what comes of it, and whether it is kept, only the answer says."""
        if len(self._later) >= LATER_AT_ONCE:
            return await self._refuse(post, Busy("too many answers are on their way elsewhere"))
        post.later = True
        task = asyncio.create_task(self._bring(post, asked, message), name="answer elsewhere")
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return web.Response(status=202)

    async def _bring(self, post: "_Post", asked: _Served, message: SoapMessage) -> None:
        peer, replies = post.caller.peer, self._replies
        assert peer is not None  # or it would not go elsewhere
        assert replies is not None
        try:
            async with self._answered(post, asked, message, to=message.addressing.reply_to) as (answered, answer):
                if isinstance(answer, ExchangeError):
                    answer = _whole(_fault_body(answer, message, self._clock, answered.exchange_id))
                answered.sent_bytes += await replies.send(message.addressing.reply_to, peer, answer)
        except Exception as error:
            told = to_tell(error, exchange_id=post.exchange_id, transaction_id=asked.transaction.id)
            await self._turns.undelivered(post.exchange_id, post.caller, asked.transaction.id, told)
        finally:
            post.discard()

    def _admit(self, post: "_Post") -> None:
        """What can be refused before a byte of the body is read."""
        caller = post.caller
        if caller.peer is None and not (self._anonymous_loopback and caller.via == "loopback"):
            raise Unauthenticated(
                "this address is for peers that are known by their certificate",
                cure="Add their certificate to a [[peer]], or let them show it",
            )
        if post.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unsupported("compressed requests are not read", location="Content-Encoding")

    async def _refuse(self, post: "_Post", error: ExchangeError) -> web.StreamResponse:
        """What never became a request: noted, and answered by a fault."""
        raw = bytes(post.incoming.beginning)
        claimed = error.claimed if isinstance(error, NotBelieved) else ""
        await self._turns.refused(
            post.caller, "SOAP", error, raw=raw, transaction_id=post.transaction_id, claimed=claimed
        )
        return self._fault(post, error)

    def _fault(self, post: "_Post", error: ExchangeError, exchange_id: str = "") -> web.Response:
        response = fault_answer(error, post.message, self._clock, exchange_id)
        if exchange_id:
            response.headers[EXCHANGE_HEADER] = exchange_id
        return response

    @asynccontextmanager
    async def _answered(
        self, post: "_Post", asked: _Served, message: SoapMessage, *, to: str = ""
    ) -> AsyncIterator[tuple[Answered[Any], Packed | ExchangeError]]:
        """One turn, and its answer to be sent inside the context: packed, or the error that a fault is to tell.

        `to` is where it goes, if that is elsewhere.
        """
        transaction, assertion = asked.transaction, post.caller.assertion
        understood = False

        def decode() -> Decoded[Any]:
            nonlocal understood
            try:
                request = transaction.decode_request(message.to_codec())
            except (RuleViolation, UnknownQuery):
                understood = True
                raise
            understood = True
            return Decoded(request.value, (*message.findings, *request.findings))

        async with self._turns.answer(
            asked.answering,
            post.caller,
            decode,
            query=message.quoted(QUERY_BYTES) if len(message.raw) < RAW_BYTES else None,
            raw=message.raw,
            received_bytes=post.incoming.received_bytes,
            user=user_of(assertion) if assertion is not None else None,
            message_id=message.addressing.message_id,
        ) as answered:
            post.exchange_id = answered.exchange_id
            error = answered.error
            # A fault until the body is understood, and for who they are; then the transaction's own words. What can be read
            # and breaks a rule has a code of its own (XDSUnknownStoredQuery), although it became no request.
            if error is not None and (not understood or isinstance(error, Unauthenticated)):
                yield answered, error
                return
            value = answered.response if error is None else asked.answering.refuse(error)
            if transaction.stamp is not None:
                stamp = Stamp(id=self._clock.new_uuid(), at=self._clock.now())
                value = transaction.stamp(value, message.to_codec(), stamp)
            out = transaction.encode_response(value)
            envelope = encode_envelope(
                out.body,
                action=transaction.response_action,
                message_id=f"urn:uuid:{self._clock.new_uuid()}",
                relates_to=message.addressing.message_id,
                to=to,
                blocks=out.header + (b"".join(message.addressing.reply_parameters) if to else b""),
            )
            message.release()
            yield answered, pack(transaction.packaging, envelope, out, unique=self._clock.new_uuid().replace("-", ""))

    def _broken(self, post: "_Post", transaction_id: str, error: Exception) -> web.StreamResponse:
        """The answer broke, and the turn has recorded it: a fault if nothing is out yet, else the connection is cut."""
        told = to_tell(error, exchange_id=post.exchange_id, transaction_id=transaction_id)
        if post.outgoing.response is None:
            return self._fault(post, told, post.exchange_id)
        post.outgoing.cut_off(error, exchange_id=post.exchange_id, transaction_id=transaction_id)
        return post.outgoing.response


async def _one(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def fault_answer(
    error: ExchangeError, message: SoapMessage | None, clock: Clock, exchange_id: str = ""
) -> web.Response:
    """A fault on the connection that brought the message, None: one that cannot be read. `Busy` says when to come back.

    Source: ITI TF-2 Appendix V.3; RFC 9110 10.2.3.
    """
    body = _fault_body(error, message, clock, exchange_id)
    response = web.Response(
        status=fault_status(fault_code(error).code), body=body, content_type=SOAP_XML, charset="utf-8"
    )
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _fault_body(error: ExchangeError, message: SoapMessage | None, clock: Clock, exchange_id: str) -> bytes:
    return encode_fault(
        error,
        relates_to=message.addressing.message_id if message is not None else "",
        message_id=f"urn:uuid:{clock.new_uuid()}",
        exchange_id=exchange_id,
    )


def _whole(body: bytes) -> Packed:
    return Packed(content_type=f"{SOAP_XML}; charset=utf-8", chunks=_one(body), size_bytes=len(body))


def _dispatch(
    post: "_Post",
    message: SoapMessage,
    served: Mapping[str, _Served],
    understood: frozenset[str],
    *,
    elsewhere: bool,
) -> _Served:
    """Which transaction it is, and whether its packaging and headers will do.

    Raises:
        ExchangeError: As the fault is to say.
    """
    asked = served.get(message.addressing.action)
    if asked is not None:
        understood |= asked.transaction.headers
    findings = message.findings + check_header(
        message.header, message.addressing, understood=understood, elsewhere=elsewhere
    )
    if asked is None:
        raise Unsupported(
            "this action is not served at this address",
            code=ACTION_NOT_SUPPORTED,
            location=message.addressing.action[:200],
            cure="Check the address that the peer has for this transaction",
        )
    transaction = asked.transaction
    post.transaction_id = transaction.id
    if transaction.request_element and message.body_name != transaction.request_element:
        raise Unsupported(
            "wsa:Action names one transaction and the body another",
            code=ACTION_NOT_SUPPORTED,
            location=message.body_name[:200],
        )
    if message.packaging is not transaction.packaging:
        findings += (_packaging_finding(transaction, message.packaging),)
    _hold_to_tolerances(findings, post.caller.peer)
    message.findings = findings
    return asked


def _packaging_finding(transaction: SoapTransaction[Any, Any], packaging: Packaging) -> Finding:
    if packaging is Packaging.MTOM:
        raise Unsupported(f"{transaction.id} is packed as {transaction.packaging}; the request is multipart/related")
    tolerance = Tolerance.SUBMISSION_WITHOUT_MTOM if transaction.brings_documents else Tolerance.PLAIN_SOAP_RETRIEVE
    return Finding(
        rule=tolerance.value,
        text=f"the request is not packed as MTOM; expected multipart/related for {transaction.id}",
        severity=Severity.WARNING,
        location="Content-Type",
    )


def _hold_to_tolerances(findings: Sequence[Finding], peer: Peer | None) -> None:
    """Refuse an oddity that this peer is not to be forgiven."""
    tolerated = peer.tolerances if peer is not None else DEFAULT_TOLERANCES
    for finding in findings:
        if finding.rule in _TOLERANCES and finding.rule not in tolerated:
            raise RuleViolation(
                finding.text,
                location=finding.location,
                findings=(finding,),
                cure=f'Ask the peer to mend it, or add "{finding.rule}" to its tolerances',
            )


_TOLERANCES = frozenset(each.value for each in Tolerance)


class _Post:
    """One request under way: what was read of it, where its documents are, what was written."""

    def __init__(
        self, request: web.Request, caller: Caller, objects: Objects, document_bytes: int, idle_timeout_s: float
    ) -> None:
        self.request = request
        self.caller = caller
        self.message: SoapMessage | None = None
        self.incoming = Incoming(request, idle_timeout_s, kept_bytes=RAW_BYTES)
        self.outgoing = Outgoing(request, idle_timeout_s)
        self.transaction_id = ""
        self.exchange_id = ""
        self.later = False  # whether it is answered when the connection that asked has its reply already
        self._objects = objects
        self._document_bytes = document_bytes
        self._spools: list[Spool] = []

    def spool(self) -> Spool:
        """A place for one more document."""
        self._spools.append(self._objects.spool(self._document_bytes))
        return self._spools[-1]

    def discard(self) -> None:
        """Forget what nobody has kept."""
        for spool in self._spools:
            spool.discard()

    async def send(self, packed: Packed, answered: Answered[Any]) -> web.StreamResponse:
        """Write an answer as it is made."""
        response = web.StreamResponse(
            headers={"Content-Type": packed.content_type, EXCHANGE_HEADER: answered.exchange_id}
        )
        try:
            async with aclosing(packed.chunks) as chunks:
                return await self.outgoing.send(response, chunks, packed.size_bytes)
        finally:
            answered.sent_bytes += self.outgoing.sent_bytes
