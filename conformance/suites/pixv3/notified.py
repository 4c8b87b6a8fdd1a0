"""ITI-46 at a cross-reference consumer: a manager says by which ids a patient is known. It is asked by ITI-45 what it kept.

Source: ITI TF-2 3.46.4.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.suites.envelope import envelope_cases
from conformance.suites.people import answers_the_message, families, known, new_id, sent, somebody
from conformance.suites.pixv3.query import asked as asked_about
from conformance.target import Target
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient
from profiles.pixv3.iti45 import ITI_45
from profiles.pixv3.iti46 import ITI_46, PatientRecordRequest, notification
from profiles.transaction import Actor

CONSUMER = Actor.CROSS_REFERENCE_CONSUMER


def said(target: Target, patient: Patient, *identifiers: PatientIdentifier) -> PatientRecordRequest:
    """That the patient is known by these ids."""
    return notification(identifiers, patient.name, sent(target))


async def a_notification(target: Target) -> PatientRecordRequest:
    """A request that can be answered well."""
    patient = await known(target)
    return said(target, patient, *patient.identifiers)


ENVELOPE = envelope_cases(__name__, ITI_46, CONSUMER, a_notification)


@case("ITI46/taken", transaction="ITI-46", actor=CONSUMER, title="What a manager says of a patient's ids is kept")
async def kept(target: Target) -> None:
    """Another id of somebody who is known."""
    patient = await known(target)
    other = new_id(target, target.known("other_patient_authority"))
    answer = await target.call(ITI_46, said(target, patient, *patient.identifiers, other))
    expect(answer.response.accepted, "whether it was accepted").equals(True)
    told = (await target.call(ITI_45, asked_about(target, patient.identifiers[0]))).response
    expect(told.identifiers, "the other ids of the patient").equals((other,))


@case("ITI46/unknown", transaction="ITI-46", actor=CONSUMER, title="Ids of somebody whom nobody knows make no patient")
async def unknown(target: Target) -> None:
    """It is no error: the manager knows more than the consumer."""
    nobody = somebody(new_id(target), new_id(target, target.known("other_patient_authority")))
    answer = await target.call(ITI_46, said(target, nobody, *nobody.identifiers))
    expect(answer.response.accepted, "whether it was accepted").equals(True)
    expect(await families(target, nobody.identifiers[0]), "who is found").is_absent()


@case("ITI46/conflict", transaction="ITI-46", actor=CONSUMER, title="A notification does not merge two patients")
async def conflict(target: Target) -> None:
    """It names ids of both: whatever is answered, they stay two."""
    one, other = await known(target), await known(target)
    await target.call(ITI_46, said(target, one, *one.identifiers, *other.identifiers))
    for patient in (one, other):
        expect(await families(target, patient.identifiers[0]), "who is found").equals([patient.name.family])


@case("ITI46/acknowledgement", transaction="ITI-46", actor=CONSUMER, title="The acknowledgement names its message")
async def acknowledged(target: Target) -> None:
    """Its id, not that of the envelope."""
    request = await a_notification(target)
    answers_the_message(await target.call(ITI_46, request), request.transmission)
