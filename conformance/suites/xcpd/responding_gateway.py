"""ITI-55 at a responding gateway: whom a community knows, by which id, and that it is this community.

Who is asked about is told first, by ITI-44, to the patient registry behind the gateway.

Source: ITI TF-2 3.55.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.suites.elsewhere import DEFERRED_RESPONSE, NOWHERE, QUIET_S, claimed, elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.people import (
    answers_the_message,
    body_of,
    by_id,
    called,
    candidates_query,
    known,
    new_id,
    patients_in,
    repeats_the_question,
    somebody,
    written,
)
from conformance.target import Answer, Target
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import PatientCriteria
from profiles.transaction import Actor
from profiles.wire.hl7v3.ack import AckCode
from profiles.wire.hl7v3.candidates import LOCATOR_CODES, Priority
from profiles.wire.hl7v3.datatypes import child, children
from profiles.xcpd.iti55 import (
    DEFERRED,
    DEFERRED_ANSWER,
    ITI_55,
    DiscoveryRequest,
    DiscoveryResponse,
    QueryResponseCode,
)

GATEWAY = Actor.RESPONDING_GATEWAY
CUSTODIAN = "controlActProcess/subject/registrationEvent/custodian/assignedEntity"


def asked(target: Target, criteria: PatientCriteria) -> DiscoveryRequest:
    """A new question of these criteria."""
    return DiscoveryRequest(query=candidates_query(target, criteria))


async def about_nobody(target: Target) -> DiscoveryRequest:
    """A request that can be answered well."""
    return asked(target, called(somebody(new_id(target))))


ENVELOPE = envelope_cases(__name__, ITI_55, GATEWAY, about_nobody)
ELSEWHERE = elsewhere_cases(__name__, ITI_55, GATEWAY, about_nobody)


@case("ITI55/match", transaction="ITI-55", actor=GATEWAY, title="A patient is found by name and birth date")
async def by_demographics(target: Target) -> None:
    """One match, by the id that the community asks for documents by."""
    patient = await known(target)
    answer = await target.call(ITI_55, asked(target, called(patient)))
    _finds(answer, patient.identifiers[0])
    (found,) = answer.response.answer.candidates
    expect((found.patient.name.family, found.patient.birth_date), "name and birth date").equals(
        (patient.name.family, patient.birth_date)
    )


@case("ITI55/match", transaction="ITI-55", actor=GATEWAY, title="A patient is found by an id")
async def by_identifier(target: Target) -> None:
    """The one that the community itself gave; name and birth time are not needed then."""
    patient = await known(target)
    _finds(await target.call(ITI_55, asked(target, by_id(*patient.identifiers))), patient.identifiers[0])


@case("ITI55/one-id", transaction="ITI-55", actor=GATEWAY, title="A match has exactly one id, to be asked by")
async def one_identifier(target: Target) -> None:
    """Others stand beside, in asOtherIDs."""
    patient = await known(target)
    answer = await target.call(ITI_55, asked(target, called(patient)))
    (found,) = patients_in(answer) or (None,)
    ids = [(each.get("root"), each.get("extension")) for each in children(found, "id")]
    first = patient.identifiers[0]
    expect(ids, "the ids of the match").equals([(str(first.authority), first.value)])


@case("ITI55/no-match", transaction="ITI-55", actor=GATEWAY, title="Whom nobody knows is not found, which is no error")
async def no_match(target: Target) -> None:
    """AA with NF."""
    answer = await target.call(ITI_55, await about_nobody(target))
    told = answer.response.answer
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.NOT_FOUND)
    expect(patients_in(answer), "patients").is_absent()


@case("ITI55/home", transaction="ITI-55", actor=GATEWAY, title="A match names its home as a bare OID")
async def home_named(target: Target) -> None:
    """The custodian of the registration; elsewhere it is a URN."""
    patient = await known(target)
    body = body_of(await target.call(ITI_55, asked(target, called(patient))))
    custodian = child(body, f"{CUSTODIAN}/id")
    expect(None if custodian is None else custodian.get("root"), "custodian/assignedEntity/id/@root").equals(
        target.known("home_community_id")
    )


@case("ITI55/locator", transaction="ITI-55", actor=GATEWAY, title="A match says whether its home locates health data")
async def locator_told(target: Target) -> None:
    """One of two codes."""
    patient = await known(target)
    code = child(body_of(await target.call(ITI_55, asked(target, called(patient)))), f"{CUSTODIAN}/code")
    expect(code is not None, "whether custodian/assignedEntity has a code").equals(True)
    assert code is not None
    expect(code.get("code"), "its code").is_one_of("SupportsHealthDataLocator", "NotHealthDataLocator")
    expect(code.get("codeSystem"), "its code system").equals(LOCATOR_CODES)


@case("ITI55/query", transaction="ITI-55", actor=GATEWAY, title="The answer repeats the question")
async def echoed(target: Target) -> None:
    """Behind queryAck, which names it."""
    request = asked(target, called(await known(target)))
    repeats_the_question(await target.call(ITI_55, request), written(ITI_55, request))


@case(
    "ITI55/acknowledgement", transaction="ITI-55", actor=GATEWAY, title="The answer names the message that it answers"
)
async def acknowledged(target: Target) -> None:
    """Its id, not that of the envelope."""
    request = await about_nobody(target)
    answers_the_message(await target.call(ITI_55, request), request.query.transmission)


@case("ITI55/required", transaction="ITI-55", actor=GATEWAY, title="A name without birth date and id is refused")
async def too_little(target: Target) -> None:
    """The patient is known."""
    criteria = replace(called(await known(target)), birth=None)
    answer = await target.call(ITI_55, asked(target, criteria))
    told = answer.response.answer
    expect(told.acknowledgement.code, "the acknowledgement").is_one_of(AckCode.ERROR, AckCode.REJECT)
    expect(told.code, "queryResponseCode").is_one_of(QueryResponseCode.ERROR, QueryResponseCode.PARAMETER_ERROR)
    expect(patients_in(answer), "patients").is_absent()


# --- answered later ---------------------------------------------------------------------------------------------------


@case(
    "ITI55/deferred", "ITI55/deferred-answer", transaction="ITI-55", actor=GATEWAY,
    title="A question that may be answered later is taken, and its answer brought",
)  # fmt: skip
async def deferred(target: Target) -> None:
    """AA at once; then the answer as a message of its own, that relates to the question and repeats its queryId."""
    claimed(target, GATEWAY, DEFERRED_RESPONSE)
    patient = await known(target)
    request = _later(target, called(patient), target.mailbox.address)
    taken = await target.call(DEFERRED, request)
    expect(taken.response.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(taken.response.target, "the message that is acknowledged").equals(request.query.transmission.id)
    answer = await target.brought(taken.asked, DEFERRED_ANSWER.decode_request)
    expect(answer.action, "wsa:Action").equals(DEFERRED_ANSWER.request_action)
    expect(answer.relates_to, "wsa:RelatesTo").equals(taken.asked)
    told = answer.response.response.answer
    expect(told.question.id, "the queryId").equals(request.query.question.id)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.OK)
    expect([each.patient.identifiers[:1] for each in told.candidates], "who is found").equals([patient.identifiers])
    expect([each.home for each in told.candidates], "the home").equals([target.system.home_community_id])


@case(
    "ITI55/deferred-nowhere", transaction="ITI-55", actor=GATEWAY,
    title="A question whose answer may not be brought is refused with NS250",
)  # fmt: skip
async def deferred_nowhere(target: Target) -> None:
    """Its address was not agreed on: nothing comes there, nor anywhere."""
    claimed(target, GATEWAY, DEFERRED_RESPONSE)
    patient = await known(target)
    taken = await target.call(DEFERRED, _later(target, called(patient), target.mailbox.address + NOWHERE))
    expect(taken.response.code, "the acknowledgement").equals(AckCode.ERROR)
    expect([each.code for each in taken.response.details], "the codes of its details").equals(["NS250"])
    await target.nothing_brought(QUIET_S)


def _later(target: Target, criteria: PatientCriteria, address: str) -> DiscoveryRequest:
    """A new question whose answer is to be brought there."""
    query = candidates_query(target, criteria)
    return DiscoveryRequest(query=replace(query, priority=Priority.DEFERRED, respond_to=address))


def _finds(answer: Answer[DiscoveryResponse], identifier: PatientIdentifier) -> None:
    told = answer.response.answer
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.OK)
    expect([each.patient.identifiers[:1] for each in told.candidates], "who is found").equals([(identifier,)])
