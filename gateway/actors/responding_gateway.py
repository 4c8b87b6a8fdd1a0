"""Responding Gateway: what other communities ask of ours (ITI-38, ITI-39, ITI-55).

Documents are answered from our registry and repository, patients from our identity store.

Our home community id stands on every object and document, and every error points at us.
"""

from dataclasses import replace
from typing import Any

from gateway.actors.answering import answers
from gateway.actors.document_repository import DocumentRepository
from gateway.model.cure import CURES, cure_of
from gateway.model.house import House
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from gateway.services.federate import refused_at, with_home
from gateway.services.stored_query import StoredQueries
from profiles.errors import Condition, ExchangeError, UnknownCommunity
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import RegistryError, status_of
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse, nothing
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xca.iti39 import ITI_39, RetrieveDocumentSetRequest
from profiles.xcpd.iti55 import (
    DEFERRED,
    ITI_55,
    Acknowledgement,
    DiscoveryRequest,
    DiscoveryResponse,
    deferred_is_not_supported,
)

FOREIGN = "XDSUnknownCommunity"


class RespondingGateway:
    """ITI TF-1 18.1.1.2, 27.1.1.2."""

    def __init__(
        self, *, house: House, queries: StoredQueries, repository: DocumentRepository, discover: Discover
    ) -> None:
        """Stand on the registry's service, the repository and the patients."""
        self._house = house
        self._queries = queries
        self._repository = repository
        self._discover = discover

    def refusing(self, transaction: SoapTransaction[Any, Any], error: ExchangeError) -> Any:
        """What was refused before it came to us points at us too."""
        home = self._house.home_community_id
        if transaction is ITI_38:
            return refused_at(error, home)
        refused = transaction.refuse(error)
        return located(refused, home) if transaction is ITI_39 else refused

    @answers(ITI_55)
    async def cross_gateway_patient_discovery(self, request: DiscoveryRequest, exchange: Exchange) -> DiscoveryResponse:
        """Whom our community knows."""
        return await self._discover.answer(request, exchange)

    @answers(DEFERRED)
    async def deferred_patient_discovery(self, request: DiscoveryRequest, exchange: Exchange) -> Acknowledgement:
        """Nobody is looked for later."""
        exchange.learned.failed, exchange.learned.why = True, "an answer was wanted later, and ours are immediate"
        exchange.learned.cure = "The peer may ask again without its deferred option"
        return deferred_is_not_supported()

    @answers(ITI_38)
    async def cross_gateway_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find registry objects of our community."""
        home = self._house.home_community_id
        try:
            if request.home_community_id not in (None, home):
                raise UnknownCommunity("this home community id is not ours")
            return with_home(await self._queries.answer(request, exchange), home)
        except ExchangeError as error:
            exchange.learned.failed, exchange.learned.why, exchange.learned.cure = True, error.detail, cure_of(error)
            return refused_at(error, home)

    @answers(ITI_39)
    async def cross_gateway_retrieve(
        self, request: RetrieveDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand out documents of our repository; errors name the document and our home (ITI TF-2 3.39.4.1.3)."""
        home = self._house.home_community_id
        ours = tuple(each for each in request.documents if each.home_community_id == home)
        found: Poured[RetrieveDocumentSetResponse] = Poured(head=RetrieveDocumentSetResponse(), pour=nothing())
        if ours:
            found = await self._repository.retrieve_document_set(replace(request, documents=ours), exchange)
        strangers = tuple(
            foreign_home(each.document_unique_id) for each in request.documents if each.home_community_id != home
        )
        whole = replace(found.head, errors=(*found.head.errors, *strangers))
        found = located(Poured(head=whole, pour=found.pour), home)
        return with_errors(found, found.head.errors, exchange)


def located(found: Poured[RetrieveDocumentSetResponse], home: Oid) -> Poured[RetrieveDocumentSetResponse]:
    """Every error names its document and the home.

    Source: ITI TF-2 3.39.4.1.3. How the two stand together is not said; a space is in neither.
    """
    errors = tuple(replace(each, location=f"{each.location} {home.urn}".strip()) for each in found.head.errors)
    return Poured(head=replace(found.head, errors=errors), pour=found.pour)


def foreign_home(unique_id: str) -> RegistryError:
    """What is said of something that names a home which is not ours."""
    return RegistryError(code=FOREIGN, context="this home community id is not ours", location=unique_id)


def with_errors(
    found: Poured[RetrieveDocumentSetResponse], errors: tuple[RegistryError, ...], exchange: Exchange
) -> Poured[RetrieveDocumentSetResponse]:
    """The same answer with this error list, and the status that it adds up to."""
    documents = found.head.documents
    stranger = next((each for each in errors if each.code == FOREIGN), None)
    if stranger is not None and not exchange.learned.why:
        exchange.learned.why, exchange.learned.cure = stranger.context, CURES[Condition.UNKNOWN_COMMUNITY]
    exchange.learned.partial = bool(errors and documents)
    exchange.learned.failed = not documents
    head = replace(found.head, errors=errors, status=status_of(errors, len(documents)))
    return Poured(head=head, pour=found.pour)
