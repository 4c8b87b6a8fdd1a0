"""The FHIR listener: reads its wire, enters a turn, writes what the turn answered; every error is an OperationOutcome.

One route takes everything below the service's address, since even an unknown resource type is answered in FHIR's words.
Transactions say by their path templates what they serve; nothing here knows a resource type.

What a newcomer gets wrong: a search may be posted, and then the parameters of the form and of the address both count; the
transaction's codec merges them, this listener only bounds the body.

Source: HL7 FHIR R4, RESTful API; ITI TF-2 Appendix Z; RFC 9110.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import hdrs, web

from gateway.actors.answering import Answering
from gateway.inbound.flow import EXCHANGE_HEADER, Incoming, Outgoing, headers_of, parameters_of, to_tell
from gateway.inbound.http import QUERY_BYTES, Identify
from gateway.inbound.turn import Turns
from gateway.model.peer import Caller
from profiles.errors import ExchangeError, UnknownDocument, Unsupported
from profiles.findings import Decoded
from profiles.model.content import once
from profiles.transaction import HttpTransaction
from profiles.wire.fhir.answer import refused
from profiles.wire.fhir.outcome import METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE
from profiles.wire.http import HttpIn, HttpOut

MAX_FORM_BYTES = 64 * 1024  # 200 parameters with room for long lists of UIDs
COMPRESSED_FROM_BYTES = 1024  # below that gzip gains nothing
THREAD_FROM_BYTES = 32 * 1024  # compressing so much takes a millisecond: the loop serves others meanwhile
GZIP = 31  # zlib's window bits for the gzip format
LEVEL = 5


@dataclass(frozen=True, slots=True)
class _Served:
    """A path template and what answers it, by method."""

    segments: tuple[str, ...]
    answerings: Mapping[str, Answering[Any, Any]]

    def match(self, path: tuple[str, ...]) -> dict[str, str] | None:
        """The variables of a path, if it is one of this template."""
        if len(path) != len(self.segments):
            return None
        variables = {}
        for segment, part in zip(self.segments, path, strict=True):
            if segment.startswith("{"):
                variables[segment[1:-1]] = part
            elif segment != part:
                return None
        return variables


class FhirListener:
    """The FHIR address of the house."""

    def __init__(
        self,
        *,
        turns: Turns,
        identify: Identify,
        base: str,
        service: str = "fhir/r4",
        idle_timeout_s: float = 30.0,
    ) -> None:
        """Serve nothing yet.

        Args:
            turns: The one path.
            identify: Who is asking.
            base: The address of the service as others write it, without a slash at the end.
            service: Which transactions are ours, and the path below the house.
            idle_timeout_s: How long nothing may move, either way.
        """
        self._turns = turns
        self._identify = identify
        self._base = base
        self._service = service
        self._idle_timeout_s = idle_timeout_s
        self._served: list[_Served] = []

    def add(self, answerings: Iterable[Answering[Any, Any]]) -> None:
        """Serve these transactions; those that are not of our service are left to other listeners.

        Raises:
            ValueError: Two transactions have the same method and path.
        """
        table: dict[tuple[str, ...], dict[str, Answering[Any, Any]]] = {
            each.segments: dict(each.answerings) for each in self._served
        }
        for answering in answerings:
            transaction = answering.transaction
            if not isinstance(transaction, HttpTransaction) or transaction.service != self._service:
                continue
            for path in transaction.paths:
                methods = table.setdefault(tuple(path.strip("/").split("/")), {})
                for method in transaction.methods:
                    if method in methods:
                        raise ValueError(f"{self._service} would answer {method} {path} twice")
                    methods[method] = answering
        # Fixed segments win over variables: `_search` is nobody's id.
        self._served = sorted(
            (_Served(segments, methods) for segments, methods in table.items()),
            key=lambda each: [segment.startswith("{") for segment in each.segments],
        )

    def routes(self, app: web.Application) -> None:
        """Take everything below the service's address; call it after the last `add`."""
        for path in (f"/{self._service}", f"/{self._service}/{{path:.*}}"):
            app.router.add_route(hdrs.METH_ANY, path, self._handle)

    # --- one request --------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        caller = self._identify(request)
        reply = _Reply(request, self._idle_timeout_s)
        read = HttpIn(
            method="GET" if request.method == "HEAD" else request.method,
            path=request.path.removeprefix(f"/{self._service}"),
            base=self._base,
            headers=headers_of(request),
        )
        try:
            return await self._answer(request, caller, read, reply)
        except asyncio.CancelledError:
            reply.cut()
            raise
        except Exception as error:
            return await self._broken(read, reply, error)

    async def _answer(self, request: web.Request, caller: Caller, read: HttpIn, reply: "_Reply") -> web.StreamResponse:
        try:
            pairs = parameters_of(request)
            read = replace(read, query=pairs)
            answering, variables = self._find(request, read.method)
            read = replace(read, variables=variables, body=await self._body(request))
        except ExchangeError as error:
            await self._turns.refused(caller, "FHIR", error)
            return await reply.send(refused(error, read))
        transaction: HttpTransaction[Any, Any] = answering.transaction  # type: ignore[assignment]  # `add` saw to it
        reply.transaction_id = transaction.id
        async with self._turns.answer(
            answering,
            caller,
            partial(_decode, transaction, read),
            query=_quoted(request, read.body),
            received_bytes=len(read.body),
            message_id=read.headers.get("x-request-id", ""),
        ) as answered:
            reply.exchange_id = answered.exchange_id
            if answered.error is not None:
                out = transaction.refuse(answered.error, read)
            else:
                out = transaction.encode_response(answered.response, read)
            try:
                return await reply.send(out)
            finally:
                answered.sent_bytes += reply.sent_bytes

    def _find(self, request: web.Request, method: str) -> tuple[Answering[Any, Any], dict[str, str]]:
        """What answers this method and path, and the path's variables.

        Raises:
            UnknownDocument: Nothing is served there.
            Unsupported: Something is, but not by this method.
        """
        below = request.rel_url.raw_path.removeprefix(f"/{self._service}").strip("/")
        path = tuple(unquote(part) for part in below.split("/"))
        allowed: set[str] = set()
        for served in self._served:
            variables = served.match(path)
            if variables is None:
                continue
            answering = served.answerings.get(method)
            if answering is not None:
                return answering, variables
            allowed |= set(served.answerings)
        if allowed:
            raise Unsupported("this address does not know this method", code=METHOD_NOT_ALLOWED)
        raise UnknownDocument(
            "nothing is served at this address", cure="GET [base]/metadata tells what this server knows"
        )

    async def _body(self, request: web.Request) -> bytes:
        """The form of a search; nothing else has a body here.

        Raises:
            MalformedMessage: It is too long, breaks off, or does not come.
            Unsupported: It is compressed.
        """
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Unsupported("compressed requests are not read", code=UNSUPPORTED_MEDIA_TYPE)
        if not request.body_exists:
            return b""
        return await Incoming(request, self._idle_timeout_s).read(MAX_FORM_BYTES)

    async def _broken(self, read: HttpIn, reply: "_Reply", error: Exception) -> web.StreamResponse:
        """The answer broke after its turn: an outcome if nothing is out yet, else the connection is cut."""
        told = to_tell(error, exchange_id=reply.exchange_id, transaction_id=reply.transaction_id)
        if reply.response is None:
            return await reply.send(refused(told, read))
        reply.cut_off(error)
        return reply.response


def _decode(transaction: HttpTransaction[Any, Any], read: HttpIn) -> Decoded[Any]:
    return transaction.decode_request(read)


def _quoted(request: web.Request, body: bytes) -> bytes:
    """The request as audit quotes it: method and address as they came, and the form. Never a header: one is a secret."""
    line = f"{request.method} {request.url}".encode()
    return (line + b"\n\n" + body if body else line)[:QUERY_BYTES]


# --- one answer -------------------------------------------------------------------------------------------------------


class _Reply:
    """An answer on its way: compressed when the client takes that, cut off when it breaks."""

    def __init__(self, request: web.Request, idle_timeout_s: float) -> None:
        self.exchange_id = ""
        self.transaction_id = ""
        self._request = request
        self._outgoing = Outgoing(request, idle_timeout_s)

    @property
    def response(self) -> web.StreamResponse | None:
        """None until something was sent."""
        return self._outgoing.response

    @property
    def sent_bytes(self) -> int:
        """Of the body, as compressed."""
        return self._outgoing.sent_bytes

    def cut_off(self, error: Exception) -> None:
        """Cut an answer that broke after it had begun."""
        self._outgoing.cut_off(error, exchange_id=self.exchange_id, transaction_id=self.transaction_id)

    def cut(self) -> None:
        """End the connection, so that nobody takes what was sent for all of it."""
        self._outgoing.cut()

    async def send(self, out: HttpOut) -> web.StreamResponse:
        """Write it."""
        if out.status == 304:
            unchanged = web.Response(status=304, headers=self._headers(out, False))
            await unchanged.prepare(self._request)
            await unchanged.write_eof()
            return unchanged
        gzip = self._takes_gzip() and (out.stream is not None or len(out.body or b"") >= COMPRESSED_FROM_BYTES)
        chunks = out.stream if out.stream is not None else once(out.body or b"")
        async with aclosing(_compressed(chunks) if gzip else chunks) as pieces:  # type: ignore[type-var]  # generators
            response = web.StreamResponse(status=out.status, headers=self._headers(out, gzip))
            return await self._outgoing.send(response, pieces, None)

    def _takes_gzip(self) -> bool:
        for item in self._request.headers.get("Accept-Encoding", "").split(","):
            name, _, weight = item.partition(";")
            if name.strip().lower() in ("gzip", "*"):
                return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        return False

    def _headers(self, out: HttpOut, gzip: bool) -> list[tuple[str, str]]:
        headers = [
            *out.headers,
            ("Cache-Control", "private, no-cache"),  # a patient's data is nobody else's; ETags save the bytes
            ("Vary", "Accept, Accept-Encoding, Authorization"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if out.media_type:
            headers.append(("Content-Type", out.media_type))
        if gzip:
            headers.append(("Content-Encoding", "gzip"))
        if self.exchange_id:
            headers.append((EXCHANGE_HEADER, self.exchange_id))
        request_id = self._request.headers.get("X-Request-Id", "")
        if request_id and len(request_id) <= 128 and request_id.isprintable():
            headers.append(("X-Request-Id", request_id))
        return headers


async def _compressed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same as gzip; large pieces in a thread."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    async for piece in pieces:
        if len(piece) >= THREAD_FROM_BYTES:
            made = await asyncio.to_thread(compressor.compress, piece)
        else:
            made = compressor.compress(piece)
        if made:
            yield made
    yield compressor.flush()
