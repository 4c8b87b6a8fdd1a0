"""Stored: values as a row's body keeps them, compact JSON without what is empty.

The columns beside a body win: what can change alone (patient id, status) is not in the body at all. What a newcomer gets
wrong: a body that was written once is read for years, so a field may be added here and never renamed. UIDs were checked
when they came in and are not checked again.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    Author,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Folder,
    ReferenceId,
    Slots,
    SubmissionSet,
)
from profiles.model.identifiers import AccessionNumber, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import NO_NAME, Patient, PersonName, Sex

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PRECISIONS = {precision.value: precision for precision in Precision}

STATUSES: Mapping[AvailabilityStatus, str] = {
    AvailabilityStatus.APPROVED: "approved",
    AvailabilityStatus.DEPRECATED: "deprecated",
    AvailabilityStatus.PENDING: "pending",
}
STATUS_OF = {text: status for status, text in STATUSES.items()}
ENTRY_TYPES: Mapping[EntryType, str] = {EntryType.STABLE: "stable", EntryType.ON_DEMAND: "on demand"}
ENTRY_TYPE_OF = {text: type_ for type_, text in ENTRY_TYPES.items()}


# --- times -------------------------------------------------------------------------------------------------------------


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def time_of(value: int) -> datetime:
    """The time, aware and UTC."""
    return _EPOCH + timedelta(microseconds=value)


def micros_or_none(at: datetime | None) -> int | None:
    """The same where there may be no time."""
    return None if at is None else micros(at)


def time_or_none(value: int | None) -> datetime | None:
    """The same where there may be no time."""
    return None if value is None else time_of(value)


def interval(moment: Moment) -> tuple[int, int]:
    """First microsecond of what was said, and the first one after it: "2024" is a year long.

    A second with a fraction is as long as the last digit of the fraction (milliseconds or microseconds).
    """
    at, start = moment.at, micros(moment.at)
    match moment.precision:
        case Precision.YEAR:
            return start, _after(at, year=at.year + 1)
        case Precision.MONTH:
            return start, _after(at, year=at.year + at.month // 12, month=at.month % 12 + 1)
        case Precision.DAY:
            return start, start + 86_400_000_000
        case Precision.HOUR:
            return start, start + 3_600_000_000
        case Precision.MINUTE:
            return start, start + 60_000_000
        case Precision.SECOND if at.microsecond == 0:
            return start, start + 1_000_000
        case _:
            return start, start + (1_000 if at.microsecond % 1_000 == 0 else 1)


def _after(at: datetime, *, year: int, month: int = 1) -> int:
    if year > 9999:
        return micros(datetime.max.replace(tzinfo=at.tzinfo))
    return micros(at.replace(year=year, month=month, day=1))


# --- small values ------------------------------------------------------------------------------------------------------


def _uid(text: str) -> Uid:
    return str.__new__(Uid, text)


def _uid_or_none(text: str | None) -> Uid | None:
    return None if text is None else str.__new__(Uid, text)


def _moment(moment: Moment) -> list[Any]:
    return [moment.at.isoformat(), int(moment.precision), moment.zoned]


def _moment_of(value: list[Any] | None) -> Moment | None:
    if value is None:
        return None
    return Moment(datetime.fromisoformat(value[0]), _PRECISIONS[value[1]], value[2])


def _code(code: Code) -> list[str]:
    return [code.value, code.system, code.display]


def _code_of(value: list[str]) -> Code:
    return Code(value=value[0], system=value[1], display=value[2])


def _codes_of(values: Iterable[list[str]]) -> tuple[Code, ...]:
    return tuple([_code_of(value) for value in values])


def code_text(code: Code) -> str:
    """A code as columns and terms have it: display names never decide."""
    return f"{code.value}^^{code.system}"


def _identifier(identifier: PatientIdentifier) -> list[str]:
    return [identifier.value, identifier.authority]


def _identifier_of(value: list[str]) -> PatientIdentifier:
    return PatientIdentifier(value=value[0], authority=_uid(value[1]))


def _author(author: Author) -> list[Any]:
    return [author.person, author.institutions, author.roles, author.specialties, author.telecommunications]


def _author_of(value: list[Any]) -> Author:
    person, institutions, roles, specialties, telecommunications = value
    return Author(
        person=person,
        institutions=tuple(institutions),
        roles=tuple(roles),
        specialties=tuple(specialties),
        telecommunications=tuple(telecommunications),
    )


def _slots_of(values: Iterable[list[Any]]) -> Slots:
    return tuple([(name, tuple(each)) for name, each in values])


def _name(name: PersonName) -> list[str]:
    parts = [name.family, name.given, name.middle, name.prefix, name.suffix, name.ideographic, name.phonetic]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _name_of(parts: list[str]) -> PersonName:
    if not parts:
        return NO_NAME
    family, given, middle, prefix, suffix, ideographic, phonetic = parts + [""] * (7 - len(parts))
    return PersonName(
        family=family,
        given=given,
        middle=middle,
        prefix=prefix,
        suffix=suffix,
        ideographic=ideographic,
        phonetic=phonetic,
    )


def _accession(number: AccessionNumber) -> list[str | None]:
    return [number.value, number.authority]


def _accession_of(value: list[Any]) -> AccessionNumber:
    return AccessionNumber(value=value[0], authority=_uid_or_none(value[1]))


def _written(fields: Iterable[tuple[str, Any]]) -> Json:
    """Without what is empty; False and 0 are something."""
    return {name: value for name, value in fields if value is not None and value != "" and value != () and value != []}


# --- patients ----------------------------------------------------------------------------------------------------------


def patient_json(patient: Patient) -> Json:
    """A patient inside another body."""
    return _written(
        [
            ("ids", [_identifier(each) for each in patient.identifiers]),
            ("name", _name(patient.name)),
            ("birth", None if patient.birth_date is None else _moment(patient.birth_date)),
            ("sex", patient.sex.value),
            ("address", patient.address),
            ("active", None if patient.active else False),
            ("replaced_by", None if patient.replaced_by is None else _identifier(patient.replaced_by)),
        ]
    )


def patient_of_json(body: Json) -> Patient:
    """The patient."""
    replaced_by = body.get("replaced_by")
    return Patient(
        identifiers=tuple([_identifier_of(each) for each in body.get("ids", ())]),
        name=_name_of(body.get("name", [])),
        birth_date=_moment_of(body.get("birth")),
        sex=Sex(body["sex"]),
        address=body.get("address", ""),
        active=body.get("active", True),
        replaced_by=None if replaced_by is None else _identifier_of(replaced_by),
    )


def patient_body(patient: Patient) -> bytes:
    """A patient as a body of its own."""
    return orjson.dumps(patient_json(patient))


def patient_of(body: bytes) -> Patient:
    """Read it back."""
    return patient_of_json(orjson.loads(body))


# --- registry ----------------------------------------------------------------------------------------------------------


def entry_body(entry: DocumentEntry) -> bytes:
    """All of an entry but patient id, status and entryUUID."""
    return orjson.dumps(
        _written(
            [
                ("unique_id", entry.unique_id),
                ("class", _code(entry.class_code)),
                ("type", _code(entry.type_code)),
                ("format", _code(entry.format_code)),
                ("facility", _code(entry.healthcare_facility_type_code)),
                ("practice", _code(entry.practice_setting_code)),
                ("confidentiality", [_code(code) for code in entry.confidentiality_codes]),
                ("events", [_code(code) for code in entry.event_codes]),
                ("mime_type", entry.mime_type),
                ("entry_type", ENTRY_TYPES[entry.entry_type]),
                ("title", entry.title),
                ("comments", entry.comments),
                ("authors", [_author(author) for author in entry.authors]),
                ("legal_authenticator", entry.legal_authenticator),
                ("created", None if entry.creation_time is None else _moment(entry.creation_time)),
                ("start", None if entry.service_start_time is None else _moment(entry.service_start_time)),
                ("stop", None if entry.service_stop_time is None else _moment(entry.service_stop_time)),
                ("language", entry.language_code),
                ("source_id", None if entry.source_patient_id is None else _identifier(entry.source_patient_id)),
                ("source_patient", None if entry.source_patient is None else patient_json(entry.source_patient)),
                ("hash", entry.hash),
                ("size", entry.size_bytes),
                ("repository", entry.repository_unique_id),
                ("home", entry.home_community_id),
                ("uri", entry.uri),
                ("references", [[each.value, each.type, each.authority] for each in entry.reference_ids]),
                ("logical_id", entry.logical_id),
                ("version", None if entry.version == 1 else entry.version),
                ("extra", entry.extra),
            ]
        )
    )


def entry_of(body: bytes, entry_uuid: str, patient_id: PatientIdentifier, status: str) -> DocumentEntry:
    """The entry, as its row and body together say."""
    read: Json = orjson.loads(body)
    get = read.get
    source_id, source_patient = get("source_id"), get("source_patient")
    return DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=read["unique_id"],
        patient_id=patient_id,
        class_code=_code_of(read["class"]),
        type_code=_code_of(read["type"]),
        format_code=_code_of(read["format"]),
        healthcare_facility_type_code=_code_of(read["facility"]),
        practice_setting_code=_code_of(read["practice"]),
        confidentiality_codes=_codes_of(get("confidentiality", ())),
        event_codes=_codes_of(get("events", ())),
        mime_type=get("mime_type", ""),
        entry_type=ENTRY_TYPE_OF[read["entry_type"]],
        availability_status=STATUS_OF[status],
        title=get("title", ""),
        comments=get("comments", ""),
        authors=tuple([_author_of(author) for author in get("authors", ())]),
        legal_authenticator=get("legal_authenticator", ""),
        creation_time=_moment_of(get("created")),
        service_start_time=_moment_of(get("start")),
        service_stop_time=_moment_of(get("stop")),
        language_code=get("language", ""),
        source_patient_id=None if source_id is None else _identifier_of(source_id),
        source_patient=None if source_patient is None else patient_of_json(source_patient),
        hash=get("hash", ""),
        size_bytes=get("size"),
        repository_unique_id=_uid_or_none(get("repository")),
        home_community_id=_uid_or_none(get("home")),
        uri=get("uri", ""),
        reference_ids=tuple(
            [ReferenceId(value=value, type=type_, authority=by) for value, type_, by in get("references", ())]
        ),
        logical_id=get("logical_id", ""),
        version=get("version", 1),
        extra=_slots_of(get("extra", ())),
    )


def set_body(submission_set: SubmissionSet) -> bytes:
    """All of a submission set but patient id, status and entryUUID."""
    return orjson.dumps(
        _written(
            [
                ("unique_id", submission_set.unique_id),
                ("source", submission_set.source_id),
                ("content_type", _code(submission_set.content_type_code)),
                ("submitted", _moment(submission_set.submission_time)),
                ("title", submission_set.title),
                ("comments", submission_set.comments),
                ("authors", [_author(author) for author in submission_set.authors]),
                ("recipients", submission_set.intended_recipients),
                ("home", submission_set.home_community_id),
                ("extra", submission_set.extra),
            ]
        )
    )


def set_of(body: bytes, entry_uuid: str, patient_id: PatientIdentifier, status: str) -> SubmissionSet:
    """The submission set, as its row and body together say."""
    read: Json = orjson.loads(body)
    submitted = _moment_of(read["submitted"])
    assert submitted is not None
    return SubmissionSet(
        entry_uuid=entry_uuid,
        unique_id=read["unique_id"],
        source_id=read.get("source", ""),
        patient_id=patient_id,
        content_type_code=_code_of(read["content_type"]),
        submission_time=submitted,
        title=read.get("title", ""),
        comments=read.get("comments", ""),
        authors=tuple([_author_of(author) for author in read.get("authors", ())]),
        intended_recipients=tuple(read.get("recipients", ())),
        availability_status=STATUS_OF[status],
        home_community_id=_uid_or_none(read.get("home")),
        extra=_slots_of(read.get("extra", ())),
    )


def folder_body(folder: Folder) -> bytes:
    """All of a folder but patient id, status, entryUUID and time of last update."""
    return orjson.dumps(
        _written(
            [
                ("unique_id", folder.unique_id),
                ("codes", [_code(code) for code in folder.codes]),
                ("title", folder.title),
                ("comments", folder.comments),
                ("updated", None if folder.last_update_time is None else _moment(folder.last_update_time)),
                ("home", folder.home_community_id),
                ("logical_id", folder.logical_id),
                ("version", None if folder.version == 1 else folder.version),
                ("extra", folder.extra),
            ]
        )
    )


def folder_of(body: bytes, entry_uuid: str, patient_id: PatientIdentifier, status: str) -> Folder:
    """The folder, as its row and body together say."""
    read: Json = orjson.loads(body)
    return Folder(
        entry_uuid=entry_uuid,
        unique_id=read["unique_id"],
        patient_id=patient_id,
        codes=_codes_of(read.get("codes", ())),
        title=read.get("title", ""),
        comments=read.get("comments", ""),
        last_update_time=_moment_of(read.get("updated")),
        availability_status=STATUS_OF[status],
        home_community_id=_uid_or_none(read.get("home")),
        logical_id=read.get("logical_id", ""),
        version=read.get("version", 1),
        extra=_slots_of(read.get("extra", ())),
    )


def association_body(association: Association) -> bytes:
    """What an association has beside its columns."""
    return orjson.dumps(_written([("extra", association.extra)]))


def association_of(
    entry_uuid: str, type_: str, source: str, target: str, original: int | None, status: str, body: bytes
) -> Association:
    """The association."""
    return Association(
        entry_uuid=entry_uuid,
        type=AssociationType(type_),
        source=source,
        target=target,
        original=None if original is None else bool(original),
        availability_status=STATUS_OF[status],
        extra=() if body == b"{}" else _slots_of(orjson.loads(body).get("extra", ())),
    )


# --- studies -----------------------------------------------------------------------------------------------------------


def study_body(study: Study) -> bytes:
    """A study without its series."""
    return orjson.dumps(
        _written(
            [
                ("patient", patient_json(study.patient)),
                ("accessions", [_accession(number) for number in study.accession_numbers]),
                ("study_id", study.study_id),
                ("started", None if study.started is None else _moment(study.started)),
                ("description", study.description),
                ("referring", _name(study.referring_physician)),
                ("institution", study.institution),
                ("procedures", [_code(code) for code in study.procedure_codes]),
                ("orders", [_accession(number) for number in study.placer_orders]),
            ]
        )
    )


def study_of(body: bytes, study_instance_uid: str, series: tuple[Series, ...] = ()) -> Study:
    """The study with these series."""
    read: Json = orjson.loads(body)
    return Study(
        study_instance_uid=_uid(study_instance_uid),
        patient=patient_of_json(read["patient"]),
        accession_numbers=tuple([_accession_of(number) for number in read.get("accessions", ())]),
        study_id=read.get("study_id", ""),
        started=_moment_of(read.get("started")),
        description=read.get("description", ""),
        referring_physician=_name_of(read.get("referring", [])),
        institution=read.get("institution", ""),
        procedure_codes=_codes_of(read.get("procedures", ())),
        placer_orders=tuple([_accession_of(number) for number in read.get("orders", ())]),
        series=series,
    )


def series_body(series: Series) -> bytes:
    """A series without its instances."""
    return orjson.dumps(
        _written(
            [
                ("modality", series.modality),
                ("expected_modality", series.expected_modality),
                ("number", series.number),
                ("description", series.description),
                ("body_part", series.body_part),
                ("laterality", series.laterality),
                ("started", None if series.started is None else _moment(series.started)),
                ("location", series.retrieve_location_uid),
                ("url", series.retrieve_url),
                ("ae_title", series.retrieve_ae_title),
            ]
        )
    )


def series_of(body: bytes, series_instance_uid: str, instances: tuple[Instance, ...] = ()) -> Series:
    """The series with these instances."""
    read: Json = orjson.loads(body)
    return Series(
        series_instance_uid=_uid(series_instance_uid),
        modality=read.get("modality", ""),
        expected_modality=read.get("expected_modality", ""),
        number=read.get("number"),
        description=read.get("description", ""),
        body_part=read.get("body_part", ""),
        laterality=read.get("laterality", ""),
        started=_moment_of(read.get("started")),
        instances=instances,
        retrieve_location_uid=_uid_or_none(read.get("location")),
        retrieve_url=read.get("url", ""),
        retrieve_ae_title=read.get("ae_title", ""),
    )


def instance_of(row: Any) -> Instance:
    """An instance from the columns (uid, class, syntax, number, frames, rows, columns, size, sha256)."""
    uid, sop_class, syntax, number, frames, rows, columns, size_bytes, sha256 = row
    return Instance(
        sop_instance_uid=_uid(uid),
        sop_class_uid=_uid(sop_class),
        transfer_syntax_uid=_uid_or_none(syntax),
        number=number,
        frames=frames,
        rows=rows,
        columns=columns,
        size_bytes=size_bytes,
        sha256=sha256,
    )
