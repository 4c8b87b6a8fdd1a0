"""Flow: bytes of one HTTP exchange, in and out, at the pace of the slower side; and how it ends when it breaks.

Nothing limits how long an exchange takes, only how long nothing may move; and after every quarter of a megabyte the loop
serves others. What a newcomer gets wrong: a deadline around each write punishes slow readers of large pieces, so what is
watched is what lies unsent.

Source: RFC 9112 6.3 (how long a body is).
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from aiohttp import ClientError, web
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError

from gateway.telemetry import logger, where
from profiles.errors import ExchangeError, InternalFault, MalformedMessage, PeerProtocolError
from profiles.wire.multipart import gathered

EXCHANGE_HEADER = "Radgate-Exchange"  # names the exchange that an operator can look up
BROKE_OFF = (ConnectionError, ClientError, web.RequestPayloadError, HttpProcessingError)
TURN_BYTES = 256 * 1024  # after so many the loop serves others: without it a small request waits half a second
WRITE_BYTES = 64 * 1024  # smaller pieces are gathered before they are written


class Incoming:
    """The body of a request as it comes. `received_bytes` counts on; `beginning` is how it began, for people to look at."""

    def __init__(self, request: web.Request, idle_timeout_s: float, kept_bytes: int = 0) -> None:
        """Nothing is read yet; of what will be, the first `kept_bytes` are kept."""
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self._kept_bytes = kept_bytes
        self.received_bytes = 0
        self.beginning = bytearray()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Each piece that came.

        Raises:
            MalformedMessage: Nothing came for too long, or the request broke off.
        """
        turns = LoopTurns()
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    chunk = await self._request.content.readany()
            except TimeoutError:
                raise MalformedMessage(f"nothing of the request came for {self._idle_timeout_s:g} seconds") from None
            except BROKE_OFF as broken:
                raise MalformedMessage(f"the request broke off ({type(broken).__name__})") from broken
            if not chunk:
                return
            self.received_bytes += len(chunk)
            if len(self.beginning) < self._kept_bytes:
                self.beginning += chunk[: self._kept_bytes - len(self.beginning)]
            yield chunk
            turns.moved_bytes += len(chunk)
            if turns.moved_bytes >= TURN_BYTES:
                await turns.give()

    async def read(self, limit_bytes: int) -> bytes:
        """All of it, for bodies that are small by nature.

        Raises:
            MalformedMessage: There is more, nothing came for too long, or the request broke off.
        """
        body = bytearray()
        async with aclosing(self.chunks()) as chunks:  # type: ignore[type-var]  # an async generator it is
            async for chunk in chunks:
                body += chunk
                if len(body) > limit_bytes:
                    raise MalformedMessage(f"the request has more than {limit_bytes} bytes", code="too-long")
        return bytes(body)


class Outgoing:
    """One answer on its way. `response` is None until something was sent, and its status can still be chosen."""

    def __init__(self, request: web.Request, idle_timeout_s: float) -> None:
        """Nothing is sent yet."""
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self.response: web.StreamResponse | None = None
        self.sent_bytes = 0

    async def send(
        self, response: web.StreamResponse, chunks: AsyncIterator[bytes], size_bytes: int | None
    ) -> web.StreamResponse:
        """Write a body as it is made. What is small by nature is gathered first, and so has a Content-Length."""
        pieces, ended = await gathered(chunks, WRITE_BYTES)
        response.content_length = sum(map(len, pieces)) if ended else size_bytes
        if response.content_length is None and self._request.version >= HttpVersion11:
            response.enable_chunked_encoding()  # else the end of the connection is the end of the body
        self.response = response
        if self._request.method == "HEAD":
            await response.prepare(self._request)
            await response.write_eof()
            return response
        told_bytes = response.content_length
        turns = LoopTurns()
        with Watch(self._request, self._idle_timeout_s):
            await response.prepare(self._request)
            while True:
                for piece in pieces:
                    self.sent_bytes += len(piece)
                    if told_bytes is not None and self.sent_bytes > told_bytes:
                        # aiohttp would leave out what is too much, and the answer would pass for complete.
                        raise PeerProtocolError(f"more came than the {told_bytes} bytes that were told")
                    await response.write(piece)
                    turns.moved_bytes += len(piece)
                if ended:
                    break
                if turns.moved_bytes >= TURN_BYTES:
                    await turns.give()
                pieces, ended = await gathered(chunks, WRITE_BYTES)
            await response.write_eof()
        return response

    def cut_off(self, error: Exception, *, exchange_id: str, transaction_id: str) -> None:
        """Cut an answer that broke after it had begun, and say so in the log."""
        logger().warning("answer cut off", exchange=exchange_id, transaction=transaction_id, error=type(error).__name__)
        self.cut()

    def cut(self) -> None:
        """End the connection so that nobody takes what was sent for all of it."""
        if self.response is not None and self._request.transport is not None:
            self._request.transport.abort()


def headers_of(request: web.Request) -> dict[str, str]:
    """Lower-case names; a header that stands several times is one list (RFC 9110 5.3)."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def parameters_of(request: web.Request) -> tuple[tuple[str, str], ...]:
    """The parameters of the address, in order, repeats and empty ones kept.

    Raises:
        MalformedMessage: One is not UTF-8; its location is the parameter's name, if that can be read.
    """
    pairs = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, errors="surrogateescape")
    for name, value in pairs:
        if any("\udc80" <= each <= "\udcff" for each in name + value):
            raise MalformedMessage("a parameter is not percent-encoded UTF-8", location=name if name.isascii() else "")
    return tuple(pairs)


def to_tell(error: Exception, *, exchange_id: str = "", transaction_id: str = "") -> ExchangeError:
    """What a peer is told of an answer that broke; what is no error of an exchange is a defect of ours, and logged."""
    if isinstance(error, ExchangeError):
        return error
    if not isinstance(error, BROKE_OFF):
        logger().error(
            "defect", exchange=exchange_id, transaction=transaction_id, error=type(error).__name__, where=where(error)
        )
    return InternalFault("this house has a defect; it was logged")


class LoopTurns:
    """Gives the loop its turns after so many `moved_bytes`; one that it had meanwhile, while we waited, counts."""

    def __init__(self) -> None:
        """Nothing has moved."""
        self.moved_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._begin()

    async def give(self) -> None:
        """Come back when the loop has served others since the last time."""
        if not self._turned:
            await asyncio.sleep(0)
        self._begin()

    def _begin(self) -> None:
        self.moved_bytes = 0
        self._turned = False
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turned = True


class Watch:
    """Aborts a connection on which nothing moved for a whole period although there is something to send."""

    def __init__(self, request: web.Request, idle_timeout_s: float) -> None:
        """Watch what lies unsent in the transport and in the kernel."""
        self._transport = request.transport
        self._idle_timeout_s = idle_timeout_s
        self._last = (-1, -1)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        now = (self._transport.get_write_buffer_size(), _unsent(self._transport))
        if now == self._last and now[0] > 0:
            self._transport.abort()
            return
        self._last = now
        self._timer = asyncio.get_running_loop().call_later(self._idle_timeout_s, self._look)


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that wait in the kernel for the peer to take them."""
    socket = transport.get_extra_info("socket")
    if socket is None:
        return 0
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
    except OSError:
        return 0
    return int(size)
