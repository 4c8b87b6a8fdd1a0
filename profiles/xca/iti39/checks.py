"""Rules of a Cross Gateway Retrieve that was read: those of ITI-43, and the home of each document.

Source: ITI TF-2 3.39.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xca.iti39.messages import RetrieveDocumentSetRequest
from profiles.xds.iti43 import ITI_43


def every_document_names_its_community(request: RetrieveDocumentSetRequest) -> Iterator[Finding]:
    """HomeCommunityId is required in each DocumentRequest."""
    for document in request.documents:
        if document.home_community_id is None:
            yield Finding(
                rule="ITI39/home",
                text="a document of another community needs its homeCommunityId",
                code="XDSMissingHomeCommunityId",
                location=document.document_unique_id,
            )


CHECKS = (*ITI_43.checks, every_document_names_its_community)
