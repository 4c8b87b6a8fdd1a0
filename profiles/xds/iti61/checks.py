"""Rules of a registration of on-demand entries that was read.

Source: ITI TF-2 3.61.4.1.2; ITI TF-3 table 4.3.1-3.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.model.document import EntryType
from profiles.wire.ebxml.response import Speaker
from profiles.wire.ebxml.rules import registered_attributes_are_there, submission_findings
from profiles.xds.iti61.messages import RegisterOnDemandRequest


def metadata_is_that_of_a_document_to_come(request: RegisterOnDemandRequest) -> Iterator[Finding]:
    """Every rule of a submission's metadata; entries are on demand, and name the source as their repository."""
    yield from submission_findings(request.submission, Speaker.REGISTRY, EntryType.ON_DEMAND)
    yield from registered_attributes_are_there(request.submission)


CHECKS = (metadata_is_that_of_a_document_to_come,)
