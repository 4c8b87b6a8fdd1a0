"""The MLLP listener as a sender sees it."""

import asyncio
import hashlib
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.inbound.mllp import MllpListener, MllpListenerLimits
from gateway.model.peer import Caller, Peer
from profiles.errors import AccessDenied, Busy, Unauthenticated, UnknownPatient
from profiles.pix.iti8 import ACCEPTED, Acknowledgement, PatientFeedRequest
from profiles.pix.iti30 import ITI_30
from profiles.wire.hl7v2.ack import read_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join
from tests.support.clock import FixedClock
from tests.support.hl7 import ADDRESS, FEEDS, RecordingTurns, anybody, feed, known_as, mutual_tls, registration, sent

QUICK = MllpListenerLimits(idle_s=5, message_s=5, linger_s=0.3)


class Sender:
    """A plain MLLP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._splitter = FrameSplitter()
        self._waiting: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read(self) -> bytes:
        """The next whole message; "" at the end of the stream, however it came."""
        while not self._waiting:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), 5)
            except ConnectionError:
                return b""
            if not data:
                return b""
            self._waiting += [event.message for event in self._splitter.feed(data) if isinstance(event, Framed)]
        return self._waiting.pop(0)

    async def ask(self, message: bytes) -> Acknowledgement:
        await self.write(join(message))
        return read_acknowledgement(await self.read()).value


@asynccontextmanager
async def listening(
    turns: RecordingTurns,
    *,
    identify: object = anybody,
    limits: MllpListenerLimits = QUICK,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[MllpListener, int]]:
    listener = MllpListener(turns, FEEDS, identify, FixedClock(), limits=limits, ssl=context)  # type: ignore[arg-type]
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.close(drain_s=2)


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Sender]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
    )
    try:
        yield Sender(reader, writer)
    finally:
        writer.close()


async def test_a_registration_is_answered_when_the_turn_has_committed() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (_, port), connected(port) as sender:
        answer = await sender.ask(registration("A1"))
    assert (answer.code, answer.message_control_id) == ("AA", "A1")
    assert turns.requests[0].patient.name.family == "Sample"
    assert turns.message_ids == ["A1"]


async def test_a_connection_persists_and_answers_come_in_the_order_of_the_messages() -> None:
    delays = iter((0.2, 0.0, 0.1))

    async def slowly(request: PatientFeedRequest) -> Acknowledgement:
        await asyncio.sleep(next(delays))
        return ACCEPTED

    turns = RecordingTurns(slowly)
    async with listening(turns) as (_, port), connected(port) as sender:
        await sender.write(b"".join(join(registration(f"P{number}")) for number in range(3)))
        answers = [read_acknowledgement(await sender.read()).value.message_control_id for _ in range(3)]
    assert answers == ["P0", "P1", "P2"]


async def test_hundreds_of_pipelined_messages_are_all_answered() -> None:
    turns = RecordingTurns()
    limits = MllpListenerLimits(pipelined=4)
    async with listening(turns, limits=limits) as (_, port), connected(port) as sender:
        writing = asyncio.create_task(sender.write(b"".join(join(registration(f"N{n}")) for n in range(500))))
        answers = [read_acknowledgement(await sender.read()).value.message_control_id for _ in range(500)]
        await writing
    assert answers == [f"N{n}" for n in range(500)]


async def test_large_messages_that_wait_stop_the_reading_before_there_are_many() -> None:
    gate = asyncio.Event()

    async def gated(request: PatientFeedRequest) -> Acknowledgement:
        await gate.wait()
        return ACCEPTED

    turns = RecordingTurns(gated)
    large = registration("L0") + b"OBX|1|ED|||" + b"A" * 500_000 + b"\r"
    limits = MllpListenerLimits(pipelined_bytes=1_000_000)
    async with listening(turns, limits=limits) as (listener, port), connected(port) as sender:
        messages = [join(large.replace(b"|L0|", f"|L{number}|".encode())) for number in range(40)]
        writing = asyncio.create_task(sender.write(b"".join(messages)))
        await asyncio.sleep(0.3)
        assert listener.held_bytes < 3_000_000
        gate.set()
        answers = [read_acknowledgement(await sender.read()).value.message_control_id for _ in range(40)]
        await writing
        assert listener.held_bytes == 0
    assert answers == [f"L{number}" for number in range(40)]


async def test_a_message_in_single_bytes_is_one_message() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (_, port), connected(port) as sender:
        for byte in join(registration("S1")):
            await sender.write(bytes([byte]))
        assert read_acknowledgement(await sender.read()).value.message_control_id == "S1"
    assert len(turns.requests) == 1


async def test_the_same_message_again_gets_the_same_answer_and_is_not_done_again() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (listener, port):
        async with connected(port) as sender:
            await sender.write(join(registration("D1")))
            first = await sender.read()
        async with connected(port) as sender:
            await sender.write(join(registration("D1")))
            again = await sender.read()
    assert first == again
    assert len(turns.requests) == 1
    assert listener.counts.repeated == 1


async def test_the_same_message_on_a_second_connection_waits_for_the_first() -> None:
    gate = asyncio.Event()

    async def gated(request: PatientFeedRequest) -> Acknowledgement:
        await gate.wait()
        return ACCEPTED

    turns = RecordingTurns(gated)
    async with listening(turns) as (_, port), connected(port) as one, connected(port) as other:
        await one.write(join(registration("D2")))
        while not turns.requests:
            await asyncio.sleep(0.01)
        await other.write(join(registration("D2")))
        await asyncio.sleep(0.05)
        gate.set()
        assert await one.read() == await other.read()
    assert len(turns.requests) == 1


async def test_a_control_id_used_for_another_message_is_done_and_told() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (listener, port), connected(port) as sender:
        await sender.ask(registration("D3"))
        answer = await sender.ask(registration("D3", family="Other"))
    assert answer.accepted
    assert [request.patient.name.family for request in turns.requests] == ["Sample", "Other"]
    assert "hl7.control-id-reused" in {finding.rule for finding in turns.findings}
    assert listener.counts.control_ids_reused == 1


async def test_a_refused_message_may_come_again_and_is_asked_anew() -> None:
    answers = iter((Busy("the house is full"), None))

    async def busy_once(request: PatientFeedRequest) -> Acknowledgement:
        error = next(answers)
        if error is not None:
            raise error
        return ACCEPTED

    async with listening(RecordingTurns(busy_once)) as (_, port), connected(port) as sender:
        refused = await sender.ask(registration("D4"))
        assert (refused.code, refused.errors[0].code, refused.is_temporary) == ("AR", "206", True)
        assert (await sender.ask(registration("D4"))).accepted


async def test_what_the_actor_refuses_is_an_error_with_code_and_location() -> None:
    async def unknown(request: PatientFeedRequest) -> Acknowledgement:
        raise UnknownPatient("the id is of a domain that is not kept here", location="PID^1^3^1^4")

    async with listening(RecordingTurns(unknown)) as (_, port), connected(port) as sender:
        answer = await sender.ask(registration())
    assert (answer.code, answer.errors[0].code, answer.errors[0].location) == ("AE", "204", "PID^1^3")


@pytest.mark.parametrize(
    ("change", "code", "location"),
    [
        ((b"ADT^A04^ADT_A01", b"SIU^S12^SIU_S12"), "200", "MSH^1^9^1^1"),
        ((b"ADT^A04^ADT_A01", b"ADT^A24^ADT_A24"), "201", "MSH^1^9^1^2"),
        ((b"|P|2.5", b"|X|2.5"), "202", "MSH^1^11^1^1"),
        ((b"|P|2.5", b"|P|3.0"), "203", "MSH^1^12^1^1"),
    ],
)
async def test_what_is_not_served_is_rejected_by_the_table(
    change: tuple[bytes, bytes], code: str, location: str
) -> None:
    turns = RecordingTurns()
    message = ITI_30.encode_request(feed(), sent("R1")).replace(*change)
    async with listening(turns) as (_, port), connected(port) as sender:
        answer = await sender.ask(message)
        assert (await sender.ask(registration("R2"))).accepted  # and the connection goes on
    assert (answer.code, answer.errors[0].code) == ("AR", code)
    assert answer.errors[0].location == location
    assert len(turns.refusals) == 1


async def test_a_header_that_cannot_be_read_is_not_answered_and_the_connection_ends() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (_, port), connected(port) as sender:
        await sender.write(join(b"no HL7 at all"))
        assert await sender.read() == b""
    assert len(turns.refusals) == 1


async def test_wrong_delimiters_are_told_when_the_control_id_can_be_read() -> None:
    turns = RecordingTurns()
    message = registration("W1").replace(b"MSH|^~\\&|", b"MSH|^^\\&|", 1)
    async with listening(turns) as (_, port), connected(port) as sender:
        answer = await sender.ask(message)
    assert (answer.code, answer.message_control_id, answer.errors[0].code) == ("AR", "W1", "102")


async def test_garbage_between_messages_is_skipped_and_too_much_of_it_ends_the_connection() -> None:
    turns = RecordingTurns()
    async with listening(turns) as (_, port), connected(port) as sender:
        await sender.write(b"\r\n\x00 stray \r\n" + join(registration("G1")))
        assert read_acknowledgement(await sender.read()).value.accepted
        await sender.write(b"GET / HTTP/1.1\r\n" * 100)
        assert await sender.read() == b""
    assert len(turns.refusals) == 1


async def test_a_gigabyte_is_told_no_early_and_is_not_kept() -> None:
    turns = RecordingTurns()
    limits = MllpListenerLimits(message_bytes=1024 * 1024, linger_s=5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b"x" * (1024 * 1024)
    async with listening(turns, limits=limits) as (_, port), connected(port) as sender:
        head = b"\x0b" + registration("BIG").rstrip(b"\r") + b"\rOBX|1|ED|||"
        await sender.write(head)

        async def pour() -> int:
            written = 0
            try:
                for _ in range(1024):
                    await sender.write(block)
                    written += len(block)
            except ConnectionError:
                pass
            return written

        pouring = asyncio.create_task(pour())
        answer = read_acknowledgement(await sender.read()).value
        assert (answer.code, answer.message_control_id, answer.errors[0].code) == ("AR", "BIG", "207")
        await pouring
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"grew by {grown} KiB"
    assert turns.requests == []
    assert len(turns.refusals) == 1


async def test_when_all_connections_hold_too_much_the_next_is_asked_to_come_back() -> None:
    turns = RecordingTurns()
    limits = MllpListenerLimits(held_bytes=300_000, linger_s=0.2)
    begun = b"\x0b" + registration("FULL") + b"x" * 200_000
    async with listening(turns, limits=limits) as (listener, port), connected(port) as one, connected(port) as two:
        await one.write(begun)
        while listener.held_bytes < 200_000:
            await asyncio.sleep(0.01)
        await two.write(begun)
        answer = read_acknowledgement(await two.read()).value
        assert (answer.code, answer.errors[0].code, answer.is_temporary) == ("AR", "206", True)
        assert await two.read() == b""
        await one.write(b"\r\x1c\r")
        assert read_acknowledgement(await one.read()).value.accepted
        assert listener.held_bytes == 0
    assert isinstance(turns.refusals[0][1], Busy)


async def test_a_message_that_does_not_end_in_time_ends_the_connection() -> None:
    limits = MllpListenerLimits(message_s=0.2, idle_s=30)
    async with listening(RecordingTurns(), limits=limits) as (_, port), connected(port) as sender:
        for byte in join(registration())[:10]:
            sender.writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        assert await sender.read() == b""


async def test_a_silent_connection_is_closed_and_one_that_waits_for_an_answer_is_not() -> None:
    async def slow(request: PatientFeedRequest) -> Acknowledgement:
        await asyncio.sleep(0.5)
        return ACCEPTED

    limits = MllpListenerLimits(message_s=0.1, idle_s=0.2)
    async with listening(RecordingTurns(slow), limits=limits) as (_, port), connected(port) as sender:
        assert (await sender.ask(registration())).accepted
        assert await sender.read() == b""


async def test_closing_answers_what_is_under_way_and_takes_nothing_new() -> None:
    started = asyncio.Event()

    async def slow(request: PatientFeedRequest) -> Acknowledgement:
        started.set()
        await asyncio.sleep(0.2)
        return ACCEPTED

    turns = RecordingTurns(slow)
    listener = MllpListener(turns, FEEDS, anybody, FixedClock(), limits=QUICK)
    port = await listener.start("127.0.0.1", 0)
    async with connected(port) as sender:
        await sender.write(join(registration("C1")))
        await started.wait()
        closing = asyncio.create_task(listener.close(drain_s=5))
        assert read_acknowledgement(await sender.read()).value.message_control_id == "C1"
        assert await sender.read() == b""
        await closing
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_closing_cuts_off_what_takes_too_long() -> None:
    async def forever(request: PatientFeedRequest) -> Acknowledgement:
        await asyncio.Event().wait()
        return ACCEPTED

    turns = RecordingTurns(forever)
    listener = MllpListener(turns, FEEDS, anybody, FixedClock(), limits=QUICK)
    port = await listener.start("127.0.0.1", 0)
    async with connected(port) as sender:
        await sender.write(join(registration("C2")))
        while not turns.requests:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(3):
            await listener.close(drain_s=0.1)
        assert await sender.read() == b""


async def test_a_sender_that_closes_its_side_still_gets_its_answer() -> None:
    async with listening(RecordingTurns()) as (_, port), connected(port) as sender:
        await sender.write(join(registration("H1")))
        sender.writer.write_eof()
        assert read_acknowledgement(await sender.read()).value.message_control_id == "H1"
        assert await sender.read() == b""


PEER = Peer(
    name="Hospital",
    hl7=Hl7Address(
        sending_application=ADDRESS.receiving_application,
        sending_facility=ADDRESS.receiving_facility,
        receiving_application=ADDRESS.sending_application,
        receiving_facility=ADDRESS.sending_facility,
    ),
)


async def test_a_known_peer_is_the_caller() -> None:
    turns = RecordingTurns()
    async with listening(turns, identify=known_as(PEER)) as (_, port), connected(port) as sender:
        assert (await sender.ask(registration())).accepted
    assert turns.callers[0].peer is PEER


@pytest.mark.parametrize(("field", "number"), [("sending_facility", 4), ("receiving_application", 5)])
async def test_a_peer_that_speaks_under_another_name_is_refused(field: str, number: int) -> None:
    turns = RecordingTurns()
    address = Hl7Address(**{**{name: getattr(ADDRESS, name) for name in Hl7Address.__slots__}, field: "SOMEBODY"})
    message = ITI_30.encode_request(feed(), sent("T1", address))
    async with listening(turns, identify=known_as(PEER)) as (_, port), connected(port) as sender:
        answer = await sender.ask(message)
    assert (answer.errors[0].code, answer.errors[0].location) == ("103", f"MSH^1^{number}")
    assert turns.requests == []
    assert isinstance(turns.refusals[0][1], AccessDenied)


async def test_a_stranger_whom_nobody_lets_in_is_rejected() -> None:
    def nobody(transport: object, address: Hl7Address) -> Caller:
        raise Unauthenticated("no certificate of a peer")

    turns = RecordingTurns()
    async with listening(turns, identify=nobody) as (_, port), connected(port) as sender:
        answer = await sender.ask(registration())
    assert answer.code == "AR"
    assert turns.requests == []
    assert len(turns.refusals) == 1


async def test_mutual_tls_shows_the_listener_who_is_asking(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    shown: list[str] = []

    def by_certificate(transport: asyncio.BaseTransport, address: Hl7Address) -> Caller:
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        shown.append(hashlib.sha256(certificate).hexdigest())
        return Caller(peer=PEER, network_address="127.0.0.1")

    turns = RecordingTurns()
    async with (
        listening(turns, identify=by_certificate, context=tls.server) as (_, port),
        connected(port, tls.client) as sender,
    ):
        for number in range(3):
            assert (await sender.ask(registration(f"T{number}"))).accepted
    pem = tls.client_identity.certificate.read_text()
    assert set(shown) == {hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()}


async def test_a_handshake_without_a_certificate_is_noted_as_a_failure_of_authentication(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    turns = RecordingTurns()
    async with listening(turns, context=tls.server) as (_, port):
        with pytest.raises((ssl.SSLError, OSError)):
            async with connected(port, tls.stranger) as sender:
                await sender.write(join(registration()))
                if not await sender.read():
                    raise ConnectionResetError
        async with asyncio.timeout(3):
            while not turns.refusals:
                await asyncio.sleep(0.01)
    assert isinstance(turns.refusals[0][1], Unauthenticated)


async def test_plain_text_on_a_tls_port_is_noted_and_a_probe_is_not(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    turns = RecordingTurns()
    async with listening(turns, context=tls.server) as (_, port):
        async with connected(port):
            pass
        async with connected(port) as sender:
            await sender.write(join(registration()))
            assert await sender.read() == b""
    assert len(turns.refusals) == 1


async def test_more_connections_than_allowed_are_turned_away() -> None:
    limits = MllpListenerLimits(connections=2)
    async with listening(RecordingTurns(), limits=limits) as (_, port), connected(port) as one, connected(port) as two:
        assert (await one.ask(registration("M1"))).accepted
        assert (await two.ask(registration("M2"))).accepted
        async with connected(port) as three:
            assert await three.read() == b""


def test_another_event_loop_serves_the_same_plain_and_secured(tmp_path: Path) -> None:
    async def converse() -> None:
        await test_hundreds_of_pipelined_messages_are_all_answered()
        await test_closing_answers_what_is_under_way_and_takes_nothing_new()
        await test_garbage_between_messages_is_skipped_and_too_much_of_it_ends_the_connection()
        await test_a_sender_that_closes_its_side_still_gets_its_answer()
        await test_mutual_tls_shows_the_listener_who_is_asking(tmp_path / "one")
        await test_a_handshake_without_a_certificate_is_noted_as_a_failure_of_authentication(tmp_path / "two")

    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(converse())
