"""Document Registry: registers metadata, answers stored queries, and lets an administrator change and remove metadata."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.ingest import Ingest
from gateway.services.remove import Removal
from gateway.services.stored_query import StoredQueries
from gateway.services.update import FULL, RESTRICTED, Update
from profiles.findings import Finding
from profiles.wire.ebxml.response import Speaker, errors_of_findings, warnings_to_tell
from profiles.xds.iti18 import ITI_18, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti42 import ITI_42, RegisterRequest, RegistryResponse
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti92 import ITI_92, RestrictedUpdateRequest


class DocumentRegistry:
    """ITI TF-1 10.1.1.3; with the options of Metadata Update, of its restricted form, and of Remove Metadata."""

    def __init__(self, *, ingest: Ingest, queries: StoredQueries, update: Update, removal: Removal) -> None:
        """Stand on the services."""
        self._ingest = ingest
        self._queries = queries
        self._update = update
        self._removal = removal

    @answers(ITI_42)
    async def register_document_set(self, request: RegisterRequest, exchange: Exchange) -> RegistryResponse:
        """Register documents that a repository keeps."""
        return _done(exchange, await self._ingest.register(request.submission, exchange))

    @answers(ITI_61)
    async def register_on_demand_document_entry(
        self, request: RegisterOnDemandRequest, exchange: Exchange
    ) -> RegistryResponse:
        """Register documents that are made when they are asked for."""
        return _done(exchange, await self._ingest.register(request.submission, exchange))

    @answers(ITI_18)
    async def registry_stored_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find registry objects."""
        return await self._queries.answer(request, exchange)

    @answers(ITI_51)
    async def multi_patient_stored_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find what several patients have."""
        return await self._queries.answer(request, exchange)

    @answers(ITI_57)
    async def update_document_set(self, request: UpdateRequest, exchange: Exchange) -> RegistryResponse:
        """Change what is registered."""
        return _done(exchange, await self._update.update(request.submission, exchange, FULL))

    @answers(ITI_92)
    async def restricted_update_document_set(
        self, request: RestrictedUpdateRequest, exchange: Exchange
    ) -> RegistryResponse:
        """Change some attributes of entries."""
        return _done(exchange, await self._update.update(request.submission, exchange, RESTRICTED))

    @answers(ITI_62)
    async def remove_metadata(self, request: RemoveMetadataRequest, exchange: Exchange) -> RegistryResponse:
        """Let go of registry objects."""
        await self._removal.metadata(request.entry_uuids, exchange)
        return _done(exchange)


def _done(exchange: Exchange, warnings: tuple[Finding, ...] = ()) -> RegistryResponse:
    told = (*warnings_to_tell(exchange.findings), *warnings)
    return RegistryResponse(errors=errors_of_findings(told, Speaker.REGISTRY))
