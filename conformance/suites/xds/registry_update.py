"""ITI-57 at a document registry: an administrator changes what is registered, and all of it or nothing.

What a newcomer gets wrong: a version is never changed. A new one follows it, and the old one stays, deprecated, for whoever
asks for all of them.

Source: ITI TF-2 3.57 (XDS Metadata Update).
"""

from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import arrow, new_uid
from conformance.suites.envelope import envelope_cases
from conformance.suites.pix.messages import another_patient
from conformance.suites.xds.documents import APPROVED, errors_in, failed, found
from conformance.suites.xds.versions import (
    filed,
    newest_of,
    next_of,
    registered,
    status_change,
    still,
    submitted_association,
    update_of,
    versions_of,
)
from conformance.target import Target
from profiles.model.document import (
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
    logical_id_of,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti57 import ITI_57, UpdateRequest

REGISTRY = Actor.DOCUMENT_REGISTRY
IN_FORCE, NOT_IN_FORCE = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
NOBODYS_UUID = "urn:uuid:00000000-0000-4000-8000-000000000000"
OPERATION, VERSION, UNRESOLVED = (
    "XDSMetadataUpdateOperationError",
    "XDSMetadataVersionError",
    "UnresolvedReferenceException",
)
NEW_TITLE = "Told anew"


async def one_update(target: Target) -> UpdateRequest:
    """An update that is right."""
    old = await registered(target)
    return UpdateRequest(submission=update_of(target.patient(), next_of(old, title=NEW_TITLE)))


ENVELOPE = envelope_cases(__name__, ITI_57, REGISTRY, one_update)


# --- new versions -----------------------------------------------------------------------------------------------------


@case("ITI57/version", transaction="ITI-57", actor=REGISTRY, title="An entry has a new version, and the old one stays")
async def new_version(target: Target) -> None:
    """Numbered, of one logical id; the old one deprecated."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title=NEW_TITLE)))
    versions = await versions_of(target, old.unique_id)
    expect(
        [(number, each.title, each.availability_status) for number, each in sorted(versions.items())], "the versions"
    ).equals([(1, old.title, NOT_IN_FORCE), (2, NEW_TITLE, IN_FORCE)])
    expect({logical_id_of(each) for each in versions.values()}, "their logical id").equals({old.entry_uuid})


@case("ITI57/version", transaction="ITI-57", actor=REGISTRY, title="Whoever knows of no versions finds the newest")
async def newest(target: Target) -> None:
    """Once, by patient and by uniqueId."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title=NEW_TITLE)))
    expect((await newest_of(target, old.unique_id)).title, "the title by uniqueId").equals(NEW_TITLE)
    criteria = DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED)
    answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    expect(
        [each.title for each in answer.entries if each.unique_id == old.unique_id], "the titles that the patient has"
    ).equals([NEW_TITLE])


@case("ITI57/version", transaction="ITI-57", actor=REGISTRY, title="A new version has a new version itself")
async def third_version(target: Target) -> None:
    """Which follows number 2."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title="Second")))
    second = await newest_of(target, old.unique_id)
    await _done(target, update_of(target.patient(), next_of(second, title="Third")))
    versions = await versions_of(target, old.unique_id)
    expect(
        [(number, each.title) for number, each in sorted(versions.items()) if each.availability_status is IN_FORCE],
        "what is in force",
    ).equals([(3, "Third")])


@case("ITI57/propagation", transaction="ITI-57", actor=REGISTRY, title="A new version is in the folders of the old one")
async def propagated(target: Target) -> None:
    """Unless AssociationPropagation says no."""
    for word, there in (("", True), ("yes", True), ("no", False)):
        old, place = await filed(target)
        await _done(target, update_of(target.patient(), next_of(old, propagate=word, title=NEW_TITLE)))
        answer = await found(
            target, StoredQuery.GET_FOLDER_AND_CONTENTS, folders=FolderCriteria(unique_ids=(place.unique_id,))
        )
        expect(
            NEW_TITLE in [each.title for each in answer.entries],
            f"whether the new version is in the folder (AssociationPropagation {word or 'not said'})",
        ).equals(there)


@case("ITI57/reconciliation", transaction="ITI-57", actor=REGISTRY, title="A document becomes another patient's")
async def moved(target: Target) -> None:
    """Its new version is found by the one, and nothing of it by the other."""
    old, other = await registered(target), await another_patient(target)
    await _done(target, update_of(other, next_of(old, patient_id=other)))
    expect((await newest_of(target, old.unique_id)).patient_id, "whose the newest version is").equals(other)
    for patient, there in ((other, True), (target.patient(), False)):
        criteria = DocumentCriteria(patient_ids=(patient,), statuses=APPROVED)
        answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=criteria)
        expect(
            old.unique_id in [each.unique_id for each in answer.entries],
            f"whether it is among the documents of {'whose it is' if there else 'whose it was'}",
        ).equals(there)


@case(
    "ITI57/reconciliation",
    transaction="ITI-57",
    actor=REGISTRY,
    title="A folder keeps no document that became another patient's",
)
async def moved_from_a_folder(target: Target) -> None:
    """The folder is the former patient's: the new version is not in it, or is none."""
    (old, _), other = await filed(target), await another_patient(target)
    request = update_of(other, next_of(old, patient_id=other, propagate="yes"))
    await _refused(target, old, request, "XDSPatientIDReconciliationError")
    await _done(target, update_of(other, next_of(old, patient_id=other, propagate="no")))
    expect((await newest_of(target, old.unique_id)).patient_id, "whose the newest version is").equals(other)


@case("ITI57/folder", transaction="ITI-57", actor=REGISTRY, title="A folder has a new version")
async def new_folder(target: Target) -> None:
    """With another title."""
    _, place = await filed(target)
    await _done(target, update_of(target.patient(), next_of(place, title=NEW_TITLE)))
    answer = await found(target, StoredQuery.GET_FOLDERS, folders=FolderCriteria(unique_ids=(place.unique_id,)))
    expect([each.title for each in answer.folders], "the title of the folder").equals([NEW_TITLE])


# --- status and associations ------------------------------------------------------------------------------------------


@case("ITI57/status", transaction="ITI-57", actor=REGISTRY, title="An entry is deprecated, and approved again")
async def status(target: Target) -> None:
    """It is the same version."""
    old = await registered(target)
    for original, new in ((IN_FORCE, NOT_IN_FORCE), (NOT_IN_FORCE, IN_FORCE)):
        change = status_change(old.entry_uuid, original=original, new=new)
        await _done(target, update_of(target.patient(), operations=(change,)))
        versions = await versions_of(target, old.unique_id)
        expect({number: each.availability_status for number, each in versions.items()}, "the status").equals({1: new})


@case(
    "ITI57/association", transaction="ITI-57", actor=REGISTRY, title="Two documents that are registered are associated"
)
async def association(target: Target) -> None:
    """One becomes an addendum of the other."""
    first, second = await registered(target), await registered(target)
    operations = submitted_association(arrow(AssociationType.APPEND, second.entry_uuid, first.entry_uuid))
    await _done(target, update_of(target.patient(), operations=operations))
    answer = await found(target, StoredQuery.GET_ASSOCIATIONS, uuids=(first.entry_uuid,))
    expect([(each.type, each.source, each.target) for each in answer.associations], "its associations").contains(
        (AssociationType.APPEND, second.entry_uuid, first.entry_uuid)
    )


# --- versions that are wrong ------------------------------------------------------------------------------------------


@case("ITI57/number", transaction="ITI-57", actor=REGISTRY, title="A version that is not there has no successor")
async def another_number(target: Target) -> None:
    """The newest is number 1."""
    old = await registered(target)
    await _refused(target, old, update_of(target.patient(), next_of(old, previous="7")), VERSION)


@case("ITI57/number", transaction="ITI-57", actor=REGISTRY, title="A version has one successor")
async def outdated(target: Target) -> None:
    """Somebody else was quicker."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title="Second")))
    await _refused(target, old, update_of(target.patient(), next_of(old, title="Also second")), VERSION)


@case("ITI57/number", transaction="ITI-57", actor=REGISTRY, title="An update that names no version is refused")
async def no_number(target: Target) -> None:
    """PreviousVersion is what makes it an operation."""
    old = await registered(target)
    request = update_of(target.patient(), next_of(old, previous=None))
    await _refused(target, old, request, OPERATION, "XDSMetadataUpdateError", VERSION)


@case("ITI57/number", transaction="ITI-57", actor=REGISTRY, title="A logical id of nobody is refused")
async def unknown_logical_id(target: Target) -> None:
    """There is nothing that it could follow."""
    old = await registered(target)
    request = update_of(target.patient(), next_of(old, logical_id=NOBODYS_UUID))
    await _refused(target, old, request, VERSION, UNRESOLVED)


@case("ITI57/first", transaction="ITI-57", actor=REGISTRY, title="A first version is registered, and no update")
async def first_version(target: Target) -> None:
    """A new document without a logical id."""
    old = await registered(target)
    new = next_of(old, logical_id="", unique_id=new_uid(), previous="1")
    await _refused(target, old, update_of(target.patient(), new), OPERATION, "XDSMetadataUpdateError")


@case("ITI57/fixed", transaction="ITI-57", actor=REGISTRY, title="All versions have one uniqueId")
async def another_unique_id(target: Target) -> None:
    """Another would be another document."""
    await _keeps(target, unique_id=new_uid())


@case("ITI57/fixed", transaction="ITI-57", actor=REGISTRY, title="A new version is of the same bytes")
async def another_hash(target: Target) -> None:
    """Hash and size stay."""
    await _keeps(target, hash="da39a3ee5e6b4b0d3255bfef95601890afd80709")
    await _keeps(target, size_bytes=1)


@case("ITI57/fixed", transaction="ITI-57", actor=REGISTRY, title="A new version is in the same repository")
async def another_repository(target: Target) -> None:
    """Metadata move no document."""
    await _keeps(target, repository_unique_id=Oid("2.25.71190522.79"))


@case("ITI57/fixed", transaction="ITI-57", actor=REGISTRY, title="A stable document does not become an on-demand one")
async def another_type(target: Target) -> None:
    """ObjectType stays."""
    await _keeps(
        target, entry_type=EntryType.ON_DEMAND, hash="", size_bytes=None, creation_time=None
    )  # fmt: skip


@case("ITI57/whole", transaction="ITI-57", actor=REGISTRY, title="A version without a required attribute is refused")
async def incomplete(target: Target) -> None:
    """What is left out is not taken from the version before."""
    await _keeps(target, language_code="")


# --- what else is wrong -----------------------------------------------------------------------------------------------


@case("ITI57/operation", transaction="ITI-57", actor=REGISTRY, title="An update that asks for nothing is refused")
async def nothing(target: Target) -> None:
    """A submission set alone."""
    old = await registered(target)
    await _refused(target, old, update_of(target.patient()), OPERATION, "XDSMetadataUpdateError")


@case(
    "ITI57/operation",
    transaction="ITI-57",
    actor=REGISTRY,
    title="A change of status that does not say which is refused",
)
async def no_status(target: Target) -> None:
    """Without the one, without the other, or from a status to itself."""
    old = await registered(target)
    for original, new in ((None, NOT_IN_FORCE), (IN_FORCE, None), (IN_FORCE, IN_FORCE)):
        change = status_change(old.entry_uuid, original=original, new=new)
        await _refused(target, old, update_of(target.patient(), operations=(change,)), OPERATION)


@case("ITI57/operation", transaction="ITI-57", actor=REGISTRY, title="A status that the object has not is not changed")
async def another_original(target: Target) -> None:
    """OriginalStatus says Deprecated, and it is Approved."""
    old = await registered(target)
    change = status_change(old.entry_uuid, original=NOT_IN_FORCE, new=IN_FORCE)
    await _refused(target, old, update_of(target.patient(), operations=(change,)))


@case("ITI57/operation", transaction="ITI-57", actor=REGISTRY, title="An older version keeps its status")
async def older_version(target: Target) -> None:
    """It would be in force beside its successor."""
    old = await registered(target)
    await _done(target, update_of(target.patient(), next_of(old, title="Second")))
    change = status_change(old.entry_uuid, original=NOT_IN_FORCE, new=IN_FORCE)
    await _refused(target, old, update_of(target.patient(), operations=(change,)))


@case("ITI57/operation", transaction="ITI-57", actor=REGISTRY, title="A submission set keeps its status")
async def of_a_set(target: Target) -> None:
    """It says what was done."""
    old = await registered(target)
    sets = (await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(old.entry_uuid,))).submission_sets
    expect(len(sets), "the number of sets of a document").equals(1)
    change = status_change(sets[0].entry_uuid, original=IN_FORCE, new=NOT_IN_FORCE)
    await _refused(target, old, update_of(target.patient(), operations=(change,)))
    (now,) = (await found(target, StoredQuery.GET_SUBMISSION_SETS, uuids=(old.entry_uuid,))).submission_sets
    expect(now.availability_status, "its status").equals(IN_FORCE)


@case("ITI57/reference", transaction="ITI-57", actor=REGISTRY, title="What is not registered has no status to change")
async def status_of_nothing(target: Target) -> None:
    """An entryUUID of nobody."""
    old = await registered(target)
    change = status_change(NOBODYS_UUID, original=IN_FORCE, new=NOT_IN_FORCE)
    await _refused(target, old, update_of(target.patient(), operations=(change,)), UNRESOLVED)


@case("ITI57/reference", transaction="ITI-57", actor=REGISTRY, title="What is not registered is not associated")
async def association_of_nothing(target: Target) -> None:
    """One of the two is nobody's."""
    old = await registered(target)
    operations = submitted_association(arrow(AssociationType.APPEND, old.entry_uuid, NOBODYS_UUID))
    await _refused(target, old, update_of(target.patient(), operations=operations), UNRESOLVED)


@case("ITI57/reference", transaction="ITI-57", actor=REGISTRY, title="What is deprecated is not associated")
async def association_of_deprecated(target: Target) -> None:
    """Both are in force."""
    first, second = await registered(target), await registered(target)
    change = status_change(first.entry_uuid, original=IN_FORCE, new=NOT_IN_FORCE)
    await _done(target, update_of(target.patient(), operations=(change,)))
    operations = submitted_association(arrow(AssociationType.APPEND, second.entry_uuid, first.entry_uuid))
    await _refused(target, second, update_of(target.patient(), operations=operations))


@case("ITI57/patient", transaction="ITI-57", actor=REGISTRY, title="What is another patient's is not changed")
async def another_patients(target: Target) -> None:
    """The set is of one patient and the entry of another."""
    old, other = await registered(target), await another_patient(target)
    change = status_change(old.entry_uuid, original=IN_FORCE, new=NOT_IN_FORCE)
    await _refused(target, old, update_of(other, operations=(change,)), "XDSPatientIDReconciliationError")


@case("ITI57/patient", transaction="ITI-57", actor=REGISTRY, title="An update of whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the affinity domain's own authority."""
    old = await registered(target)
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    await _refused(target, old, update_of(nobody, next_of(old, patient_id=nobody)), "XDSUnknownPatientId")


@case("ITI57/set", transaction="ITI-57", actor=REGISTRY, title="A submission set's uniqueId is good once")
async def set_twice(target: Target) -> None:
    """Also for updates."""
    old, other, uid = await registered(target), await registered(target), new_uid()
    await _done(target, update_of(target.patient(), next_of(old, title=NEW_TITLE), unique_id=uid))
    request = update_of(target.patient(), next_of(other, title=NEW_TITLE), unique_id=uid)
    await _refused(target, other, request, "XDSDuplicateUniqueIdInRegistry")


@case("ITI57/atomic", transaction="ITI-57", actor=REGISTRY, title="One operation that is wrong undoes all others")
async def atomic(target: Target) -> None:
    """A new version that is right, and a status of what is not there."""
    old = await registered(target)
    change = status_change(NOBODYS_UUID, original=IN_FORCE, new=NOT_IN_FORCE)
    request = update_of(target.patient(), next_of(old, title=NEW_TITLE), operations=(change,))
    await _refused(target, old, request)


# --- how it is asked --------------------------------------------------------------------------------------------------


async def _done(target: Target, update: Submission) -> None:
    response = (await target.call(ITI_57, UpdateRequest(submission=update))).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _refused(target: Target, old: DocumentEntry, update: Submission, *codes: str) -> None:
    """An update that fails with one of these codes, and leaves a document as it was."""
    before = await versions_of(target, old.unique_id)
    failed((await target.call(ITI_57, UpdateRequest(submission=update))).response, *codes)
    await still(target, old.unique_id, before)


async def _keeps(target: Target, **fields: Any) -> None:
    """A new version that is other in this is refused."""
    old = await registered(target)
    await _refused(target, old, update_of(target.patient(), next_of(old, **fields)))
