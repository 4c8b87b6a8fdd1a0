"""HTTPS: who is let in is served as ever; who is not is audited."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.inbound import https
from gateway.inbound.https import HttpsSite
from profiles.errors import Unauthenticated
from tests.support.hl7 import RecordingTurns, mutual_tls


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


@asynccontextmanager
async def serving(turns: RecordingTurns, context: ssl.SSLContext) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    bound = socket.create_server(("127.0.0.1", 0))
    await HttpsSite(runner, bound, context, turns).start()
    try:
        yield bound.getsockname()[1]
    finally:
        await runner.cleanup()


async def refused(turns: RecordingTurns, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(turns.refusals) < count:
            await asyncio.sleep(0.01)


async def knock(port: int, context: ssl.SSLContext | None, said: bytes = b"GET / HTTP/1.1\r\n\r\n") -> bytes:
    with suppress(OSError, ssl.SSLError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(said)
            return await reader.read(100)
        finally:
            writer.close()
    return b""


async def test_who_is_known_is_served_and_a_connection_is_kept(tmp_path: Path) -> None:
    tls, turns = mutual_tls(tmp_path), RecordingTurns()
    async with (
        serving(turns, tls.server) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls.client)) as session,
    ):
        for _ in range(3):
            async with session.get(f"https://127.0.0.1:{port}/") as answer:
                assert await answer.text() == "hello"
    assert turns.refusals == []


async def test_a_handshake_without_a_certificate_is_a_failure_of_authentication(tmp_path: Path) -> None:
    tls, turns = mutual_tls(tmp_path), RecordingTurns()
    async with serving(turns, tls.server) as port:
        assert b"hello" not in await knock(port, tls.stranger)
        await refused(turns)
    assert isinstance(turns.refusals[0][1], Unauthenticated)
    assert "TLS handshake failed" in turns.refusals[0][1].detail


async def test_plain_text_is_noted_and_a_probe_is_not(tmp_path: Path) -> None:
    tls, turns = mutual_tls(tmp_path), RecordingTurns()
    async with serving(turns, tls.server) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        assert b"hello" not in await knock(port, None)
        await refused(turns)
    assert len(turns.refusals) == 1


async def test_who_says_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    tls, turns = mutual_tls(tmp_path), RecordingTurns()
    async with serving(turns, tls.server) as port:
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls.client)) as session,
            session.get(f"https://127.0.0.1:{port}/") as answer,
        ):
            assert answer.status == 200
        silent.close()


async def test_beyond_so_many_handshakes_who_comes_waits_and_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "HANDSHAKES", 2)
    tls, turns = mutual_tls(tmp_path), RecordingTurns()
    async with serving(turns, tls.server) as port:
        silent = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(2)]
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(knock(port, tls.client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        silent[0].close()  # one of them goes, and there is room
        async with asyncio.timeout(5):
            assert b"200 OK" in await waiting
        silent[1].close()
    assert turns.refusals == []


async def test_a_stop_does_not_wait_for_a_handshake_that_hangs_and_hangs_up_on_it(tmp_path: Path) -> None:
    tls, turns, loop = mutual_tls(tmp_path), RecordingTurns(), asyncio.get_running_loop()
    async with serving(turns, tls.server) as port:
        reader, silent = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.1)
        began = loop.time()
    assert loop.time() - began < https.HANDSHAKE_S / 2
    async with asyncio.timeout(https.HANDSHAKE_S / 2):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    silent.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert turns.refusals == []
