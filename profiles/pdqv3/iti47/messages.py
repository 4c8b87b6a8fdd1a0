"""ITI-47's messages: the question and the answer that it shares with XCPD, and the continuation, which is its own.

Source: ITI TF-2 3.47.4.
"""

from dataclasses import dataclass
from typing import Final

from profiles.wire.hl7v3.ack import Acknowledgement
from profiles.wire.hl7v3.candidates import REQUEST, Candidate, CandidatesQuery, CandidatesResponse
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Quantities, QueryResponseCode
from profiles.wire.hl7v3.transmission import UNSENT, Transmission

ASKED_DOMAINS: Final = f"/{REQUEST}/controlActProcess/queryByParameter/parameterList/otherIDsScopingOrganization"


def asked_domain(position: int) -> str:
    """Where an answer says that the n-th domain, from 1, was not known (3.47.4.2.3)."""
    return f"{ASKED_DOMAINS}[{position}]/value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """More of an answer, or no more of it.

    `query_id` is that of the question; `start` the number of the first match that is wanted, from 1, None: the next one;
    `quantity` how many. `cancels`: nothing more is wanted.
    """

    query_id: InstanceIdentifier
    start: int | None = None
    quantity: int | None = None
    cancels: bool = False
    transmission: Transmission = UNSENT


__all__ = [
    "ASKED_DOMAINS",
    "Acknowledgement",
    "Candidate",
    "CandidatesQuery",
    "CandidatesResponse",
    "Continuation",
    "Quantities",
    "QueryResponseCode",
    "asked_domain",
]
