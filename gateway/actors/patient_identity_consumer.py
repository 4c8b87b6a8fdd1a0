"""Patient Identity Consumer, and the registry's patient identity feed: ADT comes in (ITI-8, ITI-30)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.feed import Feed, Unknown
from profiles.pix.iti8 import ACCEPTED, ITI_8, Acknowledgement, FeedEvent, PatientFeedRequest
from profiles.pix.iti30 import ITI_30


class PatientIdentityConsumer:
    """ITI TF-1 5.1, 14.1."""

    def __init__(self, *, feed: Feed) -> None:
        """Stand on the service."""
        self._feed = feed

    @answers(ITI_8)
    async def patient_identity_feed(self, request: PatientFeedRequest, exchange: Exchange) -> Acknowledgement:
        """Register, update or merge, as the event says."""
        if request.event is FeedEvent.MERGE:
            await self._feed.merge(request.merges, exchange)
        else:
            await self._feed.upsert(request.patient, request.said, exchange)
        return ACCEPTED

    @answers(ITI_30)
    async def patient_identity_management(self, request: PatientFeedRequest, exchange: Exchange) -> Acknowledgement:
        """The same for a consumer, who need not know whom a merge is about; and one id instead of another."""
        match request.event:
            case FeedEvent.MERGE:
                await self._feed.merge(request.merges, exchange, unknown=Unknown.NO_ERROR)
            case FeedEvent.CHANGE_IDS:
                await self._feed.change_ids(request.merges, exchange)
            case _:
                await self._feed.upsert(request.patient, request.said, exchange)
        return ACCEPTED
