"""A long body on a connection that was taken over: whole or broken, never in between, and never far ahead of its reader."""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.adapters.http import HttpSessions, idle_timeout
from gateway.adapters.long_body import AHEAD_BYTES, AHEAD_TOGETHER_BYTES, LONG_BYTES, LongBody, long_body_of
from profiles.errors import PeerTimeout, PeerUnavailable
from tests.support.certificates import make_certificate

BODY = bytes(range(251)) * 13_000
assert len(BODY) > 3 * LONG_BYTES

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def sessions() -> AsyncIterator[HttpSessions]:
    made = HttpSessions()
    yield made
    await made.close()


@asynccontextmanager
async def answering(answer: Answer, secure: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that writes what it is told after each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secure)
    try:
        yield f"{'https' if secure else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "\r\n")).encode()


async def to_the_end(writer: asyncio.StreamWriter) -> None:
    writer.write(head("Connection: close") + BODY[:1])
    for at in range(1, len(BODY), 100_001):
        writer.write(BODY[at : at + 100_001])
        await writer.drain()
    writer.close()


async def of_a_length(writer: asyncio.StreamWriter) -> None:
    writer.write(head(f"Content-Length: {len(BODY)}") + BODY)
    await writer.drain()


async def in_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(head("Transfer-Encoding: chunked"))
    for at in range(0, len(BODY), 100_000):
        piece = BODY[at : at + 100_000]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def short(writer: asyncio.StreamWriter) -> None:
    writer.write(head("Content-Length: 3") + b"abc")
    await writer.drain()


async def read(session: aiohttp.ClientSession, address: str, idle_s: float = 10.0, pause_s: float = 0.0) -> bytes:
    body = bytearray()
    async with session.get(address, timeout=idle_timeout(idle_s)) as response:
        async for chunk in long_body_of(response, address):
            body += chunk
            await asyncio.sleep(pause_s)
    return bytes(body)


@pytest.mark.parametrize("answer", [to_the_end, of_a_length, in_chunks])
async def test_a_body_comes_as_it_is_however_its_end_is_told(sessions: HttpSessions, answer: Answer) -> None:
    async with answering(answer) as address:
        for _ in range(3):
            assert await read(sessions.session(), address) == BODY


async def test_a_body_comes_as_it_is_over_tls(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "archive")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    sessions = HttpSessions(trust=(made.certificate,))
    async with answering(of_a_length, context) as address:
        assert await read(sessions.session(), address) == BODY
    await sessions.close()


async def test_a_connection_is_kept_after_a_short_body_and_never_after_a_long_one(sessions: HttpSessions) -> None:
    seen: set[int] = set()

    async def answer(writer: asyncio.StreamWriter) -> None:
        seen.add(writer.get_extra_info("peername")[1])
        await answers.pop(0)(writer)

    async with answering(answer) as address:
        for each, connections in ((short, 1), (of_a_length, 1), (of_a_length, 2), (short, 3), (short, 3)):
            answers: list[Answer] = [each]
            await read(sessions.session(), address)
            assert len(seen) == connections


async def test_a_body_that_ends_before_its_length_is_not_whole(sessions: HttpSessions) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head(f"Content-Length: {len(BODY)}") + BODY[:-1])
        await writer.drain()
        writer.close()

    async with answering(answer) as address:
        with pytest.raises(PeerUnavailable, match="broke the connection"):
            await read(sessions.session(), address)


async def test_a_connection_that_is_reset_is_no_end_of_a_body(sessions: HttpSessions) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head("Connection: close") + BODY[:LONG_BYTES])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with answering(answer) as address:
        with pytest.raises(PeerUnavailable, match="broke the connection"):
            await read(sessions.session(), address)


async def test_a_peer_that_stalls_is_given_up_and_a_slow_reader_is_not(sessions: HttpSessions) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head("Connection: close") + BODY[:-1])
        await writer.drain()
        await asyncio.sleep(stall_s)
        writer.write(BODY[-1:])
        writer.close()

    async with answering(answer) as address:
        stall_s = 0.0
        assert await read(sessions.session(), address, idle_s=0.2, pause_s=0.25) == BODY
        stall_s = 30.0
        with pytest.raises(PeerTimeout, match="nothing moved"):
            await read(sessions.session(), address, idle_s=0.2)


async def test_a_body_is_read_a_little_ahead_and_no_further(sessions: HttpSessions) -> None:
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head("Connection: close"))
        for _ in range(100):
            writer.write(bytes(LONG_BYTES))
            await writer.drain()
            sent += LONG_BYTES
        writer.close()

    async with answering(answer) as address:
        async with sessions.session().get(address) as response:
            body = long_body_of(response, address)
            await anext(body)
            await asyncio.sleep(0.3)
            assert sent < 24 * LONG_BYTES  # the buffers of the system, both ways, are most of it
            size = 0
            async for chunk in body:
                size += len(chunk)
        assert size > 90 * LONG_BYTES


async def test_many_bodies_that_nobody_reads_hold_little_together(sessions: HttpSessions) -> None:
    many = 15  # connections to one address

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head("Connection: close") + bytes(8 * LONG_BYTES))
        await writer.drain()

    async with answering(answer) as address, AsyncExitStack() as stack:
        bodies = []
        for _ in range(many):
            response = await stack.enter_async_context(sessions.session().get(address))
            bodies.append(long_body_of(response, address))
            await anext(bodies[-1])
            await asyncio.sleep(0.05)
        held = [each.held_bytes for each in gc.get_objects() if isinstance(each, LongBody)]
        assert len(held) == many
        assert max(held) <= AHEAD_BYTES * 3 // 2  # one read beyond what is ahead
        assert min(held) < AHEAD_BYTES  # those that came later have less
        assert sum(held) < AHEAD_TOGETHER_BYTES * 2
        for each in bodies:
            await each.aclose()  # type: ignore[attr-defined]  # an async generator it is
        assert LongBody.under_way == 0


async def test_a_reader_who_leaves_early_ends_the_connection(sessions: HttpSessions) -> None:
    left = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head("Connection: close"))
        try:
            while True:
                writer.write(bytes(LONG_BYTES))
                await writer.drain()
        finally:
            left.set()

    async with answering(answer) as address:
        async with sessions.session().get(address) as response:
            async for _ in long_body_of(response, address):
                break
        await asyncio.wait_for(left.wait(), 10)
