"""Every row port in memory: for tests, first steps and the self-test. Nothing here outlives the process.

It answers by looking at everything, in the plainest code that is right, so that the databases can be judged by it. A unit
works on a copy of the state and puts it in place when it succeeds; a view keeps the state that it began with.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.adapters.identity_rules import (
    beginning,
    beginnings,
    buried,
    check_limit,
    check_merge,
    fits,
    leading,
    matching,
    merged,
    not_valid,
    repointed,
    searched_ideographic,
    searched_name,
    the_same,
    updated,
)
from gateway.adapters.ledger_rules import WENT_DOWN, WENT_DOWN_CURE, Turns, check_ended, claimable_at, claimed, moved
from gateway.adapters.patterns import Pattern, folded, folded_name, name_groups
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
from gateway.adapters.sequence import Sequence as Numbers
from gateway.adapters.stored import STATUSES, interval, micros
from gateway.adapters.studies_rules import (
    check_patient,
    compares,
    merged_series,
    merged_study,
    place_after,
    shown_order,
    started_order,
)
from gateway.model.job import Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.model.study import StudyPage, StudyRecord, StudyStatus, Withdrawn
from gateway.ports.answers import Given, MessageName
from gateway.ports.audit import AuditSink
from gateway.ports.correlations import Correlation
from gateway.ports.objects import StagedObject
from gateway.ports.publications import Publication
from gateway.ports.registry import RegistryObject
from gateway.ports.store import Work
from gateway.ports.studies import ArrivedInstance, Origin
from profiles.errors import Duplicate, IdentityConflict, RuleViolation, UnknownDocument
from profiles.model.audit import AuditRecord
from profiles.model.content import Content
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
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import IdentityLink, Patient
from profiles.model.query import DocumentCriteria, FolderCriteria, PatientCriteria, StudyCriteria, SubmissionSetCriteria


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """A message as it came."""

    exchange_id: str
    at: datetime
    failed: bool
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hidden:
    """An instance that is kept and hidden; `chain` "": none."""

    instance: Instance
    metadata: bytes
    chain: str
    manifest: str
    at: datetime


@dataclass(slots=True)
class MemoryState:
    """Everything. Values are frozen, so that a copy of the dictionaries is a copy."""

    objects: dict[str, str] = field(default_factory=dict)
    unique_ids: dict[tuple[str, str], tuple[str, int | None]] = field(default_factory=dict)
    entries: dict[str, DocumentEntry] = field(default_factory=dict)  # in the order of registration
    sets: dict[str, SubmissionSet] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    associations: dict[str, Association] = field(default_factory=dict)
    superseded: dict[str, bool] = field(default_factory=dict)  # versions that have a newer one
    studies: dict[str, StudyRecord] = field(default_factory=dict)
    metadata: dict[tuple[str, str, str], bytes] = field(default_factory=dict)  # by study, series and instance UID
    chains: dict[tuple[str, str, str], str] = field(default_factory=dict)  # of those that have one
    expected: dict[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)  # SOP to series and chain
    withdrawn: dict[tuple[str, str, str], "_Hidden"] = field(default_factory=dict)
    withdrawn_series: dict[tuple[str, str], Series] = field(default_factory=dict)
    study_chains: dict[str, frozenset[str]] = field(default_factory=dict)
    patients: dict[str, Patient] = field(default_factory=dict)
    identifiers: dict[PatientIdentifier, tuple[str, PatientIdentifier | None]] = field(default_factory=dict)
    links: dict[tuple[PatientIdentifier, PatientIdentifier], IdentityLink] = field(default_factory=dict)
    exchanges: dict[str, ExchangeJob] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    documents: dict[str, Content] = field(default_factory=dict)
    raw: dict[str, RawMessage] = field(default_factory=dict)
    answers: dict[MessageName, Given] = field(default_factory=dict)
    publications: dict[tuple[str, str], Publication] = field(default_factory=dict)  # by study and registry
    correlations: dict[tuple[PatientIdentifier, Oid], Correlation] = field(default_factory=dict)  # by patient and home
    audit: dict[str, tuple[str, tuple[AuditRecord, ...]]] = field(default_factory=dict)  # by number or intent

    def copy(self) -> "MemoryState":
        """The same, to be changed alone."""
        return MemoryState(**{each.name: dict(getattr(self, each.name)) for each in fields(self)})


class _Reader:
    """A state, and the right to change it or not."""

    __slots__ = ("state", "writing")

    def __init__(self, state: MemoryState, *, writing: bool) -> None:
        self.state = state
        self.writing = writing

    def change(self) -> MemoryState:
        """The state, to be written."""
        if not self.writing:
            raise RuntimeError("a view is for reading")
        return self.state


class MemoryRegistry:
    """`Registry` over a state."""

    def __init__(self, reader: _Reader) -> None:
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


class MemoryStudies:
    """`Studies` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def expect(self, study: Study, source: str, at: datetime, chains: Sequence[str] = ()) -> int:
        """A manifest named these instances; they are on their way."""
        state, uid = self._reader.change(), study.study_instance_uid
        there = state.studies.get(uid)
        if there is not None:
            check_patient(there.study, study.patient)
        here = self._here(uid)
        awaited = dict(state.expected.get(uid, {}))
        shown: dict[_Place, bytes] = {}
        series: list[Series] = []
        first = chains[0] if chains else ""
        for each in study.series:
            self._unveil(uid, each)
            again: list[Instance] = []
            for instance in each.instances:
                sop = str(instance.sop_instance_uid)
                if sop in here:
                    continue
                gone = [place for place in state.withdrawn if (place[0], place[2]) == (uid, sop)]
                for place in gone:
                    self._unveil(uid, state.withdrawn_series.get(place[:2], each))
                    hidden = state.withdrawn.pop(place)
                    shown[place] = hidden.metadata
                    state.chains[place] = hidden.chain if hidden.chain in chains else first
                    again.append(hidden.instance)
                if not gone:
                    series_uid, chain = awaited.get(sop, (each.series_instance_uid, first))
                    awaited[sop] = (series_uid, chain if chain in chains else "")
            series.append(replace(each, instances=tuple(again)))
        for place in state.chains.keys() & state.metadata.keys():
            if place[0] == uid and any(place[2] == one.sop_instance_uid for _, one in study.instances()):
                state.chains[place] = state.chains[place] if state.chains[place] in chains else ""
        if there is not None and there.status is StudyStatus.CANCELLED and study.instance_count:
            state.studies[uid] = replace(there, status=StudyStatus.REGISTERED)
        changed = there is not None and state.studies[uid] != there
        self._learn(
            replace(study, series=tuple(series)), study.patient, source, at, StudyStatus.REGISTERED, shown,
            changed=changed,
        )  # fmt: skip
        state.expected[uid] = awaited
        state.study_chains[uid] = state.study_chains.get(uid, frozenset()) | frozenset(chains)
        return len(shown)

    async def withdraw(
        self, chains: Sequence[str], named: Sequence[Study], manifest: str, at: datetime
    ) -> Mapping[str, int]:
        """Hide what these chains alone brought and `named` does not name."""
        state = self._reader.change()
        kept = {(each.study_instance_uid, one.sop_instance_uid) for each in named for _, one in each.instances()}
        hidden: dict[str, int] = {}
        for uid, known in sorted(state.study_chains.items()):
            there = state.studies.get(uid)
            if there is None or known.isdisjoint(chains):
                continue
            instances = {
                (uid, series.series_instance_uid, one.sop_instance_uid): one for series, one in there.study.instances()
            }
            going = [place for place in instances if state.chains.get(place) in chains and (uid, place[2]) not in kept]
            awaited = state.expected.get(uid, {})
            dropped = {sop: told for sop, told in awaited.items() if told[1] in chains and (uid, sop) not in kept}
            if not going and not dropped:
                continue
            for place in going:
                state.withdrawn[place] = _Hidden(
                    instance=instances.pop(place), metadata=state.metadata.pop(place), chain=state.chains.pop(place),
                    manifest=manifest, at=at,
                )  # fmt: skip
            state.expected[uid] = still = {sop: told for sop, told in awaited.items() if sop not in dropped}
            touched = {place[1] for place in going} | {series for series, _ in dropped.values()}
            empty = touched - {place[1] for place in instances} - {series for series, _ in still.values()}
            series = []
            for each in there.study.series:
                left = tuple(
                    one for one in each.instances if (uid, each.series_instance_uid, one.sop_instance_uid) in instances
                )
                if each.series_instance_uid in empty:
                    state.withdrawn_series[uid, each.series_instance_uid] = replace(each, instances=())
                else:
                    series.append(replace(each, instances=left))
            status = there.status
            if status is not StudyStatus.UNKNOWN and not instances:
                status = StudyStatus.REGISTERED if still else StudyStatus.CANCELLED
            state.studies[uid] = replace(
                there, study=replace(there.study, series=tuple(series)), status=status, updated_at=at,
                version=there.version + 1,
            )  # fmt: skip
            hidden[uid] = len(going)
        return hidden

    async def lose(self, study_instance_uid: str, sop_instance_uids: Collection[str], at: datetime) -> int:
        """These are in the archive no more."""
        state, uid, lost = self._reader.change(), study_instance_uid, frozenset(map(str, sop_instance_uids))
        there = state.studies.get(uid)
        if there is None:
            return 0
        for place in [each for each in state.withdrawn if each[0] == uid and each[2] in lost]:
            del state.withdrawn[place]
        going = {
            (uid, series.series_instance_uid, one.sop_instance_uid)
            for series, one in there.study.instances()
            if one.sop_instance_uid in lost
        }
        if not going:
            return 0
        for place in going:
            del state.metadata[place]
            state.chains.pop(place, None)
        awaited = {series for series, _ in state.expected.get(uid, {}).values()}
        series, left = [], 0
        for each in there.study.series:
            own = each.series_instance_uid
            stay = tuple(one for one in each.instances if (uid, own, one.sop_instance_uid) not in going)
            left += len(stay)
            if not stay and own not in awaited and any(place[1] == own for place in going):
                state.withdrawn_series[uid, own] = replace(each, instances=())
            else:
                series.append(replace(each, instances=stay))
        status = there.status
        if status is not StudyStatus.UNKNOWN and not left:
            status = StudyStatus.REGISTERED if awaited else StudyStatus.CANCELLED
        state.studies[uid] = replace(
            there, study=replace(there.study, series=tuple(series)), status=status, updated_at=at,
            version=there.version + 1,
        )  # fmt: skip
        return len(going)

    async def withdrawn(self, study_instance_uid: str) -> Sequence[Withdrawn]:
        """What of a study is kept and hidden."""
        return [
            Withdrawn(series_instance_uid=series, sop_instance_uid=sop, manifest=each.manifest, at=each.at)
            for (uid, series, sop), each in sorted(self._reader.state.withdrawn.items())
            if uid == study_instance_uid
        ]

    async def add(
        self,
        arrived: Sequence[ArrivedInstance],
        patient: Patient,
        source: str,
        at: datetime,
        origin: Origin = Origin.PUSHED,
    ) -> None:
        """Instances are here."""
        state = self._reader.change()
        by_study: dict[str, list[ArrivedInstance]] = {}
        for each in arrived:
            by_study.setdefault(each.study.study_instance_uid, []).append(each)
        for uid, of_study in by_study.items():
            there = state.studies.get(uid)
            if there is not None:
                check_patient(there.study, patient)
            study = replace(of_study[0].study, series=())
            seen: dict[_Place, bytes] = {}
            came = False
            for each in of_study:
                for series, instance in each.study.instances():
                    place = (uid, series.series_instance_uid, instance.sop_instance_uid)
                    fresh = place not in state.metadata and place not in seen
                    if fresh and self._stays_hidden(place, origin):
                        self._hide(place, series, instance, each.metadata, at)
                        bare = replace(series, instances=())
                        hidden_series = place[:2] in state.withdrawn_series
                        study = _both(study, replace(each.study, series=() if hidden_series else (bare,)))
                        continue
                    if fresh:
                        self._unveil(uid, series)
                        came = True
                        state.chains[place] = self._awaited_by(place)
                        state.withdrawn.pop(place, None)
                    if origin is Origin.PUSHED:
                        state.chains.pop(place, None)
                    seen[place] = each.metadata
                    study = _both(study, replace(each.study, series=(replace(series, instances=(instance,)),)))
            there = state.studies.get(uid)
            if there is not None and came and there.status is StudyStatus.CANCELLED:
                state.studies[uid] = replace(there, status=StudyStatus.AVAILABLE)
            self._learn(study, patient, source, at, StudyStatus.AVAILABLE, seen)
            gone = {sop for _, _, sop in seen}
            state.expected[uid] = {sop: told for sop, told in state.expected.get(uid, {}).items() if sop not in gone}

    def _stays_hidden(self, place: "_Place", origin: Origin) -> bool:
        state = self._reader.state
        awaited = place[2] in state.expected.get(place[0], {})
        return origin is not Origin.PUSHED and (place in state.withdrawn or (origin is Origin.FETCHED and not awaited))

    def _awaited_by(self, place: "_Place") -> str:
        hidden = self._reader.state.withdrawn.get(place)
        awaited = self._reader.state.expected.get(place[0], {}).get(place[2], ("", ""))
        return hidden.chain if hidden is not None else awaited[1]

    def _hide(self, place: "_Place", series: Series, instance: Instance, metadata: bytes, at: datetime) -> None:
        """Keep it hidden, its series too if that is not to be seen."""
        state = self._reader.change()
        before = state.withdrawn.get(place) or _Hidden(
            instance=instance, metadata=metadata, chain="", manifest="", at=at
        )
        state.withdrawn[place] = replace(before, instance=instance, metadata=metadata)
        there = state.studies.get(place[0])
        if there is None or all(each.series_instance_uid != place[1] for each in there.study.series):
            bare = replace(series, instances=())
            kept = state.withdrawn_series.get(place[:2])
            state.withdrawn_series[place[:2]] = bare if kept is None else merged_series(kept, bare)

    def _unveil(self, uid: str, series: Series) -> None:
        """A series that was withdrawn is there again, with what was known of it."""
        state = self._reader.change()
        kept = state.withdrawn_series.pop((uid, series.series_instance_uid), None)
        if kept is not None:
            there = state.studies[uid]
            state.studies[uid] = replace(there, study=replace(there.study, series=(*there.study.series, kept)))

    def _learn(
        self,
        learned: Study,
        patient: Patient,
        source: str,
        at: datetime,
        status: StudyStatus,
        metadata: Mapping["_Place", bytes],
        *,
        changed: bool = False,
    ) -> None:
        state = self._reader.change()
        uid = learned.study_instance_uid
        there = state.studies.get(uid)
        if there is None:
            nothing = replace(learned, patient=patient, series=())
            there = StudyRecord(study=nothing, status=status, updated_at=at, version=0, source=source)
        check_patient(there.study, patient)
        study = _both(there.study, learned)
        changed = changed or any(state.metadata.get(place) != body for place, body in metadata.items())
        state.metadata.update(metadata)
        if study != there.study or changed or there.version == 0:
            there = replace(there, study=study, updated_at=at, version=there.version + 1)
        state.studies[uid] = there

    async def set_status(self, study_instance_uid: str, status: StudyStatus, at: datetime) -> None:
        """Tell what can be had of it now."""
        state = self._reader.change()
        there = state.studies.get(study_instance_uid)
        if there is None:
            raise UnknownDocument("no such study", location=study_instance_uid)
        if there.status is not status:
            changed = replace(there, status=status, updated_at=at, version=there.version + 1)
            state.studies[study_instance_uid] = changed

    async def get(self, study_instance_uid: str, *, everything: bool = False) -> StudyRecord | None:
        """The study with all series and those instances that are here."""
        state = self._reader.state
        record = state.studies.get(study_instance_uid)
        if record is None or not everything:
            return None if record is None else _shown(record)
        study = record.study
        for (uid, _), series in state.withdrawn_series.items():
            if uid == study_instance_uid:
                study = _both(study, replace(study, series=(series,)))
        for (uid, series_uid, _), hidden in state.withdrawn.items():
            if uid == study_instance_uid:
                series = next(each for each in study.series if each.series_instance_uid == series_uid)
                study = _both(study, replace(study, series=(replace(series, instances=(hidden.instance,)),)))
        return _shown(replace(record, study=study))

    async def expected(self, study_instance_uid: str) -> frozenset[str]:
        """SOP Instance UIDs that a manifest named and that have not arrived."""
        return frozenset(self._reader.state.expected.get(study_instance_uid, {}))

    async def search(self, criteria: StudyCriteria, count: bool = True) -> StudyPage:
        """A page of studies with their series, without instances."""
        fitting = [each for each in self._reader.state.studies.values() if study_fits(each, criteria)]
        total = len(fitting) if count else None
        if criteria.limit <= 0:
            return StudyPage(total=total, more=bool(total))
        fitting.sort(key=lambda each: _place(each, criteria.order))
        if criteria.after is not None:
            after = place_after(criteria.after)
            fitting = [each for each in fitting if _place(each, criteria.order) > after]
        fitting = fitting[criteria.offset :]
        page = []
        for each in fitting[: criteria.limit]:
            shown = _shown(each)
            bare = tuple(replace(series, instances=()) for series in shown.study.series)
            page.append(replace(shown, study=replace(shown.study, series=bare)))
        return StudyPage(records=tuple(page), total=total, more=len(fitting) > criteria.limit)

    async def locate(self, sop_instance_uid: str) -> tuple[str, str] | None:
        """Study and Series Instance UID of an instance that is here."""
        found = sorted(place for place in self._reader.state.metadata if place[2] == sop_instance_uid)
        return (found[0][0], found[0][1]) if found else None

    async def metadata(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        everything: bool = False,
    ) -> AsyncIterator[bytes]:
        """Stored DICOM JSON objects, in series and instance number order."""
        state = self._reader.state
        record = await self.get(study_instance_uid, everything=everything)
        if record is None:
            return
        for series, instance in record.study.instances():
            if series_instance_uid in {None, series.series_instance_uid} and sop_instance_uid in {
                None,
                instance.sop_instance_uid,
            }:
                place = (study_instance_uid, series.series_instance_uid, instance.sop_instance_uid)
                yield state.metadata[place] if place in state.metadata else state.withdrawn[place].metadata

    async def merge(self, subsumed: PatientIdentifier, surviving: Patient, at: datetime) -> Sequence[str]:
        """Studies of one patient now belong to another."""
        return self._give({subsumed}, surviving, at)

    async def refresh(self, patient: Patient, at: datetime) -> Sequence[str]:
        """Every study of theirs shows the new demographics; answers those that showed others."""
        return self._give(set(patient.identifiers), patient, at)

    def _give(self, identifiers: set[PatientIdentifier], patient: Patient, at: datetime) -> Sequence[str]:
        state = self._reader.change()
        given = []
        for uid, there in sorted(state.studies.items()):
            if identifiers.isdisjoint(there.study.patient.identifiers) or there.study.patient == patient:
                continue
            study = replace(there.study, patient=patient)
            state.studies[uid] = replace(there, study=study, updated_at=at, version=there.version + 1)
            given.append(uid)
        return given

    async def forget_patient(self, study_instance_uid: str) -> None:
        """Undo `expect` of a study of which nothing has come."""
        state = self._reader.change()
        state.expected.pop(study_instance_uid, None)
        hidden = any(uid == study_instance_uid for uid, _, _ in state.withdrawn)
        if not self._here(study_instance_uid) and not hidden:
            state.studies.pop(study_instance_uid, None)
            state.study_chains.pop(study_instance_uid, None)

    def _here(self, study_instance_uid: str) -> set[str]:
        return {sop for study, _, sop in self._reader.state.metadata if study == study_instance_uid}


_Place = tuple[str, str, str]
"""Study, Series and SOP Instance UID."""


def _both(there: Study, learned: Study) -> Study:
    """A study with what was learned, series and instances too."""
    series = {each.series_instance_uid: each for each in there.series}
    for each in learned.series:
        before = series.get(each.series_instance_uid)
        if before is None:
            series[each.series_instance_uid] = each
            continue
        instances = {instance.sop_instance_uid: instance for instance in (*before.instances, *each.instances)}
        series[each.series_instance_uid] = replace(merged_series(before, each), instances=tuple(instances.values()))
    return replace(merged_study(there, learned), series=tuple(series.values()))


def _shown(record: StudyRecord) -> StudyRecord:
    def order(instance: Instance) -> tuple[bool, int, str]:
        return (instance.number is None, instance.number or 0, instance.sop_instance_uid)

    series = tuple(
        replace(each, instances=tuple(sorted(each.instances, key=order)))
        for each in sorted(record.study.series, key=shown_order)
    )
    counts = {str(each.series_instance_uid): len(each.instances) for each in series}
    return replace(record, study=replace(record.study, series=series), instance_counts=counts)


def _place(record: StudyRecord, order: str) -> tuple[int, str]:
    value = -micros(record.updated_at) if order == "updated" else started_order(record.study.started)
    return value, record.study.study_instance_uid


def study_fits(record: StudyRecord, asked: StudyCriteria) -> bool:
    """Whether a study is meant: the criteria, read aloud."""
    study = record.study
    updated_at = micros(record.updated_at)
    return (
        one_of(study.study_instance_uid, asked.study_instance_uids)
        and _any_of((each.series_instance_uid for each in study.series), asked.series_instance_uids)
        and _any_of((instance.sop_instance_uid for _, instance in study.instances()), asked.sop_instance_uids)
        and _identified(((each.value, each.authority) for each in study.patient.identifiers), asked.patient_ids)
        and _identified(((each.value, each.authority) for each in study.accession_numbers), asked.accession_numbers)
        and _matches(name_groups(study.patient.name), folded(asked.patient_name).rstrip("^"), asked.patient_name)
        and _matches((study.study_id,), asked.study_id, asked.study_id)
        and _any_of((each.shown_modality for each in study.series), asked.modalities)
        and _matches(
            (folded_name(study.referring_physician),),
            folded(asked.referring_physician).rstrip("^"),
            asked.referring_physician,
        )
        and _matches((folded(study.description),), folded(asked.description), asked.description)
        and all(
            study.started is not None and compares(comparison, interval(moment), interval(study.started))
            for comparison, moment in asked.started
        )
        and all(
            compares(comparison, interval(moment), (updated_at, updated_at + 1)) for comparison, moment in asked.updated
        )
        and one_of(record.status.value, asked.statuses)
    )


def _any_of(values: Iterable[str], alternatives: Sequence[str]) -> bool:
    return not alternatives or any(value in alternatives for value in values)


def _identified(values: Iterable[tuple[str, str | None]], asked: Sequence[tuple[str, str | None]]) -> bool:
    if not asked:
        return True
    there = [(value, authority or "") for value, authority in values]
    return any(
        value == wanted and (by is None or authority == by) for value, authority in there for wanted, by in asked
    )


def _matches(texts: Iterable[str], pattern: str, asked: str) -> bool:
    return not asked or any(Pattern.from_dicom(pattern).fits(text) for text in texts)


class MemoryIdentity:
    """`Identity` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def put(self, patient: Patient, at: datetime) -> Patient:
        """Create or update by any identifier that we know."""
        state = self._reader.change()
        known = [state.identifiers[each] for each in patient.identifiers if each in state.identifiers]
        if any(subsumed_by is not None for _, subsumed_by in known):
            raise IdentityConflict("an id of the patient was merged into another and is not valid any more")
        keys = {key for key, _ in known}
        if len(keys) > 1:
            raise IdentityConflict("the ids belong to different patients here")
        key = keys.pop() if keys else str(patient.identifiers[0])
        if key in state.patients:
            patient = updated(state.patients[key], patient)
        self._write(key, patient)
        return patient

    def _write(self, key: str, patient: Patient) -> None:
        state = self._reader.change()
        state.patients[key] = patient
        for each in patient.identifiers:
            state.identifiers[each] = (key, None)

    async def get(self, identifier: PatientIdentifier) -> Patient | None:
        """The patient who is known by this id, through links too."""
        state = self._reader.state
        if identifier in state.identifiers:
            return self._valid(identifier)
        for link in await self.links(identifier):
            if link.foreign == identifier and (patient := self._valid(link.local)) is not None:
                return patient
        return None

    def _valid(self, identifier: PatientIdentifier) -> Patient | None:
        key, subsumed_by = self._reader.state.identifiers.get(identifier, ("", identifier))
        return None if subsumed_by is not None else self._reader.state.patients[key]

    async def subsumed(self, identifier: PatientIdentifier) -> PatientIdentifier | None:
        """The surviving id, at the end of the chain."""
        survivor: PatientIdentifier | None = None
        _, following = self._reader.state.identifiers.get(identifier, ("", None))
        while following is not None:
            survivor = following
            _, following = self._reader.state.identifiers[following]
        return survivor

    async def match(self, patient: Patient) -> Sequence[Patient]:
        """Candidates whose name, birth date and sex agree."""
        wanted = matching(patient)
        return [each for each in self._active() if wanted and matching(each) == wanted]

    async def find(self, criteria: PatientCriteria, limit: int) -> Sequence[Patient]:
        """The patients who fit all conditions, in the order of their keys."""
        if criteria.identifiers:
            one = the_same([await self.get(each) for each in criteria.identifiers])
            return [] if one is None or not fits(one, criteria) else [one]
        patterns = leading(criteria)
        found = [
            each
            for each in self._active()
            if any(
                pattern.fits(name_of(each)) for pattern in patterns for name_of in (searched_name, searched_ideographic)
            )
        ]
        check_limit(len(found), limit)
        return [each for each in found if fits(each, criteria)]

    async def search(self, text: str, limit: int = 50) -> Sequence[Patient]:
        """By id or by the beginning of a name, for people; without a text the first of all, by name."""
        if not text.strip():
            return sorted(self._active(), key=lambda each: (searched_name(each), str(each.identifiers[0])))[:limit]
        by_id = beginning(text)
        found: dict[int, Patient] = {}
        for each in sorted(self._active(), key=searched_name):
            if any(by_id.fits(identifier.value) for identifier in each.identifiers):
                found[id(each)] = each
        for pattern in beginnings(text):
            for name_of in (searched_name, searched_ideographic):
                some = [each for each in sorted(self._active(), key=searched_name) if pattern.fits(name_of(each))]
                found |= {id(each): each for each in some if id(each) not in found}
        return list(found.values())[:limit]

    def _active(self) -> Iterator[Patient]:
        return (patient for _, patient in sorted(self._reader.state.patients.items()) if patient.active)

    async def link(self, link: IdentityLink) -> None:
        """Hold a foreign id and a local one for the same person."""
        self._reader.change().links[link.local, link.foreign] = link

    async def links(self, identifier: PatientIdentifier) -> Sequence[IdentityLink]:
        """Links that name this id, on either side, newest decision first."""
        found = [each for each in self._reader.state.links.values() if identifier in {each.local, each.foreign}]
        return sorted(found, key=lambda link: (link.decided_at, link.local, link.foreign), reverse=True)

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: datetime) -> Patient:
        """A40: the subsumed id stops being valid."""
        state = self._reader.change()
        check_merge(subsumed, surviving)
        for which, identifier in (("subsumed", subsumed), ("surviving", surviving)):
            if self._valid(identifier) is None:
                raise not_valid(which)
        (gone_key, _), (stays_key, _) = state.identifiers[subsumed], state.identifiers[surviving]
        gone, stays = state.patients[gone_key], state.patients[stays_key]
        survivor = merged(subsumed, gone, surviving, stays)
        if gone_key != stays_key:
            state.patients[gone_key] = buried(subsumed, gone, surviving)
        self._write(stays_key, survivor)
        state.identifiers[subsumed] = (gone_key, surviving)
        for link in await self.links(subsumed):
            del state.links[link.local, link.foreign]
            if (changed := repointed(link, subsumed, surviving)) is not None:
                await self.link(changed)
        return survivor


class MemoryLedger:
    """`Ledger` over a state."""

    def __init__(self, reader: _Reader, numbers: Numbers, turns: Turns) -> None:
        self._reader = reader
        self._numbers = numbers
        self._turns = turns

    async def open(self, job: ExchangeJob) -> None:
        """A new exchange."""
        self._reader.change().exchanges[job.id] = job

    async def note(self, step: Step) -> int:
        """One line of its timeline."""
        number = self._numbers.next()
        self._reader.change().steps[number] = replace(step, id=number)
        return number

    async def close_step(self, step_id: int, step: Step) -> None:
        """Give an OPEN step its end."""
        state = self._reader.change()
        if step_id in state.steps:
            state.steps[step_id] = replace(step, id=step_id)

    async def get(self, exchange_id: str) -> ExchangeJob | None:
        """One exchange."""
        return self._reader.state.exchanges.get(exchange_id)

    async def advance(
        self,
        exchange_id: str,
        event: Event,
        at: datetime,
        *,
        reason: str = "",
        cure: str = "",
        due_at: datetime | None = None,
        payload: dict[str, object] | None = None,
        study_instance_uid: str | None = None,
        patient_id: str | None = None,
    ) -> ExchangeJob:
        """Move it by the table."""
        state = self._reader.change()
        if exchange_id not in state.exchanges:
            raise UnknownDocument("no such exchange", location=exchange_id)
        job = moved(
            state.exchanges[exchange_id],
            event,
            at,
            reason=reason,
            cure=cure,
            due_at=due_at,
            payload=payload,
            study_instance_uid=study_instance_uid,
            patient_id=patient_id,
        )
        state.exchanges[exchange_id] = job
        return job

    async def claim(self, now: datetime, owner: str, lease: timedelta, limit: int = 1) -> Sequence[ExchangeJob]:
        """Take what is due, peers in turn."""
        state = self._reader.change()
        taken: list[ExchangeJob] = []
        while len(taken) < limit:
            due = [job for job in state.exchanges.values() if (at := claimable_at(job)) is not None and at <= now]
            if not due:
                break
            peer = self._turns.in_order({job.peer for job in due})[0]
            first = min((job for job in due if job.peer == peer), key=_due)
            self._turns.took(peer)
            state.exchanges[first.id] = claimed(first, now, owner, lease)
            taken.append(state.exchanges[first.id])
        return taken

    async def extend(self, exchange_id: str, owner: str, until: datetime) -> bool:
        """Keep holding it."""
        state = self._reader.change()
        job = state.exchanges.get(exchange_id)
        if job is None or not owner or job.lease_owner != owner:
            return False
        state.exchanges[exchange_id] = replace(job, lease_until=until)
        return True

    async def next_due(self) -> datetime | None:
        """When the runner should look again."""
        return min(filter(None, map(claimable_at, self._reader.state.exchanges.values())), default=None)

    async def timeline(self, exchange_id: str) -> Sequence[Step]:
        """Its steps, oldest first."""
        found = [step for step in self._reader.state.steps.values() if step.exchange_id == exchange_id]
        return sorted(found, key=lambda step: (step.at, step.id))

    async def list(
        self,
        *,
        kinds: frozenset[Kind] | None = None,
        states: frozenset[State] | None = None,
        peer: str = "",
        study_instance_uid: str = "",
        before: str = "",
        limit: int = 50,
    ) -> Sequence[ExchangeJob]:
        """Exchanges, newest first."""
        found = [
            job
            for job in self._reader.state.exchanges.values()
            if (kinds is None or job.kind in kinds)
            and (states is None or job.state in states)
            and peer in {"", job.peer}
            and study_instance_uid in {"", job.study_instance_uid}
            and (not before or job.id < before)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    async def counts(self) -> dict[State, int]:
        """How many are in each state."""
        found: dict[State, int] = {}
        for job in self._reader.state.exchanges.values():
            found[job.state] = found.get(job.state, 0) + 1
        return found

    async def end_leases(self) -> int:
        """Whoever held a lease is gone."""
        state = self._reader.change()
        held = [
            job for job in state.exchanges.values() if job.lease_until is not None and claimable_at(job) is not None
        ]
        for job in held:
            state.exchanges[job.id] = replace(job, lease_owner="", lease_until=None)
        return len(held)

    async def close_open_steps(self, at: datetime) -> int:
        """Every OPEN step becomes a failure that says the house went down."""
        state = self._reader.change()
        open_steps = [step for step in state.steps.values() if step.outcome is StepOutcome.OPEN]
        for step in open_steps:
            state.steps[step.id] = replace(step, outcome=StepOutcome.FAILURE, why=WENT_DOWN, cure=WENT_DOWN_CURE)
        for job in state.exchanges.values():
            if job.kind is Kind.ASK and job.state is State.RECEIVED:
                state.exchanges[job.id] = replace(
                    job, state=State.FAILED, updated_at=at, reason=WENT_DOWN, cure=WENT_DOWN_CURE
                )
        return len(open_steps)

    async def prune(self, kinds: frozenset[Kind], states: frozenset[State], before: datetime, limit: int) -> int:
        """Let go of what ended before, with its steps."""
        check_ended(states)
        state = self._reader.change()
        ended = [
            job
            for job in state.exchanges.values()
            if job.kind in kinds and job.state in states and job.updated_at < before
        ]
        gone = {job.id for job in sorted(ended, key=lambda job: job.updated_at)[:limit]}
        for id_ in gone:
            del state.exchanges[id_]
        for step in list(state.steps.values()):
            if step.exchange_id in gone:
                del state.steps[step.id]
        return len(gone)


def _due(job: ExchangeJob) -> tuple[datetime, str]:
    at = claimable_at(job)
    assert at is not None
    return at, job.id


class MemoryDocuments:
    """`Documents` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def keep(self, document_unique_id: str, staged: StagedObject) -> None:
        """Name it."""
        state = self._reader.change()
        kept = state.documents.get(document_unique_id)
        if kept is None:
            state.documents[document_unique_id] = staged.content
            return
        if await _whole(kept) != await _whole(staged.content):
            raise RuleViolation(
                "other bytes are kept under the document's uniqueId",
                code="XDSNonIdenticalHash", location=document_unique_id,
            )  # fmt: skip

    async def remove(self, document_unique_id: str, at: datetime) -> None:
        """It is not kept any more; there are no files here to be left."""
        self._reader.change().documents.pop(document_unique_id, None)

    async def leave(self, paths: Sequence[str], at: datetime) -> None:
        """There are no files here."""

    async def left(self, before: datetime, limit: int) -> Sequence[str]:
        """None."""
        return ()

    async def forget(self, paths: Sequence[str]) -> None:
        """Nothing to forget."""

    async def open(self, document_unique_id: str) -> Content | None:
        """The document as it was received."""
        return self._reader.state.documents.get(document_unique_id)


class MemoryRawMessages:
    """`RawMessages` over a state; nothing is at rest here, so nothing is encrypted."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def keep(self, exchange_id: str, at: datetime, body: bytes, *, failed: bool) -> None:
        """Keep it."""
        kept = RawMessage(exchange_id=exchange_id, at=at, failed=failed, body=body)
        self._reader.change().raw[exchange_id] = kept

    async def open(self, exchange_id: str) -> bytes | None:
        """The message."""
        kept = self._reader.state.raw.get(exchange_id)
        return None if kept is None else kept.body

    async def horizon(self, before: datetime, max_bytes: int, *, failed: bool) -> datetime:
        """Up to when all of a class has to go."""
        together = 0
        for each in reversed(self._of_class(failed)):
            together += len(each.body)
            if each.at >= before and together > max_bytes:
                return each.at + timedelta(microseconds=1)
        return before

    async def prune(self, before: datetime, limit: int, *, failed: bool) -> int:
        """Let go of the oldest."""
        state = self._reader.change()
        gone = [each for each in self._of_class(failed) if each.at < before][:limit]
        for each in gone:
            del state.raw[each.exchange_id]
        return len(gone)

    def _of_class(self, failed: bool) -> list[RawMessage]:
        return sorted((each for each in self._reader.state.raw.values() if each.failed is failed), key=lambda x: x.at)


class MemoryAnswers:
    """`Answers` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def keep(self, given: Given, *, replace: bool = False) -> bool:
        """Keep it."""
        state = self._reader.change()
        if given.name in state.answers and not replace:
            return False
        state.answers[given.name] = given
        return True

    async def get(self, name: MessageName) -> Given | None:
        """What was answered."""
        return self._reader.state.answers.get(name)

    async def prune(self, before: datetime, limit: int) -> int:
        """Let go of the oldest."""
        state = self._reader.change()
        old = sorted((each for each in state.answers.values() if each.at < before), key=lambda each: each.at)[:limit]
        for each in old:
            del state.answers[each.name]
        return len(old)


class MemoryCorrelations:
    """`Correlations` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def keep(self, correlation: Correlation) -> None:
        """Put it in the place of what was known."""
        self._reader.change().correlations[correlation.patient, correlation.home] = correlation

    async def get(self, patient: PatientIdentifier, home: Oid, now: datetime) -> PatientIdentifier | None:
        """By which id this community knows the patient."""
        found = self._reader.state.correlations.get((patient, home))
        return found.identifier if found is not None and found.until > now else None

    async def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` of those that ended before."""
        kept = self._reader.change().correlations
        ended = sorted((each.until, key) for key, each in kept.items() if each.until < before)[:limit]
        for _, key in ended:
            del kept[key]
        return len(ended)


class MemoryPublications:
    """`Publications` over a state."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def keep(self, publication: Publication) -> None:
        """Put it in the place of what was known."""
        self._reader.change().publications[publication.study_instance_uid, publication.peer] = publication

    async def get(self, study_instance_uid: str, peer: str) -> Publication | None:
        """What this registry has of the study."""
        return self._reader.state.publications.get((study_instance_uid, peer))

    async def on_demand(self, unique_id: str) -> Publication | None:
        """The on-demand entry in force whose document has this uniqueId."""
        kept = self._reader.state.publications.values()
        return next((each for each in kept if each.on_demand and each.in_force and each.unique_id == unique_id), None)

    async def of(self, study_instance_uid: str) -> Sequence[Publication]:
        """What every registry has of the study."""
        kept = self._reader.state.publications
        return [kept[study, peer] for study, peer in sorted(kept) if study == study_instance_uid]


async def _whole(content: Content) -> bytes:
    return b"".join([chunk async for chunk in content.open()])


class MemoryAudit:
    """`AuditSink` over a state: without chain and without wire, for tests that ask what was recorded."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    async def record(self, records: Sequence[AuditRecord], exchange_id: str = "") -> None:
        """Keep them."""
        await self.intend(records, exchange_id)

    async def intend(self, records: Sequence[AuditRecord], exchange_id: str = "") -> str:
        """Keep what will have happened if we do not come back."""
        state = self._reader.change()
        intent = str(len(state.audit) + 1)
        state.audit[intent] = (exchange_id, tuple(records))
        return intent

    async def close(self, intent: str, records: Sequence[AuditRecord]) -> None:
        """Replace an intent by what did happen."""
        state = self._reader.change()
        exchange_id, _ = state.audit[intent]
        state.audit[intent] = (exchange_id, tuple(records))


class MemoryWork:
    """`Work` over a state."""

    def __init__(self, reader: _Reader, store: "MemoryStore") -> None:
        self.registry = MemoryRegistry(reader)
        self.studies = MemoryStudies(reader)
        self.ledger = MemoryLedger(reader, store.numbers, store.turns)
        self.identity = MemoryIdentity(reader)
        self.documents = MemoryDocuments(reader)
        self.raw = MemoryRawMessages(reader)
        self.answers = MemoryAnswers(reader)
        self.publications = MemoryPublications(reader)
        self.correlations = MemoryCorrelations(reader)
        self.audit: AuditSink = MemoryAudit(reader)


class MemoryStore:
    """`Store` in memory; `committed` is called after every unit."""

    def __init__(self, committed: Callable[[], None] = lambda: None) -> None:
        self.state = MemoryState()
        self.numbers = Numbers()
        self.turns = Turns()
        self._committed = committed
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Work]:
        """A unit of work."""
        async with self._turn:
            state = self.state.copy()
            yield MemoryWork(_Reader(state, writing=True), self)
            self.state = state
        self._committed()

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Work]:
        """Reading only."""
        yield MemoryWork(_Reader(self.state, writing=False), self)

    async def close(self) -> None:
        """Nothing to let go."""

    def audited(self) -> Sequence[AuditRecord]:
        """Every record, in the order in which it was written; what is still an intent as a failure."""
        return [record for _, records in self.state.audit.values() for record in records]
