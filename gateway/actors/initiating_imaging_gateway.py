"""Initiating Imaging Gateway: our own people fetch instances of all communities by RAD-69; it goes out as RAD-75."""

from gateway.actors.answering import answers
from gateway.actors.imaging_document_source import ImagingDocumentSource
from gateway.services.exchange import Exchange
from gateway.services.federate import Federate
from profiles.model.content import Poured
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xcai.rad75 import RAD_75
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, of_instances


class InitiatingImagingGateway:
    """RAD TF-1 29.1.1.1."""

    def __init__(self, *, federate: Federate, source: ImagingDocumentSource) -> None:
        """Stand on the communities, and on what is ours."""
        self._federate = federate
        self._source = source

    @answers(RAD_69)
    async def retrieve_imaging_document_set(
        self, request: RetrieveImagingDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand out instances, each from the community that its request names; syntaxes go on unchanged."""
        ours, theirs = self._federate.apart(request.instances(), lambda each: each.document.home_community_id)
        own, within = self._federate.within(
            ours, lambda each: each.document.repository_unique_id, RAD_69,
            lambda some: of_instances(request, some), lambda each: each.document.home_community_id,
        )  # fmt: skip
        here = None
        if own:
            here = await self._source.retrieve_imaging_document_set(of_instances(request, own), exchange)
        if here is not None and not theirs and not within:
            return here
        asked = {home: of_instances(request, each) for home, each in theirs.items()}
        return await self._federate.retrieve(RAD_75, asked, here, exchange, within=within)
