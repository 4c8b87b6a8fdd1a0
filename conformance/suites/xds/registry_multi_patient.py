"""ITI-51 at a document registry: what several patients have, or all of them, by one question.

What a newcomer gets wrong: the patient is no condition more that must be there, so that something else must: a class, an
event or a kind of facility. Without any, it would be a question for everything.

Source: ITI TF-2 3.51 (Multi-Patient Queries).
"""

import re
import uuid
from dataclasses import replace
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import HOSPITAL, REPORT, TYPE, Document, arrow, document, folder, provided, submission
from conformance.suites.envelope import envelope_cases
from conformance.suites.pix.messages import another_patient
from conformance.suites.xds.documents import APPROVED, entry_of, errors_in
from conformance.target import Target, Wrong
from conformance.verdict import Unreachable
from profiles.model.codes import Code
from profiles.model.content import Content
from profiles.model.document import AssociationType, AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria, TimeRange
from profiles.transaction import Actor
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.query import MultiPatientQuery, ReturnType, StoredQuery
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti51 import ITI_51

REGISTRY = Actor.DOCUMENT_REGISTRY
EVENTS = "2.25.71190522.81"  # a coding scheme of the cases' own
MISSING, UNKNOWN = "XDSStoredQueryMissingParam", "XDSUnknownStoredQuery"


async def a_question(target: Target) -> StoredQueryRequest:
    """FindDocumentsForMultiplePatients of the known patient."""
    return StoredQueryRequest(
        query=MultiPatientQuery.FIND_DOCUMENTS,
        criteria=DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED),
    )


ENVELOPE = envelope_cases(__name__, ITI_51, REGISTRY, a_question)


# --- documents --------------------------------------------------------------------------------------------------------


@case(
    "ITI51/patients", transaction="ITI-51", actor=REGISTRY, title="Documents of two patients are found by one question"
)
async def of_two(target: Target) -> None:
    """Each under the id of its patient."""
    first, second = await _two(target)
    answer = await _found(target, patient_ids=(first.entry.patient_id, second.entry.patient_id))
    came = [(each.unique_id, each.patient_id) for each in answer.entries]
    expect(came, "what is found").contains(*((each.entry.unique_id, each.entry.patient_id) for each in (first, second)))


@case("ITI51/patients", transaction="ITI-51", actor=REGISTRY, title="Documents of who is not named are not found")
async def of_one(target: Target) -> None:
    """Both have a document of this event; one of them is asked for."""
    event = _event()
    _, second = await _two(target, event_codes=(event,))
    await _finds(target, second, patient_ids=(second.entry.patient_id,), event_codes=((event,),))


@case(
    "ITI51/anybody", transaction="ITI-51", actor=REGISTRY, title="Documents of an event are found, whosoever they are"
)
async def by_event(target: Target) -> None:
    """Without a patient."""
    event = _event()
    two = await _two(target, event_codes=(event,))
    await _two(target, event_codes=(_event(),))
    await _finds(target, *two, event_codes=((event,),))


@case("ITI51/anybody", transaction="ITI-51", actor=REGISTRY, title="A class or a kind of facility is enough to go by")
async def by_class(target: Target) -> None:
    """The documents of both patients are among what was made since."""
    two = await _two(target)
    asked = DocumentCriteria(statuses=APPROVED, creation_time=TimeRange(start=two[0].entry.creation_time))
    for by in (
        replace(asked, class_codes=(REPORT,)),
        replace(asked, healthcare_facility_type_codes=(HOSPITAL,)),
    ):
        answer = await _answered(target, StoredQueryRequest(query=MultiPatientQuery.FIND_DOCUMENTS, criteria=by))
        expect([each.unique_id for each in answer.entries], "what is found").contains(
            *(each.entry.unique_id for each in two)
        )


@case("ITI51/filter", transaction="ITI-51", actor=REGISTRY, title="Each further parameter narrows")
async def narrowed(target: Target) -> None:
    """By a type that the documents have, and by one that they have not."""
    event = _event()
    two = await _two(target, event_codes=(event,))
    await _finds(target, *two, event_codes=((event,),), type_codes=(TYPE,))
    await _finds(target, event_codes=((event,),), type_codes=(replace(TYPE, value="11525-3"),))


@case(
    "ITI51/filter", transaction="ITI-51", actor=REGISTRY, title="What is deprecated is not found among what is approved"
)
async def by_status(target: Target) -> None:
    """And is found where it is asked for."""
    event = _event()
    old, other = await _two(target, event_codes=(event,))
    new = document(old.entry.patient_id)
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    relation = arrow(AssociationType.REPLACE, new.entry.entry_uuid, uuid_)
    await _taken(target, provided(old.entry.patient_id, new, associations=(relation,)))
    await _finds(target, other, event_codes=((event,),))
    await _finds(target, old, event_codes=((event,),), statuses=(AvailabilityStatus.DEPRECATED,))


@case("ITI51/references", transaction="ITI-51", actor=REGISTRY, title="References come where references are asked for")
async def references(target: Target) -> None:
    """One for each entry, and no entry."""
    event = _event()
    two = await _two(target, event_codes=(event,))
    uuids = [(await entry_of(target, each.entry.unique_id)).entry_uuid for each in two]
    answer = await _found(target, return_type=ReturnType.OBJECT_REF, event_codes=((event,),))
    expect([each.entry_uuid for each in answer.object_refs], "the references").has_same(uuids)
    expect(answer.entries, "entries").is_absent()


# --- folders ----------------------------------------------------------------------------------------------------------


@case("ITI51/folders", transaction="ITI-51", actor=REGISTRY, title="Folders of two patients are found by one question")
async def folders(target: Target) -> None:
    """By their patients, and by their code alone."""
    code = _event()
    patients = await _patients(target)
    places = [replace(folder(each), codes=(code,)) for each in patients]
    for patient, place in zip(patients, places, strict=True):
        one = document(patient)
        inside = arrow(AssociationType.HAS_MEMBER, place.entry_uuid, one.entry.entry_uuid)
        whole = submission(patient, [one], folders=[place], associations=[inside])
        bodies = {one.entry.entry_uuid: Content.of(one.body, "text/plain")}
        await _taken(target, ProvideAndRegisterRequest(submission=whole, documents=bodies))
    uids = [each.unique_id for each in places]
    for asked, expected in (
        ({"patient_ids": patients, "codes": ((code,),)}, uids),
        ({"codes": ((code,),)}, uids),
        ({"patient_ids": patients[1:], "codes": ((code,),)}, uids[1:]),
    ):
        request = StoredQueryRequest(
            query=MultiPatientQuery.FIND_FOLDERS, folders=FolderCriteria(statuses=APPROVED, **asked)
        )
        response = await _answered(target, request)
        expect([each.unique_id for each in response.folders], f"folders by {' and '.join(asked)}").has_same(expected)


# --- what is wrong ----------------------------------------------------------------------------------------------------


@case("ITI51/missing", transaction="ITI-51", actor=REGISTRY, title="A question for everything is refused")
async def for_everything(target: Target) -> None:
    """Neither patient nor class nor event nor facility."""
    await _refused(target, _without_slot("$XDSDocumentEntryPatientId"), MISSING)


@case("ITI51/missing", transaction="ITI-51", actor=REGISTRY, title="A question without its status is refused")
async def no_status(target: Target) -> None:
    """$XDSDocumentEntryStatus is required."""
    await _refused(target, _without_slot("$XDSDocumentEntryStatus"), MISSING)


@case("ITI51/unknown", transaction="ITI-51", actor=REGISTRY, title="A query that nobody knows is refused")
async def unknown_query(target: Target) -> None:
    """By its id."""
    await _refused(target, _of_query("urn:uuid:00000000-0000-4000-8000-000000000000"), UNKNOWN)


@case("ITI51/unknown", transaction="ITI-51", actor=REGISTRY, title="A query of one patient is not one of several")
async def of_iti_18(target: Target) -> None:
    """FindDocuments by its own id."""
    await _refused(target, _of_query(StoredQuery.FIND_DOCUMENTS), UNKNOWN)


# --- how it is asked --------------------------------------------------------------------------------------------------


def _event() -> Code:
    """A code that nobody has used."""
    value = f"E{uuid.uuid4().hex[:10]}"
    return Code(value=value, system=EVENTS, display=value)


async def _patients(target: Target) -> tuple[PatientIdentifier, PatientIdentifier]:
    return target.patient(), await another_patient(target)


async def _two(target: Target, **fields: Any) -> tuple[Document, Document]:
    """A document of each of two patients."""
    first, second = [document(each, **fields) for each in await _patients(target)]
    for one in (first, second):
        await _taken(target, provided(one.entry.patient_id, one))
    return first, second


async def _taken(target: Target, request: ProvideAndRegisterRequest) -> None:
    answer = await target.call(ITI_41, request)
    if answer.decoded is None or answer.decoded.status is not ResponseStatus.SUCCESS:
        raise Unreachable("what is to be found is not taken by ITI-41: see repository_provide")


async def _found(
    target: Target, *, return_type: ReturnType = ReturnType.LEAF_CLASS, **asked: Any
) -> StoredQueryResponse:
    given: dict[str, Any] = {"statuses": APPROVED}
    request = StoredQueryRequest(
        query=MultiPatientQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(**given | asked), return_type=return_type
    )
    return await _answered(target, request)


async def _answered(target: Target, request: StoredQueryRequest) -> StoredQueryResponse:
    response = (await target.call(ITI_51, request)).response
    expect(response.status, "the status of the query").equals(ResponseStatus.SUCCESS)
    return response


async def _finds(target: Target, *documents: Document, **asked: Any) -> None:
    """These documents, and no other."""
    answer = await _found(target, **asked)
    expect([each.unique_id for each in answer.entries], f"what is found by {' and '.join(asked)}").has_same(
        [each.entry.unique_id for each in documents]
    )


def _without_slot(name: str) -> Wrong:
    pattern = re.compile(rb'<rim:Slot name="' + re.escape(name.encode()) + rb'">.*?</rim:Slot>', re.DOTALL)
    return Wrong(body=lambda body: pattern.sub(b"", body))


def _of_query(id_: str) -> Wrong:
    return Wrong(body=lambda body: body.replace(MultiPatientQuery.FIND_DOCUMENTS.encode(), id_.encode()))


async def _refused(target: Target, wrong: Wrong, code: str) -> None:
    response = (await target.call(ITI_51, await a_question(target), wrong=wrong)).response
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    expect((errors_in(response.errors) or [""])[0], "the error code").equals(code)
