"""An HL7 v2 sender for demonstrations and tests: one message, one acknowledgement."""

import asyncio
import ssl as tls

from profiles.errors import PeerProtocolError, PeerTimeout, PeerUnavailable
from profiles.wire.hl7v2.mllp import Framed, FrameSplitter, join

_READ_BYTES = 64 * 1024


async def send_message(
    host: str, port: int, message: bytes, *, ssl: tls.SSLContext | None = None, timeout_s: float = 30.0
) -> bytes:
    """Send one message on a connection of its own; answers the acknowledgement as it came, without its frame.

    Raises:
        PeerUnavailable: No connection, or it ended before the answer.
        PeerTimeout: No answer in time.
        PeerProtocolError: The answer is not framed as MLLP.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=ssl)
            try:
                writer.write(join(message))
                await writer.drain()
                return await _answer(reader)
            finally:
                writer.close()
    except TimeoutError as late:
        raise PeerTimeout(f"no acknowledgement within {timeout_s:g} s") from late
    except OSError as broken:
        raise PeerUnavailable(f"no connection: {broken.strerror or type(broken).__name__}") from broken


async def _answer(reader: asyncio.StreamReader) -> bytes:
    splitter = FrameSplitter()
    while data := await reader.read(_READ_BYTES):
        for event in splitter.feed(data):
            if isinstance(event, Framed):
                return event.message
            raise PeerProtocolError(f"MLLP: {event.fault.value}")
    raise PeerUnavailable("the connection ended before the acknowledgement")
