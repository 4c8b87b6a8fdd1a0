"""Registry: what is shared. Document entries, submission sets, folders and associations of the affinity domain."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from profiles.model.document import Association, AvailabilityStatus, DocumentEntry, Folder, Submission, SubmissionSet
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria


class Registry(Protocol):
    """Registered metadata. Ids in what is handed in are UUIDs already; symbolic ids were replaced by the service."""

    async def put(self, submission: Submission, at: datetime) -> None:
        """Register everything of it at this time, deprecating what its RPLC and XFRM_RPLC associations replace.

        What replaces a document goes into the folders of that document. A folder that is new, or gets a member, was
        last updated now, whatever the sender says of it.

        Raises:
            Duplicate: The submission set's uniqueId is in use (XDSDuplicateUniqueIdInRegistry), or an entryUUID is.
            RuleViolation: Same document uniqueId with another hash or size (XDSNonIdenticalHash, XDSNonIdenticalSize);
                an association's target is missing (UnresolvedReferenceException) or deprecated
                (XDSRegistryDeprecatedDocumentError), or another patient's (XDSPatientIdDoesNotMatch); members of what
                has no such members (XDSRegistryMetadataError).

        Source: ITI TF-2 3.42.4.1.3.
        """
        ...

    def find(self, criteria: DocumentCriteria) -> AsyncIterator[DocumentEntry]:
        """Entries that fit, newest registration last. PENDING ones only when asked for by status."""
        ...

    async def count(self, criteria: DocumentCriteria) -> int:
        """How many would be found."""
        ...

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        """Every entry with this document uniqueId, whatever its status."""
        ...

    async def associations(self, entry_uuids: Sequence[str]) -> Sequence[Association]:
        """Every association that starts or ends at one of these objects."""
        ...

    async def submission_sets(self, entry_uuids: Sequence[str]) -> Sequence[SubmissionSet]:
        """The sets with these entryUUIDs."""
        ...

    async def folders(self, entry_uuids: Sequence[str]) -> Sequence[Folder]:
        """The folders with these entryUUIDs."""
        ...

    async def find_submission_sets(self, criteria: SubmissionSetCriteria) -> Sequence[SubmissionSet]:
        """The sets that fit, in the order of submissionTime, then entryUUID. PENDING ones only when asked for by status."""
        ...

    async def find_folders(self, criteria: FolderCriteria) -> Sequence[Folder]:
        """The folders that fit, in the order of entryUUID. PENDING ones only when asked for by status."""
        ...

    async def held(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those of these objects that nobody may see yet: PENDING ones, and associations that start or end at one."""
        ...

    async def set_status(self, entry_uuid: str, status: AvailabilityStatus, at: datetime) -> None:
        """Approve, deprecate or hold an object. What a held entry was to bring about happens when it is approved."""
        ...

    async def reassign(self, entry_uuid: str, patient_id: PatientIdentifier) -> None:
        """Give a held entry (and its submission set) to the patient that a person chose."""
        ...

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> int:
        """Move everything of one patient to another (ITI-8 A40); answers how many entries moved."""
        ...
