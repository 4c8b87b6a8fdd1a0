"""ITI-42 at a document registry: what a repository keeps is registered as it is told, and what is wrong leaves nothing.

What a newcomer gets wrong: the registry never sees the document. What it knows of it, its hash and size too, it was told,
and it holds whoever comes with the same uniqueId to that.

Source: ITI TF-2 3.42; ITI TF-3 4.2.
"""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import Document, altered, arrow, document, folder, new_uid, submission
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import entries_of, entry_of, errors_in, failed, found, refused
from conformance.target import Target
from profiles.model.document import Association, AssociationType, AvailabilityStatus, EntryType, Folder, is_entry_uuid
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti42 import ITI_42, RegisterRequest

REGISTRY = Actor.DOCUMENT_REGISTRY
KEEPER = Oid("2.25.71190522.79")  # a repository that nobody can ask
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
EXTRA = "urn:example:conformance:extra"
METADATA = "XDSRegistryMetadataError"


async def one_entry(target: Target) -> RegisterRequest:
    """A registration that is right."""
    return _registration(target, _document(target))


ENVELOPE = envelope_cases(__name__, ITI_42, REGISTRY, one_entry)


# --- what is registered -----------------------------------------------------------------------------------------------


@case("ITI42/attributes", transaction="ITI-42", actor=REGISTRY, title="An entry is registered with what it says")
async def registered(target: Target) -> None:
    """Hash, size and repository among it; and it is in force."""
    one = _document(target, title="Tête & cou <1>", comments="Nothing")
    await _taken(target, _registration(target, one))
    came = await entry_of(target, one.entry.unique_id)
    for name in (
        "patient_id", "class_code", "type_code", "format_code", "mime_type", "title", "comments", "creation_time", "hash",
        "size_bytes", "repository_unique_id", "language_code", "source_patient_id", "confidentiality_codes",
    ):  # fmt: skip
        expect(getattr(came, name), name).equals(getattr(one.entry, name))
    expect(came.availability_status, "availabilityStatus").equals(AvailabilityStatus.APPROVED)


@case("ITI42/ids", transaction="ITI-42", actor=REGISTRY, title="A symbolic id becomes a UUID, and a UUID stays")
async def ids(target: Target) -> None:
    """Of entries."""
    named = f"urn:uuid:{uuid.uuid4()}"
    symbolic, fixed = _document(target), _document(target, entry_uuid=named)
    await _taken(target, _registration(target, symbolic, fixed))
    expect(is_entry_uuid((await entry_of(target, symbolic.entry.unique_id)).entry_uuid), "whether it is a UUID").equals(
        True
    )
    expect((await entry_of(target, fixed.entry.unique_id)).entry_uuid, "the entryUUID").equals(named)


@case("ITI42/extra", transaction="ITI-42", actor=REGISTRY, title="Extra metadata is kept, or that it is not is told")
async def extra(target: Target) -> None:
    """By XDSExtraMetadataNotSaved, which is a warning."""
    one = _document(target, extra=((EXTRA, ("one", "two")),))
    response = (await target.call(ITI_42, _registration(target, one))).response
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)
    if "XDSExtraMetadataNotSaved" not in [each.code for each in response.errors]:
        expect(dict((await entry_of(target, one.entry.unique_id)).extra).get(EXTRA), EXTRA).equals(("one", "two"))


@case("ITI42/again", transaction="ITI-42", actor=REGISTRY, title="The same document may be registered again")
async def again(target: Target) -> None:
    """The same uniqueId, hash and size, in a set of its own."""
    one = _document(target)
    await _taken(target, _registration(target, one))
    await _taken(target, _registration(target, one))


@case("ITI42/member", transaction="ITI-42", actor=REGISTRY, title="A set may refer to what is registered already")
async def by_reference(target: Target) -> None:
    """SubmissionSetStatus Reference."""
    one, uid = _document(target), new_uid()
    await _taken(target, _registration(target, one))
    uuid_ = (await entry_of(target, one.entry.unique_id)).entry_uuid
    refers = arrow(AssociationType.HAS_MEMBER, "SubmissionSet-1", uuid_, original=False)
    await _taken(target, _registration(target, _document(target), associations=(refers,), unique_id=uid))
    sets = await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(uuid_,))
    expect([each.unique_id for each in sets.submission_sets], "the sets of the document").contains(uid)


# --- what follows from it ---------------------------------------------------------------------------------------------


@case("ITI42/replace", transaction="ITI-42", actor=REGISTRY, title="A replacement deprecates what it replaces")
async def replaced(target: Target) -> None:
    """By RPLC and by XFRM_RPLC."""
    for kind in (AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE):
        old, new = _document(target), _document(target)
        await _taken(target, _registration(target, old))
        await _relate(target, new, kind, old)
        await _has_status(target, old, AvailabilityStatus.DEPRECATED)
        await _has_status(target, new, AvailabilityStatus.APPROVED)


@case("ITI42/additions", transaction="ITI-42", actor=REGISTRY, title="What was added to a document goes with it")
async def additions(target: Target) -> None:
    """An addendum and a transformation of what is replaced are deprecated too."""
    old, addendum, transformed = (_document(target) for _ in range(3))
    await _taken(target, _registration(target, old))
    await _relate(target, addendum, AssociationType.APPEND, old)
    await _relate(target, transformed, AssociationType.TRANSFORM, old)
    for each in (old, addendum, transformed):
        await _has_status(target, each, AvailabilityStatus.APPROVED)
    await _relate(target, _document(target), AssociationType.REPLACE, old)
    for each in (old, addendum, transformed):
        await _has_status(target, each, AvailabilityStatus.DEPRECATED)


@case("ITI42/folder", transaction="ITI-42", actor=REGISTRY, title="A replacement is in the folders of what it replaces")
async def inherits(target: Target) -> None:
    """Without being put there."""
    old, new = _document(target), _document(target)
    place = await _filed(target, old)
    await _relate(target, new, AssociationType.REPLACE, old)
    expect(await _in_folder(target, place), "what is in the folder").contains(new.entry.unique_id)


@case("ITI42/folder", transaction="ITI-42", actor=REGISTRY, title="A document is put into a folder that is there")
async def filed(target: Target) -> None:
    """The folder was registered before."""
    first, second = _document(target), _document(target)
    place = await _filed(target, first)
    named = FolderCriteria(unique_ids=(place.unique_id,))
    folders = (await found(target, StoredQuery.GET_FOLDERS, folders=named)).folders
    expect([each.unique_id for each in folders], "the folder").equals([place.unique_id])
    inside = arrow(AssociationType.HAS_MEMBER, folders[0].entry_uuid, second.entry.entry_uuid)
    told = arrow(AssociationType.HAS_MEMBER, "SubmissionSet-1", inside.entry_uuid)
    await _taken(target, _registration(target, second, associations=(inside, told)))
    expect(await _in_folder(target, place), "what is in the folder").has_same(
        [first.entry.unique_id, second.entry.unique_id]
    )


# --- what is wrong ----------------------------------------------------------------------------------------------------


@case("ITI42/required", transaction="ITI-42", actor=REGISTRY, title="An entry without hash is refused")
async def no_hash(target: Target) -> None:
    """Its repository knows it."""
    await _refuses(target, METADATA, hash="")


@case("ITI42/required", transaction="ITI-42", actor=REGISTRY, title="An entry without size is refused")
async def no_size(target: Target) -> None:
    """So with the size."""
    await _refuses(target, METADATA, size_bytes=None)


@case("ITI42/required", transaction="ITI-42", actor=REGISTRY, title="An entry without repository is refused")
async def no_repository(target: Target) -> None:
    """Nobody could fetch it."""
    await _refuses(target, METADATA, repository_unique_id=None)


@case("ITI42/required", transaction="ITI-42", actor=REGISTRY, title="An entry without creation time is refused")
async def no_creation_time(target: Target) -> None:
    """It is stable, so it was made."""
    await _refuses(target, METADATA, creation_time=None)


@case("ITI42/required", transaction="ITI-42", actor=REGISTRY, title="An entry without language is refused")
async def no_language(target: Target) -> None:
    """As an example of what a source must have told."""
    await _refuses(target, METADATA, language_code="")


@case("ITI42/stable", transaction="ITI-42", actor=REGISTRY, title="An on-demand entry is not registered so")
async def on_demand(target: Target) -> None:
    """There are no bytes yet that a repository could keep: it comes by ITI-61."""
    await _refuses(target, entry_type=EntryType.ON_DEMAND, creation_time=None, hash="", size_bytes=None)


@case("ITI42/times", transaction="ITI-42", actor=REGISTRY, title="A service that ends before it begins is refused")
async def reversed_times(target: Target) -> None:
    """By a day."""
    first, second = (Moment(datetime(2026, 3, day, 10, tzinfo=UTC)) for day in (1, 2))
    await _refuses(target, METADATA, service_start_time=second, service_stop_time=first)


@case("ITI42/identical", transaction="ITI-42", actor=REGISTRY, title="Another hash under a uniqueId is refused")
async def another_hash(target: Target) -> None:
    """It would be another document by the same name."""
    one = _document(target)
    await _taken(target, _registration(target, one))
    other = altered(one, one.body[::-1])
    failed((await target.call(ITI_42, _registration(target, other))).response, "XDSNonIdenticalHash")
    expect((await entry_of(target, one.entry.unique_id)).hash, "the hash that is registered").equals(one.entry.hash)


@case("ITI42/identical", transaction="ITI-42", actor=REGISTRY, title="Another size under a uniqueId is refused")
async def another_size(target: Target) -> None:
    """Whatever its hash."""
    one = _document(target)
    await _taken(target, _registration(target, one))
    other = replace(one, entry=replace(one.entry, size_bytes=len(one.body) + 1))
    response = (await target.call(ITI_42, _registration(target, other))).response
    failed(response, "XDSNonIdenticalSize", "XDSNonIdenticalHash")


@case("ITI42/patient", transaction="ITI-42", actor=REGISTRY, title="A patient whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    one = document(nobody, repository_unique_id=KEEPER)
    request = RegisterRequest(submission=submission(nobody, [one]))
    await refused(target, request, "XDSUnknownPatientId", by=ITI_42)


@case("ITI42/patient", transaction="ITI-42", actor=REGISTRY, title="A set and an entry of two patients are refused")
async def two_patients(target: Target) -> None:
    """The set's is the one that is known."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    await _refuses(target, "XDSPatientIdDoesNotMatch", patient_id=other)


@case("ITI42/set", transaction="ITI-42", actor=REGISTRY, title="A submission set's uniqueId is good once")
async def set_twice(target: Target) -> None:
    """With another document."""
    uid = new_uid()
    await _taken(target, _registration(target, _document(target), unique_id=uid))
    request = _registration(target, _document(target), unique_id=uid)
    await refused(target, request, "XDSDuplicateUniqueIdInRegistry", by=ITI_42)


@case("ITI42/duplicates", transaction="ITI-42", actor=REGISTRY, title="A uniqueId that is twice in it is refused")
async def twice(target: Target) -> None:
    """Two entries, one uniqueId."""
    uid = new_uid()
    request = _registration(target, _document(target, unique_id=uid), _document(target, unique_id=uid))
    await refused(target, request, "XDSRegistryDuplicateUniqueIdInMessage", by=ITI_42)


@case("ITI42/reference", transaction="ITI-42", actor=REGISTRY, title="What is not registered cannot be replaced")
async def replaces_nothing(target: Target) -> None:
    """An entryUUID of nobody."""
    one = _document(target)
    gone = arrow(AssociationType.REPLACE, one.entry.entry_uuid, NOBODYS_UUID)
    request = _registration(target, one, associations=(gone,))
    await refused(target, request, "UnresolvedReferenceException", by=ITI_42)


@case("ITI42/reference", transaction="ITI-42", actor=REGISTRY, title="A symbolic id of nothing is refused")
async def symbol_of_nothing(target: Target) -> None:
    """An id that means no object of the submission."""
    one = _document(target)
    nothing = arrow(AssociationType.APPEND, one.entry.entry_uuid, "Document-nowhere")
    request = _registration(target, one, associations=(nothing,))
    await refused(target, request, "UnresolvedReferenceException", METADATA, by=ITI_42)


@case(
    "ITI42/reference",
    transaction="ITI-42",
    actor=REGISTRY,
    title="A relation of what the submission has not is refused",
)
async def foreign_source(target: Target) -> None:
    """A relation starts at a document of its own submission."""
    first, second, third = (_document(target) for _ in range(3))
    await _taken(target, _registration(target, first, second))
    ends = [(await entry_of(target, each.entry.unique_id)).entry_uuid for each in (first, second)]
    request = _registration(target, third, associations=(arrow(AssociationType.REPLACE, *ends),))
    await refused(target, request, "UnresolvedReferenceException", by=ITI_42)
    await _has_status(target, second, AvailabilityStatus.APPROVED)


@case(
    "ITI42/deprecated", transaction="ITI-42", actor=REGISTRY, title="What is deprecated cannot be replaced or added to"
)
async def deprecated(target: Target) -> None:
    """It has its successor already."""
    old = _document(target)
    await _taken(target, _registration(target, old))
    await _relate(target, _document(target), AssociationType.REPLACE, old)
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    for kind in (AssociationType.REPLACE, AssociationType.APPEND):
        one = _document(target)
        request = _registration(target, one, associations=(arrow(kind, one.entry.entry_uuid, uuid_),))
        await refused(target, request, "XDSRegistryDeprecatedDocumentError", by=ITI_42)


@case("ITI42/atomic", transaction="ITI-42", actor=REGISTRY, title="One entry that is wrong keeps all others out")
async def atomic(target: Target) -> None:
    """Of two, the second is of another patient."""
    other = PatientIdentifier(value="somebody-else", authority=target.patient().authority)
    request = _registration(target, _document(target), _document(target, patient_id=other))
    await refused(target, request, by=ITI_42)


# --- how it is registered ---------------------------------------------------------------------------------------------


def _document(target: Target, **fields: Any) -> Document:
    """A text of the known patient, that a repository of nobody keeps."""
    return document(target.patient(), **{"repository_unique_id": KEEPER} | fields)


def _registration(
    target: Target, *documents: Document, associations: tuple[Association, ...] = (), **fields: Any
) -> RegisterRequest:
    return RegisterRequest(
        submission=submission(target.patient(), documents, associations=associations, **fields)
    )  # fmt: skip


async def _taken(target: Target, request: RegisterRequest) -> None:
    response = (await target.call(ITI_42, request)).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _relate(target: Target, new: Document, kind: AssociationType, old: Document) -> None:
    """Register a document that has this relation to one that is registered."""
    uuid_ = (await entry_of(target, old.entry.unique_id)).entry_uuid
    relation = arrow(kind, new.entry.entry_uuid, uuid_)
    await _taken(target, _registration(target, new, associations=(relation,)))


async def _filed(target: Target, one: Document) -> Folder:
    """Register a document with a folder that it is in."""
    place = folder(target.patient())
    inside = arrow(AssociationType.HAS_MEMBER, place.entry_uuid, one.entry.entry_uuid)
    whole = submission(target.patient(), [one], folders=[place], associations=[inside])
    await _taken(target, RegisterRequest(submission=whole))
    return place


async def _in_folder(target: Target, place: Folder) -> list[str]:
    """UniqueIds of what is in it."""
    answer = await found(
        target, StoredQuery.GET_FOLDER_AND_CONTENTS, folders=FolderCriteria(unique_ids=(place.unique_id,)),
        criteria=DocumentCriteria(),
    )  # fmt: skip
    return [each.unique_id for each in answer.entries]


async def _has_status(target: Target, one: Document, status: AvailabilityStatus) -> None:
    entries = await entries_of(target, one.entry.unique_id)
    expect(entries[one.entry.unique_id].availability_status, "the status of a document").equals(status)


async def _refuses(target: Target, *codes: str, **fields: Any) -> None:
    """A registration of one entry that says so."""
    await refused(target, _registration(target, _document(target, **fields)), *codes, by=ITI_42)
