"""ITI-61 on the wire: `lcm:SubmitObjectsRequest` there, `rs:RegistryResponse` back, as in ITI-42.

Source: ITI TF-2 3.61.4.
"""

from profiles.findings import Decoded
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.provide import (
    refuse_registration as refuse,
)
from profiles.wire.ebxml.submission import decode_submission, encode_submission
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti61.messages import RegisterOnDemandRequest


def encode_request(request: RegisterOnDemandRequest) -> SoapOut:
    """Write the request."""
    return encode_submission(request.submission)


def decode_request(message: SoapIn) -> Decoded[RegisterOnDemandRequest]:
    """Read the request; see `decode_submission`."""
    decoded = decode_submission(message)
    return Decoded(RegisterOnDemandRequest(submission=decoded.value), decoded.findings)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
