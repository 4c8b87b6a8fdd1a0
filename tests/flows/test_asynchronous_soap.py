"""Answers that go elsewhere: taken with 202, brought to the address that the settings allow, and to no other.

Source: ITI TF-2 Appendix V.5; WS-Addressing 1.0 core 3.4.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria
from profiles.wire.soap.mtom import SoapMessage
from profiles.xds.iti18 import ITI_18, ResponseStatus, StoredQuery, StoredQueryRequest
from profiles.xdsi.rad69 import RAD_69
from tests.support.ports import free_port
from tests.support.scenario import (
    DOMAIN_ID,
    RECIPIENT,
    SOURCE,
    ZEBEDIAH,
    Message,
    World,
    message_of,
    offer_of,
    rad68,
    rad69_request,
    read_soap,
    world,
)

ANONYMOUS = b"<wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address>"
TICKET = b'<wsa:ReferenceParameters><t:ticket xmlns:t="urn:t">seven</t:ticket></wsa:ReferenceParameters>'
QUERY = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS,
    criteria=DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,)),
)


@dataclass(slots=True)
class Mailbox:
    """Where answers come; `statuses` is what it says to each, 202 when they are used up."""

    url: str = ""
    came: list[tuple[str, bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    tries: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tries += 1
        status = self.statuses.pop(0) if self.statuses else 202
        if status == 202:
            self.came.append((request.headers["Content-Type"], body))
            self.arrived.set()
        return web.Response(status=status)

    async def answer(self) -> SoapMessage:
        async with asyncio.timeout(20):
            await self.arrived.wait()
        content_type, body = self.came[0]
        return await read_soap(content_type, body)


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/reply", box.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    box.url = f"http://127.0.0.1:{port}/reply"
    try:
        yield box
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(folder: Path, box: Mailbox) -> AsyncIterator[World]:
    """A world in which Lakeside may have its answers brought to the mailbox."""
    async with world(folder, peers={"Lakeside": {"reply_to": [box.url]}}) as here:
        yield here


def to(message: Message, address: str, parameters: bytes = b"") -> Message:
    return message.spoiled(ANONYMOUS, b"<wsa:Address>" + address.encode() + b"</wsa:Address>" + parameters)


def message_id(message: Message) -> str:
    return message.body.partition(b"<wsa:MessageID>")[2].partition(b"<")[0].decode()


async def test_a_query_is_taken_and_its_answer_brought_to_the_address_that_it_named(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        await here.valley.tell(ZEBEDIAH)
        asked = to(await message_of(ITI_18, QUERY), box.url, TICKET)
        reply = await here.valley.post("/soap/registry", asked)
        assert (reply.status, reply.body) == (202, b"")
        answer = await box.answer()
        assert answer.addressing.relates_to == message_id(asked)
        assert answer.addressing.action == ITI_18.response_action
        assert answer.addressing.to == box.url
        assert b"seven</t:ticket>" in box.came[0][1]
        assert ITI_18.decode_response(answer.to_codec()).value.status is ResponseStatus.SUCCESS


async def test_images_are_poured_to_the_address_bit_for_bit(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(instances=3)
        await here.valley.push(one.path.read_bytes() for one in study.instances)
        asked = to(await message_of(RAD_69, rad69_request(study)), box.url)
        assert (await here.valley.post(SOURCE, asked)).status == 202
        answer = await box.answer()
        came = {
            part.key: b"".join([chunk async for chunk in part.chunks])
            async for part in RAD_69.decode_response(answer.to_codec()).value.pour
        }
        _, expected = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert came == expected
        assert len(came) == len(study.instances)
        await here.valley.closed("RAD-69")
        steps = [step for step in here.valley.kept().steps if step["transaction"] == "RAD-69"]
        assert {(step["outcome"], step["why"]) for step in steps} == {("success", "")}


async def test_an_address_that_the_settings_do_not_allow_is_refused_and_never_called(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        for address in (box.url + "/more", box.url.replace("127.0.0.1", "localhost"), "http://169.254.169.254/"):
            async with here.valley.refusing(explained=True):
                reply = await here.valley.post("/soap/registry", to(await message_of(ITI_18, QUERY), address))
            assert reply.status == 400
            assert await reply.fault == ("Sender", "InvalidAddressingHeader", "OnlyAnonymousAddressSupported")
        assert box.tries == 0


async def test_another_peer_may_not_use_the_address_of_this_one(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        reply = await here.valley.post("/soap/registry", to(await message_of(ITI_18, QUERY), box.url), peer="Strict")
        assert reply.status == 400
        assert box.tries == 0


async def test_a_submission_is_done_once_and_its_answer_is_brought_again_until_it_is_taken(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        box.statuses = [503]
        offer = offer_of(here.study())
        reply = await here.valley.post(RECIPIENT, to(await rad68(offer), box.url))
        assert reply.status == 202
        answer = await box.answer()
        assert box.tries == 2
        assert answer.fault is None
        assert len(here.valley.kept().rows["entries"]) == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"rim:AdhocQuery", b"rim:Nothing", b":Sender"),  # cannot be read: a fault
        (b"14d4debf-8f97-4251-9a74-a90016b0af0d", b"14d4debf-8f97-4251-9a74-a90016b0afff", b'"XDSUnknownStoredQuery"'),
    ],
    ids=["unreadable", "unknown"],
)
async def test_what_is_refused_is_told_to_the_address_as_it_would_have_been_at_once(
    tmp_path: Path, old: bytes, new: bytes, said: bytes
) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        asked = await message_of(ITI_18, QUERY)
        assert (await here.valley.post("/soap/registry", to(asked.spoiled(old, new), box.url))).status == 202
        answer = await box.answer()
        assert answer.addressing.relates_to == message_id(asked)
        assert (answer.fault is not None) is (said == b":Sender")
        assert said in box.came[0][1]


async def test_an_answer_that_nobody_takes_is_a_failed_step_with_cause_and_cure(tmp_path: Path) -> None:
    async with mailbox() as box, asking(tmp_path, box) as here:
        box.statuses = [404]
        await here.valley.tell(ZEBEDIAH)
        assert (await here.valley.post("/soap/registry", to(await message_of(ITI_18, QUERY), box.url))).status == 202
        async with asyncio.timeout(20):
            while not (failed := [step for step in here.valley.kept().steps if step["outcome"] == "failure"]):
                await asyncio.sleep(0.02)
        assert "does not take the answer (HTTP 404)" in failed[0]["why"]
        assert failed[0]["cure"]
