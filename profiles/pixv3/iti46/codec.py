"""ITI-46 on the wire: PRPA_IN201302UV02, answered by MCCI_IN000002UV01.

Source: ITI TF-2 3.46.4.1.2.
"""

from functools import partial

from profiles.wire.hl7v3.ack import decode_accept_acknowledgement as decode_response
from profiles.wire.hl7v3.ack import encode_accept_acknowledgement as encode_response
from profiles.wire.hl7v3.ack import of_error as refuse
from profiles.wire.hl7v3.ack import stamped
from profiles.wire.hl7v3.feed import RecordEvent, read_record
from profiles.wire.hl7v3.feed import write_record as encode_request

decode_request = partial(read_record, event=RecordEvent.REVISE)

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse", "stamped"]
