"""What the document pages show: entries that a search means, and one entry with all that hangs on it.

What a newcomer gets wrong: nothing is listed without a search. A registry has millions of entries, and whoever looks at
one looks at a patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.ports.store import Work
from profiles.model.document import (
    STUDY_INSTANCE_UID,
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    SubmissionSet,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.readable import readable

FOUND = 100
EVERY = DocumentCriteria(statuses=tuple(AvailabilityStatus), entry_types=tuple(EntryType))
SAID: dict[AssociationType, tuple[str, str]] = {
    AssociationType.HAS_MEMBER: ("contains", "is in"),
    AssociationType.REPLACE: ("replaces", "is replaced by"),
    AssociationType.TRANSFORM: ("is made of", "was transformed to"),
    AssociationType.APPEND: ("is appended to", "has the addendum"),
    AssociationType.TRANSFORM_REPLACE: ("is made of and replaces", "was transformed to, and is replaced by"),
    AssociationType.SIGNS: ("signs", "is signed by"),
    AssociationType.IS_SNAPSHOT_OF: ("is a snapshot of", "has the snapshot"),
}
"""An association in words: from its source, and from its target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """One association of an entry, told from its side. `href` is "" where there is no page of the other object."""

    said: str
    what: str
    title: str
    status: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with its ties, 0..n, and the ebXML of all of it."""

    entry: DocumentEntry
    ties: tuple[Tie, ...]
    ebxml: str


async def found(work: Work, text: str, authority: Oid) -> Sequence[DocumentEntry]:
    """What a person may mean by a word, one after another: a document's id, a study's, a patient's. At most `FOUND`."""
    if not text:
        return ()
    if entries := await work.registry.entries(text):
        return entries
    study = DocumentCriteria(
        statuses=EVERY.statuses, entry_types=EVERY.entry_types, reference_ids=((f"{text}^%{STUDY_INSTANCE_UID}",),)
    )
    if "^" not in text and "%" not in text and (of_study := await _some(work, study)):
        return of_study
    try:
        patient = PatientIdentifier.from_cx(text) if "^" in text else PatientIdentifier(value=text, authority=authority)
    except ValueError:
        return ()
    return await _some(
        work,
        DocumentCriteria(statuses=EVERY.statuses, entry_types=EVERY.entry_types, patient_ids=(patient,)),
    )


async def _some(work: Work, criteria: DocumentCriteria) -> Sequence[DocumentEntry]:
    some: list[DocumentEntry] = []
    async for entry in work.registry.find(criteria):
        some.append(entry)
        if len(some) == FOUND:
            break
    return some[::-1]  # what was registered last is what is asked for


async def shown(work: Work, entry_uuid: str) -> Shown | None:
    """An entry and what hangs on it; None: there is no such entry."""
    entry = next((each for each in await work.registry.objects((entry_uuid,)) if isinstance(each, DocumentEntry)), None)
    if entry is None:
        return None
    associations = await work.registry.associations((entry_uuid,))
    others = {_other(each, entry_uuid) for each in associations}
    objects = {each.entry_uuid: each for each in await work.registry.objects(tuple(others))}
    ties = []
    for each in associations:
        other = objects.get(_other(each, entry_uuid))
        forth, back = SAID.get(each.type, (str(each.type).rpartition(":")[2], str(each.type).rpartition(":")[2]))
        ties.append(_tie(forth if each.source == entry_uuid else back, other, _other(each, entry_uuid)))
    ties += [_version(each, entry.version) for each in await _versions(work, entry)]
    return Shown(entry=entry, ties=tuple(ties), ebxml="\n".join([readable(entry), *map(readable, associations)]))


async def _versions(work: Work, entry: DocumentEntry) -> Sequence[DocumentEntry]:
    """The other versions of an entry, the newest first: no association joins them, their logical id does."""
    same = [each for each in await work.registry.entries(entry.unique_id) if each.entry_uuid != entry.entry_uuid]
    versions = [each for each in same if _logical(each) == _logical(entry)]
    return sorted(versions, key=lambda each: -each.version)


def _logical(entry: DocumentEntry) -> str:
    return entry.logical_id or entry.entry_uuid


def _version(other: DocumentEntry, shown: int) -> Tie:
    tie = _tie("follows" if other.version < shown else "is followed by", other, other.entry_uuid)
    return replace(tie, what=f"version {other.version}")


def _other(association: Association, entry_uuid: str) -> str:
    return association.target if association.source == entry_uuid else association.source


def _tie(said: str, other: DocumentEntry | SubmissionSet | Folder | Association | None, entry_uuid: str) -> Tie:
    match other:
        case DocumentEntry():
            status = other.availability_status.value.rpartition(":")[2].lower()
            what, href = "document", f"/documents/{other.entry_uuid}"
            return Tie(said=said, what=what, title=other.title or other.unique_id, status=status, href=href)
        case SubmissionSet():
            return Tie(said=said, what="submission set", title=other.title or other.unique_id, status="", href="")
        case Folder():
            return Tie(said=said, what="folder", title=other.title or other.unique_id, status="", href="")
        case _:
            return Tie(said=said, what="object", title=entry_uuid, status="", href="")
