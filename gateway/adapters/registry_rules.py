"""What a registry insists on before it registers, the same for rows and for memory.

Source: ITI TF-2 3.42.4.1.3; TF-3 4.2.2.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.adapters.patterns import Pattern
from gateway.adapters.stored import STATUS_OF, STATUSES
from profiles.errors import Duplicate, RuleViolation
from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    ReferenceId,
    Submission,
    SubmissionSet,
    logical_id_of,
)
from profiles.model.moment import Moment
from profiles.model.query import FolderCriteria, SubmissionSetCriteria, TimeRange
from profiles.wire.ebxml.datatypes import cxi

VISIBLE = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)
"""What is meant where no status is asked for."""
REPLACES = frozenset({AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE})
RELATIONS = frozenset(
    {
        *REPLACES,
        AssociationType.TRANSFORM,
        AssociationType.APPEND,
        AssociationType.SIGNS,
        AssociationType.IS_SNAPSHOT_OF,
    }
)
"""From a document to the one that it replaces, transforms, adds to, signs or shows: that one must be Approved."""
MEMBERS: Mapping[str, frozenset[str]] = {
    "set": frozenset({"entry", "folder", "association"}),
    "folder": frozenset({"entry"}),
    "entry": frozenset(),
    "association": frozenset(),
}
"""What may be a member of what (ITI TF-3 4.2.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A registered object that a submission names. Sets and associations tell neither status nor patient."""

    kind: str
    status: str = ""
    patient_id: str = ""


def last_update(at: datetime) -> Moment:
    """Folder.lastUpdateTime: to the second, as the wire has it, so that a query finds what an answer told."""
    return Moment(at.replace(microsecond=0))


def new_folders(submission: Submission) -> tuple[Folder, ...]:
    """Those whose uniqueId must be new: a further version has the one of the first."""
    return tuple(each for each in submission.folders if each.version == 1)


def outdated(each: DocumentEntry | Folder) -> RuleViolation:
    """Somebody else made a version meanwhile."""
    return RuleViolation(
        "the version before is not the newest one any more", code="XDSMetadataVersionError", location=each.entry_uuid
    )


def reference_text(reference: ReferenceId) -> str:
    """CXi: what patterns of referenceIdList are compared with."""
    return cxi(reference)


def check_within(submission: Submission) -> None:
    """An id stands once in a submission.

    Raises:
        Duplicate: It stands twice.
    """
    unique_ids = Counter(
        [
            submission.submission_set.unique_id,
            *(entry.unique_id for entry in submission.entries),
            *(folder.unique_id for folder in submission.folders),
        ]
    )
    entry_uuids = Counter(
        [
            submission.submission_set.entry_uuid,
            *(entry.entry_uuid for entry in submission.entries),
            *(folder.entry_uuid for folder in submission.folders),
            *(association.entry_uuid for association in submission.associations),
        ]
    )
    for text, times in unique_ids.items():
        if times > 1:
            raise Duplicate(
                "a uniqueId stands twice in the submission", code="XDSRegistryDuplicateUniqueIdInMessage", location=text
            )
    for text, times in entry_uuids.items():
        if times > 1:
            raise Duplicate(
                "an entryUUID stands twice in the submission", code="XDSRegistryMetadataError", location=text
            )


def check_entry_type(entry: DocumentEntry, registered: Iterable[DocumentEntry]) -> None:
    """A uniqueId is that of a stable document or of an on-demand one (ITI TF-2 3.61.4.1.3).

    Raises:
        RuleViolation: Here it is that of the other kind (XDSRegistryMetadataError).
    """
    if any(each.entry_type is not entry.entry_type for each in registered):
        raise RuleViolation(
            "the uniqueId is that of a document of another objectType",
            code="XDSRegistryMetadataError", location=entry.unique_id,
        )  # fmt: skip


def check_document(entry: DocumentEntry, hash_: str, size_bytes: int | None) -> None:
    """Two documents may share a uniqueId only if they are equal; what was not told is not compared.

    Raises:
        RuleViolation: Other hash (XDSNonIdenticalHash) or size (XDSNonIdenticalSize).
    """
    if entry.hash and hash_ and entry.hash.lower() != hash_.lower():
        raise RuleViolation(
            "the document's uniqueId is registered with another hash",
            code="XDSNonIdenticalHash", location=entry.unique_id,
        )  # fmt: skip
    if entry.size_bytes is not None and size_bytes is not None and entry.size_bytes != size_bytes:
        raise RuleViolation(
            "the document's uniqueId is registered with another size",
            code="XDSNonIdenticalSize", location=entry.unique_id,
        )  # fmt: skip


def check_associations(submission: Submission, registered: Mapping[str, Target]) -> None:
    """Both ends are there, and are such as the type asks for.

    `registered` has the ends that are not objects of the submission itself, as far as the registry knows them.

    Raises:
        RuleViolation: UnresolvedReferenceException, XDSRegistryDeprecatedDocumentError, XDSPatientIdDoesNotMatch.
    """
    entries = {entry.entry_uuid: entry for entry in submission.entries}
    inside: dict[str, str] = {
        submission.submission_set.entry_uuid: "set",
        **dict.fromkeys(entries, "entry"),
        **{folder.entry_uuid: "folder" for folder in submission.folders},
        **{association.entry_uuid: "association" for association in submission.associations},
    }
    patients = {
        **{entry.entry_uuid: str(entry.patient_id) for entry in submission.entries},
        **{folder.entry_uuid: str(folder.patient_id) for folder in submission.folders},
    }
    veiled = submission.submission_set.availability_status is AvailabilityStatus.PENDING
    updating = {each.target for each in submission.associations if each.type is AssociationType.SUBMIT_ASSOCIATION}
    replaced: set[str] = set()
    for association in submission.associations:
        source, target = association.source, association.target
        if (
            source not in inside
            and association.entry_uuid not in updating
            and not _files_in_folder(association, registered)
        ):
            raise _unresolved(association, source)
        if target not in inside and target not in registered:
            raise _unresolved(association, target)
        relation = association.type in RELATIONS
        if relation and association.entry_uuid in updating:
            _check_between(association, registered)
        elif relation:
            if source not in entries:
                raise _unresolved(association, source)
            _check_relation(association, entries[source], inside, registered)
        if association.type in REPLACES:
            if target in replaced:
                raise _deprecated("two documents of the submission replace the same one", target)
            replaced.add(target)
        if association.type is AssociationType.HAS_MEMBER:
            _check_member(association, inside, registered, veiled=veiled)
        held = source in entries and entries[source].availability_status is AvailabilityStatus.PENDING
        if not held and (relation or association.type is AssociationType.HAS_MEMBER):
            of_source = patients.get(source) or _patient_of(registered, source)
            of_source = of_source or str(submission.submission_set.patient_id)
            of_target = patients.get(target) or _patient_of(registered, target)
            if of_target and of_source != of_target and not (source in inside and target in inside):
                raise RuleViolation(
                    "what the submission refers to is another patient's",
                    code="XDSPatientIdDoesNotMatch", location=target,
                )  # fmt: skip


def _check_relation(
    association: Association, entry: DocumentEntry, inside: Mapping[str, str], registered: Mapping[str, Target]
) -> None:
    target = association.target
    if target in inside:
        # What is replaced must have been there before; a transform or addendum may come with its original.
        if association.type in REPLACES or inside[target] != "entry":
            raise _unresolved(association, target)
        return
    known = registered[target]
    if known.kind != "entry":
        raise _unresolved(association, target)
    status = STATUS_OF[known.status]
    if status is AvailabilityStatus.DEPRECATED:
        raise _deprecated("the document that is referred to is deprecated", target)
    if status is AvailabilityStatus.PENDING and entry.availability_status is not AvailabilityStatus.PENDING:
        raise _unresolved(association, target)  # held: for everybody else it is not there


def _check_between(association: Association, registered: Mapping[str, Target]) -> None:
    """A relationship that an update brings: between documents that are both here and approved."""
    for end in (association.source, association.target):
        known = registered.get(end)
        if known is None or known.kind != "entry" or known.status == STATUSES[AvailabilityStatus.PENDING]:
            raise _unresolved(association, end)
        if known.status == STATUSES[AvailabilityStatus.DEPRECATED]:
            raise _deprecated("a document that is referred to is deprecated", end)


def _check_member(
    association: Association, inside: Mapping[str, str], registered: Mapping[str, Target], *, veiled: bool
) -> None:
    kinds: list[str] = []
    for end in (association.source, association.target):
        known = registered.get(end) if end not in inside else None
        if known is not None and known.status == STATUSES[AvailabilityStatus.PENDING] and not veiled:
            raise _unresolved(association, end)  # held: for everybody else it is not there
        kinds.append(inside[end] if known is None else known.kind)
    of, member = kinds
    if member not in MEMBERS[of]:
        raise RuleViolation(
            f"no {member} is a member of a {of}", code="XDSRegistryMetadataError", location=association.entry_uuid
        )


def _deprecated(text: str, target: str) -> RuleViolation:
    return RuleViolation(text, code="XDSRegistryDeprecatedDocumentError", location=target)


def _files_in_folder(association: Association, registered: Mapping[str, Target]) -> bool:
    known = registered.get(association.source)
    return known is not None and known.kind == "folder" and association.type is AssociationType.HAS_MEMBER


def _patient_of(registered: Mapping[str, Target], entry_uuid: str) -> str:
    known = registered.get(entry_uuid)
    return known.patient_id if known is not None else ""


def _unresolved(association: Association, end: str) -> RuleViolation:
    return RuleViolation(
        f"an association names an object that is not there ({association.type.name.lower()})",
        code="UnresolvedReferenceException", location=end,
    )  # fmt: skip


# --- what fits ---------------------------------------------------------------------------------------------------------


def one_of(value: object, alternatives: Sequence[object]) -> bool:
    """Whether it is one of these; no alternatives are no condition."""
    return not alternatives or value in alternatives


def coded(codes: Iterable[Code], alternatives: Sequence[Code]) -> bool:
    """Display names never decide."""
    wanted = {(code.value, code.system) for code in alternatives}
    return not alternatives or any((code.value, code.system) in wanted for code in codes)


def like(texts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a text fits a SQL LIKE pattern."""
    return not patterns or any(Pattern.from_like(pattern).fits(text) for text in texts for pattern in patterns)


def within(moment: Moment | None, asked: TimeRange) -> bool:
    """From <= t < to; what has no such time is not filtered by it (ITI TF-2 3.18.4.1.2.3.7)."""
    if moment is None:
        return True
    return (asked.start is None or asked.start.at <= moment.at) and (asked.end is None or moment.at < asked.end.at)


def set_fits(submission_set: SubmissionSet, asked: SubmissionSetCriteria) -> bool:
    """Whether a submission set is meant (ITI TF-2 3.18.4.1.2.3.7.2)."""
    return (
        submission_set.availability_status in (asked.statuses or VISIBLE)
        and one_of(submission_set.patient_id, asked.patient_ids)
        and one_of(submission_set.entry_uuid, asked.entry_uuids)
        and one_of(submission_set.unique_id, asked.unique_ids)
        and one_of(submission_set.source_id, asked.source_ids)
        and within(submission_set.submission_time, asked.submission_time)
        and like(
            [author.person for author in submission_set.authors if author.person],
            (asked.author_person,) if asked.author_person else (),
        )
        and coded((submission_set.content_type_code,), asked.content_type_codes)
    )


def folder_fits(folder: Folder, asked: FolderCriteria) -> bool:
    """Whether a folder is meant (ITI TF-2 3.18.4.1.2.3.7.3)."""
    return (
        folder.availability_status in (asked.statuses or VISIBLE)
        and one_of(folder.patient_id, asked.patient_ids)
        and one_of(folder.entry_uuid, asked.entry_uuids)
        and one_of(folder.unique_id, asked.unique_ids)
        and one_of(logical_id_of(folder), asked.logical_ids)
        and within(folder.last_update_time, asked.last_update_time)
        and all(coded(folder.codes, group) for group in asked.codes)
    )
