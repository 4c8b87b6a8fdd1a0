"""ITI-45 on the wire: PRPA_IN201309UV02 asks, PRPA_IN201310UV02 answers.

Source: ITI TF-2 3.45.4.1.2, 3.45.4.2.2.
"""

from collections.abc import Iterator
from dataclasses import replace

from profiles.errors import ExchangeError, MalformedMessage
from profiles.findings import Decoded
from profiles.model.identifiers import Oid
from profiles.pixv3.iti45.messages import ASKED_ID, PARAMETERS, IdentifiersQuery, IdentifiersResponse, asked_domain
from profiles.wire.hl7v3.ack import UNKNOWN_KEY, of_error, read_acknowledgement, stamped, write_acknowledgement
from profiles.wire.hl7v3.datatypes import (
    InstanceIdentifier,
    child,
    children,
    error,
    read_name,
    read_oid,
    read_patient_identifier,
    write_ii,
    write_name,
    write_patient_identifier,
)
from profiles.wire.hl7v3.person import MAX_IDENTIFIERS, identifier_elements, registration, write_patient
from profiles.wire.hl7v3.query import (
    code_for,
    question_of,
    read_query_ack,
    read_question,
    write_query_ack,
)
from profiles.wire.hl7v3.transmission import control_act, read_transmission, write_message
from profiles.wire.soap.message import SoapIn, SoapOut, Stamp

REQUEST, RESPONSE = "PRPA_IN201309UV02", "PRPA_IN201310UV02"


def decode_request(message: SoapIn) -> Decoded[IdentifiersQuery]:
    """Read a question.

    Raises:
        MalformedMessage: It is another interaction, has no id, or names not exactly one patient id with its authority.
    """
    root = message.body
    transmission, findings = read_transmission(root, REQUEST, accept_acknowledgement="AL")
    element, question = read_question(root)
    values = children(element, "parameterList/patientIdentifier/value")
    identifier = read_patient_identifier(values[0], ASKED_ID, []) if len(values) == 1 else None
    if identifier is None:
        raise MalformedMessage("one patient id with its authority is asked about", location=ASKED_ID)
    if not question.id.is_known:
        findings.append(error("hl7v3.query-id", "a query has an id", PARAMETERS, "SYN101"))
    domains: list[Oid] = []
    for position, value in enumerate(children(element, "parameterList/dataSource/value")[:MAX_IDENTIFIERS], 1):
        domain = read_oid(value)
        if domain is None:
            findings.append(error("hl7v3.domain", "a domain is named by its OID", asked_domain(position), UNKNOWN_KEY))
        else:
            domains.append(domain)
    return Decoded(
        IdentifiersQuery(identifier=identifier, domains=tuple(domains), question=question, transmission=transmission),
        tuple(findings),
    )


def encode_request(query: IdentifiersQuery) -> SoapOut:
    """Write a question."""
    return write_message(
        REQUEST,
        query.transmission,
        control_act("PRPA_TE201309UV02", iter((question_text(query, again=False),))),
        accept_acknowledgement="AL",
    )


def question_text(query: IdentifiersQuery, *, again: bool = True) -> str:
    """The question: as it was asked, if somebody asked it, else (and if not `again`) as we write it."""
    return (query.question.text if again else "") or "".join(_parameters(query))


def _parameters(query: IdentifiersQuery) -> Iterator[str]:
    yield f'<queryByParameter>{write_ii("queryId", query.question.id)}<statusCode code="new"/>'
    yield '<responsePriorityCode code="I"/><parameterList>'
    for domain in query.domains:
        yield f"<dataSource>{write_ii('value', InstanceIdentifier(root=domain))}"
        yield "<semanticsText>DataSource.id</semanticsText></dataSource>"
    yield f"<patientIdentifier>{write_patient_identifier('value', query.identifier)}"
    yield "<semanticsText>Patient.id</semanticsText></patientIdentifier></parameterList></queryByParameter>"


def refuse(problem: ExchangeError) -> IdentifiersResponse:
    """The answer to what was refused."""
    return IdentifiersResponse(code=code_for(problem), acknowledgement=of_error(problem))


def stamp_response(response: IdentifiersResponse, asked: SoapIn, stamp: Stamp) -> IdentifiersResponse:
    """With the wrapper of an answer to this request, and the question again."""
    return replace(
        response,
        acknowledgement=stamped(response.acknowledgement, asked, stamp),
        question=question_of(asked.body),
    )


def encode_response(response: IdentifiersResponse) -> SoapOut:
    """Write an answer."""
    return write_message(
        RESPONSE, response.acknowledgement.transmission, _answer(response), accept_acknowledgement="NE"
    )


def _answer(response: IdentifiersResponse) -> Iterator[str]:
    yield from write_acknowledgement(response.acknowledgement)
    yield from control_act("PRPA_TE201310UV02", _control_act(response))


def _control_act(response: IdentifiersResponse) -> Iterator[str]:
    if response.identifiers:
        person = iter((write_name("name", response.name),))
        # The schema wants a custodian of every registration; ours is who gave the first id.
        yield from registration(write_patient(response.identifiers, person), response.identifiers[0].authority)
    yield from write_query_ack(response.question, response.code)


def decode_response(message: SoapIn) -> Decoded[IdentifiersResponse]:
    """Read an answer; ids of the person (asOtherIDs) are ids too.

    Raises:
        MalformedMessage: It is another interaction, or does not say how message and query were taken.
    """
    root = message.body
    transmission, findings = read_transmission(root, RESPONSE, accept_acknowledgement="NE")
    code, _ = read_query_ack(root)
    role = child(root, "controlActProcess/subject/registrationEvent/subject1/patient")
    person = child(role, "patientPerson")
    elements = [] if role is None else identifier_elements(role, f"/{RESPONSE}/patient")
    found = (read_patient_identifier(each, f"/{RESPONSE}/patient/id", findings) for each in elements)
    response = IdentifiersResponse(
        code=code,
        identifiers=tuple(dict.fromkeys(each for each in found if each is not None)),
        name=read_name(child(person, "name")),
        acknowledgement=read_acknowledgement(root, transmission),
        question=question_of(root),
    )
    return Decoded(response, tuple(findings))


__all__ = [
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "question_text",
    "refuse",
    "stamp_response",
]
