"""Faults: an error as SOAP 1.2 says it, and a peer's fault as the exception it is to us.

A fault answers what never became a request. Once the body is decoded, a transaction answers with its own response.

What a newcomer gets wrong: the HTTP status follows from the fault's code alone (400 for Sender, 500 for every other),
and the interesting code is the *subcode*.

Source: SOAP 1.2 part 1, 5.4 (faults), part 2, 7.5.2.2 (status); WS-Addressing SOAP binding 6; WS-Security 1.1, 12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lxml import etree

from profiles.errors import Condition, ExchangeError, PeerRefused
from profiles.wire import xml
from profiles.wire.soap.names import (
    ADDRESSING_FAULT_ACTION,
    ANONYMOUS,
    FAULT,
    SOAP_FAULT_ACTION,
    WSA,
    WSSE,
    S,
)

MAX_QUOTED_CHARACTERS = 300  # of a peer's own words on our timeline


class Code(StrEnum):
    """The five codes of SOAP 1.2."""

    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"
    DATA_ENCODING_UNKNOWN = "DataEncodingUnknown"
    SENDER = "Sender"
    RECEIVER = "Receiver"


@dataclass(frozen=True, slots=True)
class FaultCode:
    """Code and subcodes; a subcode is a prefixed name, the prefix one of `s`, `wsa` and `wsse`."""

    code: Code
    subcodes: tuple[str, ...] = ()


# Names that an error's `code` may give, where its condition alone is not exact.
VERSION_MISMATCH: Final = "s:VersionMismatch"
NOT_UNDERSTOOD: Final = "s:MustUnderstand"
ACTION_NOT_SUPPORTED: Final = "wsa:ActionNotSupported"
HEADER_REQUIRED: Final = "wsa:MessageAddressingHeaderRequired"
INVALID_CARDINALITY: Final = "wsa:InvalidCardinality"
ONLY_ANONYMOUS: Final = "wsa:OnlyAnonymousAddressSupported"
WSSE_UNSUPPORTED: Final = "wsse:UnsupportedSecurityToken"
WSSE_ALGORITHM: Final = "wsse:UnsupportedAlgorithm"
WSSE_INVALID_SECURITY: Final = "wsse:InvalidSecurity"
WSSE_INVALID: Final = "wsse:InvalidSecurityToken"
WSSE_FAILED_AUTHENTICATION: Final = "wsse:FailedAuthentication"
WSSE_FAILED_CHECK: Final = "wsse:FailedCheck"
WSSE_UNAVAILABLE: Final = "wsse:SecurityTokenUnavailable"
WSSE_EXPIRED: Final = "wsse:MessageExpired"

NAMED: Mapping[str, FaultCode] = {
    VERSION_MISMATCH: FaultCode(Code.VERSION_MISMATCH),
    NOT_UNDERSTOOD: FaultCode(Code.MUST_UNDERSTAND),
    ACTION_NOT_SUPPORTED: FaultCode(Code.SENDER, ("wsa:ActionNotSupported",)),
    HEADER_REQUIRED: FaultCode(Code.SENDER, ("wsa:MessageAddressingHeaderRequired",)),
    INVALID_CARDINALITY: FaultCode(Code.SENDER, ("wsa:InvalidAddressingHeader", "wsa:InvalidCardinality")),
    ONLY_ANONYMOUS: FaultCode(Code.SENDER, ("wsa:InvalidAddressingHeader", "wsa:OnlyAnonymousAddressSupported")),
    WSSE_UNSUPPORTED: FaultCode(Code.SENDER, ("wsse:UnsupportedSecurityToken",)),
    WSSE_ALGORITHM: FaultCode(Code.SENDER, ("wsse:UnsupportedAlgorithm",)),
    WSSE_INVALID_SECURITY: FaultCode(Code.SENDER, ("wsse:InvalidSecurity",)),
    WSSE_INVALID: FaultCode(Code.SENDER, ("wsse:InvalidSecurityToken",)),
    WSSE_FAILED_AUTHENTICATION: FaultCode(Code.SENDER, ("wsse:FailedAuthentication",)),
    WSSE_FAILED_CHECK: FaultCode(Code.SENDER, ("wsse:FailedCheck",)),
    WSSE_UNAVAILABLE: FaultCode(Code.SENDER, ("wsse:SecurityTokenUnavailable",)),
    WSSE_EXPIRED: FaultCode(Code.SENDER, ("wsse:MessageExpired",)),
}

FAULTS: Mapping[Condition, FaultCode] = {
    Condition.MALFORMED: FaultCode(Code.SENDER),
    Condition.RULE_VIOLATED: FaultCode(Code.SENDER),
    Condition.UNSUPPORTED: FaultCode(Code.SENDER),
    Condition.UNKNOWN_QUERY: FaultCode(Code.SENDER),
    Condition.UNAUTHENTICATED: FaultCode(Code.SENDER, ("wsse:FailedAuthentication",)),
    Condition.ACCESS_DENIED: FaultCode(Code.SENDER, ("wsse:FailedAuthentication",)),
    Condition.UNKNOWN_PATIENT: FaultCode(Code.SENDER),
    Condition.UNKNOWN_DOCUMENT: FaultCode(Code.SENDER),
    Condition.UNKNOWN_REPOSITORY: FaultCode(Code.SENDER),
    Condition.UNKNOWN_COMMUNITY: FaultCode(Code.SENDER),
    Condition.DUPLICATE: FaultCode(Code.SENDER),
    Condition.IDENTITY_CONFLICT: FaultCode(Code.SENDER),
    Condition.TOO_MANY_RESULTS: FaultCode(Code.SENDER),
    Condition.BUSY: FaultCode(Code.RECEIVER),
    Condition.OUT_OF_RESOURCES: FaultCode(Code.RECEIVER),
    Condition.PEER_UNAVAILABLE: FaultCode(Code.RECEIVER),
    Condition.INTERNAL: FaultCode(Code.RECEIVER),
}
"""Total: most of these are a transaction's own response, and a fault only where nothing was decoded."""


def fault_code(error: ExchangeError) -> FaultCode:
    """Code and subcodes of an error: by its own code if that is a fault's, else by its condition."""
    return NAMED.get(error.code) or FAULTS[error.condition]


def fault_status(code: Code) -> int:
    """The HTTP status that goes with a fault."""
    return 400 if code is Code.SENDER else 500


def encode_fault(error: ExchangeError, *, relates_to: str = "", message_id: str = "", exchange_id: str = "") -> bytes:
    """The envelope of a fault.

    Args:
        error: What went wrong; its detail is the reason, its location and the exchange are in the detail.
        relates_to: MessageID of the request, "" if it could not be read.
        message_id: Of this answer.
        exchange_id: What the operator of this house can look up.
    """
    coded = fault_code(error)
    subcodes = ""
    for name in reversed(coded.subcodes):
        subcodes = f"<s:Subcode><s:Value>{name}</s:Value>{subcodes}</s:Subcode>"
    by_addressing = any(name.startswith("wsa:") for name in coded.subcodes)
    header = f"<wsa:Action>{ADDRESSING_FAULT_ACTION if by_addressing else SOAP_FAULT_ACTION}</wsa:Action>"
    if message_id:
        header += f"<wsa:MessageID>{xml.text(message_id)}</wsa:MessageID>"
    if relates_to:
        header += f"<wsa:RelatesTo>{xml.text(relates_to)}</wsa:RelatesTo>"
    header += f"<wsa:To>{ANONYMOUS}</wsa:To>"
    if coded.code is Code.VERSION_MISMATCH:  # SOAP 1.2 part 1, 5.4.7
        header += f'<s:Upgrade><s:SupportedEnvelope qname="e:Envelope" xmlns:e="{S}"/></s:Upgrade>'
    if coded.code is Code.MUST_UNDERSTAND and error.location.startswith("{"):  # 5.4.8
        namespace, _, name = error.location[1:].partition("}")
        header += f'<s:NotUnderstood qname="n:{xml.attribute(name)}" xmlns:n="{xml.attribute(namespace)}"/>'
    detail = f"<r:condition>{xml.text(error.condition.value)}</r:condition>"
    if error.location:
        detail += f"<r:location>{xml.text(error.location)}</r:location>"
    if exchange_id:
        detail += f"<r:exchange>{xml.text(exchange_id)}</r:exchange>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="{S}" xmlns:wsa="{WSA}" xmlns:wsse="{WSSE}">'
        f"<s:Header>{header}</s:Header>"
        f"<s:Body><s:Fault>"
        f"<s:Code><s:Value>s:{coded.code}</s:Value>{subcodes}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{xml.text(error.detail)}</s:Text></s:Reason>'
        f'<s:Detail><r:error xmlns:r="urn:radgate:error">{detail}</r:error></s:Detail>'
        f"</s:Fault></s:Body></s:Envelope>"
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFault:
    """A fault as a peer sent it: codes as `{namespace}name`, outermost first; the reason in its own words, shortened."""

    codes: tuple[str, ...]
    reason: str


def decode_fault(fault: etree._Element) -> PeerFault:
    """Read a SOAP 1.2 fault, whatever is missing in it."""
    codes: list[str] = []
    level = fault.find(f"{{{S}}}Code")
    while level is not None and len(codes) < 10:
        value = level.find(f"{{{S}}}Value")
        if value is not None:
            codes.append(_qualified(value))
        level = level.find(f"{{{S}}}Subcode")
    reason = " ".join("".join(fault.xpath("string(s:Reason/s:Text)", namespaces={"s": S})).split())
    return PeerFault(codes=tuple(codes), reason=reason[:MAX_QUOTED_CHARACTERS])


def _qualified(value: etree._Element) -> str:
    prefix, colon, name = (value.text or "").strip().rpartition(":")
    namespace = value.nsmap.get(prefix if colon else None)
    return f"{{{namespace}}}{name}" if namespace else name


CURES: Mapping[str, str] = {
    f"{{{WSA}}}ActionNotSupported": "The address does not serve this transaction: check the peer's endpoint for it",
    f"{{{WSA}}}DestinationUnreachable": "Check the peer's endpoint for this transaction",
    f"{{{S}}}MustUnderstand": "The peer does not know a header that we marked; ask it which",
    f"{{{S}}}VersionMismatch": "The peer speaks another SOAP version at this address: check the endpoint",
    f"{{{WSSE}}}FailedAuthentication": "The peer does not accept who we are: give it our certificate",
    f"{{{WSSE}}}InvalidSecurityToken": "The peer does not accept our assertion: name us to it as an issuer, compare clocks",
    f"{{{WSSE}}}InvalidSecurity": "The peer asks for an assertion (XUA): set its send_assertion",
    f"{{{WSSE}}}FailedCheck": "The peer does not accept the signature of our assertion: give it our certificate",
    f"{{{WSSE}}}SecurityTokenUnavailable": "The peer asks for an assertion (XUA): set its send_assertion",
}
"""What an operator can do about a code; the innermost code that is here counts."""


def refusal(fault: PeerFault) -> PeerRefused:
    """A peer's fault as the error that it is to us; `code` is its innermost code."""
    code = fault.codes[-1] if fault.codes else ""
    cure = next((CURES[name] for name in reversed(fault.codes) if name in CURES), "Ask the peer what it means")
    named = code.rpartition("}")[2] or "without a code"
    # Its words are for our operator only: a detail may be passed on to strangers, and who knows what a peer says.
    said = f". It said: {fault.reason}" if fault.reason else ""
    refused = PeerRefused(f"the peer answered with a fault ({named})", code=code, cure=cure + said)
    # SOAP 1.2 part 1, 5.4.6: what a Receiver could not do for reasons of its own may succeed later.
    refused.temporary = fault.codes[:1] == (f"{{{S}}}{Code.RECEIVER}",)
    return refused


def is_fault(body: etree._Element) -> bool:
    """Whether the first child of a SOAP body is a fault."""
    return body.tag == FAULT
