"""Errors as FHIR says them: an HTTP status and an OperationOutcome.

Source: HL7 FHIR R4, OperationOutcome; RESTful API (status codes); ITI TF-2 Appendix Z.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from profiles.errors import Busy, Condition, ExchangeError, OutOfResources, PeerTimeout
from profiles.findings import Finding, Severity
from profiles.wire.fhir.datatypes import Json, filled, text


class Verdict(NamedTuple):
    """How an error is answered: HTTP status and issue type."""

    status: int
    issue: str


OUTCOMES: Mapping[Condition, Verdict] = {
    Condition.MALFORMED: Verdict(400, "invalid"),
    Condition.RULE_VIOLATED: Verdict(422, "business-rule"),
    Condition.UNSUPPORTED: Verdict(400, "not-supported"),
    Condition.UNKNOWN_QUERY: Verdict(400, "not-supported"),
    Condition.UNAUTHENTICATED: Verdict(401, "login"),
    Condition.ACCESS_DENIED: Verdict(403, "forbidden"),
    Condition.UNKNOWN_PATIENT: Verdict(404, "not-found"),
    Condition.UNKNOWN_DOCUMENT: Verdict(404, "not-found"),
    Condition.UNKNOWN_REPOSITORY: Verdict(404, "not-found"),
    Condition.UNKNOWN_COMMUNITY: Verdict(404, "not-found"),
    Condition.DUPLICATE: Verdict(409, "duplicate"),
    Condition.IDENTITY_CONFLICT: Verdict(409, "conflict"),
    Condition.TOO_MANY_RESULTS: Verdict(400, "too-costly"),
    Condition.BUSY: Verdict(503, "transient"),
    Condition.OUT_OF_RESOURCES: Verdict(503, "transient"),
    Condition.PEER_UNAVAILABLE: Verdict(503, "transient"),
    Condition.INTERNAL: Verdict(500, "exception"),
}
"""Total: a house test holds it to `Condition`."""

METHOD_NOT_ALLOWED = "method-not-allowed"
NOT_ACCEPTABLE = "not-acceptable"
UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"

EXACT: Mapping[str, Verdict] = {
    "value": Verdict(400, "value"),
    "required": Verdict(400, "required"),
    "invalid": Verdict(400, "invalid"),
    "not-supported": Verdict(400, "not-supported"),
    "deleted": Verdict(410, "deleted"),
    "too-long": Verdict(413, "too-long"),
    "throttled": Verdict(429, "throttled"),
    METHOD_NOT_ALLOWED: Verdict(405, "not-supported"),
    NOT_ACCEPTABLE: Verdict(406, "not-supported"),
    UNSUPPORTED_MEDIA_TYPE: Verdict(415, "not-supported"),
}
"""`ExchangeError.code`, where the condition alone would be vague: FHIR's issue types, and HTTP's three refusals."""

RETRY_AFTER_S = 30  # for a disk or a peer that is not there now; a house that is only busy says its own

_ELEMENT = re.compile(r"[A-Z][A-Za-z]+(\.[A-Za-z]+(\[[0-9x]+\])?)+")
_HTTP = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,99}")  # a parameter or a header


def verdict_of(error: ExchangeError) -> Verdict:
    """The code if it is one of ours, else the condition."""
    if isinstance(error, PeerTimeout):
        return Verdict(504, "timeout")
    return EXACT.get(error.code) or OUTCOMES[error.condition]


def headers_of(error: ExchangeError) -> tuple[tuple[str, str], ...]:
    """What HTTP wants beside the status: how to log in, when to come back."""
    status = verdict_of(error).status
    if status == 401:
        return (("WWW-Authenticate", 'Bearer realm="radgate"'),)
    if status == 405:
        return (("Allow", "GET, HEAD"),)  # nothing here is written to
    if isinstance(error, Busy):
        return (("Retry-After", str(error.retry_after_s)),)
    if status == 503 or isinstance(error, OutOfResources):
        return (("Retry-After", str(RETRY_AFTER_S)),)
    return ()


def outcome(error: ExchangeError) -> Json:
    """The OperationOutcome of an error: one issue for it, or one for each of its findings.

    `diagnostics` is the sentence that a stranger may read. Where it is stands in `expression` for an element and in
    `location` for a parameter or header, which are no elements: `http.` and its name.
    """
    verdict = verdict_of(error)
    if error.findings:
        return _outcome(issue(finding, verdict.issue) for finding in error.findings)
    severity = "fatal" if error.condition is Condition.INTERNAL else "error"
    return _outcome([_issue(severity, verdict.issue, error.detail, error.location)])


def warnings(findings: Iterable[Finding]) -> Json:
    """The OperationOutcome that travels beside a good answer."""
    return _outcome(issue(finding, "incomplete") for finding in findings)


def issue(finding: Finding, code: str) -> Json:
    """A finding as an issue; `code` is for those that have none of FHIR's own."""
    severity = "error" if finding.severity is Severity.ERROR else "warning"
    exact = EXACT.get(finding.code)
    return _issue(severity, exact.issue if exact else code, finding.text, finding.location)


def _issue(severity: str, code: str, diagnostics: str, location: str) -> Json:
    element = [location] if _ELEMENT.fullmatch(location) else None
    http = [f"http.{location}"] if element is None and _HTTP.fullmatch(location) else None
    return filled(severity=severity, code=code, diagnostics=text(diagnostics), location=http, expression=element)


def _outcome(issues: Iterable[Json]) -> Json:
    return {"resourceType": "OperationOutcome", "issue": list(issues)}
