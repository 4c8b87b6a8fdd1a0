"""ITI-44 of a patient identity source: what it is told of patients by ITI-8 it passes on to a manager.

Source: ITI TF-2 3.44.4; ITI TF-2x Appendix O.1.
"""

from collections.abc import Callable

from lxml import etree

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import well_addressed
from conformance.suites.people import well_wrapped
from conformance.suites.pix.messages import adt, cx, new_patient, pid, sent
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Sex
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.transaction import Actor
from profiles.wire.hl7v3.ack import RECORD_LOCKED, AckCode, AckDetail
from profiles.wire.hl7v3.datatypes import child, code_of, read_oid

SOURCE = Actor.PATIENT_IDENTITY_SOURCE
EVENT = "controlActProcess/subject/registrationEvent"
AGAIN_S = 10.0  # what must come again comes by then: for this even the impatient wait
BUSY = Acknowledgement(code=AckCode.REJECT, details=(AckDetail(code=RECORD_LOCKED),))

Wanted = Callable[[Asked], bool]


async def fed(target: Target, event: str, patient: PatientIdentifier, *more: str, name: str = "Passed^On") -> int:
    """Tell it of a patient by ITI-8; answers how many requests had come before.

    Raises:
        Unreachable: It does not take that.
    """
    before = len(target.community.counterpart.asked)
    ack = await sent(target, adt(target, event, pid(patient, name), *more, visit=event != "A40"))
    if ack.msa[1] != "AA":
        raise Unreachable(f"a patient who is right is not taken by {event}: see pix.registry_feed")
    return before


def of(patient: PatientIdentifier, *events: RecordEvent) -> Wanted:
    """Whether a request is about this patient, and of one of these events."""

    def wanted(asked: Asked) -> bool:
        request: PatientRecordRequest = asked.request
        return request.event in events and patient in request.patient.identifiers

    return wanted


async def added(target: Target) -> tuple[PatientIdentifier, Asked]:
    """A patient who is new, and what is said of them; once for all cases."""

    async def make() -> tuple[PatientIdentifier, int]:
        assert target.people is not None
        patient = new_patient(target)
        return patient, await fed(target, "A04", patient)

    patient, before = await target.once("ITI-44", make)
    return patient, await target.asked(ITI_44, before, of(patient, RecordEvent.ADD))


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-44",
    actor=SOURCE,
    title="What is said of a patient is addressed by its event",
)
async def addressed(target: Target) -> None:
    """The action is that of the interaction: of a new patient, and of one who is changed."""
    patient, asked = await added(target)
    well_addressed(asked, BY_EVENT[RecordEvent.ADD])
    before = await fed(target, "A08", patient, name="Addressed^Otherwise")
    well_addressed(await target.asked(ITI_44, before, of(patient, RecordEvent.REVISE)), BY_EVENT[RecordEvent.REVISE])


@case("ITI44/wrapper", transaction="ITI-44", actor=SOURCE, title="The message says what it is, of whom and for whom")
async def wrapped(target: Target) -> None:
    """Its id, time, interaction, processing, one receiver, sender, and the trigger of the event."""
    _, asked = await added(target)
    well_wrapped(asked, str(RecordEvent.ADD), "PRPA_TE201301UV02")


@case("ITI44/source-add", transaction="ITI-44", actor=SOURCE, title="A patient who is new is added with demographics")
async def add(target: Target) -> None:
    """Id, name, birth date and sex; provider and custodian are of the id's authority."""
    patient, asked = await added(target)
    request: PatientRecordRequest = asked.request
    told = request.patient
    expect(told.identifiers, "the ids").contains(patient)
    expect((told.name.family, told.name.given), "the name").equals(("Passed", "On"))
    expect(told.birth_date, "the birth date").equals(Moment.from_dtm("19700101"))
    expect(told.sex, "the sex").equals(Sex.FEMALE)
    expect(request.provider, "the id of providerOrganization").equals(patient.authority)
    expect(read_oid(child(_body(asked), f"{EVENT}/custodian/assignedEntity/id")), "the custodian").is_there()
    expect(code_of(_body(asked), f"{EVENT}/statusCode"), "the status of the registration").equals("active")
    expect(asked.findings, "what is odd").is_absent()


@case("ITI44/source-revise", transaction="ITI-44", actor=SOURCE, title="A patient who is changed is revised")
async def revise(target: Target) -> None:
    """With all that is known now."""
    patient = new_patient(target)
    await fed(target, "A04", patient)
    before = await fed(target, "A08", patient, name="Changed^Since")
    asked = await target.asked(ITI_44, before, of(patient, RecordEvent.REVISE))
    request: PatientRecordRequest = asked.request
    expect(request.patient.name.family, "the family name").equals("Changed")
    expect(request.patient.sex, "the sex").equals(Sex.FEMALE)
    expect(asked.findings, "what is odd").is_absent()


@case(
    "ITI44/source-merge", transaction="ITI-44", actor=SOURCE, title="A merge names one who stays and one id that goes"
)
async def merge(target: Target) -> None:
    """The id that goes is in replacementOf, of a registration that is obsolete."""
    stays, goes = new_patient(target), new_patient(target)
    for patient in (stays, goes):
        await fed(target, "A04", patient)
    before = await fed(target, "A40", stays, f"MRG|{cx(goes)}")
    asked = await target.asked(ITI_44, before, of(stays, RecordEvent.MERGE))
    request: PatientRecordRequest = asked.request
    expect(request.patient.identifiers, "the ids of who stays").equals((stays,))
    expect(request.subsumed_identifiers, "the ids that go").equals((goes,))
    prior = child(_body(asked), f"{EVENT}/replacementOf/priorRegistration")
    expect(code_of(prior, "statusCode"), "the status of the former registration").equals("obsolete")
    expect(asked.findings, "what is odd").is_absent()


@case(
    "ITI44/again",
    transaction="ITI-44",
    actor=SOURCE,
    title="What could not be taken comes again as the same message",
)
async def again(target: Target) -> None:
    """CR with 206 at first: the id of the message stays."""
    patient = new_patient(target)
    counterpart = target.community.counterpart
    with counterpart.otherwise("ITI-44", response=BUSY):
        before = await fed(target, "A04", patient)
        first = await target.asked(ITI_44, before, of(patient, RecordEvent.ADD))
    after = next(place for place, each in enumerate(counterpart.asked) if each is first) + 1
    second = await target.asked(ITI_44, after, of(patient, RecordEvent.ADD), at_least_s=AGAIN_S)
    expect(second.request.transmission.id, "the id of the message").equals(first.request.transmission.id)
    expect(second.request.patient, "the patient").equals(first.request.patient)


def _body(asked: Asked) -> etree._Element:
    assert asked.message is not None
    return asked.message.body
