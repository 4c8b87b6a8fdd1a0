"""ITI-92 on the wire: as ITI-57; a policy that forbids it has a code of its own.

Source: ITI TF-2 3.92.4.
"""

from profiles.errors import AccessDenied, ExchangeError
from profiles.findings import Decoded
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.provide import refuse_registration
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, status_of
from profiles.wire.ebxml.submission import decode_submission, encode_submission
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti92.messages import RestrictedUpdateRequest


def encode_request(request: RestrictedUpdateRequest) -> SoapOut:
    """Write the request."""
    return encode_submission(request.submission)


def decode_request(message: SoapIn) -> Decoded[RestrictedUpdateRequest]:
    """Read the request; see `decode_submission`."""
    decoded = decode_submission(message)
    return Decoded(RestrictedUpdateRequest(submission=decoded.value), decoded.findings)


def refuse(error: ExchangeError) -> RegistryResponse:
    """An error as the responder's answer: nothing was changed."""
    if isinstance(error, AccessDenied):
        denied = RegistryError(
            code=error.code or "LocalPolicyRestrictionError", context=error.detail, location=error.location
        )
        return RegistryResponse(status=status_of((denied,)), errors=(denied,))
    return refuse_registration(error)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
