"""Rules about an announcement.

Source: HL7 v2.5.1 7.4.1 (OBR-25), table 0123; security: addresses are never fetched by themselves.
"""

from collections.abc import Iterator

from profiles.findings import Finding, Severity
from profiles.swf.oru_r01.messages import StudyAvailable

RESULT_STATUS = frozenset("OISAPCRFXYZ")  # table 0123


def the_result_status_is_known(request: StudyAvailable) -> Iterator[Finding]:
    """OBR-25 is required in an ORU, from table 0123."""
    if request.status not in RESULT_STATUS:
        yield Finding(
            rule="oru.result-status",
            text="OBR-25 is of table 0123",
            severity=Severity.WARNING,
            code="103",
            location="OBR^1^25",
        )


def addresses_are_secure(request: StudyAvailable) -> Iterator[Finding]:
    """A link to a person's images goes over TLS."""
    for url in (request.viewer_url, request.retrieve_url):
        if url and not url.lower().startswith("https://"):
            yield Finding(
                rule="oru.plain-address",
                text="the address of the images is not https",
                severity=Severity.WARNING,
                code="103",
                location="OBX^2^5",
            )


CHECKS = (the_result_status_is_known, addresses_are_secure)
