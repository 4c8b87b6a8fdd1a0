"""ITI-46 of a cross-reference manager: a consumer is told by which ids a patient is known, whenever they change.

Patients are fed by ITI-8.

Source: ITI TF-2 3.46.4.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import well_addressed
from conformance.suites.people import new_id
from conformance.suites.pix.messages import adt, cx, new_patient, pid, sent
from conformance.target import Target
from conformance.verdict import Unreachable
from profiles.model.identifiers import PatientIdentifier
from profiles.pixv3.iti46 import ITI_46, PatientRecordRequest
from profiles.transaction import Actor
from profiles.wire.hl7v3.datatypes import child, children

MANAGER = Actor.CROSS_REFERENCE_MANAGER
PATIENT = "controlActProcess/subject/registrationEvent/subject1/patient"
ABOUT_IDS = {"name", "asOtherIDs"}  # of a person, beside what a schema requires


async def fed(target: Target, *identifiers: PatientIdentifier) -> int:
    """Tell it of a patient by these ids; answers how many requests had come before.

    Raises:
        Unreachable: It does not take that.
    """
    before = len(target.community.counterpart.asked)
    told = pid(identifiers[0], "Notified^About").replace(cx(identifiers[0]), "~".join(map(cx, identifiers)))
    if (await sent(target, adt(target, "A08", told))).msa[1] != "AA":
        raise Unreachable("a patient who is right is not taken by A08: see pix.registry_feed")
    return before


async def notified(target: Target, before: int, *identifiers: PatientIdentifier) -> Asked:
    """The notification of a patient who has these ids."""

    def wanted(asked: Asked) -> bool:
        request: PatientRecordRequest = asked.request
        return set(identifiers) <= set(request.patient.identifiers)

    return await target.asked(ITI_46, before, wanted)


async def of_two(target: Target) -> tuple[tuple[PatientIdentifier, PatientIdentifier], Asked]:
    """A patient with ids of two domains, and what is said of them; once for all cases."""

    async def make() -> tuple[PatientIdentifier, PatientIdentifier, int]:
        assert target.people is not None
        first, second = new_patient(target), new_id(target, target.known("other_patient_authority"))
        return first, second, await fed(target, first, second)

    first, second, before = await target.once("ITI-46", make)
    return (first, second), await notified(target, before, first, second)


@case(
    "IHE-WSA101",
    "IHE-WSA102",
    "V/packaging",
    transaction="ITI-46",
    actor=MANAGER,
    title="A notification is addressed as it must be",
)
async def addressed(target: Target) -> None:
    """As a record that is revised."""
    _, asked = await of_two(target)
    well_addressed(asked, ITI_46)


@case("ITI46/ids", transaction="ITI-46", actor=MANAGER, title="A consumer is told by which ids a patient is known")
async def ids(target: Target) -> None:
    """All of them, of both domains, and the name; nothing is odd."""
    identifiers, asked = await of_two(target)
    request: PatientRecordRequest = asked.request
    expect(request.patient.identifiers, "the ids").has_same(identifiers)
    expect(request.patient.name.family, "the family name").equals("Notified")
    expect(asked.findings, "what is odd").is_absent()


@case("ITI46/content", transaction="ITI-46", actor=MANAGER, title="A notification tells ids and a name, nothing else")
async def no_more(target: Target) -> None:
    """No birth date, sex or address: who wants to know them asks for them."""
    _, asked = await of_two(target)
    assert asked.message is not None
    person = child(asked.message.body, f"{PATIENT}/patientPerson")
    names = {str(each.tag).rpartition("}")[2] for each in person} if person is not None else set()
    expect(names - ABOUT_IDS, "what else it tells of the person").is_absent()
    expect(len(children(asked.message.body, PATIENT)), "the number of patients").equals(1)


@case("ITI46/changed", transaction="ITI-46", actor=MANAGER, title="A further id is told with those before it")
async def further_id(target: Target) -> None:
    """The list is the whole list."""
    first, second = new_patient(target), new_id(target, target.known("other_patient_authority"))
    before = await fed(target, first)
    await notified(target, before, first)
    before = await fed(target, first, second)
    asked = await notified(target, before, second)
    expect(asked.request.patient.identifiers, "the ids").has_same((first, second))
