"""Builders for what a registry and an index hold: people and documents of nobody."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from gateway.model.job import Direction, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.ports.studies import ArrivedInstance
from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
DOMAIN = Oid("1.2.3.9")
OTHER_DOMAIN = Oid("1.2.4.4")
ANN = PatientIdentifier(value="ann", authority=DOMAIN)
BEN = PatientIdentifier(value="ben", authority=DOMAIN)
CAT = PatientIdentifier(value="cat", authority=DOMAIN)
CLASS = Code(value="IMG", system="1.2.3.100", display="Images")
CT = Code(value="CT", system="1.2.840.10008.2.16.4")
MR = Code(value="MR", system="1.2.840.10008.2.16.4")
HEAD = Code(value="T-D1100", system="SRT")
NORMAL = Code(value="N", system="2.16.840.1.113883.5.25")
RESTRICTED = Code(value="R", system="2.16.840.1.113883.5.25")

_numbers = count(1)


def entry_uuid() -> str:
    """A new one."""
    return f"urn:uuid:{uuid.uuid4()}"


def unique_id() -> str:
    """A new OID."""
    return f"1.2.3.77.{next(_numbers)}"


def entry(patient_id: PatientIdentifier = ANN, **fields: object) -> DocumentEntry:
    """A document entry; give what matters."""
    given: dict[str, object] = {
        "entry_uuid": entry_uuid(),
        "unique_id": unique_id(),
        "patient_id": patient_id,
        "class_code": CLASS,
        "type_code": CLASS,
        "format_code": CLASS,
        "healthcare_facility_type_code": CLASS,
        "practice_setting_code": CLASS,
        "confidentiality_codes": (NORMAL,),
        "creation_time": Moment(NOW),
        "hash": "0" * 40,
        "size_bytes": 10,
    }
    return DocumentEntry(**given | fields)  # type: ignore[arg-type]


def folder(patient_id: PatientIdentifier = ANN, **fields: object) -> Folder:
    """A folder."""
    given: dict[str, object] = {"entry_uuid": entry_uuid(), "unique_id": unique_id(), "patient_id": patient_id}
    return Folder(**given | fields)  # type: ignore[arg-type]


def submission(
    *entries: DocumentEntry,
    folders: tuple[Folder, ...] = (),
    associations: tuple[Association, ...] = (),
    patient_id: PatientIdentifier = ANN,
    **fields: object,
) -> Submission:
    """A submission set with these documents and folders as its members."""
    given: dict[str, object] = {
        "entry_uuid": entry_uuid(),
        "unique_id": unique_id(),
        "source_id": "1.2.3.55",
        "patient_id": patient_id,
        "content_type_code": CLASS,
        "submission_time": Moment(NOW),
    }
    submission_set = SubmissionSet(**given | fields)  # type: ignore[arg-type]
    members = tuple(
        relation(AssociationType.HAS_MEMBER, submission_set.entry_uuid, each.entry_uuid, original=True)
        for each in (*entries, *folders)
    )
    return Submission(
        submission_set=submission_set, entries=entries, folders=folders, associations=(*members, *associations)
    )


def relation(type_: AssociationType, source: str, target: str, *, original: bool | None = None) -> Association:
    """An association."""
    return Association(entry_uuid=entry_uuid(), type=type_, source=source, target=target, original=original)


def patient(*identifiers: PatientIdentifier, family: str = "Doe", given: str = "Jane", **fields: object) -> Patient:
    """A patient, born on a day in 1970 unless said otherwise."""
    told: dict[str, object] = {
        "identifiers": identifiers or (ANN,),
        "name": PersonName(family=family, given=given),
        "birth_date": Moment.from_dtm("19700203"),
        "sex": Sex.FEMALE,
    }
    return Patient(**told | fields)  # type: ignore[arg-type]


def study(uid: str = "1.2.3.50.1", *series: Series, of: Patient | None = None, **fields: object) -> Study:
    """A study."""
    told: dict[str, object] = {
        "study_instance_uid": Uid(uid),
        "patient": of or patient(),
        "accession_numbers": (AccessionNumber(value="A1", authority=Oid("1.2.3.5")),),
        "started": Moment(NOW),
        "description": "CT Schädel",
        "series": series,
    }
    return Study(**told | fields)  # type: ignore[arg-type]


def series(uid: str, *instances: Instance, number: int | None = 1, **fields: object) -> Series:
    """A CT series."""
    told: dict[str, object] = {
        "series_instance_uid": Uid(uid),
        "modality": "CT",
        "number": number,
        "instances": instances,
    }
    return Series(**told | fields)  # type: ignore[arg-type]


def instance(uid: str, number: int | None = None, **fields: object) -> Instance:
    """A CT instance."""
    told: dict[str, object] = {
        "sop_instance_uid": Uid(uid),
        "sop_class_uid": Uid("1.2.840.10008.5.1.4.1.1.2"),
        "transfer_syntax_uid": Uid("1.2.840.10008.1.2.1"),
        "number": number,
        "rows": 512,
        "columns": 512,
        "size_bytes": 526_000,
    }
    return Instance(**told | fields)  # type: ignore[arg-type]


def arrived(whole: Study) -> list[ArrivedInstance]:
    """Every instance of a study as the archive hands it over: one series with one instance each."""
    return [
        ArrivedInstance(
            study=_one(whole, one_series, one),
            metadata=b'{"00080018":{"vr":"UI","Value":["%s"]}}' % one.sop_instance_uid.encode(),
        )
        for one_series, one in whole.instances()
    ]


def _one(whole: Study, one_series: Series, one: Instance) -> Study:
    return replace(whole, series=(replace(one_series, instances=(one,)),))


def exchange(id_: str, peer: str = "Lakeside", **fields: object) -> ExchangeJob:
    """An exchange that has just come in."""
    told: dict[str, object] = {
        "id": id_,
        "kind": Kind.RECEIVE,
        "state": State.RECEIVED,
        "opened_at": NOW,
        "updated_at": NOW,
        "peer": peer,
    }
    return ExchangeJob(**told | fields)  # type: ignore[arg-type]


def step(exchange_id: str, at: datetime = NOW, **fields: object) -> Step:
    """A line of a timeline."""
    told: dict[str, object] = {
        "exchange_id": exchange_id,
        "at": at,
        "transaction": "RAD-69",
        "direction": Direction.OUT,
        "outcome": StepOutcome.SUCCESS,
        "text": "Asked for 100 instances",
    }
    return Step(**told | fields)  # type: ignore[arg-type]
