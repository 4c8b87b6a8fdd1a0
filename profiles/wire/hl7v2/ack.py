"""Acknowledgements: MSA and ERR, read and written, and the one table from condition to code.

An acknowledgement is written as the version of the message that it answers wants it: up to 2.4 the text is in MSA-3 and
the error in ERR-1; from 2.5 on MSA has two fields and each error is a segment of its own.

What a newcomer gets wrong: AE and AR are not degrees. AE says "this message is wrong, do not send it again as it is", AR
says "not now or not here", so that a sender keeps the message. Senders in the field use both for both, which is why
`Acknowledgement.is_temporary` looks at the code.

Source: HL7 v2.3.1 2.24.3, v2.5 2.14.5 (ERR), 2.14.8 (MSA), tables 0008, 0357; ITI TF-2x Appendix C.2.3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from profiles.errors import Condition, ExchangeError, MalformedMessage
from profiles.findings import Decoded, Finding, Severity, errors_of
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.message import (
    Component,
    Message,
    Segment,
    Written,
    header_of,
    read_message,
    write_message,
    written,
)
from profiles.wire.hl7v2.segments import Header, read_header, write_header


class AckCode(StrEnum):
    """MSA-1, table 0008. The C codes are of enhanced mode, which we read and do not write."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"
    COMMIT_ACCEPT = "CA"
    COMMIT_ERROR = "CE"
    COMMIT_REJECT = "CR"


CODES_0357: Mapping[str, str] = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}

ACKNOWLEDGEMENTS: Mapping[Condition, tuple[AckCode, str]] = {
    Condition.MALFORMED: (AckCode.REJECT, "100"),
    Condition.RULE_VIOLATED: (AckCode.ERROR, "102"),
    Condition.UNSUPPORTED: (AckCode.REJECT, "200"),
    Condition.UNKNOWN_QUERY: (AckCode.REJECT, "201"),
    Condition.UNAUTHENTICATED: (AckCode.REJECT, "207"),
    Condition.ACCESS_DENIED: (AckCode.ERROR, "207"),
    Condition.UNKNOWN_PATIENT: (AckCode.ERROR, "204"),
    Condition.UNKNOWN_DOCUMENT: (AckCode.ERROR, "204"),
    Condition.UNKNOWN_REPOSITORY: (AckCode.ERROR, "207"),
    Condition.UNKNOWN_COMMUNITY: (AckCode.ERROR, "207"),
    Condition.DUPLICATE: (AckCode.ERROR, "205"),
    Condition.IDENTITY_CONFLICT: (AckCode.ERROR, "204"),
    Condition.TOO_MANY_RESULTS: (AckCode.ERROR, "207"),
    # Where coming back helps we say AR: a sender that gets AE takes the message out of its queue, and it is lost.
    Condition.BUSY: (AckCode.REJECT, "206"),
    Condition.OUT_OF_RESOURCES: (AckCode.REJECT, "207"),
    Condition.PEER_UNAVAILABLE: (AckCode.REJECT, "207"),
    Condition.INTERNAL: (AckCode.ERROR, "207"),
}
"""MSA-1 and ERR-3 of what went wrong, where a finding does not know better. Total over `Condition`."""

_ALWAYS_REJECTED = frozenset({"200", "201", "202", "203"})  # not my message, event, processing id, version
_TEMPORARY = frozenset({"206", "207"})
_LOCATION = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^\d+){0,5}")

UNKNOWN_VERSION = "2.5"  # of an acknowledgement to a message that names none


@dataclass(frozen=True, slots=True, kw_only=True)
class AckError:
    """One error: its code of table 0357, where it is (`PID^1^3^1^4`), and what a person is told; no patient data."""

    code: str
    location: str = ""
    text: str = ""
    severity: str = "E"  # or W, I


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What a receiver answered. `message_control_id` is MSA-2: whose answer it is; ours is filled in when written."""

    code: AckCode = AckCode.ACCEPT
    message_control_id: str = ""
    text: str = ""
    errors: tuple[AckError, ...] = ()

    @property
    def accepted(self) -> bool:
        """The receiver has it."""
        return self.code in (AckCode.ACCEPT, AckCode.COMMIT_ACCEPT)

    @property
    def is_temporary(self) -> bool:
        """Not accepted, and worth sending again unchanged."""
        if self.accepted:
            return False
        codes = {error.code for error in self.errors}
        return bool(codes & _TEMPORARY) or (not codes and self.code in (AckCode.REJECT, AckCode.COMMIT_REJECT))


ACCEPTED = Acknowledgement()
"""What an actor answers when it has done what was asked."""


def of_error(error: ExchangeError) -> Acknowledgement:
    """The answer to a message that was refused: each finding that refuses it, else the condition."""
    ack, default = ACKNOWLEDGEMENTS[error.condition]
    errors = tuple(_of_finding(finding, default) for finding in errors_of(error.findings))
    if not errors:
        code = error.code if error.code in CODES_0357 else default
        errors = (AckError(code=code, location=_location(error.location), text=error.detail),)
    if errors[0].code in _ALWAYS_REJECTED:
        ack = AckCode.REJECT
    return Acknowledgement(code=ack, text=error.detail, errors=errors)


def _of_finding(finding: Finding, default: str) -> AckError:
    code = finding.code if finding.code in CODES_0357 else default
    return AckError(code=code, location=_location(finding.location), text=finding.text)


def _location(text: str) -> str:
    return text if _LOCATION.fullmatch(text) else ""


# --- writing ----------------------------------------------------------------------------------------------------------


def write_acknowledgement(acknowledgement: Acknowledgement, message: bytes, out: Hl7Out) -> bytes:
    """The acknowledgement of a message, without its MLLP frame.

    MSH-3/4 and 5/6 change places, MSH-11, MSH-12 and the trigger event are those of the message, MSA-2 is its MSH-10 to
    the letter. Only `control_id` and `at` are taken from `out`.

    Args:
        acknowledgement: What to say.
        message: What is answered.
        out: The new MSH-10, and the time.

    Raises:
        MalformedMessage: The message has no MSH-10 that could be read: nobody could tell whose answer it is.

    Source: ITI TF-2x Appendix C.2.3; HL7 v2.5 2.9.2.
    """
    msh, header = _salvaged(message)
    address = header.address
    version = header.version or UNKNOWN_VERSION
    swapped = Hl7Address(
        sending_application=address.receiving_application,
        sending_facility=address.receiving_facility,
        receiving_application=address.sending_application,
        receiving_facility=address.sending_facility,
    )
    mirrored = Hl7Out(
        address=swapped, control_id=out.control_id, at=out.at, processing_id=header.processing_id or out.processing_id
    )
    since_2_5 = is_since_2_5(version)
    kind = ("ACK", header.trigger_event, "ACK") if since_2_5 else ("ACK", header.trigger_event)
    segments = [write_header(mirrored, kind, version)]
    errors = acknowledgement.errors
    if since_2_5:
        segments.append(written("MSA", {1: acknowledgement.code, 2: header.control_id}))
        segments += map(_error_segment, errors)
    else:
        segments.append(written("MSA", {1: acknowledgement.code, 2: header.control_id, 3: acknowledgement.text}))
        if errors:
            segments.append(written("ERR", {1: [_error_value(error) for error in errors]}))
    return write_message(segments, charset=msh.text(18))


def _error_segment(error: AckError) -> Written:
    return written(
        "ERR",
        {
            2: tuple(error.location.split("^")),
            3: (error.code, CODES_0357.get(error.code, ""), "HL70357"),
            4: error.severity,
            8: error.text,
        },
    )


def _error_value(error: AckError) -> tuple[Component, ...]:
    segment, sequence, number = [*error.location.split("^"), "", "", ""][:3]
    return (segment, sequence, number, (error.code, CODES_0357.get(error.code, ""), "HL70357"))


def is_since_2_5(version: str) -> bool:
    """The version has ERR as 2.5 made it. What is no version counts as an old one: its sender is."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    if not (version.isascii() and major.isdigit() and minor.isdigit()) or len(version) > 20:
        return False
    return (int(major), int(minor)) >= (2, 5)


def _salvaged(message: bytes) -> tuple[Segment, Header]:
    """MSH, even one whose delimiters are wrong, as long as it has a control id."""
    try:
        msh = header_of(message)
    except MalformedMessage:
        line = message[: 4 * 1024].lstrip(b"\r\n").partition(b"\r")[0]
        if not line.startswith(b"MSH") or len(line) < 8:  # MSH, MSH-1 and MSH-2
            raise
        separator = line[3:4]
        fields = line.decode("iso8859-1").split(separator.decode("iso8859-1"))
        repaired = b"|".join((b"MSH", b"^~\\&", *(each.encode("iso8859-1") for each in fields[2:])))
        if separator.isalnum():
            raise
        msh = header_of(repaired)
    header = read_header(msh)
    if not header.control_id.strip():
        raise MalformedMessage("without MSH-10 nobody could tell whose answer it is", code="101", location="MSH^1^10")
    return msh, header


# --- reading ----------------------------------------------------------------------------------------------------------


def read_acknowledgement(data: bytes) -> Decoded[Acknowledgement]:
    """Read a peer's acknowledgement, of any version; also the MSA and ERR of a query's response.

    Raises:
        MalformedMessage: It is no HL7 v2 message, has no MSA, or MSA-1 is none of table 0008.
    """
    message = read_message(data)
    msa = message.first("MSA")
    if msa is None:
        raise MalformedMessage("the answer has no MSA", code="100", location="MSA^1")
    try:
        code = AckCode(msa.text(1).upper())
    except ValueError as unknown:
        raise MalformedMessage("MSA-1 is none of table 0008", code="103", location="MSA^1^1") from unknown
    errors = tuple(error for segment in message.all("ERR") for error in _errors_of(segment))
    text = msa.text(3) or next((error.text for error in errors if error.text), "")
    findings = message.findings + tuple(_contradictions(message, code, errors))
    return Decoded(Acknowledgement(code=code, message_control_id=msa.value(2).text, text=text, errors=errors), findings)


def _errors_of(segment: Segment) -> tuple[AckError, ...]:
    if segment.has(3):
        return (
            AckError(
                code=segment.part(3, 1),
                location=_location_of(segment, 2),
                text=segment.text(8) or segment.text(7) or segment.part(3, 2),
                severity=segment.text(4) or "E",
            ),
        )
    return tuple(
        AckError(
            code=value.part(4, 1),
            location="^".join(value.part(number) for number in (1, 2, 3)).rstrip("^"),
            text=value.part(4, 2),
        )
        for value in segment.values(1)
        if value.part(4, 1)
    )


def _location_of(segment: Segment, number: int) -> str:
    value = segment.value(number)
    return "^".join(component[0].strip() for component in value.parts()).rstrip("^")


def _contradictions(message: Message, code: AckCode, errors: tuple[AckError, ...]) -> tuple[Finding, ...]:
    refusing = [error for error in errors if error.severity == "E" and error.code != "0"]
    if code in (AckCode.ACCEPT, AckCode.COMMIT_ACCEPT) and refusing:
        return (
            Finding(
                rule="hl7.accepted-with-error",
                text="accepted, and an error beside it",
                severity=Severity.WARNING,
                location="MSA^1^1",
            ),
        )
    return ()
