"""Rules of a removal that was read.

Source: ITI TF-2 3.62.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xds.iti62.messages import RemoveMetadataRequest


def something_is_named(request: RemoveMetadataRequest) -> Iterator[Finding]:
    """An empty list removes nothing and is a mistake of its sender."""
    if not request.entry_uuids:
        yield Finding(
            rule="iti62/something-is-named",
            text="no object is named",
            code="XDSRegistryError",
            location="ObjectRefList",
        )


CHECKS = (something_is_named,)
