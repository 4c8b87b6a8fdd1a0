"""The way to a peer, walked: each hop that can fail does, on loopback, and says which it is and what helps."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.adapters.http import HttpSessions
from gateway.adapters.tls import TlsIdentity, server_context
from gateway.adapters.ways import NetworkWays
from gateway.model.peer import Peer
from gateway.model.probe import Hop, Walked
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.ports import free_port

PAGE = b"HTTP/1.1 405 Method Not Allowed\r\nServer: peerware\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def answering(said: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that reads a little, says this, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def walked(address: str, peer: Peer | None = None, identity: TlsIdentity | None = None) -> list[Walked]:
    sessions = HttpSessions(identity=identity)
    try:
        return list(await NetworkWays(sessions=sessions, identity=identity).walk(address, peer or Peer(name="There")))
    finally:
        await sessions.close()


def pinned(*certificates: MadeCertificate) -> Peer:
    return Peer(name="There", certificate_sha256=tuple(each.sha256 for each in certificates))


def identity(made: MadeCertificate) -> TlsIdentity:
    return TlsIdentity(certificate=made.certificate, key=made.key)


async def test_a_peer_that_answers_is_walked_to_its_page() -> None:
    async with answering(PAGE) as port:
        hops = await walked(f"http://127.0.0.1:{port}/soap")
    assert [(hop.hop, hop.good) for hop in hops] == [(Hop.NAME, True), (Hop.CONNECTION, True), (Hop.HTTP, True)]
    assert hops[0].detail == "127.0.0.1"
    assert "405" in hops[2].detail
    assert "peerware" in hops[2].detail


async def test_a_name_without_an_address_ends_the_way_there() -> None:
    hops = await walked("https://no-such-host.invalid/soap")
    assert [(hop.hop, hop.good) for hop in hops] == [(Hop.NAME, False)]
    assert "no-such-host.invalid" in hops[0].detail
    assert hops[0].cure


async def test_a_port_that_nobody_listens_at_is_told_from_a_host_that_is_away() -> None:
    hops = await walked(f"http://127.0.0.1:{free_port()}/soap")
    assert [(hop.hop, hop.good) for hop in hops] == [(Hop.NAME, True), (Hop.CONNECTION, False)]
    assert "nothing listens" in hops[1].detail
    assert "up" in hops[1].cure


async def test_tls_says_version_cipher_and_until_when_the_certificate_is_valid(tmp_path: Path) -> None:
    theirs, ours = make_certificate(tmp_path, "theirs"), make_certificate(tmp_path, "ours")
    context = server_context(identity(theirs), pinned=[ours.certificate])
    async with answering(PAGE, context) as port:
        hops = await walked(f"https://localhost:{port}/soap", pinned(theirs), identity(ours))
    assert [(hop.hop, hop.good) for hop in hops] == [
        (Hop.NAME, True), (Hop.CONNECTION, True), (Hop.TLS, True), (Hop.HTTP, True),
    ]  # fmt: skip
    assert hops[2].detail.startswith("TLSv1.3, TLS_AES")
    assert f"{theirs.made.not_valid_after_utc:%Y-%m-%d}" in hops[2].detail


async def test_a_certificate_that_is_not_the_one_we_were_given_ends_the_way_at_tls(tmp_path: Path) -> None:
    theirs, other, ours = (make_certificate(tmp_path, name) for name in ("theirs", "other", "ours"))
    async with answering(PAGE, server_context(identity(theirs), pinned=[ours.certificate])) as port:
        hops = await walked(f"https://localhost:{port}/soap", pinned(other), identity(ours))
    assert (hops[-1].hop, hops[-1].good) == (Hop.TLS, False)
    assert "certificate" in hops[-1].detail
    assert "[[peer]] certificate" in hops[-1].cure


async def test_a_port_that_speaks_no_tls_ends_the_way_at_tls(tmp_path: Path) -> None:
    async with answering(PAGE) as port:
        hops = await walked(f"https://localhost:{port}/soap")
    assert (hops[-1].hop, hops[-1].good) == (Hop.TLS, False)
    assert "does not speak TLS" in hops[-1].detail
    assert "http://" in hops[-1].cure


async def test_a_port_that_speaks_tls_where_the_endpoint_says_http_is_told_as_that(tmp_path: Path) -> None:
    theirs, ours = make_certificate(tmp_path, "theirs"), make_certificate(tmp_path, "ours")
    async with answering(PAGE, server_context(identity(theirs), pinned=[ours.certificate])) as port:
        hops = await walked(f"http://localhost:{port}/soap")
    assert (hops[-1].hop, hops[-1].good) == (Hop.HTTP, False)
    assert "TLS is spoken there" in hops[-1].detail
    assert "https://" in hops[-1].cure


async def test_a_peer_that_hangs_up_and_speaks_no_tls_is_not_told_to_speak_it() -> None:
    async with answering(b"") as port:
        hops = await walked(f"http://localhost:{port}/soap")
    assert (hops[-1].hop, hops[-1].good) == (Hop.HTTP, False)
    assert "TLS" not in hops[-1].detail + hops[-1].cure


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "new address"),
        (401, "certificate"),
        (403, "certificate"),
        (404, "path"),
        (503, "in front of the peer"),
        (405, ""),
    ],
)
async def test_a_page_that_is_odd_is_no_end_of_the_way_and_says_what_to_look_at(status: int, advice: str) -> None:
    async with answering(PAGE.replace(b"405 Method Not Allowed", b"%d Odd" % status)) as port:
        hops = await walked(f"http://127.0.0.1:{port}/soap")
    assert (hops[-1].hop, hops[-1].good) == (Hop.HTTP, True)
    assert advice in hops[-1].cure
    assert bool(advice) == bool(hops[-1].cure)


async def test_a_peer_that_does_not_accept_our_certificate_says_so_at_http(tmp_path: Path) -> None:
    theirs, ours, strangers = (make_certificate(tmp_path, name) for name in ("theirs", "ours", "strangers"))
    async with answering(PAGE, server_context(identity(theirs), pinned=[ours.certificate])) as port:
        hops = await walked(f"https://localhost:{port}/soap", pinned(theirs), identity(strangers))
    assert (hops[-1].hop, hops[-1].good) == (Hop.HTTP, False)
    assert "certificate" in hops[-1].cure


async def test_a_port_that_speaks_something_else_ends_the_way_at_http() -> None:
    async with answering(b"220 mail ready\r\n") as port:
        hops = await walked(f"http://127.0.0.1:{port}/soap")
    assert (hops[-1].hop, hops[-1].good) == (Hop.HTTP, False)
    assert "not HTTP" in hops[-1].detail


@pytest.mark.parametrize("scheme", ["mllp", "mllps"])
async def test_mllp_is_walked_to_its_connection_and_tls_and_nothing_is_said_there(tmp_path: Path, scheme: str) -> None:
    theirs, ours = make_certificate(tmp_path, "theirs"), make_certificate(tmp_path, "ours")
    context = server_context(identity(theirs), pinned=[ours.certificate]) if scheme == "mllps" else None
    async with answering(b"", context) as port:
        hops = await walked(f"{scheme}://localhost:{port}", pinned(theirs), identity(ours))
    last = Hop.TLS if scheme == "mllps" else Hop.CONNECTION
    assert (hops[-1].hop, hops[-1].good) == (last, True)
