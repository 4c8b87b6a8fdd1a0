"""Rules of a Cross-Gateway Document Provide that was read: those of ITI-41, of manifests those of RAD-68, and the home.

Source: ITI TF-2 3.80.4.1.2; RAD TF-2 4.68.4.1.2.
"""

from collections.abc import Iterator

from profiles.findings import Finding
from profiles.xcdr.iti80.messages import ProvideAndRegisterRequest
from profiles.xdsi.rad68 import RAD_68


def a_submission_names_its_community(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """Whoever takes it may speak for several communities, or pass it on."""
    if request.home_community_id is None:
        yield Finding(
            rule="ITI80/home",
            text="a submission to another community needs its homeCommunityId",
            code="XDSMissingHomeCommunityId",
            location=request.submission.submission_set.unique_id,
        )


CHECKS = (*RAD_68.checks, a_submission_names_its_community)
