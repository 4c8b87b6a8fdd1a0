"""An HL7 v2 receiver for demonstrations and tests: keeps every message, and acknowledges it as it was told to.

It knows nothing of transactions: whatever has an MSH-10 is acknowledged, as an interface engine would.
"""

import asyncio
import secrets
import ssl as tls
from collections.abc import Callable
from datetime import UTC, datetime

from conformance.simulators.listener import Listener
from profiles.errors import MalformedMessage
from profiles.wire.hl7v2.ack import ACCEPTED, Acknowledgement, write_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join

Answer = Callable[[bytes], Acknowledgement | None]
"""What to say to a message; None says nothing."""

_NOBODY = Hl7Address(sending_application="", sending_facility="", receiving_application="", receiving_facility="")
_READ_BYTES = 64 * 1024


def accept(message: bytes) -> Acknowledgement:
    """AA to everything."""
    return ACCEPTED


class Hl7Receiver(Listener):
    """Listens for MLLP; `messages` are those that came, whole and in order, without their frames."""

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None = None, answer: Answer = accept) -> None:
        """Port 0 is chosen by the system; `port` tells which after `start`."""
        super().__init__(host, port, ssl=ssl)
        self.messages: list[bytes] = []
        self._answer = answer
        self._arrived = asyncio.Condition()

    async def received(self, count: int, timeout_s: float = 10.0) -> list[bytes]:
        """Wait until at least so many messages have come.

        Raises:
            TimeoutError: They have not.
        """
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `Listener.serve`."""
        splitter = FrameSplitter()
        while not splitter.is_finished and (data := await reader.read(_READ_BYTES)):
            for event in splitter.feed(data):
                if isinstance(event, Framed):
                    await self._take(event.message, writer)

    async def _take(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        async with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()
        acknowledgement = self._answer(message)
        if acknowledgement is None:
            return
        out = Hl7Out(address=_NOBODY, control_id=secrets.token_hex(10), at=datetime.now(UTC))
        try:
            writer.write(join(write_acknowledgement(acknowledgement, message, out)))
        except MalformedMessage:
            writer.close()  # without MSH-10 no answer could be told from another
            return
        await writer.drain()
