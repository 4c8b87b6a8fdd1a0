"""Image server: what a viewer or an archive asks by DICOMweb (RAD-107, RAD-129, and the views that have no number)."""

from collections.abc import Iterator
from dataclasses import replace

from gateway.actors.answering import answers
from gateway.model.study import StudyRecord, StudyStatus
from gateway.services.exchange import Exchange
from gateway.services.retrieve import Retrieve
from gateway.services.search import Search
from gateway.services.viewing import Viewing
from profiles.errors import UnknownDocument
from profiles.model.content import Poured
from profiles.wia.frames import RETRIEVE_FRAMES, RetrieveFramesHead, RetrieveFramesRequest
from profiles.wia.metadata import RETRIEVE_METADATA, RetrieveMetadataRequest, RetrieveMetadataResponse
from profiles.wia.rad107 import RAD_107, RetrievableInstance, RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wia.rad129 import RAD_129, SearchRequest, SearchResponse, SearchRow
from profiles.wia.rendered import RETRIEVE_RENDERED, RetrieveRenderedRequest, RetrieveRenderedResponse

FOUND = (StudyStatus.AVAILABLE.value, StudyStatus.REGISTERED.value)


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

    @answers(RAD_129)
    async def search(self, request: SearchRequest, exchange: Exchange) -> SearchResponse:
        """Studies, series or instances; a study of which nothing is left is FHIR's to tell of (cancelled)."""
        if request.direct:
            criteria = replace(request.criteria, limit=request.limit, offset=request.offset, statuses=FOUND)
            page = await self._search.studies(criteria, exchange)
            rows = tuple(row for record in page.records for row in _rows(request, record))
            remaining = None if page.total is None else max(0, page.total - request.offset - len(page.records))
            return SearchResponse(rows=rows, remaining=remaining, warnings=self._search.warnings)
        criteria = replace(request.scan(), statuses=FOUND)
        page = await self._search.studies(criteria, exchange, count=False, instances=request.needs_instances)
        found, left = request.page(row for record in page.records for row in _rows(request, record))
        if page.more:
            warning = (
                "Only the newest studies were looked through. Name the patient, the study or a date to look further."
            )
            return SearchResponse(rows=found, remaining=None, warnings=(warning, *self._search.warnings))
        return SearchResponse(rows=found, remaining=left, warnings=self._search.warnings)


def _rows(request: SearchRequest, record: StudyRecord) -> Iterator[SearchRow]:
    return request.rows_of(record.study, record.instance_counts, available=record.status is StudyStatus.AVAILABLE)
