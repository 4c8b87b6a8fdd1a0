"""ITI-18 as a document consumer hears the answer: a registry that says no has not said that nothing is there.

Source: ITI TF-2 3.18.4.1.3; ITI TF-3 4.2.4.
"""

from conformance.suites.asking import Errand, Facts, answer_cases, cx, refusal
from conformance.target import Target
from profiles.model.document import DocumentEntry
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import ITI_18, StoredQueryResponse


async def _of_patient(target: Target) -> tuple[DocumentEntry, Facts]:
    entry = target.community.hold(target.patient()).entry
    return entry, {"patient": cx(entry.patient_id)}


LOOK = Errand("look", ITI_18, _of_patient)

CASES = answer_cases(
    __name__, Actor.DOCUMENT_CONSUMER, LOOK, told="ITI18/asks-told",
    refusals={"a failure": StoredQueryResponse(status=ResponseStatus.FAILURE, errors=refusal("XDSRegistryError"))},
)  # fmt: skip
