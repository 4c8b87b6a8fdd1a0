"""Image manager: takes in what modalities, portals and archives push (RAD-108, STOW-RS)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.push import Push
from profiles.errors import MalformedMessage
from profiles.wia.rad108 import RAD_108, StoreInstancesRequest, StoreInstancesResponse


class ImageManager:
    """DICOM PS3.18 10.5."""

    def __init__(self, *, push: Push) -> None:
        """Stand on the service."""
        self._push = push

    @answers(RAD_108)
    async def store_instances(self, request: StoreInstancesRequest, exchange: Exchange) -> StoreInstancesResponse:
        """Archive, index, and say of each instance what became of it; durable before the answer."""
        outcomes = await self._push.store(request.pour, request.study_instance_uid, exchange)
        if not outcomes:
            raise MalformedMessage("the request has no instance", cure="Send one Part 10 file in each part")
        return StoreInstancesResponse(outcomes=outcomes)
