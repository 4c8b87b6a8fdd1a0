"""The SOAP listener as a stranger meets it: what is answered, what is refused and how, and who is waited for."""

import asyncio
import gzip
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.tls import TlsIdentity, client_context, server_context
from gateway.inbound.flow import EXCHANGE_HEADER
from gateway.inbound.soap import SoapListener
from gateway.model.peer import DEFAULT_TOLERANCES, Caller, Peer, Tolerance
from gateway.ports.objects import Spool
from profiles.errors import Busy, PeerUnavailable, Unauthenticated
from profiles.wire.multipart import parts_of
from profiles.wire.soap.fault import decode_fault
from profiles.wire.soap.mtom import SoapLimits
from profiles.wire.soap.names import ANONYMOUS, S11, WSA, XDS_B, XOP, S
from profiles.wire.xml import parse
from tests.support.certificates import make_certificate
from tests.support.memory import high_water
from tests.support.soap import client_of
from tests.support.toy_soap import QUERY, ToyActor, ToyTurns, served

KNOWN = Peer(name="Known")
SOAP = "application/soap+xml; charset=utf-8"
RELATED = 'multipart/related; type="application/xop+xml"; start="<root@x>"; boundary=b'
IDLE_S = 0.8


def envelope(body: str, action: str, header: str = "") -> str:
    """A request by the book."""
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"<a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>{header}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def query(text: str = "hello", header: str = "") -> str:
    return envelope(f'<Ask xmlns="urn:toy">{text}</Ask>', "urn:toy:Query", header)


def retrieve(text: str) -> str:
    return envelope(f'<Get xmlns="urn:toy">{text}</Get>', "urn:toy:Retrieve")


def submit(inner: str) -> str:
    return envelope(f'<Submit xmlns="urn:toy">{inner}</Submit>', "urn:toy:Submit")


def attached(name: str) -> str:
    return f'<d:Document xmlns:d="{XDS_B}" id="{name}"><x:Include xmlns:x="{XOP}" href="cid:{name}"/></d:Document>'


def inline(name: str, base64: str) -> str:
    return f'<d:Document xmlns:d="{XDS_B}" id="{name}">{base64}</d:Document>'


def related(root: str, *parts: tuple[str, bytes], newline: str = "\r\n") -> bytes:
    """An MTOM body."""
    kind = 'application/xop+xml; charset=UTF-8; type="application/soap+xml"'
    body = f"--b\r\nContent-Type: {kind}\r\nContent-ID: <root@x>\r\n\r\n{root}".encode()
    for name, content in parts:
        body += f"\r\n--b\r\nContent-Type: text/plain\r\nContent-ID: <{name}>\r\n\r\n".encode() + content
    return (body + b"\r\n--b--\r\n").replace(b"\r\n", newline.encode())


@dataclass
class Stage:
    """A listener, what it is connected to, and a client."""

    url: str
    turns: ToyTurns
    actor: ToyActor
    client: aiohttp.ClientSession
    caller: list[Caller]
    incoming: Path
    close: Callable[[], Awaitable[None]]

    def as_peer(self, peer: Peer | None, via: str = "certificate") -> None:
        self.caller[0] = Caller(peer=peer, network_address="127.0.0.1", via=via)

    async def post(self, body: str | bytes, content_type: str = SOAP, **headers: str) -> tuple[int, str, bytes]:
        """Status, Content-Type, body."""
        data = body.encode() if isinstance(body, str) else body
        async with self.client.post(
            f"{self.url}/soap/toy", data=data, headers={"Content-Type": content_type, **headers}
        ) as response:
            return response.status, response.headers["Content-Type"], await response.read()

    async def fault(self, body: str | bytes, content_type: str = SOAP, **headers: str) -> tuple[int, str, str]:
        """Status, innermost code without namespace, reason."""
        status, kind, answer = await self.post(body, content_type, **headers)
        assert kind.startswith("application/soap+xml")
        element = parse(answer).find(f".//{{{S}}}Fault")
        assert element is not None, answer
        fault = decode_fault(element)
        return status, fault.codes[-1].rpartition("}")[2], fault.reason


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with _Staged(tmp_path, {}) as each:
        yield each


class _Staged:
    """An async context: the stage stands while it is open, and nothing is left in the spool folder after it."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self._folder = folder
        self._settings = settings

    async def __aenter__(self) -> Stage:
        self._compute = ThreadCompute(2)
        objects = FileObjects(self._folder / "objects", self._compute)
        caller = [Caller(peer=KNOWN, network_address="127.0.0.1")]
        turns, actor = ToyTurns(), ToyActor()
        settings: dict[str, object] = {
            "objects": objects,
            "idle_timeout_s": IDLE_S,
            "limits": SoapLimits(root_bytes=100_000, parts=5),
        }
        listener = SoapListener(
            turns=turns,
            identify=lambda _: caller[0],
            clock=SystemClock(),
            **(settings | self._settings),  # type: ignore[arg-type]
        )
        listener.add("/soap/toy", actor.answerings())
        self._served = AsyncExitStack()
        url = await self._served.enter_async_context(served(listener))
        self._client = aiohttp.ClientSession(auto_decompress=False)
        self._stage = Stage(
            url=url,
            turns=turns,
            actor=actor,
            client=self._client,
            caller=caller,
            incoming=self._folder / "objects/incoming",
            close=self._served.aclose,
        )
        return self._stage

    async def __aexit__(self, *error: object) -> None:
        self._stage.actor.stalled.set()
        await self._client.close()
        await self._served.aclose()
        self._compute.close()
        if error[0] is None:
            assert list(self._stage.incoming.iterdir()) == []


# --- answered ---------------------------------------------------------------------------------------------------------


async def test_a_question_is_answered_in_kind(stage: Stage) -> None:
    async with stage.client.post(f"{stage.url}/soap/toy", data=query(), headers={"Content-Type": SOAP}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/soap+xml; charset=UTF-8"
        assert response.headers[EXCHANGE_HEADER] == "exchange-1"
        body = await response.read()
        assert response.headers["Content-Length"] == str(len(body))
    root = parse(body)
    assert root.findtext(f".//{{{WSA}}}Action") == "urn:toy:QueryResponse"
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == "urn:uuid:1"
    assert root.findtext(".//{urn:toy}Answer") == "hello"
    assert stage.turns.queries == [
        b'<Ask xmlns="urn:toy" xmlns:s="' + S.encode() + b'" xmlns:a="' + WSA.encode() + b'">hello</Ask>'
    ]
    assert stage.turns.findings == []
    assert stage.turns.answered[0].sent_bytes == len(body)


async def test_a_long_answer_is_written_as_it_is_made(stage: Stage) -> None:
    status, _, body = await stage.post(query("long 200000"))
    assert status == 200
    assert len(parse(body).findtext(".//{urn:toy}Answer") or "") == 200_000


async def test_an_error_of_the_actor_is_the_transactions_own_response(stage: Stage) -> None:
    status, _, body = await stage.post(query("fail"))
    assert status == 200
    (answer,) = parse(body).iter("{urn:toy}Answer")
    assert answer.get("error") == "unknown document: there is no such toy"


async def test_documents_are_taken_inline_and_attached_in_one_message(stage: Stage) -> None:
    body = related(submit(attached("one@x") + inline("two", "aGVsbG8=")), ("one@x", b"\r\nfirst\r\n"))
    status, kind, answer = await stage.post(body, RELATED)
    assert status == 200
    assert kind.startswith("multipart/related")
    assert b"2 kept" in answer
    assert stage.actor.received == {"one@x": b"\r\nfirst\r\n", "two": b"hello"}


async def test_a_retrieval_is_poured_with_its_length(stage: Stage) -> None:
    async with stage.client.post(
        f"{stage.url}/soap/toy", data=related(retrieve("one=3 two=300000")), headers={"Content-Type": RELATED}
    ) as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 300_000
        pour = parts_of(response.content.iter_any(), response.headers["Content-Type"])
        sizes = {part.key: sum([len(chunk) async for chunk in part.chunks]) async for part in pour}
    root = next(key for key in sizes if key.startswith("root."))
    del sizes[root]
    assert sizes == {"one": 3, "two": 300_000}


# --- refused ----------------------------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'

WITHOUT_ACTION = query().replace("a:Action", "a:Other").replace('s:mustUnderstand="1"', "")
STRANGE_HEADER = '<h xmlns="urn:h" s:mustUnderstand="true"/>'
ELSEWHERE = query().replace(ANONYMOUS, "http://127.0.0.1:1/")
CUT_OFF = related(submit(attached("a")), ("a", b"x" * 1000))[:-300]
MANY = related(submit(attached("a")), *((name, b"") for name in "abcdef"))
LEADS_OUTSIDE = related(submit(attached("a").replace("cid:a", "file:///etc/passwd")))

REFUSALS: list[tuple[str, str | bytes, str, int, str, str]] = [
    ("no content type that is SOAP", "x", "text/plain", 400, "Sender", "not SOAP"),
    ("SOAP 1.1 by its content type", query(), "text/xml", 500, "VersionMismatch", "SOAP 1.1"),
    ("SOAP 1.1 by its envelope", query().replace(S, S11), SOAP, 500, "VersionMismatch", "1.1"),
    ("SOAP with attachments", related(query()), RELATED.replace("application/xop+xml", "text/xml"), 400, "Sender", "MTOM"),
    ("not XML", "hello", SOAP, 400, "Sender", "not XML"),
    ("nothing", "", SOAP, 400, "Sender", "empty"),
    ("cut off XML", query()[:-20], SOAP, 400, "Sender", "well-formed"),
    ("a DOCTYPE", BOMB + query("&b;"), SOAP, 400, "Sender", "DOCTYPE"),
    ("a DOCTYPE in UTF-16", (BOMB + query()).encode("utf-16"), SOAP.replace("utf-8", "utf-16"), 400, "Sender", "DOCTYPE"),
    ("an entity", query("&b;"), SOAP, 400, "Sender", "well-formed"),
    ("an oversized envelope", query("x" * 110_000), SOAP, 400, "Sender", "more than 100000 bytes"),
    ("an oversized root part", related(query("x" * 110_000)), RELATED, 400, "Sender", "more than 100000 bytes"),
    ("no action", WITHOUT_ACTION, SOAP, 400, "MessageAddressingHeaderRequired", "no wsa:Action"),
    ("an unknown action", query().replace("urn:toy:Query", "urn:toy:Other"), SOAP, 400, "ActionNotSupported", "not served"),
    ("action and body at odds", query().replace("Ask", "Get"), SOAP, 400, "ActionNotSupported", "another"),
    ("a header not understood", query(header=STRANGE_HEADER), SOAP, 500, "MustUnderstand", "understood"),
    ("two actions", query(header="<a:Action>urn:toy:Query</a:Action>"), SOAP, 400, "InvalidCardinality", "twice"),
    ("an answer elsewhere", ELSEWHERE, SOAP, 400, "OnlyAnonymousAddressSupported", "connection"),
    ("two bodies", query().replace("</s:Body>", "<x/></s:Body>"), SOAP, 400, "Sender", "one child"),
    ("a simple transaction as MTOM", related(query()), RELATED, 400, "Sender", "packed as SIMPLE SOAP"),
    ("a submission without MTOM", submit(inline("a", "aGk=")), SOAP, 400, "Sender", "not packed as MTOM"),
    ("a boundary that never comes", b"x" * 50_000, RELATED, 400, "Sender", "does not open"),
    ("no boundary", related(query()), "multipart/related", 400, "Sender", "boundary"),
    ("a truncated multipart", CUT_OFF, RELATED, 400, "Sender", "final boundary"),
    ("a missing part", related(submit(attached("a"))), RELATED, 400, "Sender", "not there"),
    ("a part twice", related(submit(attached("a")), ("a", b""), ("a", b"")), RELATED, 400, "Sender", "same Content-ID"),
    ("one part for two documents", related(submit(attached("a") * 2), ("a", b"")), RELATED, 400, "Sender", "same part"),
    ("too many parts", MANY, RELATED, 400, "Sender", "more than 5 parts"),
    ("an Include that leads outside", LEADS_OUTSIDE, RELATED, 400, "Sender", "content id"),
    ("base64 that is none", related(submit(inline("a", "&#228;"))), RELATED, 400, "Sender", "base64"),
    ("a body that cannot be decoded", query().replace("<Ask", '<Ask bad="1"'), SOAP, 400, "Sender", "this toy is bad"),
    ("somebody unknown to the actor", query("stranger"), SOAP, 400, "FailedAuthentication", "who are you"),
    ("a defect of ours", query("defect"), SOAP, 500, "Receiver", "defect"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "reason"),
    [case[1:] for case in REFUSALS],
    ids=[case[0] for case in REFUSALS],
)
async def test_what_cannot_be_answered_is_a_fault_that_names_it(
    stage: Stage, body: str | bytes, content_type: str, status: int, code: str, reason: str
) -> None:
    found = await stage.fault(body, content_type)
    assert found[:2] == (status, code)
    assert reason in found[2]
    reached = bool(stage.turns.answered)
    assert len(stage.turns.refusals) == (0 if reached else 1)
    assert stage.actor.received == {}
    # The next one is served as if nothing had been.
    assert (await stage.post(query()))[0] == 200


async def test_a_defect_tells_nothing_of_itself(stage: Stage) -> None:
    _, _, body = await stage.post(query("defect"))
    assert b"NoneType" not in body
    assert b"Traceback" not in body
    assert b"exchange-1" in body
    assert stage.turns.broken


async def test_what_cannot_be_read_is_kept_for_the_operator_from_its_first_byte(stage: Stage) -> None:
    await stage.fault(b"<broken" + bytes(100_000), SOAP)
    assert stage.turns.raws[0].startswith(b"<broken")
    assert len(stage.turns.raws[0]) <= 64 * 1024


async def test_a_defect_while_reading_is_a_fault_and_not_a_page(tmp_path: Path) -> None:
    class Broken:
        def spool(self, limit_bytes: int) -> Spool:
            raise LookupError(limit_bytes)

    async with _Staged(tmp_path, {"objects": Broken()}) as stage:
        status, code, reason = await stage.fault(related(submit(attached("a")), ("a", b"x")), RELATED)
        assert (status, code, reason) == (500, "Receiver", "this house has a defect; it was logged")
        assert len(stage.turns.refusals) == 1


async def test_a_house_that_is_busy_says_when_to_come_back(tmp_path: Path) -> None:
    class Full:
        def spool(self, limit_bytes: int) -> Spool:
            raise Busy("too much at once")

    async with (
        _Staged(tmp_path, {"objects": Full()}) as stage,
        stage.client.post(
            f"{stage.url}/soap/toy",
            data=related(submit(attached("a")), ("a", b"x")),
            headers={"Content-Type": RELATED},
        ) as response,
    ):
        assert (response.status, response.headers["Retry-After"]) == (500, "5")


async def test_compressed_requests_are_not_read(stage: Stage) -> None:
    status, _, reason = await stage.fault(gzip.compress(query().encode()), **{"Content-Encoding": "gzip"})
    assert (status, reason) == (400, "compressed requests are not read")


async def test_a_document_that_is_too_large_is_told_so_and_not_kept(tmp_path: Path) -> None:
    async with _Staged(tmp_path, {"document_bytes": 100_000}) as stage:
        body = related(submit(attached("a")), ("a", bytes(100_001)))
        status, code, reason = await stage.fault(body, RELATED)
        assert (status, code) == (500, "Receiver")
        assert "100000" in reason


async def test_a_caller_that_nobody_knows_is_refused_before_its_body_is_read(stage: Stage) -> None:
    stage.as_peer(None, via="loopback")
    status, code, _ = await stage.fault(query())
    assert (status, code) == (400, "FailedAuthentication")
    (refusal,) = stage.turns.refusals
    assert isinstance(refusal, Unauthenticated)
    assert "[[peer]]" in refusal.cure


async def test_a_setting_lets_this_machine_ask_without_a_name_and_nobody_else(tmp_path: Path) -> None:
    async with _Staged(tmp_path, {"anonymous_loopback": True}) as stage:
        stage.as_peer(None, via="loopback")
        assert (await stage.post(query()))[0] == 200
        stage.as_peer(None, via="nobody")
        assert (await stage.fault(query()))[1] == "FailedAuthentication"


# --- tolerated --------------------------------------------------------------------------------------------------------

SLOPPY: list[tuple[Tolerance, str | bytes, str]] = [
    (Tolerance.PLAIN_SOAP_RETRIEVE, retrieve("one=3"), SOAP),
    (Tolerance.ACTION_WHITE_SPACE, query().replace("urn:toy:Query<", "\n urn:toy:Query <"), SOAP),
    (Tolerance.UNDERSTOOD_HEADERS, query().replace("<a:MessageID", '<a:MessageID s:mustUnderstand="1"'), SOAP),
    (Tolerance.SUBMISSION_WITHOUT_MTOM, submit(inline("a", "aGk=")), SOAP),
    (
        Tolerance.PERCENT_ENCODED_CONTENT_ID,
        related(submit(attached("a@b").replace("cid:a@b", "cid:a%40b")), ("a@b", b"x")),
        RELATED,
    ),
    (Tolerance.LF_ONLY_MIME, related(submit(attached("a")), ("a", b"x"), newline="\n"), RELATED),
]


@pytest.mark.parametrize(("tolerance", "body", "content_type"), SLOPPY, ids=[case[0].value for case in SLOPPY])
async def test_each_tolerance_can_be_given_and_taken(
    stage: Stage, tolerance: Tolerance, body: str | bytes, content_type: str
) -> None:
    stage.as_peer(replace(KNOWN, tolerances=frozenset({tolerance})))
    status, kind, _ = await stage.post(body, content_type)
    assert status == 200
    assert tolerance.value in stage.turns.findings
    if tolerance in (Tolerance.PLAIN_SOAP_RETRIEVE, Tolerance.SUBMISSION_WITHOUT_MTOM):
        assert kind.startswith("multipart/related")  # answered as the transaction says
    stage.as_peer(replace(KNOWN, tolerances=frozenset(Tolerance) - {tolerance}))
    assert (await stage.fault(body, content_type))[0] == 400
    (refusal,) = stage.turns.refusals
    assert tolerance.value in refusal.cure
    stage.as_peer(KNOWN)
    assert (await stage.post(body, content_type))[0] == (200 if tolerance in DEFAULT_TOLERANCES else 400)


async def test_a_missing_reply_to_is_anonymous_for_everybody(stage: Stage) -> None:
    body = re.sub("<a:ReplyTo>.*</a:ReplyTo>", "", query())
    assert (await stage.post(body))[0] == 200
    assert stage.turns.findings == ["IHE-WSA102"]


# --- described --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["wsdl", "WSDL"])
async def test_an_address_describes_itself_to_a_strangers_tool(stage: Stage, asked: str, tmp_path: Path) -> None:
    async with stage.client.get(f"{stage.url}/soap/toy?{asked}") as response:
        assert response.status == 200
        wsdl = await response.read()
    client = client_of(wsdl, tmp_path)
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert port.binding_options["address"] == f"{stage.url}/soap/toy"
    assert set(port.binding.all()) == {"ToyQuery", "ToySubmit", "ToyRetrieve"}


async def test_an_address_behind_a_proxy_describes_itself_as_others_reach_it(tmp_path: Path) -> None:
    async with (
        _Staged(tmp_path, {"base_url": "https://house.example/x/"}) as stage,
        stage.client.get(f"{stage.url}/soap/toy?wsdl") as response,
    ):
        assert b'location="https://house.example/x/soap/toy"' in await response.read()


async def test_an_address_is_for_posting(stage: Stage) -> None:
    async with stage.client.get(f"{stage.url}/soap/toy") as response:
        assert response.status == 405


def test_two_transactions_of_one_action_do_not_share_an_address(tmp_path: Path) -> None:
    listener = SoapListener(
        turns=ToyTurns(),
        objects=FileObjects(tmp_path, ThreadCompute(1)),
        identify=lambda _: Caller(peer=None, network_address=""),
        clock=SystemClock(),
    )
    listener.add("/a", ToyActor().answerings())
    with pytest.raises(ValueError, match=QUERY.request_action):
        listener.add("/a", ToyActor().answerings())


# --- who is waited for ------------------------------------------------------------------------------------------------


async def raw(stage: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(stage.url.rpartition(":")[2]), limit=1 << 16)


def head(size: int, content_type: str = SOAP) -> bytes:
    return (
        f"POST /soap/toy HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\n\r\n".encode()
    )


async def test_a_sender_who_stands_still_is_told_and_let_go(stage: Stage) -> None:
    reader, writer = await raw(stage)
    body = query().encode()
    writer.write(head(len(body)) + body[:100])
    started = time.monotonic()
    answer = await asyncio.wait_for(reader.readuntil(b"</s:Envelope>"), 5)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"nothing of the request came for 0.8 seconds" in answer
    assert IDLE_S * 0.8 < time.monotonic() - started < 3
    writer.close()
    assert len(stage.turns.refusals) == 1


async def test_a_sender_who_is_slow_and_moves_is_waited_for(stage: Stage) -> None:
    reader, writer = await raw(stage)
    body = query().encode()
    writer.write(head(len(body)))
    started = time.monotonic()
    for at in range(0, len(body), 50):
        writer.write(body[at : at + 50])
        await asyncio.sleep(IDLE_S / 4)
    answer = await asyncio.wait_for(reader.readuntil(b"</s:Envelope>"), 5)
    assert b" 200 " in answer.split(b"\r\n")[0]
    assert time.monotonic() - started > 2 * IDLE_S
    writer.close()


async def test_a_sender_who_goes_away_is_noted_and_nothing_is_kept(stage: Stage) -> None:
    _, writer = await raw(stage)
    body = related(submit(attached("a")), ("a", bytes(500_000)))
    writer.write(head(len(body), RELATED) + body[:300_000])
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    for _ in range(100):
        if stage.turns.refusals:
            break
        await asyncio.sleep(0.02)
    (refusal,) = stage.turns.refusals
    assert "broke off" in refusal.detail
    assert list(stage.incoming.iterdir()) == []


async def test_a_caller_of_the_time_before_chunks_is_answered(stage: Stage) -> None:
    reader, writer = await raw(stage)
    body = query("long 200000").encode()
    writer.write(head(len(body)).replace(b"HTTP/1.1", b"HTTP/1.0") + body)
    answer = await asyncio.wait_for(reader.read(1 << 20), 5)
    while chunk := await reader.read(1 << 20):
        answer += chunk
    assert b"chunked" not in answer[:500]
    assert answer.endswith(b"</s:Envelope>")
    assert answer.count(b"x") > 200_000
    writer.close()


async def test_a_house_that_closes_cuts_what_it_pours(tmp_path: Path) -> None:
    async with _Staged(tmp_path, {}) as stage:
        asking = asyncio.create_task(stage.post(retrieve("one=1000000 stall=3")))
        while not stage.turns.answered:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await stage.close()
        with pytest.raises(aiohttp.ClientError):
            await asking
    assert isinstance(stage.turns.broken[0], asyncio.CancelledError)


async def test_a_strangers_tool_asks_and_is_answered(stage: Stage, tmp_path: Path) -> None:
    """zeep, knowing no more than the WSDL: SOAP 1.2, WS-Addressing without ReplyTo or mustUnderstand."""
    async with stage.client.get(f"{stage.url}/soap/toy?wsdl") as response:
        client = client_of(await response.read(), tmp_path)

    def ask() -> Any:
        with client.settings(raw_response=True):
            return client.service.ToyQuery(_value_1=[])

    answer = await asyncio.to_thread(ask)
    assert answer.status_code == 200
    assert parse(answer.content).find(".//{urn:toy}Answer") is not None
    assert stage.turns.findings == ["IHE-WSA101", "IHE-WSA102"]


async def test_a_reader_who_stands_still_is_cut_off(stage: Stage) -> None:
    reader, writer = await raw(stage)
    body = retrieve("one=100000000").encode()
    writer.write(head(len(body)) + body)
    started = time.monotonic()
    while not stage.turns.broken and time.monotonic() - started < 10:
        await asyncio.sleep(0.05)
    assert isinstance(stage.turns.broken[0], ConnectionError)
    assert time.monotonic() - started < 6 * IDLE_S
    writer.close()
    assert len(await reader.read(1 << 30)) < 100_000_000


async def test_a_reader_who_is_slow_and_moves_is_waited_for(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)  # small: its reading shows at once
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", int(stage.url.rpartition(":")[2])))
        body = retrieve("one=20000000").encode()
        await loop.sock_sendall(connection, head(len(body)) + body)
        started, seen = time.monotonic(), 0
        while time.monotonic() - started < 4 * IDLE_S:
            seen += len(await loop.sock_recv(connection, 60_000))
            await asyncio.sleep(IDLE_S / 5)
        assert stage.turns.broken == []
        while b"--\r\n" not in (chunk := await loop.sock_recv(connection, 1 << 20)):
            assert chunk
            seen += len(chunk)
    assert seen > 19_000_000


async def test_a_pour_that_breaks_before_its_first_byte_is_a_fault(stage: Stage) -> None:
    status, code, reason = await stage.fault(retrieve("break=3"))
    assert (status, code, reason) == (500, "Receiver", "the archive went away")
    assert isinstance(stage.turns.broken[0], PeerUnavailable)


async def test_a_pour_that_breaks_later_cuts_the_connection(stage: Stage) -> None:
    with pytest.raises(aiohttp.ClientError):
        await stage.post(retrieve("one=1000000 break=3"))
    assert isinstance(stage.turns.broken[0], PeerUnavailable)
    assert (await stage.post(query()))[0] == 200


async def test_a_small_request_is_served_beside_bulk(stage: Stage) -> None:
    async def bulk() -> int:
        async with stage.client.post(
            f"{stage.url}/soap/toy", data=retrieve("one=400000000"), headers={"Content-Type": SOAP}
        ) as response:
            return sum([len(chunk) async for chunk in response.content.iter_any()])

    begun = time.monotonic()
    pouring = asyncio.create_task(bulk())
    slowest = 0.0
    await asyncio.sleep(0.02)
    asked = 0
    while not pouring.done():
        started = time.monotonic()
        assert (await stage.post(query()))[0] == 200
        slowest = max(slowest, time.monotonic() - started)
        asked += 1
    assert await pouring > 400_000_000
    assert asked >= 3
    # A machine may be busy with other things; without turns of the loop a request waits for the whole transfer.
    assert slowest < max(0.25, (time.monotonic() - begun) / 3)


async def test_a_large_pour_takes_little_memory(stage: Stage) -> None:
    await stage.post(retrieve("one=3000000"))
    before = high_water(reset=True)
    async with stage.client.post(
        f"{stage.url}/soap/toy", data=retrieve("one=300000000"), headers={"Content-Type": SOAP}
    ) as response:
        seen = 0
        async for chunk in response.content.iter_any():
            seen += len(chunk)
    assert seen > 300_000_000
    assert high_water() - before < 32 * 1024 * 1024


async def test_a_large_document_goes_to_disk_and_not_to_memory(stage: Stage) -> None:
    size = 100_000_000
    opening, closing = related(submit(attached("a")), ("a", b"\0")).split(b"\0")

    async def body() -> AsyncIterator[bytes]:
        yield opening
        block = bytes(250_000)
        for _ in range(size // len(block)):
            yield block
        yield closing

    before = high_water(reset=True)
    async with stage.client.post(f"{stage.url}/soap/toy", data=body(), headers={"Content-Type": RELATED}) as response:
        assert response.status == 200
    assert stage.actor.sizes == {"a": size}
    assert high_water() - before < 32 * 1024 * 1024


async def test_a_reader_who_stands_still_is_cut_off_over_tls_too(tmp_path: Path) -> None:
    ours = make_certificate(tmp_path, "ours")
    identity = TlsIdentity(certificate=ours.certificate, key=ours.key)
    compute = ThreadCompute(1)
    turns, actor = ToyTurns(), ToyActor()
    listener = SoapListener(
        turns=turns,
        objects=FileObjects(tmp_path / "objects", compute),
        identify=lambda _: Caller(peer=KNOWN, network_address=""),
        clock=SystemClock(),
        idle_timeout_s=IDLE_S,
    )
    listener.add("/soap/toy", actor.answerings())
    async with served(listener, server_context(identity, pinned=(ours.certificate,))) as url:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", int(url.rpartition(":")[2]), ssl=client_context(identity, pins=(ours.sha256,)), limit=1 << 16
        )
        body = retrieve("one=100000000").encode()
        writer.write(head(len(body)) + body)
        started = time.monotonic()
        while not turns.broken and time.monotonic() - started < 10:
            await asyncio.sleep(0.05)
        assert isinstance(turns.broken[0], ConnectionError)
        assert time.monotonic() - started < 6 * IDLE_S
        writer.transport.abort()
    compute.close()
