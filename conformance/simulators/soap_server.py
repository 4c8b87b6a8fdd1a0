"""A counterpart that systems ask by SOAP: keeps every request as it came, and answers as it was told to.

Each transaction has an address of its own (`/RAD-69`), so that what is asked is known before it can be read.

Source: ITI TF-2 Appendix V.
"""

import asyncio
import ssl as tls
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from conformance.in_flight import Incoming
from profiles.errors import ExchangeError
from profiles.findings import Finding
from profiles.model.content import Content, once
from profiles.transaction import SoapTransaction
from profiles.wire.soap.envelope import Addressing, encode_envelope
from profiles.wire.soap.fault import encode_fault
from profiles.wire.soap.message import Packaging, Stamp
from profiles.wire.soap.mtom import SoapLimits, SoapMessage, pack, packaging_of, read_message

BRING_S = 30.0
MAX_BYTES = 64 * 1024 * 1024


class HungUp(Exception):
    """A handler ends the connection without a word."""


Handler = Callable[[Any], Awaitable[Any]]
Edit = Callable[[str, Incoming], Incoming]
Spoil = Callable[[Incoming], Incoming]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: `request` and `message` are None where it could not be read, and `problem` is why."""

    transaction: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    packaging: Packaging | None = None
    message: SoapMessage | None = field(default=None, repr=False)
    request: Any = None
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    spoken: SoapTransaction[Any, Any] | None = field(default=None, repr=False)  # the variant that it is of


class SoapCounterpart:
    """Listens for SOAP over HTTP. `asked` are the requests in the order in which they came."""

    def __init__(
        self, host: str, port: int, *, ssl: tls.SSLContext | None, edit: Edit = lambda _, incoming: incoming
    ) -> None:
        """`edit` changes a request before it is read (the tester's own test); port 0 is chosen by the system.

        `reply` changes an answer before it goes, for the same reason, and `told` what is said of one that was brought.

        An answer that is to go elsewhere is brought there, if `client` says who we are then; None: we bring none.
        """
        self.host = host
        self.port = port
        self.edit = edit
        self.reply: Edit = lambda _, answer: answer
        self.told: Edit = lambda _, said: said
        self.client: tls.SSLContext | None = None
        self.asked: list[Asked] = []
        self._ssl = ssl
        self._answers: dict[str, tuple[SoapTransaction[Any, Any], Handler]] = {}
        self._spoiled: dict[str, Spoil] = {}
        self._said: dict[str, Incoming] = {}  # of what was brought, by the MessageID of the request
        self._bringing: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    def answers(self, transaction: SoapTransaction[Any, Any], handler: Handler) -> None:
        """Answer a transaction by a handler: request -> response; an `ExchangeError` is a fault, `HungUp` no answer.

        What says in its body whose answer it is need not say so: it is completed (`SoapTransaction.stamp`).
        """
        self._answers[transaction.id] = (transaction, handler)

    @contextmanager
    def otherwise(self, transaction_id: str, *, response: Any = None, spoil: Spoil | None = None) -> Iterator[None]:
        """For a while, answer a transaction by this response, or have what is answered spoilt on its way."""
        transaction, handler = self._answers[transaction_id]

        async def instead(_: object) -> Any:
            return response

        if response is not None:
            self._answers[transaction_id] = (transaction, instead)
        if spoil is not None:
            self._spoiled[transaction_id] = spoil
        try:
            yield
        finally:
            self._answers[transaction_id] = (transaction, handler)
            self._spoiled.pop(transaction_id, None)

    def address(self, transaction_id: str) -> str:
        """Where it is asked."""
        return f"{'https' if self._ssl is not None else 'http'}://{self.host}:{self.port}/{transaction_id}"

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/{transaction}", self._reply)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._ssl)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        for task in tuple(self._bringing):
            task.cancel()
        await asyncio.gather(*self._bringing, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def awaited(self, wanted: Callable[[Asked], bool], after: int, timeout_s: float) -> Asked | None:
        """The first request from place `after` on that is wanted; None: none came in time."""
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                while True:
                    found = next((each for each in self.asked[after:] if wanted(each)), None)
                    if found is not None:
                        return found
                    await self._arrived.wait()
        except TimeoutError:
            return None

    async def said_of(self, asked: Asked, timeout_s: float) -> Incoming | None:
        """What was said of the answer to this request when it was brought; None: nothing in time."""
        assert asked.message is not None
        message_id = asked.message.addressing.message_id
        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                await self._arrived.wait_for(lambda: message_id in self._said)
                return self._said[message_id]
        except TimeoutError:
            return None

    async def bring(self, name: str, address: str, answer: Incoming) -> Incoming:
        """Bring an answer; what is said of it, with status 0 where nothing is."""
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.post(
                    address,
                    data=answer.body,
                    headers={"Content-Type": answer.headers["content-type"]},
                    ssl=self.client if self.client is not None else True,
                    timeout=aiohttp.ClientTimeout(total=BRING_S),
                ) as said,
            ):
                return self.told(name, Incoming(status=said.status, body=await said.read()))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return self.told(name, Incoming(body=str(error).encode()))

    async def _reply(self, request: web.Request) -> web.Response:
        name = request.match_info["transaction"]
        answer, asked = await self._serve(request)
        if not isinstance(answer.body, bytes):
            return answer
        made = Incoming(
            status=answer.status, headers={"content-type": answer.headers["Content-Type"]}, body=answer.body
        )
        spoil = self._spoiled.get(name)
        sent = self.reply(name, made if spoil is None else spoil(made))
        if self.client is not None and asked.message is not None and asked.message.addressing.elsewhere:
            task = asyncio.create_task(self._bring(name, asked.message.addressing, sent))
            self._bringing.add(task)
            task.add_done_callback(self._bringing.discard)
            return web.Response(status=202)
        return web.Response(status=sent.status, headers=dict(sent.headers), body=sent.body) if sent != made else answer

    async def _bring(self, name: str, addressing: Addressing, answer: Incoming) -> None:
        said = await self.bring(name, addressing.reply_to, answer)
        async with self._arrived:
            self._said[addressing.message_id] = said
            self._arrived.notify_all()

    async def _serve(self, request: web.Request) -> tuple[web.Response, Asked]:
        name = request.match_info["transaction"]
        if name not in self._answers:
            raise web.HTTPNotFound(text=f"nothing answers {name} here")
        transaction, handler = self._answers[name]
        headers = {key.lower(): value for key, value in request.headers.items()}
        incoming = self.edit(name, Incoming(headers=headers, body=await request.read()))
        asked = await _read(transaction, incoming)
        async with self._arrived:
            self.asked.append(asked)
            self._arrived.notify_all()
        if asked.request is None:
            error = ExchangeError(asked.problem)
            return web.Response(status=400, body=encode_fault(error), content_type="application/soap+xml"), asked
        try:
            spoken, response = asked.spoken or transaction, await handler(asked.request)
            if spoken.stamp is not None and asked.message is not None:
                stamp = Stamp(id=str(uuid.uuid4()), at=datetime.now(UTC))
                response = spoken.stamp(response, asked.message.to_codec(), stamp)
            return await _answered(spoken, response, asked), asked
        except ExchangeError as error:
            return web.Response(status=500, body=encode_fault(error), content_type="application/soap+xml"), asked
        except HungUp:
            if request.transport is not None:  # or whoever asked has gone first
                request.transport.abort()
            return web.Response(status=500), asked


async def read_whole(incoming: Incoming) -> SoapMessage:
    """A message as SOAP, its documents in memory.

    Raises:
        ExchangeError: It is none.
    """
    content_type = incoming.headers.get("content-type", "")
    return await read_message(once(incoming.body), content_type, limits=SoapLimits(), new_sink=_Held)


async def _read(transaction: SoapTransaction[Any, Any], incoming: Incoming) -> Asked:
    content_type = incoming.headers.get("content-type", "")
    told: dict[str, Any] = {"transaction": transaction.id, "headers": incoming.headers, "body": incoming.body}
    try:
        told["packaging"] = packaging_of(content_type)
        message = await read_whole(incoming)
        told |= {"message": message, "findings": message.findings}
        spoken = _variant(transaction, message)
        decoded = spoken.decode_request(message.to_codec())
    except ExchangeError as error:
        return Asked(**told, problem=f"{error.detail} ({error.location or 'as a whole'})")
    told["findings"] += (*decoded.findings, *(each for check in spoken.checks for each in check(decoded.value)))
    return Asked(**told, request=decoded.value, spoken=spoken)


def _variant(transaction: SoapTransaction[Any, Any], message: SoapMessage) -> SoapTransaction[Any, Any]:
    """The one of the transaction's variants whose request this is; itself, where it is none's."""
    element = str(message.body.tag)
    known = (transaction, *transaction.variants)  # a deferred question is written like one that is not
    return next((each for each in known if each.request_element == element), transaction)


async def _answered(transaction: SoapTransaction[Any, Any], response: object, asked: Asked) -> web.Response:
    assert asked.message is not None
    out = transaction.encode_response(response)
    envelope = encode_envelope(
        out.body, action=transaction.response_action, message_id=f"urn:uuid:{uuid.uuid4()}",
        relates_to=asked.message.addressing.message_id,
    )  # fmt: skip
    packed = pack(transaction.packaging, envelope, out, unique=uuid.uuid4().hex)
    body = b"".join([chunk async for chunk in packed.chunks])
    return web.Response(body=body, headers={"Content-Type": packed.content_type})


class _Held:
    """A sink in memory: what comes here is small."""

    def __init__(self) -> None:
        self._body = bytearray()

    def write(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self, media_type: str) -> Content:
        return Content.of(bytes(self._body), media_type)
