"""ITI-51 as a document consumer asks it: the documents of several patients, by one query.

Source: ITI TF-2 3.51.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import new_uid
from conformance.suites.asking import Errand, Facts, asking_cases, cx, refusal
from conformance.target import Target
from profiles.model.document import AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor
from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti51 import ITI_51

CONSUMER = Actor.DOCUMENT_CONSUMER


async def _two(target: Target) -> tuple[tuple[PatientIdentifier, ...], Facts]:
    known = target.patient()
    patients = (known, PatientIdentifier(value=f"N{new_uid()[-6:]}", authority=known.authority))
    for each in patients:
        target.community.hold(each)
    return patients, {"patient": " ".join(map(cx, patients))}


FIND = Errand("find", ITI_51, _two)

CASES = asking_cases(
    __name__, CONSUMER, FIND, rules="ITI51/asks-rules", told="ITI51/asks-told",
    refusals={"a failure": StoredQueryResponse(status=ResponseStatus.FAILURE, errors=refusal("XDSRegistryError"))},
)  # fmt: skip


@case(
    "ITI51/asks",
    transaction="ITI-51",
    actor=CONSUMER,
    title="A query of several patients names each of them, and the status",
)
async def query_named(target: Target) -> None:
    """By the ids of the affinity domain, as FindDocumentsForMultiplePatients."""
    patients, asked = await FIND.asked(target)
    request: StoredQueryRequest = asked.request
    expect(request.query, "the query").is_one_of(*MultiPatientQuery)
    expect(request.criteria.patient_ids, "the patients").has_same(patients)
    expect(request.criteria.statuses, "the statuses").contains(AvailabilityStatus.APPROVED)
