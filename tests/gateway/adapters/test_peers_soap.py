"""A listener and a carrier of ours talk over mutual TLS on loopback; then the carrier meets peers that do it wrong."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.peers_soap import SoapCarrier
from gateway.adapters.tls import TlsIdentity, peer_fingerprint, server_context
from gateway.inbound.soap import SoapListener
from gateway.model.peer import Caller, Peer
from profiles.errors import PeerProtocolError, PeerRefused, PeerTimeout, PeerUnavailable
from profiles.model.content import Content
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.toy_soap import QUERY, RETRIEVE, SUBMIT, Submitted, Text, ToyActor, ToyTurns, served

MESSAGE_ID = "0190a2c4-0000-7000-8000-000000000001"


@dataclass
class House:
    """Two sides of one wire."""

    carrier: SoapCarrier
    listener: SoapListener
    turns: ToyTurns
    actor: ToyActor
    ours: MadeCertificate
    theirs: MadeCertificate
    server: ssl.SSLContext
    callers: list[Caller]

    @property
    def peer(self) -> Peer:
        return Peer(name="Theirs", certificate_sha256=(self.theirs.sha256,), idle_timeout_s=2.0)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    ours, theirs = make_certificate(tmp_path, "ours"), make_certificate(tmp_path, "theirs")
    compute = ThreadCompute(2)
    objects, clock = FileObjects(tmp_path / "objects", compute), SystemClock()
    callers: list[Caller] = []

    def identify(request: web.Request) -> Caller:
        assert request.transport is not None
        known = peer_fingerprint(request.transport.get_extra_info("ssl_object")) == ours.sha256
        peer = Peer(name="Ours", certificate_sha256=(ours.sha256,)) if known else None
        callers.append(Caller(peer=peer, network_address="127.0.0.1", via="certificate" if peer else "loopback"))
        return callers[-1]

    turns, actor = ToyTurns(), ToyActor()
    listener = SoapListener(turns=turns, objects=objects, identify=identify, clock=clock, idle_timeout_s=2.0)
    listener.add("/soap/toy", actor.answerings())
    sessions = HttpSessions(identity=TlsIdentity(certificate=ours.certificate, key=ours.key))
    yield House(
        carrier=SoapCarrier(sessions=sessions, objects=objects, clock=clock),
        listener=listener,
        turns=turns,
        actor=actor,
        ours=ours,
        theirs=theirs,
        server=server_context(TlsIdentity(certificate=theirs.certificate, key=theirs.key), pinned=(ours.certificate,)),
        callers=callers,
    )
    await sessions.close()
    compute.close()
    assert list((tmp_path / "objects" / "incoming").iterdir()) == []


async def test_a_question_is_asked_and_answered_over_mutual_tls(house: House) -> None:
    async with served(house.listener, house.server) as url:
        for text in ("hello", "<&>\r\n\u00e4\u20ac", "long 300000"):
            async with house.carrier.carry(
                QUERY, f"{url}/soap/toy", Text(text), peer=house.peer, message_id=MESSAGE_ID
            ) as carried:
                assert carried.response.text == ("x" * 300_000 if text.startswith("long") else text)
                assert carried.findings == ()
                assert carried.sent_bytes > 100
                assert carried.received_bytes > 100
    assert [caller.peer.name for caller in house.callers if caller.peer] == ["Ours"] * 3
    assert house.turns.message_ids == [f"urn:uuid:{MESSAGE_ID}"] * 3
    assert house.turns.findings == []
    assert house.turns.broken == []


async def test_documents_travel_in_and_are_kept_as_they_were(house: House) -> None:
    small, large = bytes(range(256)) * 16, bytes(3_000_000)
    documents = {"a": Content.of(small, "application/dicom"), "b": Content.of(large), "c": Content.of(b"")}
    async with (
        served(house.listener, house.server) as url,
        house.carrier.carry(
            SUBMIT, f"{url}/soap/toy", Submitted(documents), peer=house.peer, message_id=MESSAGE_ID
        ) as carried,
    ):
        assert carried.response.text == "3 kept"
        assert carried.sent_bytes > 3_000_000
    assert house.actor.received == {"a": small, "c": b""}
    assert house.actor.sizes == {"a": 4096, "b": 3_000_000, "c": 0}


async def test_parts_are_poured_while_the_exchange_is_open(house: House) -> None:
    async with (
        served(house.listener, house.server) as url,
        house.carrier.carry(
            RETRIEVE, f"{url}/soap/toy", Text("one=5 two=700000 three=0"), peer=house.peer, message_id=MESSAGE_ID
        ) as carried,
    ):
        assert carried.response.head.sizes == (("one", 5), ("two", 700_000), ("three", 0))
        before = carried.received_bytes
        got = {}
        async for part in carried.response.pour:
            got[part.key] = sum([len(chunk) async for chunk in part.chunks])
        assert got == {"one": 5, "two": 700_000, "three": 0}
        assert carried.received_bytes > before
    assert house.turns.broken == []
    assert house.turns.answered[0].sent_bytes == carried.received_bytes


async def test_a_pour_that_breaks_cuts_the_connection_and_is_no_end(house: House) -> None:
    async with served(house.listener, house.server) as url:
        with pytest.raises(PeerUnavailable, match="broke the connection"):
            async with house.carrier.carry(
                RETRIEVE, f"{url}/soap/toy", Text("one=500000 break=7"), peer=house.peer, message_id=MESSAGE_ID
            ) as carried:
                async for part in carried.response.pour:
                    async for _ in part.chunks:
                        pass
    (broken,) = house.turns.broken
    assert isinstance(broken, PeerUnavailable)


async def test_a_caller_who_leaves_early_stops_the_pour(house: House) -> None:
    async with served(house.listener, house.server) as url:
        async with house.carrier.carry(
            RETRIEVE, f"{url}/soap/toy", Text("one=50000000 two=5"), peer=house.peer, message_id=MESSAGE_ID
        ) as carried:
            part = await anext(carried.response.pour)
            await anext(part.chunks)
        for _ in range(100):
            if house.turns.broken:
                break
            await asyncio.sleep(0.02)
    assert house.turns.broken


async def test_an_error_before_the_body_is_understood_is_the_peers_fault_with_its_code(house: House) -> None:
    async with served(house.listener, house.server) as url:
        with pytest.raises(PeerRefused, match="FailedAuthentication") as refused:
            async with house.carrier.carry(
                QUERY, f"{url}/soap/toy", Text("stranger"), peer=house.peer, message_id=MESSAGE_ID
            ):
                pass
    assert refused.value.code.endswith("}FailedAuthentication")
    assert "certificate" in refused.value.cure


async def test_a_peer_who_stalls_is_given_up_after_the_idle_time(house: House) -> None:
    async with served(house.listener, house.server) as url:
        with pytest.raises(PeerTimeout):
            async with house.carrier.carry(
                RETRIEVE, f"{url}/soap/toy", Text("one=100000 stall=5"), peer=house.peer, message_id=MESSAGE_ID
            ) as carried:
                async for part in carried.response.pour:
                    async for _ in part.chunks:
                        pass
        house.actor.stalled.set()


async def test_another_certificate_than_the_peers_is_refused_with_the_cure(house: House) -> None:
    stranger = Peer(name="Theirs", certificate_sha256=(house.ours.sha256,))
    async with served(house.listener, house.server) as url:
        with pytest.raises(PeerRefused, match="certificate") as refused:
            async with house.carrier.carry(
                QUERY, f"{url}/soap/toy", Text("hello"), peer=stranger, message_id=MESSAGE_ID
            ):
                pass
    assert "[[peer]] certificate" in refused.value.cure
    assert house.turns.message_ids == []


async def test_nobody_at_the_address_is_unavailable_with_hop_and_cure(house: House, unused_tcp_port: int) -> None:
    with pytest.raises(PeerUnavailable, match=f"https://127.0.0.1:{unused_tcp_port}") as unavailable:
        async with house.carrier.carry(
            QUERY, f"https://127.0.0.1:{unused_tcp_port}/x", Text(""), peer=house.peer, message_id=MESSAGE_ID
        ):
            pass
    assert unavailable.value.cure


async def test_an_answer_to_another_request_is_not_taken(house: House) -> None:
    with pytest.raises(PeerProtocolError, match="another request"):
        await answered_by(house, relates_to="urn:uuid:somebody-else")


async def answered_by(house: House, relates_to: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(
            body=f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>'
            f'<a:RelatesTo xmlns:a="http://www.w3.org/2005/08/addressing">{relates_to}</a:RelatesTo></s:Header>'
            f'<s:Body><Answer xmlns="urn:toy"/></s:Body></s:Envelope>'.encode(),
            content_type="application/soap+xml",
        )

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with house.carrier.carry(
            QUERY, f"http://127.0.0.1:{runner.addresses[0][1]}/", Text(""), peer=house.peer, message_id=MESSAGE_ID
        ):
            pass
    finally:
        await runner.cleanup()
