"""What the suites of administrators need: versions, changes of status and associations to write, and something to change.

Source: ITI TF-2 3.57.4.1.2, 3.92.4.1.2.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.expect import expect
from conformance.submissions import arrow, document, folder, submission
from conformance.suites.xds.documents import entry_of, found, submitted
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.content import Content
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    Slots,
    Submission,
    logical_id_of,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.wire.ebxml.operations import ASSOCIATION_PROPAGATION, NEW_STATUS, ORIGINAL_STATUS, PREVIOUS_VERSION
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti41 import ITI_41

SET = "SubmissionSet-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An entry or folder as a new version of what is registered, and the association that says so."""

    object: DocumentEntry | Folder
    member: Association


def next_of(old: DocumentEntry | Folder, *, previous: str | None = "", propagate: str = "", **fields: Any) -> Version:
    """What follows `old`; `fields` are other than there.

    `previous` is PreviousVersion: "" is the true one, None is none; `propagate` is AssociationPropagation, "" is none.
    """
    told: dict[str, Any] = {"entry_uuid": f"Object-{uuid.uuid4().hex[:8]}", "logical_id": logical_id_of(old)}
    new = replace(old, **told | fields)
    number = str(old.version) if previous == "" else previous
    slots: list[tuple[str, tuple[str, ...]]] = []
    if number is not None:
        slots.append((PREVIOUS_VERSION, (number,)))
    if propagate:
        slots.append((ASSOCIATION_PROPAGATION, (propagate,)))
    member = arrow(AssociationType.HAS_MEMBER, SET, new.entry_uuid, original=True)
    return Version(object=new, member=replace(member, extra=tuple(slots)))


def update_of(
    patient: PatientIdentifier, *versions: Version, operations: Sequence[Association] = (), **fields: Any
) -> Submission:
    """A submission set with operations; `fields` replace those of the set."""
    whole = submission(patient, [], associations=[*(each.member for each in versions), *operations], **fields)
    return replace(
        whole,
        entries=tuple(each.object for each in versions if isinstance(each.object, DocumentEntry)),
        folders=tuple(each.object for each in versions if isinstance(each.object, Folder)),
    )


def status_change(target: str, *, original: AvailabilityStatus | None, new: AvailabilityStatus | None) -> Association:
    """An object has another status from now on; None leaves the slot out."""
    told = ((ORIGINAL_STATUS, original), (NEW_STATUS, new))
    slots: Slots = tuple((name, (str(status),)) for name, status in told if status is not None)
    return replace(arrow(AssociationType.UPDATE_AVAILABILITY_STATUS, SET, target), extra=slots)


def submitted_association(association: Association) -> tuple[Association, Association]:
    """An association of what is registered, and the one that brings it."""
    return association, arrow(AssociationType.SUBMIT_ASSOCIATION, SET, association.entry_uuid)


async def versions_of(target: Target, unique_id: str) -> dict[int, DocumentEntry]:
    """Every version of a document, by number."""
    answer = await found(target, criteria=DocumentCriteria(unique_ids=(unique_id,)), metadata_level=2)
    return {each.version: each for each in answer.entries}


async def newest_of(target: Target, unique_id: str) -> DocumentEntry:
    """The version of a document that there is for whoever knows of no versions."""
    answer = await found(target, criteria=DocumentCriteria(unique_ids=(unique_id,)))
    expect(len(answer.entries), "the number of entries of a document").equals(1)
    return answer.entries[0]


async def still(target: Target, unique_id: str, before: Mapping[int, DocumentEntry]) -> None:
    """The versions of a document are those that there were."""
    now = await versions_of(target, unique_id)
    expect(_told(now), "the document's versions").equals(_told(before))
    expect([number for number, each in now.items() if each != before[number]], "versions that are other").is_absent()


def _told(versions: Mapping[int, DocumentEntry]) -> list[tuple[int, str, str]]:
    return [(number, each.availability_status.name, each.title) for number, each in sorted(versions.items())]


async def registered(target: Target) -> DocumentEntry:
    """The entry of a new document."""
    (one,) = await submitted(target)
    return await entry_of(target, one.entry.unique_id)


async def filed(target: Target) -> tuple[DocumentEntry, Folder]:
    """The entry of a new document and of a folder that it is in, as they are registered."""
    patient = target.patient()
    one, place = document(patient), folder(patient)
    inside = arrow(AssociationType.HAS_MEMBER, place.entry_uuid, one.entry.entry_uuid)
    request = ProvideAndRegisterRequest(
        submission=submission(patient, [one], folders=[place], associations=[inside]),
        documents={one.entry.entry_uuid: Content.of(one.body, "text/plain")},
    )
    answer = await target.call(ITI_41, request)
    if answer.decoded is None or answer.decoded.status is not ResponseStatus.SUCCESS:
        raise Unreachable("a folder that is right is not taken by ITI-41: see repository_provide")
    named = FolderCriteria(unique_ids=(place.unique_id,))
    folders = (await found(target, StoredQuery.GET_FOLDERS, folders=named)).folders
    expect(len(folders), "the number of folders").equals(1)
    return await entry_of(target, one.entry.unique_id), folders[0]
