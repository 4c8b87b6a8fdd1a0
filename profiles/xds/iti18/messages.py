"""Registry Stored Query, in model terms: a question as criteria there, registry objects back.

What a newcomer gets wrong: which criteria a query fills is the query's business, and an answerer looks at `query` first.
GetDocuments, say, names entries in `criteria.entry_uuids` or `criteria.unique_ids` and says nothing of status or type.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria
from profiles.wire.ebxml.query import AnyQuery, ReturnType, StoredQuery
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.submission import ObjectRef

ANY_DOCUMENT = DocumentCriteria()
ANY_SUBMISSION_SET = SubmissionSetCriteria()
ANY_FOLDER = FolderCriteria()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQueryRequest:
    """A question to a registry.

    `criteria`, `submission_sets` and `folders` say which objects of each kind the query names or filters; `uuids` is
    `$uuid` of GetAssociations and GetSubmissionSets, `association_types` belongs to GetRelatedDocuments.
    `metadata_level` 2 is of who knows what versions are; at 1 only the newest are meant, but for what is named by its
    entryUUID. `association_statuses`: which associations are answered and followed; (): Approved ones.
    `availabilities` are of the queries that find documents: whether those can be retrieved at once; (): either.
    """

    query: AnyQuery
    return_type: ReturnType = ReturnType.LEAF_CLASS
    home_community_id: Oid | None = None
    criteria: DocumentCriteria = ANY_DOCUMENT
    submission_sets: SubmissionSetCriteria = ANY_SUBMISSION_SET
    folders: FolderCriteria = ANY_FOLDER
    uuids: tuple[str, ...] = ()
    association_types: tuple[AssociationType, ...] = ()
    association_statuses: tuple[AvailabilityStatus, ...] = ()
    metadata_level: int = 1
    availabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQueryResponse:
    """The answer: registry objects of each kind, or references to them when those were asked for.

    Writing goes through each sequence once, object by object; a thousand entries are never one string.
    """

    status: ResponseStatus = ResponseStatus.SUCCESS
    errors: tuple[RegistryError, ...] = ()
    entries: Sequence[DocumentEntry] = ()
    submission_sets: Sequence[SubmissionSet] = ()
    folders: Sequence[Folder] = ()
    associations: Sequence[Association] = ()
    object_refs: Sequence[ObjectRef] = ()

    @property
    def count(self) -> int:
        """How many objects there are."""
        return (
            len(self.entries)
            + len(self.submission_sets)
            + len(self.folders)
            + len(self.associations)
            + len(self.object_refs)
        )

    def as_references(self) -> "StoredQueryResponse":
        """The same answer for somebody who asked for references."""
        return StoredQueryResponse(
            status=self.status,
            errors=self.errors,
            object_refs=(
                *(_reference(each) for each in self.entries),
                *(_reference(each) for each in self.submission_sets),
                *(_reference(each) for each in self.folders),
                *(ObjectRef(entry_uuid=each.entry_uuid) for each in self.associations),
                *self.object_refs,
            ),
        )


def _reference(each: DocumentEntry | SubmissionSet | Folder) -> ObjectRef:
    return ObjectRef(entry_uuid=each.entry_uuid, home_community_id=each.home_community_id)


__all__ = [
    "FolderCriteria",
    "ObjectRef",
    "RegistryError",
    "ResponseStatus",
    "ReturnType",
    "StoredQuery",
    "StoredQueryRequest",
    "StoredQueryResponse",
    "SubmissionSetCriteria",
]
