"""ITI-55's messages: the question and the answer of a demographics query, and how long its result may be remembered.

What a newcomer gets wrong: a correlation may only be remembered as long as the community that told it says
(CorrelationTimeToLive, a SOAP header). One that says nothing is asked again the next time.

Source: ITI TF-2 3.55.4.1.2, 3.55.4.2.2.
"""

from dataclasses import dataclass
from datetime import timedelta

from profiles.wire.hl7v3.ack import AckCode, AckDetail, Acknowledgement
from profiles.wire.hl7v3.candidates import Candidate, CandidatesQuery, CandidatesResponse, Problem
from profiles.wire.hl7v3.query import QueryResponseCode


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryRequest:
    """The question whom a community knows; `query.transmission.sender.organization` is the home of who asks.

    `keep_for` is how long the id of the asking community may be remembered; None: not at all. `message_id` is the
    wsa:MessageID of a deferred question, which its answer names; "" in others.
    """

    query: CandidatesQuery
    keep_for: timedelta | None = None
    message_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryResponse:
    """Who it may be, each with the home of its community; `keep_for` as in the request."""

    answer: CandidatesResponse
    keep_for: timedelta | None = None

    @property
    def acknowledgement(self) -> Acknowledgement:
        """How the message was taken."""
        return self.answer.acknowledgement


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredAnswer:
    """An answer that comes on its own: the second exchange of a deferred question (ITI TF-2 3.55.4.1.3).

    `relates_to` is the wsa:MessageID of the question.
    """

    response: DiscoveryResponse
    relates_to: str


def deferred_is_not_supported() -> Acknowledgement:
    """The answer to a question that is to be answered later (ITI TF-2 3.55.4.1.3)."""
    detail = AckDetail(code="NS250", text="answers are immediate here, or may not go to this address")
    return Acknowledgement(code=AckCode.ERROR, details=(detail,))


__all__ = [
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
]
