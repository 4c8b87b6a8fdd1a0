"""Image manager: takes in what modalities, portals and archives push (RAD-108, STOW-RS)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.ingest import Ingest
from profiles.errors import MalformedMessage
from profiles.wia.rad108 import RAD_108, StoreInstancesRequest, StoreInstancesResponse


class ImageManager:
    """DICOM PS3.18 10.5."""

    def __init__(self, *, ingest: Ingest) -> None:
        """Stand on the service."""
        self._ingest = ingest

    @answers(RAD_108)
    async def store_instances(self, request: StoreInstancesRequest, exchange: Exchange) -> StoreInstancesResponse:
        """Archive, index, and say of each instance what became of it; durable before the answer."""
        outcomes = await self._ingest.store(request.pour, request.study_instance_uid, exchange)
        if not outcomes:
            raise MalformedMessage("the request has no instance", cure="Send one Part 10 file in each part")
        return StoreInstancesResponse(outcomes=outcomes)
