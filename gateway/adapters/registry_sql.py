"""The registry in rows: entries, submission sets, folders and associations of the affinity domain.

What a newcomer gets wrong: a held (PENDING) submission replaces nothing yet. Its RPLC deprecates the target when the entry
is approved, or nobody would find either of the two.

Source: ITI TF-2 3.18, 3.42; TF-3 4.2.2.
"""

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, bindparam, delete, func, null, or_, select, tuple_, update

from gateway.adapters.executor import Executor, Fixed, Row, insert, insert_new
from gateway.adapters.patterns import Pattern
from gateway.adapters.registry_rules import (
    REPLACES,
    VISIBLE,
    Target,
    check_associations,
    check_document,
    check_entry_type,
    check_within,
    folder_fits,
    last_update,
    new_folders,
    outdated,
    reference_text,
    set_fits,
)
from gateway.adapters.sequence import Sequence as Numbers
from gateway.adapters.stored import (
    ENTRY_TYPES,
    STATUSES,
    association_body,
    association_of,
    code_text,
    entry_body,
    entry_of,
    folder_body,
    folder_of,
    micros,
    set_body,
    set_of,
)
from gateway.adapters.tables import (
    associations,
    entries,
    entry_terms,
    folders,
    registry_objects,
    registry_unique_ids,
    submission_sets,
)
from gateway.ports.registry import RegistryObject
from profiles.errors import Busy, Duplicate, RuleViolation, UnknownDocument
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
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria, TimeRange

PAGE = 100  # entries read and decoded between two turns of the loop: about 2 ms
MANY = 500  # ids in one IN list: SQLite's default limit of parameters is 32,766, PostgreSQL's 32,767

_INSERT_OBJECT = insert_new(registry_objects)
_INSERT_UNIQUE_ID = insert_new(registry_unique_ids)
_INSERT_ENTRY = insert(entries)
_INSERT_TERM = insert_new(entry_terms)
_INSERT_SET = insert(submission_sets)
_INSERT_FOLDER = insert(folders)
_INSERT_ASSOCIATION = insert(associations)
_UNIQUE_ID = Fixed(
    select(registry_unique_ids.c.hash, registry_unique_ids.c.size_bytes).where(
        registry_unique_ids.c.kind == bindparam("kind"), registry_unique_ids.c.unique_id == bindparam("unique_id")
    )
)
_LEARN_UNIQUE_ID = Fixed(
    update(registry_unique_ids)
    .where(registry_unique_ids.c.kind == bindparam("of_kind"), registry_unique_ids.c.unique_id == bindparam("of_id"))
    .values(hash=bindparam("hash"), size_bytes=bindparam("size_bytes"))
)
_ENTRIES_BY_UNIQUE_ID = Fixed(
    select(entries.c.body, entries.c.entry_uuid, entries.c.patient_id, entries.c.status)
    .where(entries.c.unique_id == bindparam("unique_id"))
    .order_by(entries.c.registered, entries.c.entry_uuid)
)
_KIND = Fixed(select(registry_objects.c.kind).where(registry_objects.c.entry_uuid == bindparam("entry_uuid")))

_TABLES: dict[str, Table] = {
    "entry": entries,
    "set": submission_sets,
    "folder": folders,
    "association": associations,
}
_SET_STATUS = {
    kind: Fixed(
        update(table).where(table.c.entry_uuid == bindparam("of_uuid")).values({table.c.status: bindparam("status")})
    )
    for kind, table in _TABLES.items()
}
_SET_PATIENT = {
    kind: Fixed(
        update(table)
        .where(table.c.entry_uuid == bindparam("of_uuid"))
        .values({table.c.patient_id: bindparam("patient_id")})
    )
    for kind, table in _TABLES.items()
    if kind != "association"
}
_MOVE = {
    kind: Fixed(
        update(table)
        .where(table.c.patient_id == bindparam("subsumed"))
        .values({table.c.patient_id: bindparam("surviving")})
    )
    for kind, table in _TABLES.items()
    if kind != "association"
}
_STATUS = Fixed(select(entries.c.status).where(entries.c.entry_uuid == bindparam("entry_uuid")).with_for_update())
_POINTING_AT = Fixed(
    select(associations.c.source, associations.c.type).where(associations.c.target == bindparam("entry_uuid"))
)
_POINTED_AT = Fixed(
    select(associations.c.target, associations.c.type).where(associations.c.source == bindparam("entry_uuid"))
)
_STARTS_AT = Fixed(
    select(associations.c.source, associations.c.type).where(associations.c.entry_uuid == bindparam("entry_uuid"))
)
_ASSOCIATION = (
    associations.c.entry_uuid,
    associations.c.type,
    associations.c.source,
    associations.c.target,
    associations.c.original,
    associations.c.status,
    associations.c.body,
)


def _of_family(table: Table) -> ColumnElement[bool]:
    """Every version: the first has no logical id of its own, but gives it."""
    return or_(
        table.c.logical_id == bindparam("of_id"),
        and_(table.c.entry_uuid == bindparam("first"), table.c.logical_id.is_(None)),
    )


_VERSIONED = {"entry": entries, "folder": folders}
_SUPERSEDE = {
    kind: Fixed(
        update(table)
        .where(table.c.entry_uuid == bindparam("of_uuid"))
        .values(superseded=1, status=STATUSES[AvailabilityStatus.DEPRECATED])
    )
    for kind, table in _VERSIONED.items()
}
_NOT_SUPERSEDED = {
    kind: Fixed(update(table).where(table.c.entry_uuid == bindparam("of_uuid")).values(superseded=null()))
    for kind, table in _VERSIONED.items()
}
_VERSIONS = {
    kind: Fixed(select(table.c.body, table.c.entry_uuid, table.c.patient_id, table.c.status).where(_of_family(table)))
    for kind, table in _VERSIONED.items()
}
_NEWEST = {
    # FOR UPDATE: of two units that make a version at once, the second finds none to supersede.
    kind: Fixed(
        select(table.c.body, table.c.entry_uuid, table.c.patient_id, table.c.status)
        .where(_of_family(table), table.c.superseded.is_(None))
        .with_for_update()
    )
    for kind, table in _VERSIONED.items()
}
_HAS_UNIQUE_ID = {
    kind: Fixed(select(table.c.entry_uuid).where(table.c.unique_id == bindparam("unique_id")).limit(1))
    for kind, table in _VERSIONED.items()
}
_FORGET = {
    kind: Fixed(delete(table).where(table.c.entry_uuid == bindparam("entry_uuid")))
    for kind, table in {**_TABLES, "object": registry_objects}.items()
}
_FORGET_TERMS = Fixed(delete(entry_terms).where(entry_terms.c.entry_uuid == bindparam("entry_uuid")))
_FORGET_UNIQUE_ID = Fixed(
    delete(registry_unique_ids).where(
        registry_unique_ids.c.kind == bindparam("kind"), registry_unique_ids.c.unique_id == bindparam("unique_id")
    )
)
_TOUCH_FOLDER = Fixed(
    update(folders)
    .where(folders.c.entry_uuid == bindparam("of_uuid"))
    .values(last_update_at=bindparam("last_update_at"), body=bindparam("body"))
)


class SqlRegistry:
    """`Registry` over one executor."""

    __slots__ = ("_db", "_numbers")

    def __init__(self, executor: Executor, numbers: Numbers) -> None:
        """`numbers` give registrations their order."""
        self._db = executor
        self._numbers = numbers

    # --- registering ---------------------------------------------------------------------------------------------------

    async def put(self, submission: Submission, at: datetime) -> None:
        """Register everything of it."""
        check_within(submission)
        await self._claim_ids(submission)
        await self._check_documents(submission.entries)
        await self._check_associations(submission)
        submission_set = submission.submission_set
        await self._db.run(
            _INSERT_SET,
            {
                "entry_uuid": submission_set.entry_uuid,
                "patient_id": str(submission_set.patient_id),
                "unique_id": submission_set.unique_id,
                "status": STATUSES[submission_set.availability_status],
                "source_id": submission_set.source_id,
                "submission_at": micros(submission_set.submission_time.at),
                "body": set_body(submission_set),
            },
        )
        for entry in submission.entries:
            await self._supersede(entry)
            await self._insert_entry(entry)
        now = last_update(at)
        for folder in submission.folders:
            await self._supersede(folder)
            await self._insert_folder(replace(folder, last_update_time=now))
        if submission.associations:
            await self._db.run_many(_INSERT_ASSOCIATION, [_association_row(each) for each in submission.associations])
        statuses = {entry.entry_uuid: entry.availability_status for entry in submission.entries}
        for association in submission.associations:
            if association.type in REPLACES and statuses.get(association.source) is not AvailabilityStatus.PENDING:
                await self._replace(association.source, association.target, now)
        for association in submission.associations:
            seen = statuses.get(association.target) is not AvailabilityStatus.PENDING
            if (
                association.type is AssociationType.HAS_MEMBER
                and association.source != submission_set.entry_uuid
                and seen
            ):
                await self._touch(association.source, now)

    async def _claim_ids(self, submission: Submission) -> None:
        """Take the ids that must be new; two submissions at once meet in the lookup tables."""
        named = [
            (submission.submission_set.entry_uuid, "set"),
            *((entry.entry_uuid, "entry") for entry in submission.entries),
            *((folder.entry_uuid, "folder") for folder in submission.folders),
            *((association.entry_uuid, "association") for association in submission.associations),
        ]
        unique = [
            (submission.submission_set.unique_id, "set"),
            *((folder.unique_id, "folder") for folder in new_folders(submission)),
        ]
        for unique_id, kind in unique:
            row = {"kind": kind, "unique_id": unique_id, "hash": "", "size_bytes": None}
            if not await self._db.run(_INSERT_UNIQUE_ID, row):
                raise Duplicate(
                    f"the uniqueId of the {_WORDS[kind]} is in use",
                    code="XDSDuplicateUniqueIdInRegistry", location=unique_id,
                )  # fmt: skip
        objects = [{"entry_uuid": str(entry_uuid), "kind": kind} for entry_uuid, kind in named]
        if await self._db.run_each(_INSERT_OBJECT, objects) != len(objects):
            await self._name_what_is_in_use(objects)

    async def _name_what_is_in_use(self, objects: Sequence[dict[str, str]]) -> None:
        """Some of the ids had been there: whichever is of another kind, or has a row already."""
        for each in objects:
            table = _TABLES[each["kind"]]
            kind = await self._kind(each["entry_uuid"])
            used = kind != each["kind"] or await self._db.rows(
                select(table.c.entry_uuid).where(table.c.entry_uuid == each["entry_uuid"]).limit(1)
            )
            if used:
                raise Duplicate(
                    f"the entryUUID of the {_WORDS[each['kind']]} is in use",
                    code="XDSRegistryMetadataError", location=each["entry_uuid"],
                )  # fmt: skip
        raise Busy("another submission with the same ids is being registered")

    async def _check_documents(self, registered: Sequence[DocumentEntry]) -> None:
        """The same uniqueId is the same document: same hash, same size."""
        for entry in registered:
            row = {"kind": "entry", "unique_id": entry.unique_id, "hash": entry.hash, "size_bytes": entry.size_bytes}
            if await self._db.run(_INSERT_UNIQUE_ID, row):
                continue
            ((hash_, size_bytes),) = await self._db.rows(_UNIQUE_ID, {"kind": "entry", "unique_id": entry.unique_id})
            check_document(entry, hash_, size_bytes)
            check_entry_type(entry, await self.entries(entry.unique_id))
            if (entry.hash and not hash_) or (entry.size_bytes is not None and size_bytes is None):
                await self._db.run(
                    _LEARN_UNIQUE_ID,
                    {
                        "of_kind": "entry",
                        "of_id": entry.unique_id,
                        "hash": hash_ or entry.hash,
                        "size_bytes": entry.size_bytes if size_bytes is None else size_bytes,
                    },
                )

    async def _check_associations(self, submission: Submission) -> None:
        inside = {
            submission.submission_set.entry_uuid,
            *(entry.entry_uuid for entry in submission.entries),
            *(folder.entry_uuid for folder in submission.folders),
            *(association.entry_uuid for association in submission.associations),
        }
        ends = {end for each in submission.associations for end in (each.source, each.target)} - inside
        check_associations(submission, await self._targets(ends) if ends else {})

    async def _targets(self, entry_uuids: set[str]) -> dict[str, Target]:
        found: dict[str, Target] = {}
        for some in _batches(sorted(entry_uuids)):
            statement = select(registry_objects.c.entry_uuid, registry_objects.c.kind)
            kinds = await self._db.rows(statement.where(registry_objects.c.entry_uuid.in_(some)))
            for entry_uuid, kind in kinds:
                found[entry_uuid] = Target(kind=kind)
            for kind in ("entry", "folder"):
                table = _TABLES[kind]
                of_kind = [entry_uuid for entry_uuid, each in kinds if each == kind]
                if not of_kind:
                    continue
                # FOR UPDATE: what is being replaced cannot be replaced by another at the same time.
                statement = select(table.c.entry_uuid, table.c.status, table.c.patient_id)
                for entry_uuid, status, patient_id in await self._db.rows(
                    statement.where(table.c.entry_uuid.in_(of_kind)).with_for_update()
                ):
                    found[entry_uuid] = Target(kind=kind, status=status, patient_id=patient_id)
        return found

    async def _supersede(self, new: DocumentEntry | Folder) -> None:
        """Deprecate the newest version so far; there must be one, also when two units make one at once."""
        if new.version == 1:
            return
        kind = "entry" if isinstance(new, DocumentEntry) else "folder"
        versions = await self._versions(_NEWEST[kind], kind, new.logical_id)
        if len(versions) != 1 or versions[0].version != new.version - 1:
            raise outdated(new)
        await self._db.run(_SUPERSEDE[kind], {"of_uuid": versions[0].entry_uuid})

    async def _versions(self, statement: Fixed, kind: str, logical_id: str) -> Sequence[DocumentEntry | Folder]:
        rows = await self._db.rows(statement, {"of_id": logical_id, "first": logical_id})
        read = entry_of if kind == "entry" else folder_of
        return [read(body, id_, PatientIdentifier.from_cx(of), status) for body, id_, of, status in rows]

    async def _insert_entry(self, entry: DocumentEntry) -> None:
        await self._db.run(
            _INSERT_ENTRY,
            {
                "patient_id": str(entry.patient_id),
                "registered": self._numbers.next(),
                "entry_uuid": entry.entry_uuid,
                "unique_id": entry.unique_id,
                "status": STATUSES[entry.availability_status],
                "entry_type": ENTRY_TYPES[entry.entry_type],
                "class_code": code_text(entry.class_code),
                "type_code": code_text(entry.type_code),
                "format_code": code_text(entry.format_code),
                "practice_setting_code": code_text(entry.practice_setting_code),
                "healthcare_facility_type_code": code_text(entry.healthcare_facility_type_code),
                "creation_at": _at(entry.creation_time),
                "service_start_at": _at(entry.service_start_time),
                "service_stop_at": _at(entry.service_stop_time),
                "body": entry_body(entry),
                "logical_id": entry.logical_id or None,
                "superseded": None,
            },
        )
        terms = [{"entry_uuid": entry.entry_uuid, "kind": kind, "term": term} for kind, term in _terms(entry)]
        if terms:
            await self._db.run_many(_INSERT_TERM, terms)

    async def _insert_folder(self, folder: Folder) -> None:
        await self._db.run(
            _INSERT_FOLDER,
            {
                "patient_id": str(folder.patient_id),
                "entry_uuid": folder.entry_uuid,
                "unique_id": folder.unique_id,
                "status": STATUSES[folder.availability_status],
                "last_update_at": _at(folder.last_update_time),
                "body": folder_body(folder),
                "logical_id": folder.logical_id or None,
                "superseded": None,
            },
        )

    async def _replace(self, replacing: str, replaced: str, at: Moment) -> None:
        """Deprecate a document with its transforms and addenda; the new one goes where the old one was filed.

        Source: ITI TF-3 4.2.2.2 (RPLC).
        """
        approved, deprecated = STATUSES[AvailabilityStatus.APPROVED], STATUSES[AvailabilityStatus.DEPRECATED]
        reached, waiting = {replaced, replacing}, [replaced]
        while waiting:
            current = waiting.pop()
            await self._db.run(_SET_STATUS["entry"], {"of_uuid": current, "status": deprecated})
            for source, type_ in await self._db.rows(_POINTING_AT, {"entry_uuid": current}):
                if source not in reached and type_ in _FOLLOWS:
                    reached.add(source)
                    waiting.append(source)
        filed = await self._containers(replacing)
        for source in await self._containers(replaced):
            for folder in await self.folders(() if source in filed else (source,)):
                derived = uuid.uuid5(uuid.NAMESPACE_URL, f"{folder.entry_uuid} {replacing}")
                member = Association(
                    entry_uuid=f"urn:uuid:{derived}",
                    type=AssociationType.HAS_MEMBER,
                    source=folder.entry_uuid,
                    target=replacing,
                )
                if not await self._db.run(_INSERT_OBJECT, {"entry_uuid": member.entry_uuid, "kind": "association"}):
                    continue
                await self._db.run(_INSERT_ASSOCIATION, _association_row(member) | {"status": approved})
                await self._touch(folder.entry_uuid, at)

    async def _containers(self, entry_uuid: str) -> list[str]:
        """Sets and folders that have it as a member."""
        rows = await self._db.rows(_POINTING_AT, {"entry_uuid": entry_uuid})
        return [source for source, type_ in rows if type_ == AssociationType.HAS_MEMBER]

    async def _touch(self, entry_uuid: str, at: Moment) -> None:
        """Folder.lastUpdateTime; nothing where this is no folder."""
        for folder in await self.folders((entry_uuid,)):
            body = folder_body(replace(folder, last_update_time=at))
            await self._db.run(_TOUCH_FOLDER, {"of_uuid": entry_uuid, "last_update_at": _at(at), "body": body})

    # --- asking --------------------------------------------------------------------------------------------------------

    async def find(self, criteria: DocumentCriteria) -> AsyncIterator[DocumentEntry]:
        """Entries that fit, in the order of registration, read page by page."""
        place: tuple[int, str] | None = None
        columns = (entries.c.body, entries.c.entry_uuid, entries.c.patient_id, entries.c.status, entries.c.registered)
        where = _conditions(criteria, self._db.dialect)
        slow = not _selective(criteria)
        order: tuple[ColumnElement[Any], ...] = (entries.c.registered, entries.c.entry_uuid)
        if len(criteria.patient_ids) == 1:
            # Said in full, so that the key (patient, registered, entryUUID) gives the order without sorting.
            order = (entries.c.patient_id, *order)
        while True:
            statement = select(*columns).where(*where)
            if place is not None:
                statement = statement.where(tuple_(entries.c.registered, entries.c.entry_uuid) > tuple_(*place))
            rows = await self._db.rows(statement.order_by(*order).limit(PAGE), slow=slow)
            for row in rows:
                yield _entry(row)
            if len(rows) < PAGE:
                return
            place = (rows[-1][4], rows[-1][1])

    async def count(self, criteria: DocumentCriteria) -> int:
        """How many would be found."""
        statement = select(func.count()).select_from(entries).where(*_conditions(criteria, self._db.dialect))
        ((found,),) = await self._db.rows(statement, slow=not _selective(criteria))
        return int(found)

    async def entries(self, unique_id: str) -> Sequence[DocumentEntry]:
        """Every entry with this document uniqueId."""
        return [_entry(row) for row in await self._db.rows(_ENTRIES_BY_UNIQUE_ID, {"unique_id": unique_id})]

    async def associations(self, entry_uuids: Sequence[str]) -> Sequence[Association]:
        """Every association that starts or ends at one of these."""
        found: dict[str, Association] = {}
        for some in _batches(tuple(dict.fromkeys(entry_uuids))):
            for end in (associations.c.source, associations.c.target):
                for row in await self._db.rows(select(*_ASSOCIATION).where(end.in_(some))):
                    found[row[0]] = association_of(*row)
        return list(found.values())

    async def objects(self, entry_uuids: Sequence[str]) -> Sequence[RegistryObject]:
        """The objects with these entryUUIDs, of whatever kind and status."""
        wanted = tuple(dict.fromkeys(entry_uuids))
        found: dict[str, RegistryObject] = {}
        for table, read in ((entries, entry_of), (submission_sets, set_of), (folders, folder_of)):
            for body, id_, of, status in await self._objects(table, wanted):
                found[id_] = read(body, id_, of, status)
        for some in _batches(wanted):
            for row in await self._db.rows(select(*_ASSOCIATION).where(associations.c.entry_uuid.in_(some))):
                found[row[0]] = association_of(*row)
        return [found[each] for each in wanted if each in found]

    async def superseded(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those that have a newer version."""
        found: set[str] = set()
        for some in _batches(tuple(dict.fromkeys(entry_uuids))):
            for table in (entries, folders):
                where = table.c.entry_uuid.in_(some), table.c.superseded.is_not(None)
                found.update(row[0] for row in await self._db.rows(select(table.c.entry_uuid).where(*where)))
        return frozenset(found)

    async def submission_sets(self, entry_uuids: Sequence[str]) -> Sequence[SubmissionSet]:
        """The sets with these entryUUIDs, in their order."""
        return [set_of(*row) for row in await self._objects(submission_sets, entry_uuids)]

    async def folders(self, entry_uuids: Sequence[str]) -> Sequence[Folder]:
        """The folders with these entryUUIDs, in their order."""
        return [folder_of(*row) for row in await self._objects(folders, entry_uuids)]

    async def find_submission_sets(self, criteria: SubmissionSetCriteria) -> Sequence[SubmissionSet]:
        """The sets that fit: columns narrow, the bodies of what is left decide."""
        column = submission_sets.c
        where = _package_conditions(submission_sets, criteria)
        if criteria.source_ids:
            where.append(_among(column.source_id, criteria.source_ids))
        where += _within(column.submission_at, criteria.submission_time)
        rows = await self._packages(submission_sets, where, criteria, (column.submission_at, column.entry_uuid))
        return [each for each in (set_of(*row) for row in rows) if set_fits(each, criteria)]

    async def find_folders(self, criteria: FolderCriteria) -> Sequence[Folder]:
        """The folders that fit: columns narrow, the bodies of what is left decide."""
        where = _package_conditions(folders, criteria)
        where += _of_versions(folders, criteria.logical_ids, latest=criteria.latest)
        where += _within(folders.c.last_update_at, criteria.last_update_time)
        rows = await self._packages(folders, where, criteria, (folders.c.entry_uuid,))
        return [each for each in (folder_of(*row) for row in rows) if folder_fits(each, criteria)]

    async def _packages(
        self,
        table: Table,
        where: Sequence[ColumnElement[bool]],
        criteria: SubmissionSetCriteria | FolderCriteria,
        order: Sequence[ColumnElement[Any]],
    ) -> list[tuple[bytes, str, PatientIdentifier, str]]:
        statement = select(table.c.body, table.c.entry_uuid, table.c.patient_id, table.c.status).where(*where)
        rows = await self._db.rows(statement.order_by(*order), slow=not _selective(criteria))
        return [(body, id_, PatientIdentifier.from_cx(patient_id), status) for body, id_, patient_id, status in rows]

    async def held(self, entry_uuids: Sequence[str]) -> frozenset[str]:
        """Those that nobody may see yet."""
        arrows: dict[str, tuple[str, str]] = {}
        for some in _batches(tuple(dict.fromkeys(entry_uuids))):
            statement = select(associations.c.entry_uuid, associations.c.source, associations.c.target)
            for entry_uuid, source, target in await self._db.rows(statement.where(associations.c.entry_uuid.in_(some))):
                arrows[entry_uuid] = source, target
        pending: set[str] = set()
        for some in _batches(tuple({*entry_uuids, *(end for ends in arrows.values() for end in ends)})):
            for table in (entries, submission_sets, folders):
                where = table.c.entry_uuid.in_(some), table.c.status == _PENDING
                pending.update(row[0] for row in await self._db.rows(select(table.c.entry_uuid).where(*where)))
        hidden = {each for each, ends in arrows.items() if not pending.isdisjoint(ends)}
        return frozenset((pending | hidden).intersection(entry_uuids))

    async def _objects(self, table: Table, entry_uuids: Sequence[str]) -> list[tuple[Any, ...]]:
        wanted = tuple(dict.fromkeys(entry_uuids))
        found: dict[str, tuple[Any, ...]] = {}
        for some in _batches(wanted):
            statement = select(table.c.body, table.c.entry_uuid, table.c.patient_id, table.c.status)
            for body, entry_uuid, patient_id, status in await self._db.rows(
                statement.where(table.c.entry_uuid.in_(some))
            ):
                found[entry_uuid] = (body, entry_uuid, PatientIdentifier.from_cx(patient_id), status)
        return [found[each] for each in wanted if each in found]

    # --- changing ------------------------------------------------------------------------------------------------------

    async def set_status(self, entry_uuid: str, status: AvailabilityStatus, at: datetime) -> None:
        """Approve, deprecate or hold an object; an approval carries out the replacements that waited for it."""
        kind = await self._kind(entry_uuid)
        before = await self._db.rows(_STATUS, {"entry_uuid": entry_uuid}) if kind == "entry" else ()
        await self._db.run(_SET_STATUS[kind], {"of_uuid": entry_uuid, "status": STATUSES[status]})
        if kind == "association":
            await self._touch_container(entry_uuid, last_update(at))
        if status is not AvailabilityStatus.APPROVED or not before or before[0][0] != _PENDING:
            return
        replaced = [
            target
            for target, type_ in await self._db.rows(_POINTED_AT, {"entry_uuid": entry_uuid})
            if type_ in REPLACES
        ]
        now = last_update(at)
        for container in await self._containers(entry_uuid):
            await self._touch(container, now)
        for target in replaced:
            await self._replace(entry_uuid, target, now)

    async def _touch_container(self, entry_uuid: str, at: Moment) -> None:
        """The folder that an association has a member in, if it is one."""
        for source, type_ in await self._db.rows(_STARTS_AT, {"entry_uuid": entry_uuid}):
            if type_ == AssociationType.HAS_MEMBER:
                await self._touch(source, at)

    async def associate(self, new: Sequence[Association], at: datetime) -> None:
        """Add associations as they are."""
        if not new:
            return
        objects = [{"entry_uuid": each.entry_uuid, "kind": "association"} for each in new]
        if await self._db.run_each(_INSERT_OBJECT, objects) != len(objects):
            await self._name_what_is_in_use(objects)
        await self._db.run_many(_INSERT_ASSOCIATION, [_association_row(each) for each in new])
        for each in new:
            if each.type is AssociationType.HAS_MEMBER:
                await self._touch(each.source, last_update(at))

    async def remove(self, entry_uuids: Sequence[str], at: datetime) -> None:
        """Let go of these objects."""
        for gone in await self.objects(entry_uuids):
            if isinstance(gone, Association):
                await self._touch_container(gone.entry_uuid, last_update(at))
                await self._forget("association", gone.entry_uuid)
            elif isinstance(gone, SubmissionSet):
                await self._forget("set", gone.entry_uuid)
                await self._db.run(_FORGET_UNIQUE_ID, {"kind": "set", "unique_id": gone.unique_id})
            else:
                kind = "entry" if isinstance(gone, DocumentEntry) else "folder"
                if kind == "entry":
                    await self._db.run(_FORGET_TERMS, {"entry_uuid": gone.entry_uuid})
                await self._forget(kind, gone.entry_uuid)
                await self._newest_again(kind, logical_id_of(gone))
                if not await self._db.rows(_HAS_UNIQUE_ID[kind], {"unique_id": gone.unique_id}):
                    await self._db.run(_FORGET_UNIQUE_ID, {"kind": kind, "unique_id": gone.unique_id})

    async def _forget(self, kind: str, entry_uuid: str) -> None:
        await self._db.run(_FORGET[kind], {"entry_uuid": entry_uuid})
        await self._db.run(_FORGET["object"], {"entry_uuid": entry_uuid})

    async def _newest_again(self, kind: str, logical_id: str) -> None:
        """Of the versions that are left, the newest has no newer one."""
        versions = await self._versions(_VERSIONS[kind], kind, logical_id)
        if versions:
            newest = max(versions, key=lambda each: each.version)
            await self._db.run(_NOT_SUPERSEDED[kind], {"of_uuid": newest.entry_uuid})

    async def reassign(self, entry_uuid: str, patient_id: PatientIdentifier) -> None:
        """Give an entry, and the submission set that brought it, to another patient."""
        kind = await self._kind(entry_uuid)
        if kind == "association":
            raise RuleViolation("an association is of no patient", location=entry_uuid)
        await self._db.run(_SET_PATIENT[kind], {"of_uuid": entry_uuid, "patient_id": str(patient_id)})
        for source in await self._containers(entry_uuid):
            await self._db.run(_SET_PATIENT["set"], {"of_uuid": source, "patient_id": str(patient_id)})

    async def merge(self, subsumed: PatientIdentifier, surviving: PatientIdentifier, at: Any) -> int:
        """Move everything of one patient to another; a later merge of the survivor moves all of it again."""
        moved = {"subsumed": str(subsumed), "surviving": str(surviving)}
        count = await self._db.run(_MOVE["entry"], moved)
        await self._db.run(_MOVE["set"], moved)
        await self._db.run(_MOVE["folder"], moved)
        return count

    async def _kind(self, entry_uuid: str) -> str:
        rows = await self._db.rows(_KIND, {"entry_uuid": entry_uuid})
        if not rows:
            raise UnknownDocument("the registry has no such object", location=entry_uuid)
        return str(rows[0][0])


_WORDS = {"set": "submission set", "entry": "document entry", "folder": "folder", "association": "association"}
_PENDING = STATUSES[AvailabilityStatus.PENDING]
_FOLLOWS = frozenset({AssociationType.TRANSFORM.value, AssociationType.APPEND.value})
"""What goes with the document that it was made of, or added to."""


def _entry(row: Row) -> DocumentEntry:
    return entry_of(row[0], row[1], PatientIdentifier.from_cx(row[2]), row[3])


def _association_row(association: Association) -> dict[str, Any]:
    return {
        "source": association.source,
        "target": association.target,
        "entry_uuid": association.entry_uuid,
        "type": association.type.value,
        "original": None if association.original is None else int(association.original),
        "status": STATUSES[association.availability_status],
        "body": association_body(association),
    }


def _at(moment: Moment | None) -> int | None:
    return None if moment is None else micros(moment.at)


def _terms(entry: DocumentEntry) -> Iterable[tuple[str, str]]:
    for code in entry.event_codes:
        yield "event", code_text(code)
    for code in entry.confidentiality_codes:
        yield "confidentiality", code_text(code)
    for reference in entry.reference_ids:
        yield "reference", reference_text(reference)
    for author in entry.authors:
        if author.person:
            yield "author", author.person


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), MANY):
        yield ids[start : start + MANY]


def _conditions(criteria: DocumentCriteria, dialect: str) -> list[ColumnElement[bool]]:
    """Criteria in SQL, one condition for each field that says something."""
    column = entries.c
    found: list[ColumnElement[bool]] = [column.status.in_([STATUSES[each] for each in criteria.statuses or VISIBLE])]
    if criteria.patient_ids:
        found.append(_among(column.patient_id, [str(each) for each in criteria.patient_ids]))
    if criteria.entry_types:
        found.append(_among(column.entry_type, [ENTRY_TYPES[each] for each in criteria.entry_types]))
    if criteria.entry_uuids:
        found.append(_among(column.entry_uuid, criteria.entry_uuids))
    if criteria.unique_ids:
        found.append(_among(column.unique_id, criteria.unique_ids))
    found += _of_versions(entries, criteria.logical_ids, latest=criteria.latest)
    for of_column, codes in (
        (column.class_code, criteria.class_codes),
        (column.type_code, criteria.type_codes),
        (column.format_code, criteria.format_codes),
        (column.practice_setting_code, criteria.practice_setting_codes),
        (column.healthcare_facility_type_code, criteria.healthcare_facility_type_codes),
    ):
        if codes:
            found.append(_among(of_column, [code_text(code) for code in codes]))
    term = entry_terms.c.term
    for kind, groups in (("event", criteria.event_codes), ("confidentiality", criteria.confidentiality_codes)):
        found += [_with_term(kind, [term == code_text(code) for code in group]) for group in groups]
    # A reference is rare among all patients and common within none: who drives the plan depends on what else is asked.
    with_reference = _with_term if _selective(criteria) else _of_term
    for group in criteria.reference_ids:
        found.append(with_reference("reference", [Pattern.from_like(text).condition(term, dialect) for text in group]))
    if criteria.author_persons:
        patterns = [Pattern.from_like(text).condition(term, dialect) for text in criteria.author_persons]
        found.append(with_reference("author", patterns))
    on_demand = column.entry_type == ENTRY_TYPES[EntryType.ON_DEMAND]
    found += [or_(each, on_demand) for each in _within(column.creation_at, criteria.creation_time)]
    found += _within(column.service_start_at, criteria.service_start_time)
    found += _within(column.service_stop_at, criteria.service_stop_time)
    return found


def _package_conditions(table: Table, criteria: SubmissionSetCriteria | FolderCriteria) -> list[ColumnElement[bool]]:
    """What submission sets and folders have in common."""
    found: list[ColumnElement[bool]] = [table.c.status.in_([STATUSES[each] for each in criteria.statuses or VISIBLE])]
    if criteria.patient_ids:
        found.append(_among(table.c.patient_id, [str(each) for each in criteria.patient_ids]))
    if criteria.entry_uuids:
        found.append(_among(table.c.entry_uuid, criteria.entry_uuids))
    if criteria.unique_ids:
        found.append(_among(table.c.unique_id, criteria.unique_ids))
    return found


def _selective(criteria: DocumentCriteria | SubmissionSetCriteria | FolderCriteria) -> bool:
    """Whether the answer is found among few rows: a patient's, or those that are named."""
    named = criteria.patient_ids or criteria.entry_uuids or criteria.unique_ids
    return bool(named or (not isinstance(criteria, SubmissionSetCriteria) and criteria.logical_ids))


def _of_versions(table: Table, logical_ids: Sequence[str], *, latest: bool) -> Iterable[ColumnElement[bool]]:
    if logical_ids:
        first = and_(table.c.entry_uuid.in_(logical_ids), table.c.logical_id.is_(None))
        yield or_(table.c.logical_id.in_(logical_ids), first)
    if latest:
        yield table.c.superseded.is_(None)


def _among(column: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


def _with_term(kind: str, alternatives: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    return (
        select(1)
        .where(entry_terms.c.entry_uuid == entries.c.entry_uuid, entry_terms.c.kind == kind, or_(*alternatives))
        .correlate(entries)
        .exists()
    )


def _of_term(kind: str, alternatives: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    return entries.c.entry_uuid.in_(
        select(entry_terms.c.entry_uuid).where(entry_terms.c.kind == kind, or_(*alternatives))
    )


def _within(column: Column[int], asked: TimeRange) -> Iterable[ColumnElement[bool]]:
    """From <= t < to; what has no such time is not filtered by it."""
    if asked.start is not None:
        yield or_(column.is_(None), column >= micros(asked.start.at))
    if asked.end is not None:
        yield or_(column.is_(None), column < micros(asked.end.at))
