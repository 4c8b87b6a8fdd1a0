"""ITI-55 as an initiating gateway asks it: of whom, and what it does with what it is told.

It is asked for a patient's documents (ITI-18); South is asked for its id of the patient before it is asked for them.

Source: ITI TF-2 3.55.4.1, 3.55.4.2.
"""

from dataclasses import replace

from lxml import etree

from conformance.case import case
from conformance.expect import expect
from conformance.simulators.foreign_community import answered
from conformance.suites.asking import well_addressed
from conformance.suites.communities import Listening, communities, complains, offered
from conformance.suites.people import known
from conformance.suites.xds.documents import APPROVED
from conformance.target import Answer, Target
from profiles.errors import InternalFault
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.hl7v3.datatypes import child, code_of, read_ii
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xcpd.iti55 import ITI_55, DiscoveryRequest, DiscoveryResponse
from profiles.xds.iti18 import ITI_18, StoredQuery

GATEWAY = Actor.INITIATING_GATEWAY
QUERY = "controlActProcess/queryByParameter"
PARAMETERS = {
    "livingSubjectAdministrativeGender": "LivingSubject.administrativeGender",
    "livingSubjectBirthPlaceAddress": "LivingSubject.BirthPlace.Addr",
    "livingSubjectBirthPlaceName": "LivingSubject.BirthPlace.Place.Name",
    "livingSubjectBirthTime": "LivingSubject.birthTime",
    "livingSubjectId": "LivingSubject.id",
    "livingSubjectName": "LivingSubject.name",
    "mothersMaidenName": "Person.MothersMaidenName",
    "patientAddress": "Patient.addr",
    "patientTelecom": "Patient.telecom",
    "principalCareProviderId": "AssignedProvider.id",
}  # in the order of the schema


@case(
    "IHE-WSA101", "IHE-WSA102", "V/packaging", transaction="ITI-55", actor=GATEWAY,
    title="A question about a patient is addressed as it must be",
)  # fmt: skip
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; plain SOAP."""
    _, south = communities(target)
    listening = Listening(target)
    await _asked(target)
    well_addressed(listening.once(south, ITI_55), ITI_55)


@case("ITI55/asks-home", transaction="ITI-55", actor=GATEWAY, title="Who asks names its home as a bare OID")
async def home_named(target: Target) -> None:
    """The organisation that the sending device stands for; elsewhere it is a URN."""
    id = child(await _question(target), "sender/device/asAgent/representedOrganization/id")
    expect(None if id is None else id.get("root"), "representedOrganization/id/@root").equals(
        target.known("home_community_id")
    )


@case("ITI55/asks-enough", transaction="ITI-55", actor=GATEWAY, title="Name and birth time are told, or an id")
async def tells_enough(target: Target) -> None:
    """And the name is whole."""
    _, south = communities(target)
    listening = Listening(target)
    await _asked(target)
    request: DiscoveryRequest = listening.once(south, ITI_55).request
    criteria = request.query.criteria
    told = bool(criteria.identifiers or (criteria.names and criteria.birth))
    expect(told, "whether the question tells name and birth time, or an id").equals(True)
    expect([each for each in criteria.names if each.beginning], "names with use SRCH").is_absent()


@case("ITI55/asks-schema", transaction="ITI-55", actor=GATEWAY, title="A question is written as the schema says")
async def written(target: Target) -> None:
    """Interaction, trigger, codes, and the parameters in their order, each with its semanticsText."""
    body = await _question(target)
    interaction = read_ii(child(body, "interactionId"))
    expect((interaction.root, interaction.extension), "interactionId").equals(
        ("2.16.840.1.113883.1.6", "PRPA_IN201305UV02")
    )
    codes = {name: code_of(body, name) for name in ("processingModeCode", "acceptAckCode")}
    expect(codes, "the codes of the wrapper").equals({"processingModeCode": "T", "acceptAckCode": "AL"})
    expect(code_of(body, "controlActProcess/code"), "the trigger").equals("PRPA_TE201305UV02")
    query = child(body, QUERY)
    expect(query is not None, "whether there is a queryByParameter").equals(True)
    expect(read_ii(child(query, "queryId")).is_known, "whether queryId is known").equals(True)
    told = {name: code_of(query, name) for name in ("statusCode", "responseModalityCode", "responsePriorityCode")}
    expect(told, "the codes of the question").equals(
        {"statusCode": "new", "responseModalityCode": "R", "responsePriorityCode": "I"}
    )
    parameters = child(query, "parameterList")
    asked = [
        (etree.QName(each).localname, text.text if (text := child(each, "semanticsText")) is not None else None)
        for each in (parameters if parameters is not None else ())
    ]
    names = list(dict.fromkeys(name for name, _ in asked))
    expect(names, "the parameters").equals([name for name in PARAMETERS if name in names])
    expect(asked, "the parameters and their semanticsText").equals([(name, PARAMETERS[name]) for name, _ in asked])


@case(
    "ITI55/asks-reverse", transaction="ITI-55", actor=GATEWAY,
    title="The id by which the gateway may be asked back is among those that are told",
)  # fmt: skip
async def reverse(target: Target) -> None:
    """Of the authority that authorOrPerformer names, where it names one."""
    _, south = communities(target)
    listening = Listening(target)
    await _asked(target)
    query = listening.once(south, ITI_55).request.query
    if query.reverse is not None:
        told = {each.authority for each in query.criteria.identifiers}
        expect(told, "the authorities of the ids that are told").contains(query.reverse)


@case("ITI55/asks-match", transaction="ITI-55", actor=GATEWAY, title="A community is asked by the id that it told")
async def told_id(target: Target) -> None:
    """For whatever it has of that patient."""
    _, south = communities(target)
    theirs = (await offered(target, south)).manifest.entry.unique_id
    listening = Listening(target)
    answer = await _asked(target)
    request: StoredQueryRequest = listening.once(south, ITI_38).request
    expect(request.criteria.patient_ids, "the patient that South is asked for").equals((south.patient,))
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


@case(
    "ITI55/asks-no-match",
    transaction="ITI-55",
    actor=GATEWAY,
    title="A community that knows nobody is asked no further",
)
async def no_match(target: Target) -> None:
    """Which is no error."""
    north, south = communities(target)
    theirs = (await offered(target, north)).manifest.entry.unique_id
    listening = Listening(target)

    async def nobody(request: DiscoveryRequest) -> DiscoveryResponse:
        return answered(request, south.home)

    with south.instead(ITI_55, nobody):
        answer = await _asked(target)
    listening.once(south, ITI_55)
    listening.nothing(ITI_38, by=[south])
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


@case(
    "ITI55/asks-again", transaction="ITI-55", actor=GATEWAY,
    title="What a community does not let others remember is asked again",
)  # fmt: skip
async def not_remembered(target: Target) -> None:
    """An answer without CorrelationTimeToLive; of a patient whom nobody has asked about before."""
    _, south = communities(target)
    patient = (await known(target)).identifiers[0]
    await _asked(target, patient)
    first, south.patient = south.patient, replace(south.patient, value=f"{south.patient.value}N")
    listening = Listening(target)
    await _asked(target, patient)
    listening.once(south, ITI_55)
    request: StoredQueryRequest = listening.once(south, ITI_38).request
    expect(request.criteria.patient_ids, f"the patient that South is asked for, who was {first.value} before").equals(
        (south.patient,)
    )


@case(
    "ITI55/asks-error", transaction="ITI-55", actor=GATEWAY,
    title="A community that cannot say whom it knows is named in an error",
)  # fmt: skip
async def error_told(target: Target) -> None:
    """AE is not nobody."""
    north, south = communities(target)
    theirs = (await offered(target, north)).manifest.entry.unique_id
    listening = Listening(target)

    async def broken(request: DiscoveryRequest) -> DiscoveryResponse:
        refusal: DiscoveryResponse = ITI_55.refuse(InternalFault("something is broken here"))
        return refusal

    with south.instead(ITI_55, broken):
        answer = await _asked(target)
    listening.nothing(ITI_38, by=[south])
    expect(answer.response.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    complains(answer.response.errors, (answer.response.errors[0].code, south.home.urn))
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


async def _asked(target: Target, patient: PatientIdentifier | None = None) -> Answer[StoredQueryResponse]:
    """Ask for the documents of a patient, the known one where none is given."""
    criteria = DocumentCriteria(patient_ids=(patient or target.patient(),), statuses=APPROVED)
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    return await target.call(ITI_18, request, at=GATEWAY)


async def _question(target: Target) -> etree._Element:
    """What South is asked, as it was written."""
    _, south = communities(target)
    listening = Listening(target)
    await _asked(target)
    message = listening.once(south, ITI_55).message
    assert message is not None
    return message.body
