"""A listener and a carrier of ours talk over mutual TLS on loopback; then the carrier meets peers that do it wrong."""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
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
from profiles.errors import (
    OutOfResources,
    PeerError,
    PeerProtocolError,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    Unsupported,
)
from profiles.model.content import Content
from profiles.transaction import Actor, Transaction
from profiles.wire.soap.names import WSA, XOP, S
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.memory import high_water
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
    connections: set[object]

    @property
    def peer(self) -> Peer:
        return Peer(name="Theirs", certificate_sha256=(self.theirs.sha256,), idle_timeout_s=2.0)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    ours, theirs = make_certificate(tmp_path, "ours"), make_certificate(tmp_path, "theirs")
    compute = ThreadCompute(2)
    objects, clock = FileObjects(tmp_path / "objects", compute), SystemClock()
    callers: list[Caller] = []
    connections: set[object] = set()

    def identify(request: web.Request) -> Caller:
        assert request.transport is not None
        connections.add(request.transport.get_extra_info("peername"))
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
        connections=connections,
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


async def test_a_large_pour_takes_little_memory(house: House) -> None:
    async with served(house.listener, house.server) as url:
        for asked, size in (("one=3000000", 3_000_000), ("one=300000000", 300_000_000)):
            before = high_water(reset=True)
            async with house.carrier.carry(
                RETRIEVE, f"{url}/soap/toy", Text(asked), peer=house.peer, message_id=MESSAGE_ID
            ) as carried:
                part = await anext(carried.response.pour)
                assert sum([len(chunk) async for chunk in part.chunks]) == size
    assert high_water() - before < 32 * 1024 * 1024


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


# --- peers that do it wrong -------------------------------------------------------------------------------------------

ASKED = f"urn:uuid:{MESSAGE_ID}"
SOAP = "application/soap+xml; charset=utf-8"


def envelope(body: str, relates_to: str = ASKED, action: str = "urn:toy:QueryResponse") -> str:
    """An answer by the book."""
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{WSA}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def fault(code: str) -> str:
    value = f"<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>a:{code}</s:Value></s:Subcode></s:Code>"
    return envelope(f"<s:Fault>{value}<s:Reason><s:Text>its words</s:Text></s:Reason></s:Fault>")


def got(*items: str) -> str:
    return envelope(f'<Got xmlns="urn:toy">{"".join(items)}</Got>', action="urn:toy:RetrieveResponse")


def item(name: str) -> str:
    return f'<Item name="{name}" size="0"><x:Include xmlns:x="{XOP}" href="cid:{name}"/></Item>'


def related(*parts: tuple[str, str, bytes]) -> bytes:
    """A multipart body of (content id, media type, bytes)."""
    return (
        b"".join(
            f"--b\r\nContent-Type: {kind}\r\nContent-ID: <{name}>\r\n\r\n".encode() + body + b"\r\n"
            for name, kind, body in parts
        )
        + b"--b--\r\n"
    )


RELATED = 'multipart/related; type="application/xop+xml"; start="<root>"; boundary=b'


def root(body: str) -> tuple[str, str, bytes]:
    return "root", "application/xop+xml", body.encode()


def http(body: bytes | str, content_type: str = SOAP, status: int = 200, headers: str = "", short: int = 0) -> bytes:
    """A whole HTTP answer; `short` bytes of its body are missing."""
    body = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body[: len(body) - short]


@asynccontextmanager
async def saying(answer: bytes, *, reads: bool = True, at_once: bool = False) -> AsyncIterator[str]:
    """A peer that says this whatever it is asked, and then hangs up; or that does not even read; or does not wait."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not reads:
                await asyncio.sleep(30)
            while not at_once and b"</s:Envelope>" not in (chunk := await reader.read(1 << 20)):
                if not chunk:
                    return
            writer.write(answer)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0, limit=1 << 16)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def query_answer(text: str = "yes") -> str:
    return envelope(f'<Answer xmlns="urn:toy">{text}</Answer>')


WRONG: list[tuple[str, bytes, type[PeerError], str]] = [
    ("another request's answer", http(query_answer().replace(ASKED, "urn:uuid:x")), PeerProtocolError, "another request"),
    ("a fault with 400", http(fault("ActionNotSupported"), status=400), PeerRefused, "ActionNotSupported"),
    ("a fault with 200", http(fault("DestinationUnreachable")), PeerRefused, "DestinationUnreachable"),
    ("an answer with 500", http(query_answer(), status=500), PeerRefused, "HTTP 500"),
    ("a page", http("<html>", "text/html"), PeerProtocolError, "text/html"),
    ("an error page", http("<html>", "text/html", 500), PeerProtocolError, "HTTP 500"),
    ("SOAP 1.1", http("<x/>", "text/xml"), PeerProtocolError, "text/xml"),
    ("no type", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PeerProtocolError, "no Content-Type"),
    ("come back later", http("", "text/plain", 503), PeerUnavailable, "HTTP 503"),
    ("an answer later", http("", "text/plain", 202), PeerProtocolError, "later"),
    ("go elsewhere", http("", "text/plain", 302, "Location: http://127.0.0.1:1/\r\n"), PeerRefused, "elsewhere"),
    ("who are you", http("", "text/plain", 401), PeerRefused, "HTTP 401"),
    ("you may not", http("", "text/plain", 403), PeerRefused, "HTTP 403"),
    ("not here", http("", "text/plain", 404), PeerRefused, "HTTP 404"),
    ("compressed", http(query_answer(), headers="Content-Encoding: gzip\r\n"), PeerProtocolError, "compressed"),
    ("not XML", http("hello"), PeerProtocolError, "not XML"),
    ("a DOCTYPE", http("<!DOCTYPE a>" + query_answer()), PeerProtocolError, "DOCTYPE"),
    ("another body", http(query_answer().replace("<Answer", '<Answer bad="1"')), PeerProtocolError, "bad"),
    ("cut off", http(query_answer(), short=30), PeerUnavailable, "broke"),
    ("a frame cut off", http(related(root(query_answer()))[:-200], RELATED), PeerUnavailable, "broke off its answer"),
    ("no frame", http(b"x" * 20_000, RELATED), PeerProtocolError, "does not open"),
    ("a boundary without end", http(b"x", "multipart/related; boundary=" + "x" * 71), PeerProtocolError, "boundary"),
    ("not HTTP", b"SSH-2.0-OpenSSH\r\n\r\n", PeerProtocolError, "not HTTP"),
    ("nothing at all", b"", PeerUnavailable, "broke the connection"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "error", "sentence"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
async def test_a_wrong_answer_is_named_with_what_to_do(
    house: House, answer: bytes, error: type[PeerError], sentence: str
) -> None:
    async with saying(answer) as url:
        with pytest.raises(error, match=re.escape(sentence)) as raised:
            async with house.carrier.carry(QUERY, url, Text("x"), peer=house.peer, message_id=MESSAGE_ID):
                pass
    assert type(raised.value) is error
    assert raised.value.cure


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        (http(query_answer()), []),
        (http(query_answer().replace(f"<a:RelatesTo>{ASKED}</a:RelatesTo>", "")), ["wsa-relates-to"]),
        (http(query_answer().replace("urn:toy:QueryResponse", "urn:toy:Other")), ["wsa-response-action"]),
        (http(related(root(query_answer())), RELATED), []),
        (http(related(root(query_answer())), RELATED.replace("<root>", "<rooot>")), ["mtom-start"]),
        (http(related(root(query_answer())).replace(b"\r\n", b"\n"), RELATED), ["lf-only-mime"]),
    ],
)
async def test_an_answer_that_is_only_odd_is_taken(house: House, answer: bytes, rules: list[str]) -> None:
    async with (
        saying(answer) as url,
        house.carrier.carry(QUERY, url, Text("x"), peer=house.peer, message_id=MESSAGE_ID) as carried,
    ):
        assert carried.response.text == "yes"
        assert [finding.rule for finding in carried.findings] == rules


DICOM = "application/dicom"


@pytest.mark.parametrize(
    "parts",
    [
        (root(got(item("a"), item("b"))), ("a", DICOM, b"1"), ("b", DICOM, b"2")),
        (("a", DICOM, b"1"), root(got(item("a"), item("b"))), ("b", DICOM, b"2")),
        (("a", DICOM, b"1"), ("b", DICOM, b"2"), root(got(item("a"), item("b")))),
    ],
)
async def test_documents_are_poured_wherever_the_root_stands(
    house: House, parts: tuple[tuple[str, str, bytes], ...]
) -> None:
    async with (
        saying(http(related(*parts), RELATED)) as url,
        house.carrier.carry(RETRIEVE, url, Text("x"), peer=house.peer, message_id=MESSAGE_ID) as carried,
    ):
        poured = [
            (part.key, part.media_type, b"".join([chunk async for chunk in part.chunks]))
            async for part in carried.response.pour
        ]
    assert poured == [("a", DICOM, b"1"), ("b", DICOM, b"2")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(related(root(got(item("a"), item("b"))), ("a", DICOM, b"1")), RELATED), PeerProtocolError),
        (http(related(root(got(item("a"))), ("a", DICOM, b"1" * 300_000))[:-8], RELATED), PeerUnavailable),
        (http(related(root(got(item("a"))), ("a", DICOM, b"1" * 300_000)), RELATED, short=100_000), PeerUnavailable),
    ],
    ids=["a document is missing", "the frame is cut off", "the connection is cut off"],
)
async def test_a_pour_that_is_not_whole_never_ends_well(house: House, answer: bytes, error: type[PeerError]) -> None:
    async with saying(answer) as url:
        with pytest.raises(error):
            async with house.carrier.carry(RETRIEVE, url, Text("x"), peer=house.peer, message_id=MESSAGE_ID) as carried:
                async for part in carried.response.pour:
                    async for _ in part.chunks:
                        pass


async def test_a_peer_that_does_not_take_what_we_send_is_given_up(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 18)

    async with saying(b"", reads=False) as url:
        started = time.monotonic()
        with pytest.raises(PeerTimeout, match="nothing moved"):
            async with house.carrier.carry(
                SUBMIT, url, Submitted({"a": Content(open=endless)}), peer=house.peer, message_id=MESSAGE_ID
            ):
                pass
        assert time.monotonic() - started < 4 * house.peer.idle_timeout_s


async def test_a_source_of_ours_that_breaks_while_we_send_is_told_as_it_is(house: House) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield bytes(3 << 20)
        raise OutOfResources("the disk is gone")

    async with served(house.listener, house.server) as url:
        with pytest.raises(OutOfResources, match="disk"):
            async with house.carrier.carry(
                SUBMIT,
                f"{url}/soap/toy",
                Submitted({"a": Content(open=breaks)}),
                peer=house.peer,
                message_id=MESSAGE_ID,
            ):
                pass


async def test_a_source_of_ours_may_be_slower_than_the_peer_would_be_allowed_to_be(house: House) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        await asyncio.sleep(0.6)
        yield bytes(2 << 20)

    patient = replace(house.peer, idle_timeout_s=0.4)
    async with (
        served(house.listener, house.server) as url,
        house.carrier.carry(
            SUBMIT, f"{url}/soap/toy", Submitted({"a": Content(open=slow)}), peer=patient, message_id=MESSAGE_ID
        ) as carried,
    ):
        assert carried.response.text == "1 kept"
    assert house.actor.sizes == {"a": 4 << 20}


async def test_a_connection_is_kept_for_the_next_question(house: House) -> None:
    async with served(house.listener, house.server) as url:
        for transaction, request in ((QUERY, Text("x")), (SUBMIT, Submitted({})), (QUERY, Text("y"))):
            async with house.carrier.carry(
                transaction, f"{url}/soap/toy", request, peer=house.peer, message_id=MESSAGE_ID
            ):
                pass
        async with house.carrier.carry(
            RETRIEVE, f"{url}/soap/toy", Text("one=5"), peer=house.peer, message_id=MESSAGE_ID
        ) as carried:
            async for part in carried.response.pour:
                async for _ in part.chunks:
                    pass
    assert len(house.connections) == 1


async def test_a_name_that_nobody_knows_is_unavailable(house: House) -> None:
    with pytest.raises(PeerUnavailable, match="name") as unavailable:
        async with house.carrier.carry(
            QUERY, "https://peer.invalid/", Text(""), peer=house.peer, message_id=MESSAGE_ID
        ):
            pass
    assert "name server" in unavailable.value.cure


async def test_what_is_no_address_is_refused(house: House) -> None:
    for address in ("nonsense", "http://", "https://host:port/"):
        with pytest.raises(PeerRefused, match="address"):
            async with house.carrier.carry(QUERY, address, Text(""), peer=house.peer, message_id=MESSAGE_ID):
                pass


async def test_a_peer_without_tls_at_an_https_address_is_named(house: House) -> None:
    async with saying(b"HTTP/1.1 400 X\r\n\r\n", at_once=True) as url:
        with pytest.raises(PeerUnavailable, match="TLS") as unavailable:
            async with house.carrier.carry(
                QUERY, url.replace("http:", "https:"), Text(""), peer=house.peer, message_id=MESSAGE_ID
            ):
                pass
    assert "TLS 1.2" in unavailable.value.cure


async def test_only_soap_is_carried_here(house: House) -> None:
    other: Transaction[None, None] = Transaction(
        id="X", name="x", section="", initiator=Actor.FHIR_CLIENT, responder=Actor.FHIR_SERVER, audit=lambda *_: ()
    )
    with pytest.raises(Unsupported):
        async with house.carrier.carry(other, "http://x/", None, peer=house.peer, message_id=MESSAGE_ID):
            pass
