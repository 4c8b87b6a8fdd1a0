"""The HTTP listener: FHIR and DICOMweb, told apart by service, method and path.

Reads its wire, enters a turn, writes what the turn answered; the transaction's codec says what the bytes mean. Instances
that are sent to us are read by the actor, part by part, inside the turn; every other body is small and read before it.

What a newcomer gets wrong: the status goes out before the pour. If the pour breaks then, the connection is cut; only as
long as nothing was sent does the error become an answer.

Source: DICOM PS3.18 8; HL7 FHIR R4, RESTful API.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from gateway.actors.answering import Answering
from gateway.inbound.flow import EXCHANGE_HEADER, Incoming, Outgoing, headers_of, parameters_of, to_tell
from gateway.inbound.turn import Answered, Turns
from gateway.model.peer import Caller
from gateway.ports.clock import Clock
from profiles.errors import ExchangeError, UnknownDocument, Unsupported
from profiles.findings import Decoded
from profiles.model.content import DICOM, Part, Pour
from profiles.transaction import HttpTransaction
from profiles.wire.http import HttpIn, HttpOut
from profiles.wire.multipart import MultipartLimits, parts_of, poured

Identify = Callable[[web.Request], Caller]
Refuse = Callable[[ExchangeError, HttpIn], HttpOut]

QUERY_BYTES = 64 * 1024  # audit quotes no larger request
BODY_BYTES = 1024 * 1024  # of a request that brings no instances
PARTS = MultipartLimits(
    parts=100_000,  # a study of a fast scanner has tens of thousands of instances
    boundary_characters=80,  # RFC 2046 has 70; Orthanc pushes with 73
)


@dataclass(frozen=True, slots=True)
class _Served:
    """A transaction, and what answers it."""

    transaction: HttpTransaction[Any, Any]
    answering: Answering[Any, Any]


class HttpListener:
    """One service of the house: `fhir/r4`, `dicomweb`."""

    def __init__(
        self,
        service: str,
        *,
        base: str,
        turns: Turns,
        identify: Identify,
        clock: Clock,
        refuse: Refuse,
        parts: MultipartLimits = PARTS,
        body_bytes: int = BODY_BYTES,
        idle_timeout_s: float = 30.0,
    ) -> None:
        """Serve nothing yet.

        Args:
            service: The address below the house, as its transactions name it.
            base: The address of the service as others reach it, without a slash at the end.
            turns: The one path.
            identify: Who is asking.
            clock: For boundaries.
            refuse: How this service says an error about no transaction of its own.
            parts: Limits of multipart requests.
            body_bytes: Of any other request.
            idle_timeout_s: How long nothing may move, either way.
        """
        self._service = service
        self._base = base
        self._turns = turns
        self._identify = identify
        self._clock = clock
        self._refuse = refuse
        self._parts = parts
        self._body_bytes = body_bytes
        self._idle_timeout_s = idle_timeout_s
        self._served: dict[str, dict[str, _Served]] = {}

    def add(self, answerings: Iterable[Answering[Any, Any]]) -> None:
        """Serve these transactions; those of other services and wires are left to other listeners.

        Raises:
            ValueError: Two transactions have the same method and path.
        """
        for answering in answerings:
            transaction = answering.transaction
            if not isinstance(transaction, HttpTransaction) or transaction.service != self._service:
                continue
            for path in transaction.paths:
                methods = self._served.setdefault(path, {})
                for method in transaction.methods:
                    if method in methods:
                        raise ValueError(f"{method} {path} would be answered twice")
                    methods[method] = _Served(transaction, answering)

    def routes(self, app: web.Application) -> None:
        """Add every path to the application; call it after the last `add`. Fixed paths go before templates."""
        root = f"/{self._service}"
        for path in sorted(self._served, key=lambda path: (path.count("{"), path)):
            app.router.add_route("*", root + path, partial(self._handle, path))
        app.router.add_route("*", root + "/{path:.*}", self._nothing_here)

    async def _nothing_here(self, request: web.Request) -> web.StreamResponse:
        error = UnknownDocument("nothing is served at this address", location=request.path)
        return await self._write(request, self._refuse(error, self._message(request)), "")

    async def _handle(self, path: str, request: web.Request) -> web.StreamResponse:
        methods = self._served[path]
        served = methods.get("GET" if request.method == "HEAD" else request.method)
        if served is None:
            allowed = ", ".join(sorted(methods))
            error = Unsupported(
                f"{request.method} is not served at this address; {allowed} is",
                code="method-not-allowed",
                location=request.path,
            )
            out = self._refuse(error, self._message(request))
            return await self._write(request, out, "", headers=(("Allow", allowed),))
        return await _Asked(self, served, request).answer()

    def _message(self, request: web.Request, *, body: bytes = b"", parts: Any = None) -> HttpIn:
        return HttpIn(
            method=request.method,
            path=request.path.removeprefix(f"/{self._service}"),
            base=self._base,
            variables=dict(request.match_info),
            query=tuple(request.query.items()),
            headers=headers_of(request),
            body=body,
            parts=parts,
        )

    async def _write(
        self, request: web.Request, out: HttpOut, exchange_id: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> web.StreamResponse:
        """A whole answer about no turn."""
        response = _response(out, exchange_id, headers)
        return await Outgoing(request, self._idle_timeout_s).send(response, _body(out, ""), out.size_bytes)


class _Asked:
    """One request under way."""

    def __init__(self, listener: HttpListener, served: _Served, request: web.Request) -> None:
        self._listener = listener
        self._transaction = served.transaction
        self._answering = served.answering
        self._request = request
        self._incoming = Incoming(request, listener._idle_timeout_s)
        self._outgoing = Outgoing(request, listener._idle_timeout_s)
        self._message = listener._message(request)
        self._exchange_id = ""

    async def answer(self) -> web.StreamResponse:
        unread: ExchangeError | None = None
        try:
            await self._read()
        except ExchangeError as error:
            unread = error

        def decode() -> Decoded[Any]:
            if unread is not None:
                raise unread
            return self._transaction.decode_request(self._message)

        message = self._message
        body = message.body if len(message.body) <= QUERY_BYTES else b""
        try:
            async with self._listener._turns.answer(
                self._answering,
                self._listener._identify(self._request),
                decode,
                query=body if body and message.method == "POST" else self._request.raw_path[:QUERY_BYTES].encode(),
                raw=body,
                received_bytes=self._request.content_length or len(message.body),
            ) as answered:
                self._exchange_id = answered.exchange_id
                return await self._send(answered)
        except asyncio.CancelledError:
            self._outgoing.cut()
            raise
        except Exception as error:
            return await self._broken(error)

    async def _read(self) -> None:
        """The body: parts are left in the wire, everything else is read."""
        request, listener = self._request, self._listener
        parameters_of(request)  # a value that is no text would be looked for, and never found
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unsupported(
                "compressed requests are not read", code="unsupported-media-type", location="Content-Encoding"
            )
        if not request.body_exists:
            return
        if request.content_type.startswith("multipart/"):
            parts = parts_of(self._incoming.chunks(), request.headers.get("Content-Type", ""), listener._parts)
            self._message = listener._message(request, parts=parts)
        elif request.content_type == DICOM:
            self._message = listener._message(request, parts=self._only_part())
        else:
            self._message = listener._message(request, body=await self._incoming.read(listener._body_bytes))

    async def _only_part(self) -> Pour:
        """One instance sent bare."""
        yield Part(key="0", media_type=DICOM, size_bytes=self._request.content_length, chunks=self._incoming.chunks())

    async def _send(self, answered: Answered[Any]) -> web.StreamResponse:
        error = answered.error
        if error is None:
            try:
                out = self._transaction.encode_response(answered.response, self._message)
            except ExchangeError as unwritable:
                error = unwritable
        if error is not None:
            out = self._transaction.refuse(error, self._message)
        boundary = self._listener._clock.new_uuid().replace("-", "")
        response = _response(out, answered.exchange_id, (), boundary)
        try:
            async with aclosing(_body(out, boundary)) as chunks:  # type: ignore[type-var]  # an async generator it is
                return await self._outgoing.send(response, chunks, out.size_bytes)
        finally:
            answered.sent_bytes += self._outgoing.sent_bytes

    async def _broken(self, error: Exception) -> web.StreamResponse:
        """The answer broke, and the turn has recorded it: an error if nothing is out yet, else the connection is cut."""
        told = to_tell(error, exchange_id=self._exchange_id, transaction_id=self._transaction.id)
        if self._outgoing.response is None:
            return await self._listener._write(
                self._request, self._transaction.refuse(told, self._message), self._exchange_id
            )
        self._outgoing.cut_off(error, exchange_id=self._exchange_id, transaction_id=self._transaction.id)
        return self._outgoing.response


def _response(
    out: HttpOut, exchange_id: str, more: tuple[tuple[str, str], ...], boundary: str = ""
) -> web.StreamResponse:
    response = web.StreamResponse(status=out.status)
    if out.parts is not None:
        response.headers["Content-Type"] = f'multipart/related; type="{out.part_type}"; boundary={boundary}'
    elif out.media_type:
        response.headers["Content-Type"] = out.media_type
    for name, value in (*out.headers, *more):
        if name in response.headers and name.lower() != "allow":
            response.headers.add(name, value)
        else:
            response.headers[name] = value
    if exchange_id:
        response.headers[EXCHANGE_HEADER] = exchange_id
    return response


async def _body(out: HttpOut, boundary: str) -> AsyncIterator[bytes]:
    """Whatever the answer consists of, as bytes."""
    if out.parts is not None:
        async for chunk in poured(out.parts, boundary):
            yield chunk
    elif out.stream is not None:
        async for chunk in out.stream:
            yield chunk
    elif out.body:
        yield out.body
