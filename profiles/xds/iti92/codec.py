"""ITI-92 on the wire: as ITI-57; a policy that forbids it has a code of its own.

Source: ITI TF-2 3.92.4.
"""

from profiles.errors import AccessDenied, ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, Speaker, errors_of, status_of
from profiles.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST, read_submission, submit_objects_request
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti92.messages import RestrictedUpdateRequest


def encode_request(request: RestrictedUpdateRequest) -> SoapOut:
    """Write the request."""
    return SoapOut(body=pieces(submit_objects_request(request.submission)))


def decode_request(message: SoapIn) -> Decoded[RestrictedUpdateRequest]:
    """Read the request.

    Raises:
        MalformedMessage: It is another element.
        RuleViolation: The metadata cannot be read as registry objects.
    """
    if message.body.tag != SUBMIT_OBJECTS_REQUEST:
        raise MalformedMessage("no lcm:SubmitObjectsRequest", location="Body")
    findings: list[Finding] = []
    submission = read_submission(message.body, findings)
    return Decoded(RestrictedUpdateRequest(submission=submission), tuple(findings))


def refuse(error: ExchangeError) -> RegistryResponse:
    """An error as the responder's answer: nothing was changed."""
    if isinstance(error, AccessDenied):
        denied = RegistryError(
            code=error.code or "LocalPolicyRestrictionError", context=error.detail, location=error.location
        )
        return RegistryResponse(status=status_of((denied,)), errors=(denied,))
    errors = errors_of(error, Speaker.REGISTRY)
    return RegistryResponse(status=status_of(errors), errors=errors)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
