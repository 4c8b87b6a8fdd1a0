"""Registered metadata in memory: what a registry does, in the order in which the standard says it."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.adapters.memory.state import Reader
from gateway.adapters.registry_rules import (
    REPLACES,
    Target,
    check_associations,
    check_document,
    check_entry_type,
    check_within,
    coded,
    folder_fits,
    last_update,
    like,
    new_folders,
    one_of,
    outdated,
    reference_text,
    set_fits,
    within,
)
from gateway.adapters.stored import STATUSES
from gateway.ports.registry import RegistryObject
from profiles.errors import Duplicate, RuleViolation, UnknownDocument
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    Submission,
    SubmissionSet,
    logical_id_of,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria


class MemoryRegistry:
    """`Registry` over a state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def put(self, submission: Submission, at: datetime) -> None:
        """Register everything of it."""
        state = self._reader.change()
        check_within(submission)
        submission_set = submission.submission_set
        for unique_id, kind in (
            (submission_set.unique_id, "set"),
            *((folder.unique_id, "folder") for folder in new_folders(submission)),
        ):
            if (kind, unique_id) in state.unique_ids:
                raise Duplicate("a uniqueId is in use", code="XDSDuplicateUniqueIdInRegistry", location=unique_id)
        named: dict[str, str] = {
            submission_set.entry_uuid: "set",
            **{entry.entry_uuid: "entry" for entry in submission.entries},
            **{folder.entry_uuid: "folder" for folder in submission.folders},
            **{association.entry_uuid: "association" for association in submission.associations},
        }
        for entry_uuid in named:
            if entry_uuid in state.objects:
                raise Duplicate("an entryUUID is in use", code="XDSRegistryMetadataError", location=entry_uuid)
        for entry in submission.entries:
            hash_, size_bytes = state.unique_ids.get(("entry", entry.unique_id), ("", None))
            check_document(entry, hash_, size_bytes)
            check_entry_type(entry, await self.entries(entry.unique_id))
            size_bytes = entry.size_bytes if size_bytes is None else size_bytes
            state.unique_ids["entry", entry.unique_id] = (hash_ or entry.hash, size_bytes)
        check_associations(submission, {uuid_: self._target(uuid_) for uuid_ in state.objects})
        state.objects |= named
        state.unique_ids["set", submission_set.unique_id] = ("", None)
        state.sets[submission_set.entry_uuid] = submission_set
        for entry in submission.entries:
            self._supersede(entry)
            state.entries[entry.entry_uuid] = entry
        for folder in submission.folders:
            state.unique_ids["folder", folder.unique_id] = ("", None)
            self._supersede(folder)
            state.folders[folder.entry_uuid] = replace(folder, last_update_time=last_update(at))
        for association in submission.associations:
            state.associations[association.entry_uuid] = association
        for association in submission.associations:
            source = state.entries.get(association.source)
            if association.type in REPLACES and source is not None and not _held(source):
                self._replace(association.source, association.target, last_update(at))
        for association in submission.associations:
            if association.type is AssociationType.HAS_MEMBER:
                target = state.entries.get(association.target)
                if target is not None and not _held(target):
                    self._touch(association.source, last_update(at))

    def _supersede(self, new: DocumentEntry | Folder) -> None:
        """Deprecate the newest version so far; there must be one."""
        if new.version == 1:
            return
        state = self._reader.state
        objects: dict[str, Any] = state.entries if isinstance(new, DocumentEntry) else state.folders
        newest = [
            uuid_ for uuid_, each in objects.items()
            if logical_id_of(each) == new.logical_id and uuid_ not in state.superseded
        ]  # fmt: skip
        if len(newest) != 1 or objects[newest[0]].version != new.version - 1:
            raise outdated(new)
        state.superseded[newest[0]] = True
        objects[newest[0]] = replace(objects[newest[0]], availability_status=AvailabilityStatus.DEPRECATED)

    def _target(self, entry_uuid: str) -> Target:
        state = self._reader.state
        kind = state.objects[entry_uuid]
        known = state.entries.get(entry_uuid) or state.folders.get(entry_uuid)
        if known is None:
            return Target(kind=kind)
        return Target(kind=kind, status=STATUSES[known.availability_status], patient_id=str(known.patient_id))

    def _replace(self, replacing: str, replaced: str, at: Moment) -> None:
        state = self._reader.state
        reached, waiting = {replacing, replaced}, [replaced]
        while waiting:
            current = waiting.pop()
            state.entries[current] = replace(state.entries[current], availability_status=AvailabilityStatus.DEPRECATED)
            for each in state.associations.values():
                follows = each.type in {AssociationType.TRANSFORM, AssociationType.APPEND}
                if each.target == current and follows and each.source not in reached:
                    reached.add(each.source)
                    waiting.append(each.source)
        for each in list(state.associations.values()):
            if (
                each.target != replaced
                or each.type is not AssociationType.HAS_MEMBER
                or each.source not in state.folders
            ):
                continue
            if self._is_member(each.source, replacing):
                continue
            derived = uuid.uuid5(uuid.NAMESPACE_URL, f"{each.source} {replacing}")
            member = Association(
                entry_uuid=f"urn:uuid:{derived}", type=AssociationType.HAS_MEMBER, source=each.source, target=replacing
            )
            if member.entry_uuid not in state.objects:
                state.objects[member.entry_uuid] = "association"
                state.associations[member.entry_uuid] = member
                self._touch(each.source, at)

    def _is_member(self, container: str, entry_uuid: str) -> bool:
        return any(
            (each.source, each.target, each.type) == (container, entry_uuid, AssociationType.HAS_MEMBER)
            for each in self._reader.state.associations.values()
        )

    def _touch(self, entry_uuid: str, at: Moment) -> None:
        folders = self._reader.state.folders
        if entry_uuid in folders:
            folders[entry_uuid] = replace(folders[entry_uuid], last_update_time=at)

    async def find(self, criteria: DocumentCriteria) -> AsyncIterator[DocumentEntry]:
        """Entries that fit, in the order of registration."""
        for entry in list(self._reader.state.entries.values()):
            if self._fits(entry, criteria):
                yield entry

    async def count(self, criteria: DocumentCriteria) -> int:
        """How many would be found."""
        return sum(self._fits(entry, criteria) for entry in self._reader.state.entries.values())

    def _fits(self, entry: DocumentEntry, criteria: DocumentCriteria) -> bool:
        newest = entry.entry_uuid not in self._reader.state.superseded
        return entry_fits(entry, criteria) and (newest or not criteria.latest)

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        """Every entry with this document uniqueId."""
        return [entry for entry in self._reader.state.entries.values() if entry.unique_id == unique_id]

    async def associations(self, entry_uuids: Sequence[str]) -> Sequence[Association]:
        """Every association that starts or ends at one of these."""
        ends = set(entry_uuids)
        return [
            each for each in self._reader.state.associations.values() if not ends.isdisjoint((each.source, each.target))
        ]

    async def objects(self, entry_uuids: Sequence[str]) -> Sequence[RegistryObject]:
        """The objects with these entryUUIDs."""
        state = self._reader.state
        everything: dict[str, RegistryObject] = {**state.entries, **state.sets, **state.folders, **state.associations}
        return [everything[each] for each in dict.fromkeys(entry_uuids) if each in everything]

    async def superseded(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those that have a newer version."""
        return frozenset(entry_uuids).intersection(self._reader.state.superseded)

    async def submission_sets(self, entry_uuids: Sequence[str]) -> Sequence[SubmissionSet]:
        """The sets with these entryUUIDs, in their order."""
        sets = self._reader.state.sets
        return [sets[each] for each in dict.fromkeys(entry_uuids) if each in sets]

    async def folders(self, entry_uuids: Sequence[str]) -> Sequence[Folder]:
        """The folders with these entryUUIDs, in their order."""
        folders = self._reader.state.folders
        return [folders[each] for each in dict.fromkeys(entry_uuids) if each in folders]

    async def find_submission_sets(self, criteria: SubmissionSetCriteria) -> Sequence[SubmissionSet]:
        """The sets that fit."""
        fitting = [each for each in self._reader.state.sets.values() if set_fits(each, criteria)]
        return sorted(fitting, key=lambda each: (each.submission_time.at, each.entry_uuid))

    async def find_folders(self, criteria: FolderCriteria) -> Sequence[Folder]:
        """The folders that fit."""
        state = self._reader.state
        fitting = [
            each for each in state.folders.values()
            if folder_fits(each, criteria) and not (criteria.latest and each.entry_uuid in state.superseded)
        ]  # fmt: skip
        return sorted(fitting, key=lambda each: each.entry_uuid)

    async def held(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those that nobody may see yet."""
        state = self._reader.state

        def pending(entry_uuid: str) -> bool:
            known = state.entries.get(entry_uuid) or state.sets.get(entry_uuid) or state.folders.get(entry_uuid)
            return known is not None and known.availability_status is AvailabilityStatus.PENDING

        def hidden(entry_uuid: str) -> bool:
            arrow = state.associations.get(entry_uuid)
            return pending(entry_uuid) if arrow is None else pending(arrow.source) or pending(arrow.target)

        return frozenset(each for each in entry_uuids if hidden(each))

    async def set_status(self, entry_uuid: str, status: AvailabilityStatus, at: datetime) -> None:
        """Approve, deprecate or hold an object; an approval carries out the replacements that waited for it."""
        state = self._reader.change()
        self._known(entry_uuid)
        entry = state.entries.get(entry_uuid)
        if entry is not None:
            state.entries[entry_uuid] = replace(entry, availability_status=status)
        elif entry_uuid in state.sets:
            state.sets[entry_uuid] = replace(state.sets[entry_uuid], availability_status=status)
        elif entry_uuid in state.folders:
            state.folders[entry_uuid] = replace(state.folders[entry_uuid], availability_status=status)
        else:
            changed = replace(state.associations[entry_uuid], availability_status=status)
            state.associations[entry_uuid] = changed
            if changed.type is AssociationType.HAS_MEMBER:
                self._touch(changed.source, last_update(at))
        if entry is None or not _held(entry) or status is not AvailabilityStatus.APPROVED:
            return
        replaced = [
            each.target for each in state.associations.values() if each.source == entry_uuid and each.type in REPLACES
        ]
        for container in list(state.folders):
            if self._is_member(container, entry_uuid):
                self._touch(container, last_update(at))
        for target in replaced:
            self._replace(entry_uuid, target, last_update(at))

    async def associate(self, associations: Sequence[Association], at: datetime) -> None:
        """Add associations as they are."""
        state = self._reader.change()
        for each in associations:
            if each.entry_uuid in state.objects:
                raise Duplicate("an entryUUID is in use", code="XDSRegistryMetadataError", location=each.entry_uuid)
            state.objects[each.entry_uuid] = "association"
            state.associations[each.entry_uuid] = each
            if each.type is AssociationType.HAS_MEMBER:
                self._touch(each.source, last_update(at))

    async def remove(self, entry_uuids: Sequence[str], at: datetime) -> None:
        """Let go of these objects."""
        state = self._reader.change()
        families: set[str] = set()
        for entry_uuid in entry_uuids:
            arrow = state.associations.pop(entry_uuid, None)
            if arrow is not None and arrow.type is AssociationType.HAS_MEMBER:
                self._touch(arrow.source, last_update(at))
            gone = state.entries.pop(entry_uuid, None) or state.folders.pop(entry_uuid, None)
            if gone is not None:
                families.add(logical_id_of(gone))
            state.sets.pop(entry_uuid, None)
            state.objects.pop(entry_uuid, None)
            state.superseded.pop(entry_uuid, None)
        for family in families:
            versioned: tuple[DocumentEntry | Folder, ...] = (*state.entries.values(), *state.folders.values())
            versions = [each for each in versioned if logical_id_of(each) == family]
            if versions:
                state.superseded.pop(max(versions, key=lambda each: each.version).entry_uuid, None)
        used = {
            *(("entry", each.unique_id) for each in state.entries.values()),
            *(("set", each.unique_id) for each in state.sets.values()),
            *(("folder", each.unique_id) for each in state.folders.values()),
        }
        for key in [key for key in state.unique_ids if key not in used]:
            del state.unique_ids[key]

    async def reassign(self, entry_uuid: str, patient_id: PatientIdentifier) -> None:
        """Give an entry, and the submission set that brought it, to another patient."""
        state = self._reader.change()
        self._known(entry_uuid)
        if entry_uuid in state.associations:
            raise RuleViolation("an association is of no patient", location=entry_uuid)
        if entry_uuid in state.entries:
            state.entries[entry_uuid] = replace(state.entries[entry_uuid], patient_id=patient_id)
        elif entry_uuid in state.folders:
            state.folders[entry_uuid] = replace(state.folders[entry_uuid], patient_id=patient_id)
        else:
            state.sets[entry_uuid] = replace(state.sets[entry_uuid], patient_id=patient_id)
        for each in self._sets_of(entry_uuid):
            state.sets[each.entry_uuid] = replace(each, patient_id=patient_id)

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> int:
        """Move everything of one patient to another."""
        state = self._reader.change()
        count = 0
        for uuid_, entry in state.entries.items():
            if entry.patient_id == subsumed:
                state.entries[uuid_] = replace(entry, patient_id=surviving)
                count += 1
        for uuid_, submission_set in state.sets.items():
            if submission_set.patient_id == subsumed:
                state.sets[uuid_] = replace(submission_set, patient_id=surviving)
        for uuid_, folder in state.folders.items():
            if folder.patient_id == subsumed:
                state.folders[uuid_] = replace(folder, patient_id=surviving)
        return count

    def _sets_of(self, entry_uuid: str) -> Sequence[SubmissionSet]:
        state = self._reader.state
        return [
            state.sets[each.source]
            for each in state.associations.values()
            if each.target == entry_uuid and each.type is AssociationType.HAS_MEMBER and each.source in state.sets
        ]

    def _known(self, entry_uuid: str) -> None:
        if entry_uuid not in self._reader.state.objects:
            raise UnknownDocument("the registry has no such object", location=entry_uuid)


def _held(entry: DocumentEntry) -> bool:
    return entry.availability_status is AvailabilityStatus.PENDING


def entry_fits(entry: DocumentEntry, asked: DocumentCriteria) -> bool:
    """Whether an entry is meant: the criteria, read aloud.

    Source: ITI TF-2 3.18.4.1.2.3.7.
    """
    statuses = asked.statuses or (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)
    return (
        entry.availability_status in statuses
        and one_of(entry.patient_id, asked.patient_ids)
        and one_of(entry.entry_type, asked.entry_types)
        and one_of(entry.entry_uuid, asked.entry_uuids)
        and one_of(entry.unique_id, asked.unique_ids)
        and one_of(logical_id_of(entry), asked.logical_ids)
        and coded((entry.class_code,), asked.class_codes)
        and coded((entry.type_code,), asked.type_codes)
        and coded((entry.format_code,), asked.format_codes)
        and coded((entry.practice_setting_code,), asked.practice_setting_codes)
        and coded((entry.healthcare_facility_type_code,), asked.healthcare_facility_type_codes)
        and all(coded(entry.event_codes, group) for group in asked.event_codes)
        and all(coded(entry.confidentiality_codes, group) for group in asked.confidentiality_codes)
        and like([author.person for author in entry.authors if author.person], asked.author_persons)
        and all(like([reference_text(each) for each in entry.reference_ids], group) for group in asked.reference_ids)
        and (entry.entry_type is EntryType.ON_DEMAND or within(entry.creation_time, asked.creation_time))
        and within(entry.service_start_time, asked.service_start_time)
        and within(entry.service_stop_time, asked.service_stop_time)
    )
