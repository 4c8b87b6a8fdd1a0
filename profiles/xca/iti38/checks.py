"""Rules of a Cross Gateway Query that was read.

Source: ITI TF-2 3.38.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xca.iti38.messages import StoredQueryRequest, names_a_patient


def a_query_without_patient_names_its_community(request: StoredQueryRequest) -> Iterator[Finding]:
    """An entryUUID means nothing without the community that gave it."""
    if request.home_community_id is None and not names_a_patient(request):
        yield Finding(
            rule="ITI38/home",
            text="a query without a patient id needs a homeCommunityId",
            code="XDSMissingHomeCommunityId",
            location="AdhocQuery/@home",
        )


CHECKS = (a_query_without_patient_names_its_community,)
