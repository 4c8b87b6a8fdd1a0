"""The MLLP carrier, against a receiver that behaves and against ones that do not."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.simulators.hl7_listener import Answer, Hl7Receiver, accept
from gateway.adapters.peers_mllp import MllpCarrier
from gateway.inbound.mllp import MllpListener
from gateway.model.peer import Peer
from profiles.errors import (
    InternalFault,
    PeerError,
    PeerProtocolError,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    Unsupported,
)
from profiles.pix.iti8 import ITI_8, Acknowledgement, PatientFeedRequest
from profiles.pix.iti30 import ITI_30
from profiles.transaction import Transaction
from profiles.wire.hl7v2.ack import AckCode, AckError, write_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v2.message import header_of
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join
from profiles.wire.hl7v2.segments import read_header
from tests.support.clock import FixedClock
from tests.support.hl7 import FEEDS, HOUSE, RecordingTurns, anybody, feed, mutual_tls, sent

PEER = Peer(
    name="EHR",
    hl7=Hl7Address(
        sending_application="RADGATE",
        sending_facility="Valley",
        receiving_application="EHR",
        receiving_facility="HOSP",
    ),
)


@asynccontextmanager
async def receiving(answer: Answer = accept) -> AsyncIterator[Hl7Receiver]:
    receiver = Hl7Receiver("127.0.0.1", 0, answer=answer)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


@asynccontextmanager
async def carrying(**settings: Any) -> AsyncIterator[MllpCarrier]:
    carrier = MllpCarrier(house=HOUSE, clock=FixedClock(), **settings)
    try:
        yield carrier
    finally:
        await carrier.close()


async def carry(
    carrier: MllpCarrier,
    port: int,
    message_id: str = "M1",
    *,
    peer: Peer = PEER,
    scheme: str = "mllp",
    request: PatientFeedRequest | None = None,
) -> Acknowledgement:
    address = f"{scheme}://127.0.0.1:{port}"
    async with carrier.carry(ITI_8, address, request or feed(), peer=peer, message_id=message_id) as carried:
        assert carried.sent_bytes > 0 and carried.received_bytes > 0
        return carried.response


async def test_a_message_goes_out_under_the_peer_s_address_and_its_acknowledgement_comes_back() -> None:
    async with receiving() as receiver, carrying() as carrier:
        answer = await carry(carrier, receiver.port)
    assert answer.accepted
    header = read_header(header_of(receiver.messages[0]))
    assert (header.address, header.control_id) == (PEER.hl7, "M1")
    assert ITI_8.decode_request(receiver.messages[0]).value.patient == feed().patient


async def test_a_long_message_id_becomes_the_same_short_control_id_each_time() -> None:
    async with receiving() as receiver, carrying() as carrier:
        for _ in range(2):
            await carry(carrier, receiver.port, "0195f4c8-3f2e-7a10-9c55-3f6a1c2b9d7e")
    ids = [read_header(header_of(message)).control_id for message in receiver.messages]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 20


async def test_a_peer_without_hl7_names_is_addressed_by_its_own() -> None:
    async with receiving() as receiver, carrying() as carrier:
        await carry(carrier, receiver.port, peer=Peer(name="Lakeside"))
    address = read_header(header_of(receiver.messages[0])).address
    assert (address.sending_application, address.receiving_application) == ("RADGATE", "Lakeside")


class Counting:
    """Counts connections; answers as it is told, message by message."""

    def __init__(self, *scripts: Callable[[bytes], bytes | None]) -> None:
        self.connections = 0
        self.under_way = 0
        self.most_under_way = 0
        self.messages: list[bytes] = []
        self._scripts = scripts
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        splitter = FrameSplitter()
        while data := await reader.read(65536):
            for event in splitter.feed(data):
                assert isinstance(event, Framed)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                self.messages.append(event.message)
                await asyncio.sleep(0.01)
                self.under_way -= 1
                answer = self._scripts[min(len(self.messages), len(self._scripts)) - 1](event.message)
                if answer is None:
                    writer.close()
                    return
                writer.write(answer)


def positive(message: bytes) -> bytes:
    return join(write_acknowledgement(Acknowledgement(), message, sent("ACK1")))


def hang_up(message: bytes) -> None:
    return None


async def test_messages_share_one_connection_and_none_overtakes_another() -> None:
    peer = Counting(positive)
    async with peer as port, carrying() as carrier:
        await asyncio.gather(*(carry(carrier, port, f"Q{number}") for number in range(20)))
    assert peer.connections == 1
    assert peer.most_under_way == 1
    assert [read_header(header_of(each)).control_id for each in peer.messages] == [f"Q{number}" for number in range(20)]


async def test_a_kept_connection_that_the_peer_has_closed_is_made_again_with_the_same_message() -> None:
    peer = Counting(positive, hang_up, positive)
    async with peer as port, carrying() as carrier:
        await carry(carrier, port, "K1")
        assert (await carry(carrier, port, "K2")).accepted
    assert peer.connections == 2
    assert [read_header(header_of(each)).control_id for each in peer.messages] == ["K1", "K2", "K2"]


async def test_a_peer_that_hangs_up_on_a_new_connection_is_unavailable() -> None:
    peer = Counting(hang_up)
    async with peer as port, carrying() as carrier:
        with pytest.raises(PeerUnavailable):
            await carry(carrier, port)
    assert peer.connections == 1


async def test_an_unused_connection_is_closed() -> None:
    peer = Counting(positive)
    async with peer as port, carrying(idle_s=0.05) as carrier:
        await carry(carrier, port, "I1")
        await asyncio.sleep(0.2)
        await carry(carrier, port, "I2")
    assert peer.connections == 2


@pytest.mark.parametrize(
    ("code", "errors", "expected", "temporary"),
    [
        (AckCode.ERROR, (AckError(code="204", location="PID^1^3^1^4"),), "204", False),
        (AckCode.ERROR, (AckError(code="207"),), "207", True),
        (AckCode.REJECT, (AckError(code="206"),), "206", True),
        (AckCode.REJECT, (AckError(code="203"),), "203", False),
        (AckCode.REJECT, (), "AR", True),
        (AckCode.ERROR, (), "AE", False),
        (AckCode.COMMIT_REJECT, (), "CR", True),
    ],
)
async def test_a_refusal_says_whose_code_it_is_and_whether_to_come_back(
    code: AckCode, errors: tuple[AckError, ...], expected: str, temporary: bool
) -> None:
    answer = Acknowledgement(code=code, errors=errors, text="Sample, Anna is not known")
    async with receiving(lambda _: answer) as receiver, carrying() as carrier:
        with pytest.raises(PeerRefused) as refused:
            await carry(carrier, receiver.port)
        assert len(await receiver.received(1)) == 1
    assert (refused.value.code, refused.value.temporary) == (expected, temporary)
    assert "Anna" not in refused.value.detail


async def test_a_refusal_leaves_the_connection_as_it_is() -> None:
    def negative(message: bytes) -> bytes:
        return join(write_acknowledgement(Acknowledgement(code=AckCode.ERROR), message, sent("ACK2")))

    peer = Counting(negative, positive)
    async with peer as port, carrying() as carrier:
        with pytest.raises(PeerRefused):
            await carry(carrier, port, "N1")
        await carry(carrier, port, "N2")
    assert peer.connections == 1


async def test_commit_accept_is_accepted() -> None:
    async with (
        receiving(lambda _: Acknowledgement(code=AckCode.COMMIT_ACCEPT)) as receiver,
        carrying() as carrier,
    ):
        assert (await carry(carrier, receiver.port)).code is AckCode.COMMIT_ACCEPT


async def test_an_answer_to_another_message_is_no_answer_and_the_connection_is_given_up() -> None:
    def stray(message: bytes) -> bytes:
        return positive(message).replace(b"|S1", b"|S0")

    peer = Counting(stray, positive)
    async with peer as port, carrying() as carrier:
        with pytest.raises(PeerProtocolError) as wrong:
            await carry(carrier, port, "S1")
        assert wrong.value.temporary
        await carry(carrier, port, "S2")
    assert peer.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        join(b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5\r"),
        join(b"MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5\rMSA|OK|M1\r"),
        join(b"hello"),
        b"\x0bMSH|^~\\&|A\x0bMSH|",
        b"HTTP/1.1 400 Bad Request\r\n" * 100,
    ],
    ids=["no MSA", "no such code", "no HL7", "broken frame", "HTTP"],
)
async def test_what_is_no_acknowledgement_is_a_fault_of_the_peer(answer: bytes) -> None:
    async with Counting(lambda _: answer) as port, carrying() as carrier:
        with pytest.raises(PeerProtocolError):
            await carry(carrier, port)


async def test_a_peer_that_does_not_answer_is_a_timeout_and_a_late_answer_is_not_believed() -> None:
    late = asyncio.Event()

    class Late(Counting):
        async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            if self.connections > 1:
                await super()._connected(reader, writer)
                return
            message = await reader.readuntil(b"\x1c\r")
            await late.wait()
            writer.write(positive(message.strip(b"\x0b\x1c\r")))

    peer = Late(positive)
    async with peer as port, carrying(acknowledge_s=0.1) as carrier:
        with pytest.raises(PeerTimeout):
            await carry(carrier, port, "L1")
        late.set()
        assert (await carry(carrier, port, "L2")).message_control_id == "L2"


async def test_nobody_there_is_unavailable_and_comes_back_when_there_is() -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with carrying() as carrier:
        with pytest.raises(PeerUnavailable) as gone:
            await carry(carrier, port)
        assert gone.value.temporary
        receiver = Hl7Receiver("127.0.0.1", port)
        await receiver.start()
        try:
            assert (await carry(carrier, port)).accepted
        finally:
            await receiver.stop()


@pytest.mark.parametrize("address", ["http://localhost", "mllp://", "mllp://localhost:99999999", "localhost:2575"])
async def test_an_address_of_another_kind_is_not_supported(address: str) -> None:
    async with carrying() as carrier:
        with pytest.raises(Unsupported):
            async with carrier.carry(ITI_8, address, feed(), peer=PEER, message_id="1"):
                pass


async def test_another_kind_of_transaction_is_our_own_fault() -> None:
    async with carrying() as carrier:
        with pytest.raises(InternalFault):
            async with carrier.carry(
                Transaction(
                    id="X", name="", section="", initiator=ITI_8.initiator, responder=ITI_8.responder, audit=ITI_8.audit
                ),
                "mllp://localhost",
                feed(),
                peer=PEER,
                message_id="1",
            ):
                pass


# --- TLS, and our own listener at the other end -----------------------------------------------------------------------


@asynccontextmanager
async def our_listener(turns: RecordingTurns, context: ssl.SSLContext) -> AsyncIterator[int]:
    listener = MllpListener(turns, FEEDS, anybody, FixedClock(), ssl=context)
    port = await listener.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await listener.close(drain_s=2)


def pinned(peer: Peer, certificate: Path) -> Peer:
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    return replace(peer, certificate_sha256=(hashlib.sha256(der).hexdigest(),))


async def test_carrier_and_listener_meet_over_mutual_tls(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    turns = RecordingTurns()
    peer = pinned(PEER, tls.server_identity.certificate)
    async with our_listener(turns, tls.server) as port, carrying(secure=lambda _: tls.client) as carrier:
        for number in range(3):
            assert (await carry(carrier, port, f"T{number}", peer=peer, scheme="mllps")).accepted
        async with carrier.carry(ITI_30, f"mllps://127.0.0.1:{port}", feed(), peer=peer, message_id="T3") as carried:
            assert carried.response.accepted
    assert turns.message_ids == ["T0", "T1", "T2", "T3"]


async def test_a_certificate_that_is_not_the_peer_s_is_not_talked_to(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    turns = RecordingTurns()
    peer = pinned(PEER, tls.client_identity.certificate)
    async with our_listener(turns, tls.server) as port, carrying(secure=lambda _: tls.client) as carrier:
        with pytest.raises(PeerUnavailable, match="certificate"):
            await carry(carrier, port, peer=peer, scheme="mllps")
    assert turns.requests == []


async def test_an_authority_that_we_do_not_trust_is_named(tmp_path: Path) -> None:
    tls, other = mutual_tls(tmp_path / "one"), mutual_tls(tmp_path / "other")
    async with our_listener(RecordingTurns(), tls.server) as port, carrying(secure=lambda _: other.client) as carrier:
        with pytest.raises(PeerUnavailable, match="TLS"):
            await carry(carrier, port, scheme="mllps")


async def test_without_a_certificate_of_ours_the_peer_does_not_answer(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    turns = RecordingTurns()
    async with our_listener(turns, tls.server) as port, carrying(secure=lambda _: tls.stranger) as carrier:
        with pytest.raises(PeerError):
            await carry(carrier, port, scheme="mllps")
    assert turns.requests == []


async def test_a_secure_address_needs_certificates() -> None:
    async with carrying() as carrier:
        with pytest.raises(Unsupported):
            await carry(carrier, 1, scheme="mllps")
