"""Patient Identifier Cross-reference Manager and Patient Demographics Supplier, asked by HL7 V3 (ITI-45, ITI-47).

Here a manager elsewhere tells us, too, as consumer of its notifications (ITI-46).
"""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.feed import Feed
from gateway.services.resolve import Resolve
from profiles.pdqv3.iti47 import (
    CANCEL,
    CONTINUE,
    ITI_47,
    Acknowledgement,
    CandidatesQuery,
    CandidatesResponse,
    Continuation,
)
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery, IdentifiersResponse
from profiles.pixv3.iti46 import ACCEPTED, ITI_46, PatientRecordRequest


class PatientManager:
    """ITI TF-1 23.1, 24.1."""

    def __init__(self, *, resolve: Resolve, feed: Feed) -> None:
        """Stand on the services."""
        self._resolve = resolve
        self._feed = feed

    @answers(ITI_45)
    async def get_identifiers(self, request: IdentifiersQuery, exchange: Exchange) -> IdentifiersResponse:
        """By which other ids the patient is known."""
        return await self._resolve.identifiers(request, exchange)

    @answers(ITI_46)
    async def update_notification(self, request: PatientRecordRequest, exchange: Exchange) -> Acknowledgement:
        """These ids are one patient's, says a manager elsewhere."""
        await self._feed.linked(request.patient.identifiers, exchange)
        return ACCEPTED

    @answers(ITI_47)
    async def find_candidates(self, request: CandidatesQuery, exchange: Exchange) -> CandidatesResponse:
        """Who fits."""
        return await self._resolve.candidates(request, exchange)

    @answers(CONTINUE)
    async def continue_candidates(self, request: Continuation, exchange: Exchange) -> CandidatesResponse:
        """Who fits besides."""
        return await self._resolve.more(request, exchange)

    @answers(CANCEL)
    async def cancel_candidates(self, request: Continuation, exchange: Exchange) -> Acknowledgement:
        """Nobody besides is wanted."""
        self._resolve.forget(request, exchange)
        return ACCEPTED
