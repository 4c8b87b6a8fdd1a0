"""The assertions that we make: of whom, for whom, signed so that others believe them; and on the wire of two houses."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.asserting import Asserting, Signer
from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.memory import MemoryStore
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.peers_soap import SoapCarrier
from gateway.adapters.tls import TlsIdentity, peer_certificate, server_context
from gateway.inbound.assertions import Assertions
from gateway.inbound.soap import SoapListener
from gateway.model.house import House
from gateway.model.peer import AssertionPolicy, Caller, Peer, SentAssertion
from profiles.errors import PeerRefused
from profiles.model.audit import AuditCode
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.transaction import User
from profiles.wire.soap.envelope import encode_envelope, envelope_header
from profiles.wire.soap.security import secured
from profiles.wire.xml import parse
from profiles.xua.iti40 import HOLDER_OF_KEY, Assertion, Circumstances, TrustedIssuer, user_of, verify
from tests.support.assertions import good_assertion, xmlsec1_believes
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.toy_soap import QUERY, Text, ToyActor, ToyTurns, served

VALLEY = House(
    name="Valley", home_community_id=Oid("1.2.3.1"), repository_unique_id=Oid("1.2.3.2"),
    retrieve_location_uid=Oid("1.2.3.3"), source_id=Oid("1.2.3.2"), patient_authority=Oid("1.2.3.4"),
    affinity_authority=None, zone=ZoneInfo("UTC"), base_url="https://valley", ae_title="V", hl7_application="V",
    hl7_facility="V", process_id="1", network_address="valley",
)  # fmt: skip
US = "urn:oid:1.2.3.1"
ADDRESS = "https://lakeside.example:8443/soap/imaging-source"
LAKESIDE = Peer(name="Lakeside", home_community_id=Oid("1.2.4.1"), send_assertion=SentAssertion.BEARER)


def key_of(made: MadeCertificate) -> bytes:
    return made.made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Made:
    """What makes them, and the certificate by which they are believed."""

    asserting: Asserting
    signer: MadeCertificate
    shown: MadeCertificate
    folder: Path

    async def document(self, peer: Peer = LAKESIDE, user: User | None = None) -> bytes:
        header = await self.asserting.header(peer, ADDRESS, user)
        envelope = b"".join(encode_envelope([b"<x/>"], action="a", message_id="m", blocks=header))
        found = secured(envelope_header(parse(envelope)))
        assert found is not None
        return found.assertion

    def believed(self, document: bytes, audience: str = ADDRESS) -> Assertion:
        where = Circumstances(now=SystemClock().now(), audiences=frozenset({audience}), holder_key=key_of(self.shown))
        return verify(document, {US: TrustedIssuer(entity_id=US, certificates=(self.signer.made,))}, where).value


@pytest.fixture(params=[0, 2048], ids=["curve", "RSA"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    signer, shown = make_certificate(tmp_path, "signer", rsa_bits=request.param), make_certificate(tmp_path, "shown")
    compute = ThreadCompute(2)
    asserting = Asserting(
        Signer(
            entity_id=US, key=signer.private, certificate=signer.made, organization="Valley Hospital",
            holder_key=key_of(shown),
        ),
        house=VALLEY, compute=compute, clock=SystemClock(),
    )  # fmt: skip
    yield Made(asserting=asserting, signer=signer, shown=shown, folder=tmp_path)
    compute.close()


async def test_a_peer_that_wants_none_is_sent_none(made: Made) -> None:
    assert await made.asserting.header(replace(LAKESIDE, send_assertion=SentAssertion.OFF), ADDRESS, None) == b""


async def test_what_the_house_asks_of_its_own_accord_is_for_treatment(made: Made) -> None:
    assertion = made.believed(await made.document())
    assert (assertion.issuer, assertion.subject.name_id, assertion.organizations) == (
        US,
        "Valley",
        ("Valley Hospital",),
    )
    assert assertion.purposes == (Code(value="TREAT", system="2.16.840.1.113883.5.8", display="treatment"),)
    assert assertion.home_community_id == "1.2.3.1"


async def test_a_person_stays_who_they_are_and_only_the_issuer_is_us(made: Made) -> None:
    """ITI TF-2 3.40: where an assertion is made anew, the subject remains."""
    theirs = good_assertion()
    ours = made.believed(await made.document(user=user_of(theirs)))
    assert (ours.subject.name_id, ours.subject.alias) == ("drbob", "bob")
    assert (ours.roles, ours.purposes) == (theirs.roles, theirs.purposes)
    assert (ours.home_community_id, ours.organizations) == ("1.2.4.1", ("Lakeside Hospital",))
    assert ours.issuer == US


async def test_a_person_at_the_desk_is_named_too(made: Made) -> None:
    treatment = AuditCode(code="ETREAT", system="2.16.840.1.113883.5.8", text="emergency")
    ours = made.believed(await made.document(user=User(user_id="anna", user_name="anna", purposes=(treatment,))))
    assert (ours.subject.name_id, ours.subject.alias, ours.purposes[0].value) == ("anna", "", "ETREAT")


@pytest.mark.parametrize("audience", [ADDRESS, "https://lakeside.example:8443", "urn:oid:1.2.4.1"])
async def test_it_is_for_the_peer_by_each_of_its_names(made: Made, audience: str) -> None:
    assert made.believed(await made.document(), audience).subject.name_id == "Valley"


async def test_a_peer_that_names_its_audience_is_called_so(made: Made) -> None:
    document = await made.document(replace(LAKESIDE, audience="https://region"))
    assert made.believed(document, "https://region").conditions.audiences == (("https://region",),)


async def test_no_two_have_the_same_id(made: Made) -> None:
    assert len({made.believed(await made.document()).id for _ in range(5)}) == 5


async def test_holder_of_key_names_the_certificate_that_we_show(made: Made) -> None:
    ours = made.believed(await made.document(replace(LAKESIDE, send_assertion=SentAssertion.HOLDER_OF_KEY)))
    (confirmation,) = ours.confirmations
    assert (confirmation.method, confirmation.keys) == (HOLDER_OF_KEY, (key_of(made.shown),))


@pytest.mark.judge_program
async def test_xmlsec1_believes_what_we_send(made: Made) -> None:
    document = await made.document(user=user_of(good_assertion()))
    assert xmlsec1_believes(document, made.signer, made.folder)
    assert not xmlsec1_believes(document.replace(b"drbob", b"drbo"), made.signer, made.folder)


@pytest.mark.parametrize("kind", [SentAssertion.BEARER, SentAssertion.HOLDER_OF_KEY])
async def test_a_house_that_asks_for_assertions_believes_ours_over_mutual_tls(made: Made, kind: SentAssertion) -> None:
    """The certificate of the connection is the holder's key; without the header nothing is answered."""
    theirs, turns, actor = make_certificate(made.folder, "theirs"), ToyTurns(), ToyActor()
    compute, clock = ThreadCompute(2), SystemClock()
    objects = FileObjects(made.folder / "objects", compute)

    def identify(request: web.Request) -> Caller:
        assert request.transport is not None
        shown = peer_certificate(request.transport.get_extra_info("ssl_object"))
        valley = Peer(name="Valley", assertion=AssertionPolicy.REQUIRED)
        return Caller(peer=valley, network_address="127.0.0.1", certificate=shown)

    listener = SoapListener(
        turns=turns, objects=objects, identify=identify, clock=clock,
        assertions=Assertions(
            issuers={US: TrustedIssuer(entity_id=US, certificates=(made.signer.made,))},
            audiences=frozenset({"urn:oid:1.2.4.1"}), store=MemoryStore(), compute=compute, clock=clock,
        ),
    )  # fmt: skip
    listener.add("/soap/toy", actor.answerings())
    tls = server_context(TlsIdentity(certificate=theirs.certificate, key=theirs.key), pinned=(made.shown.certificate,))
    sessions = HttpSessions(identity=TlsIdentity(certificate=made.shown.certificate, key=made.shown.key))
    peer = replace(LAKESIDE, send_assertion=kind, certificate_sha256=(theirs.sha256,))
    async with AsyncExitStack() as stack:
        stack.callback(compute.close)
        stack.push_async_callback(sessions.close)
        url = await stack.enter_async_context(served(listener, tls))
        saying = SoapCarrier(sessions=sessions, objects=objects, clock=clock, asserting=made.asserting)
        silent = SoapCarrier(sessions=sessions, objects=objects, clock=clock)
        for_bob = user_of(good_assertion())
        async with saying.carry(
            QUERY, f"{url}/soap/toy", Text("x"), peer=peer, message_id=clock.new_uuid(), user=for_bob
        ) as carried:
            assert carried.response.text == "x"
        (user,) = turns.users
        assert user is not None
        assert (user.user_id, user.user_name) == ("drbob", f"bob<drbob@{US}>")
        with pytest.raises(PeerRefused, match="InvalidSecurity") as refused:
            async with silent.carry(QUERY, f"{url}/soap/toy", Text("x"), peer=peer, message_id=clock.new_uuid()):
                pass
        assert not refused.value.temporary
