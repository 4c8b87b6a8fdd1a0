"""By which id a community knows a patient is said later: asked so, taken so, brought back, and matched to the question.

Source: ITI TF-2 3.55.4.1.3, 3.55.4.2.
"""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, web

from gateway.adapters.tls import TlsIdentity, server_context
from gateway.services import transfer
from profiles.model.document import AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import BirthCriteria, DocumentCriteria, NameCriteria, PatientCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.ack import AckCode, AckDetail, Acknowledgement
from profiles.wire.hl7v3.candidates import Priority
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Device, Transmission
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import Stamp
from profiles.wire.soap.mtom import SoapMessage
from profiles.xca.iti38 import ITI_38, StoredQueryResponse
from profiles.xcpd.iti55 import (
    DEFERRED,
    DEFERRED_ANSWER,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DeferredAnswer,
    DiscoveryRequest,
    DiscoveryResponse,
    QueryResponseCode,
)
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from tests.support.hl7v3 import AT, THEM, US
from tests.support.identity_v3 import question
from tests.support.pair import DOMAINS, HOMES, Pair, grounds, known_at, pair_of
from tests.support.ports import free_port
from tests.support.scenario import (
    BORN,
    DOMAIN_ID,
    NAME,
    REPOSITORY,
    ZEBEDIAH,
    Message,
    Valley,
    World,
    manifest_of,
    message_of,
    offer_of,
    read_soap,
    world,
    write_study,
)

INITIATING, RESPONDING = "/soap/initiating-gateway", "/soap/responding-gateway"
LATER = {"endpoint": ("ITI-38", "ITI-39", "ITI-55", "RAD-75"), "deferred_discovery": True}
FULL = PatientCriteria(names=(NameCriteria(name=NAME),), birth=BirthCriteria(low=BORN, high=BORN))


async def found(house: Valley, identifier: PatientIdentifier) -> StoredQueryResponse:
    """What a house finds of its patient anywhere."""
    criteria = DocumentCriteria(patient_ids=(identifier,), statuses=(AvailabilityStatus.APPROVED,))
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await house.post(INITIATING, await message_of(ITI_18, request), peer="")
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    answer: StoredQueryResponse = ITI_18.decode_response(message.to_codec()).value
    return answer


async def until(fulfilled: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not fulfilled():
            await asyncio.sleep(0.02)


def steps(house: Valley, direction: str) -> list[tuple[str, str]]:
    return [
        (step["outcome"], step["text"])
        for step in house.kept().steps
        if step["transaction"] == "ITI-55" and step["direction"] == direction
    ]


async def lakeside_has_a_document(here: Pair) -> str:
    theirs = known_at("Lakeside")
    await here["Lakeside"].tell(theirs)
    study = write_study(here.folder / "study", series=1, instances=1)
    offer = offer_of(study, patient_id=theirs.identifiers[0], manifest=manifest_of(study))
    assert await (await here["Lakeside"].provide(offer, door=REPOSITORY, peer="")).codes() == ()
    return offer.submission.entries[0].unique_id


# --- two houses ---------------------------------------------------------------------------------------------------------


async def test_a_query_goes_on_without_who_answers_later_and_the_next_one_uses_the_answer(tmp_path: Path) -> None:
    async with pair_of(tmp_path, region=LATER, replies=INITIATING) as here:
        document, ours = await lakeside_has_a_document(here), known_at("Region")
        await here["Region"].tell(ours)
        first = await found(here["Region"], ours.identifiers[0])
        assert [(each.code, each.location) for each in first.errors] == [
            ("XDSUnavailableCommunity", HOMES["Lakeside"].urn)
        ]
        await until(lambda: ("success", "Lakeside knows the patient") in steps(here["Region"], "in"))
        second = await found(here["Region"], ours.identifiers[0])
        assert (second.errors, [each.unique_id for each in second.entries]) == ((), [document])
        assert steps(here["Region"], "out") == [("success", "Lakeside answers later")]
        answered = await here["Lakeside"].rests("done", kind="answer")
        assert answered["payload"] == {}
        assert [(step["direction"], step["outcome"]) for step in answered["steps"]] == [
            ("in", "success"),
            ("out", "success"),
        ]
        for name in HOMES:
            audited = [each for each in here[name].kept().audit if b'csd-code="ITI-55"' in each]
            assert len(audited) == 2  # the question as it was taken, and its answer
            assert not [each for each in audited if b'EventOutcomeIndicator="0"' not in each]


async def test_that_a_community_knows_nobody_is_remembered_too_and_is_no_error(tmp_path: Path) -> None:
    async with pair_of(tmp_path, region=LATER, replies=INITIATING) as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        assert len((await found(here["Region"], ours.identifiers[0])).errors) == 1
        await until(lambda: ("success", "Lakeside knows nobody who fits") in steps(here["Region"], "in"))
        second = await found(here["Region"], ours.identifiers[0])
        assert (second.errors, second.entries) == ((), ())
        assert len(steps(here["Region"], "out")) == 1


async def test_what_waits_for_the_answer_goes_on_when_it_comes(tmp_path: Path) -> None:
    region = {**LATER, "repository_unique_ids": [], "retrieve_location_uids": []}
    rule = {"Lakeside": {"rule": [{"when": "study.available", "do": ["register"]}]}}
    async with pair_of(tmp_path, region=region, replies=INITIATING, sections=rule) as here:
        ours, theirs = known_at("Region"), known_at("Lakeside")
        await here["Lakeside"].tell(theirs)
        study = write_study(tmp_path / "study", patient=theirs, series=1, instances=2)
        await here["Lakeside"].push([one.path.read_bytes() for one in study.instances], peer="")
        await here["Lakeside"].rests("done", kind="store")
        await here["Region"].tell(ours)
        asked = {"patient": str(ours.identifiers[0]), "registry": "Lakeside", "person": "ann"}
        assert "error" not in await here["Region"].ask("POST", "/collect", asked)
        done = await here["Region"].rests("done", kind="collect")
        told = [step["text"] for step in done["steps"] if step["transaction"] == "ITI-55"]
        assert told == ["Lakeside answers later", "Lakeside knows the patient"]
        assert len(here["Region"].kept().rows["instances"]) == 2


async def test_a_house_that_does_not_allow_our_address_says_that_it_does_not_answer_later(tmp_path: Path) -> None:
    async with pair_of(tmp_path, region=LATER, replies="/elsewhere") as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        for _ in range(2):
            assert len((await found(here["Region"], ours.identifiers[0])).errors) == 1
        assert steps(here["Region"], "out") == [("failure", DEFERRED.name)] * 2  # the question was taken back
        whys = {step["why"] for step in here["Region"].kept().steps if step["transaction"] == "ITI-55"}
        assert whys == {"Lakeside does not answer later"}


# --- taken, and brought -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Caller:
    """Who asked Lakeside, and is called back: `script` is what it says, AA when that is used up."""

    pair: Pair
    script: list[Acknowledgement] = field(default_factory=list)
    came: list[SoapMessage] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        self.came.append(message)
        said = self.script.pop(0) if self.script else Acknowledgement()
        return acknowledged(message, DEFERRED_ANSWER, said)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post(INITIATING, self.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        ours = self.pair.certificates["Region"]
        pinned = (self.pair.certificates["Lakeside"].certificate,)
        tls = server_context(TlsIdentity(certificate=ours.certificate, key=ours.key), pinned=pinned)
        await web.TCPSite(runner, "127.0.0.1", self.pair.ports["Region"], ssl_context=tls).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def ask(self, request: DiscoveryRequest, message_id: str) -> Acknowledgement:
        """Put a question to Lakeside, as Region."""
        ours = self.pair.certificates["Region"]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(ours.certificate, ours.key)
        body = envelope(DEFERRED, request, message_id)
        async with (
            ClientSession(connector=TCPConnector(ssl=context)) as http,
            http.post(
                self.pair.url("Lakeside") + RESPONDING, data=body, headers={"Content-Type": "application/soap+xml"}
            ) as said,
        ):
            message = await read_soap(said.headers["Content-Type"], await said.read())
        assert message.fault is None
        return DEFERRED.decode_response(message.to_codec()).value


def envelope(transaction: SoapTransaction[Any, Any], request: Any, message_id: str) -> bytes:
    out = transaction.encode_request(request)
    return b"".join(
        encode_envelope(
            out.body, action=transaction.request_action, message_id=message_id, reply_to=True, relates_to=out.relates_to,
            blocks=out.header,
        )
    )  # fmt: skip


def acknowledged(asked: SoapMessage, transaction: SoapTransaction[Any, Any], said: Acknowledgement) -> web.Response:
    assert transaction.stamp is not None
    out = transaction.encode_response(transaction.stamp(said, asked.to_codec(), Stamp(id=str(uuid.uuid4()), at=AT)))
    body = encode_envelope(
        out.body, action=transaction.response_action, message_id="urn:uuid:1", relates_to=asked.addressing.message_id
    )
    return web.Response(body=b"".join(body), content_type="application/soap+xml")


def wanted_later(address: str, **changes: Any) -> DiscoveryRequest:
    query = CandidatesQuery(
        criteria=FULL, priority=Priority.DEFERRED, respond_to=address, question=question(),
        transmission=Transmission.of(
            str(uuid.uuid4()), AT, Device(id=THEM.id, organization=HOMES["Region"]), US
        ),
    )  # fmt: skip
    return DiscoveryRequest(query=replace(query, **changes))


async def test_an_answer_that_was_promised_is_brought_after_a_restart_until_it_is_taken_under_one_message_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=200))  # a tenth of the usual
    async with grounds(tmp_path) as (here, http, log):
        address = here.url("Region") + INITIATING
        settings = here.settings("Lakeside", {"reply_to": [address]})
        caller = Caller(here)
        async with here.standing(settings, http, log) as lakeside:
            await lakeside.tell(known_at("Lakeside"))
            asked = wanted_later(address)
            said = await caller.ask(asked, "urn:uuid:our-own-name")
            assert said.code is AckCode.ACCEPT
            await until(lambda: any(outcome == "failure" for outcome, _ in steps(lakeside, "out")))
        caller.script = [Acknowledgement(code=AckCode.REJECT, details=(AckDetail(code="206"),))]  # come back later
        async with caller.listening(), here.standing(settings, http, log) as lakeside:
            done = await lakeside.rests("done", kind="answer", within_s=60)
        assert len(caller.came) == 2
        assert len({each.addressing.message_id for each in caller.came}) == 1
        assert caller.came[0].addressing.message_id == f"urn:uuid:{done['id']}"
        answer = DEFERRED_ANSWER.decode_request(caller.came[-1].to_codec()).value
        assert answer.relates_to == "urn:uuid:our-own-name"
        (candidate,) = answer.response.answer.candidates
        assert candidate.patient.identifiers[0] == known_at("Lakeside").identifiers[0]
        assert candidate.home == HOMES["Lakeside"]
        assert answer.response.answer.question.id == asked.query.question.id
        assert answer.response.acknowledgement.target == asked.query.transmission.id


@pytest.mark.parametrize(
    ("path", "message_id", "criteria", "codes"),
    [
        ("/soap/elsewhere", "urn:uuid:a", FULL, ["NS250"]),
        ("", "urn:uuid:a", FULL, ["NS250"]),
        (INITIATING, "", FULL, ["SYN101"]),
        (INITIATING, "urn:uuid:a", replace(FULL, names=()), ["SYN100"]),
    ],
    ids=["another address", "no address", "no message id", "too little"],
)
async def test_what_could_not_be_answered_later_is_not_taken(
    tmp_path: Path, path: str, message_id: str, criteria: PatientCriteria, codes: list[str]
) -> None:
    async with grounds(tmp_path) as (here, http, log):
        settings = here.settings("Lakeside", {"reply_to": [here.url("Region") + INITIATING]})
        async with here.standing(settings, http, log) as lakeside, lakeside.refusing():
            said = await Caller(here).ask(
                wanted_later(here.url("Region") + path if path else "", criteria=criteria), message_id
            )
            assert (said.code, [each.code for each in said.details]) == (AckCode.ERROR, codes)


# --- asked, and called back ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Later:
    """A community that takes questions and answers when the test says so."""

    here: World
    asked: list[SoapMessage]

    @property
    def valley(self) -> Valley:
        return self.here.valley

    def answer(
        self, *candidates: Candidate, relates_to: str = "", query_id: str = "", **changes: Any
    ) -> DeferredAnswer:
        """About what was asked last."""
        message_id = relates_to or self.asked[-1].addressing.message_id
        told = CandidatesResponse(
            candidates=candidates,
            code=QueryResponseCode.OK if candidates else QueryResponseCode.NOT_FOUND,
            question=Question(
                id=InstanceIdentifier(root="1.2.3.1", extension=query_id or message_id.removeprefix("urn:uuid:"))
            ),
            acknowledgement=Acknowledgement(
                target=InstanceIdentifier(root=str(uuid.uuid4())),
                transmission=Transmission.of(str(uuid.uuid4()), AT, THEM, US),
            ),
        )
        return DeferredAnswer(response=DiscoveryResponse(answer=told, **changes), relates_to=message_id)

    async def bring(self, answer: DeferredAnswer, *, peer: str = "Lakeside") -> Acknowledgement:
        message = Message(
            content_type="application/soap+xml", body=envelope(DEFERRED_ANSWER, answer, f"urn:uuid:{uuid.uuid4()}")
        )
        reply = await self.valley.post(INITIATING, message, peer=peer)
        said = await read_soap(reply.content_type, reply.body)
        assert said.fault is None, reply.body
        return DEFERRED_ANSWER.decode_response(said.to_codec()).value

    async def found(self) -> tuple[int, int]:
        """How many documents and errors."""
        answer = await found(self.valley, DOMAIN_ID)
        return answer.count, len(answer.errors)


@asynccontextmanager
async def answering_later(folder: Path, **peer: Any) -> AsyncIterator[Later]:
    asked: list[SoapMessage] = []

    async def take(request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        if message.addressing.action == DEFERRED.request_action:
            asked.append(message)
            return acknowledged(message, DEFERRED, Acknowledgement())
        body = encode_envelope(
            ITI_38.encode_response(StoredQueryResponse()).body, action=ITI_38.response_action, message_id="urn:uuid:1",
            relates_to=message.addressing.message_id,
        )  # fmt: skip
        return web.Response(body=b"".join(body), content_type="application/soap+xml")

    app = web.Application()
    app.router.add_post(RESPONDING, take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    url = f"http://127.0.0.1:{port}{RESPONDING}"
    lakeside = {
        "home_community_id": HOMES["Lakeside"], "patient_authority": DOMAINS["Lakeside"], "deferred_discovery": True,
        "endpoint": {"ITI-38": url, "ITI-55": url}, **peer,
    }  # fmt: skip
    try:
        async with world(folder, peers={"Lakeside": lakeside}) as here:
            await here.valley.tell(ZEBEDIAH)
            yield Later(here, asked)
    finally:
        await runner.cleanup()


SOMEBODY = Candidate(patient=known_at("Lakeside"), home=HOMES["Lakeside"])


def asked_by(here: Later) -> int:
    """How many queries went to the community."""
    return sum(step["transaction"] == "ITI-38" and step["direction"] == "out" for step in here.valley.kept().steps)


async def test_a_question_says_when_and_where_and_is_asked_once_until_it_is_answered(tmp_path: Path) -> None:
    async with answering_later(tmp_path) as here:
        for _ in range(2):
            assert await here.found() == (0, 1)
        (message,) = here.asked
        query = DEFERRED.decode_request(message.to_codec()).value.query
        assert (query.priority, query.respond_to) == (Priority.DEFERRED, here.valley.url + INITIATING)
        assert (await here.bring(here.answer(SOMEBODY))).code is AckCode.ACCEPT
        assert await here.found() == (0, 0)
        assert asked_by(here) == 1


async def test_an_answer_that_comes_again_is_acknowledged_and_changes_nothing(tmp_path: Path) -> None:
    async with answering_later(tmp_path) as here:
        await here.found()
        assert (await here.bring(here.answer(SOMEBODY))).code is AckCode.ACCEPT
        other = replace(SOMEBODY, patient=known_at("Region"))
        assert (await here.bring(here.answer(other))).code is AckCode.ACCEPT
        await here.found()
        asked = [step for step in here.valley.kept().steps if step["text"] == "Lakeside had said so before"]
        assert len(asked) == 1
        assert asked_by(here) == 1


async def test_what_nobody_asked_is_refused_and_the_question_stays(tmp_path: Path) -> None:
    async with answering_later(tmp_path) as here:
        await here.found()
        for answer, peer, codes in (
            (here.answer(SOMEBODY, relates_to="urn:uuid:nobody"), "Lakeside", ["204"]),
            (here.answer(SOMEBODY, query_id="another"), "Lakeside", ["204"]),
            (here.answer(SOMEBODY), "Strict", ["INTERR"]),
        ):
            async with here.valley.refusing():
                said = await here.bring(answer, peer=peer)
            assert (said.code, [each.code for each in said.details]) == (AckCode.ERROR, codes)
        assert await here.found() == (0, 1)
        assert (await here.bring(here.answer(SOMEBODY))).code is AckCode.ACCEPT
        assert await here.found() == (0, 0)


async def test_an_answer_that_comes_too_late_is_refused_and_the_question_is_asked_anew(tmp_path: Path) -> None:
    async with answering_later(tmp_path, answer_timeout_s=0.5) as here:
        await here.found()
        await asyncio.sleep(0.6)
        async with here.valley.refusing():
            assert [each.code for each in (await here.bring(here.answer(SOMEBODY))).details] == ["204"]
        await here.found()
        assert len(here.asked) == 2


@pytest.mark.parametrize("hours", [0, 1])
async def test_an_answer_counts_for_those_who_waited_even_where_it_may_not_be_remembered(
    tmp_path: Path, hours: int
) -> None:
    async with answering_later(tmp_path) as here:
        await here.found()
        await here.bring(here.answer(SOMEBODY, keep_for=timedelta(hours=hours) or None))
        assert await here.found() == (0, 0)
        assert len(here.asked) == 1


async def test_a_community_that_says_later_that_it_will_not_say_is_asked_anew(tmp_path: Path) -> None:
    async with answering_later(tmp_path) as here:
        await here.found()
        refused = here.answer()
        told = replace(refused.response.answer, code=QueryResponseCode.ERROR)
        told = replace(told, acknowledgement=replace(told.acknowledgement, code=AckCode.ERROR))
        refused = replace(refused, response=replace(refused.response, answer=told))
        assert (await here.bring(refused)).code is AckCode.ACCEPT
        assert ("failure", "Lakeside refused to say whether it knows the patient") in steps(here.valley, "in")
        await here.found()
        assert len(here.asked) == 2
