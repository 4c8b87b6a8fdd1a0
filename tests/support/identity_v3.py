"""A house that is fed and asked by HL7 V3: what is sent, and what it answers."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.model.query import PatientCriteria
from profiles.pdqv3.iti47 import ITI_47, CandidatesQuery, CandidatesResponse
from profiles.pixv3.iti44 import BY_EVENT, Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery, IdentifiersResponse
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Transmission
from tests.support.hl7v3 import THEM, US
from tests.support.scenario import SoapReply, Valley, message_of, read_soap

REGISTRY, MANAGER = "/soap/patient-registry", "/soap/patient-manager"


def sent() -> Transmission:
    """The wrapper of a new message to the house."""
    return Transmission.of(str(uuid.uuid4()), datetime.now(UTC), THEM, US)


async def posted(house: Valley, path: str, transaction: Any, request: Any, peer: str = "Lakeside") -> SoapReply:
    """What the house says to a request, as it came."""
    return await house.post(path, await message_of(transaction, request), peer=peer)


async def answered(house: Valley, path: str, transaction: Any, request: Any, peer: str = "Lakeside") -> Any:
    """The transaction's own answer; no fault, and it says whose answer it is."""
    reply = await posted(house, path, transaction, request, peer)
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    assert reply.status == 200
    decoded = transaction.decode_response(message.to_codec())
    assert decoded.findings == ()
    acknowledgement = getattr(decoded.value, "acknowledgement", decoded.value)
    assert acknowledgement.target == request.transmission.id
    assert acknowledgement.transmission.receiver == request.transmission.sender
    return decoded.value


async def fed(
    house: Valley,
    patient: Patient,
    event: RecordEvent = RecordEvent.ADD,
    *,
    subsumed: PatientIdentifier | None = None,
    **how: Any,
) -> Acknowledgement:
    """ITI-44."""
    request = PatientRecordRequest(
        event=event,
        patient=patient,
        subsumed_identifiers=() if subsumed is None else (subsumed,),
        provider=patient.identifiers[0].authority if patient.identifiers else None,
        transmission=sent(),
    )
    answer: Acknowledgement = await answered(house, REGISTRY, BY_EVENT[event], replace(request, **how))
    return answer


def question() -> Question:
    """A new one."""
    return Question(id=InstanceIdentifier(root="1.2.4.1.7", extension=uuid.uuid4().hex))


async def identified(house: Valley, identifier: PatientIdentifier, *domains: Oid) -> IdentifiersResponse:
    """ITI-45."""
    query = IdentifiersQuery(identifier=identifier, domains=domains, question=question(), transmission=sent())
    answer: IdentifiersResponse = await answered(house, MANAGER, ITI_45, query)
    assert answer.question.id == query.question.id
    return answer


async def matched(house: Valley, criteria: PatientCriteria, **how: Any) -> CandidatesResponse:
    """ITI-47."""
    query = CandidatesQuery(criteria=criteria, question=question(), transmission=sent())
    query = replace(query, **how)
    answer: CandidatesResponse = await answered(house, MANAGER, ITI_47, query)
    assert answer.question.id == query.question.id
    return answer
