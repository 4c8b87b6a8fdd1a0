"""Flow: bytes of one HTTP exchange, in and out, at the pace of the slower side.

Nothing limits how long an exchange takes, only how long nothing may move; and after every quarter of a megabyte the loop
serves others. What a newcomer gets wrong: a deadline around each write punishes slow readers of large pieces, so what is
watched is what lies unsent.

Source: performance notes 4 (one shared bulk layer); lesson 32 (idle timeouts, never one for the whole exchange).
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from aiohttp import web

from profiles.errors import MalformedMessage
from profiles.wire.multipart import gathered

TURN_BYTES = 256 * 1024  # after so many the loop serves others: without it a small request waits half a second
WRITE_BYTES = 64 * 1024  # smaller pieces are gathered before they are written


class Incoming:
    """The body of a request as it comes. `received_bytes` counts on."""

    def __init__(self, request: web.Request, idle_timeout_s: float) -> None:
        """Nothing is read yet."""
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self.received_bytes = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Each piece that came.

        Raises:
            MalformedMessage: Nothing came for too long.
        """
        since_turn = 0
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    chunk = await self._request.content.readany()
            except TimeoutError:
                raise MalformedMessage(f"nothing of the request came for {self._idle_timeout_s:g} seconds") from None
            if not chunk:
                return
            self.received_bytes += len(chunk)
            yield chunk
            since_turn += len(chunk)
            if since_turn >= TURN_BYTES:
                since_turn = 0
                await asyncio.sleep(0)

    async def read(self, limit_bytes: int) -> bytes:
        """All of it, for bodies that are small by nature.

        Raises:
            MalformedMessage: There is more, or nothing came for too long.
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
        if response.content_length is None:
            response.enable_chunked_encoding()
        self.response = response
        if self._request.method == "HEAD":
            await response.prepare(self._request)
            await response.write_eof()
            return response
        with Watch(self._request, self._idle_timeout_s):
            await response.prepare(self._request)
            since_turn = 0
            while True:
                for piece in pieces:
                    await response.write(piece)
                    self.sent_bytes += len(piece)
                    since_turn += len(piece)
                if ended:
                    break
                if since_turn >= TURN_BYTES:
                    since_turn = 0
                    await asyncio.sleep(0)
                pieces, ended = await gathered(chunks, WRITE_BYTES)
            await response.write_eof()
        return response

    def cut(self) -> None:
        """End the connection so that nobody takes what was sent for all of it."""
        if self.response is not None and self._request.transport is not None:
            self._request.transport.abort()


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
