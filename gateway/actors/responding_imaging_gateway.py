"""Responding Imaging Gateway: instances of our community for others (RAD-75), from our own imaging source."""

from dataclasses import replace
from typing import Any

from gateway.actors.answering import answers
from gateway.actors.imaging_document_source import ImagingDocumentSource
from gateway.actors.responding_gateway import foreign_home, with_errors
from gateway.model.house import House
from gateway.services.exchange import Exchange
from profiles.errors import ExchangeError
from profiles.model.content import Poured
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse, nothing
from profiles.xcai.rad75 import RAD_75, RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import of_instances


class RespondingImagingGateway:
    """RAD TF-1 29.1.1.2."""

    def __init__(self, *, house: House, source: ImagingDocumentSource) -> None:
        """Stand on the source."""
        self._house = house
        self._source = source

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
        """Hand out our instances; the location of every error is our home (RAD75-004)."""
        home = self._house.home_community_id
        asked = tuple(request.instances())
        ours = [each for each in asked if each.document.home_community_id == home]
        found: Poured[RetrieveDocumentSetResponse] = Poured(head=RetrieveDocumentSetResponse(), pour=nothing())
        if ours:
            found = await self._source.retrieve_imaging_document_set(of_instances(request, ours), exchange)
        strangers = (foreign_home("") for each in asked if each.document.home_community_id != home)
        errors = tuple(replace(each, location=home.urn) for each in (*found.head.errors, *strangers))
        return with_errors(found, errors, exchange)
