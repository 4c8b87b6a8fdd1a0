"""Rules of an update that was read: whole metadata, and operations that can be told apart.

Source: ITI TF-2 3.57.4.1.2, 3.57.4.1.3.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.wire.ebxml.operations import UPDATE, read_operations
from profiles.wire.ebxml.rules import update_findings
from profiles.xds.iti57.messages import UpdateRequest


def operations_can_be_decoded(request: UpdateRequest) -> Iterator[Finding]:
    """Everything in the update belongs to an operation."""
    yield from read_operations(request.submission, UPDATE)[1]


def metadata_is_complete(request: UpdateRequest) -> Iterator[Finding]:
    """A new version is as complete as what a registry holds."""
    yield from update_findings(request.submission)


CHECKS = (operations_can_be_decoded, metadata_is_complete)
