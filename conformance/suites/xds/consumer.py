"""ITI-18 and ITI-43 as a document consumer asks them: on its way to a study that somebody else has.

Source: ITI TF-2 3.18, 3.43.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.asking import asked_for, fetched, well_addressed
from conformance.target import Target
from profiles.model.document import AvailabilityStatus
from profiles.transaction import Actor
from profiles.xds.iti18 import ITI_18, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest

CONSUMER = Actor.DOCUMENT_CONSUMER


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-18",
    actor=CONSUMER,
    title="A query is addressed as it must be",
)
async def query_addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; plain SOAP."""
    _, asked = await asked_for(target, ITI_18)
    well_addressed(asked, ITI_18)


@case("ITI18/asks", transaction="ITI-18", actor=CONSUMER, title="A query names the patient and the status")
async def query_named(target: Target) -> None:
    """By the id of the affinity domain."""
    _, asked = await asked_for(target, ITI_18, lambda each: bool(each.request.criteria.patient_ids))
    request: StoredQueryRequest = asked.request
    expect(request.criteria.patient_ids, "the patient").equals((target.patient(),))
    expect(request.criteria.statuses, "the statuses").contains(AvailabilityStatus.APPROVED)


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-43",
    actor=CONSUMER,
    title="A retrieval is addressed as it must be",
)
async def retrieval_addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; MTOM."""
    _, asked = await asked_for(target, ITI_43)
    well_addressed(asked, ITI_43)


@case("ITI43/asks", transaction="ITI-43", actor=CONSUMER, title="A document is asked for by the ids of its entry")
async def retrieval_named(target: Target) -> None:
    """The repository's id, and the document's."""
    offer, before = await fetched(target)
    uid = offer.manifest.entry.unique_id
    asked = await target.asked(ITI_43, before, lambda each: uid in str(each.body))
    request: RetrieveDocumentSetRequest = asked.request
    named = [each.repository_unique_id for each in request.documents if each.document_unique_id == uid]
    expect(named, "the repository of the manifest").equals([str(target.community.repository)])
