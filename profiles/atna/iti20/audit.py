"""The events of ITI-20 that belong to no transaction: the application itself, people at it, its audit log.

Each function answers a tuple, as every transaction's audit rule does. `house` is us; texts are for people and hold no
patient data.

Source: ITI TF-2 3.20.4.1.1.1 (table of events); DICOM PS3.15 A.5.3.1, A.5.3.2, A.5.3.11, A.5.3.12.
"""

from collections.abc import Iterable
from datetime import datetime

from profiles.model.audit import Action, ActiveParticipant, AuditCode, AuditRecord, Outcome, ParticipantObject
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Facts, Party, StudyFact, User
from profiles.wire.audit.participants import (
    APPLICATION_ACTIVITY,
    APPLICATION_ROLE,
    APPLICATION_START,
    APPLICATION_STOP,
    AUDIT_LOG_USED,
    AUDIT_RECORDING_STARTED,
    AUDIT_RECORDING_STOPPED,
    LAUNCHER_ROLE,
    LOGIN,
    LOGOUT,
    PATIENT_RECORD,
    PROCEDURE_RECORD,
    SECURITY_ALERT,
    SOFTWARE_CONFIGURATION,
    USE_OF_RESTRICTED_FUNCTION,
    USER_AUTHENTICATION,
    access_point,
    alert_object,
    audit_log_object,
    patient_object,
    person,
    record,
    study_object,
    system,
)

SEARCH_CRITERIA = "Search Criteria"
"""The detail of an Audit Log Used that says what was looked for."""


def _facts(at: datetime, source_id: str, house: Party, site: str) -> Facts:
    return Facts(at=at, source_id=source_id, enterprise_site_id=site, local=house, remote=house)


def _at_desk(name: str, address: str = "") -> ActiveParticipant:
    """A person, with the address of the screen if it is known."""
    return ActiveParticipant(
        user_id=name,
        is_requestor=True,
        network_access_point=address,
        network_access_point_type=access_point(address),
    )


# --- the application --------------------------------------------------------------------------------------------------


def application_started(
    *, at: datetime, source_id: str, house: Party, launcher: str = "", enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """We are up. `launcher` is the account that started us."""
    return _activity(APPLICATION_START, at, source_id, house, launcher, enterprise_site_id)


def application_stopped(
    *, at: datetime, source_id: str, house: Party, launcher: str = "", enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """We go down in order: the last record of a run."""
    return _activity(APPLICATION_STOP, at, source_id, house, launcher, enterprise_site_id)


def _activity(
    kind: AuditCode, at: datetime, source_id: str, house: Party, launcher: str, site: str
) -> tuple[AuditRecord, ...]:
    started_by = person(User(user_id=launcher, roles=(LAUNCHER_ROLE,)))
    return (
        record(
            APPLICATION_ACTIVITY,
            Action.EXECUTE,
            _facts(at, source_id, house, site),
            transaction=kind,
            participants=(
                system(house, requestor=False, role=APPLICATION_ROLE),
                *((started_by,) if launcher else ()),
            ),
        ),
    )


# --- people -----------------------------------------------------------------------------------------------------------


def logged_in(
    *,
    at: datetime,
    source_id: str,
    house: Party,
    person: str,
    address: str = "",
    failure: str = "",
    enterprise_site_id: str = "",
) -> tuple[AuditRecord, ...]:
    """Somebody logged in, or tried to: `failure` says why not."""
    return _authentication(LOGIN, at, source_id, house, _at_desk(person, address), failure, enterprise_site_id)


def logged_out(
    *, at: datetime, source_id: str, house: Party, person: str, address: str = "", enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """Somebody logged out."""
    return _authentication(LOGOUT, at, source_id, house, _at_desk(person, address), "", enterprise_site_id)


def _authentication(
    kind: AuditCode, at: datetime, source_id: str, house: Party, who: ActiveParticipant, failure: str, site: str
) -> tuple[AuditRecord, ...]:
    return (
        record(
            USER_AUTHENTICATION,
            Action.EXECUTE,
            _facts(at, source_id, house, site),
            transaction=kind,
            participants=(who, system(house, requestor=False)),
            outcome=Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS,
            description=failure,
        ),
    )


def operator_decision(
    *,
    at: datetime,
    source_id: str,
    house: Party,
    person: str,
    text: str,
    patient: PatientIdentifier | None = None,
    study_instance_uid: str = "",
    enterprise_site_id: str = "",
) -> tuple[AuditRecord, ...]:
    """A person decided about what we hold: whose study it is, to go on, to give up.

    It is a change of the procedure record where a study is known, else of the patient record, else the use of a
    restricted function.
    """
    objects: list[ParticipantObject] = [] if patient is None else [patient_object(patient)]
    if study_instance_uid:
        objects.append(study_object(StudyFact(study_instance_uid=study_instance_uid)))
    elif patient is None:
        return restricted_function_used(
            at=at, source_id=source_id, house=house, person=person, text=text, enterprise_site_id=enterprise_site_id
        )
    return (
        record(
            PROCEDURE_RECORD if study_instance_uid else PATIENT_RECORD,
            Action.UPDATE,
            _facts(at, source_id, house, enterprise_site_id),
            participants=(_at_desk(person), system(house, requestor=False)),
            objects=objects,
            description=text,
        ),
    )


def restricted_function_used(
    *,
    at: datetime,
    source_id: str,
    house: Party,
    person: str,
    text: str,
    patients: Iterable[PatientIdentifier] = (),
    address: str = "",
    enterprise_site_id: str = "",
) -> tuple[AuditRecord, ...]:
    """A person did what few may: looked at a raw message, exported, cancelled; `patients`: whom it was about, 0..n."""
    return _alert(
        USE_OF_RESTRICTED_FUNCTION, at, source_id, house, (_at_desk(person, address),), text, enterprise_site_id,
        about=map(patient_object, patients),
    )  # fmt: skip


def configuration_changed(
    *, at: datetime, source_id: str, house: Party, person: str, text: str, enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """A person changed how we work."""
    return _alert(SOFTWARE_CONFIGURATION, at, source_id, house, (_at_desk(person),), text, enterprise_site_id)


# --- the audit log ----------------------------------------------------------------------------------------------------


def audit_log_used(
    *,
    at: datetime,
    source_id: str,
    house: Party,
    person: str,
    query: bytes,
    address: str = "",
    enterprise_site_id: str = "",
) -> tuple[AuditRecord, ...]:
    """Somebody looked at the audit log; `query` is what they looked for."""
    log = audit_log_object(f"{house.user_id}/audit")
    searched = ParticipantObject(
        type_code=log.type_code,
        role=log.role,
        id_type=log.id_type,
        id=log.id,
        name=log.name,
        details=((SEARCH_CRITERIA, query),) if query else (),
    )
    return (
        record(
            AUDIT_LOG_USED,
            Action.READ,
            _facts(at, source_id, house, enterprise_site_id),
            participants=(_at_desk(person, address), system(house, requestor=False)),
            objects=(searched,),
        ),
    )


def forwarding_stopped(
    *, at: datetime, source_id: str, house: Party, collector: str, reason: str, enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """A collector cannot be reached: records are kept here until it can."""
    text = f"audit records do not reach {collector} and are kept here: {reason}"
    return _alert(
        AUDIT_RECORDING_STOPPED, at, source_id, house, (), text, enterprise_site_id, collector, Outcome.SERIOUS_FAILURE
    )


def forwarding_resumed(
    *, at: datetime, source_id: str, house: Party, collector: str, enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """The collector takes records again, beginning with those that were kept."""
    text = f"audit records reach {collector} again"
    return _alert(AUDIT_RECORDING_STARTED, at, source_id, house, (), text, enterprise_site_id, collector)


def log_damaged(
    *, at: datetime, source_id: str, house: Party, text: str, enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """The audit log does not verify: outcome 12, for nothing that it says can be relied on from there."""
    return _alert(
        AUDIT_RECORDING_STOPPED, at, source_id, house, (), text, enterprise_site_id, "", Outcome.MAJOR_FAILURE
    )


def _alert(
    kind: AuditCode,
    at: datetime,
    source_id: str,
    house: Party,
    people: tuple[ActiveParticipant, ...],
    text: str,
    site: str,
    subject: str = "",
    outcome: Outcome = Outcome.SUCCESS,
    about: Iterable[ParticipantObject] = (),
) -> tuple[AuditRecord, ...]:
    return (
        record(
            SECURITY_ALERT,
            Action.EXECUTE,
            _facts(at, source_id, house, site),
            transaction=kind,
            participants=(*people, system(house, requestor=not people)),
            objects=(alert_object(subject or house.user_id, text), *about),
            outcome=outcome,
            description=text,
        ),
    )
