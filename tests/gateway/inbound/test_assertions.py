"""On whose behalf a peer asks: what must be brought, what is refused with which fault, what reaches turn and policy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.policy_table import TablePolicy
from gateway.adapters.store_sql import SqlStore
from gateway.inbound.assertions import Assertions
from gateway.inbound.soap import SoapListener
from gateway.model.peer import AssertionPolicy, Caller, Peer
from gateway.ports.store import Store
from profiles.model.codes import Code
from profiles.wire.soap.fault import decode_fault
from profiles.wire.soap.names import S
from profiles.wire.xml import parse
from profiles.xua.iti40 import HOLDER_OF_KEY, Confirmation, TrustedIssuer
from tests.gateway.adapters.stores import no_audit
from tests.support.assertions import (
    AUDIENCE,
    ISSUER,
    asked,
    good_assertion,
    security,
    signed_assertion,
)
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.toy_soap import ToyActor, ToyTurns, served

LAKESIDE = Peer(name="Lakeside", assertion=AssertionPolicy.REQUIRED)
OTHER = "https://other.example.org"


@dataclass
class Door:
    """A SOAP address that looks at assertions."""

    url: str
    turns: ToyTurns
    actor: ToyActor
    client: aiohttp.ClientSession
    callers: list[Caller]
    idp: MadeCertificate

    def as_peer(self, peer: Peer | None, certificate: bytes = b"") -> None:
        self.callers[0] = Caller(peer=peer, network_address="127.0.0.1", certificate=certificate)

    async def post(self, body: bytes) -> tuple[int, str]:
        """Status, and the innermost code of the fault; "": there is none."""
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        async with self.client.post(f"{self.url}/soap/toy", data=body, headers=headers) as response:
            fault = parse(await response.read()).find(f".//{{{S}}}Fault")
            return response.status, "" if fault is None else decode_fault(fault).codes[-1].rpartition("}")[2]

    async def ask(self, **changes: Any) -> tuple[int, str]:
        return await self.post(asked(security(signed_assertion(self.idp, **changes))))


class Opened:
    """A door that is open inside the context."""

    def __init__(
        self, folder: Path, store: Store | None = None, idp: MadeCertificate | None = None, **settings: Any
    ) -> None:
        self._idp = idp or make_certificate(folder, "idp", rsa_bits=2048)
        self._folder = folder
        self._store = store or MemoryStore()
        self._settings = settings

    async def __aenter__(self) -> Door:
        self._stack = AsyncExitStack()
        compute = ThreadCompute(2)
        self._stack.callback(compute.close)
        idp = self._idp
        other = make_certificate(self._folder, "other")
        turns, actor = ToyTurns(), ToyActor()
        callers = [Caller(peer=LAKESIDE, network_address="127.0.0.1")]
        listener = SoapListener(
            turns=turns, objects=FileObjects(self._folder / "objects", compute), identify=lambda _: callers[0],
            clock=SystemClock(), base_url=AUDIENCE,
            assertions=Assertions(
                issuers={
                    ISSUER: TrustedIssuer(entity_id=ISSUER, certificates=(idp.made,)),
                    OTHER: TrustedIssuer(entity_id=OTHER, certificates=(other.made,)),
                },
                audiences=frozenset({AUDIENCE}), store=self._store, compute=compute, clock=SystemClock(),
                **self._settings,
            ),
        )  # fmt: skip
        listener.add("/soap/toy", actor.answerings())
        url = await self._stack.enter_async_context(served(listener))
        client = await self._stack.enter_async_context(aiohttp.ClientSession())
        return Door(url=url, turns=turns, actor=actor, client=client, callers=callers, idp=idp)

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with Opened(tmp_path) as opened:
        yield opened


# --- who is believed reaches the turn ---------------------------------------------------------------------------------


async def test_the_person_the_role_and_the_purpose_reach_the_turn(door: Door) -> None:
    assert await door.ask() == (200, "")
    (caller,), (user,) = door.turns.callers, door.turns.users
    assert caller.assertion is not None
    assert caller.assertion.subject.name_id == "drbob"
    assert user is not None
    assert (user.user_id, user.user_name) == ("drbob", "bob<drbob@https://idp.example.org>")
    assert [code.code for code in (*user.roles, *user.purposes)] == ["112247003", "TREAT"]
    assert (user.home_community_id, user.organization) == ("1.2.4.1", "Lakeside Hospital")


async def test_the_question_that_audit_quotes_has_no_assertion_in_it(door: Door) -> None:
    await door.ask()
    (query,) = door.turns.queries
    assert query is not None
    assert b"Ask" in query and b"Assertion" not in query


async def test_what_is_odd_in_an_assertion_is_a_finding_of_the_turn(door: Door) -> None:
    await door.ask(purposes=(Code(value="TREATMENT", system=""),))
    assert "xua-plain-code" in door.turns.findings


async def test_an_assertion_that_is_optional_may_be_missing_and_is_verified_if_it_is_not(door: Door) -> None:
    door.as_peer(replace(LAKESIDE, assertion=AssertionPolicy.OPTIONAL))
    assert await door.post(asked("")) == (200, "")
    assert door.turns.users == [None]
    assert await door.ask() == (200, "")
    forged = signed_assertion(door.idp).replace(b"drbob", b"mallory")
    assert await door.post(asked(security(forged))) == (400, "FailedCheck")


async def test_a_bearer_assertion_is_good_for_many_calls_by_default(door: Door) -> None:
    document = asked(security(signed_assertion(door.idp)))
    assert [await door.post(document) for _ in range(3)] == [(200, "")] * 3


# --- refused ----------------------------------------------------------------------------------------------------------


async def test_a_request_without_the_assertion_that_must_come_is_refused(door: Door) -> None:
    assert await door.post(asked("")) == (400, "InvalidSecurity")
    (refusal,) = door.turns.refusals
    assert "Lakeside" in refusal.cure
    assert door.turns.answered == []


async def test_a_security_header_that_nobody_looks_at_is_not_understood(door: Door) -> None:
    door.as_peer(replace(LAKESIDE, assertion=AssertionPolicy.OFF))
    assert await door.ask() == (500, "MustUnderstand")
    assert door.turns.answered == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://nobody"}, "InvalidSecurityToken"),
        (
            {"conditions": replace(good_assertion().conditions, audiences=(("https://region",),))},
            "InvalidSecurityToken",
        ),
        ({"authentications": ()}, "InvalidSecurityToken"),
        ({"confirmations": (Confirmation(method="urn:x"),)}, "UnsupportedSecurityToken"),
    ],
)
async def test_an_assertion_that_is_not_believed_is_refused_before_the_actor(
    door: Door, changes: dict[str, Any], code: str
) -> None:
    assert await door.ask(**changes) == (400, code)
    assert door.turns.answered == []


async def test_who_was_claimed_is_for_the_audit_and_not_for_the_peer(door: Door) -> None:
    document = signed_assertion(door.idp).replace(b"drbob", b"mallory")
    async with door.client.post(
        f"{door.url}/soap/toy", data=asked(security(document)), headers={"Content-Type": "application/soap+xml"}
    ) as response:
        assert b"mallory" not in await response.read()
    assert door.turns.claims == ["<mallory@https://idp.example.org>"]


async def test_a_peer_is_held_to_its_issuers(door: Door) -> None:
    door.as_peer(replace(LAKESIDE, issuers=frozenset({OTHER})))
    assert await door.ask() == (400, "InvalidSecurityToken")
    door.as_peer(replace(LAKESIDE, issuers=frozenset({OTHER, ISSUER})))
    assert await door.ask() == (200, "")


async def test_holder_of_key_is_the_peer_that_shows_that_certificate(door: Door, tmp_path: Path) -> None:
    holder, thief = make_certificate(tmp_path, "holder"), make_certificate(tmp_path, "thief")
    key = holder.made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    held = {"confirmations": (Confirmation(method=HOLDER_OF_KEY, keys=(key,)),)}
    for made, answer in ((holder, (200, "")), (thief, (400, "FailedAuthentication"))):
        door.as_peer(LAKESIDE, made.made.public_bytes(Encoding.DER))
        assert await door.ask(**held) == answer
    door.as_peer(LAKESIDE)
    assert await door.ask(**held) == (400, "FailedAuthentication")


# --- replayed ---------------------------------------------------------------------------------------------------------


def one_time() -> dict[str, Any]:
    return {"conditions": replace(good_assertion().conditions, one_time_use=True)}


async def test_an_assertion_that_is_good_once_is_refused_the_second_time(door: Door) -> None:
    document = asked(security(signed_assertion(door.idp, **one_time())))
    assert await door.post(document) == (200, "")
    assert await door.post(document) == (400, "InvalidSecurityToken")
    assert await door.ask(id="_other", **one_time()) == (200, "")


async def test_a_house_may_hold_every_assertion_to_one_message(tmp_path: Path) -> None:
    async with Opened(tmp_path, once=True) as door:
        document = asked(security(signed_assertion(door.idp)))
        assert [await door.post(document) for _ in range(2)] == [(200, ""), (400, "InvalidSecurityToken")]


async def test_a_house_that_starts_again_remembers_what_was_used(tmp_path: Path) -> None:
    idp = make_certificate(tmp_path, "kept", rsa_bits=2048)
    document, answers = asked(security(signed_assertion(idp, **one_time()))), []
    for _ in range(2):
        store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
        await store.open()
        async with Opened(tmp_path, store, idp=idp) as door:
            answers.append(await door.post(document))
        await store.close()
    assert answers == [(200, ""), (400, "InvalidSecurityToken")]


async def test_one_that_is_not_believed_uses_nothing_up(door: Door) -> None:
    """Else a thief who cannot sign could use up the id of one who can."""
    document = signed_assertion(door.idp, **one_time())
    assert await door.post(asked(security(document.replace(b"drbob", b"mallory")))) == (400, "FailedCheck")
    assert await door.post(asked(security(document))) == (200, "")


async def test_two_at_once_are_one_that_is_answered(door: Door) -> None:
    document = asked(security(signed_assertion(door.idp, **one_time())))
    answers = await asyncio.gather(*(door.post(document) for _ in range(8)))
    assert sorted(answers) == [(200, "")] + [(400, "InvalidSecurityToken")] * 7


# --- may they ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        ({}, True),
        ({"purposes": frozenset({"TREAT"})}, True),
        ({"purposes": frozenset({"ETREAT", "2.16.840.1.113883.5.8|TREAT"})}, True),
        ({"purposes": frozenset({"1.2.3|TREAT"})}, False),
        ({"purposes": frozenset({"HRESCH"})}, False),
        ({"roles": frozenset({"112247003"})}, True),
        ({"roles": frozenset({"106292003"})}, False),
        ({"roles": frozenset({"112247003"}), "purposes": frozenset({"HRESCH"})}, False),
    ],
)
def test_a_peer_is_served_for_its_purposes_and_roles(held: dict[str, Any], allowed: bool) -> None:
    policy = TablePolicy(anonymous_loopback=False)
    caller = Caller(peer=replace(LAKESIDE, **held), network_address="", assertion=good_assertion())
    assert policy.decide(caller, "ITI-18").allowed is allowed
    nobody = replace(caller, assertion=None)
    assert policy.decide(nobody, "ITI-18").allowed is (not held)
