"""Answers that come to our reply address: believed for being awaited, read as they come, acknowledged when they were read.

A listener of ours plays the peer that answers later; then peers that do it wrong.

Source: ITI TF-2 Appendix V.5; WS-Addressing 1.0 core 3.4.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.peers_soap import SoapCarrier
from gateway.adapters.questions import LATE, REPEATED, UNKNOWN, OpenQuestions
from gateway.adapters.replies_soap import SoapReplies
from gateway.inbound.replies import ADDRESS, ReplyListener
from gateway.inbound.soap import SoapListener
from gateway.model.peer import Caller, Peer
from gateway.ports.questions import ANSWERED_AT_ONCE
from profiles.errors import Busy, PeerProtocolError, PeerRefused, PeerTimeout, PeerUnavailable
from profiles.model.content import Content
from profiles.wire.soap.envelope import encode_envelope
from tests.support.memory import high_water
from tests.support.scenario import read_soap
from tests.support.toy_soap import QUERY, RETRIEVE, SUBMIT, Submitted, Text, ToyActor, ToyTurns, served

MESSAGE_ID = "0190a2c4-0000-7000-8000-000000000001"
ASKED = f"urn:uuid:{MESSAGE_ID}"
LATER = frozenset({QUERY.id, SUBMIT.id, RETRIEVE.id})
MULTIPART = 'multipart/related; type="application/xop+xml"; start="<root@x>"; boundary="bbb"'


@dataclass
class Ours:
    """Our side: a carrier that asks, and the address where answers come. `caller` is who brings them."""

    carrier: SoapCarrier
    questions: OpenQuestions
    turns: ToyTurns
    objects: FileObjects
    sessions: HttpSessions
    url: str = ""
    caller: Peer | None = None
    peer: Peer = field(default_factory=lambda: Peer(name="Theirs", ask_asynchronously=LATER, idle_timeout_s=2.0))

    def ask(self, transaction: Any, address: str, request: object, **changes: Any) -> Any:
        return self.carrier.carry(
            transaction, address, request, peer=replace(self.peer, **changes), message_id=MESSAGE_ID
        )


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[Ours]:
    compute, clock = ThreadCompute(2), SystemClock()
    objects, sessions, questions = FileObjects(tmp_path / "objects", compute), HttpSessions(), OpenQuestions("", most=2)
    here = Ours(
        carrier=SoapCarrier(sessions=sessions, objects=objects, clock=clock, questions=questions),
        questions=questions, turns=ToyTurns(), objects=objects, sessions=sessions,
    )  # fmt: skip
    here.caller = here.peer
    listener = ReplyListener(
        turns=here.turns, questions=questions, objects=objects, clock=clock,
        identify=lambda _: Caller(peer=here.caller, network_address="127.0.0.1", via="certificate"),
    )  # fmt: skip
    async with served(listener) as url:
        here.url = questions.address = url + ADDRESS
        yield here
    await sessions.close()
    compute.close()
    assert list((tmp_path / "objects" / "incoming").iterdir()) == []
    assert not questions.awaits(here.peer)


@asynccontextmanager
async def theirs(ours: Ours) -> AsyncIterator[tuple[str, ToyTurns, ToyActor]]:
    """A house like ours that answers later when it is asked to: its address, what it noted, who answers."""
    turns, actor = ToyTurns(), ToyActor()
    listener = SoapListener(
        turns=turns, objects=ours.objects, clock=SystemClock(), idle_timeout_s=2.0,
        identify=lambda _: Caller(
            peer=Peer(name="Ours", reply_to=frozenset({ours.url}), idle_timeout_s=2.0), network_address="127.0.0.1"
        ),
        replies=SoapReplies(sessions=ours.sessions, pauses_s=()),
    )  # fmt: skip
    listener.add("/soap/toy", actor.answerings())
    async with served(listener) as url:
        yield f"{url}/soap/toy", turns, actor
        await listener.close(5)


@asynccontextmanager
async def peer(
    status: int = 202, body: bytes = b"", kind: str = "", wait: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """A peer that says this to every request, after `wait`, and no more; its address."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        if wait is not None:
            await wait.wait()
        return web.Response(status=status, body=body, headers={"Content-Type": kind} if kind else {})

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/soap/toy", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/soap/toy"
    finally:
        if wait is not None:
            wait.set()
        await runner.cleanup()


def envelope(text: str, *, relates_to: str = ASKED, action: str = QUERY.response_action) -> bytes:
    """An answer to the toy query, by hand."""
    body = QUERY.encode_response(Text(text)).body
    return b"".join(encode_envelope(body, action=action, message_id="urn:uuid:b", relates_to=relates_to))


@dataclass
class Brought:
    """What we said to an answer that was brought."""

    status: int
    reason: str = ""


async def bring(ours: Ours, body: Any, *, kind: str = "application/soap+xml", path: str = "") -> Brought:
    async with ClientSession() as http, http.post(ours.url + path, data=body, headers={"Content-Type": kind}) as said:
        told = await said.read()
        if said.status == 202:
            assert told == b""
            return Brought(202)
        fault = (await read_soap(said.headers["Content-Type"], told)).fault
        assert fault is not None
        return Brought(said.status, fault.reason)


async def until_awaited(ours: Ours) -> None:
    async with asyncio.timeout(5):
        while not ours.questions.awaits(ours.peer):
            await asyncio.sleep(0.01)


# --- answers that come --------------------------------------------------------------------------------------------------


async def test_a_question_and_a_submission_are_answered_at_our_address(ours: Ours) -> None:
    async with theirs(ours) as (url, turns, _):
        for text in ("hello", "long 300000"):
            async with ours.ask(QUERY, url, Text(text)) as carried:
                assert carried.response.text == ("x" * 300_000 if text.startswith("long") else text)
                assert carried.findings == ()
            assert carried.sent_bytes > 100
            assert carried.received_bytes > len(carried.response.text)
        documents = Submitted({"a": Content.of(bytes(3_000_000)), "b": Content.of(b"b")})
        async with ours.ask(SUBMIT, url, documents) as carried:
            assert carried.response.text == "2 kept"
        assert turns.broken == []
    assert ours.turns.refusals == []


async def test_a_pour_of_200_mb_passes_in_flat_memory_at_the_pace_of_who_reads_it(ours: Ours) -> None:
    async with theirs(ours) as (url, turns, _):
        async with ours.ask(RETRIEVE, url, Text("small=5 large=1")) as carried:
            assert {part.key: sum([len(c) async for c in part.chunks]) async for part in carried.response.pour}
        before = high_water(reset=True)
        async with ours.ask(RETRIEVE, url, Text("one=100000000 two=100000000 none=0")) as carried:
            sizes = {part.key: sum([len(c) async for c in part.chunks]) async for part in carried.response.pour}
        assert sizes == {"one": 100_000_000, "two": 100_000_000, "none": 0}
        assert carried.received_bytes > 200_000_000
        assert high_water() - before < 24 * 1024 * 1024
        assert turns.broken == []


async def test_an_answer_is_acknowledged_only_when_it_was_read_to_its_end(ours: Ours) -> None:
    async with theirs(ours) as (url, turns, _):
        async with ours.ask(RETRIEVE, url, Text("one=5 two=700000")) as carried:
            parts = aiter(carried.response.pour)
            first = await anext(parts)
            assert sum([len(chunk) async for chunk in first.chunks]) == 5
            await asyncio.sleep(0.2)
            assert turns.ended == 0
            async for part in parts:
                assert sum([len(chunk) async for chunk in part.chunks]) == 700_000
        async with asyncio.timeout(5):
            while turns.ended == 0:
                await asyncio.sleep(0.01)
        assert turns.broken == []


async def test_who_goes_before_the_end_tells_the_peer_that_it_was_not_taken(ours: Ours) -> None:
    async with theirs(ours) as (url, turns, _):
        async with ours.ask(RETRIEVE, url, Text("one=5 two=70000000")) as carried:
            await anext(aiter(carried.response.pour))
        async with asyncio.timeout(5):
            while not turns.broken:
                await asyncio.sleep(0.01)


async def test_an_answer_may_come_before_it_is_said_that_the_question_was_taken(ours: Ours) -> None:
    never = asyncio.Event()

    async def answer() -> Brought:
        await until_awaited(ours)
        return await bring(ours, envelope("early"))

    async with peer(wait=never) as url, asyncio.TaskGroup() as group:
        brought = group.create_task(answer())
        async with ours.ask(QUERY, url, Text("?")) as carried:
            assert carried.response.text == "early"
    assert brought.result() == Brought(202)


async def test_a_part_of_the_path_may_name_the_process_that_asked(ours: Ours) -> None:
    async def answer() -> Brought:
        await until_awaited(ours)
        return await bring(ours, envelope("there"), path="/process-2")

    async with peer() as url, asyncio.TaskGroup() as group:
        brought = group.create_task(answer())
        async with ours.ask(QUERY, url, Text("?")) as carried:
            assert carried.response.text == "there"
    assert brought.result() == Brought(202)


# --- peers that do it otherwise -----------------------------------------------------------------------------------------


async def test_a_peer_that_answers_at_once_is_read_all_the_same_and_it_is_a_finding(ours: Ours) -> None:
    async with peer(200, envelope("now"), "application/soap+xml") as url, ours.ask(QUERY, url, Text("?")) as carried:
        assert carried.response.text == "now"
        assert [finding.rule for finding in carried.findings] == [ANSWERED_AT_ONCE]


@pytest.mark.parametrize(
    ("status", "kind"), [(202, ""), (202, "text/plain"), (200, ""), (200, "application/soap+xml"), (204, "")]
)
async def test_some_say_otherwise_that_they_took_it(ours: Ours, status: int, kind: str) -> None:
    async def answer() -> None:
        await until_awaited(ours)
        assert await bring(ours, envelope("later")) == Brought(202)

    async with peer(status, b"", kind) as url, asyncio.TaskGroup() as group:
        group.create_task(answer())
        async with ours.ask(QUERY, url, Text("?")) as carried:
            assert (carried.response.text, carried.findings) == ("later", ())


async def test_who_was_asked_at_once_may_not_answer_later(ours: Ours) -> None:
    async with peer(202) as url:
        with pytest.raises(PeerProtocolError, match="would answer later"):
            async with ours.ask(QUERY, url, Text("?"), ask_asynchronously=frozenset()):
                pass


async def test_a_peer_that_refuses_to_answer_elsewhere_says_so_by_its_fault(ours: Ours) -> None:
    async with theirs(ours) as (url, _, _):
        ours.questions.address += "/not-allowed"
        with pytest.raises(PeerRefused) as refused:
            async with ours.ask(QUERY, url, Text("?")):
                pass
    assert "OnlyAnonymousAddressSupported" in refused.value.code


async def test_a_fault_that_is_brought_is_a_refusal_and_is_acknowledged(ours: Ours) -> None:
    async with theirs(ours) as (url, turns, _):
        with pytest.raises(PeerRefused, match="FailedAuthentication"):
            async with ours.ask(QUERY, url, Text("stranger")):
                pass
        assert turns.broken == []


async def test_an_answer_that_cannot_be_read_is_told_to_both(ours: Ours) -> None:
    async def answer() -> Brought:
        await until_awaited(ours)
        return await bring(ours, envelope("x").replace(b">x<", b' bad="1">x<'))

    async with peer() as url, asyncio.TaskGroup() as group:
        brought = group.create_task(answer())
        with pytest.raises(PeerProtocolError, match="cannot be read"):
            async with ours.ask(QUERY, url, Text("?")):
                pass
    assert brought.result().status == 400


async def test_an_answer_that_breaks_off_is_the_peers_and_who_waits_hears_of_it(ours: Ours) -> None:
    head = b'--bbb\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root@x>\r\n\r\n'
    item = '<Got xmlns="urn:toy"><Item name="one" size="9"><x:Include xmlns:x="{}" href="cid:one"/></Item></Got>'
    root = b"".join(
        encode_envelope(
            [item.format("http://www.w3.org/2004/08/xop/include").encode()], action=RETRIEVE.response_action,
            message_id="urn:uuid:b", relates_to=ASKED,
        )
    )  # fmt: skip
    went = asyncio.Event()

    async def answer() -> None:
        await until_awaited(ours)
        host, _, port = ours.url.removeprefix("http://").removesuffix(ADDRESS).partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = head + root + b"\r\n--bbb\r\nContent-Type: application/dicom\r\nContent-ID: <one>\r\n\r\nfour"
        writer.write(
            f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Type: {MULTIPART}\r\nContent-Length: 9999\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        await went.wait()
        writer.close()

    async with peer() as url, asyncio.TaskGroup() as group:
        group.create_task(answer())
        with pytest.raises(PeerUnavailable, match="broke off its answer"):
            async with ours.ask(RETRIEVE, url, Text("?")) as carried:
                went.set()
                async for part in carried.response.pour:
                    async for _ in part.chunks:
                        pass


# --- answers that nobody awaits -----------------------------------------------------------------------------------------


async def test_an_answer_that_does_not_begin_in_time_is_given_up_and_refused_when_it_comes_late(ours: Ours) -> None:
    async with peer() as url:
        with pytest.raises(PeerTimeout, match=r"no answer came in 0\.2 seconds"):
            async with ours.ask(QUERY, url, Text("?"), answer_timeout_s=0.2):
                pass
        assert (await bring(ours, envelope("late"))).status == 400
        assert ours.turns.refusals[-1].detail == "nothing is awaited from this peer"
        async with asyncio.TaskGroup() as group:
            again = group.create_task(asking(ours, url, "0190a2c4-0000-7000-8000-000000000002"))
            await until_awaited(ours)
            assert await bring(ours, envelope("late")) == Brought(400, LATE)
            again.cancel()


async def asking(ours: Ours, url: str, message_id: str = MESSAGE_ID) -> str:
    async with ours.carrier.carry(QUERY, url, Text("?"), peer=ours.peer, message_id=message_id) as carried:
        return str(carried.response.text)


async def test_what_is_not_awaited_is_refused_and_the_question_stays_open(ours: Ours) -> None:
    async with peer() as url, asyncio.TaskGroup() as group:
        asked = group.create_task(asking(ours, url))
        await until_awaited(ours)
        for relates_to in ("urn:uuid:nobody", ""):
            assert await bring(ours, envelope("x", relates_to=relates_to)) == Brought(400, UNKNOWN)
        ours.caller = Peer(name="Others")
        assert (await bring(ours, envelope("x"))).status == 400  # nothing is awaited from them
        other = group.create_task(other_question(ours, url))
        async with asyncio.timeout(5):
            while not ours.questions.awaits(ours.caller):
                await asyncio.sleep(0.01)
        wrong = await bring(ours, envelope("x"))
        assert (wrong.status, wrong.reason) == (400, "this answer is awaited from somebody else")
        ours.caller = None
        assert (await bring(ours, envelope("x"))).status == 400  # somebody whom we do not know
        assert (await bring(ours, b"<not xml", kind="text/plain")).status == 400
        ours.caller = ours.peer
        assert (await bring(ours, b"<nothing/>")).status in (400, 500)
        assert len(ours.turns.refusals) == 7
        assert not asked.done()
        assert await bring(ours, envelope("right")) == Brought(202)
        assert await asked == "right"
        other.cancel()


async def other_question(ours: Ours, url: str) -> None:
    others = Peer(name="Others", ask_asynchronously=LATER)
    async with ours.carrier.carry(QUERY, url, Text("?"), peer=others, message_id="other"):
        pass


async def test_an_answer_that_comes_twice_counts_once(ours: Ours) -> None:
    async with peer() as url:
        asked = asyncio.create_task(asking(ours, url))
        await until_awaited(ours)
        said = await asyncio.gather(bring(ours, envelope("one")), bring(ours, envelope("one")))
        assert await asked == "one"
        assert Brought(202) in said
        assert {each.status for each in said} == {202, 400}
        async with asyncio.TaskGroup() as group:
            again = group.create_task(asking(ours, url, "0190a2c4-0000-7000-8000-000000000002"))
            await until_awaited(ours)
            assert await bring(ours, envelope("one")) == Brought(400, REPEATED)
            again.cancel()


async def test_who_is_cancelled_closes_the_question(ours: Ours) -> None:
    async with peer() as url:
        asked = asyncio.create_task(asking(ours, url))
        await until_awaited(ours)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert asked.cancelled()
        assert not ours.questions.awaits(ours.peer)
        assert (await bring(ours, envelope("x"))).status == 400


async def test_a_question_that_is_asked_again_under_its_id_is_answered_to_who_asked_last(ours: Ours) -> None:
    async with peer() as url:
        first = asyncio.create_task(asking(ours, url))
        await until_awaited(ours)
        second = asyncio.create_task(asking(ours, url))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await bring(ours, envelope("for the second")) == Brought(202)
        assert await second == "for the second"


async def test_no_more_questions_are_open_than_are_allowed(ours: Ours) -> None:
    async with peer() as url, asyncio.TaskGroup() as group:
        tasks = [group.create_task(asking(ours, url, name)) for name in ("a", "b")]
        await until_awaited(ours)
        await asyncio.sleep(0.1)
        with pytest.raises(Busy, match="too many answers are awaited"):
            await asking(ours, url, "c")
        for task in tasks:
            task.cancel()
