"""Cross-reference Manager and Document Registry, where they are fed by HL7 V3 (ITI-44)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.feed import Feed
from profiles.pixv3.iti44 import ACCEPTED, ITI_44, Acknowledgement, PatientRecordRequest, RecordEvent


class PatientRegistry:
    """ITI TF-1 23.1. What comes by V3 enters where ADT does: the two may be mixed."""

    def __init__(self, *, feed: Feed) -> None:
        """Stand on the service."""
        self._feed = feed

    @answers(ITI_44, *ITI_44.variants)
    async def patient_identity_feed(self, request: PatientRecordRequest, exchange: Exchange) -> Acknowledgement:
        """Add, revise or merge, as the event says."""
        if request.event is RecordEvent.MERGE:
            await self._feed.merge(request.merges, exchange)
        else:
            await self._feed.upsert(request.patient, request.said, exchange)
        return ACCEPTED
