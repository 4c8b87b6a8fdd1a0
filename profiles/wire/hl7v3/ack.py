"""Acknowledgements: how a message was taken, and what was wrong with it.

What a newcomer gets wrong: there are two levels. A feed is answered at *accept* level (CA, CE, CR in MCCI_IN000002UV01),
a query at *application* level (AA, AE, AR inside its answer). Both are one value here, and the level is how it is written.

Source: HL7 V3 MCCI_MT000200UV01, MCCI_MT000300UV01; ITI TF-2x Appendix O.1; ITI TF-2 3.44.4, 3.45.4.2.3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from lxml import etree

from profiles.errors import Condition, ExchangeError, MalformedMessage
from profiles.findings import Decoded, errors_of
from profiles.wire.hl7v3.datatypes import (
    HL7,
    NO_ID,
    InstanceIdentifier,
    child,
    children,
    code_of,
    read_ii,
    said,
    write_ii,
)
from profiles.wire.hl7v3.transmission import UNSENT, Transmission, read_transmission, write_message
from profiles.wire.soap.message import SoapIn, SoapOut, Stamp
from profiles.wire.xml import attribute, text

ACCEPT_ACKNOWLEDGEMENT = "MCCI_IN000002UV01"


class AckCode(StrEnum):
    """AcknowledgementType. The C codes are of accept level."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"
    COMMIT_ACCEPT = "CA"
    COMMIT_ERROR = "CE"
    COMMIT_REJECT = "CR"


AT_ACCEPT_LEVEL: Mapping[AckCode, AckCode] = {
    AckCode.ACCEPT: AckCode.COMMIT_ACCEPT,
    AckCode.ERROR: AckCode.COMMIT_ERROR,
    AckCode.REJECT: AckCode.COMMIT_REJECT,
}

MESSAGE_ERRORS = "2.16.840.1.113883.12.357"  # HL7 table 0357, of which IHE takes 204 and 205
DETAIL_CODES = "2.16.840.1.113883.5.1100"  # AcknowledgementDetailCode
UNKNOWN_KEY = "204"
DUPLICATE_KEY = "205"
RECORD_LOCKED = "206"

DETAILS: Mapping[str, tuple[str, str]] = {
    UNKNOWN_KEY: (MESSAGE_ERRORS, "Unknown key identifier"),
    DUPLICATE_KEY: (MESSAGE_ERRORS, "Duplicate key identifier"),
    RECORD_LOCKED: (MESSAGE_ERRORS, "Application record locked"),
    "SYN": (DETAIL_CODES, "Syntax error"),
    "SYN100": (DETAIL_CODES, "Required association missing"),
    "SYN101": (DETAIL_CODES, "Required attribute missing"),
    "NS200": (DETAIL_CODES, "Unsupported interaction"),
    "NS250": (DETAIL_CODES, "Unsupported processing mode"),
    "NOSTORE": (DETAIL_CODES, "No storage space for message"),
    "RTEDEST": (DETAIL_CODES, "Message routing error, destination unreachable"),
    "INTERR": (DETAIL_CODES, "Internal error"),
}
"""Code system and display name of each code that we write."""

ACKNOWLEDGEMENTS: Mapping[Condition, tuple[AckCode, str]] = {
    Condition.MALFORMED: (AckCode.REJECT, "SYN"),
    Condition.RULE_VIOLATED: (AckCode.ERROR, "SYN"),
    Condition.UNSUPPORTED: (AckCode.REJECT, "NS200"),
    Condition.UNKNOWN_QUERY: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.UNAUTHENTICATED: (AckCode.REJECT, "INTERR"),
    Condition.ACCESS_DENIED: (AckCode.ERROR, "INTERR"),
    Condition.UNKNOWN_PATIENT: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.UNKNOWN_DOCUMENT: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.UNKNOWN_REPOSITORY: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.UNKNOWN_COMMUNITY: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.DUPLICATE: (AckCode.ERROR, DUPLICATE_KEY),
    Condition.IDENTITY_CONFLICT: (AckCode.ERROR, UNKNOWN_KEY),
    Condition.TOO_MANY_RESULTS: (AckCode.ERROR, "INTERR"),
    # Where coming back helps it is a reject: nothing of the message was kept, and it may be sent again as it is.
    Condition.BUSY: (AckCode.REJECT, RECORD_LOCKED),
    Condition.OUT_OF_RESOURCES: (AckCode.REJECT, "NOSTORE"),
    Condition.PEER_UNAVAILABLE: (AckCode.REJECT, "RTEDEST"),
    Condition.INTERNAL: (AckCode.ERROR, "INTERR"),
}
"""The answer to what went wrong, where a finding does not know better. Total over `Condition`."""

_TEMPORARY = frozenset({RECORD_LOCKED, "NOSTORE", "RTEDEST"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AckDetail:
    """One thing that was wrong: its code, where it is (an XPath), and what a person is told; no patient data."""

    code: str
    text: str = ""
    locations: tuple[str, ...] = ()
    type: str = "E"  # or W, I


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """How a message was taken. `target` is the id of that message; it and `transmission` are filled in when it is sent."""

    code: AckCode = AckCode.ACCEPT
    details: tuple[AckDetail, ...] = ()
    target: InstanceIdentifier = NO_ID
    transmission: Transmission = UNSENT

    @property
    def accepted(self) -> bool:
        """The receiver has done it."""
        return self.code in (AckCode.ACCEPT, AckCode.COMMIT_ACCEPT)

    @property
    def is_temporary(self) -> bool:
        """Not accepted, and worth sending again unchanged."""
        codes = {detail.code for detail in self.details}
        rejected = self.code in (AckCode.REJECT, AckCode.COMMIT_REJECT)
        return not self.accepted and (bool(codes & _TEMPORARY) or (not codes and rejected))


ACCEPTED = Acknowledgement()
"""What an actor answers when it has done what was asked."""


def of_error(problem: ExchangeError) -> Acknowledgement:
    """The answer to a message that was refused: each finding that refuses it, else the condition."""
    code, default = ACKNOWLEDGEMENTS[problem.condition]
    details = tuple(
        _detail(finding.code, default, finding.text, finding.location) for finding in errors_of(problem.findings)
    )
    return Acknowledgement(
        code=code, details=details or (_detail(problem.code, default, problem.detail, problem.location),)
    )


def _detail(code: str, default: str, says: str, location: str) -> AckDetail:
    # A path of another wire (PID^1^3) says nothing here.
    locations = (location,) if location.startswith("/") else ()
    return AckDetail(code=code if code in DETAILS else default, text=says, locations=locations)


def stamped(acknowledgement: Acknowledgement, asked: SoapIn, stamp: Stamp) -> Acknowledgement:
    """With the wrapper of an answer to this request."""
    transmission, _ = read_transmission(asked.body, etree.QName(asked.body).localname, accept_acknowledgement="AL")
    return replace(acknowledgement, target=transmission.id, transmission=transmission.answered(stamp.id, stamp.at))


# --- the element ------------------------------------------------------------------------------------------------------


def write_acknowledgement(acknowledgement: Acknowledgement, code: AckCode | None = None) -> Iterator[str]:
    """The element, as answers carry it."""
    yield f'<acknowledgement><typeCode code="{code or acknowledgement.code}"/>'
    yield f"<targetMessage>{write_ii('id', acknowledgement.target)}</targetMessage>"
    for each in acknowledgement.details:
        system, name = DETAILS.get(each.code, ("", ""))
        coded = f' codeSystem="{system}" displayName="{name}"' if system else ""
        yield f'<acknowledgementDetail typeCode="{attribute(each.type)}"><code code="{attribute(each.code)}"{coded}/>'
        yield f"<text>{text(each.text)}</text>" if each.text else ""
        yield "".join(f"<location>{text(location)}</location>" for location in each.locations)
        yield "</acknowledgementDetail>"
    yield "</acknowledgement>"


def read_acknowledgement(root: etree._Element, transmission: Transmission) -> Acknowledgement:
    """The element inside an answer.

    Raises:
        MalformedMessage: There is none, or its code is none of AcknowledgementType.
    """
    at = f"/{etree.QName(root).localname}/acknowledgement"
    element = child(root, "acknowledgement")
    if element is None:
        raise MalformedMessage("the answer has no acknowledgement", location=at)
    try:
        # Senders of before the XML ITS was final write it as an attribute.
        code = AckCode(code_of(element, "typeCode") or element.get("typeCode", ""))
    except ValueError as unknown:
        raise MalformedMessage("not a code of AcknowledgementType", location=f"{at}/typeCode") from unknown
    return Acknowledgement(
        code=code,
        details=tuple(_read_detail(each) for each in children(element, "acknowledgementDetail")),
        target=read_ii(child(element, "targetMessage/id")),
        transmission=transmission,
    )


def _read_detail(element: etree._Element) -> AckDetail:
    kind = element.get("typeCode", "E").strip()
    return AckDetail(
        code=code_of(element, "code"),
        text=said(child(element, "text")),
        locations=tuple(said(each) for each in children(element, "location")),
        type=kind if kind in ("E", "W", "I") else "E",
    )


# --- the answer to a feed ---------------------------------------------------------------------------------------------

ACCEPT_ELEMENT = f"{{{HL7}}}{ACCEPT_ACKNOWLEDGEMENT}"


def decode_accept_acknowledgement(message: SoapIn) -> Decoded[Acknowledgement]:
    """Read MCCI_IN000002UV01; codes of application level are understood too."""
    transmission, findings = read_transmission(message.body, ACCEPT_ACKNOWLEDGEMENT, accept_acknowledgement="NE")
    return Decoded(read_acknowledgement(message.body, transmission), tuple(findings))


def encode_accept_acknowledgement(acknowledgement: Acknowledgement) -> SoapOut:
    """Write MCCI_IN000002UV01."""
    code = AT_ACCEPT_LEVEL.get(acknowledgement.code, acknowledgement.code)
    return write_message(
        ACCEPT_ACKNOWLEDGEMENT,
        acknowledgement.transmission,
        write_acknowledgement(acknowledgement, code),
        accept_acknowledgement="NE",
    )
