"""ITI-45 at a cross-reference manager: by which ids a patient is known elsewhere.

Who is asked about is told first, by ITI-44.

Source: ITI TF-2 3.45.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import new_uid
from conformance.suites.envelope import envelope_cases
from conformance.suites.people import (
    answers_the_message,
    known,
    new_id,
    question,
    repeats_the_question,
    sent,
    somebody,
    written,
)
from conformance.target import Answer, Target
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.pixv3.iti45 import (
    ASKED_ID,
    ITI_45,
    IdentifiersQuery,
    IdentifiersResponse,
    QueryResponseCode,
    asked_domain,
)
from profiles.transaction import Actor
from profiles.wire.hl7v3.ack import AckCode

MANAGER = Actor.CROSS_REFERENCE_MANAGER


def asked(target: Target, identifier: PatientIdentifier, *domains: str) -> IdentifiersQuery:
    """A new question."""
    return IdentifiersQuery(
        identifier=identifier, domains=tuple(map(Oid, domains)), question=question(), transmission=sent(target)
    )  # fmt: skip


async def about_somebody(target: Target) -> IdentifiersQuery:
    """A request that can be answered well."""
    return asked(target, (await known(target)).identifiers[0])


ENVELOPE = envelope_cases(__name__, ITI_45, MANAGER, about_somebody)


@case("ITI45/found", transaction="ITI-45", actor=MANAGER, title="The other ids of a patient are told, and no others")
async def other_ids(target: Target) -> None:
    """By either of two."""
    first, second = await _two(target)
    for asked_by, other in ((first, second), (second, first)):
        _tells(await target.call(ITI_45, asked(target, asked_by)), other)


@case("ITI45/domains", transaction="ITI-45", actor=MANAGER, title="Ids of the domains that are asked for are told")
async def of_a_domain(target: Target) -> None:
    """Of one domain."""
    first, second = await _two(target)
    _tells(await target.call(ITI_45, asked(target, first, str(second.authority))), second)


@case(
    "ITI45/domains", "ITI45/none", transaction="ITI-45", actor=MANAGER,
    title="Where a patient has no other id in a domain none is told, which is no error",
)  # fmt: skip
async def none_there(target: Target) -> None:
    """The domain of the asked id itself: AA with NF."""
    first, _ = await _two(target)
    told = (await target.call(ITI_45, asked(target, first, str(first.authority)))).response
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.NOT_FOUND)
    expect(told.identifiers, "ids").is_absent()


@case("ITI45/unknown-id", transaction="ITI-45", actor=MANAGER, title="An id that nobody has is an error with its place")
async def unknown_id(target: Target) -> None:
    """AE, and the parameter's path."""
    _fails(await target.call(ITI_45, asked(target, new_id(target))), ASKED_ID)


@case("ITI45/unknown-domain", transaction="ITI-45", actor=MANAGER, title="An unknown domain is an error with its place")
async def unknown_domain(target: Target) -> None:
    """The second of two."""
    first = (await known(target)).identifiers[0]
    asked_for = asked(target, first, str(first.authority), new_uid())
    _fails(await target.call(ITI_45, asked_for), asked_domain(2))


@case("ITI45/query", transaction="ITI-45", actor=MANAGER, title="The answer repeats the question")
async def echoed(target: Target) -> None:
    """Behind queryAck, which names it."""
    request = await about_somebody(target)
    repeats_the_question(await target.call(ITI_45, request), written(ITI_45, request))


@case(
    "ITI45/acknowledgement", transaction="ITI-45", actor=MANAGER, title="The answer names the message that it answers"
)
async def acknowledged(target: Target) -> None:
    """Its id, not that of the envelope."""
    request = await about_somebody(target)
    answers_the_message(await target.call(ITI_45, request), request.transmission)


async def _two(target: Target) -> tuple[PatientIdentifier, PatientIdentifier]:
    """Two ids of a new patient, of two domains."""
    ids = (new_id(target), new_id(target, target.known("other_patient_authority")))
    await known(target, somebody(*ids))
    return ids


def _tells(answer: Answer[IdentifiersResponse], identifier: PatientIdentifier) -> None:
    told = answer.response
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.OK)
    expect(told.identifiers, "the ids").equals((identifier,))


def _fails(answer: Answer[IdentifiersResponse], place: str) -> None:
    told = answer.response
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ERROR)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.ERROR)
    places = [each for detail in told.acknowledgement.details for each in detail.locations]
    expect(places, "the places of what is wrong").equals([place])
    expect(told.identifiers, "ids").is_absent()
