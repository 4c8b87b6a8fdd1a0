"""ITI-47 at a demographics supplier: who fits, by which ids, and page by page where many do.

Who is asked about is told first, by ITI-44.

Source: ITI TF-2 3.47.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import new_uid
from conformance.suites.envelope import envelope_cases
from conformance.suites.people import (
    answers_the_message,
    by_id,
    called,
    candidates_query,
    known,
    new_id,
    repeats_the_question,
    sent,
    somebody,
    written,
)
from conformance.target import Answer, Target
from profiles.model.identifiers import Oid
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.pdqv3.iti47 import (
    CANCEL,
    CONTINUE,
    ITI_47,
    CandidatesQuery,
    CandidatesResponse,
    Continuation,
    QueryResponseCode,
    asked_domain,
)
from profiles.transaction import Actor
from profiles.wire.hl7v3.ack import AckCode

SUPPLIER = Actor.DEMOGRAPHICS_SUPPLIER
FOUND = (AckCode.ACCEPT, QueryResponseCode.OK)


async def about_nobody(target: Target) -> CandidatesQuery:
    """A request that can be answered well."""
    return candidates_query(target, called(somebody(new_id(target))))


ENVELOPE = envelope_cases(__name__, ITI_47, SUPPLIER, about_nobody)


@case("ITI47/found", transaction="ITI-47", actor=SUPPLIER, title="A patient is found by name and birth date")
async def by_demographics(target: Target) -> None:
    """With what was told of them."""
    patient = await known(target)
    _finds(await target.call(ITI_47, candidates_query(target, called(patient))), patient)


@case("ITI47/found", transaction="ITI-47", actor=SUPPLIER, title="A patient is found by an id")
async def by_identifier(target: Target) -> None:
    """And nobody else."""
    patient = await known(target)
    _finds(await target.call(ITI_47, candidates_query(target, by_id(*patient.identifiers))), patient)


@case(
    "ITI47/not-found", transaction="ITI-47", actor=SUPPLIER, title="Whom nobody knows is not found, which is no error"
)
async def nobody(target: Target) -> None:
    """AA with NF."""
    _finds_nobody(await target.call(ITI_47, await about_nobody(target)))


@case("ITI47/not-found", transaction="ITI-47", actor=SUPPLIER, title="A name with another birth date does not find")
async def another_birth_date(target: Target) -> None:
    """All conditions hold together."""
    patient = await known(target)
    other = replace(patient, birth_date=Moment.from_dtm("19700130"))
    _finds_nobody(await target.call(ITI_47, candidates_query(target, called(other))))


@case(
    "ITI47/domains", transaction="ITI-47", actor=SUPPLIER, title="Only ids of the domains that are asked for are told"
)
async def of_a_domain(target: Target) -> None:
    """One of two."""
    ids = (new_id(target), new_id(target, target.known("other_patient_authority")))
    patient = await known(target, somebody(*ids))
    query = replace(candidates_query(target, called(patient)), domains=(ids[1].authority,))
    told = (await target.call(ITI_47, query)).response
    expect([each.patient.identifiers for each in told.candidates], "the ids").equals([ids[1:]])


@case(
    "ITI47/unknown-domain", transaction="ITI-47", actor=SUPPLIER, title="An unknown domain is an error with its place"
)
async def unknown_domain(target: Target) -> None:
    """The second of two."""
    patient = await known(target)
    asked_for = (patient.identifiers[0].authority, Oid(new_uid()))
    told = (await target.call(ITI_47, replace(candidates_query(target, called(patient)), domains=asked_for))).response
    expect((told.acknowledgement.code, told.code), "acknowledgement and queryResponseCode").equals(
        (AckCode.ERROR, QueryResponseCode.ERROR)
    )
    places = [each for detail in told.acknowledgement.details for each in detail.locations]
    expect(places, "the places of what is wrong").equals([asked_domain(2)])


@case("ITI47/continued", transaction="ITI-47", actor=SUPPLIER, title="Many are told page by page, each once")
async def continued(target: Target) -> None:
    """Three of one name, two at a time; the counts add up."""
    first = await known(target)
    family = first.name.family
    others = [await known(target, somebody(new_id(target), family=family)) for _ in range(2)]
    query = replace(candidates_query(target, called(first)), initial_quantity=2)
    page = (await target.call(ITI_47, query)).response
    more = Continuation(query_id=query.question.id, transmission=sent(target))
    rest = (await target.call(CONTINUE, more)).response
    counts = [(each.total, each.current, each.remaining) for each in (page.quantities, rest.quantities) if each]
    expect(counts, "total, current and remaining of both pages").equals([(3, 2, 1), (3, 1, 0)])
    told = [each.patient.identifiers[0] for each in (*page.candidates, *rest.candidates)]
    expect(told, "who was told").has_same([each.identifiers[0] for each in (first, *others)])


@case("ITI47/cancelled", transaction="ITI-47", actor=SUPPLIER, title="A query that was cancelled is not continued")
async def cancelled(target: Target) -> None:
    """One of two was told; nobody wants the other."""
    first = await known(target)
    await known(target, somebody(new_id(target), family=first.name.family))
    query = replace(candidates_query(target, called(first)), initial_quantity=1)
    page = (await target.call(ITI_47, query)).response
    expect(len(page.candidates), "how many were told").equals(1)
    enough = Continuation(query_id=query.question.id, cancels=True, transmission=sent(target))
    expect((await target.call(CANCEL, enough)).response.accepted, "whether it was accepted").equals(True)
    more = Continuation(query_id=query.question.id, transmission=sent(target))
    told = (await target.call(CONTINUE, more)).response
    expect(told.acknowledgement.code, "the acknowledgement of a continuation").equals(AckCode.ERROR)
    expect(told.candidates, "candidates").is_absent()


@case("ITI47/query", transaction="ITI-47", actor=SUPPLIER, title="The answer repeats the question")
async def echoed(target: Target) -> None:
    """Behind queryAck, which names it."""
    request = candidates_query(target, called(await known(target)))
    repeats_the_question(await target.call(ITI_47, request), written(ITI_47, request))


@case(
    "ITI47/acknowledgement", transaction="ITI-47", actor=SUPPLIER, title="The answer names the message that it answers"
)
async def acknowledged(target: Target) -> None:
    """Its id, not that of the envelope."""
    request = await about_nobody(target)
    answers_the_message(await target.call(ITI_47, request), request.transmission)


def _finds(answer: Answer[CandidatesResponse], patient: Patient) -> None:
    told = answer.response
    expect((told.acknowledgement.code, told.code), "acknowledgement and queryResponseCode").equals(FOUND)
    found = [(each.patient.identifiers, each.patient.name.family, each.patient.sex) for each in told.candidates]
    expect(found, "who is found").equals([(patient.identifiers, patient.name.family, patient.sex)])


def _finds_nobody(answer: Answer[CandidatesResponse]) -> None:
    told = answer.response
    expect(told.acknowledgement.code, "the acknowledgement").equals(AckCode.ACCEPT)
    expect(told.code, "queryResponseCode").equals(QueryResponseCode.NOT_FOUND)
    expect(told.candidates, "candidates").is_absent()
