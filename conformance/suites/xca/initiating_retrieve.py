"""ITI-39 as an initiating gateway asks it: documents of other communities, for its own people, who ask by ITI-43.

Source: ITI TF-2 3.39.4.1.
"""

from collections.abc import Sequence

from conformance.simulators.foreign_community import ForeignCommunity
from conformance.suites.communities import offered
from conformance.suites.gateway_retrieval import Wanted, Way, retrieval_cases
from conformance.suites.xds.documents import submitted
from conformance.target import Target
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.xca.iti39 import ITI_39
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest


async def _there(target: Target, community: ForeignCommunity) -> Sequence[Wanted]:
    manifests = [(await offered(target, community, instances=1)).manifest for _ in range(2)]
    return [
        Wanted.of(each.body, uid=each.entry.unique_id, home=community.home, repository=str(community.repository))
        for each in manifests
    ]


async def _here(target: Target) -> Wanted:
    (one,) = await submitted(target)
    return Wanted.of(
        one.body, uid=one.entry.unique_id, home=Oid(target.known("home_community_id")),
        repository=target.known("repository_unique_id"),
    )  # fmt: skip


def _request(wanted: Sequence[Wanted]) -> RetrieveDocumentSetRequest:
    return RetrieveDocumentSetRequest(
        documents=tuple(
            DocumentRequest(
                repository_unique_id=each.repository, document_unique_id=each.uid, home_community_id=each.home
            )
            for each in wanted
        )
    )


def _named(request: RetrieveDocumentSetRequest) -> list[Wanted]:
    return [
        Wanted(
            uid=each.document_unique_id, home=each.home_community_id or Oid("0.0"), repository=each.repository_unique_id
        )
        for each in request.documents
    ]


CASES = retrieval_cases(
    __name__,
    Way(
        actor=Actor.INITIATING_GATEWAY, prefix="ITI39", inner=ITI_43, outer=ITI_39, there=_there, here=_here,
        request=_request, named=_named, handler=lambda community: community.retrieve,
    ),
)  # fmt: skip
