"""ITI-45 of a cross-reference consumer: it asks a manager for the id by which a domain knows a patient.

Source: ITI TF-2 3.45.4.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import well_addressed
from conformance.suites.looking_up import Sought, is_not_shared, is_submitted_by, shared, sought
from conformance.suites.people import new_id, well_wrapped
from conformance.target import Target
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery
from profiles.transaction import Actor

CONSUMER = Actor.CROSS_REFERENCE_CONSUMER


async def asked(target: Target) -> tuple[Sought, int, Asked]:
    """A manager that knows the patient by both ids is asked; once for all cases."""

    def know(given: Sought) -> None:
        target.people.know(given.known_as(given.local, given.shared))

    given, before = await shared(target, "ITI-45", know)
    return given, before, await target.asked(ITI_45, before, lambda each: each.request.identifier == given.local)


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-45",
    actor=CONSUMER,
    title="A question for ids is addressed as it must be",
)
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; plain SOAP."""
    _, _, request = await asked(target)
    well_addressed(request, ITI_45)


@case("ITI45/wrapper", transaction="ITI-45", actor=CONSUMER, title="The question says what it is, of whom and for whom")
async def wrapped(target: Target) -> None:
    """Id, time, interaction, trigger, processing, one receiver, sender."""
    _, _, request = await asked(target)
    well_wrapped(request, "PRPA_IN201309UV02", "PRPA_TE201309UV02")


@case("ITI45/asks", transaction="ITI-45", actor=CONSUMER, title="It asks by the id that it has, for that of the domain")
async def asks(target: Target) -> None:
    """One patient id, the domain as data source, an id of the question; nothing is odd."""
    given, _, request = await asked(target)
    query: IdentifiersQuery = request.request
    expect(query.identifier, "the id that it asks by").equals(given.local)
    expect(query.domains, "the domains").contains(given.shared.authority)
    expect(query.question.id.is_known, "whether the question has an id").equals(True)
    expect(request.findings, "what is odd").is_absent()


@case("ITI45/uses", transaction="ITI-45", actor=CONSUMER, title="What it shares then is of the id that it was told")
async def uses(target: Target) -> None:
    """Not of its own."""
    given, before, _ = await asked(target)
    await is_submitted_by(target, before, given.shared)


@case("ITI45/several", transaction="ITI-45", actor=CONSUMER, title="Of several ids of one domain none is taken")
async def several(target: Target) -> None:
    """A person decides: nothing is shared."""
    given = await sought(target)
    target.people.know(given.known_as(given.local, given.shared, new_id(target)))
    await is_not_shared(target, given, ITI_45)
