"""ITI-44 on the wire: one interaction for each event, each answered by MCCI_IN000002UV01.

Source: ITI TF-2 3.44.4.1.2, 3.44.4.2.2.
"""

from profiles.errors import ExchangeError
from profiles.findings import Decoded
from profiles.pixv3.iti44.messages import Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.wire.hl7v3.ack import decode_accept_acknowledgement as decode_response
from profiles.wire.hl7v3.ack import encode_accept_acknowledgement as encode_response
from profiles.wire.hl7v3.ack import of_error, stamped
from profiles.wire.hl7v3.feed import read_record, write_record
from profiles.wire.soap.message import SoapIn, SoapOut

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse", "stamped"]


def decode_request(message: SoapIn, event: RecordEvent) -> Decoded[PatientRecordRequest]:
    """Read the interaction of an event; see `read_record`."""
    return read_record(message, event)


def encode_request(request: PatientRecordRequest) -> SoapOut:
    """Write the interaction of the request's own event."""
    return write_record(request)


def refuse(error: ExchangeError) -> Acknowledgement:
    """The acknowledgement of what was refused."""
    return of_error(error)
