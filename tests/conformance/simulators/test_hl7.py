"""The HL7 v2 counterparts, against each other and against real trouble."""

import asyncio
from pathlib import Path

import pytest

from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.simulators.hl7_sender import send_message
from profiles.errors import PeerProtocolError, PeerTimeout, PeerUnavailable
from profiles.wire.hl7v2.ack import AckCode, Acknowledgement, read_acknowledgement
from tests.support.hl7 import mutual_tls, registration


async def test_what_is_sent_is_kept_and_acknowledged_over_mutual_tls(tmp_path: Path) -> None:
    tls = mutual_tls(tmp_path)
    receiver = Hl7Receiver("127.0.0.1", 0, ssl=tls.server)
    await receiver.start()
    try:
        answer = await send_message("127.0.0.1", receiver.port, registration("S1"), ssl=tls.client)
    finally:
        await receiver.stop()
    assert receiver.messages == [registration("S1")]
    assert read_acknowledgement(answer).value.message_control_id == "S1"


async def test_a_receiver_says_what_it_is_told_to_say() -> None:
    receiver = Hl7Receiver("127.0.0.1", 0, answer=lambda _: Acknowledgement(code=AckCode.REJECT))
    await receiver.start()
    try:
        answer = read_acknowledgement(await send_message("127.0.0.1", receiver.port, registration())).value
    finally:
        await receiver.stop()
    assert answer.code is AckCode.REJECT


async def test_stopping_hangs_up_on_connections_that_are_open() -> None:
    receiver = Hl7Receiver("127.0.0.1", 0)
    await receiver.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    async with asyncio.timeout(5):
        await receiver.stop()
        assert await reader.read() == b""
    writer.close()


async def test_a_silent_receiver_is_a_timeout() -> None:
    receiver = Hl7Receiver("127.0.0.1", 0, answer=lambda _: None)
    await receiver.start()
    try:
        with pytest.raises(PeerTimeout):
            await send_message("127.0.0.1", receiver.port, registration(), timeout_s=0.1)
        assert len(await receiver.received(1)) == 1
    finally:
        await receiver.stop()
    with pytest.raises(PeerUnavailable):
        await send_message("127.0.0.1", receiver.port, registration(), timeout_s=1)


async def test_an_answer_that_is_not_mllp_is_a_fault_of_the_peer() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n" * 100)
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PeerProtocolError):
            await send_message("127.0.0.1", port, registration(), timeout_s=5)
