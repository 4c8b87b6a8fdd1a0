"""ITI-62 at a document registry: everything that is named goes, unless something that stays would hang in the air.

What a newcomer gets wrong: a document is not removed by its entry alone. Its set and what ties the two go with it, all
named in one request, or else the request is refused.

Source: ITI TF-2 3.62 (Remove Metadata and Documents).
"""

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import arrow, document, provided
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import entries_of, entry_of, errors_in, failed, found, submitted
from conformance.suites.xds.versions import filed, registered
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.document import Association, AssociationType, DocumentEntry
from profiles.model.query import FolderCriteria, SubmissionSetCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest

REGISTRY = Actor.DOCUMENT_REGISTRY
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
REFERENCES, UNREFERENCED, UNRESOLVED = (
    "ReferencesExistException",
    "XDSUnreferencedObjectException",
    "UnresolvedReferenceException",
)


async def one_removal(target: Target) -> RemoveMetadataRequest:
    """A removal that is right."""
    return RemoveMetadataRequest(entry_uuids=await _whole(target, await registered(target)))


ENVELOPE = envelope_cases(__name__, ITI_62, REGISTRY, one_removal)


# --- what goes --------------------------------------------------------------------------------------------------------


@case("ITI62/removed", transaction="ITI-62", actor=REGISTRY, title="Entry, set and what ties them are removed")
async def removed(target: Target) -> None:
    """Nobody finds them any more."""
    one = await registered(target)
    sets = (await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(one.entry_uuid,))).submission_sets
    await _done(target, await _whole(target, one))
    expect(await entries_of(target, one.unique_id), "what the registry has of it").is_absent()
    answer = await found(
        target, StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS,
        submission_sets=SubmissionSetCriteria(unique_ids=tuple(each.unique_id for each in sets)),
    )  # fmt: skip
    expect(answer.submission_sets, "its set").is_absent()
    left = await found(target, StoredQuery.GET_ASSOCIATIONS, uuids=(one.entry_uuid,))
    expect(left.associations, "its associations").is_absent()


@case("ITI62/removed", transaction="ITI-62", actor=REGISTRY, title="A document goes with what was added to it")
async def with_addendum(target: Target) -> None:
    """Two submissions, and the association between them."""
    one = await registered(target)
    other, relation = await _addendum(target, one)
    ids = {*await _whole(target, one), *await _whole(target, other), relation.entry_uuid}
    await _done(target, tuple(ids))
    expect(await entries_of(target, one.unique_id, other.unique_id), "what the registry has of them").is_absent()


@case("ITI62/rest", transaction="ITI-62", actor=REGISTRY, title="What is not named stays")
async def one_of_two(target: Target) -> None:
    """One of the two documents of a set goes, with what ties it to the set."""
    goes, stays = await submitted(target, document(target.patient()), document(target.patient()))
    entry = await entry_of(target, goes.entry.unique_id)
    await _done(target, (entry.entry_uuid, *(each.entry_uuid for each in await _arrows(target, entry.entry_uuid))))
    left = await entries_of(target, goes.entry.unique_id, stays.entry.unique_id)
    expect(list(left), "what is left").equals([stays.entry.unique_id])
    uuid_ = left[stays.entry.unique_id].entry_uuid
    sets = (await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(uuid_,))).submission_sets
    expect(len(sets), "the number of its sets").equals(1)


@case("ITI62/rest", transaction="ITI-62", actor=REGISTRY, title="A folder goes, and what was in it stays")
async def of_a_folder(target: Target) -> None:
    """With what ties it to its set and to the document."""
    one, place = await filed(target)
    arrows = await _arrows(target, place.entry_uuid)
    more = [each for arrow_ in arrows for each in await _arrows(target, arrow_.entry_uuid)]
    ids = dict.fromkeys([place.entry_uuid, *(each.entry_uuid for each in (*arrows, *more))])
    await _done(target, tuple(ids))
    folders = await found(target, StoredQuery.GET_FOLDERS, folders=FolderCriteria(unique_ids=(place.unique_id,)))
    expect(folders.folders, "the folder").is_absent()
    expect(list(await entries_of(target, one.unique_id)), "what was in it").equals([one.unique_id])


# --- what stays -------------------------------------------------------------------------------------------------------


@case(
    "ITI62/referred", transaction="ITI-62", actor=REGISTRY, title="What something that stays refers to is not removed"
)
async def referred(target: Target) -> None:
    """The entry alone: what ties it to its set would lead nowhere."""
    one = await registered(target)
    await _refused(target, one, (one.entry_uuid,), REFERENCES)


@case("ITI62/referred", transaction="ITI-62", actor=REGISTRY, title="A document whose addendum stays is not removed")
async def addendum_stays(target: Target) -> None:
    """Its set and membership are named, and the addendum is not."""
    one = await registered(target)
    await _addendum(target, one)
    await _refused(target, one, await _whole(target, one), REFERENCES)


@case("ITI62/alone", transaction="ITI-62", actor=REGISTRY, title="An entry is not left without a submission")
async def left_alone(target: Target) -> None:
    """What ties it to its set would go, and it would stay."""
    one = await registered(target)
    ids = tuple(each.entry_uuid for each in await _arrows(target, one.entry_uuid))
    await _refused(target, one, ids, UNREFERENCED)


@case("ITI62/unknown", transaction="ITI-62", actor=REGISTRY, title="What nobody registered is not removed")
async def unknown(target: Target) -> None:
    """And what is right beside it stays too."""
    one = await registered(target)
    await _refused(target, one, (*await _whole(target, one), NOBODYS_UUID), UNRESOLVED)


@case("ITI62/unknown", transaction="ITI-62", actor=REGISTRY, title="What is removed is not removed again")
async def twice(target: Target) -> None:
    """It is not there any more."""
    one = await registered(target)
    ids = await _whole(target, one)
    await _done(target, ids)
    response = (await target.call(ITI_62, RemoveMetadataRequest(entry_uuids=ids))).response
    failed(response, UNRESOLVED)


@case("ITI62/nothing", transaction="ITI-62", actor=REGISTRY, title="A removal that names nothing is refused")
async def nothing(target: Target) -> None:
    """By the registry, or because it is none."""
    answer = await target.call(ITI_62, RemoveMetadataRequest(entry_uuids=()))
    if answer.fault is None:
        failed(answer.response)


# --- how it is asked --------------------------------------------------------------------------------------------------


async def _arrows(target: Target, entry_uuid: str) -> tuple[Association, ...]:
    """What begins or ends at an object."""
    return tuple((await found(target, StoredQuery.GET_ASSOCIATIONS, uuids=(entry_uuid,))).associations)


async def _whole(target: Target, one: DocumentEntry) -> tuple[str, ...]:
    """An entry, its sets, and what ties them, as it stands alone in its submission."""
    answer = await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(one.entry_uuid,))
    tied = [each.entry_uuid for each in answer.associations]
    return (one.entry_uuid, *(each.entry_uuid for each in answer.submission_sets), *tied)


async def _addendum(target: Target, one: DocumentEntry) -> tuple[DocumentEntry, Association]:
    """The entry of a new document that is added to this one, and the association that says so."""
    new = document(target.patient())
    relation = arrow(AssociationType.APPEND, new.entry.entry_uuid, one.entry_uuid)
    answer = await target.call(ITI_41, provided(target.patient(), new, associations=(relation,)))
    if answer.decoded is None or answer.decoded.status is not ResponseStatus.SUCCESS:
        raise Unreachable("an addendum that is right is not taken by ITI-41: see repository_provide")
    entry = await entry_of(target, new.entry.unique_id)
    found_ = [each for each in await _arrows(target, entry.entry_uuid) if each.type is AssociationType.APPEND]
    expect(len(found_), "the number of its relations").equals(1)
    return entry, found_[0]


async def _done(target: Target, ids: tuple[str, ...]) -> None:
    response = (await target.call(ITI_62, RemoveMetadataRequest(entry_uuids=ids))).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _refused(target: Target, one: DocumentEntry, ids: tuple[str, ...], code: str) -> None:
    """A removal that fails with this code; the document, its sets and what ties them stay."""
    before = (await entry_of(target, one.unique_id), set(await _whole(target, one)))
    failed((await target.call(ITI_62, RemoveMetadataRequest(entry_uuids=ids))).response, code)
    expect(list(await entries_of(target, one.unique_id)), "what is left of the document").equals([one.unique_id])
    after = (await entry_of(target, one.unique_id), set(await _whole(target, one)))
    expect(after, "the document, its set and what ties them").equals(before)
