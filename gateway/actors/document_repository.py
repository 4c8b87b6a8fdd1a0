"""Document Repository and Document Recipient: two doors for one transaction, and what they hand out again.

The repository's door is XDS: the patient id must be known in the affinity domain. The recipient's door is XDR-I: the
sender's own id is reconciled to ours.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.actors.answering import answers
from gateway.services.exchange import Exchange
from gateway.services.ingest import Door, Ingest
from gateway.services.remove import Removal
from gateway.services.retrieve import Retrieve, pour_of
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import Speaker, errors_of, errors_of_findings, status_of, warnings_to_tell
from profiles.wire.ebxml.retrieve import RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest, RegistryResponse
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest
from profiles.xdsi.rad68 import RAD_68, is_imaging


def provided(request: ProvideAndRegisterRequest) -> SoapTransaction[ProvideAndRegisterRequest, RegistryResponse]:
    """RAD-68 is ITI-41 on the wire; what it carries tells."""
    return RAD_68 if is_imaging(request) else ITI_41


class DocumentRepository:
    """ITI TF-1 10.1.1.4."""

    def __init__(self, *, ingest: Ingest, retrieve: Retrieve, removal: Removal) -> None:
        """Stand on the services."""
        self._ingest = ingest
        self._retrieve = retrieve
        self._removal = removal

    @answers(ITI_41, refine=provided)
    async def provide_and_register(self, request: ProvideAndRegisterRequest, exchange: Exchange) -> RegistryResponse:
        """Keep and register documents of a patient of the affinity domain."""
        warnings = await self._ingest.accept(request.submission, request.documents, Door.REPOSITORY, exchange)
        told = (*warnings_to_tell(exchange.findings), *warnings)
        return RegistryResponse(errors=errors_of_findings(told, Speaker.REPOSITORY))

    @answers(ITI_43)
    async def retrieve_document_set(
        self, request: RetrieveDocumentSetRequest, exchange: Exchange
    ) -> Poured[RetrieveDocumentSetResponse]:
        """Hand documents out as they were received; those of on-demand entries are made."""
        wanted = {document.document_unique_id: document for document in request.documents}
        told = await self._retrieve.documents(tuple(wanted.values()), exchange)
        errors = tuple(each for error in told.failed.values() for each in errors_of(error, Speaker.SOURCE))
        documents = tuple(
            RetrievedDocument(
                repository_unique_id=wanted[unique_id].repository_unique_id,
                document_unique_id=unique_id,
                home_community_id=wanted[unique_id].home_community_id,
                mime_type=content.media_type,
                size_bytes=content.size_bytes,
                new_repository_unique_id=told.made[unique_id].repository_unique_id if unique_id in told.made else "",
                new_document_unique_id=told.made[unique_id].unique_id if unique_id in told.made else "",
            )
            for unique_id, content in told.found.items()
        )
        head = RetrieveDocumentSetResponse(status=status_of(errors, len(documents)), errors=errors, documents=documents)
        return Poured(head=head, pour=pour_of(told.found))

    @answers(ITI_86)
    async def remove_documents(self, request: RemoveDocumentsRequest, exchange: Exchange) -> RegistryResponse:
        """Let go of documents."""
        await self._removal.documents(request.documents, exchange)
        return RegistryResponse()


class DocumentRecipient:
    """ITI TF-1 15.1.1.2 (XDR), with imaging content: what an outside hospital provides."""

    def __init__(self, *, ingest: Ingest) -> None:
        """Stand on the services."""
        self._ingest = ingest

    @answers(ITI_41, refine=provided)
    async def provide_and_register(self, request: ProvideAndRegisterRequest, exchange: Exchange) -> RegistryResponse:
        """Keep and register documents of a patient whom the sender names in its own way."""
        warnings = await self._ingest.accept(request.submission, request.documents, Door.RECIPIENT, exchange)
        told = (*warnings_to_tell(exchange.findings), *warnings)
        return RegistryResponse(errors=errors_of_findings(told, Speaker.REPOSITORY))


NO_DOORS: Mapping[Oid, DocumentRecipient] = MappingProxyType({})
"""Recipients by further homes of ours: of a house that is one community."""
