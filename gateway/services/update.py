"""Update: an administrator changes what is registered. New versions, changes of status, new associations.

All of an update happens or nothing: each operation is judged by what the registry has, then the submission set is
registered with everything it brings, and the rest follows. What a newcomer gets wrong: a version is never changed. What was
true of it is still there to be asked for, deprecated, and its associations with it; the new one gets its own.

Source: ITI TF-2 3.57.4.1.3, 3.92.4.1.3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.model.house import House
from gateway.ports.clock import Clock
from gateway.ports.registry import RegistryObject
from gateway.ports.store import Work
from gateway.services.exchange import Exchange
from gateway.services.ingest import known_in_domain, with_uuids
from gateway.services.vet import Vet
from profiles.errors import RuleViolation
from profiles.findings import Finding
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria
from profiles.wire.ebxml.operations import (
    RESTRICTED_UPDATE,
    UPDATE,
    Codes,
    NewAssociation,
    NewVersion,
    StatusChange,
    read_operations,
)
from profiles.xds.iti92 import FIXED

OPERATIONS = frozenset({AssociationType.UPDATE_AVAILABILITY_STATUS, AssociationType.SUBMIT_ASSOCIATION})
UNRESOLVED = "UnresolvedReferenceException"
RECONCILIATION = "XDSPatientIDReconciliationError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a transaction judges a new version: what it calls what is wrong, and what must stay as it is."""

    operations: Codes
    unknown: str  # there is no object with this logical id
    deprecated: str  # the newest version is not approved
    identity: str  # it has another uniqueId
    object_type: str  # an entry has another objectType
    fixed: Mapping[str, Callable[[DocumentEntry], object]]
    changed: str  # one of `fixed` is another


FULL = Rules(
    operations=UPDATE,
    unknown="XDSMetadataVersionError",
    deprecated="XDSMetadataUpdateError",
    identity="XDSMetadataUpdateError",
    object_type="XDSMetadataUpdateError",
    fixed={name: FIXED[name] for name in ("hash", "size", "repositoryUniqueId")},
    changed="XDSMetadataUpdateError",
)
RESTRICTED = Rules(
    operations=RESTRICTED_UPDATE,
    unknown="XDSMetadataIdentifierError",
    deprecated="XDSMetadataVersionError",
    identity="XDSMetadataIdentifierError",
    object_type="XDSObjectTypeError",
    fixed=FIXED,
    changed="UnmodifiableMetadataError",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """A new version with its number, and the one that it follows."""

    old: DocumentEntry | Folder
    new: DocumentEntry | Folder
    propagate: bool


class Update:
    """Changes to the registry."""

    def __init__(self, *, house: House, clock: Clock, vet: Vet | None = None) -> None:
        """Stand on the ports; the unit of work is the turn's. `vet` looks at codes; None: nobody does."""
        self._vet = vet
        self._house = house
        self._clock = clock

    async def update(self, submission: Submission, exchange: Exchange, rules: Rules) -> tuple[Finding, ...]:
        """Do all that the update asks for; answers the warnings to send along.

        Raises:
            UnknownPatient: Nobody has the submission set's patient id (XDSUnknownPatientId).
            RuleViolation: By what the registry has, one of the operations cannot be done; with the wire's code.
            Duplicate: An id that must be new is in use.
        """
        submission = with_uuids(submission, self._clock)
        patient = submission.submission_set.patient_id
        exchange.learned.patients = (patient,)
        operations, findings = read_operations(submission, rules.operations)
        if findings:
            raise RuleViolation(findings[0].text, code=findings[0].code, findings=findings)
        warnings = await self._vet.vetted(submission, exchange) if self._vet is not None else ()
        work = await exchange.begin()
        await known_in_domain(work, self._house.domains, patient)
        versions = [await self._version(work, each, rules) for each in operations if isinstance(each, NewVersion)]
        changes = [each for each in operations if isinstance(each, StatusChange)]
        for change in changes:
            await self._check_change(work, change, patient)
        for each in operations:
            if isinstance(each, NewAssociation):
                await self._check_association(work, each.association, patient)
        new = [each.new for each in versions]
        await work.registry.put(
            replace(
                submission,
                entries=tuple(each for each in new if isinstance(each, DocumentEntry)),
                folders=tuple(each for each in new if isinstance(each, Folder)),
            ),
            exchange.now,
        )
        await work.registry.associate(await self._propagated(work, versions), exchange.now)
        for change in changes:
            await work.registry.set_status(change.target, change.new, exchange.now)
        exchange.learned.text = (
            f"Updated: {len(versions)} new versions, {len(changes)} changes of status,"
            f" {len(operations) - len(versions) - len(changes)} new associations"
        )
        return warnings

    # --- new versions ------------------------------------------------------------------------------------------------

    async def _version(self, work: Work, asked: NewVersion, rules: Rules) -> _Version:
        at = asked.object.entry_uuid
        old = await _newest(work, asked.object)
        if old is None:
            raise RuleViolation("no object has this logical id", code=rules.unknown, location=asked.object.logical_id)
        if old.version != asked.previous:
            raise RuleViolation(
                f"the newest version is number {old.version}, not {asked.previous}",
                code="XDSMetadataVersionError", location=old.entry_uuid,
            )  # fmt: skip
        if old.availability_status is not AvailabilityStatus.APPROVED:
            raise RuleViolation(
                "the version that is followed is not approved", code=rules.deprecated, location=old.entry_uuid
            )
        if old.unique_id != asked.object.unique_id:
            raise RuleViolation("all versions have the same uniqueId", code=rules.identity, location=at)
        if isinstance(old, DocumentEntry) and isinstance(asked.object, DocumentEntry):
            if old.entry_type is not asked.object.entry_type:
                raise RuleViolation("all versions have the same objectType", code=rules.object_type, location=at)
            for name, of in rules.fixed.items():
                if of(old) != of(asked.object):
                    raise RuleViolation(f"{name} stays as it is", code=rules.changed, location=at)
        new = replace(
            asked.object, logical_id=asked.object.logical_id.lower(), version=old.version + 1,
            availability_status=AvailabilityStatus.APPROVED,
        )  # fmt: skip
        return _Version(old=old, new=new, propagate=asked.propagate)

    async def _propagated(self, work: Work, versions: Sequence[_Version]) -> list[Association]:
        """The associations of what was followed, once more, for what follows.

        Source: ITI TF-2 3.57.4.1.3.3.1 (association propagation).
        """
        follows = {each.old.entry_uuid: each.new.entry_uuid for each in versions if each.propagate}
        if not follows:
            return []
        arrows = [
            each
            for each in await work.registry.associations(tuple(follows))
            if each.availability_status is AvailabilityStatus.APPROVED and each.type not in OPERATIONS
        ]
        ends = {each.entry_uuid: each for each in await work.registry.objects(_ends(arrows) + tuple(follows.values()))}
        copies: list[Association] = []
        for arrow in arrows:
            if isinstance(ends.get(arrow.source), SubmissionSet):
                continue  # what was submitted then was the version of then
            source, target = (follows.get(end, end) for end in (arrow.source, arrow.target))
            patients = {_patient(ends[end]) for end in (source, target) if end in ends} - {None}
            if len(patients) > 1:
                raise RuleViolation(
                    "an association of the version before would lead to another patient",
                    code=RECONCILIATION, location=arrow.entry_uuid,
                )  # fmt: skip
            copies.append(replace(arrow, entry_uuid=f"urn:uuid:{self._clock.new_uuid()}", source=source, target=target))
        return copies

    # --- what is registered ------------------------------------------------------------------------------------------

    async def _check_change(self, work: Work, change: StatusChange, patient: PatientIdentifier) -> None:
        (found,) = await _seen(work, change.target)
        if isinstance(found, SubmissionSet):
            raise RuleViolation(
                "a submission set keeps its status", code="XDSMetadataUpdateOperationError", location=change.target
            )
        if found.availability_status is not change.original:
            raise RuleViolation(
                "the object's status is not the OriginalStatus", code="XDSMetadataUpdateError", location=change.target
            )
        if isinstance(found, Association):
            ends = await _seen(work, found.source, found.target)
            if found.type in OPERATIONS or isinstance(ends[0], SubmissionSet):
                raise RuleViolation(
                    "what a submission set did is not undone", code="XDSMetadataUpdateError", location=change.target
                )
            _check_patient(patient, *ends)
            return
        if change.target in await work.registry.superseded((change.target,)):
            raise RuleViolation(
                "only the newest version changes its status", code="XDSMetadataUpdateError", location=change.target
            )
        _check_patient(patient, found)

    async def _check_association(self, work: Work, arrow: Association, patient: PatientIdentifier) -> None:
        ends = await _seen(work, arrow.source, arrow.target)
        kinds: tuple[type, type] = (
            (Folder, DocumentEntry) if arrow.type is AssociationType.HAS_MEMBER else (DocumentEntry, DocumentEntry)
        )
        if not all(map(isinstance, ends, kinds)) or arrow.source == arrow.target:
            raise RuleViolation(
                "an association of this type is not between such objects",
                code="XDSMetadataUpdateError", location=arrow.entry_uuid,
            )  # fmt: skip
        for end in ends:
            if end.availability_status is not AvailabilityStatus.APPROVED:
                raise RuleViolation(
                    "what is associated is approved", code="XDSMetadataUpdateError", location=end.entry_uuid
                )
        _check_patient(patient, *ends)
        for each in await work.registry.associations((arrow.source,)):
            same = (each.source, each.target, each.type) == (arrow.source, arrow.target, arrow.type)
            if same and each.availability_status is AvailabilityStatus.APPROVED:
                raise RuleViolation(
                    "the objects are associated so already", code="XDSMetadataUpdateError", location=each.entry_uuid
                )


async def _newest(work: Work, named: DocumentEntry | Folder) -> DocumentEntry | Folder | None:
    """The newest version of what this one is a version of; held ones are nobody's to change."""
    if isinstance(named, DocumentEntry):
        criteria = DocumentCriteria(logical_ids=(named.logical_id.lower(),), latest=True, entry_types=())
        return next(iter([entry async for entry in work.registry.find(criteria)]), None)
    folders = await work.registry.find_folders(FolderCriteria(logical_ids=(named.logical_id.lower(),), latest=True))
    return next(iter(folders), None)


async def _seen(work: Work, *entry_uuids: str) -> list[RegistryObject]:
    """These objects, in this order.

    Raises:
        RuleViolation: One is not there, or is held (UnresolvedReferenceException).
    """
    found = {each.entry_uuid: each for each in await work.registry.objects(entry_uuids)}
    held = await work.registry.held(entry_uuids)
    for each in entry_uuids:
        if each not in found or each in held:
            raise RuleViolation("no such object is registered", code=UNRESOLVED, location=each)
    return [found[each] for each in entry_uuids]


def _check_patient(patient: PatientIdentifier, *objects: RegistryObject) -> None:
    for each in objects:
        if _patient(each) not in (patient, None):
            raise RuleViolation(
                "the object is not of the submission set's patient", code=RECONCILIATION, location=each.entry_uuid
            )


def _patient(each: RegistryObject) -> PatientIdentifier | None:
    return None if isinstance(each, Association) else each.patient_id


def _ends(arrows: Sequence[Association]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(end for each in arrows for end in (each.source, each.target)))
