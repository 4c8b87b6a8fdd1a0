"""Conditions as DICOM says them: HTTP status of DICOMweb, Failure Reason of STOW-RS and status of DIMSE.

Source: DICOM PS3.18 8.5, 10.4.3.3, 10.5.3, Annex I; PS3.7 Annex C; PS3.4 B.2.3.
"""

from collections.abc import Mapping

from profiles.errors import Busy, Condition, ExchangeError, OutOfResources, PeerTimeout

HTTP_STATUS: Mapping[Condition, int] = {
    Condition.MALFORMED: 400,
    Condition.RULE_VIOLATED: 400,
    Condition.UNSUPPORTED: 406,
    Condition.UNKNOWN_QUERY: 400,
    Condition.UNAUTHENTICATED: 401,
    Condition.ACCESS_DENIED: 403,
    Condition.UNKNOWN_PATIENT: 404,
    Condition.UNKNOWN_DOCUMENT: 404,
    Condition.UNKNOWN_REPOSITORY: 404,
    Condition.UNKNOWN_COMMUNITY: 404,
    Condition.DUPLICATE: 409,
    Condition.IDENTITY_CONFLICT: 409,
    Condition.TOO_MANY_RESULTS: 413,
    Condition.BUSY: 503,
    Condition.OUT_OF_RESOURCES: 507,
    Condition.PEER_UNAVAILABLE: 502,
    Condition.INTERNAL: 500,
}
"""Total: a house test holds it to `Condition`."""

FAILURE_REASONS: Mapping[Condition, int] = {
    Condition.MALFORMED: 0xC000,  # cannot understand
    Condition.RULE_VIOLATED: 0xA900,  # data set does not match
    Condition.UNSUPPORTED: 0xC122,  # referenced transfer syntax not supported
    Condition.UNKNOWN_QUERY: 0x0110,
    Condition.UNAUTHENTICATED: 0x0124,
    Condition.ACCESS_DENIED: 0x0124,
    Condition.UNKNOWN_PATIENT: 0x0110,  # processing failure
    Condition.UNKNOWN_DOCUMENT: 0x0112,  # no such object instance
    Condition.UNKNOWN_REPOSITORY: 0x0112,
    Condition.UNKNOWN_COMMUNITY: 0x0110,
    Condition.DUPLICATE: 0x0111,  # duplicate SOP instance
    Condition.IDENTITY_CONFLICT: 0xA900,
    Condition.TOO_MANY_RESULTS: 0xA700,
    Condition.BUSY: 0xA700,  # out of resources
    Condition.OUT_OF_RESOURCES: 0xA700,
    Condition.PEER_UNAVAILABLE: 0x0110,
    Condition.INTERNAL: 0x0110,
}
"""Failure Reason (0008,1197), which is the DIMSE status of the same failure. Total as well."""

METHOD_NOT_ALLOWED = "method-not-allowed"
NOT_ACCEPTABLE = "not-acceptable"
UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
TOO_LONG = "too-long"
BAD_REQUEST = "bad-request"

EXACT: Mapping[str, int] = {
    BAD_REQUEST: 400,
    METHOD_NOT_ALLOWED: 405,
    NOT_ACCEPTABLE: 406,
    "deleted": 410,
    TOO_LONG: 413,
    UNSUPPORTED_MEDIA_TYPE: 415,
}
"""`ExchangeError.code`, where the condition alone would be vague."""

COERCED = 0xB000

RETRY_AFTER_S = 30  # for a disk or a peer that is not there now; a house that is only busy says its own


def http_status_of(error: ExchangeError) -> int:
    """The code if it is one of ours, else the condition."""
    if isinstance(error, PeerTimeout):
        return 504
    return EXACT.get(error.code) or HTTP_STATUS[error.condition]


def failure_reason_of(error: ExchangeError) -> int:
    """Failure Reason of one instance."""
    return FAILURE_REASONS[error.condition]


def headers_of(error: ExchangeError) -> tuple[tuple[str, str], ...]:
    """What HTTP wants beside the status: how to log in, when to come back."""
    status = http_status_of(error)
    if status == 401:
        return (("WWW-Authenticate", 'Bearer realm="radgate"'),)
    if isinstance(error, Busy):
        return (("Retry-After", str(error.retry_after_s)),)
    if status == 503 or isinstance(error, OutOfResources):
        return (("Retry-After", str(RETRY_AFTER_S)),)
    return ()
