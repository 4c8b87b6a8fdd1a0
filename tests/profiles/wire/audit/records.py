"""Records for the audit tests: one of each kind that we write, and a strategy for any record at all."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from profiles.errors import PeerUnavailable, UnknownDocument
from profiles.model.audit import (
    Action,
    ActiveParticipant,
    AuditCode,
    AuditRecord,
    NetworkAccessPoint,
    Outcome,
    ParticipantObject,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.wire.audit import participants as p
from profiles.wire.audit.facts import Facts, Party, Side, StudyFact, User

AT = datetime(2026, 2, 1, 9, 12, 31, 120_000, tzinfo=UTC)
PATIENT = PatientIdentifier(value="V123", authority=Oid("1.2.3.4"))
STUDY = StudyFact(
    study_instance_uid="1.2.3.4.5",
    patient=PATIENT,
    accession_numbers=("A77",),
    sop_classes=(("1.2.840.10008.5.1.4.1.1.2", 60),),
)
DOCTOR = User(
    user_id="dr.a",
    user_name="DrA<dr.a@https://idp.example.org>",
    roles=(AuditCode(code="112247003", system="SNOMED CT", text="Medical doctor"),),
    purposes=(AuditCode(code="TREAT", system="2.16.840.1.113883.5.8", text="treatment"),),
)
FACTS = Facts(
    at=AT,
    source_id="valley",
    enterprise_site_id="1.2.3.1",
    local=Party(user_id="https://valley.example/soap/repository", network_address="valley.example", process_id="4711"),
    remote=Party(user_id=p.ANONYMOUS_REPLY, network_address="203.0.113.17"),
    user=DOCTOR,
)
ITI_41 = p.transaction_code("ITI-41", "Provide and Register Document Set-b")
ITI_43 = p.transaction_code("ITI-43", "Retrieve Document Set")
ITI_18 = p.transaction_code("ITI-18", "Registry Stored Query")
RAD_69 = p.transaction_code("RAD-69", "Retrieve Imaging Document Set")
ITI_8 = p.transaction_code("ITI-8", "Patient Identity Feed")
RAD_108 = p.transaction_code("RAD-108", "Store Instances Over the Web")


def asked(requestor: bool = True) -> tuple[ActiveParticipant, ActiveParticipant]:
    side = Side.RESPONDER
    return (
        p.source(p.initiator(side, FACTS), requestor=requestor),
        p.destination(p.responder(side, FACTS), requestor=False),
    )


def retrieved() -> tuple[ActiveParticipant, ActiveParticipant]:
    side = Side.RESPONDER
    return (
        p.source(p.responder(side, FACTS), requestor=False),
        p.destination(p.initiator(side, FACTS), requestor=True),
    )


KINDS: dict[str, AuditRecord] = {
    "a submission": p.record(
        p.IMPORT,
        Action.CREATE,
        FACTS,
        transaction=ITI_41,
        participants=asked(),
        objects=(p.patient_object(PATIENT), p.submission_set_object("1.2.3.77")),
    ),
    "a retrieve that failed": p.record(
        p.EXPORT,
        Action.READ,
        FACTS,
        transaction=ITI_43,
        participants=retrieved(),
        objects=(p.patient_object(PATIENT), p.document_object("1.2.3.5", "1.2.3.2", Oid("1.2.3.1"))),
        outcome=p.outcome_of(UnknownDocument("no such document", code="XDSDocumentUniqueIdError")),
        description=p.description_of(UnknownDocument("no such document", code="XDSDocumentUniqueIdError")),
    ),
    "a stored query": p.record(
        p.QUERY,
        Action.EXECUTE,
        FACTS,
        transaction=ITI_18,
        participants=asked(),
        objects=(
            p.patient_object(PATIENT),
            p.query_object(
                "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
                b"<AdhocQueryRequest/>",
                ITI_18,
                encoding="UTF-8",
                home=Oid("1.2.3.1"),
            ),
        ),
    ),
    "imaging retrieved": p.record(
        p.INSTANCES_TRANSFERRED,
        Action.READ,
        FACTS,
        transaction=RAD_69,
        participants=retrieved(),
        objects=(
            p.patient_object(PATIENT),
            p.study_object(
                STUDY, documents=("1.2.3.4.5.1.1",), series=("1.2.3.4.5.1",), repository_unique_id="1.2.3.2"
            ),
        ),
    ),
    "a merge": p.record(
        p.PATIENT_RECORD,
        Action.DELETE,
        FACTS,
        transaction=ITI_8,
        participants=asked(),
        objects=(p.patient_object(PATIENT, message_control_id="MSG00040"),),
    ),
    "instances stored": p.record(
        p.INSTANCES_TRANSFERRED,
        Action.CREATE,
        FACTS,
        transaction=RAD_108,
        participants=asked(),
        objects=(p.patient_object(PATIENT), p.study_object(STUDY)),
    ),
    "a search of studies": p.record(
        p.QUERY,
        Action.EXECUTE,
        FACTS,
        participants=asked(),
        objects=(p.dicom_query_object(b"/dicomweb/studies?PatientID=V123"),),
    ),
    "a report sent that nobody took": p.record(
        p.PROCEDURE_RECORD,
        Action.CREATE,
        FACTS,
        participants=asked(),
        objects=(p.patient_object(PATIENT), p.study_object(STUDY)),
        outcome=p.outcome_of(PeerUnavailable("no connection")),
        description=p.description_of(PeerUnavailable("no connection")),
    ),
    "an alert": p.record(
        p.SECURITY_ALERT,
        Action.EXECUTE,
        FACTS,
        transaction=p.NODE_AUTHENTICATION,
        participants=(p.system(FACTS.local, requestor=True), p.system(FACTS.remote, requestor=False)),
        objects=(p.alert_object("198.51.100.23", "TLS handshake failed"),),
        outcome=Outcome.MINOR_FAILURE,
    ),
    "the log looked at": p.record(
        p.AUDIT_LOG_USED,
        Action.READ,
        FACTS,
        participants=(),
        objects=(p.audit_log_object("https://valley.example/desk/audit?patient=V123"),),
    ),
}

# any character that XML 1.0 can carry
_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff", min_codepoint=0x20), max_size=24
)
_some = _text.filter(bool)
_codes = st.builds(AuditCode, code=_some, system=_text, text=_text)
_details = st.lists(st.tuples(_text, st.binary(max_size=12)), max_size=3).map(tuple)
_times = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=1)), timezone(-timedelta(hours=9, minutes=30))]),
)
_participants = st.builds(
    ActiveParticipant,
    user_id=_text,
    is_requestor=st.booleans(),
    alternative_user_id=_text,
    user_name=_text,
    roles=st.lists(_codes, max_size=2).map(tuple),
    network_access_point=_text,
    network_access_point_type=st.none() | st.sampled_from(NetworkAccessPoint),
    media=st.none() | _codes,
)


def _without_name_beside_query(subject: ParticipantObject) -> bool:
    return subject.query is None or not subject.name


_objects = st.builds(
    ParticipantObject,
    type_code=st.integers(1, 4),
    role=st.integers(1, 26),
    id_type=_codes,
    id=_text,
    life_cycle=st.none() | st.integers(1, 15),
    name=_text,
    query=st.none() | st.binary(max_size=40),
    details=_details,
    accessions=st.lists(_some, max_size=2).map(tuple),
    sop_classes=st.lists(st.tuples(_some, st.integers(0, 5000)), max_size=3).map(tuple),
    instances=st.lists(_some, max_size=3).map(tuple),
).filter(_without_name_beside_query)
RECORDS = st.builds(
    AuditRecord,
    event=_codes,
    action=st.sampled_from(Action),
    at=_times,
    outcome=st.sampled_from(Outcome),
    source_id=_text,
    participants=st.lists(_participants, min_size=1, max_size=3).map(tuple),
    objects=st.lists(_objects, max_size=3).map(tuple),
    types=st.lists(_codes, max_size=2).map(tuple),
    outcome_description=_text,
    purposes=st.lists(_codes, max_size=2).map(tuple),
    enterprise_site_id=_text,
    source_type=st.integers(1, 9),
)
