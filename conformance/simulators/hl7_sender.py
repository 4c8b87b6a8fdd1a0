"""An HL7 v2 sender: one message and its acknowledgement, or any bytes and what is said to them."""

import asyncio
import ssl as tls
from collections.abc import Sequence

from profiles.errors import PeerProtocolError, PeerTimeout, PeerUnavailable
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join

_READ_BYTES = 64 * 1024
_PAUSE_S = 0.05  # between two packets, so that they are two


class Line:
    """A connection that is opened by the first message and kept for those after it; one message at a time."""

    def __init__(self, host: str, port: int, *, ssl: tls.SSLContext | None = None) -> None:
        """Nothing is opened yet."""
        self._place = (host, port, ssl)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, message: bytes, *, timeout_s: float = 30.0) -> bytes:
        """Send a message; answers its acknowledgement as it came. After a failure the connection is closed.

        Raises:
            PeerUnavailable: No connection, or it ended before the answer.
            PeerTimeout: No answer in time.
            PeerProtocolError: The answer is not framed as MLLP.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._streams is None:
                    host, port, ssl = self._place
                    self._streams = await asyncio.open_connection(host, port, ssl=ssl)
                reader, writer = self._streams
                writer.write(join(message))
                await writer.drain()
                return await _answer(reader)
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise PeerTimeout(f"no acknowledgement within {timeout_s:g} s") from error
            if isinstance(error, OSError):
                raise PeerUnavailable(f"no connection: {error.strerror or type(error).__name__}") from error
            raise

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def send_message(
    host: str, port: int, message: bytes, *, ssl: tls.SSLContext | None = None, timeout_s: float = 30.0
) -> bytes:
    """Send one message on a connection of its own; answers the acknowledgement as it came, without its frame.

    Raises:
        As `Line.send` does.
    """
    line = Line(host, port, ssl=ssl)
    try:
        return await line.send(message, timeout_s=timeout_s)
    finally:
        line.close()


async def converse(
    host: str, port: int, pieces: Sequence[bytes], *, answers: int, ssl: tls.SSLContext | None = None, timeout_s: float
) -> list[bytes]:
    """Write these very bytes on one connection, a packet for each piece, and read what is answered, without its frames.

    Answers:
        At most `answers` messages; fewer where the connection ends or nothing more comes in time.

    Raises:
        PeerUnavailable: No connection.
    """
    splitter, came = FrameSplitter(), list[bytes]()
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=ssl)
    except OSError as broken:
        raise PeerUnavailable(f"no connection: {broken.strerror or type(broken).__name__}") from broken
    try:
        async with asyncio.timeout(timeout_s):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_PAUSE_S)
            while len(came) < answers and (data := await reader.read(_READ_BYTES)):
                came += [event.message for event in splitter.feed(data) if isinstance(event, Framed)]
    except (TimeoutError, OSError):
        pass  # whoever is not answered sees it by what came
    finally:
        writer.close()
    return came[:answers]


async def _answer(reader: asyncio.StreamReader) -> bytes:
    splitter = FrameSplitter()
    while data := await reader.read(_READ_BYTES):
        for event in splitter.feed(data):
            if isinstance(event, Framed):
                return event.message
            raise PeerProtocolError(f"MLLP: {event.fault.value}")
    raise PeerUnavailable("the connection ended before the acknowledgement")
