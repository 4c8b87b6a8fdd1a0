"""Registry: what is shared. Document entries, submission sets, folders and associations of the affinity domain."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from profiles.model.document import Association, AvailabilityStatus, DocumentEntry, Folder, Submission, SubmissionSet
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria

RegistryObject = DocumentEntry | SubmissionSet | Folder | Association


class Registry(Protocol):
    """Registered metadata. Ids in what is handed in are UUIDs already; symbolic ids were replaced by the service."""

    async def put(self, submission: Submission, at: datetime) -> None:
        """Register everything of it at this time, deprecating what its RPLC and XFRM_RPLC associations replace.

        An entry or folder of a version above 1 supersedes the one before it, which is deprecated; whether it may is the
        caller's to know. What replaces a document goes into the folders of that document. A folder that is new, or gets
        a member, was last updated now, whatever the sender says of it.

        Raises:
            Duplicate: The submission set's uniqueId is in use (XDSDuplicateUniqueIdInRegistry), or an entryUUID is.
            RuleViolation: Same document uniqueId with another hash or size (XDSNonIdenticalHash, XDSNonIdenticalSize);
                an association's target is missing (UnresolvedReferenceException) or deprecated
                (XDSRegistryDeprecatedDocumentError), or another patient's (XDSPatientIdDoesNotMatch); members of what
                has no such members (XDSRegistryMetadataError); a new version of what got one in between
                (XDSMetadataVersionError).

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

    async def objects(self, entry_uuids: Sequence[str]) -> Sequence[RegistryObject]:
        """The objects with these entryUUIDs, of whatever kind and status, in the order asked; unknown ones left out."""
        ...

    async def superseded(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those of these entries and folders that have a newer version."""
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

    async def associate(self, associations: Sequence[Association], at: datetime) -> None:
        """Add associations between registered objects as they are, without what a submission of them would bring about.

        Folders that get a member by it were last updated now.

        Raises:
            Duplicate: One of the entryUUIDs is in use.
        """
        ...

    async def remove(self, entry_uuids: Sequence[str], at: datetime) -> None:
        """Let go of these objects; whether anything still needs them is the caller's to know.

        uniqueIds that nothing has any more may be used again. Where the newest version goes, the one before it is the
        newest; folders that lose a member were last updated now. Unknown ids are nobody's.
        """
        ...

    async def reassign(self, entry_uuid: str, patient_id: PatientIdentifier) -> None:
        """Give a held entry (and its submission set) to the patient that a person chose."""
        ...

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> int:
        """Move everything of one patient to another (ITI-8 A40); answers how many entries moved."""
        ...
