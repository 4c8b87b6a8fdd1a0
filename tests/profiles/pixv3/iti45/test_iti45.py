"""ITI-45: the question, the answer in its cases, and audit on both sides."""

from dataclasses import replace

import pytest
from lxml import etree

from profiles.errors import MalformedMessage, RuleViolation, UnknownPatient
from profiles.findings import Finding, Severity
from profiles.model.audit import Action, Outcome
from profiles.pixv3.iti45 import (
    ASKED_ID,
    ITI_45,
    IdentifiersQuery,
    IdentifiersResponse,
    QueryResponseCode,
    asked_domain,
)
from profiles.transaction import Side
from profiles.wire.audit.participants import QUERY
from profiles.wire.hl7v3.ack import AckCode
from profiles.wire.hl7v3.query import NO_QUESTION, Question
from profiles.wire.soap.message import Stamp
from tests.profiles.pixv3.messages import ANSWERED, IDENTIFIERS, KNOWN_AS, NOT_KNOWN, QUERY_ID
from tests.profiles.xds.audited import DOWN, ME, THEM, facts, ids, parties
from tests.profiles.xds.audited import judge as judge_audit
from tests.support.ebxml import canonical, parse, soap_in, written
from tests.support.hl7v3 import AT, OURS, SENT, judge

STAMP = Stamp(id="0b7c8f2e-0000-4000-8000-000000000002", at=AT)


def asked() -> etree._Element:
    return written(ITI_45.encode_request(IDENTIFIERS))


def answer_to(body: etree._Element, response: IdentifiersResponse) -> etree._Element:
    assert ITI_45.stamp is not None
    return written(ITI_45.encode_response(ITI_45.stamp(response, soap_in(body), STAMP)))


def test_a_question_is_read_as_it_was_written() -> None:
    read = ITI_45.decode_request(soap_in(asked()))
    assert read.findings == ()
    assert replace(read.value, question=Question(id=read.value.question.id)) == IDENTIFIERS


@pytest.mark.parametrize("response", [KNOWN_AS, NOT_KNOWN], ids=["found", "not found"])
def test_an_answer_is_read_as_it_was_written(response: IdentifiersResponse) -> None:
    read = ITI_45.decode_response(soap_in(written(ITI_45.encode_response(replace(response, question=NO_QUESTION)))))
    assert replace(read.value, question=NO_QUESTION) == replace(response, question=NO_QUESTION)
    assert read.findings == ()


@pytest.mark.judge_standard
@pytest.mark.parametrize(
    "response",
    [
        KNOWN_AS,
        NOT_KNOWN,
        ITI_45.refuse(UnknownPatient("nobody", location=ASKED_ID)),
        ITI_45.refuse(RuleViolation("x")),
    ],
)
def test_the_published_schemas_accept_question_and_answers(response: IdentifiersResponse) -> None:
    judge(asked())
    judge(answer_to(asked(), response))


def test_an_answer_repeats_the_question_to_the_letter_and_names_its_message() -> None:
    body = asked()
    answer = answer_to(body, IdentifiersResponse())
    (question,) = body.iter("{*}queryByParameter")
    (again,) = answer.iter("{*}queryByParameter")
    assert canonical(again) == canonical(question)
    read = ITI_45.decode_response(soap_in(answer)).value
    assert (read.question.id, read.acknowledgement.target) == (QUERY_ID, SENT.id)
    assert read.acknowledgement.transmission.receiver == SENT.sender


def test_an_unknown_id_is_an_error_of_message_and_query_with_its_place() -> None:
    refused = ITI_45.refuse(UnknownPatient("nobody here has this id", code="204", location=ASKED_ID))
    read = ITI_45.decode_response(soap_in(answer_to(asked(), refused))).value
    assert (read.acknowledgement.code, read.code) == (AckCode.ERROR, QueryResponseCode.ERROR)
    assert [(each.code, each.locations, each.type) for each in read.acknowledgement.details] == [
        ("204", (ASKED_ID,), "E")
    ]


def test_each_unknown_domain_is_a_detail_of_its_own() -> None:
    findings = tuple(
        Finding(rule="unknown-domain", text="not known", code="204", location=asked_domain(each)) for each in (1, 3)
    )
    read = ITI_45.refuse(UnknownPatient("not known", findings=findings))
    assert [each.locations for each in read.acknowledgement.details] == [(asked_domain(1),), (asked_domain(3),)]
    assert asked_domain(3).endswith("/dataSource[3]/value")


@pytest.mark.parametrize("gone", ["patientIdentifier", "queryByParameter", "id"])
def test_a_question_without_its_subject_cannot_be_read(gone: str) -> None:
    body = asked()
    element = next(body.iter(f"{{*}}{gone}"))
    element.getparent().remove(element)  # type: ignore[union-attr]
    with pytest.raises(MalformedMessage):
        ITI_45.decode_request(soap_in(body))


def test_a_domain_that_is_no_oid_is_an_error_with_its_place() -> None:
    body = parse(etree.tostring(asked()).replace(b'root="1.2.4.4"', b'root="LAKESIDE"'))
    (finding,) = ITI_45.decode_request(soap_in(body)).findings
    assert (finding.severity, finding.code, finding.location) == (Severity.ERROR, "204", asked_domain(1))


def test_a_domain_that_is_asked_for_twice_is_odd() -> None:
    twice = replace(IDENTIFIERS, domains=(OURS, OURS))
    found = [each for check in ITI_45.checks for each in check(twice)]
    assert [(each.severity, each.location) for each in found] == [(Severity.WARNING, asked_domain(2))]


# --- audit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_both_sides_record_the_question_and_its_patient(side: Side) -> None:
    (record,) = ITI_45.audit(side, IDENTIFIERS, KNOWN_AS, facts())
    asking, asked_ = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    assert (record.event, record.action, record.outcome) == (QUERY, Action.EXECUTE, Outcome.SUCCESS)
    assert parties(record) == [(asking.user_id, "source", True), (asked_.user_id, "destination", False)]
    assert ids(record) == [str(IDENTIFIERS.identifier), str(QUERY_ID)]
    assert record.objects[1].id_type.code == "ITI-45"
    assert b"<queryByParameter" in (record.objects[1].query or b"")
    assert IDENTIFIERS.identifier.value.encode() in (record.objects[1].query or b"")


def test_the_question_is_recorded_as_it_came() -> None:
    body = parse(etree.tostring(asked()).replace(b'<responsePriorityCode code="I"/>', b""))
    (record,) = ITI_45.audit(Side.RESPONDER, ITI_45.decode_request(soap_in(body)).value, None, facts())
    assert b"responsePriorityCode" not in (record.objects[1].query or b"")


def test_an_answer_that_refuses_is_a_failure() -> None:
    refused = replace(ITI_45.refuse(UnknownPatient("nobody")), question=NO_QUESTION)
    (record,) = ITI_45.audit(Side.INITIATOR, IDENTIFIERS, refused, facts())
    assert (record.outcome, record.outcome_description) == (Outcome.MINOR_FAILURE, "204: nobody")


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_the_records_are_valid_messages(side: Side) -> None:
    requests: list[IdentifiersQuery | None] = [IDENTIFIERS, None]
    for request in requests:
        for response in (KNOWN_AS, NOT_KNOWN, None):
            judge_audit(*ITI_45.audit(side, request, response, facts()))
    judge_audit(*ITI_45.audit(side, None, None, facts(error=DOWN)))
    assert ANSWERED.accepted
