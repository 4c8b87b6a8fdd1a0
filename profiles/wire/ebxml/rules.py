"""What a submission's metadata must say, as rules about the model: the same for ITI-41, RAD-68 and ITI-42.

Only what the message itself can tell; whether a patient or a replaced document is known is the registry's to say.

Source: ITI TF-3 table 4.3.1-3 (optionality), 4.2.3 (attributes), 4.2.2 (associations); ITI TF-2 3.42.4.1.3.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from profiles.findings import Finding, Severity
from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    DocumentEntry,
    EntryType,
    Folder,
    Submission,
    SubmissionSet,
    is_entry_uuid,
)
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.response import Speaker

_SHA_1 = re.compile(r"[0-9a-f]{40}")
MAX_UNIQUE_ID_CHARACTERS = 128  # an OID, or root^extension
MAX_TITLE_CHARACTERS = 128


def _finding(rule: str, text: str, location: str, code: str = "", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(rule=f"xds-metadata/{rule}", text=text, location=location, code=code, severity=severity)


def _on_demand(entry: DocumentEntry) -> bool:
    return entry.entry_type is EntryType.ON_DEMAND


# --- what must be there -----------------------------------------------------------------------------------------------

REQUIRED_OF_ENTRY: Sequence[tuple[str, Callable[[DocumentEntry], object]]] = (
    ("classCode", lambda entry: entry.class_code.value),
    ("confidentialityCode", lambda entry: entry.confidentiality_codes),
    ("creationTime", lambda entry: entry.creation_time or _on_demand(entry)),
    ("entryUUID", lambda entry: entry.entry_uuid),
    ("formatCode", lambda entry: entry.format_code.value),
    ("healthcareFacilityTypeCode", lambda entry: entry.healthcare_facility_type_code.value),
    ("languageCode", lambda entry: entry.language_code),
    ("mimeType", lambda entry: entry.mime_type),
    ("practiceSettingCode", lambda entry: entry.practice_setting_code.value),
    ("sourcePatientId", lambda entry: entry.source_patient_id),
    ("typeCode", lambda entry: entry.type_code.value),
    ("uniqueId", lambda entry: entry.unique_id),
)

REQUIRED_OF_REGISTERED_ENTRY: Sequence[tuple[str, Callable[[DocumentEntry], object]]] = (
    # a repository has counted and hashed before it registers
    ("hash", lambda entry: entry.hash or _on_demand(entry)),
    ("size", lambda entry: entry.size_bytes is not None or _on_demand(entry)),
    ("repositoryUniqueId", lambda entry: entry.repository_unique_id),
)

REQUIRED_OF_SET: Sequence[tuple[str, Callable[[SubmissionSet], object]]] = (
    ("contentTypeCode", lambda each: each.content_type_code.value),
    ("entryUUID", lambda each: each.entry_uuid),
    ("sourceId", lambda each: each.source_id),
    ("uniqueId", lambda each: each.unique_id),
)

REQUIRED_OF_FOLDER: Sequence[tuple[str, Callable[[Folder], object]]] = (
    ("codeList", lambda each: each.codes),
    ("entryUUID", lambda each: each.entry_uuid),
    ("title", lambda each: each.title),
    ("uniqueId", lambda each: each.unique_id),
)


def required_attributes_are_there(submission: Submission) -> Iterator[Finding]:
    """ITI TF-3 table 4.3.1-3, column of a Document Source."""
    for entry in submission.entries:
        yield from (
            _missing("DocumentEntry", name, entry.entry_uuid) for name, of in REQUIRED_OF_ENTRY if not of(entry)
        )
    whole = submission.submission_set
    yield from (_missing("SubmissionSet", name, whole.entry_uuid) for name, of in REQUIRED_OF_SET if not of(whole))
    for folder in submission.folders:
        yield from (_missing("Folder", name, folder.entry_uuid) for name, of in REQUIRED_OF_FOLDER if not of(folder))


def registered_attributes_are_there(submission: Submission) -> Iterator[Finding]:
    """The same table, what a Document Repository adds."""
    for entry in submission.entries:
        yield from (
            _missing("DocumentEntry", name, entry.entry_uuid)
            for name, of in REQUIRED_OF_REGISTERED_ENTRY
            if not of(entry)
        )


def _missing(kind: str, attribute: str, location: str) -> Finding:
    return _finding(f"required/{attribute}", f"{kind}.{attribute} is missing", location)


# --- what it must look like -------------------------------------------------------------------------------------------


def values_are_well_formed(submission: Submission) -> Iterator[Finding]:
    """ITI TF-3 table 4.2.3.1.7-2, as far as the model does not keep it already."""
    for entry in submission.entries:
        yield from _entry_is_well_formed(entry)
    whole = submission.submission_set
    yield from _codes_are_whole((whole.content_type_code,), "contentTypeCode", whole.entry_uuid)
    for folder in submission.folders:
        yield from _codes_are_whole(folder.codes, "codeList", folder.entry_uuid)
        yield from _is_oid(folder.unique_id, "Folder.uniqueId", folder.entry_uuid)
    yield from _is_oid(whole.unique_id, "SubmissionSet.uniqueId", whole.entry_uuid)
    yield from _is_oid(whole.source_id, "SubmissionSet.sourceId", whole.entry_uuid)


def _entry_is_well_formed(entry: DocumentEntry) -> Iterator[Finding]:
    at = entry.entry_uuid
    if entry.hash and not _SHA_1.fullmatch(entry.hash):
        yield _finding("hash", "hash is not a SHA-1 of 40 hexadecimal digits", at)
    if len(entry.unique_id) > MAX_UNIQUE_ID_CHARACTERS:
        yield _finding("unique-id", f"uniqueId is longer than {MAX_UNIQUE_ID_CHARACTERS} characters", at)
    if len(entry.title) > MAX_TITLE_CHARACTERS:
        yield _finding(
            "title", f"title is longer than {MAX_TITLE_CHARACTERS} characters", at, severity=Severity.WARNING
        )
    start, stop = entry.service_start_time, entry.service_stop_time
    if start and stop and start.at > stop.at and start.precision == stop.precision:
        yield _finding("service-times", "serviceStartTime is after serviceStopTime", at)
    yield from _codes_are_whole((entry.class_code,), "classCode", at)
    yield from _codes_are_whole(entry.confidentiality_codes, "confidentialityCode", at)
    yield from _codes_are_whole(entry.event_codes, "eventCodeList", at)
    yield from _codes_are_whole((entry.format_code,), "formatCode", at)
    yield from _codes_are_whole((entry.healthcare_facility_type_code,), "healthcareFacilityTypeCode", at)
    yield from _codes_are_whole((entry.practice_setting_code,), "practiceSettingCode", at)
    yield from _codes_are_whole((entry.type_code,), "typeCode", at)


def _codes_are_whole(codes: Sequence[Code], attribute: str, location: str) -> Iterator[Finding]:
    for code in codes:
        if code.value and not code.system:
            yield _finding("coding-scheme", f"{attribute} does not say of which coding scheme it is", location)
        if code.system and not code.value:
            yield _finding("code", f"{attribute} has a coding scheme and no code", location)


def _is_oid(text: str, attribute: str, location: str) -> Iterator[Finding]:
    if not text:
        return  # the other rule says that it is missing
    try:
        Oid(text)
    except ValueError:
        yield _finding("oid", f"{attribute} is not an OID", location)


# --- how it hangs together --------------------------------------------------------------------------------------------


def entries_are(type_: EntryType, submission: Submission) -> Iterator[Finding]:
    """Stable entries are submitted (ITI-41, ITI-42), on-demand ones registered by ITI-61 (ITI TF-2 3.61.4.1.2)."""
    for entry in submission.entries:
        if entry.entry_type is not type_:
            yield _finding("object-type", f"an entry of another type than {type_.name.lower()}", entry.entry_uuid)


def on_demand_entries_have_no_bytes(submission: Submission) -> Iterator[Finding]:
    """creationTime, hash and size are of a document that is made when it is asked for (ITI TF-2 3.61.4.1.2)."""
    for entry in filter(_on_demand, submission.entries):
        told = (("creationTime", entry.creation_time), ("hash", entry.hash), ("size", entry.size_bytes is not None))
        for name, there in told:
            if there:
                yield _finding("on-demand", f"{name} of a document that is made when asked for", entry.entry_uuid)


def all_are_of_one_patient(submission: Submission, code: str = "XDSPatientIdDoesNotMatch") -> Iterator[Finding]:
    """Every entry and folder carries the submission set's patient id (ITI TF-2 3.42.4.1.3)."""
    patient = submission.submission_set.patient_id
    objects: tuple[DocumentEntry | Folder, ...] = (*submission.entries, *submission.folders)
    for each in objects:
        if each.patient_id != patient:
            yield _finding(
                "one-patient",
                "the patient id is not the one of the submission set",
                each.entry_uuid,
                code,
            )


def ids_are_used_once(submission: Submission, speaker: Speaker) -> Iterator[Finding]:
    """No object id and no uniqueId is there twice."""
    objects: tuple[DocumentEntry | SubmissionSet | Folder, ...] = (
        *submission.entries,
        submission.submission_set,
        *submission.folders,
    )
    ids = (*(each.entry_uuid for each in objects), *(arrow.entry_uuid for arrow in submission.associations))
    whose = "Registry" if speaker is Speaker.REGISTRY else "Repository"
    code = f"XDS{whose}DuplicateUniqueIdInMessage"
    for location in _repeated([each.unique_id for each in objects if each.unique_id]):
        yield _finding("unique-id-once", "a uniqueId is there twice in the submission", location[:128], code)
    for location in _repeated(ids):
        yield _finding("object-id-once", "two objects have the same id", location[:128])
    for id in ids:
        if id.lower().startswith("urn:uuid:") and not is_entry_uuid(id):
            yield _finding("entry-uuid", "an id begins with urn:uuid: and is not a UUID", id[:128])


def _repeated(values: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)


_BETWEEN_ENTRIES = frozenset(
    {
        AssociationType.REPLACE,
        AssociationType.TRANSFORM,
        AssociationType.APPEND,
        AssociationType.TRANSFORM_REPLACE,
        AssociationType.SIGNS,
        AssociationType.IS_SNAPSHOT_OF,
    }
)


def associations_hold_together(submission: Submission) -> Iterator[Finding]:
    """Every object is a member of the set, symbolic ids mean something, and arrows start where they may."""
    whole = submission.submission_set.entry_uuid
    entries = {entry.entry_uuid for entry in submission.entries}
    objects = {whole, *entries, *(folder.entry_uuid for folder in submission.folders)}
    everything = objects | {arrow.entry_uuid for arrow in submission.associations}
    members = {
        arrow.target
        for arrow in submission.associations
        if arrow.type is AssociationType.HAS_MEMBER and arrow.source == whole
    }
    for id in (entry.entry_uuid for entry in submission.entries):
        if id not in members:
            yield _finding("member", "an entry is not a member of the submission set", id)
    for folder in submission.folders:
        if folder.entry_uuid not in members:
            yield _finding("member", "a folder is not a member of the submission set", folder.entry_uuid)
    for arrow in submission.associations:
        yield from _arrow_holds(arrow, whole, entries, everything)


def _arrow_holds(arrow: Association, whole: str, entries: set[str], everything: set[str]) -> Iterator[Finding]:
    at = arrow.entry_uuid
    for end in (arrow.source, arrow.target):
        if end not in everything and not is_entry_uuid(end):
            yield _finding(
                "symbolic-id",
                "a symbolic id means nothing in this submission",
                end[:128],
                "UnresolvedReferenceException",
            )
    if arrow.type in _BETWEEN_ENTRIES and arrow.source not in entries:
        yield _finding(
            "association-source",
            "a relationship between documents starts at an entry of this submission",
            at,
            "UnresolvedReferenceException",
        )
    if arrow.type in _BETWEEN_ENTRIES and arrow.original is not None:
        yield _finding(
            "association-slot", "SubmissionSetStatus belongs to members of a set", at, severity=Severity.WARNING
        )
    if arrow.type is AssociationType.HAS_MEMBER and arrow.source == whole:
        if arrow.target in entries and arrow.original is not True:
            yield _finding("original", "an entry of this submission is a member as Original", at)
        if arrow.original is True and arrow.target not in everything:
            yield _finding(
                "original", "a member as Original is not in this submission", at, "UnresolvedReferenceException"
            )
    if arrow.type in (AssociationType.UPDATE_AVAILABILITY_STATUS, AssociationType.SUBMIT_ASSOCIATION):
        yield _finding("association-type", "an association of ITI-57 in a submission", at)


def update_findings(submission: Submission) -> Iterator[Finding]:
    """Every rule of an update's metadata: a new version is as complete as a registry's own (ITI TF-2 3.57.4.1.3)."""
    yield from required_attributes_are_there(submission)
    yield from registered_attributes_are_there(submission)
    yield from values_are_well_formed(submission)
    yield from on_demand_entries_have_no_bytes(submission)
    yield from all_are_of_one_patient(submission, "XDSPatientIDReconciliationError")
    yield from ids_are_used_once(submission, Speaker.REGISTRY)


def submission_findings(
    submission: Submission, speaker: Speaker, type_: EntryType = EntryType.STABLE
) -> Iterator[Finding]:
    """Every rule of a submission."""
    yield from required_attributes_are_there(submission)
    yield from values_are_well_formed(submission)
    yield from entries_are(type_, submission)
    if type_ is EntryType.ON_DEMAND:
        yield from on_demand_entries_have_no_bytes(submission)
    yield from all_are_of_one_patient(submission)
    yield from ids_are_used_once(submission, speaker)
    yield from associations_hold_together(submission)
