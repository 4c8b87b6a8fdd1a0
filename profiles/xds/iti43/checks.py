"""Rules of a Retrieve request that was read. Empty ids are legal XML and mean nothing.

Source: ITI TF-2 3.43.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xds.iti43.messages import RetrieveDocumentSetRequest


def every_document_is_named(request: RetrieveDocumentSetRequest) -> Iterator[Finding]:
    """Each request names its repository and its document."""
    for document in request.documents:
        if not document.repository_unique_id:
            yield Finding(
                rule="ITI43/repository",
                text="RepositoryUniqueId is empty",
                code="XDSUnknownRepositoryId",
                location=document.document_unique_id,
            )
        if not document.document_unique_id:
            yield Finding(rule="ITI43/document", text="DocumentUniqueId is empty", code="XDSDocumentUniqueIdError")


CHECKS = (every_document_is_named,)
