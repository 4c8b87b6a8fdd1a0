"""Responding Gateway: what other communities ask of ours (ITI-38, ITI-39, ITI-55), and what they bring (ITI-80).

Documents are answered from our registry and repository, patients from our identity store. What is brought enters as at our
Document Recipient, by the sender's own patient id.

Our home community id stands on every object and document, and every error points at us.
"""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any

from gateway.actors.answering import answers
from gateway.actors.document_repository import NO_DOORS, DocumentRecipient, DocumentRepository
from gateway.model.cure import CURES, cure_of
from gateway.model.house import House
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from gateway.services.federate import Federate, refused_at, with_home
from gateway.services.forward import Forward
from gateway.services.stored_query import StoredQueries
from profiles.errors import Condition, ExchangeError, RuleViolation, UnknownCommunity
from profiles.findings import Severity
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.recipient import folded, names_of
from profiles.wire.ebxml.response import RegistryError, status_of
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse, nothing
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xca.iti39 import ITI_39, RetrieveDocumentSetRequest
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest, RegistryResponse
from profiles.xcpd.iti55 import (
    DEFERRED,
    ITI_55,
    Acknowledgement,
    DiscoveryRequest,
    DiscoveryResponse,
)
from profiles.xds.iti43 import ITI_43

FOREIGN = "XDSUnknownCommunity"
NOWHERE: Mapping[str, Oid | None] = MappingProxyType({})


class RespondingGateway:
    """ITI TF-1 18.1.1.2, 27.1.1.2, 40.1.1.2."""

    def __init__(
        self,
        *,
        house: House,
        queries: StoredQueries,
        repository: DocumentRepository,
        recipient: DocumentRecipient,
        doors: Mapping[Oid, DocumentRecipient] = NO_DOORS,
        forward: Forward,
        discover: Discover,
        federate: Federate,
    ) -> None:
        """Stand on the registry's service, repository and recipient, and the patients.

        `doors` take what is for a further home of ours. `forward` leads to others, `federate` to what else is of our
        community.
        """
        self._house = house
        self._queries = queries
        self._repository = repository
        self._recipient = recipient
        self._doors = doors
        self._forward = forward
        self._discover = discover
        self._federate = federate

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
        """Whom our community knows, told later where the peer may have that."""
        return await self._discover.take(request, exchange)

    @answers(ITI_38)
    async def cross_gateway_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find registry objects of our communities, or of the one that is named, in every registry that we know of them."""
        ours, named = self._house.homes, request.home_community_id
        home = named if named is not None and named in ours else self._house.home_community_id
        try:
            if named is not None and named not in ours:
                raise UnknownCommunity("this home community id is not ours")
            if within := self._federate.registries(named):
                here = partial(self._queries.answer, request, exchange)
                return await self._federate.query(request, here, (), exchange, within=within)
            return with_home(await self._queries.answer(request, exchange), home, ours)
        except ExchangeError as error:
            exchange.learned.failed, exchange.learned.why, exchange.learned.cure = True, error.detail, cure_of(error)
            return refused_at(error, home)

    @answers(ITI_39)
    async def cross_gateway_retrieve(
        self, request: RetrieveDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand out documents of our repositories and of others of our community.

        Errors name the document and the home of ours that it was asked of (ITI TF-2 3.39.4.1.3).
        """
        home, homes = self._house.home_community_id, self._house.homes
        ours = tuple(each for each in request.documents if each.home_community_id in homes)
        found: Poured[RetrieveDocumentSetResponse] = Poured(head=RetrieveDocumentSetResponse(), pour=nothing())
        own, elsewhere = self._federate.within(
            ours, lambda each: each.repository_unique_id, ITI_43,
            lambda some: replace(request, documents=tuple(some)), lambda each: each.home_community_id,
        )  # fmt: skip
        if own:
            found = await self._repository.retrieve_document_set(replace(request, documents=tuple(own)), exchange)
        if elsewhere:
            found = await self._federate.retrieve(ITI_39, {}, found, exchange, within=elsewhere)
        strangers = tuple(
            foreign_home(each.document_unique_id) for each in request.documents if each.home_community_id not in homes
        )
        whole = replace(found.head, errors=(*found.head.errors, *strangers))
        asked_of = {each.document_unique_id: each.home_community_id for each in ours}
        found = located(Poured(head=whole, pour=found.pour), home, asked_of)
        return with_errors(found, found.head.errors, exchange)

    @answers(ITI_80)
    async def cross_gateway_document_provide(
        self, request: ProvideAndRegisterRequest, exchange: Exchange
    ) -> RegistryResponse:
        """Keep and register what is for our community; what is for another goes on to it, where that is allowed."""
        home = request.home_community_id
        assert home is not None  # or a check would have refused it
        if home not in self._house.homes:
            return await self._forward.submission(request, home, exchange)
        warnings = self._recipients(request)
        taken = await self._doors.get(home, self._recipient).provide_and_register(request, exchange)
        return replace(taken, errors=(*taken.errors, *warnings))

    def _recipients(self, request: ProvideAndRegisterRequest) -> tuple[RegistryError, ...]:
        """A warning for each intended recipient whom nobody here is, if another one is ours.

        Raises:
            RuleViolation: None of them is ours (UnknownRecipient).
        """
        whole = request.submission.submission_set
        served = [folded(each) for each in self._house.recipients]
        if not served:
            return ()
        strangers = [
            place
            for place, each in enumerate(whole.intended_recipients, start=1)
            if not any(fnmatchcase(name, pattern) for name in names_of(each) for pattern in served)
        ]
        if strangers and len(strangers) == len(whole.intended_recipients):
            raise RuleViolation(
                "nobody of this name is served here", code="UnknownRecipient", location=whole.unique_id,
                cure="If they are ours, add one of their names to house.recipients",
            )  # fmt: skip
        return tuple(
            RegistryError(
                code="UnknownRecipient", severity=Severity.WARNING, location=whole.unique_id,
                context=f"intended recipient {place} is nobody who is served here",
            )
            for place in strangers
        )  # fmt: skip


def located(
    found: Poured[RetrieveDocumentSetResponse], home: Oid, asked_of: Mapping[str, Oid | None] = NOWHERE
) -> Poured[RetrieveDocumentSetResponse]:
    """Every error names its document and the home that the document was asked of, else `home`.

    Source: ITI TF-2 3.39.4.1.3. How the two stand together is not said; a space is in neither.
    """
    errors = tuple(
        replace(each, location=f"{each.location} {(asked_of.get(each.location) or home).urn}".strip())
        for each in found.head.errors
    )
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
