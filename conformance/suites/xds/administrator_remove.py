"""ITI-62 as a document administrator asks it: all that is registered of a document goes at once.

Source: ITI TF-2 3.62.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import Errand, asking_cases
from conformance.suites.xds.changing import held, refusals
from conformance.target import Target
from profiles.transaction import Actor
from profiles.xds.iti62 import ITI_62

ADMINISTRATOR = Actor.DOCUMENT_ADMINISTRATOR
REMOVE = Errand("remove", ITI_62, held)

CASES = asking_cases(
    __name__, ADMINISTRATOR, REMOVE, rules="ITI62/asks-rules", told="ITI62/asks-told",
    refusals=refusals("ReferencesExistException"),
)  # fmt: skip


@case(
    "ITI62/asks-all",
    transaction="ITI-62",
    actor=ADMINISTRATOR,
    title="A removal names the entry and all that refers to it, once each, and nothing else",
)
async def everything(target: Target) -> None:
    """The entry, its association with its submission set, and the set, which has brought nothing else."""
    there, asked = await REMOVE.asked(target)
    expect(asked.request.entry_uuids, "what is to go").has_same(there.hanging)
