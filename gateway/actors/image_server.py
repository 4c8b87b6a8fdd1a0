"""Image server: what a viewer or an archive asks by DICOMweb (RAD-107, RAD-129, and the views that have no number)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.retrieve import Retrieve
from gateway.services.search import Search
from gateway.services.viewing import Viewing
from profiles.errors import UnknownDocument
from profiles.model.content import Poured
from profiles.wia.frames import RETRIEVE_FRAMES, RetrieveFramesHead, RetrieveFramesRequest
from profiles.wia.metadata import RETRIEVE_METADATA, RetrieveMetadataRequest, RetrieveMetadataResponse
from profiles.wia.rad107 import RAD_107, RetrievableInstance, RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wia.rendered import RETRIEVE_RENDERED, RetrieveRenderedRequest, RetrieveRenderedResponse


class ImageServer:
    """DICOM PS3.18 10.4 and 10.6."""

    def __init__(self, *, retrieve: Retrieve, search: Search, viewing: Viewing) -> None:
        """Stand on the services."""
        self._retrieve = retrieve
        self._search = search
        self._viewing = viewing

    @answers(RAD_107)
    async def retrieve_instances(
        self, request: RetrieveInstancesRequest, exchange: Exchange
    ) -> Poured[RetrieveInstancesHead]:
        """A study, a series or an instance, as files."""
        planned = await self._retrieve.study(
            request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid,
            request.transfer_syntax_uids, exchange,
        )  # fmt: skip
        if not planned.plan.available:
            raise next(iter(planned.failed.values()), UnknownDocument("nothing of it is here"))
        instances = tuple(
            RetrievableInstance(
                study_instance_uid=each.wanted.study_instance_uid,
                series_instance_uid=each.wanted.series_instance_uid,
                sop_instance_uid=each.wanted.instance.sop_instance_uid,
                transfer_syntax_uid=each.transfer_syntax_uid,
                size_bytes=each.size_bytes,
            )
            for each in planned.plan.available
        )
        head = RetrieveInstancesHead(instances=instances, missing=tuple(planned.failed.items()))
        return Poured(head=head, pour=self._retrieve.pour(planned))

    @answers(RETRIEVE_METADATA)
    async def retrieve_metadata(self, request: RetrieveMetadataRequest, exchange: Exchange) -> RetrieveMetadataResponse:
        """Headers, as they were rendered on arrival."""
        found = await self._search.metadata(
            request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid, exchange
        )
        return RetrieveMetadataResponse(objects=tuple(found))

    @answers(RETRIEVE_FRAMES)
    async def retrieve_frames(self, request: RetrieveFramesRequest, exchange: Exchange) -> Poured[RetrieveFramesHead]:
        """Pixel data of single frames."""
        frames = await self._viewing.frames(
            request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid, request.frames,
            request.accept, exchange,
        )  # fmt: skip
        return Poured(head=RetrieveFramesHead(form=frames.form, frames=request.frames), pour=frames.pour)

    @answers(RETRIEVE_RENDERED)
    async def retrieve_rendered(self, request: RetrieveRenderedRequest, exchange: Exchange) -> RetrieveRenderedResponse:
        """A picture."""
        picture = await self._viewing.picture(
            request.study_instance_uid, request.series_instance_uid, request.sop_instance_uid, request.frame,
            request.options, exchange, small=request.thumbnail,
        )  # fmt: skip
        return RetrieveRenderedResponse(picture=picture)
