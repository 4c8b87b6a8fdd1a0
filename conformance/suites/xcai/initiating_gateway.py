"""RAD-75 as an initiating imaging gateway asks it: instances of other communities, for its own people, who ask by RAD-69.

Source: RAD TF-2 4.75.4.1.
"""

import asyncio
from collections.abc import Sequence

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.suites.communities import Listening, communities, offered
from conformance.suites.gateway_retrieval import Wanted, Way, retrieval_cases
from conformance.suites.xdsi.source_retrieve import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from conformance.target import Target
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.xcai.rad75 import RAD_75
from profiles.xdsi.rad69 import (
    RAD_69,
    DocumentRequest,
    RetrieveImagingDocumentSetRequest,
    SeriesRequest,
    StudyRequest,
)

GATEWAY = Actor.INITIATING_IMAGING_GATEWAY
SYNTAXES = ("1.2.840.10008.1.2.4.70", EXPLICIT_LITTLE, IMPLICIT_LITTLE)


async def _there(target: Target, community: ForeignCommunity) -> Sequence[Wanted]:
    study = (await offered(target, community)).study
    return await _of(study, home=community.home, location=str(community.retrieve_location))


async def _here(target: Target) -> Wanted:
    home, location = Oid(target.known("home_community_id")), target.known("retrieve_location_uid")
    study = target.study().study
    return (await _of(study, home=home, location=location))[0]


async def _of(study: SampleStudy, *, home: Oid, location: str) -> Sequence[Wanted]:
    return [
        Wanted.of(
            await asyncio.to_thread(each.path.read_bytes), uid=str(each.sop_instance_uid), home=home, repository=location,
            study=str(study.study_instance_uid), series=str(series.series_instance_uid),
        )
        for series in study.series
        for each in series.instances
    ]  # fmt: skip


async def images_of(study: SampleStudy, *, home: Oid, location: str) -> RetrieveImagingDocumentSetRequest:
    """A request for all of a study of another community."""
    return _request(await _of(study, home=home, location=location))


def _request(wanted: Sequence[Wanted]) -> RetrieveImagingDocumentSetRequest:
    """Each in a StudyRequest of its own: a study may be in two communities."""
    return RetrieveImagingDocumentSetRequest(
        studies=tuple(
            StudyRequest(
                study_instance_uid=each.study,
                series=(
                    SeriesRequest(
                        series_instance_uid=each.series,
                        documents=(
                            DocumentRequest(
                                repository_unique_id=each.repository, document_unique_id=each.uid,
                                home_community_id=each.home,
                            ),
                        ),
                    ),
                ),
            )
            for each in wanted
        ),
        transfer_syntax_uids=SYNTAXES,
    )  # fmt: skip


def _named(request: RetrieveImagingDocumentSetRequest) -> list[Wanted]:
    return [
        Wanted(
            uid=each.document.document_unique_id, home=each.document.home_community_id or Oid("0.0"),
            repository=each.document.repository_unique_id, study=each.study_instance_uid, series=each.series_instance_uid,
        )
        for each in request.instances()
    ]  # fmt: skip


WAY = Way(
    actor=GATEWAY, prefix="RAD75", inner=RAD_69, outer=RAD_75, there=_there, here=_here, request=_request, named=_named,
    handler=lambda community: community.retrieve_images,
)  # fmt: skip
CASES = retrieval_cases(__name__, WAY)


@case(
    "RAD75/asks-syntaxes", transaction="RAD-75", actor=GATEWAY,
    title="Every community is asked for the transfer syntaxes that were asked for",
)  # fmt: skip
async def syntaxes(target: Target) -> None:
    """The same set, which expresses no preference."""
    both = communities(target)
    wanted = [(await WAY.there(target, each))[0] for each in both]
    listening = Listening(target)
    await WAY.ask(target, *wanted)
    for each in both:
        for asked in listening.asked(each, RAD_75):
            request: RetrieveImagingDocumentSetRequest = asked.request
            expect(request.transfer_syntax_uids, f"the syntaxes that {each.name} is asked for").has_same(SYNTAXES)
