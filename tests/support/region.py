"""Region: a registry that we publish to. It decides as ours does, and may be told to fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.adapters.memory import MemoryStore
from gateway.model.peer import Peer
from profiles.errors import ExchangeError, PeerTimeout
from profiles.model.document import AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.operations import UPDATE, StatusChange, read_operations
from profiles.wire.ebxml.response import (
    RegistryError,
    RegistryResponse,
    ResponseStatus,
    Speaker,
    errors_of,
    status_of,
)
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xdsi.rad68 import RAD_68, ProvideAndRegisterRequest
from tests.support.registered import NOW


class Answered:
    """A call that has its response."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.text = ""

    def learned(self, **facts: object) -> None:
        self.text = str(facts.get("text", ""))


class Region:
    """`Peers` and `Directory` with one peer behind them."""

    def __init__(self) -> None:
        self.peer = Peer(name="Region", endpoints={"RAD-68": "http://region/soap/repository"})
        self.store = MemoryStore()
        self.submissions = 0
        self.deaf = 0  # so many requests are done, and their answers are lost
        self.down: ExchangeError | None = None  # instead of anything

    def known(self, name: str) -> Peer:
        assert name == self.peer.name
        return self.peer

    @asynccontextmanager
    async def call(self, transaction: Any, peer: Peer, request: Any, **_: object) -> AsyncIterator[Answered]:
        assert peer is self.peer
        self.submissions += transaction is RAD_68
        if self.down is not None:
            raise self.down
        done = {
            RAD_68.id: self._provided, ITI_61.id: self._registered, ITI_42.id: self._registered, ITI_57.id: self._updated,
        }  # fmt: skip
        response = await done[transaction.id](request)
        if self.deaf:
            self.deaf -= 1
            raise PeerTimeout("nothing came")
        yield Answered(response)

    async def _provided(self, request: ProvideAndRegisterRequest) -> RegistryResponse:
        (entry,) = request.submission.entries
        assert {*request.documents} == {entry.entry_uuid}
        assert [each.sha1 for each in request.documents.values()] == [entry.hash]
        return await self._registered(request)

    async def _registered(
        self, request: ProvideAndRegisterRequest | RegisterOnDemandRequest | RegisterRequest
    ) -> RegistryResponse:
        try:
            async with self.store.unit() as work:
                await work.registry.put(request.submission, NOW)
        except ExchangeError as error:
            errors = errors_of(error, Speaker.REPOSITORY)
            return RegistryResponse(status=status_of(errors), errors=errors)
        return RegistryResponse()

    async def _updated(self, request: UpdateRequest) -> RegistryResponse:
        """An entry is deprecated that was approved."""
        ((change,), findings) = read_operations(request.submission, UPDATE)
        assert findings == ()
        assert isinstance(change, StatusChange)
        now = {each.entry_uuid: each.availability_status for each in await self.entries(*AvailabilityStatus)}
        if now.get(change.target) is not change.original:
            code = "XDSMetadataUpdateOperationError" if change.target in now else "UnresolvedReferenceException"
            return RegistryResponse(status=ResponseStatus.FAILURE, errors=(RegistryError(code=code, context=""),))
        async with self.store.unit() as work:
            await work.registry.set_status(change.target, change.new, NOW)
        return RegistryResponse()

    async def entries(self, *statuses: AvailabilityStatus) -> list[DocumentEntry]:
        """What it has, in force unless said otherwise, in the order of registration."""
        return await entries(self.store, *statuses)


async def entries(store: MemoryStore, *statuses: AvailabilityStatus) -> list[DocumentEntry]:
    """What a registry has, in force unless said otherwise, in the order of registration."""
    criteria = DocumentCriteria(
        statuses=statuses or (AvailabilityStatus.APPROVED,), entry_types=(EntryType.STABLE, EntryType.ON_DEMAND)
    )
    async with store.view() as work:
        return [each async for each in work.registry.find(criteria)]
