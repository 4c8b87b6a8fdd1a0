"""What an update asks for: operations, spelled out by the associations of its submission set. ITI-57 and ITI-92.

A new version is an entry or folder with the logical id of the old one, and a member of the set with the number of the
version that it follows. A change of status and a new association are associations of their own types from the set.

What a newcomer gets wrong: an update is written like a submission and is none. Whatever in it belongs to no operation
makes all of it undecodable, and nothing is done.

Source: ITI TF-2 3.57.4.1.2 (triggers of the operations), 3.92.4.1.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from profiles.findings import Finding
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    Submission,
    is_entry_uuid,
)

PREVIOUS_VERSION = "PreviousVersion"
ASSOCIATION_PROPAGATION = "AssociationPropagation"
ORIGINAL_STATUS = "OriginalStatus"
NEW_STATUS = "NewStatus"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """An entry or folder follows its version `previous`; `propagate`: associations of that one are made for it too."""

    object: DocumentEntry | Folder
    previous: int
    propagate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """An object that is registered has another availability status from now on. `id` is the association that says so."""

    id: str
    target: str
    original: AvailabilityStatus
    new: AvailabilityStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAssociation:
    """Two objects that are registered are associated."""

    association: Association


Operation = NewVersion | StatusChange | NewAssociation


class Codes(NamedTuple):
    """How a transaction calls what is wrong with an operation."""

    undecodable: str  # it belongs to no operation, or contradicts itself
    annotation: str  # what the set's association should say is missing
    first: str  # the first version of an object comes by registration
    folder: str = ""  # there are no folders in it; "": there are
    other: str = ""  # there are only new versions; "": of all three


UPDATE = Codes(
    undecodable="XDSMetadataUpdateOperationError",
    annotation="XDSMetadataUpdateOperationError",
    first="XDSMetadataUpdateError",
)
RESTRICTED_UPDATE = Codes(
    undecodable="XDSMetadataAnnotationError",
    annotation="XDSMetadataAnnotationError",
    first="XDSInvalidRequestException",
    folder="XDSObjectTypeError",
    other="UnmodifiableMetadataError",
)

_TRIGGERS = frozenset({AssociationType.UPDATE_AVAILABILITY_STATUS, AssociationType.SUBMIT_ASSOCIATION})


def read_operations(submission: Submission, codes: Codes) -> tuple[tuple[Operation, ...], tuple[Finding, ...]]:
    """The operations in document order, and why what is left is none. Findings refuse all of it."""
    whole = submission.submission_set.entry_uuid
    versioned: tuple[DocumentEntry | Folder, ...] = (*submission.entries, *submission.folders)
    objects = {each.entry_uuid: each for each in versioned}
    arrows = {each.entry_uuid: each for each in submission.associations}
    operations: list[Operation] = []
    findings: list[Finding] = []
    understood: set[str] = set()
    members: set[str] = set()
    for arrow in submission.associations:
        if arrow.type is AssociationType.HAS_MEMBER and arrow.source == whole and arrow.target in objects:
            understood.add(arrow.entry_uuid)
            if arrow.target in members:
                findings.append(_finding("member-once", "an object is a member twice", arrow.target, codes.undecodable))
            members.add(arrow.target)
            _take(_version(arrow, objects[arrow.target], codes), operations, findings)
        elif arrow.type in _TRIGGERS:
            understood.add(arrow.entry_uuid)
            if arrow.source != whole:
                text = "an operation starts at the submission set"
                findings.append(_finding("operation-source", text, arrow.entry_uuid, codes.annotation))
            elif codes.other:
                text = "only new versions of entries are asked for here"
                findings.append(_finding("operation", text, arrow.entry_uuid, codes.other))
            elif arrow.type is AssociationType.UPDATE_AVAILABILITY_STATUS:
                _take(_status_change(arrow, codes), operations, findings)
            else:
                understood.add(arrow.target)
                _take(_new_association(arrow, arrows.get(arrow.target), codes), operations, findings)
    for id in objects.keys() - members:
        text = "an object is not a member of the submission set"
        findings.append(_finding("member", text, id, codes.annotation))
    findings += _left_over(submission, whole, understood, codes)
    if not operations and not findings:
        findings.append(_finding("operation", "the update asks for nothing", whole, codes.undecodable))
    return tuple(operations), tuple(findings)


def _finding(rule: str, text: str, location: str, code: str) -> Finding:
    return Finding(rule=f"xds-update/{rule}", text=text, location=location[:128], code=code)


def _take(found: Operation | Finding, operations: list[Operation], findings: list[Finding]) -> None:
    if isinstance(found, Finding):
        findings.append(found)
    else:
        operations.append(found)


def _left_over(submission: Submission, whole: str, understood: set[str], codes: Codes) -> Iterator[Finding]:
    for arrow in submission.associations:
        if arrow.entry_uuid in understood:
            continue
        if (arrow.type, arrow.source) == (AssociationType.HAS_MEMBER, whole) and arrow.target in understood:
            continue  # the set has its own operations as members: it says nothing new
        yield _finding("operation", "an association belongs to no operation", arrow.entry_uuid, codes.undecodable)


def _slot(arrow: Association, name: str) -> tuple[str, ...]:
    return next((values for slot, values in arrow.extra if slot == name), ())


def _version(arrow: Association, named: DocumentEntry | Folder, codes: Codes) -> NewVersion | Finding:
    at = named.entry_uuid
    if isinstance(named, Folder) and codes.folder:
        return _finding("object-type", "folders are not updated here", at, codes.folder)
    if not named.logical_id or not is_entry_uuid(named.logical_id):
        return _finding("logical-id", "a first version (no logical id of another one) is registered", at, codes.first)
    previous = _slot(arrow, PREVIOUS_VERSION)
    number = previous[0].strip() if len(previous) == 1 else ""
    if not (number.isascii() and number.isdecimal()) or len(number) > 9 or int(number) < 1:
        text = "PreviousVersion is the number of the version that is followed"
        return _finding("previous-version", text, at, codes.annotation)
    propagation = _slot(arrow, ASSOCIATION_PROPAGATION) or ("yes",)
    word = propagation[0].strip().lower()
    if len(propagation) != 1 or word not in ("yes", "no"):
        return _finding("propagation", "AssociationPropagation is yes or no", at, codes.annotation)
    return NewVersion(object=named, previous=int(number), propagate=word == "yes")


def _status_change(arrow: Association, codes: Codes) -> StatusChange | Finding:
    named: list[AvailabilityStatus] = []
    for name in (ORIGINAL_STATUS, NEW_STATUS):
        values = _slot(arrow, name)
        status = _STATUSES.get(values[0].strip()) if len(values) == 1 else None
        if status is None:
            return _finding("status", f"{name} is Approved or Deprecated", arrow.entry_uuid, codes.undecodable)
        named.append(status)
    original, new = named
    if original is new:
        return _finding("status", "OriginalStatus and NewStatus are the same", arrow.entry_uuid, codes.undecodable)
    if not is_entry_uuid(arrow.target):
        text = "a status is changed of what is registered"
        return _finding("status", text, arrow.entry_uuid, "UnresolvedReferenceException")
    return StatusChange(id=arrow.entry_uuid, target=arrow.target, original=original, new=new)


_STATUSES = {str(each): each for each in (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)}


def _new_association(trigger: Association, arrow: Association | None, codes: Codes) -> NewAssociation | Finding:
    if arrow is None or arrow.type in _TRIGGERS:
        text = "SubmitAssociation points at an association of the update"
        return _finding("submit-association", text, trigger.entry_uuid, codes.undecodable)
    if not is_entry_uuid(arrow.source) or not is_entry_uuid(arrow.target):
        text = "what is associated is registered already"
        return _finding("submit-association", text, arrow.entry_uuid, codes.first)
    return NewAssociation(association=arrow)
