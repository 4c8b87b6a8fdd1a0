"""From the settings to whom we believe and as whom we speak."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.doctor import examine
from gateway.model.house import House
from gateway.model.peer import AssertionPolicy, Caller, SentAssertion
from gateway.settings import Settings
from gateway.wiring.assertions import asserting_of, assertions_of
from gateway.wiring.identity import house_of, peers_of
from profiles.model.codes import Code
from profiles.wire.soap.envelope import Addressing, encode_envelope, envelope_header
from profiles.wire.soap.message import Packaging
from profiles.wire.soap.mtom import SoapMessage
from profiles.wire.soap.security import SECURITY, secured
from profiles.wire.xml import parse
from profiles.xua.iti40 import decode_assertion
from tests.support.certificates import make_certificate


def settings(folder: Path, **sections: Any) -> Settings:
    return Settings.model_validate(
        {
            "house": {"name": "Valley", "data": folder, "home_community_id": "1.2.3.1"},
            "listen": {"base_url": "https://valley.example"},
            **sections,
        }
    )


def house(told: Settings) -> House:
    return house_of(told, 443)


async def test_who_believes_nobody_looks_at_nothing_and_who_has_no_key_asserts_nothing(tmp_path: Path) -> None:
    told = settings(tmp_path)
    compute, clock = ThreadCompute(1), SystemClock()
    assert assertions_of(told, house(told), store=MemoryStore(), compute=compute, clock=clock) is None
    assert asserting_of(told, house(told), compute=compute, clock=clock) is None
    compute.close()


async def test_what_we_send_says_what_the_settings_say_and_is_believed_by_a_house_with_our_certificate(
    tmp_path: Path,
) -> None:
    """One house of the same settings on both sides: its own issuer, its own peer."""
    made = make_certificate(tmp_path, "ours")
    told = settings(
        tmp_path,
        assertion={
            "certificate": made.certificate, "key": made.key, "entity_id": "https://valley.example/idp",
            "organization": "Valley Hospital",
            "purpose": {"code": "HOPERAT", "system": "2.16.840.1.113883.5.8", "display": "operations"},
        },
        issuer=[{"name": "us", "entity_id": "https://valley.example/idp", "certificates": [made.certificate]}],
        peer=[
            {
                "name": "us", "assertion": "required", "issuers": ["us"], "send_assertion": "bearer",
                "audience": "https://valley.example",
            }
        ],
    )  # fmt: skip
    here, compute, clock = house(told), ThreadCompute(1), SystemClock()
    (peer,), _ = peers_of(told, here)
    assert (peer.assertion, peer.send_assertion) == (AssertionPolicy.REQUIRED, SentAssertion.BEARER)
    assert peer.issuers == {"https://valley.example/idp"}
    asserting = asserting_of(told, here, compute=compute, clock=clock)
    assertions = assertions_of(told, here, store=MemoryStore(), compute=compute, clock=clock)
    assert asserting is not None
    assert assertions is not None
    blocks = await asserting.header(peer, "https://elsewhere/soap", None)
    root = parse(b"".join(encode_envelope([b"<x/>"], action="a", message_id="m", blocks=blocks)))
    header = envelope_header(root)
    found = secured(header)
    assert found is not None
    assertion = decode_assertion(found.assertion).value
    assert (assertion.issuer, assertion.organizations) == ("https://valley.example/idp", ("Valley Hospital",))
    assert assertion.purposes == (Code(value="HOPERAT", system="2.16.840.1.113883.5.8", display="operations"),)
    message = SoapMessage(
        packaging=Packaging.SIMPLE, addressing=Addressing(), header=header, body=root[1][0], attachments={}
    )
    caller = Caller(peer=peer, network_address="")
    assert assertions.understood(caller) == {SECURITY}
    believed = await assertions.identify(caller, message, "https://valley.example/soap")
    assert believed.assertion == assertion
    compute.close()


async def test_the_doctor_looks_at_the_certificates_of_issuers(tmp_path: Path) -> None:
    soon = make_certificate(tmp_path, "soon", until=timedelta(days=5))
    ours = make_certificate(tmp_path, "ours", until=timedelta(days=500))
    told = settings(
        tmp_path,
        listen={"http_port": 0, "mllp_port": 0},
        assertion={"certificate": ours.certificate, "key": ours.key},
        issuer=[{"name": "IdP", "certificates": [soon.certificate]}],
    )
    found = {each.what: each for each in await examine(told)}
    assert found["assertion.certificate"].good
    assert "ends on" in found["certificate of IdP soon.pem"].state
