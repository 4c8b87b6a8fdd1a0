"""What the suites of HL7 V3 share: people whom nobody knew before, questions about them, and what every answer owes.

Source: ITI TF-2 3.44, 3.45, 3.47, 3.55; ITI TF-2x Appendix O.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.submissions import new_uid
from conformance.target import Answer, Target
from conformance.verdict import Unreachable
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import ITI_47
from profiles.pixv3.iti44 import ITI_44, PatientRecordRequest, RecordEvent
from profiles.wire.hl7v3.candidates import CandidatesQuery
from profiles.wire.hl7v3.datatypes import HL7, InstanceIdentifier, child, children, code_of, read_ii
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Device, Transmission

US = Device(id=InstanceIdentifier(root="2.25.71190522.77.1"), organization=Oid("2.25.71190522.77"))
INTERACTIONS = "2.16.840.1.113883.1.6"  # of interactionId
LETTERS = str.maketrans("0123456789", "ghijklmnop")
BORN = Moment.from_dtm("19700131")


def sent(target: Target) -> Transmission:
    """The wrapper of a new message to the system."""
    home = target.system.home_community_id
    there = Device(id=InstanceIdentifier(root=str(home or new_uid())), organization=home)
    return Transmission.of(str(uuid.uuid4()), datetime.now(UTC), US, there)


def question() -> Question:
    """A new one."""
    return Question(id=InstanceIdentifier(root="2.25.71190522.77.2", extension=uuid.uuid4().hex))


def new_id(target: Target, authority: str = "") -> PatientIdentifier:
    """An id of nobody, of the system's own authority or of one that is given."""
    return PatientIdentifier(
        value=f"V{uuid.uuid4().hex[:12].upper()}", authority=Oid(authority or target.known("patient_authority"))
    )


def somebody(*identifiers: PatientIdentifier, family: str = "") -> Patient:
    """A person of a name that nobody else has."""
    name = family or f"Conform{uuid.uuid4().hex[:10].translate(LETTERS)}"
    return Patient(
        identifiers=identifiers, name=PersonName(family=name, given="Zoë"), birth_date=BORN, sex=Sex.FEMALE
    )  # fmt: skip


def record(target: Target, patient: Patient, event: RecordEvent = RecordEvent.ADD) -> PatientRecordRequest:
    """What a source says of a patient."""
    return PatientRecordRequest(
        event=event, patient=patient, provider=patient.identifiers[0].authority, transmission=sent(target)
    )  # fmt: skip


async def known(target: Target, patient: Patient | None = None) -> Patient:
    """A patient whom the system is told of by ITI-44, one of ours where none is given.

    Raises:
        Unreachable: It does not take them: what the case is about cannot be tried.
    """
    chosen = patient or somebody(new_id(target))
    answer = await target.call(ITI_44, record(target, chosen))
    if answer.decoded is None or not answer.decoded.accepted:
        raise Unreachable("a patient who is right is not taken by ITI-44: see pixv3.feed")
    return chosen


def candidates_query(target: Target, criteria: PatientCriteria) -> CandidatesQuery:
    """A new question of these criteria."""
    return CandidatesQuery(criteria=criteria, question=question(), transmission=sent(target))


def called(patient: Patient) -> PatientCriteria:
    """Who has this name and birth date."""
    return PatientCriteria(
        names=(NameCriteria(name=patient.name),), birth=BirthCriteria(low=patient.birth_date, high=patient.birth_date)
    )


def by_id(*identifiers: PatientIdentifier) -> PatientCriteria:
    """Who has these ids."""
    return PatientCriteria(identifiers=identifiers)


async def found_by(target: Target, identifier: PatientIdentifier) -> list[Patient]:
    """Whom the system knows by this id, as it tells by ITI-47; nobody where it knows nobody."""
    response = (await target.call(ITI_47, candidates_query(target, by_id(identifier)))).response
    return [each.patient for each in response.candidates]


async def families(target: Target, identifier: PatientIdentifier) -> list[str]:
    """Their family names."""
    return [each.name.family for each in await found_by(target, identifier)]


# --- what every answer owes -------------------------------------------------------------------------------------------


def body_of(answer: Answer[Any]) -> etree._Element:
    """The interaction as it came: what a decoder makes of it is no proof of how it is written."""
    expect(answer.response, "an answer").is_there()
    assert answer.message is not None
    return answer.message.body


def answers_the_message(answer: Answer[Any], asked: Transmission) -> None:
    """It names the message that it answers, goes to who sent that, and wants no acknowledgement itself."""
    body = body_of(answer)
    expect(read_ii(child(body, "acknowledgement/targetMessage/id")), "targetMessage/id").equals(asked.id)
    expect(read_ii(child(body, "receiver/device/id")), "the receiver").equals(asked.sender.id)
    expect(code_of(body, "acceptAckCode"), "acceptAckCode").equals("NE")
    own = read_ii(child(body, "id"))
    expect(own.is_known, "whether the answer has an id").equals(True)
    expect(own, "the answer's id").differs_from(asked.id)


def repeats_the_question(answer: Answer[Any], asked: bytes) -> None:
    """The question stands behind queryAck to the letter, and queryAck names it."""
    act = child(body_of(answer), "controlActProcess")
    question = child(etree.fromstring(asked), "controlActProcess/queryByParameter")
    came = child(act, "queryByParameter")
    expect(_canonical(came), "queryByParameter").equals(_canonical(question))
    expect(read_ii(child(act, "queryAck/queryId")), "queryId of queryAck").equals(read_ii(child(question, "queryId")))
    names = [etree.QName(each).localname for each in act] if act is not None else []
    expect(names[-2:], "the last elements of controlActProcess").equals(["queryAck", "queryByParameter"])


def written(transaction: Any, request: Any) -> bytes:
    """The interaction of a request, as it goes out."""
    return b"".join(transaction.encode_request(request).body)


def patients_in(answer: Answer[Any]) -> list[etree._Element]:
    """The patients of an answer with candidates."""
    return children(body_of(answer), "controlActProcess/subject/registrationEvent/subject1/patient")


def _canonical(element: etree._Element | None) -> str:
    """An element without prefixes, comments and white space between elements."""
    if element is None:
        return ""
    inside = "".join(_canonical(each) for each in element if isinstance(each.tag, str))
    attributes = "".join(f' {name}="{value}"' for name, value in sorted(element.attrib.items()))
    return f"<{str(element.tag).replace(f'{{{HL7}}}', '')}{attributes}>{(element.text or '').strip()}{inside}</>"


# --- what every request owes ------------------------------------------------------------------------------------------


def well_wrapped(asked: Asked, interaction: str, trigger: str) -> None:
    """Id, time to the second, interaction, trigger, processing, one receiver and a sender; it wants an acknowledgement."""
    assert asked.message is not None
    body = asked.message.body
    expect(body.get("ITSVersion"), "ITSVersion").equals("XML_1.0")
    expect(read_ii(child(body, "id")).is_known, "whether it has an id").equals(True)
    created = child(body, "creationTime")
    digits = len(created.get("value", "")) if created is not None else 0
    expect(digits >= 14, "whether creationTime is to the second").equals(True)
    named = read_ii(child(body, "interactionId"))
    expect((named.root, named.extension), "interactionId").equals((INTERACTIONS, interaction))
    expect(code_of(body, "processingCode"), "processingCode").is_one_of("P", "D", "T")
    expect(code_of(body, "processingModeCode"), "processingModeCode").equals("T")
    expect(code_of(body, "acceptAckCode"), "acceptAckCode").equals("AL")
    expect(len(children(body, "receiver/device")), "the number of receivers").equals(1)
    for end in ("receiver", "sender"):
        expect(read_ii(child(body, f"{end}/device/id")).root, f"the id of the {end}").is_there()
    expect(code_of(body, "controlActProcess/code"), "the trigger").equals(trigger)
