"""ITI-47 Patient Demographics Query HL7 V3: asked, continued, cancelled. Source: ITI TF-2 3.47."""

from profiles.pdqv3.iti47.messages import (
    ASKED_DOMAINS,
    Acknowledgement,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    Continuation,
    Quantities,
    QueryResponseCode,
    asked_domain,
)
from profiles.pdqv3.iti47.spec import CANCEL, CONTINUE, ITI_47

__all__ = [
    "ASKED_DOMAINS",
    "CANCEL",
    "CONTINUE",
    "ITI_47",
    "Acknowledgement",
    "Candidate",
    "CandidatesQuery",
    "CandidatesResponse",
    "Continuation",
    "Quantities",
    "QueryResponseCode",
    "asked_domain",
]
