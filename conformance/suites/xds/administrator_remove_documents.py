"""ITI-86 as a document administrator asks it: the bytes of a document go from the repository that has them.

Source: ITI TF-2 3.86.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import Errand, asking_cases
from conformance.suites.xds.changing import held, refusals
from conformance.target import Target
from profiles.transaction import Actor
from profiles.xds.iti86 import ITI_86

ADMINISTRATOR = Actor.DOCUMENT_ADMINISTRATOR
REMOVE = Errand("remove", ITI_86, held)

CASES = asking_cases(
    __name__, ADMINISTRATOR, REMOVE, rules="ITI86/asks-rules", told="ITI86/asks-told",
    refusals=refusals("XDSDocumentUniqueIdError"),
)  # fmt: skip


@case(
    "ITI86/asks-named",
    transaction="ITI-86",
    actor=ADMINISTRATOR,
    title="The document is named by its uniqueId, to the repository that has it",
)
async def named(target: Target) -> None:
    """Both ids as in the entry, once."""
    there, asked = await REMOVE.asked(target)
    said = [(each.repository_unique_id, each.document_unique_id) for each in asked.request.documents]
    expect(said, "the documents").equals([(str(target.community.repository), there.entry.unique_id)])
