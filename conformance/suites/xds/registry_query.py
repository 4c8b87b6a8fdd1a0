"""ITI-18 at a document registry: every query finds what it is about, and nothing else.

What is looked for is submitted first, by ITI-41; each case has documents of its own.

Source: ITI TF-2 3.18.4.1.2.3.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import REPORT, Document, arrow, document, folder, new_uid, provided, reference, submission
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import APPROVED, entry_of, errors_in, found, submitted
from conformance.target import Target, Wrong
from conformance.verdict import Unreachable
from profiles.model.codes import DCM, Code
from profiles.model.content import Content
from profiles.model.document import (
    ACCESSION,
    STUDY_INSTANCE_UID,
    AssociationType,
    Author,
    AvailabilityStatus,
    EntryType,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria, TimeRange
from profiles.transaction import Actor
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.query import ReturnType
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti41 import ITI_41

REGISTRY = Actor.DOCUMENT_REGISTRY
CT, MR, HEAD = (Code(value=value, system=DCM, display=value) for value in ("CT", "MR", "T-D1100"))
AT = Moment(datetime(2026, 3, 1, 10, tzinfo=UTC))


async def a_question(target: Target) -> StoredQueryRequest:
    """FindDocuments of the known patient."""
    return StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=_of(target))


ENVELOPE = envelope_cases(__name__, ITI_18, REGISTRY, a_question)
ELSEWHERE = elsewhere_cases(__name__, ITI_18, REGISTRY, a_question)


# --- FindDocuments ----------------------------------------------------------------------------------------------------


@case("ITI18/find", transaction="ITI-18", actor=REGISTRY, title="A document of the patient is found")
async def finds(target: Target) -> None:
    """Among whatever else the patient has."""
    (one,) = await submitted(target)
    expect(await _unique_ids(target), "what is found").contains(one.entry.unique_id)


@case(
    "ITI18/find", transaction="ITI-18", actor=REGISTRY, title="What is deprecated is not found among what is approved"
)
async def by_status(target: Target) -> None:
    """And is found where it is asked for."""
    (old,) = await submitted(target)
    await _replace(target, old)
    expect(
        old.entry.unique_id in await _unique_ids(target), "whether the replaced document is among the approved"
    ).equals(False)
    expect(await _unique_ids(target, statuses=(AvailabilityStatus.DEPRECATED,)), "what is deprecated").contains(
        old.entry.unique_id
    )


@case("ITI18/references", transaction="ITI-18", actor=REGISTRY, title="References come where references are asked for")
async def references(target: Target) -> None:
    """One for each entry, and no entry."""
    (one,) = await submitted(target)
    uuid = (await entry_of(target, one.entry.unique_id)).entry_uuid
    answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=_of(target), return_type=ReturnType.OBJECT_REF)
    expect([each.entry_uuid for each in answer.object_refs], "the references").contains(uuid)
    expect(answer.entries, "entries").is_absent()


@case("ITI18/attributes", transaction="ITI-18", actor=REGISTRY, title="An entry has what it was registered with")
async def attributes(target: Target) -> None:
    """Attribute by attribute."""
    sent = document(
        target.patient(), event_codes=(CT, HEAD), service_start_time=AT, title="Tête & cou <1>",
        authors=(Author(person="^Rossi^Anna", institutions=("Lakeside",)),), comments="Nothing",
    )  # fmt: skip
    await submitted(target, sent)
    came = await entry_of(target, sent.entry.unique_id)
    for name in (
        "patient_id", "class_code", "type_code", "format_code", "healthcare_facility_type_code", "practice_setting_code",
        "confidentiality_codes", "event_codes", "mime_type", "title", "comments", "creation_time", "service_start_time",
        "language_code", "hash", "size_bytes", "source_patient_id", "authors",
    ):  # fmt: skip
        expect(getattr(came, name), name).equals(getattr(sent.entry, name))


@case("ITI18/filter", transaction="ITI-18", actor=REGISTRY, title="A class code narrows, and several are alternatives")
async def by_class(target: Target) -> None:
    """Another code of the same system does not find it."""
    (one,) = await submitted(target)
    other = replace(REPORT, value="no-such-class")
    await _finds(target, one, class_codes=(REPORT,))
    await _finds(target, one, class_codes=(other, REPORT))
    await _misses(target, one, class_codes=(other,))


@case("ITI18/filter", transaction="ITI-18", actor=REGISTRY, title="A code of another scheme does not find")
async def by_scheme(target: Target) -> None:
    """The same value, meant by somebody else."""
    (one,) = await submitted(target)
    await _misses(target, one, class_codes=(replace(REPORT, system="1.2.3.4.5"),))


@case(
    "ITI18/and",
    transaction="ITI-18",
    actor=REGISTRY,
    title="Event codes in one slot are alternatives, in two slots conditions",
)
async def event_codes(target: Target) -> None:
    """A head CT."""
    (one,) = await submitted(target, document(target.patient(), event_codes=(CT, HEAD)))
    await _finds(target, one, event_codes=((CT, MR),))
    await _finds(target, one, event_codes=((CT,), (HEAD,)))
    await _misses(target, one, event_codes=((CT,), (MR,)))


@case("ITI18/times", transaction="ITI-18", actor=REGISTRY, title="A time range has its beginning and not its end")
async def time_range(target: Target) -> None:
    """ServiceStartTime."""
    (one,) = await submitted(target, document(target.patient(), service_start_time=AT))
    later = Moment(AT.at + timedelta(hours=1))
    await _finds(target, one, service_start_time=TimeRange(start=AT, end=later))
    await _misses(target, one, service_start_time=TimeRange(end=AT))
    await _misses(target, one, service_start_time=TimeRange(start=later))


@case("ITI18/times", transaction="ITI-18", actor=REGISTRY, title="An entry without the time is not left out")
async def without_time(target: Target) -> None:
    """It may well be what is looked for."""
    (one,) = await submitted(target)
    await _finds(target, one, service_start_time=TimeRange(start=AT, end=Moment(AT.at + timedelta(hours=1))))


@case("ITI18/like", transaction="ITI-18", actor=REGISTRY, title="An author is found by a pattern")
async def by_author(target: Target) -> None:
    """% stands for anything."""
    (one,) = await submitted(target, document(target.patient(), authors=(Author(person="^Quillfeather^Anna"),)))
    await _finds(target, one, author_persons=("%Quillfeather%",))
    await _misses(target, one, author_persons=("Quillfeather",))


@case("ITI18/filter", transaction="ITI-18", actor=REGISTRY, title="On-demand entries are not found among stable ones")
async def stable_only(target: Target) -> None:
    """A stable document is no on-demand one."""
    (one,) = await submitted(target)
    await _misses(target, one, entry_types=(EntryType.ON_DEMAND,))
    await _finds(target, one, entry_types=(EntryType.STABLE, EntryType.ON_DEMAND))


@case(
    "ITI18/reference-id",
    "ITI18/like",
    transaction="ITI-18",
    actor=REGISTRY,
    title="A document is found by accession number and by study",
)
async def by_reference(target: Target) -> None:
    """Exactly, and by a pattern."""
    number, study = f"A{new_uid()[-8:]}", new_uid()
    ids = (reference(number, ACCESSION, "1.2.3.4.5.6"), reference(study, STUDY_INSTANCE_UID))
    (one,) = await submitted(target, document(target.patient(), reference_ids=ids))
    for pattern in (f"{number}^^^&1.2.3.4.5.6&ISO^{ACCESSION}", f"{study}^^^^{STUDY_INSTANCE_UID}", f"{number}%"):
        answer = await found(
            target, StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID, criteria=_of(target, reference_ids=((pattern,),))
        )
        expect([each.unique_id for each in answer.entries], "what is found").equals([one.entry.unique_id])


# --- Get... -----------------------------------------------------------------------------------------------------------


@case("ITI18/get", transaction="ITI-18", actor=REGISTRY, title="An entry is got by uniqueId and by entryUUID")
async def get_documents(target: Target) -> None:
    """The same entry both ways."""
    (one,) = await submitted(target)
    uuid = (await entry_of(target, one.entry.unique_id)).entry_uuid
    answer = await found(target, criteria=DocumentCriteria(entry_uuids=(uuid,)))
    expect([each.unique_id for each in answer.entries], "the entry").equals([one.entry.unique_id])


@case("ITI18/related", transaction="ITI-18", actor=REGISTRY, title="The associations of an entry are got")
async def get_associations(target: Target) -> None:
    """Its membership of its set."""
    (one,) = await submitted(target)
    uuid = (await entry_of(target, one.entry.unique_id)).entry_uuid
    answer = await found(target, StoredQuery.GET_ASSOCIATIONS, uuids=(uuid,))
    expect([(each.type, each.target) for each in answer.associations], "the associations").contains(
        (AssociationType.HAS_MEMBER, uuid)
    )
    both = await found(
        target, StoredQuery.GET_DOCUMENTS_AND_ASSOCIATIONS, criteria=DocumentCriteria(unique_ids=(one.entry.unique_id,))
    )
    expect([each.unique_id for each in both.entries], "the entry").equals([one.entry.unique_id])
    expect(both.associations, "the associations").is_there()


@case(
    "ITI18/related",
    "ITI18/get",
    transaction="ITI-18",
    actor=REGISTRY,
    title="A set is got by its document and by its own id",
)
async def get_sets(target: Target) -> None:
    """With what is in it."""
    patient, uid = target.patient(), new_uid()
    one = document(patient)
    await _taken(target, provided(patient, one, unique_id=uid))
    uuid = (await entry_of(target, one.entry.unique_id)).entry_uuid
    sets = await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(uuid,))
    expect([each.unique_id for each in sets.submission_sets], "the set of the document").equals([uid])
    contents = await found(
        target, StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS, submission_sets=SubmissionSetCriteria(unique_ids=(uid,))
    )
    expect([each.unique_id for each in contents.entries], "what is in the set").equals([one.entry.unique_id])


@case(
    "ITI18/related",
    "ITI18/get",
    "ITI18/folders",
    transaction="ITI-18",
    actor=REGISTRY,
    title="A folder is got by patient, id and document",
)
async def get_folders(target: Target) -> None:
    """Four ways to one folder."""
    patient = target.patient()
    one, place = document(patient), folder(patient)
    inside = arrow(AssociationType.HAS_MEMBER, place.entry_uuid, one.entry.entry_uuid)
    await _taken(
        target,
        ProvideAndRegisterRequest(
            submission=submission(patient, [one], folders=[place], associations=[inside]),
            documents={one.entry.entry_uuid: Content.of(one.body, "text/plain")},
        ),
    )
    named = FolderCriteria(unique_ids=(place.unique_id,))
    for query, asked in (
        (StoredQuery.FIND_FOLDERS, {"folders": FolderCriteria(patient_ids=(patient,), statuses=APPROVED)}),
        (StoredQuery.GET_FOLDERS, {"folders": named}),
        (StoredQuery.GET_FOLDER_AND_CONTENTS, {"folders": named}),
        (StoredQuery.GET_FOLDERS_FOR_DOCUMENT, {"criteria": DocumentCriteria(unique_ids=(one.entry.unique_id,))}),
    ):
        answer = await found(target, query, **asked)
        expect([each.unique_id for each in answer.folders], f"the folders of {query.name}").contains(place.unique_id)


@case("ITI18/related", transaction="ITI-18", actor=REGISTRY, title="A replacement is got as a related document")
async def get_related(target: Target) -> None:
    """By RPLC, and not by APND."""
    (old,) = await submitted(target)
    new = await _replace(target, old)
    asked = DocumentCriteria(unique_ids=(new,))
    for kind, expected in ((AssociationType.REPLACE, {old.entry.unique_id, new}), (AssociationType.APPEND, set())):
        answer = await found(target, StoredQuery.GET_RELATED_DOCUMENTS, criteria=asked, association_types=(kind,))
        expect({each.unique_id for each in answer.entries}, f"what is related by {kind.name}").equals(expected)


@case("ITI18/sets", transaction="ITI-18", actor=REGISTRY, title="The sets of a patient are found")
async def find_sets(target: Target) -> None:
    """By patient and source."""
    patient, uid = target.patient(), new_uid()
    await _taken(target, provided(patient, document(patient), unique_id=uid))
    for source_ids, there in (((), True), (("1.2.3.4.5",), False)):
        criteria = SubmissionSetCriteria(patient_ids=(patient,), statuses=APPROVED, source_ids=source_ids)
        answer = await found(target, StoredQuery.FIND_SUBMISSION_SETS, submission_sets=criteria)
        expect(uid in [each.unique_id for each in answer.submission_sets], "whether the set is found").equals(there)


@case("ITI18/all", transaction="ITI-18", actor=REGISTRY, title="All that a patient has is got at once")
async def get_all(target: Target) -> None:
    """Document, set and what ties them."""
    patient, uid = target.patient(), new_uid()
    one = document(patient)
    await _taken(target, provided(patient, one, unique_id=uid))
    answer = await found(
        target, StoredQuery.GET_ALL, criteria=_of(target),
        submission_sets=SubmissionSetCriteria(patient_ids=(patient,), statuses=APPROVED),
        folders=FolderCriteria(patient_ids=(patient,), statuses=APPROVED),
    )  # fmt: skip
    expect([each.unique_id for each in answer.entries], "the entries").contains(one.entry.unique_id)
    expect([each.unique_id for each in answer.submission_sets], "the sets").contains(uid)
    expect(answer.associations, "the associations").is_there()


# --- what is wrong ----------------------------------------------------------------------------------------------------


@case("ITI18/empty", transaction="ITI-18", actor=REGISTRY, title="A patient whom nobody knows has nothing")
async def unknown_patient(target: Target) -> None:
    """Empty success, or XDSUnknownPatientId: the domain's choice."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    request = StoredQueryRequest(
        query=StoredQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=(nobody,), statuses=APPROVED)
    )
    response = (await target.call(ITI_18, request)).response
    expect(response.entries, "entries").is_absent()
    if response.status is not ResponseStatus.SUCCESS:
        expect(errors_in(response.errors), "the error codes").equals(["XDSUnknownPatientId"])


@case("ITI18/missing", transaction="ITI-18", actor=REGISTRY, title="A query without its patient is refused")
async def no_patient(target: Target) -> None:
    """$XDSDocumentEntryPatientId is required."""
    await _refused(target, _without_slot("$XDSDocumentEntryPatientId"), "XDSStoredQueryMissingParam")


@case("ITI18/missing", transaction="ITI-18", actor=REGISTRY, title="A query without its status is refused")
async def no_status(target: Target) -> None:
    """$XDSDocumentEntryStatus is required."""
    await _refused(target, _without_slot("$XDSDocumentEntryStatus"), "XDSStoredQueryMissingParam")


@case("ITI18/number", transaction="ITI-18", actor=REGISTRY, title="Two patients where one is asked for are refused")
async def two_patients(target: Target) -> None:
    """Single-valued parameters have one value."""
    twice = Wrong(body=lambda body: re.sub(rb"(<rim:Value>'[^<]*ISO'</rim:Value>)", rb"\1\1", body, count=1))
    await _refused(target, twice, "XDSStoredQueryParamNumber", "XDSRegistryError")


@case("ITI18/number", transaction="ITI-18", actor=REGISTRY, title="entryUUID and uniqueId together are refused")
async def both_ids(target: Target) -> None:
    """Exactly one of the two."""
    value = b"('urn:uuid:00000000-0000-4000-8000-000000000000')"
    slot = (
        b'<rim:Slot name="$XDSDocumentEntryEntryUUID"><rim:ValueList><rim:Value>%b</rim:Value></rim:ValueList></rim:Slot>'
        % value
    )
    both = Wrong(body=lambda body: body.replace(b"</rim:AdhocQuery>", slot + b"</rim:AdhocQuery>"))
    request = StoredQueryRequest(query=StoredQuery.GET_DOCUMENTS, criteria=DocumentCriteria(unique_ids=(new_uid(),)))
    response = (await target.call(ITI_18, request, wrong=both)).response
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(response.errors), "the error codes").equals(["XDSStoredQueryParamNumber"])


@case("ITI18/unknown", transaction="ITI-18", actor=REGISTRY, title="A query that nobody knows is refused")
async def unknown_query(target: Target) -> None:
    """By its id."""
    other = b"urn:uuid:00000000-0000-4000-8000-000000000000"
    odd = Wrong(body=lambda body: body.replace(StoredQuery.FIND_DOCUMENTS.encode(), other))
    await _refused(target, odd, "XDSUnknownStoredQuery")


# --- how it is asked --------------------------------------------------------------------------------------------------


def _of(target: Target, **narrowed: Any) -> DocumentCriteria:
    given: dict[str, Any] = {"patient_ids": (target.patient(),), "statuses": APPROVED}
    return DocumentCriteria(**given | narrowed)


async def _unique_ids(target: Target, **narrowed: Any) -> list[str]:
    answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=_of(target, **narrowed))
    return [each.unique_id for each in answer.entries]


async def _finds(target: Target, one: Document, **narrowed: Any) -> None:
    told = ", ".join(narrowed)
    expect(one.entry.unique_id in await _unique_ids(target, **narrowed), f"whether it is found by {told}").equals(True)


async def _misses(target: Target, one: Document, **narrowed: Any) -> None:
    told = ", ".join(narrowed)
    expect(one.entry.unique_id in await _unique_ids(target, **narrowed), f"whether it is found by other {told}").equals(
        False
    )


async def _taken(target: Target, request: ProvideAndRegisterRequest) -> None:
    answer = await target.call(ITI_41, request)
    if answer.decoded is None or answer.decoded.status is not ResponseStatus.SUCCESS:
        raise Unreachable("what is to be found is not taken by ITI-41: see repository_provide")


async def _replace(target: Target, old: Document) -> str:
    """Replace a document; answers the uniqueId of the new one."""
    uuid = (await entry_of(target, old.entry.unique_id)).entry_uuid
    new = document(target.patient())
    await _taken(
        target,
        provided(target.patient(), new, associations=(arrow(AssociationType.REPLACE, new.entry.entry_uuid, uuid),)),
    )
    return new.entry.unique_id


def _without_slot(name: str) -> Wrong:
    pattern = re.compile(rb'<rim:Slot name="' + re.escape(name.encode()) + rb'">.*?</rim:Slot>', re.DOTALL)
    return Wrong(body=lambda body: pattern.sub(b"", body))


async def _refused(target: Target, wrong: Wrong, *codes: str) -> None:
    response = (await target.call(ITI_18, await a_question(target), wrong=wrong)).response
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    expect((errors_in(response.errors) or [""])[0], "the error code").is_one_of(*codes)
