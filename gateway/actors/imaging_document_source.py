"""Imaging Document Source: hands out the instances that our manifests name (RAD-69)."""

from gateway.actors.answering import answers
from gateway.model.peer import Tolerance
from gateway.services.exchange import Exchange
from gateway.services.retrieve import InstanceRequest, Retrieve
from profiles.errors import ExchangeError
from profiles.model.content import DICOM, Poured
from profiles.wire.ebxml.response import Speaker, errors_of, status_of
from profiles.wire.ebxml.retrieve import RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest


class ImagingDocumentSource:
    """RAD TF-1 18.1.1."""

    def __init__(self, *, retrieve: Retrieve) -> None:
        """Stand on the services."""
        self._retrieve = retrieve

    @answers(RAD_69)
    async def retrieve_imaging_document_set(
        self, request: RetrieveImagingDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Plan, say the true status, then pour. Never in a syntax that was not asked for (RAD69-005)."""
        asked = {each.document.document_unique_id: each for each in request.instances()}
        tolerances = exchange.peer.tolerances if exchange.peer is not None else frozenset()
        planned = await self._retrieve.instances(
            [
                InstanceRequest(
                    study_instance_uid=each.study_instance_uid,
                    series_instance_uid=each.series_instance_uid,
                    sop_instance_uid=each.document.document_unique_id,
                    repository_unique_id=each.document.repository_unique_id,
                )
                for each in asked.values()
            ],
            frozenset(request.transfer_syntax_uids),
            exchange,
            foreign_repository=Tolerance.FOREIGN_REPOSITORY_ID in tolerances,
        )
        errors = tuple(
            each for uid, error in planned.failed.items() for each in errors_of(_located(error, uid), Speaker.SOURCE)
        )
        documents = tuple(
            RetrievedDocument(
                repository_unique_id=asked[uid].document.repository_unique_id,
                document_unique_id=uid,
                home_community_id=asked[uid].document.home_community_id,
                mime_type=DICOM,
                size_bytes=each.size_bytes,
            )
            for each in planned.plan.available
            for uid in (str(each.wanted.instance.sop_instance_uid),)
        )
        head = RetrieveDocumentSetResponse(status=status_of(errors, len(documents)), errors=errors, documents=documents)
        return Poured(head=head, pour=self._retrieve.pour(planned))


def _located(error: ExchangeError, uid: str) -> ExchangeError:
    """The error, pointing at the instance that it is about (RAD69-019)."""
    return error if error.location == uid else type(error)(error.detail, location=uid, code=error.code, cure=error.cure)
