"""Rules of a restricted update that was read: new versions of entries, whole, and nothing else.

Source: ITI TF-2 3.92.4.1.2, 3.92.4.1.3.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.wire.ebxml.operations import RESTRICTED_UPDATE, read_operations
from profiles.wire.ebxml.rules import update_findings
from profiles.xds.iti92.messages import RestrictedUpdateRequest


def operations_can_be_decoded(request: RestrictedUpdateRequest) -> Iterator[Finding]:
    """Everything in the update is a new version of an entry."""
    yield from read_operations(request.submission, RESTRICTED_UPDATE)[1]


def metadata_is_complete(request: RestrictedUpdateRequest) -> Iterator[Finding]:
    """A new version is as complete as what a registry holds."""
    yield from update_findings(request.submission)


CHECKS = (operations_can_be_decoded, metadata_is_complete)
