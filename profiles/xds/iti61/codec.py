"""ITI-61 on the wire: `lcm:SubmitObjectsRequest` there, `rs:RegistryResponse` back, as in ITI-42.

Source: ITI TF-2 3.61.4.
"""

from profiles.errors import ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.response import RegistryResponse, Speaker, errors_of, status_of
from profiles.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST, read_submission, submit_objects_request
from profiles.wire.ebxml.xml import pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xds.iti61.messages import RegisterOnDemandRequest


def encode_request(request: RegisterOnDemandRequest) -> SoapOut:
    """Write the request."""
    return SoapOut(body=pieces(submit_objects_request(request.submission)))


def decode_request(message: SoapIn) -> Decoded[RegisterOnDemandRequest]:
    """Read the request.

    Raises:
        MalformedMessage: It is another element.
        RuleViolation: The metadata cannot be read as registry objects.
    """
    if message.body.tag != SUBMIT_OBJECTS_REQUEST:
        raise MalformedMessage("no lcm:SubmitObjectsRequest", location="Body")
    findings: list[Finding] = []
    submission = read_submission(message.body, findings)
    return Decoded(RegisterOnDemandRequest(submission=submission), tuple(findings))


def refuse(error: ExchangeError) -> RegistryResponse:
    """An error as the registry's answer: nothing was registered."""
    errors = errors_of(error, Speaker.REGISTRY)
    return RegistryResponse(status=status_of(errors), errors=errors)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
