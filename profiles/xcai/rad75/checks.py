"""Rules of a Cross Gateway Retrieve Imaging Document Set that was read: those of RAD-69, and the home of each instance.

Source: RAD TF-2 4.75.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xcai.rad75.messages import RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69


def every_instance_names_its_community(request: RetrieveImagingDocumentSetRequest) -> Iterator[Finding]:
    """HomeCommunityId is required in each DocumentRequest."""
    for document in (each.document for each in request.instances()):
        if document.home_community_id is None:
            yield Finding(
                rule="RAD75/home",
                text="an instance of another community needs its homeCommunityId",
                code="XDSMissingHomeCommunityId",
                location=document.document_unique_id,
            )


CHECKS = (*RAD_69.checks, every_instance_names_its_community)
