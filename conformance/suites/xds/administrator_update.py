"""ITI-57 as a document administrator asks it: a new version of an entry, or its deprecation.

Source: ITI TF-2 3.57.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import Errand, asking_cases
from conformance.suites.xds.changing import held, refusals, to_be_renamed, version_cases
from conformance.target import Target
from profiles.model.document import AssociationType, AvailabilityStatus
from profiles.transaction import Actor
from profiles.wire.ebxml.operations import NEW_STATUS, ORIGINAL_STATUS
from profiles.xds.iti57 import ITI_57

ADMINISTRATOR = Actor.DOCUMENT_ADMINISTRATOR
UPDATE = Errand("update", ITI_57, to_be_renamed)
DEPRECATE = Errand("deprecate", ITI_57, held)

CASES = (
    *asking_cases(
        __name__, ADMINISTRATOR, UPDATE, rules="ITI57/asks-rules", told="ITI57/asks-told",
        refusals=refusals("XDSMetadataUpdateError"),
    ),
    *version_cases(__name__, ADMINISTRATOR, UPDATE, "ITI57/asks-"),
)  # fmt: skip


@case(
    "ITI57/asks-status",
    transaction="ITI-57",
    actor=ADMINISTRATOR,
    title="A deprecation goes from the set to the entry, and says both statuses",
)
async def deprecation(target: Target) -> None:
    """UpdateAvailabilityStatus with OriginalStatus and NewStatus, of one entry, and nothing else."""
    there, asked = await DEPRECATE.asked(target)
    submission = asked.request.submission
    said = [
        (each.type, each.source, each.target, dict(each.extra).get(ORIGINAL_STATUS), dict(each.extra).get(NEW_STATUS))
        for each in submission.associations
    ]
    expect(said, "the operations").equals(
        [
            (
                AssociationType.UPDATE_AVAILABILITY_STATUS, submission.submission_set.entry_uuid, there.entry.entry_uuid,
                (str(AvailabilityStatus.APPROVED),), (str(AvailabilityStatus.DEPRECATED),),
            )
        ]
    )  # fmt: skip
