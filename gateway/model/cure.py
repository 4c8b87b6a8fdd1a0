"""What an operator can do about an error that does not say so itself.

Whoever raises knows most, and names the cure where it is particular. Where it is not, the condition still tells who must
act, and a timeline that only says what is wrong leaves the reader alone.
"""

from collections.abc import Mapping
from typing import Final

from profiles.errors import Condition, ExchangeError

CURES: Final[Mapping[Condition, str]] = {
    Condition.MALFORMED: "The sender mends what it sends; it was not kept",
    Condition.RULE_VIOLATED: "The sender corrects it and sends it again",
    Condition.UNSUPPORTED: "Check which address and which form the sender uses; we do not do this",
    Condition.UNKNOWN_QUERY: "The sender asks one of the stored queries that are served here",
    Condition.UNAUTHENTICATED: "Put their certificate or token into a [[peer]]",
    Condition.ACCESS_DENIED: "If they may, add it to the scopes of the [[peer]]",
    Condition.UNKNOWN_PATIENT: "Have the patient's identity fed by ADT, then let it be sent again",
    Condition.UNKNOWN_DOCUMENT: "Check the id; it may have been replaced, or never have been here",
    Condition.UNKNOWN_REPOSITORY: "Compare the repository id with the one in our settings",
    Condition.UNKNOWN_COMMUNITY: "Compare the home community id with the peers in our settings",
    Condition.DUPLICATE: "The sender uses a new id, or looks whether the first one arrived",
    Condition.IDENTITY_CONFLICT: "Find out whose it is; a merge (ADT A40) or the sender mends it",
    Condition.TOO_MANY_RESULTS: "The asker narrows the question",
    Condition.BUSY: "It can be sent again in a moment; if it goes on, look at disk and load of this house",
    Condition.OUT_OF_RESOURCES: "Free or add disk space, then let it be sent again",
    Condition.PEER_UNAVAILABLE: "Look whether the other system is up; it can be tried again",
    Condition.INTERNAL: "Look at the log of this house at this time",
}


def cure_of(error: ExchangeError) -> str:
    """The error's own cure, else what its condition suggests."""
    return error.cure or CURES[error.condition]
