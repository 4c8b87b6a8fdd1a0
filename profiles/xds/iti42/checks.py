"""Rules of a Register request that was read.

Source: ITI TF-2 3.42.4.1.3; ITI TF-3 table 4.3.1-3.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.wire.ebxml.response import Speaker
from profiles.wire.ebxml.rules import registered_attributes_are_there, submission_findings
from profiles.xds.iti42.messages import RegisterRequest


def metadata_is_complete(request: RegisterRequest) -> Iterator[Finding]:
    """Every rule of a submission's metadata, in a registry's words, with what a repository must have added."""
    yield from submission_findings(request.submission, Speaker.REGISTRY)
    yield from registered_attributes_are_there(request.submission)


CHECKS = (metadata_is_complete,)
