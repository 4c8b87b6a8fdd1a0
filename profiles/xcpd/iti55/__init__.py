"""ITI-55 Cross Gateway Patient Discovery: a gateway asks another community whom it knows. Source: ITI TF-2 3.55."""

from profiles.xcpd.iti55.messages import (
    Acknowledgement,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    Problem,
    QueryResponseCode,
    deferred_is_not_supported,
)
from profiles.xcpd.iti55.spec import DEFERRED, ITI_55

__all__ = [
    "DEFERRED",
    "ITI_55",
    "Acknowledgement",
    "Candidate",
    "CandidatesQuery",
    "CandidatesResponse",
    "DiscoveryRequest",
    "DiscoveryResponse",
    "Problem",
    "QueryResponseCode",
    "deferred_is_not_supported",
]
