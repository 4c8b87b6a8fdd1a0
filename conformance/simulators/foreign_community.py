"""Another community, as a gateway asks it: its Responding Gateway and its Responding Imaging Gateway.

It has one patient, by an id of its own, and says so of everybody whom it is asked about. A case may have it behave
otherwise for a while: `with south.instead(ITI_38, south.silent): ...`.

Source: ITI TF-2 3.38, 3.39, 3.55, 3.80; RAD TF-2 4.75.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from conformance.simulators.imaging_community import ImagingCommunity
from conformance.simulators.soap_server import Handler, HungUp, SoapCounterpart
from profiles.errors import InternalFault
from profiles.model.content import Poured
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient, PersonName, Sex
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80
from profiles.xcpd.iti55 import (
    ITI_55,
    Candidate,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    QueryResponseCode,
)
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest

BETWEEN_COMMUNITIES = (ITI_38.id, ITI_39.id, RAD_75.id, ITI_55.id, ITI_80.id)


class ForeignCommunity(ImagingCommunity):
    """Answers ITI-38, ITI-39, RAD-75, ITI-55 and ITI-80. `patient` is by whose id its documents are."""

    home: Oid

    def __init__(
        self, counterpart: SoapCounterpart, *, name: str, home: Oid, repository: Oid, retrieve_location: Oid,
        patient: PatientIdentifier,
    ) -> None:  # fmt: skip
        """`name` is what the system under test calls it."""
        super().__init__(counterpart, repository=repository, retrieve_location=retrieve_location, home=home)
        self.name = name
        self.patient = patient
        self._over = asyncio.Event()

    def _stand(self) -> None:
        self._handlers: dict[str, Handler] = {}
        for transaction, handler in (
            (ITI_38, self.query),
            (ITI_39, self.retrieve),
            (RAD_75, self.retrieve_images),
            (ITI_55, self.discover),
            (ITI_80, self.take),
        ):
            self._handlers[transaction.id] = handler
            self.counterpart.answers(transaction, handler)

    @contextmanager
    def instead(self, transaction: SoapTransaction[Any, Any], handler: Handler) -> Iterator[None]:
        """Answer by another handler; whoever still waits for it at the end is hung up on."""
        self._over = asyncio.Event()
        self.counterpart.answers(transaction, handler)
        try:
            yield
        finally:
            self._over.set()
            self.counterpart.answers(transaction, self._handlers[transaction.id])

    async def retrieve_images(self, request: RetrieveImagingDocumentSetRequest) -> Poured[RetrieveDocumentSetResponse]:
        """As its source does; the location of every error is the home (RAD75-004)."""
        found = await super().retrieve_images(request)
        errors = tuple(replace(each, location=self.home.urn) for each in found.head.errors)
        return replace(found, head=replace(found.head, errors=errors))

    async def discover(self, request: DiscoveryRequest) -> DiscoveryResponse:
        """It is the one patient, whose demographics are those that were asked by; nobody may remember it."""
        return answered(request, self.home, self.patient)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    async def silent(self, request: object) -> Any:
        """Say nothing while this goes on."""
        await self._over.wait()
        raise HungUp

    async def gone(self, request: object) -> Any:
        """Hang up."""
        raise HungUp

    async def faulty(self, request: object) -> Any:
        """Answer with a SOAP fault."""
        raise InternalFault("something is broken here")


def answered(request: DiscoveryRequest, home: Oid, *found: PatientIdentifier) -> DiscoveryResponse:
    """An answer that tells these, each as a match of its own; the demographics are those of the question."""
    criteria = request.query.criteria
    shown = Patient(
        identifiers=(),
        name=criteria.names[0].name if criteria.names else PersonName(family="Nobody", given=""),
        birth_date=criteria.birth.low if criteria.birth is not None else None,
        sex=criteria.sex or Sex.UNKNOWN,
    )
    response = CandidatesResponse(
        code=QueryResponseCode.OK if found else QueryResponseCode.NOT_FOUND,
        candidates=tuple(Candidate(patient=replace(shown, identifiers=(each,)), home=home) for each in found),
    )
    return DiscoveryResponse(answer=response)
