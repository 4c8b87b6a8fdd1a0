"""Responding Imaging Gateway: instances of our community for others (RAD-75).

They come from our own imaging source, and from the other sources of our community that the settings name (RAD-69).
"""

from dataclasses import replace
from typing import Any

from gateway.actors.answering import answers
from gateway.actors.imaging_document_source import ImagingDocumentSource
from gateway.actors.responding_gateway import foreign_home, with_errors
from gateway.model.house import House
from gateway.services.exchange import Exchange
from gateway.services.federate import Federate
from profiles.errors import ExchangeError
from profiles.model.content import Poured
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse, nothing
from profiles.xcai.rad75 import RAD_75, RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69, of_instances


class RespondingImagingGateway:
    """RAD TF-1 29.1.1.2."""

    def __init__(self, *, house: House, source: ImagingDocumentSource, federate: Federate) -> None:
        """Stand on the source; `federate` leads to the others of our community."""
        self._house = house
        self._source = source
        self._federate = federate

    def refusing(self, transaction: SoapTransaction[Any, Any], error: ExchangeError) -> Any:
        """What was refused before it came to us points at us too (RAD75-004)."""
        refused: Poured[RetrieveDocumentSetResponse] = transaction.refuse(error)
        at = self._house.home_community_id.urn
        errors = tuple(replace(each, location=at) for each in refused.head.errors)
        return Poured(head=replace(refused.head, errors=errors), pour=refused.pour)

    @answers(RAD_75)
    async def cross_gateway_retrieve(
        self, request: RetrieveImagingDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand out our communities' instances; the location of every error is the home that was asked (RAD75-004).

        Source: RAD TF-2 4.75.4.1.3 (a source is found by RepositoryUniqueId, the answers are consolidated).
        """
        home, homes = self._house.home_community_id, self._house.homes
        asked = tuple(request.instances())
        asked_of = {each.document.document_unique_id: each.document.home_community_id for each in asked}
        ours = [each for each in asked if each.document.home_community_id in homes]
        found: Poured[RetrieveDocumentSetResponse] = Poured(head=RetrieveDocumentSetResponse(), pour=nothing())
        own, elsewhere = self._federate.within(
            ours, lambda each: each.document.repository_unique_id, RAD_69,
            lambda some: of_instances(request, some), lambda each: each.document.home_community_id,
        )  # fmt: skip
        if own:
            found = await self._source.retrieve_imaging_document_set(of_instances(request, own), exchange)
        if elsewhere:
            found = await self._federate.retrieve(RAD_75, {}, found, exchange, within=elsewhere)
        strangers = (foreign_home("") for each in asked if each.document.home_community_id not in homes)
        errors = (
            *(replace(each, location=(asked_of.get(each.location) or home).urn) for each in found.head.errors),
            *(replace(each, location=home.urn) for each in strangers),
        )
        return with_errors(found, errors, exchange)
