"""Document Registry: registers metadata (ITI-42), answers stored queries (ITI-18)."""

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.ingest import Ingest
from gateway.services.stored_query import StoredQueries
from profiles.wire.ebxml.response import Speaker, errors_of_findings, warnings_to_tell
from profiles.xds.iti18 import ITI_18, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti42 import ITI_42, RegisterRequest, RegistryResponse


class DocumentRegistry:
    """ITI TF-1 10.1.1.3."""

    def __init__(self, *, ingest: Ingest, queries: StoredQueries) -> None:
        """Stand on the services."""
        self._ingest = ingest
        self._queries = queries

    @answers(ITI_42)
    async def register_document_set(self, request: RegisterRequest, exchange: Exchange) -> RegistryResponse:
        """Register documents that a repository keeps."""
        warnings = await self._ingest.register(request.submission, exchange)
        told = (*warnings_to_tell(exchange.findings), *warnings)
        return RegistryResponse(errors=errors_of_findings(told, Speaker.REGISTRY))

    @answers(ITI_18)
    async def registry_stored_query(self, request: StoredQueryRequest, exchange: Exchange) -> StoredQueryResponse:
        """Find registry objects."""
        return await self._queries.answer(request, exchange)
