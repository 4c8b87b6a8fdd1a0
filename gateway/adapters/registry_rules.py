"""What a registry insists on before it registers, the same for rows and for memory.

Source: ITI TF-2 3.42.4.1.3; TF-3 4.2.2.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.adapters.stored import STATUS_OF
from profiles.errors import Duplicate, RuleViolation
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    ReferenceId,
    Submission,
)
from profiles.wire.ebxml.datatypes import cxi

REPLACES = frozenset({AssociationType.REPLACE, AssociationType.TRANSFORM_REPLACE})
RELATIONS = frozenset({*REPLACES, AssociationType.TRANSFORM, AssociationType.APPEND})
"""From a document to the one that it replaces, transforms or adds to: that one must be Approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A registered object that a submission names. Sets and associations tell neither status nor patient."""

    kind: str
    status: str = ""
    patient_id: str = ""


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
    for association in submission.associations:
        source, target = association.source, association.target
        if source not in inside and not _files_in_folder(association, registered):
            raise _unresolved(association, source)
        if target not in inside and target not in registered:
            raise _unresolved(association, target)
        relation = association.type in RELATIONS
        if relation:
            if source not in entries:
                raise _unresolved(association, source)
            _check_relation(association, entries[source], inside, registered)
        held = source in entries and entries[source].availability_status is AvailabilityStatus.PENDING
        if not held and (relation or association.type is AssociationType.HAS_MEMBER):
            of_source = patients.get(source) or _patient_of(registered, source)
            of_source = of_source or str(submission.submission_set.patient_id)
            of_target = patients.get(target) or _patient_of(registered, target)
            if of_target and of_source != of_target and target not in inside:
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
        raise RuleViolation(
            "the document that is referred to is deprecated",
            code="XDSRegistryDeprecatedDocumentError", location=target,
        )  # fmt: skip
    if status is AvailabilityStatus.PENDING and entry.availability_status is not AvailabilityStatus.PENDING:
        raise _unresolved(association, target)  # held: for everybody else it is not there


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
