"""Registry and repository of any document, for those who submit, ask for, change and remove them; and of images, as before.

What is submitted is taken, changed and removed as asked, so that whoever looks again finds it so.

Source: ITI TF-2 3.41, 3.42, 3.51, 3.57, 3.61, 3.62, 3.86, 3.92.
"""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.simulators.imaging_community import ImagingCommunity, poured
from conformance.submissions import Document, document, submission
from profiles.model.content import OCTETS, Poured
from profiles.model.document import (
    Association,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
    is_entry_uuid,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.wire.ebxml.operations import UPDATE, NewVersion, StatusChange, read_operations
from profiles.wire.ebxml.query import StoredQuery
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xds.iti18 import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti43 import RetrieveDocumentSetRequest
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61
from profiles.xds.iti62 import ITI_62, RemoveMetadataRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest
from profiles.xds.iti92 import ITI_92

OF_DOCUMENTS = (ITI_41.id, ITI_42.id, ITI_51.id, ITI_57.id, ITI_61.id, ITI_62.id, ITI_86.id, ITI_92.id)
MAX_BYTES = 64 * 1024 * 1024
Registered = DocumentEntry | SubmissionSet | Folder | Association
DONE = RegistryResponse(status=ResponseStatus.SUCCESS)


class DocumentCommunity(ImagingCommunity):
    """Answers what an imaging community does, and ITI-41, ITI-42, ITI-51, ITI-57, ITI-61, ITI-62, ITI-86 and ITI-92."""

    def _stand(self) -> None:
        super()._stand()
        self._registered: dict[str, Registered] = {}  # by entryUUID
        self._bodies: dict[str, bytes] = {}  # by uniqueId
        for transaction, handler in (
            (ITI_41, self._provided), (ITI_42, self._registers), (ITI_61, self._registers), (ITI_51, self.query),
            (ITI_57, self._updated), (ITI_92, self._updated), (ITI_62, self._removed), (ITI_86, self._bytes_removed),
        ):  # fmt: skip
            self.counterpart.answers(transaction, handler)

    def hold(self, patient: PatientIdentifier, text: str = "") -> Document:
        """Have a document of this patient, that came in a submission set of its own."""
        made = document(patient, text, repository_unique_id=self.repository)
        self._register(submission(patient, [made]))
        entry = next(each for each in self._entries() if each.unique_id == made.entry.unique_id)
        self._bodies[entry.unique_id] = made.body
        return Document(entry=entry, body=made.body)

    def hanging_on(self, entry: DocumentEntry) -> set[str]:
        """The entryUUIDs of a held document, of its submission set, and of what associates the two."""
        arrows = [each for each in self._arrows() if each.target == entry.entry_uuid]
        return {entry.entry_uuid, *(each.entry_uuid for each in arrows), *(each.source for each in arrows)}

    async def query(self, request: StoredQueryRequest) -> StoredQueryResponse:
        """Images as before; documents by patient, id and status; associations, and sets with what is in them, by id."""
        if request.query is StoredQuery.GET_ASSOCIATIONS:
            ends = set(request.uuids)
            return StoredQueryResponse(
                associations=tuple(each for each in self._arrows() if ends & {each.source, each.target})
            )
        if request.query in (StoredQuery.GET_SUBMISSION_SETS, StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS):
            return self._sets(request)
        images = await super().query(request)
        criteria = request.criteria
        entries = tuple(
            each
            for each in self._entries()
            if (not criteria.patient_ids or each.patient_id in criteria.patient_ids)
            and (not criteria.unique_ids or each.unique_id in criteria.unique_ids)
            and (not criteria.entry_uuids or each.entry_uuid in criteria.entry_uuids)
            and (not criteria.statuses or each.availability_status in criteria.statuses)
            and not criteria.reference_ids
        )
        if images.object_refs:
            return replace(
                images,
                object_refs=(*images.object_refs, *StoredQueryResponse(entries=entries).as_references().object_refs),
            )
        return replace(images, entries=(*images.entries, *entries))

    async def retrieve(self, request: RetrieveDocumentSetRequest) -> Poured[RetrieveDocumentSetResponse]:
        """Manifests and documents, each from the repository that has them."""
        ours = {
            each.document_unique_id: self._bodies[each.document_unique_id]
            for each in request.documents
            if each.document_unique_id in self._bodies and each.repository_unique_id == self.repository
        }
        if not ours:
            return await super().retrieve(request)
        types = {each.unique_id: each.mime_type for each in self._entries()}
        found = poured(str(self.repository), ours, [each.document_unique_id for each in request.documents])
        documents = tuple(
            replace(each, mime_type=types.get(each.document_unique_id, OCTETS)) for each in found.head.documents
        )
        return replace(found, head=replace(found.head, documents=documents))

    # --- what it does as it is asked ----------------------------------------------------------------------------------

    async def _provided(self, request: ProvideAndRegisterRequest) -> RegistryResponse:
        uids = {each.entry_uuid: each.unique_id for each in request.submission.entries}
        for uuid_, content in request.documents.items():
            self._bodies[uids.get(uuid_, uuid_)] = await content.read(MAX_BYTES)
        entries = tuple(replace(each, repository_unique_id=self.repository) for each in request.submission.entries)
        self._register(replace(request.submission, entries=entries))
        return DONE

    async def _registers(self, request: Any) -> RegistryResponse:
        self._register(request.submission)
        return DONE

    async def _updated(self, request: Any) -> RegistryResponse:
        for each in read_operations(request.submission, UPDATE)[0]:
            if isinstance(each, NewVersion):
                self._deprecate(each.object.logical_id)
                self._registered[each.object.entry_uuid] = replace(each.object, version=each.previous + 1)
            elif isinstance(each, StatusChange):
                found = self._registered.get(each.target)
                if found is not None:
                    self._registered[each.target] = replace(found, availability_status=each.new)
        return DONE

    def _deprecate(self, logical_id: str) -> None:
        for each in list(self._entries()):
            if each.logical_id == logical_id:
                self._registered[each.entry_uuid] = replace(each, availability_status=AvailabilityStatus.DEPRECATED)

    async def _removed(self, request: RemoveMetadataRequest) -> RegistryResponse:
        for each in request.entry_uuids:
            self._registered.pop(each, None)
        return DONE

    async def _bytes_removed(self, request: RemoveDocumentsRequest) -> RegistryResponse:
        for each in request.documents:
            self._bodies.pop(each.document_unique_id, None)
        return DONE

    # --- what it has --------------------------------------------------------------------------------------------------

    def _register(self, submitted: Submission) -> None:
        """Everything by an entryUUID; whatever had a symbolic id gets one."""
        objects: tuple[Registered, ...] = (
            submitted.submission_set, *submitted.entries, *submitted.folders, *submitted.associations,
        )  # fmt: skip
        ids = {
            each.entry_uuid: each.entry_uuid if is_entry_uuid(each.entry_uuid) else f"urn:uuid:{uuid.uuid4()}"
            for each in objects
        }
        for each in objects:
            named: Registered = replace(each, entry_uuid=ids[each.entry_uuid])
            if isinstance(named, Association):
                named = replace(
                    named, source=ids.get(named.source, named.source), target=ids.get(named.target, named.target)
                )
            elif isinstance(named, (DocumentEntry, Folder)):
                named = replace(named, logical_id=named.entry_uuid, version=1)
            self._registered[named.entry_uuid] = named

    def _entries(self) -> Iterator[DocumentEntry]:
        return (each for each in self._registered.values() if isinstance(each, DocumentEntry))

    def _arrows(self) -> Iterator[Association]:
        return (each for each in self._registered.values() if isinstance(each, Association))

    def _sets(self, request: StoredQueryRequest) -> StoredQueryResponse:
        wanted = request.submission_sets
        of_members = {each.source for each in self._arrows() if each.target in request.uuids}
        sets = [
            each
            for each in self._registered.values()
            if isinstance(each, SubmissionSet)
            and (
                each.entry_uuid in of_members
                or each.entry_uuid in wanted.entry_uuids
                or each.unique_id in wanted.unique_ids
            )
        ]
        members = [each for each in self._arrows() if each.source in {one.entry_uuid for one in sets}]
        if request.query is StoredQuery.GET_SUBMISSION_SETS:
            members = [each for each in members if each.target in request.uuids]
            return StoredQueryResponse(submission_sets=sets, associations=members)
        inside = {each.target for each in members}
        return StoredQueryResponse(
            submission_sets=sets, associations=members,
            entries=[each for each in self._entries() if each.entry_uuid in inside],
        )  # fmt: skip
