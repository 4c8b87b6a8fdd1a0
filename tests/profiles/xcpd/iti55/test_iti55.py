"""ITI-55: the question, the answer in its five cases, how long it holds, and audit on both sides."""

from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from profiles.catalogue import by_soap_action
from profiles.errors import Busy, ExchangeError, InternalFault, PeerUnavailable, RuleViolation, TooManyResults
from profiles.findings import Severity
from profiles.model.audit import Action, Outcome
from profiles.model.query import PatientCriteria
from profiles.transaction import Side
from profiles.wire.audit.participants import QUERY
from profiles.wire.hl7v3.ack import AckCode, Acknowledgement
from profiles.wire.hl7v3.candidates import Priority
from profiles.wire.hl7v3.query import NO_QUESTION, Question
from profiles.wire.hl7v3.transmission import Device
from profiles.wire.soap.message import SoapIn, SoapOut, Stamp
from profiles.xcpd.iti55 import (
    DEFERRED,
    DEFERRED_ANSWER,
    ITI_55,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    Problem,
    QueryResponseCode,
    deferred_is_not_supported,
    question_of_text,
    text_of_question,
)
from profiles.xcpd.iti55.codec import read_keep_for, write_keep_for
from tests.profiles.xcpd.messages import ASKED, BROUGHT, BY_ID, HOME, LATER, NONE, ONE, TELL_MORE
from tests.profiles.xds.audited import DOWN, ME, THEM, details, facts, ids, parties
from tests.profiles.xds.audited import judge as judge_audit
from tests.support.ebxml import parse, soap_in, written
from tests.support.hl7v3 import AT, SENT, US, ZOE, judge, sample
from tests.support.judges import standards

STAMP = Stamp(id="0b7c8f2e-0000-4000-8000-000000000004", at=AT)
HEADER = '<h xmlns:x="urn:ihe:iti:xcpd:2009"><x:CorrelationTimeToLive>{}</x:CorrelationTimeToLive></h>'


def arrived(out: SoapOut) -> SoapIn:
    return replace(soap_in(written(out)), header=parse(b"<h>" + out.header + b"</h>"))


def rules(request: DiscoveryRequest) -> list[tuple[str, Severity]]:
    return [(each.rule, each.severity) for check in ITI_55.checks for each in check(request)]


@pytest.mark.parametrize("request_", [ASKED, BY_ID], ids=["demographics", "id"])
def test_a_question_is_read_as_it_was_written(request_: DiscoveryRequest) -> None:
    read = ITI_55.decode_request(arrived(ITI_55.encode_request(request_)))
    question = Question(id=read.value.query.question.id)
    assert replace(read.value, query=replace(read.value.query, question=question)) == request_
    assert read.findings == ()
    assert rules(read.value) == []


@pytest.mark.parametrize("response", [ONE, TELL_MORE, NONE], ids=["one", "tell more", "none"])
def test_an_answer_is_read_as_it_was_written(response: DiscoveryResponse) -> None:
    unasked = replace(response, answer=replace(response.answer, question=NO_QUESTION, quantities=None))
    assert ITI_55.decode_response(arrived(ITI_55.encode_response(unasked))).value == unasked


def test_between_communities_a_patient_has_one_id_and_the_custodian_is_the_home() -> None:
    body = written(ITI_55.encode_response(ONE))
    (patient,) = body.iter("{*}patient")
    assert [each.get("extension") for each in patient.iterchildren("{*}id")] == [ZOE.identifiers[0].value]
    others = body.findall(".//{*}asOtherIDs/{*}id")
    assert [each.get("extension") for each in others] == [each.value for each in ZOE.identifiers[1:]]
    assert body.findall(".//{*}custodian/{*}assignedEntity/{*}id")[0].get("root") == HOME
    assert body.findall(".//{*}custodian/{*}assignedEntity/{*}code")[0].get("code") == "NotHealthDataLocator"
    assert not list(body.iter("{*}resultTotalQuantity"))


@pytest.mark.judge_standard
@pytest.mark.parametrize(
    "response", [ONE, TELL_MORE, NONE, ITI_55.refuse(Busy("later")), ITI_55.refuse(RuleViolation("no"))]
)
def test_the_published_schemas_accept_question_and_answers(response: DiscoveryResponse) -> None:
    assert ITI_55.stamp is not None
    for request in (ASKED, BY_ID):
        body = written(ITI_55.encode_request(request))
        judge(body)
        unasked = replace(response, answer=replace(response.answer, question=NO_QUESTION))
        judge(written(ITI_55.encode_response(ITI_55.stamp(unasked, soap_in(body), STAMP))))


@pytest.mark.judge_standard
def test_a_question_of_others_names_its_community_and_the_id_to_ask_back_by() -> None:
    read = ITI_55.decode_request(soap_in(sample("iti-55", "iti55-sample-request.xml"))).value
    assert read.query.transmission.sender.organization == "1.2.3.928.955"
    assert read.query.reverse == "1.2.840.114350.1.13.99997.2.3412"
    assert read.keep_for is None
    assert rules(read) == []


@pytest.mark.judge_standard
def test_an_answer_of_others_is_read() -> None:
    read = ITI_55.decode_response(soap_in(sample("iti-55", "iti55-sample-response.xml"))).value
    assert read.acknowledgement.accepted
    assert next(each.home for each in read.answer.candidates) == "1.2.840.114350.1.13.99998.8734"


@pytest.mark.judge_standard
def test_the_published_schema_accepts_the_header() -> None:
    schema = etree.XMLSchema(etree.parse(str(standards("xds-schemas", "schema", "IHE", "XCPD_PLQ.xsd"))))
    for length in (timedelta(days=7), timedelta(hours=36), timedelta(seconds=1)):
        schema.assertValid(etree.fromstring(write_keep_for(length)))


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [timedelta(days=7), timedelta(hours=36), timedelta(minutes=5), timedelta(seconds=1)])
def test_a_duration_is_read_as_it_was_written(length: timedelta) -> None:
    assert read_keep_for(parse(b"<h>" + write_keep_for(length) + b"</h>")) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P1Y2M3DT4H5M6.7S", timedelta(days=428, hours=4, minutes=5, seconds=6)),
        (" P30D ", timedelta(days=30)),
        ("PT36H", timedelta(hours=36)),
        ("P0D", None),
        ("-P7D", None),
        ("7 days", None),
        ("P", None),
        ("", None),
    ],
)
def test_a_duration_of_others_is_read_and_what_is_none_is_no_leave_to_remember(
    text: str, length: timedelta | None
) -> None:
    assert read_keep_for(parse(HEADER.format(text).encode())) == length
    assert read_keep_for(None) is None


def test_nothing_is_said_where_nothing_may_be_remembered() -> None:
    assert write_keep_for(None) == write_keep_for(timedelta()) == b""


# --- rules and refusals -----------------------------------------------------------------------------------------------


def test_name_and_birth_time_are_told_or_an_id() -> None:
    for criteria in (
        PatientCriteria(names=ASKED.query.criteria.names),
        PatientCriteria(birth=ASKED.query.criteria.birth),
        PatientCriteria(),
    ):
        found = rules(replace(ASKED, query=replace(ASKED.query, criteria=criteria)))
        assert found == [("iti55.too-little", Severity.ERROR)]


def test_a_name_between_communities_is_whole_and_the_answer_immediate() -> None:
    names = tuple(replace(each, beginning=True) for each in ASKED.query.criteria.names)
    searched = replace(ASKED.query, criteria=replace(ASKED.query.criteria, names=names), priority=Priority.DEFERRED)
    assert rules(replace(ASKED, query=searched)) == [
        ("iti55.search", Severity.ERROR),
        ("iti55.priority", Severity.ERROR),
    ]


def test_who_does_not_name_its_community_is_read_all_the_same() -> None:
    nobody = replace(SENT, sender=Device(id=US.id))
    assert rules(replace(ASKED, query=replace(ASKED.query, transmission=nobody))) == [("iti55.home", Severity.WARNING)]


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (Busy("later"), Problem.BUSY),
        (TooManyResults("many"), Problem.NOT_AVAILABLE),
        (PeerUnavailable("down"), Problem.NOT_AVAILABLE),
        (InternalFault("ours"), Problem.INTERNAL),
    ],
)
def test_an_error_says_why_nobody_looked(problem: ExchangeError, why: Problem) -> None:
    assert ITI_55.stamp is not None
    refused = ITI_55.stamp(ITI_55.refuse(problem), arrived(ITI_55.encode_request(ASKED)), STAMP)
    read = ITI_55.decode_response(arrived(ITI_55.encode_response(refused))).value
    assert (read.answer.code, read.answer.problem) == (QueryResponseCode.ERROR, why)
    assert not read.acknowledgement.accepted


def test_a_deferred_question_is_refused_at_application_level() -> None:
    assert DEFERRED.stamp is not None
    asked = soap_in(written(DEFERRED.encode_request(ASKED)))
    read = DEFERRED.decode_response(
        soap_in(written(DEFERRED.encode_response(DEFERRED.stamp(deferred_is_not_supported(), asked, STAMP))))
    ).value
    assert (read.code, [each.code for each in read.details], read.target) == (AckCode.ERROR, ["NS250"], SENT.id)


@pytest.mark.judge_standard
def test_a_deferred_question_says_where_its_answer_is_awaited_and_the_schema_accepts_it() -> None:
    body = written(DEFERRED.encode_request(LATER))
    judge(body)
    order = [etree.QName(each).localname for each in body]
    assert order.index("receiver") < order.index("respondTo") < order.index("sender")
    read = DEFERRED.decode_request(replace(arrived(DEFERRED.encode_request(LATER)), message_id=LATER.message_id)).value
    question = Question(id=read.query.question.id)
    assert replace(read, query=replace(read.query, question=question)) == LATER
    assert [each.rule for check in DEFERRED.checks for each in check(read)] == []


def test_an_answer_of_its_own_names_its_question_in_the_envelope() -> None:
    unasked = replace(ONE, answer=replace(ONE.answer, question=NO_QUESTION))
    out = DEFERRED_ANSWER.encode_request(replace(BROUGHT, response=unasked))
    assert out.relates_to == LATER.message_id
    read = DEFERRED_ANSWER.decode_request(replace(arrived(out), relates_to=out.relates_to)).value
    assert read == replace(BROUGHT, response=unasked)


@pytest.mark.judge_standard
@pytest.mark.parametrize("response", [ONE, TELL_MORE, NONE, ITI_55.refuse(Busy("later"))])
def test_the_schemas_accept_an_answer_of_its_own_and_its_acknowledgement(response: DiscoveryResponse) -> None:
    assert ITI_55.stamp is not None
    stamped = ITI_55.stamp(response, soap_in(written(DEFERRED.encode_request(LATER))), STAMP)
    body = written(DEFERRED_ANSWER.encode_request(replace(BROUGHT, response=stamped)))
    judge(body)
    assert DEFERRED_ANSWER.stamp is not None
    judge(written(DEFERRED_ANSWER.encode_response(DEFERRED_ANSWER.stamp(Acknowledgement(), soap_in(body), STAMP))))


@pytest.mark.judge_standard
def test_a_question_is_remembered_to_the_letter() -> None:
    asked = ITI_55.decode_request(soap_in(sample("iti-55", "iti55-sample-request.xml"))).value
    again = question_of_text(text_of_question(asked))
    assert [each.tag for each in parse(again.question.text.encode()).iter()] == [
        each.tag for each in parse(asked.query.question.text.encode()).iter()
    ]
    assert replace(again, question=asked.query.question) == asked.query


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (replace(LATER, message_id=""), "iti55.message-id"),
        (replace(LATER, query=replace(LATER.query, criteria=PatientCriteria())), "iti55.too-little"),
    ],
)
def test_a_deferred_question_that_could_not_be_answered_is_refused_at_once(
    request_: DiscoveryRequest, rule: str
) -> None:
    assert rule in [each.rule for check in DEFERRED.checks for each in check(request_) if each.code]


@pytest.mark.parametrize("side", list(Side))
def test_who_brings_an_answer_of_its_own_is_who_was_asked(side: Side) -> None:
    records = DEFERRED_ANSWER.audit(side, BROUGHT, Acknowledgement(), facts())
    asking, asked = (THEM, ME) if side is Side.INITIATOR else (ME, THEM)
    assert [parties(each) for each in records] == [
        [(asking.user_id, "source", True), (asked.user_id, "destination", False)]
    ]
    judge_audit(*records, *DEFERRED_ANSWER.audit(side, None, None, facts(error=DOWN)))


def test_its_actions_are_its_own() -> None:
    prefix = "urn:hl7-org:v3:PRPA_IN20130"
    assert by_soap_action(f"{prefix}5UV02:CrossGatewayPatientDiscovery") == (ITI_55,)
    assert by_soap_action(f"{prefix}5UV02:Deferred:CrossGatewayPatientDiscovery") == (DEFERRED,)
    assert by_soap_action(f"{prefix}6UV02:Deferred:CrossGatewayPatientDiscovery") == (DEFERRED_ANSWER,)
    assert ITI_55.response_action == f"{prefix}6UV02:CrossGatewayPatientDiscovery"


# --- audit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_both_sides_record_the_question_with_the_home_that_asks(side: Side) -> None:
    (record,) = ITI_55.audit(side, ASKED, ONE, facts())
    asking, asked = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    assert (record.event, record.action, record.outcome) == (QUERY, Action.EXECUTE, Outcome.SUCCESS)
    assert parties(record) == [(asking.user_id, "source", True), (asked.user_id, "destination", False)]
    assert ids(record) == [str(ZOE.identifiers[0]), str(ASKED.query.question.id)]
    assert details(record.objects[1]) == [("ihe:homeCommunityID", "1.2.3.1")]
    assert record.objects[1].id_type.code == "ITI-55"


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_the_records_are_valid_messages(side: Side) -> None:
    for request in (ASKED, BY_ID, None):
        for response in (ONE, TELL_MORE, DiscoveryResponse(answer=CandidatesResponse()), None):
            judge_audit(*ITI_55.audit(side, request, response, facts()))
    judge_audit(*DEFERRED.audit(side, ASKED, deferred_is_not_supported(), facts(error=DOWN)))
