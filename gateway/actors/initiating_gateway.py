"""Initiating Gateway: our own people ask all communities as if they were one registry and repository, and submit to them.

ITI-18 goes out as ITI-38, ITI-43 as ITI-39, ITI-41 as ITI-80; what is ours is answered here, with our home on it. Here too
communities bring what they were asked to say later (ITI-55, deferred).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from gateway.actors.answering import answers
from gateway.actors.document_repository import NO_DOORS, DocumentRecipient, DocumentRepository, provided
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from gateway.services.federate import Federate
from gateway.services.forward import Forward
from gateway.services.stored_query import StoredQueries
from profiles.errors import RuleViolation
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xca.iti38 import ITI_38, names_a_patient
from profiles.xca.iti39 import ITI_39
from profiles.xcpd.iti55 import DEFERRED_ANSWER, Acknowledgement, DeferredAnswer
from profiles.xds.iti18 import ITI_18, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest, RegistryResponse
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest


class InitiatingGateway:
    """ITI TF-1 18.1.1.1, 40.1.1.1."""

    def __init__(
        self,
        *,
        federate: Federate,
        forward: Forward,
        queries: StoredQueries,
        repository: DocumentRepository,
        recipient: DocumentRecipient,
        doors: Mapping[Oid, DocumentRecipient] = NO_DOORS,
        discover: Discover,
    ) -> None:
        """Stand on the communities, and on what is ours; `doors` take what is for a further home of ours."""
        self._federate = federate
        self._queries = queries
        self._repository = repository
        self._forward = forward
        self._recipient = recipient
        self._doors = doors
        self._discover = discover

    @answers(ITI_18)
    async def registry_stored_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find registry objects: of the community that is named, else of all that we know and of ours.

        Raises:
            RuleViolation: No patient and no home is named (XDSMissingHomeCommunityId).
            UnknownCommunity: The home that is named is nobody's.

        Source: ITI TF-2 3.18.4.1.3.
        """
        home = request.home_community_id
        if home is None and not names_a_patient(request):
            raise RuleViolation(
                "a query without a patient id needs a homeCommunityId", code="XDSMissingHomeCommunityId",
                location="AdhocQuery/@home",
            )  # fmt: skip
        exchange.learned.patients = (
            request.criteria.patient_ids or request.submission_sets.patient_ids or request.folders.patient_ids
        )
        if home is not None and not self._federate.is_here(home):
            there = (self._federate.community(home, ITI_38),)
            return await self._federate.query(request, None, there, exchange)
        communities = self._federate.communities(ITI_38) if home is None else ()
        here = partial(self._queries.answer, request, exchange)
        return await self._federate.query(request, here, communities, exchange, within=self._federate.registries(home))

    @answers(DEFERRED_ANSWER)
    async def deferred_patient_discovery(self, answer: DeferredAnswer, exchange: Exchange) -> Acknowledgement:
        """What a community says later of a patient whom we asked about."""
        return await self._discover.learn(answer, exchange)

    @answers(ITI_43)
    async def retrieve_document_set(
        self, request: RetrieveDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand out documents, each from the community that its request names."""
        ours, theirs = self._federate.apart(request.documents, lambda each: each.home_community_id)
        own, within = self._federate.within(
            ours, lambda each: each.repository_unique_id, ITI_43,
            lambda some: replace(request, documents=tuple(some)), lambda each: each.home_community_id,
        )  # fmt: skip
        here = None
        if own or not (theirs or within):
            here = await self._repository.retrieve_document_set(replace(request, documents=tuple(own)), exchange)
        if here is not None and not (theirs or within):
            return here
        asked = {home: replace(request, documents=tuple(each)) for home, each in theirs.items()}
        return await self._federate.retrieve(ITI_39, asked, here, exchange, within=within)

    @answers(ITI_41, refine=provided)
    async def provide_and_register(self, request: ProvideAndRegisterRequest, exchange: Exchange) -> RegistryResponse:
        """Hand documents to the community that the request names; without one they are for ours.

        Source: ITI TF-2 3.80.
        """
        home = request.home_community_id
        if home is None or self._federate.is_here(home):
            taking = self._recipient if home is None else self._doors.get(home, self._recipient)
            return await taking.provide_and_register(request, exchange)
        return await self._forward.submission(request, home, exchange)
