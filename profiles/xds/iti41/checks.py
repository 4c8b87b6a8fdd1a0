"""Rules of a Provide and Register request that was read.

Hash and size are compared by the repository when the bytes have been counted; here only what the message says.

Source: ITI TF-2 3.41.4.1.3; ITI TF-3 table 4.3.1-3.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.wire.ebxml.provide import (
    ProvideAndRegisterRequest,
    every_document_has_an_entry,
    every_entry_has_a_document,
)
from profiles.wire.ebxml.response import Speaker
from profiles.wire.ebxml.rules import submission_findings


def metadata_is_complete(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """Every rule of a submission's metadata, in a repository's words."""
    return submission_findings(request.submission, Speaker.REPOSITORY)


CHECKS = (metadata_is_complete, every_entry_has_a_document, every_document_has_an_entry)
