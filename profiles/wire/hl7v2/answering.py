"""How every transaction that is answered by a plain acknowledgement reads and writes its response."""

from profiles.errors import ExchangeError
from profiles.findings import Decoded
from profiles.wire.hl7v2.ack import Acknowledgement, of_error, read_acknowledgement, write_acknowledgement
from profiles.wire.hl7v2.address import Hl7Out


def decode_response(data: bytes) -> Decoded[Acknowledgement]:
    """Read a peer's acknowledgement."""
    return read_acknowledgement(data)


def respond(response: Acknowledgement, request: bytes, out: Hl7Out) -> bytes:
    """Write ours; MSH and MSA-2 mirror the request."""
    return write_acknowledgement(response, request, out)


def refuse(error: ExchangeError, request: bytes, out: Hl7Out) -> bytes:
    """Write the acknowledgement of what was refused."""
    return write_acknowledgement(of_error(error), request, out)
