"""The building blocks of every transaction's `audit.py`: events, parties, people and the objects that an event is about.

What a newcomer gets wrong: in the retrieve transactions the responder is the *source* (the data goes from it) and the
initiator the *destination*, although the initiator is the requestor. And the two sides differ in the event, not in the
parties: what one side exports, the other imports.

Source: DICOM PS3.15 A.5.2, A.5.3; DICOM PS3.16 CID 400 to 405; ITI TF-2 3.20 and each transaction's security section.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from profiles.errors import ExchangeError, RequestError
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
from profiles.wire.audit.facts import Facts, Party, Side, StudyFact, User

# --- code systems, as audit messages name them ------------------------------------------------------------------------

DCM = "DCM"
RFC_3881 = "RFC-3881"  # with the hyphen; RFC3881 is a common mistake
IHE_TRANSACTIONS = "IHE Transactions"
IHE_XDS_METADATA = "IHE XDS Metadata"


def _dcm(code: str, text: str) -> AuditCode:
    return AuditCode(code=code, system=DCM, text=text)


def _rfc(code: str, text: str) -> AuditCode:
    return AuditCode(code=code, system=RFC_3881, text=text)


# --- EventID (CID 400) ------------------------------------------------------------------------------------------------

APPLICATION_ACTIVITY = _dcm("110100", "Application Activity")
AUDIT_LOG_USED = _dcm("110101", "Audit Log Used")
BEGIN_TRANSFERRING = _dcm("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = _dcm("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = _dcm("110104", "DICOM Instances Transferred")
STUDY_DELETED = _dcm("110105", "DICOM Study Deleted")
EXPORT = _dcm("110106", "Export")
IMPORT = _dcm("110107", "Import")
NETWORK_ENTRY = _dcm("110108", "Network Entry")
ORDER_RECORD = _dcm("110109", "Order Record")
PATIENT_RECORD = _dcm("110110", "Patient Record")
PROCEDURE_RECORD = _dcm("110111", "Procedure Record")
QUERY = _dcm("110112", "Query")
SECURITY_ALERT = _dcm("110113", "Security Alert")
USER_AUTHENTICATION = _dcm("110114", "User Authentication")

# --- EventTypeCode (CID 401) ------------------------------------------------------------------------------------------

APPLICATION_START = _dcm("110120", "Application Start")
APPLICATION_STOP = _dcm("110121", "Application Stop")
LOGIN = _dcm("110122", "Login")
LOGOUT = _dcm("110123", "Logout")
NODE_AUTHENTICATION = _dcm("110126", "Node Authentication")
EMERGENCY_OVERRIDE_STARTED = _dcm("110127", "Emergency Override Started")
NETWORK_CONFIGURATION = _dcm("110128", "Network Configuration")
SECURITY_CONFIGURATION = _dcm("110129", "Security Configuration")
SOFTWARE_CONFIGURATION = _dcm("110131", "Software Configuration")
USE_OF_RESTRICTED_FUNCTION = _dcm("110132", "Use of Restricted Function")
AUDIT_RECORDING_STOPPED = _dcm("110133", "Audit Recording Stopped")
AUDIT_RECORDING_STARTED = _dcm("110134", "Audit Recording Started")
AUTHENTICATION_DECISION = _dcm("110143", "Authentication Decision")
AUTHORIZATION_DECISION = _dcm("110144", "Authorization Decision")
ACCESS_CONTROL_DECISION = _dcm("110147", "Access Control Decision")

# --- RoleIDCode (CID 402) ---------------------------------------------------------------------------------------------

APPLICATION_ROLE = _dcm("110150", "Application")
LAUNCHER_ROLE = _dcm("110151", "Application Launcher")
DESTINATION_ROLE = _dcm("110152", "Destination Role ID")
SOURCE_ROLE = _dcm("110153", "Source Role ID")

# --- ParticipantObjectIDTypeCode --------------------------------------------------------------------------------------

PATIENT_NUMBER = _rfc("2", "Patient Number")
REPORT_NUMBER = _rfc("9", "Report Number")
USER_IDENTIFIER = _rfc("11", "User Identifier")
URI = _rfc("12", "URI")
STUDY_INSTANCE_UID = _dcm("110180", "Study Instance UID")
SOP_CLASS_UID = _dcm("110181", "SOP Class UID")
NODE_ID = _dcm("110182", "Node ID")
SUBMISSION_SET = AuditCode(
    code="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
    system=IHE_XDS_METADATA,
    text="submission set classificationNode",
)
OBJECT_REF = AuditCode(code="urn:ihe:iti:2017:ObjectRef", system=IHE_XDS_METADATA, text="registry object reference")

# --- ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole ------------------------------------------------------

PERSON = 1
SYSTEM = 2
ORGANIZATION = 3

ROLE_PATIENT = 1
ROLE_REPORT = 3
ROLE_MASTER_FILE = 5
ROLE_SECURITY_USER = 11
ROLE_SECURITY_RESOURCE = 13
ROLE_JOB = 20
ROLE_QUERY = 24

# --- ParticipantObjectDetail types, spelled as their own tables spell them --------------------------------------------

REPOSITORY_OF_DOCUMENT = "Repository Unique ID"  # ITI TF-2 3.43.6; some write "Id": compare without case
REPOSITORY_OF_INSTANCES = "Repository Unique Id"  # RAD-69
HOME_OF_DOCUMENT = "ihe:homeCommunityID"  # ITI-43, RAD-69; of a submission set ITI-80
HOME_OF_QUERY = "urn:ihe:iti:xca:2010:homeCommunityId"  # ITI-18, ITI-38: differs from ITI-43's on purpose
QUERY_ENCODING = "QueryEncoding"
DOCUMENT_UNIQUE_ID = "ihe:DocumentUniqueId"
SERIES_UNIQUE_ID = "Series Instance Unique Id"
MESSAGE_CONTROL_ID = "MSH-10"
MESSAGE_ID = "II"  # ITI-44: root^extension of the message
ALERT_DESCRIPTION = "Alert Description"

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve - FIND: QIDO-RS is that query over HTTP (DICOM PS3.18 10.6)."""

ANONYMOUS_REPLY = "http://www.w3.org/2005/08/addressing/anonymous"
"""The user id of a SOAP client that named no reply address."""


def transaction_code(id: str, name: str) -> AuditCode:
    """The EventTypeCode of an IHE transaction: `transaction_code("ITI-41", "Provide and Register Document Set-b")`."""
    return AuditCode(code=id, system=IHE_TRANSACTIONS, text=name)


# --- who --------------------------------------------------------------------------------------------------------------


def initiator(side: Side, facts: Facts) -> Party:
    """The system that sent the request; `side` is whose record it is."""
    return facts.local if side is Side.INITIATOR else facts.remote


def responder(side: Side, facts: Facts) -> Party:
    """The system that was asked."""
    return facts.remote if side is Side.INITIATOR else facts.local


@lru_cache(maxsize=4096)
def access_point(address: str) -> NetworkAccessPoint | None:
    """NetworkAccessPointTypeCode of an address: 2 for an IP address, 1 for a name, None for nothing."""
    if not address:
        return None
    try:
        ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return NetworkAccessPoint.NAME
    return NetworkAccessPoint.ADDRESS


def system(party: Party, *, requestor: bool, role: AuditCode | None = None) -> ActiveParticipant:
    """A system that took part, with the given role or none."""
    return ActiveParticipant(
        user_id=party.user_id or party.network_address or "unknown",
        alternative_user_id=party.process_id,
        is_requestor=requestor,
        roles=() if role is None else (role,),
        network_access_point=party.network_address,
        network_access_point_type=access_point(party.network_address),
    )


def source(party: Party, *, requestor: bool) -> ActiveParticipant:
    """The system that the data (or the question) comes from: role 110153."""
    return system(party, requestor=requestor, role=SOURCE_ROLE)


def destination(party: Party, *, requestor: bool) -> ActiveParticipant:
    """The system that the data (or the question) goes to: role 110152."""
    return system(party, requestor=requestor, role=DESTINATION_ROLE)


def person(user: User, *, requestor: bool = True) -> ActiveParticipant:
    """The person for whom a system acts; `record` adds the one of the facts by itself."""
    return ActiveParticipant(user_id=user.user_id, user_name=user.user_name, is_requestor=requestor, roles=user.roles)


_SYSTEM_ROLES = frozenset({"110150", "110152", "110153", "110154", "110155"})  # application, destination, source, media


def is_system(who: ActiveParticipant) -> bool:
    """A process or a medium and not a person: by its role, its process id, or because its id is an address."""
    return (
        any(role.code in _SYSTEM_ROLES for role in who.roles)
        or bool(who.alternative_user_id)
        or "://" in who.user_id
        or "|" in who.user_id
        or (bool(who.user_id) and who.user_id == who.network_access_point)
        or access_point(who.user_id) is NetworkAccessPoint.ADDRESS
    )


# --- about what -------------------------------------------------------------------------------------------------------


def _details(*pairs: tuple[str, str]) -> tuple[tuple[str, bytes], ...]:
    return tuple((kind, value.encode()) for kind, value in pairs if value)


def patient_object(
    identifier: PatientIdentifier, *, message_control_id: str = "", message_id: str = ""
) -> ParticipantObject:
    """The patient, as `id^^^&oid&ISO`, without a name. HL7 v2 feeds add their MSH-10, V3 feeds the id of the message.

    Source: ITI TF-2 3.8.5.1, 3.41.5.1, 3.44.5.1 (Patient rows).
    """
    return ParticipantObject(
        type_code=PERSON,
        role=ROLE_PATIENT,
        id_type=PATIENT_NUMBER,
        id=str(identifier),
        details=_details((MESSAGE_CONTROL_ID, message_control_id), (MESSAGE_ID, message_id)),
    )


def submission_set_object(unique_id: str, home: Oid | None = None) -> ParticipantObject:
    """The submission set, by its uniqueId and not by its entryUUID; and the community that it is for, if it names one.

    Source: ITI TF-2 3.41.5.1, 3.42.5.1, 3.80.5.
    """
    return ParticipantObject(
        type_code=SYSTEM, role=ROLE_JOB, id_type=SUBMISSION_SET, id=unique_id,
        details=_details((HOME_OF_DOCUMENT, home.urn if home else "")),
    )  # fmt: skip


def metadata_object(entry_uuid: str) -> ParticipantObject:
    """A registry object, by its entryUUID.

    Source: ITI TF-2 3.62.5.1.
    """
    return ParticipantObject(type_code=SYSTEM, role=ROLE_REPORT, id_type=OBJECT_REF, id=entry_uuid)


def document_object(unique_id: str, repository_unique_id: str = "", home: Oid | None = None) -> ParticipantObject:
    """A document that was retrieved.

    Source: ITI TF-2 3.43.6.
    """
    return ParticipantObject(
        type_code=SYSTEM,
        role=ROLE_REPORT,
        id_type=REPORT_NUMBER,
        id=unique_id,
        details=_details((REPOSITORY_OF_DOCUMENT, repository_unique_id), (HOME_OF_DOCUMENT, home.urn if home else "")),
    )


def study_object(
    fact: StudyFact,
    *,
    documents: Iterable[str] = (),
    series: Iterable[str] = (),
    repository_unique_id: str = "",
    home: Oid | None = None,
) -> ParticipantObject:
    """A study, with accession numbers and the number of instances of each SOP class.

    RAD-69 and RAD-75 name `documents` (SOP Instance UIDs) and `series` as well. Give all of them: what does not fit into
    a syslog message is left out when the message is written, counts stay.

    Source: DICOM PS3.15 A.5.3 (Study rows).
    """
    return ParticipantObject(
        type_code=SYSTEM,
        role=ROLE_REPORT,
        id_type=STUDY_INSTANCE_UID,
        id=fact.study_instance_uid,
        details=_details(
            (REPOSITORY_OF_INSTANCES, repository_unique_id),
            (HOME_OF_DOCUMENT, home.urn if home else ""),
            *((SERIES_UNIQUE_ID, uid) for uid in series),
            *((DOCUMENT_UNIQUE_ID, uid) for uid in documents),
        ),
        accessions=fact.accession_numbers,
        sop_classes=fact.sop_classes,
    )


def query_object(
    id: str,
    query: bytes,
    code: AuditCode,
    *,
    encoding: str = "",
    home: Oid | None = None,
    message_control_id: str = "",
) -> ParticipantObject:
    """A question of an IHE transaction, as it was asked; `code` is the transaction's own code.

    ITI-18 and ITI-38: `id` is the query's UUID with `urn:uuid:`, `query` the AdhocQueryRequest, `encoding` "UTF-8".
    HL7 v2: `query` is the message and `message_control_id` its MSH-10. FHIR: `query` is the URL, or the body of a POST.

    Source: ITI TF-2 3.18.5.1, 3.9.5.1.
    """
    return ParticipantObject(
        type_code=SYSTEM,
        role=ROLE_QUERY,
        id_type=code,
        id=id,
        query=query,
        details=_details(
            (QUERY_ENCODING, encoding),
            (HOME_OF_QUERY, home.urn if home else ""),
            (MESSAGE_CONTROL_ID, message_control_id),
        ),
    )


def dicom_query_object(
    query: bytes, sop_class_uid: str = STUDY_ROOT_FIND, *, encoding: str = "UTF-8"
) -> ParticipantObject:
    """A question of DICOM: C-FIND's dataset, or the path and query string of QIDO-RS.

    Source: DICOM PS3.15 A.5.3.10.
    """
    return ParticipantObject(
        type_code=SYSTEM,
        role=ROLE_REPORT,
        id_type=SOP_CLASS_UID,
        id=sop_class_uid,
        query=query,
        details=_details((QUERY_ENCODING, encoding)),
    )


def alert_object(subject: str, text: str) -> ParticipantObject:
    """What a security alert is about: a node by name or address, or a URI. `text` is for a person; no patient data.

    Source: DICOM PS3.15 A.5.3.11.
    """
    return ParticipantObject(
        type_code=SYSTEM,
        role=ROLE_SECURITY_RESOURCE,
        id_type=URI if "://" in subject else NODE_ID,
        id=subject,
        details=_details((ALERT_DESCRIPTION, text)),
    )


def community_object(home: Oid, organization: str = "") -> ParticipantObject:
    """The community for which a person works, as an assertion says. It has no place in a person's own row.

    Source: RFC 3881 5.5 (organization, security user entity); ITI TF-2 3.40.4.1.2 (homeCommunityId).
    """
    return ParticipantObject(
        type_code=ORGANIZATION, role=ROLE_SECURITY_USER, id_type=URI, id=home.urn, name=organization
    )


def audit_log_object(uri: str) -> ParticipantObject:
    """The audit log itself, by the address that was used to look at it.

    Source: DICOM PS3.15 A.5.3.2.
    """
    return ParticipantObject(
        type_code=SYSTEM, role=ROLE_SECURITY_RESOURCE, id_type=URI, id=uri, name="Security Audit Log"
    )


# --- the record -------------------------------------------------------------------------------------------------------


def outcome_of(error: ExchangeError | None) -> Outcome:
    """0 without an error, 4 where the peer must change what it sent, 8 where we or somebody we depend on failed."""
    if error is None:
        return Outcome.SUCCESS
    return Outcome.MINOR_FAILURE if isinstance(error, RequestError) else Outcome.SERIOUS_FAILURE


def description_of(error: ExchangeError | None) -> str:
    """EventOutcomeDescription: the wire's code if there is one, and the sentence that the peer was told."""
    if error is None:
        return ""
    return f"{error.code}: {error.detail}" if error.code else error.detail


def record(
    event: AuditCode,
    action: Action,
    facts: Facts,
    *,
    participants: Sequence[ActiveParticipant],
    objects: Sequence[ParticipantObject] = (),
    transaction: AuditCode | None = None,
    outcome: Outcome | None = None,
    description: str | None = None,
) -> AuditRecord:
    """One record: time, source, person and community from the facts, outcome and its description from their error.

    Args:
        event: EventID.
        action: EventActionCode.
        facts: What the house knew.
        participants: The systems, in the order of the transaction's table; the person of the facts is added behind.
        objects: What it was about; one patient at most.
        transaction: EventTypeCode, if there is one.
        outcome: Where it is not that of the facts' error: one document of several was not there.
        description: The same for EventOutcomeDescription.
    """
    user = facts.user
    return AuditRecord(
        event=event,
        action=action,
        at=facts.at,
        outcome=outcome_of(facts.error) if outcome is None else outcome,
        source_id=facts.source_id,
        participants=(*participants, *((person(user),) if user else ())),
        objects=(*objects, *_community_of(user)),
        types=() if transaction is None else (transaction,),
        outcome_description=description_of(facts.error) if description is None else description,
        purposes=user.purposes if user else (),
        enterprise_site_id=facts.enterprise_site_id,
    )


def _community_of(user: User | None) -> tuple[ParticipantObject, ...]:
    if user is None or user.home_community_id is None:
        return ()
    return (community_object(user.home_community_id, user.organization),)


def for_each_patient(patients: Iterable[PatientIdentifier]) -> Iterator[tuple[ParticipantObject, ...]]:
    """The patient objects of each record: one patient a record; one record without any when nobody is known.

    Source: ITI TF-2 3.20 (one patient per message).
    """
    found = False
    for patient in dict.fromkeys(patients):
        found = True
        yield (patient_object(patient),)
    if not found:
        yield ()


def of_a_merge(
    pairs: Sequence[tuple[PatientIdentifier, PatientIdentifier]],
    subsumed: Sequence[PatientIdentifier],
    surviving: PatientIdentifier | None,
) -> tuple[tuple[Action, PatientIdentifier | None], ...]:
    """Whom each record of a merge is about, and what was done: of each pair the one who goes and the one who stays.

    A merge that breaks the rules has no pair; it is recorded with what it did name.

    Source: ITI TF-2 3.8.5.1, 3.44.5.1.
    """
    named = pairs or ((next(iter(subsumed), None), surviving),)
    return tuple(each for goes, stays in named for each in ((Action.DELETE, goes), (Action.UPDATE, stays)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeGroup:
    """The parts of one exchange that share an outcome."""

    outcome: Outcome
    description: str
    parts: tuple[str, ...]


def for_each_outcome(facts: Facts, asked: Iterable[str]) -> Iterator[OutcomeGroup]:
    """One group per outcome: what was handed over, and what was not; 1..2 groups.

    A retrieve of several documents of which some failed is two records (ITI TF-2 3.43.6). What went out whole before
    an error is a success: the other side has it.

    Args:
        facts: `delivered` and `undelivered` decide; where both are empty, the error does for all.
        asked: What was asked for, in order; also the parts where the facts name none.
    """
    if not facts.delivered and not facts.undelivered:
        yield OutcomeGroup(outcome=outcome_of(facts.error), description=description_of(facts.error), parts=tuple(asked))
        return
    if facts.delivered:
        yield OutcomeGroup(outcome=Outcome.SUCCESS, description="", parts=facts.delivered)
    if facts.error:
        delivered = frozenset(facts.delivered)
        missing = facts.undelivered or tuple(part for part in asked if part not in delivered) or facts.delivered
        yield OutcomeGroup(outcome=outcome_of(facts.error), description=description_of(facts.error), parts=missing)
    elif facts.undelivered:
        yield OutcomeGroup(outcome=Outcome.MINOR_FAILURE, description="not available here", parts=facts.undelivered)
