"""ITI-55 Cross Gateway Patient Discovery: a gateway asks another community whom it knows. Source: ITI TF-2 3.55."""

from profiles.xcpd.iti55.codec import question_of_text, text_of_question
from profiles.xcpd.iti55.messages import (
    Acknowledgement,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DeferredAnswer,
    DiscoveryRequest,
    DiscoveryResponse,
    Problem,
    QueryResponseCode,
    deferred_is_not_supported,
)
from profiles.xcpd.iti55.spec import DEFERRED, DEFERRED_ANSWER, ITI_55

__all__ = [
    "DEFERRED",
    "DEFERRED_ANSWER",
    "ITI_55",
    "Acknowledgement",
    "Candidate",
    "CandidatesQuery",
    "CandidatesResponse",
    "DeferredAnswer",
    "DiscoveryRequest",
    "DiscoveryResponse",
    "Problem",
    "QueryResponseCode",
    "deferred_is_not_supported",
    "question_of_text",
    "text_of_question",
]
