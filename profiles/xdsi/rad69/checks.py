"""Rules of a Retrieve Imaging request that was read. Empty UIDs are legal XML and mean nothing.

Source: RAD TF-2 4.69.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xdsi.rad69.messages import RetrieveImagingDocumentSetRequest


def every_instance_is_named(request: RetrieveImagingDocumentSetRequest) -> Iterator[Finding]:
    """Each instance has its study, its series and itself named."""
    for study in request.studies:
        for series in study.series:
            for document in series.documents:
                at = document.document_unique_id
                if not study.study_instance_uid:
                    yield _finding("study", "studyInstanceUID is empty", at)
                if not series.series_instance_uid:
                    yield _finding("series", "seriesInstanceUID is empty", at)
                if not at:
                    yield _finding("document", "DocumentUniqueId is empty", at)


def every_instance_names_its_repository(request: RetrieveImagingDocumentSetRequest) -> Iterator[Finding]:
    """RepositoryUniqueId is the Retrieve Location UID of the manifest; none is answered as a wrong one."""
    for study in request.studies:
        for series in study.series:
            for document in series.documents:
                if not document.repository_unique_id:
                    at = document.document_unique_id
                    yield _finding("repository", "RepositoryUniqueId is empty", at, "XDSUnknownRepositoryId")


def a_transfer_syntax_is_named(request: RetrieveImagingDocumentSetRequest) -> Iterator[Finding]:
    """An empty list is not "any" (RAD69-005)."""
    if not request.transfer_syntax_uids:
        yield _finding(
            "transfer-syntax", "no transfer syntax is named that could be answered in", "", "XDSRepositoryError"
        )


def _finding(rule: str, text: str, location: str, code: str = "XDSDocumentUniqueIdError") -> Finding:
    return Finding(rule=f"RAD69/{rule}", text=text, code=code, location=location)


CHECKS = (every_instance_is_named, every_instance_names_its_repository, a_transfer_syntax_is_named)
