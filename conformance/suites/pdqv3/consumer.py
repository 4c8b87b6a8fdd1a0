"""ITI-47 of a demographics consumer: it asks a supplier who has a patient's name, birth date and sex.

Source: ITI TF-2 3.47.4.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import well_addressed
from conformance.suites.looking_up import Sought, is_not_shared, is_submitted_by, shared, sought
from conformance.suites.people import new_id, well_wrapped
from conformance.target import Target
from profiles.model.moment import Moment
from profiles.pdqv3.iti47 import ITI_47, CandidatesQuery
from profiles.transaction import Actor

CONSUMER = Actor.DEMOGRAPHICS_CONSUMER


async def asked(target: Target) -> tuple[Sought, int, Asked]:
    """A supplier that knows the patient by name is asked; once for all cases."""

    def know(given: Sought) -> None:
        target.people.know(given.known_as(given.shared), only_by_name=True)

    given, before = await shared(target, "ITI-47", know)
    return given, before, await target.asked(ITI_47, before, lambda each: given.patient.name.family in str(each.body))


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-47",
    actor=CONSUMER,
    title="A question for patients is addressed as it must be",
)
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; plain SOAP."""
    _, _, request = await asked(target)
    well_addressed(request, ITI_47)


@case("ITI47/wrapper", transaction="ITI-47", actor=CONSUMER, title="The question says what it is, of whom and for whom")
async def wrapped(target: Target) -> None:
    """Id, time, interaction, trigger, processing, one receiver, sender."""
    _, _, request = await asked(target)
    well_wrapped(request, "PRPA_IN201305UV02", "PRPA_TE201305UV02")


@case(
    "ITI47/asks", transaction="ITI-47", actor=CONSUMER, title="It asks by name, birth date and sex, for ids of a domain"
)
async def asks(target: Target) -> None:
    """With an id of the question, and a bound for what comes; nothing is odd."""
    given, _, request = await asked(target)
    query: CandidatesQuery = request.request
    person, criteria = given.patient, query.criteria
    expect([(each.name.family, each.name.given) for each in criteria.names], "the names").contains(
        (person.name.family, person.name.given)
    )
    expect(criteria.birth is not None and criteria.birth.low, "the birth date").equals(person.birth_date)
    expect(criteria.sex, "the sex").equals(person.sex)
    expect(query.domains, "the domains").contains(given.shared.authority)
    expect(query.question.id.is_known, "whether the question has an id").equals(True)
    expect(bool(query.initial_quantity), "whether there is an initialQuantity").equals(True)
    expect(request.findings, "what is odd").is_absent()


@case("ITI47/uses", transaction="ITI-47", actor=CONSUMER, title="What it shares then is of the id of who was found")
async def uses(target: Target) -> None:
    """Not of its own."""
    given, before, _ = await asked(target)
    await is_submitted_by(target, before, given.shared)


@case("ITI47/several", transaction="ITI-47", actor=CONSUMER, title="Of several who fit none is taken")
async def several(target: Target) -> None:
    """A person decides: nothing is shared."""
    given = await sought(target)
    for identifier in (given.shared, new_id(target)):
        target.people.know(given.known_as(identifier), only_by_name=True)
    await is_not_shared(target, given, ITI_47)


@case("ITI47/contradicts", transaction="ITI-47", actor=CONSUMER, title="Somebody with another birth date is not taken")
async def contradicts(target: Target) -> None:
    """Whatever the supplier makes of the question."""
    given = await sought(target)
    other = replace(given.known_as(given.shared), birth_date=Moment.from_dtm("19690509"))
    target.people.know(other, only_by_name=True)
    await is_not_shared(target, given, ITI_47)
