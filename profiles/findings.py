"""What a decoder or a check noticed. Decoders tolerate and report; the gateway logs, conformance fails on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Severity(StrEnum):
    """ERROR refuses the message in the gateway; WARNING travels as a warning where the wire has one."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule broken, at one place.

    `rule` is our id of the rule, `code` the wire's detailed code (XDS error code, HL7 0357 code, FHIR issue code; "" when
    the wire has no better one than the condition's). `text` may be read by strangers: no patient data.
    """

    rule: str
    text: str
    severity: Severity = Severity.ERROR
    code: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """A value that was read, and what was odd about how it was written."""

    value: T
    findings: tuple[Finding, ...] = ()


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that refuse the message."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)
