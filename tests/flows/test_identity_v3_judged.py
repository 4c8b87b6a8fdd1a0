"""What the house says by HL7 V3, on the wire and in each case, is valid by the published schemas; others' messages come.

Source: HL7 V3 Normative Edition 2008; ITI TF-2 3.44, 3.45, 3.47, 3.55.
"""

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from profiles.model.identifiers import Oid
from profiles.model.patient import PersonName
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import CANCEL, CONTINUE, ITI_47, CandidatesQuery, Continuation
from profiles.pixv3.iti44 import BY_EVENT, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery
from profiles.pixv3.iti46 import ITI_46, notification
from profiles.wire.soap.envelope import encode_envelope
from profiles.xcpd.iti55 import DEFERRED, ITI_55, DiscoveryRequest
from tests.support.hl7v3 import judge, sample
from tests.support.identity_v3 import MANAGER, REGISTRY, posted, question, sent
from tests.support.scenario import (
    BORN,
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE,
    LAKESIDE_ID,
    NAME,
    VALLEY_ID,
    ZEBEDIAH,
    Message,
    SoapReply,
    Valley,
    read_soap,
    world,
)
from tests.support.soap import client_of

GATEWAY = "/soap/responding-gateway"
WHO = PatientCriteria(names=(NameCriteria(name=NAME),), birth=BirthCriteria(low=BORN, high=BORN))
NOBODY = replace(WHO, names=(NameCriteria(name=PersonName(family="Nobody", given="N")),))


async def body_of(reply: SoapReply) -> etree._Element:
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    return message.body


def cases() -> list[tuple[str, str, Any, Any]]:
    """A conversation: what is said, in order."""

    def record(event: RecordEvent, *identifiers: Any, **more: Any) -> tuple[Any, PatientRecordRequest]:
        patient = replace(ZEBEDIAH, identifiers=identifiers)
        return BY_EVENT[event], PatientRecordRequest(event=event, patient=patient, transmission=sent(), **more)

    def ids(identifier: Any, *domains: Oid) -> tuple[Any, IdentifiersQuery]:
        return ITI_45, IdentifiersQuery(
            identifier=identifier, domains=domains, question=question(), transmission=sent()
        )

    def who(criteria: PatientCriteria, **more: Any) -> CandidatesQuery:
        return CandidatesQuery(criteria=criteria, question=question(), transmission=sent(), **more)

    paged = who(
        PatientCriteria(names=(NameCriteria(name=PersonName(family="Quill"), beginning=True),)), initial_quantity=1
    )
    more = Continuation(query_id=paged.question.id, transmission=sent())
    other = replace(VALLEY_ID, value="VA31337")
    return [
        ("added", REGISTRY, *record(RecordEvent.ADD, VALLEY_ID, DOMAIN_ID, LAKESIDE_ID)),
        ("added too", REGISTRY, *record(RecordEvent.ADD, other)),
        ("revised", REGISTRY, *record(RecordEvent.REVISE, VALLEY_ID)),
        ("of no domain", REGISTRY, *record(RecordEvent.ADD, replace(VALLEY_ID, authority=Oid("1.9")))),
        ("notified", MANAGER, ITI_46, notification((VALLEY_ID, LAKESIDE_ID), NAME, sent())),
        ("ids", MANAGER, *ids(VALLEY_ID)),
        ("ids of a domain", MANAGER, *ids(LAKESIDE_ID, DOMAIN)),
        ("no id there", MANAGER, *ids(other, LAKESIDE)),
        ("unknown id", MANAGER, *ids(replace(VALLEY_ID, value="VANOBODY"))),
        ("unknown domains", MANAGER, *ids(VALLEY_ID, Oid("1.9.8"), Oid("1.9.9"))),
        ("somebody", MANAGER, ITI_47, who(WHO)),
        ("nobody", MANAGER, ITI_47, who(NOBODY)),
        ("everybody", MANAGER, ITI_47, who(PatientCriteria())),
        ("a page", MANAGER, ITI_47, paged),
        ("the next", MANAGER, CONTINUE, more),
        ("none after it", MANAGER, CONTINUE, replace(more, transmission=sent())),
        ("enough", MANAGER, CANCEL, replace(more, cancels=True, transmission=sent())),
        ("known here", GATEWAY, ITI_55, DiscoveryRequest(query=who(WHO))),
        ("not known here", GATEWAY, ITI_55, DiscoveryRequest(query=who(NOBODY))),
        ("too little", GATEWAY, ITI_55, DiscoveryRequest(query=who(PatientCriteria(names=NOBODY.names)))),
        ("later", GATEWAY, DEFERRED, DiscoveryRequest(query=who(WHO))),
        ("merged", REGISTRY, *record(RecordEvent.MERGE, VALLEY_ID, subsumed_identifiers=(other,))),
        ("merged again", REGISTRY, *record(RecordEvent.MERGE, VALLEY_ID, subsumed_identifiers=(other,))),
    ]


@pytest.mark.judge_standard
async def test_every_answer_of_a_whole_conversation_is_valid(tmp_path: Path) -> None:
    answers: dict[str, str] = {}
    async with world(tmp_path) as here:
        for name, path, transaction, request in cases():
            body = await body_of(await posted(here.valley, path, transaction, request))
            assert str(body.tag) == transaction.response_element, name
            judge(body)
            code = next(body.iter("{*}acknowledgement")).find("{*}typeCode")
            assert code is not None
            answers[name] = code.get("code", "")
    refused = {name for name, code in answers.items() if code not in ("AA", "CA")}
    assert refused == {
        "of no domain", "unknown id", "unknown domains", "everybody", "none after it", "too little", "later",
        "merged again",
    }  # fmt: skip


async def sent_as_it_is(valley: Valley, path: str, action: str, body: etree._Element) -> etree._Element:
    """Somebody else's body in an envelope."""
    envelope = encode_envelope(
        [etree.tostring(body)], action=action, message_id=f"urn:uuid:{uuid.uuid4()}", reply_to=True
    )
    message = Message(content_type="application/soap+xml", body=b"".join(envelope))
    return await body_of(await valley.post(path, message))


@pytest.mark.judge_standard
@pytest.mark.parametrize(
    ("path", "action", "file", "code", "query_code"),
    [
        (REGISTRY, "PRPA_IN201301UV02", ("iti-44", "PIX_FEED_REG_Maximal_Request.xml"), "CA", ""),
        (REGISTRY, "PRPA_IN201304UV02", ("iti-44", "PIX_FEED_MERGE_Maximal_Request.xml"), "CE", ""),
        (MANAGER, "PRPA_IN201305UV02", ("iti-55", "iti55-sample-request.xml"), "AA", "NF"),
        (GATEWAY, "PRPA_IN201305UV02:CrossGatewayPatientDiscovery", ("iti-55", "iti55-sample-request.xml"), "AA", "NF"),
    ],
)
async def test_messages_of_others_are_answered_in_valid_ones(
    tmp_path: Path, path: str, action: str, file: tuple[str, str], code: str, query_code: str
) -> None:
    # The sample is fed by IPF's own domain, so the house is told to be of it.
    async with world(tmp_path, affinity_domain={"patient_authority": "1.2.3.4.5.1000"}) as here:
        request = sample(*file)
        answer = await sent_as_it_is(here.valley, path, f"urn:hl7-org:v3:{action}", request)
        judge(answer)
        acknowledgement = next(answer.iter("{*}acknowledgement"))
        assert acknowledgement.find("{*}typeCode").get("code") == code  # type: ignore[union-attr]
        target, id_ = acknowledgement.find("{*}targetMessage/{*}id"), request.find("{*}id")
        assert target is not None
        assert id_ is not None
        assert dict(target.attrib) == dict(id_.attrib)
        responses = [each.get("code") for each in answer.iter("{*}queryResponseCode")]
        assert responses == ([query_code] if query_code else [])


OPERATIONS = {
    REGISTRY: 3,  # added, revised, merged
    MANAGER: 5,  # ids, notification; query, its continuation and its end
    GATEWAY: 5,  # query, retrieve, provide; discovery, and the deferred one
}


async def test_a_strangers_tool_reads_what_each_address_serves(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        for address, count in OPERATIONS.items():
            status, body = await here.valley.get(f"{address}?wsdl")
            assert status == 200
            (binding,) = client_of(body, tmp_path).wsdl.bindings.values()
            assert len(binding.all()) == count, address
