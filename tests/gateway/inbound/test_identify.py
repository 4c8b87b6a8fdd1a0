"""Who is at the other end: by certificate, by token, by the desk, by name where TLS is off, or nobody."""

import hashlib
from asyncio import BaseTransport
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.adapters.peers import StaticDirectory
from gateway.inbound.identify import Identifier, is_loopback
from gateway.model.peer import Peer
from profiles.wire.hl7v2.address import Hl7Address

TOKEN = "a-long-random-token"
TO_LAKESIDE = Hl7Address(
    sending_application="RADGATE", sending_facility="Valley", receiving_application="ADT1", receiving_facility="LAKE"
)
FROM_LAKESIDE = Hl7Address(
    sending_application="ADT1", sending_facility="LAKE", receiving_application="RADGATE", receiving_facility="Valley"
)
LAKESIDE = Peer(name="Lakeside", certificate_sha256=("ab" * 32,), hl7=TO_LAKESIDE)
DIRECTORY = StaticDirectory((LAKESIDE,), {hashlib.sha256(TOKEN.encode()).hexdigest(): "Lakeside"})


class Transport(BaseTransport):
    """A connection from an address; `shown` is the fingerprint behind its TLS, None: without TLS."""

    def __init__(self, address: str = "192.0.2.7", shown: str | None = None) -> None:
        super().__init__({"peername": (address, 40000), "ssl_object": shown})


def identifier(*, person: str = "", anonymous_loopback: bool = False) -> Identifier:
    return Identifier(
        directory=DIRECTORY,
        fingerprint=lambda shown: cast("str | None", shown),
        person=lambda request: person,
        anonymous_loopback=anonymous_loopback,
    )


def request(transport: Transport, **headers: str) -> web.Request:
    return make_mocked_request("GET", "/fhir/r4/metadata?x=1", headers=headers, transport=transport)


def test_a_certificate_that_we_know_names_the_peer() -> None:
    caller = identifier(person="anna").of_request(request(Transport(shown="ab" * 32)))
    assert (caller.peer, caller.via, caller.network_address) == (LAKESIDE, "certificate", "192.0.2.7")
    assert caller.local_address.endswith("/fhir/r4/metadata")


def test_a_certificate_that_we_do_not_know_names_nobody() -> None:
    caller = identifier(anonymous_loopback=True).of_request(request(Transport(shown="cd" * 32)))
    assert (caller.peer, caller.via) == (None, "nobody")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_names_the_peer(scheme: str) -> None:
    caller = identifier().of_request(request(Transport(), Authorization=f"{scheme} {TOKEN}"))
    assert (caller.peer, caller.via) == (LAKESIDE, "token")


@pytest.mark.parametrize("shown", [f"Bearer {TOKEN}x", "Bearer ", "Bearer", f"Basic {TOKEN}", TOKEN])
def test_what_is_no_token_of_ours_names_nobody(shown: str) -> None:
    caller = identifier().of_request(request(Transport(), Authorization=shown))
    assert (caller.peer, caller.via) == (None, "nobody")


def test_a_header_does_not_say_where_somebody_is() -> None:
    forged = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    caller = identifier(anonymous_loopback=True).of_request(request(Transport(), **forged))
    assert (caller.network_address, caller.via) == ("192.0.2.7", "nobody")


def test_a_person_at_the_desk_is_no_peer() -> None:
    caller = identifier(person="anna").of_request(request(Transport("127.0.0.1")))
    assert (caller.peer, caller.person, caller.via) == (None, "anna", "desk")


@pytest.mark.parametrize(("anonymous", "via"), [(True, "loopback"), (False, "nobody")])
def test_this_machine_is_let_in_by_a_setting_alone(anonymous: bool, via: str) -> None:
    caller = identifier(anonymous_loopback=anonymous).of_request(request(Transport("127.0.0.1")))
    assert (caller.peer, caller.via) == (None, via)


def test_without_tls_a_sender_is_known_by_its_name() -> None:
    caller = identifier().of_transport(Transport("127.0.0.1"), FROM_LAKESIDE)
    assert (caller.peer, caller.via) == (LAKESIDE, "name")


def test_behind_tls_a_name_proves_nothing() -> None:
    caller = identifier().of_transport(Transport(shown="cd" * 32), FROM_LAKESIDE)
    assert (caller.peer, caller.via) == (None, "nobody")


def test_a_message_over_tls_comes_from_whom_the_certificate_names() -> None:
    caller = identifier().of_transport(Transport(shown="ab" * 32), TO_LAKESIDE)
    assert (caller.peer, caller.via) == (LAKESIDE, "certificate")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("192.0.2.7", False), ("", False), ("localhost", False)],
)
def test_loopback_is_told_by_its_numbers(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
