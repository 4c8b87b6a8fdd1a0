"""One tree of errors, ordered by who must act; each wire has one literal table from `Condition` to its own code.

`detail` and `location` may be read by strangers: no patient data. `cure` is for the operator's timeline. Translate with
`from`, catch only what you can improve; partial success is a response whose parts have outcomes, never an exception.
"""

from enum import StrEnum
from typing import ClassVar

from profiles.findings import Finding


class Condition(StrEnum):
    """The closed list. A house test keeps every wire's table total over it."""

    MALFORMED = "malformed"
    RULE_VIOLATED = "rule violated"
    UNSUPPORTED = "unsupported"
    UNKNOWN_QUERY = "unknown query"
    UNAUTHENTICATED = "unauthenticated"
    ACCESS_DENIED = "access denied"
    UNKNOWN_PATIENT = "unknown patient"
    UNKNOWN_DOCUMENT = "unknown document"
    UNKNOWN_REPOSITORY = "unknown repository"
    UNKNOWN_COMMUNITY = "unknown community"
    DUPLICATE = "duplicate"
    IDENTITY_CONFLICT = "identity conflict"
    TOO_MANY_RESULTS = "too many results"
    BUSY = "busy"
    OUT_OF_RESOURCES = "out of resources"
    PEER_UNAVAILABLE = "peer unavailable"
    INTERNAL = "internal"


class ExchangeError(Exception):
    """Something that a peer must be told.

    Args:
        detail: What is wrong, in one sentence, safe to tell a peer.
        location: Where: a path, an element, a URI, a UID.
        code: The wire's own code where the condition's default is not exact (`XDSNonIdenticalHash`).
        cure: What the operator can do about it.
        findings: The rules that were broken.
    """

    condition: ClassVar[Condition] = Condition.INTERNAL

    def __init__(
        self,
        detail: str,
        *,
        location: str = "",
        code: str = "",
        cure: str = "",
        findings: tuple[Finding, ...] = (),
    ) -> None:
        """Keep what was said."""
        super().__init__(detail)
        self.detail = detail
        self.location = location
        self.code = code
        self.cure = cure
        self.findings = findings


class RequestError(ExchangeError):
    """The peer must change what it sent."""

    condition = Condition.RULE_VIOLATED


class MalformedMessage(RequestError):
    """It cannot be read: syntax, framing, encoding, or a limit."""

    condition = Condition.MALFORMED


class RuleViolation(RequestError):
    """It can be read and breaks a rule; `findings` say which."""

    condition = Condition.RULE_VIOLATED


class UnmappedCode(RuleViolation):
    """The affinity domain's table of codes has nothing for what a study says; a person adds it."""


class Unsupported(RequestError):
    """We do not do this: an action, a media type, a transfer syntax, an option."""

    condition = Condition.UNSUPPORTED


class UnknownQuery(RequestError):
    """No such stored query."""

    condition = Condition.UNKNOWN_QUERY


class Unauthenticated(RequestError):
    """We do not know who is asking."""

    condition = Condition.UNAUTHENTICATED


class AccessDenied(RequestError):
    """We know who is asking, and they may not."""

    condition = Condition.ACCESS_DENIED


class UnknownPatient(RequestError):
    """No such patient in the domain that the transaction is about."""

    condition = Condition.UNKNOWN_PATIENT


class UnknownDocument(RequestError):
    """No such document, instance, study or resource."""

    condition = Condition.UNKNOWN_DOCUMENT


class UnknownRepository(RequestError):
    """The repository (or retrieve location) that was named is not ours."""

    condition = Condition.UNKNOWN_REPOSITORY


class UnknownCommunity(RequestError):
    """The home community that was named is not known."""

    condition = Condition.UNKNOWN_COMMUNITY


class Duplicate(RequestError):
    """An id that must be new is in use."""

    condition = Condition.DUPLICATE


class IdentityConflict(RequestError):
    """Two statements about whose it is that cannot both be true."""

    condition = Condition.IDENTITY_CONFLICT


class TooManyResults(RequestError):
    """More matches than may be answered."""

    condition = Condition.TOO_MANY_RESULTS


class PeerError(ExchangeError):
    """Somebody we depend on failed us. `temporary`: worth coming back; not `sent`: no word of ours has reached it."""

    condition = Condition.PEER_UNAVAILABLE
    temporary: bool = True
    sent: bool = True


class PeerUnavailable(PeerError):
    """No connection, or it broke."""


class PeerTimeout(PeerError):
    """Nothing came for longer than we wait."""


class PeerRefused(PeerError):
    """The peer answered with an error of its own; `code` is the one that it used."""

    temporary = False


class PeerProtocolError(PeerError):
    """The peer's answer cannot be read or contradicts itself or what was asked."""

    temporary = False


class HouseError(ExchangeError):
    """Our fault."""

    condition = Condition.INTERNAL


class Busy(HouseError):
    """Too much at once; come back in `retry_after_s` seconds."""

    condition = Condition.BUSY
    retry_after_s: int = 5


class OutOfResources(HouseError):
    """Disk or memory is full."""

    condition = Condition.OUT_OF_RESOURCES


class InternalFault(HouseError):
    """A defect of ours. Never carries the text of the exception behind it."""

    condition = Condition.INTERNAL
