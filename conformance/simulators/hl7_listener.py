"""An HL7 v2 receiver for demonstrations and tests: keeps every message, and acknowledges it as it was told to.

It knows nothing of transactions: whatever has an MSH-10 is acknowledged, as an interface engine would.
"""

import asyncio
import secrets
import ssl as tls
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from conformance.simulators.listener import Listener
from profiles.errors import MalformedMessage
from profiles.wire.hl7v2.ack import ACCEPTED, Acknowledgement, write_acknowledgement
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join

Answer = Callable[[bytes], Acknowledgement | bytes | None]
"""What to say to a message: bytes as they are, `HANG_UP` closes the connection; None says nothing."""

HANG_UP: Final = b""
Edit = Callable[[bytes], bytes]

_NOBODY = Hl7Address(sending_application="", sending_facility="", receiving_application="", receiving_facility="")
_READ_BYTES = 64 * 1024


def accept(message: bytes) -> Acknowledgement:
    """AA to everything."""
    return ACCEPTED


class Hl7Receiver(Listener):
    """Listens for MLLP. `messages` are those that came, whole and in order, without their frames; `problems` are of frames.

    `edit` changes a message before it is kept and `edit_answer` what is said to it (the tester's own test); a message of
    b"" is lost, and acknowledged all the same.
    """

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None = None, answer: Answer = accept) -> None:
        """Port 0 is chosen by the system; `port` tells which after `start`."""
        super().__init__(host, port, ssl=ssl)
        self.messages: list[bytes] = []
        self.problems: list[str] = []
        self.edit: Edit = lambda message: message
        self.edit_answer: Edit = lambda answer: answer
        self.remembered: dict[object, object] = {}  # what cases share, as long as `edit` is the same
        self._answer = answer
        self._scripts: dict[bytes, list[Acknowledgement | bytes | None]] = {}
        self._arrived = asyncio.Condition()

    def will_say(self, to: str, *answers: Acknowledgement | bytes | None) -> None:
        """Say this to the first messages that have such a text in them; to those after them what is said to everything."""
        self._scripts[to.encode()] = list(answers)

    async def received(self, count: int, timeout_s: float = 10.0) -> list[bytes]:
        """Wait until at least so many messages have come.

        Raises:
            TimeoutError: They have not.
        """
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def with_text(self, text: str, count: int, timeout_s: float) -> Sequence[bytes]:
        """The messages that have a text in them, once there are so many; fewer where they do not come."""

        def found() -> list[bytes]:
            return [each for each in self.messages if text.encode() in each]

        try:
            async with asyncio.timeout(timeout_s), self._arrived:
                await self._arrived.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            pass
        return found()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `Listener.serve`."""
        splitter = FrameSplitter()
        while not splitter.is_finished and (data := await reader.read(_READ_BYTES)):
            for event in splitter.feed(data):
                if not isinstance(event, Framed):
                    self.problems.append(event.fault.value)
                elif not await self._take(event.message, writer):
                    return

    async def _take(self, message: bytes, writer: asyncio.StreamWriter) -> bool:
        """Keep it and say something; False: the connection is to be closed."""
        edited = self.edit(message)
        if edited:
            async with self._arrived:
                self.messages.append(edited)
                self._arrived.notify_all()
        said = self._said(message)
        if said is None:
            return True
        if isinstance(said, Acknowledgement):
            out = Hl7Out(address=_NOBODY, control_id=secrets.token_hex(10), at=datetime.now(UTC))
            try:
                said = write_acknowledgement(said, message, out)
            except MalformedMessage:
                return False  # without MSH-10 no answer could be told from another
        if said == HANG_UP:
            return False
        writer.write(join(self.edit_answer(said)))
        await writer.drain()
        return True

    def _said(self, message: bytes) -> Acknowledgement | bytes | None:
        script = next((left for text, left in self._scripts.items() if left and text in message), None)
        return script.pop(0) if script is not None else self._answer(message)
