"""ITI-20 of a secure node: what others do with it comes to the audit repository, whole, soon, and true.

Source: ITI TF-2 3.20 and the audit sections of each transaction; DICOM PS3.15 A.5; RFC 5424, RFC 5425.
"""

from collections.abc import Callable
from dataclasses import replace

from lxml import etree

from conformance.case import case
from conformance.expect import expect
from conformance.samples import sample_uid
from conformance.simulators.audit_repository import AuditMessage
from conformance.submissions import document, new_uid, provided
from conformance.suites.pix.messages import adt, cx, new_patient, pid, taken
from conformance.suites.wia.dicomweb import ANY_SYNTAX, results, retrieved
from conformance.suites.xds.documents import APPROVED, fetched, found, submitted
from conformance.suites.xdsi.source_retrieve import of
from conformance.target import Target
from profiles.model.audit import Action, AuditRecord, Outcome, ParticipantObject
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.xml import parse
from profiles.xds.iti18 import StoredQuery
from profiles.xds.iti41 import ITI_41
from profiles.xdsi.rad69 import RAD_69

NODE = Actor.SECURE_NODE
SOURCE, DESTINATION = "110153", "110152"
QUERY, EXPORT, IMPORT, PATIENT_RECORD, TRANSFERRED = "110112", "110106", "110107", "110110", "110104"
MAX_DELAY_S = 10.0
MAX_BYTES = 1024 * 1024
REQUIRED = {  # PS3.15 A.5.1, in the order of the schema: element -> attributes
    "EventIdentification": ("EventActionCode", "EventDateTime", "EventOutcomeIndicator"),
    "ActiveParticipant": ("UserID", "UserIsRequestor"),
    "AuditSourceIdentification": ("AuditSourceID",),
    "ParticipantObjectIdentification": ("ParticipantObjectID", "ParticipantObjectTypeCode"),
}


@case(
    "ITI20/frame",
    "ITI20/syslog",
    "ITI20/message",
    transaction="ITI-20",
    actor=NODE,
    title="A message is syslog with an AuditMessage in it",
)
async def well_formed(target: Target) -> None:
    """Frame, header and content."""
    message = await _of_a_query(target)
    syslog = message.syslog
    assert syslog is not None
    expect(syslog.priority, "PRI").equals(85)
    expect(syslog.message_id, "MSGID").is_one_of("IHE+RFC-3881", "DICOM+RFC3881")
    expect(syslog.at, "TIMESTAMP").is_there()
    expect(syslog.at.endswith("Z") or syslog.at[-6] in "+-", "whether TIMESTAMP has a zone").equals(True)
    expect(syslog.host, "HOSTNAME").is_there()
    expect(syslog.application, "APP-NAME").is_there()
    expect(message.findings, "what is odd about the AuditMessage").is_absent()
    _complete(parse(syslog.content.strip(), max_bytes=MAX_BYTES))
    expect(target.audit.problems, "what is odd about the frames").is_absent()


@case("ITI20/prompt", transaction="ITI-20", actor=NODE, title="A message comes soon, with the time of its event")
async def prompt(target: Target) -> None:
    """Both clocks are this machine's, or nearly so."""
    message = await _of_a_query(target)
    assert message.record is not None
    delay_s = message.at - message.record.at.timestamp()
    expect(abs(delay_s) <= MAX_DELAY_S, f"whether {delay_s:.1f} s between event and arrival are few").equals(True)


@case("ITI20/participants", transaction="ITI-20", actor=NODE, title="Source and destination are named, and who asked")
async def participants(target: Target) -> None:
    """By their roles."""
    record = (await _of_a_query(target)).record
    assert record is not None
    roles = {role.code: each for each in record.participants for role in each.roles}
    expect(set(roles), "the roles").contains(SOURCE, DESTINATION)
    expect(roles[SOURCE].is_requestor, "whether the consumer asked").equals(True)
    expect(roles[DESTINATION].user_id, "UserID of the registry").equals(target.endpoint("ITI-18"))
    expect(roles[DESTINATION].alternative_user_id, "AlternativeUserID of the registry").is_there()
    for end in (SOURCE, DESTINATION):
        expect(roles[end].network_access_point, "NetworkAccessPointID").is_there()


@case("ITI20/query", transaction="ITI-20", actor=NODE, title="A query is audited with patient and question")
async def queried(target: Target) -> None:
    """The question as it was asked."""
    record = (await _of_a_query(target)).record
    assert record is not None
    expect((record.action, record.outcome), "action and outcome").equals((Action.EXECUTE, Outcome.SUCCESS))
    _has_patient(record, target.patient())
    question = next((each for each in record.objects if each.role == 24), None)
    expect(question, "the query object").is_there()
    assert question is not None
    expect(question.id, "its id").equals(StoredQuery.FIND_DOCUMENTS)
    expect(b"AdhocQuery" in (question.query or b""), "whether it has the question").equals(True)


@case("ITI20/submission", transaction="ITI-20", actor=NODE, title="A submission is audited with its set")
async def provided_(target: Target) -> None:
    """Patient and uniqueId of the submission set."""
    uid, patient = new_uid(), target.patient()
    answer = await target.call(ITI_41, provided(patient, document(patient), unique_id=uid))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    message = await target.audited(
        "the submission",
        lambda record: _is(record, IMPORT, "ITI-41") and any(each.id == uid for each in record.objects),
    )
    assert message.record is not None
    expect((message.record.action, message.record.outcome), "action and outcome").equals(
        (Action.CREATE, Outcome.SUCCESS)
    )
    _has_patient(message.record, patient)


@case("ITI20/retrieval", transaction="ITI-20", actor=NODE, title="A document that is handed out is audited by its id")
async def handed_out(target: Target) -> None:
    """With the repository's id."""
    (one,) = await submitted(target)
    await fetched(target, one.entry.unique_id)
    record = await _with_object(target, EXPORT, "ITI-43", one.entry.unique_id)
    expect((record.action, record.outcome), "action and outcome").equals((Action.READ, Outcome.SUCCESS))
    told = next(each for each in record.objects if each.id == one.entry.unique_id)
    repository = target.known("repository_unique_id").encode()
    expect([value for _, value in told.details], "the details of the document").contains(repository)


@case(
    "ITI20/imaging", transaction="ITI-20", actor=NODE, title="Instances that are handed out are audited by their study"
)
async def imaging(target: Target) -> None:
    """RAD-69: patient and Study Instance UID."""
    study = target.study().study
    await target.call(RAD_69, of(target, study, study.instances[:1]))
    record = await _with_object(target, TRANSFERRED, "RAD-69", study.study_instance_uid)
    expect((record.action, record.outcome), "action and outcome").equals((Action.READ, Outcome.SUCCESS))
    _has_patient(record, None)


@case("ITI20/partial", transaction="ITI-20", actor=NODE, title="What came and what did not are two messages")
async def partly(target: Target) -> None:
    """One instance of two is not held."""
    study = target.study().study
    nobody = replace(study.instances[0], sop_instance_uid=sample_uid("nobody"))
    await target.call(RAD_69, of(target, study, [study.instances[0], nobody]))
    await target.audited(
        "what came", lambda record: _is(record, TRANSFERRED, "RAD-69") and record.outcome is Outcome.SUCCESS
    )
    await target.audited(
        "what did not come", lambda record: _is(record, TRANSFERRED, "RAD-69") and record.outcome is not Outcome.SUCCESS
    )


@case("ITI20/failure", transaction="ITI-20", actor=NODE, title="What is refused is audited with its reason")
async def refused(target: Target) -> None:
    """A submission for nobody."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    await target.call(ITI_41, provided(nobody, document(nobody)))
    message = await target.audited(
        "the refusal", lambda record: _is(record, IMPORT, "ITI-41") and record.outcome is not Outcome.SUCCESS
    )
    assert message.record is not None
    expect(message.record.outcome_description, "EventOutcomeDescription").is_there()


@case("ITI20/feed", transaction="ITI-20", actor=NODE, title="Patients who come and are merged are audited")
async def fed(target: Target) -> None:
    """C for each, then D for the subsumed and U for the surviving id."""
    stays, goes = new_patient(target), new_patient(target)
    for patient in (stays, goes):
        await taken(target, adt(target, "A04", pid(patient)))
        await _patient_record(target, Action.CREATE, patient)
    await taken(target, adt(target, "A40", pid(stays), f"MRG|{cx(goes)}", visit=False))
    await _patient_record(target, Action.DELETE, goes)
    await _patient_record(target, Action.UPDATE, stays)


@case("ITI20/web", transaction="ITI-20", actor=NODE, title="A search by DICOMweb and one by FHIR are audited")
async def searched(target: Target) -> None:
    """As queries."""
    uid = target.study().study.study_instance_uid
    await results(target, "/studies", ("StudyInstanceUID", uid))
    await target.audited("the search by DICOMweb", _asks(uid))
    asked = (("identifier", f"urn:dicom:uid|urn:oid:{uid}"),)
    await target.ask("FHIR ImagingStudy search", "/ImagingStudy", service="FHIR", query=asked)
    await target.audited("the search by FHIR", _asks("ImagingStudy"))


@case("ITI20/web", transaction="ITI-20", actor=NODE, title="Images that are handed out by DICOMweb are audited")
async def web_retrieval(target: Target) -> None:
    """As instances transferred, by their study."""
    uid = target.study().study.study_instance_uid
    await retrieved(target, f"/studies/{uid}", ANY_SYNTAX)
    await _with_object(target, TRANSFERRED, "", uid)


@case("ITI20/privacy", transaction="ITI-20", actor=NODE, title="No name and no document is in a message")
async def private(target: Target) -> None:
    """A patient with a name that nothing else has, and a text."""
    patient = new_patient(target)
    await taken(target, adt(target, "A04", pid(patient, name="Quillfeather^Zenobia")))
    one = document(patient, "Nobody but the reader may know of Quillfeather.")
    await target.call(ITI_41, provided(patient, one))
    first = await _patient_record(target, Action.CREATE, patient)
    second = await target.audited(
        "the submission", lambda record: _is(record, IMPORT, "ITI-41") and _names(record, patient)
    )
    for message in (first, second):
        expect(b"Quillfeather" in message.raw, "whether the name is in the message").equals(False)


def _complete(message: etree._Element) -> None:
    """Every element that is required, in the schema's order, with its required attributes."""
    names = [str(each.tag) for each in message]
    expect(names, "the elements").equals(sorted(names, key=list(REQUIRED).index))
    expect(set(names), "the elements").contains(*list(REQUIRED)[:3])
    for name, each in zip(names, message, strict=True):
        expect([key for key in REQUIRED[name] if each.get(key) is None], f"what {name} lacks").is_absent()


# --- what is looked for -----------------------------------------------------------------------------------------------


async def _of_a_query(target: Target) -> AuditMessage:
    """The audit message of a query that this case makes."""
    await found(
        target,
        StoredQuery.FIND_DOCUMENTS,
        criteria=DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED),
    )
    return await target.audited("the query", lambda record: _is(record, QUERY, "ITI-18"))


async def _with_object(target: Target, event: str, type: str, id: str) -> AuditRecord:
    message = await target.audited(
        f"{type or event} of {id}",
        lambda record: _is(record, event, type) and any(each.id == id for each in record.objects),
    )
    assert message.record is not None
    return message.record


async def _patient_record(target: Target, action: Action, patient: PatientIdentifier) -> AuditMessage:
    return await target.audited(
        f"patient record {action}",
        lambda record: record.event.code == PATIENT_RECORD and record.action is action and _names(record, patient),
    )


def _is(record: AuditRecord, event: str, type: str) -> bool:
    return record.event.code == event and (not type or type in [each.code for each in record.types])


def _names(record: AuditRecord, patient: PatientIdentifier) -> bool:
    return any(each.id.startswith(cx(patient)) for each in record.objects if each.role == 1)


def _asks(text: str) -> Callable[[AuditRecord], bool]:
    """A query that has this in its question."""

    def holds(each: ParticipantObject) -> bool:
        return text.encode() in (each.query or b"") or text in each.id

    return lambda record: record.event.code == QUERY and any(map(holds, record.objects))


def _has_patient(record: AuditRecord, patient: PatientIdentifier | None) -> None:
    """The patient object is there, of this patient where one is given."""
    patients = [each.id for each in record.objects if each.type_code == 1 and each.role == 1]
    expect(patients, "the patient object").is_there()
    if patient is not None:
        expect(patients[0].startswith(cx(patient)), "whether it is the patient").equals(True)
