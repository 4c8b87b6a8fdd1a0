"""The body of a long answer, read from its connection itself.

aiohttp's parser copies every byte of a body and is asked at each read, which is a third of what forwarding costs. A body
that comes as it is (no transfer coding) needs none of that once its head was read: the connection is taken over and read
to the body's end, a bounded number of bytes ahead of the reader.

What a newcomer gets wrong: such a connection is not used again. aiohttp has not seen the end of its body, so it closes it.

Source: RFC 9112 6.3 (how long a body is).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import ClassVar, Final

import aiohttp

from gateway.adapters.http import BROKEN, body_of, told

LONG_BYTES: Final = 1024 * 1024  # less is not worth a connection
# Read before it is asked for: two CT. Half of it is read at once: asyncio's quarter of a megabyte takes a tenth more of the
# processor.
AHEAD_BYTES: Final = 1024 * 1024
AHEAD_TOGETHER_BYTES: Final = 8 * 1024 * 1024  # by all of them: two hundred slow readers are not to fill the house
LEAST_AHEAD_BYTES: Final = 64 * 1024


def long_body_of(response: aiohttp.ClientResponse, address: str) -> AsyncIterator[bytes]:
    """The body as it comes, errors of the connection translated; by way of aiohttp where it is short or coded."""
    length = response.content_length
    if "Transfer-Encoding" in response.headers or (length is not None and length < LONG_BYTES):
        return body_of(response, address)
    return _straight(response, address)


async def _straight(response: aiohttp.ClientResponse, address: str) -> AsyncIterator[bytes]:
    body: LongBody | None = None
    try:
        begun: list[bytes] = []
        while chunk := response.content.read_nowait():  # until the parser has nothing left either
            begun.append(chunk)
        if not response.content.at_eof():
            body = LongBody(response)
        for chunk in begun:
            yield chunk
        while body is not None and (chunk := await body.read()):
            yield chunk
    except BROKEN as error:
        raise told(error, address) from error
    finally:
        if body is not None:
            body.close()


class LongBody(asyncio.Protocol):
    """What is left of a body, on a connection that is taken from aiohttp."""

    under_way: ClassVar[int] = 0  # bodies that are being read; they share what may be read ahead

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        connection = response.connection
        if connection is None or connection.protocol is None or connection.transport is None:
            raise aiohttp.ClientConnectionError("the connection is closed")
        self._handler = connection.protocol
        self._transport = connection.transport
        self._loop = asyncio.get_running_loop()
        length = response.content_length
        self._left = None if length is None else length - response.content.total_bytes  # None: to the connection's end
        self._chunks: deque[bytes] = deque()
        self.held_bytes = 0
        self._ended = False
        self._broken: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._moved = self._loop.time()
        self._idle_s, self._handler.read_timeout = self._handler.read_timeout, None
        self._handler.start_timeout()  # ends it: aiohttp would miss what comes to us
        self._timer = self._loop.call_later(self._idle_s, self._look) if self._idle_s else None
        self._sized = hasattr(self._transport, "max_size")  # asyncio's own over TCP; others read as they like
        LongBody.under_way += 1
        self._ahead_bytes = self._share()
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def _share(self) -> int:
        """How far ahead it may be read, now that so many are under way."""
        share = min(AHEAD_BYTES, max(LEAST_AHEAD_BYTES, AHEAD_TOGETHER_BYTES // LongBody.under_way))
        if self._sized:
            self._transport.max_size = share // 2  # type: ignore[attr-defined]  # as `_sized` says
        return share

    async def read(self) -> bytes:
        """The next bytes; none at the end.

        Raises:
            OSError, aiohttp.ClientError: The connection broke, or the body ended before its length.
            TimeoutError: Nothing came for too long.
        """
        while not self._chunks:
            if self._broken is not None:
                raise self._broken
            if self._ended:
                return b""
            self._moved = self._loop.time()  # from now on it is the peer that is slow
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        chunk = self._chunks.popleft()
        self.held_bytes -= len(chunk)
        if self.held_bytes < self._ahead_bytes:
            self._transport.resume_reading()
        return chunk

    def close(self) -> None:
        """Nobody reads on; who asked closes the connection."""
        LongBody.under_way -= 1
        self._end(None)
        self._chunks.clear()

    # --- what the transport tells -------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Some of it has come."""
        if self._ended:
            return
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._chunks.append(data)
        self.held_bytes += len(data)
        self._moved = self._loop.time()
        if self._left == 0:
            self._end(None)
        else:
            self._ahead_bytes = self._share()
            if self.held_bytes >= self._ahead_bytes:
                self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, in good order or not."""
        if not self._ended:
            self._end(aiohttp.ClientPayloadError("the body ended before its length") if self._left and not exc else exc)
        self._handler.connection_lost(exc)

    def _look(self) -> None:
        """Whether it was waited for too long. A reader that is slow itself is not the peer's fault."""
        now = self._loop.time()
        due = (self._moved if self._waiter is not None else now) + (self._idle_s or 0.0)
        if due <= now:
            self._end(TimeoutError())
        else:
            self._timer = self._loop.call_at(due, self._look)

    def _end(self, broken: BaseException | None) -> None:
        self._ended, self._broken = True, broken
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
