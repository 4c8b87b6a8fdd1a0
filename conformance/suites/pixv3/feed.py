"""ITI-44 at a cross-reference manager: patients come, change and are merged. What became of them is asked by ITI-47.

Source: ITI TF-2 3.44.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.suites.envelope import envelope_cases
from conformance.suites.people import (
    answers_the_message,
    families,
    known,
    new_id,
    record,
    somebody,
)
from conformance.target import Target, Wrong
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.transaction import Actor

MANAGER = Actor.CROSS_REFERENCE_MANAGER


async def an_addition(target: Target) -> PatientRecordRequest:
    """A request that can be answered well."""
    return record(target, somebody(new_id(target)))


ENVELOPE = envelope_cases(__name__, ITI_44, MANAGER, an_addition)


@case("ITI44/add", transaction="ITI-44", actor=MANAGER, title="A patient who is added is known")
async def added(target: Target) -> None:
    """By id and name."""
    patient = somebody(new_id(target))
    await _taken(target, patient, RecordEvent.ADD)
    expect(await families(target, patient.identifiers[0]), "who is found").equals([patient.name.family])


@case("ITI44/revise", transaction="ITI-44", actor=MANAGER, title="A patient who is revised has the new name")
async def revised(target: Target) -> None:
    """And one id, as before."""
    patient = await known(target)
    new = somebody(*patient.identifiers, family=f"Revised{patient.name.family}")
    await _taken(target, new, RecordEvent.REVISE)
    expect(await families(target, patient.identifiers[0]), "who is found").equals([new.name.family])


@case("ITI44/merge", transaction="ITI-44", actor=MANAGER, title="Who is merged into another is not found any more")
async def merged(target: Target) -> None:
    """The surviving record is."""
    goes, stays = await known(target), await known(target)
    await _taken(target, stays, RecordEvent.MERGE, goes.identifiers[0])
    expect(await families(target, stays.identifiers[0]), "who is found by the surviving id").equals([stays.name.family])
    expect(await families(target, goes.identifiers[0]), "who is found by the subsumed id").is_absent()


@case("ITI44/bad-merge", transaction="ITI-44", actor=MANAGER, title="A merge that cannot be changes nothing")
async def bad_merge(target: Target) -> None:
    """Of a record with itself, and of an id that nobody has."""
    patient = await known(target)
    for subsumed in (patient.identifiers[0], new_id(target)):
        request = replace(record(target, patient, RecordEvent.MERGE), subsumed_identifiers=(subsumed,))
        await target.call(BY_EVENT[RecordEvent.MERGE], request)
        expect(await families(target, patient.identifiers[0]), "who is found").equals([patient.name.family])


@case("ITI44/acknowledgement", transaction="ITI-44", actor=MANAGER, title="The acknowledgement names its message")
async def acknowledged(target: Target) -> None:
    """Its id, not that of the envelope."""
    request = await an_addition(target)
    answers_the_message(await target.call(ITI_44, request), request.transmission)


@case("ITI44/malformed", transaction="ITI-44", actor=MANAGER, title="A message about no patient is not accepted")
async def no_patient(target: Target) -> None:
    """A fault, or an acknowledgement that says so."""
    odd = Wrong(body=lambda body: body.replace(b"registrationEvent", b"registrationEvening"))
    answer = await target.call(ITI_44, await an_addition(target), wrong=odd)
    expect(answer.decoded is not None and answer.decoded.accepted, "whether it was accepted").equals(False)
    expect(answer.http_status, "the HTTP status").is_one_of(200, 400, 500)


async def _taken(target: Target, patient: Patient, event: RecordEvent, *subsumed: PatientIdentifier) -> None:
    request = replace(record(target, patient, event), subsumed_identifiers=subsumed)
    answer = await target.call(BY_EVENT[event], request)
    expect(answer.response.details, "what the acknowledgement complains of").is_absent()
    expect(answer.response.accepted, "whether it was accepted").equals(True)
