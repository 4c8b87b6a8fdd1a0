"""ITI-47: the question with all its parameters, the answers, the continuation, and audit on both sides."""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from profiles.catalogue import by_soap_action
from profiles.errors import MalformedMessage, RuleViolation, TooManyResults, UnknownQuery
from profiles.findings import Severity
from profiles.model.audit import Action, Outcome
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.query import BirthCriteria, PatientCriteria
from profiles.pdqv3.iti47 import CANCEL, CONTINUE, ITI_47, CandidatesQuery, CandidatesResponse, QueryResponseCode
from profiles.transaction import Side, SoapTransaction
from profiles.wire.audit.participants import QUERY
from profiles.wire.hl7v3.ack import AckCode
from profiles.wire.hl7v3.candidates import Priority
from profiles.wire.hl7v3.query import NO_QUESTION, Question
from profiles.wire.soap.message import Stamp
from tests.profiles.pdqv3.messages import BORN_BETWEEN, ENOUGH, EVERYTHING, FOUND, MORE, NOBODY, QUERY_ID
from tests.profiles.xds.audited import DOWN, ME, THEM, facts, ids, parties
from tests.profiles.xds.audited import judge as judge_audit
from tests.support.ebxml import canonical, parse, soap_in, written
from tests.support.hl7v3 import AT, SENT, ZOE, judge, sample

STAMP = Stamp(id="0b7c8f2e-0000-4000-8000-000000000003", at=AT)


def asked(query: CandidatesQuery = EVERYTHING) -> etree._Element:
    return written(ITI_47.encode_request(query))


def changed(old: str, new: str) -> etree._Element:
    text = etree.tostring(asked(), encoding="unicode")
    assert old in text
    return parse(text.replace(old, new).encode())


def rules(body: etree._Element) -> list[tuple[str, Severity]]:
    read = ITI_47.decode_request(soap_in(body))
    found = (*read.findings, *(each for check in ITI_47.checks for each in check(read.value)))
    return [(each.rule, each.severity) for each in found]


@pytest.mark.parametrize("query", [EVERYTHING, BORN_BETWEEN], ids=["everything", "born between"])
def test_a_question_is_read_as_it_was_written(query: CandidatesQuery) -> None:
    read = ITI_47.decode_request(soap_in(asked(query)))
    assert read.findings == ()
    assert replace(read.value, question=Question(id=read.value.question.id)) == query


@pytest.mark.parametrize("response", [FOUND, NOBODY], ids=["found", "nobody"])
def test_an_answer_is_read_as_it_was_written(response: CandidatesResponse) -> None:
    read = ITI_47.decode_response(soap_in(written(ITI_47.encode_response(replace(response, question=NO_QUESTION)))))
    assert read.value == replace(response, question=NO_QUESTION)
    assert read.findings == ()


@pytest.mark.judge_standard
def test_the_published_schemas_accept_questions_answers_and_continuations() -> None:
    assert ITI_47.stamp is not None
    for query in (EVERYTHING, BORN_BETWEEN, replace(EVERYTHING, criteria=PatientCriteria(), question=NO_QUESTION)):
        judge(asked(query))
        for response in (FOUND, NOBODY, ITI_47.refuse(TooManyResults("many")), ITI_47.refuse(RuleViolation("no"))):
            stamped = ITI_47.stamp(replace(response, question=NO_QUESTION), soap_in(asked(query)), STAMP)
            judge(written(ITI_47.encode_response(stamped)))
    judge(written(CONTINUE.encode_request(MORE)))
    judge(written(CANCEL.encode_request(ENOUGH)))


@pytest.mark.judge_standard
def test_a_question_of_others_is_read() -> None:
    read = ITI_47.decode_request(soap_in(sample("iti-55", "iti55-sample-request.xml")))
    criteria = read.value.criteria
    assert [str(each) for each in criteria.identifiers] == [
        "1234^^^&1.2.840.114350.1.13.99997.2.3412&ISO",
        "58910^^^&2.16.840.1.113883.4.1&ISO",
    ]
    assert [(each.name.family, each.name.given, each.beginning) for each in criteria.names] == [
        ("Jones", "Jimmy", False)
    ]
    assert criteria.birth == BirthCriteria(low=Moment.from_dtm("19630805"), high=Moment.from_dtm("19630805"))
    assert (criteria.sex, read.value.minimum_degree) == ("M", 100)
    assert read.findings == ()


@pytest.mark.judge_standard
def test_an_answer_of_others_is_read() -> None:
    read = ITI_47.decode_response(soap_in(sample("iti-55", "iti55-sample-response.xml"))).value
    assert read.code is QueryResponseCode.OK
    first = read.candidates[0]
    assert (first.degree, first.home) == (92, "1.2.840.114350.1.13.99998.8734")
    assert [each.value for each in first.patient.identifiers] == ["34827K410", "38273D433", "999-88-6345"]
    assert first.patient.address == "3443 North Arctic Avenue^^Some City^IL"
    assert len(read.candidates) > 1


def test_an_answer_repeats_the_question_to_the_letter() -> None:
    assert ITI_47.stamp is not None
    body = changed("<parameterList>", "<parameterList><id root='1.9'/>")
    answer = written(ITI_47.encode_response(ITI_47.stamp(CandidatesResponse(), soap_in(body), STAMP)))
    (question,), (again,) = (each.iter("{*}queryByParameter") for each in (body, answer))
    assert canonical(again) == canonical(question)


def test_an_answer_to_a_continuation_repeats_the_question_that_goes_on() -> None:
    assert CONTINUE.stamp is not None
    question = Question(id=QUERY_ID, text="<queryByParameter/>")
    stamped = CONTINUE.stamp(replace(NOBODY, question=question), soap_in(written(CONTINUE.encode_request(MORE))), STAMP)
    assert stamped.question == question
    assert stamped.acknowledgement.target == SENT.id


@pytest.mark.parametrize(("transaction", "request_"), [(CONTINUE, MORE), (CANCEL, ENOUGH)], ids=["more", "enough"])
def test_a_continuation_is_read_as_it_was_written(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    read = transaction.decode_request(soap_in(written(transaction.encode_request(request_))))
    assert read.value == request_
    assert read.findings == ()
    assert transaction in by_soap_action(transaction.request_action)


def test_a_continuation_of_nothing_cannot_be_read() -> None:
    body = written(CONTINUE.encode_request(MORE))
    gone = next(body.iter("{*}queryContinuation"))
    gone.getparent().remove(gone)  # type: ignore[union-attr]
    with pytest.raises(MalformedMessage):
        CONTINUE.decode_request(soap_in(body))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (' extension="V123"/>', "/>", "hl7v3.no-identifier"),
        ("<given>Zoë</given><given>A.</given><family>Quillfeather</family>", "", "hl7v3.no-name"),
        ('<value value="19700131"/>', '<value value="19700231"/>', "hl7v3.birth-time"),
        ('<value value="19700131"/>', "<value/>", "hl7v3.birth-time"),
        ('Organization><value root="1.2.3.4"/>', 'Organization><value root="X"/>', "hl7v3.domain"),
        ('<initialQuantity value="10"/>', '<initialQuantity value="0"/>', "iti47.no-room"),
        ('<responsePriorityCode code="I"/>', '<responsePriorityCode code="D"/>', "iti47.priority"),
        ('<queryId root="1.2.4.1.7" extension="q-2"/>', '<queryId nullFlavor="NI"/>', "hl7v3.query-id"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_read_refuses_the_question(old: str, new: str, rule: str) -> None:
    assert rules(changed(old, new)) == [(rule, Severity.ERROR)]


def test_a_parameter_that_is_not_searched_by_is_told_and_nothing_more() -> None:
    telecom = "<patientTelecom><value value='tel:1'/><semanticsText>x</semanticsText></patientTelecom></parameterList>"
    assert rules(changed("</parameterList>", telecom)) == [("hl7v3.not-searched", Severity.WARNING)]


def test_a_question_longer_than_any_about_a_person_cannot_be_read() -> None:
    text = "<semanticsText>LivingSubject.name</semanticsText>"
    changed(text, text.replace("name<", "n" * 10_000 + "<"))
    with pytest.raises(MalformedMessage):
        ITI_47.decode_request(soap_in(changed(text, text.replace("name<", "n" * 20_000 + "<"))))


def test_how_a_query_went_and_how_the_message_was_taken_are_two_things() -> None:
    cases = {
        TooManyResults("many"): (AckCode.ERROR, QueryResponseCode.ERROR),
        RuleViolation("no name"): (AckCode.ERROR, QueryResponseCode.PARAMETER_ERROR),
        UnknownQuery("over"): (AckCode.ERROR, QueryResponseCode.ERROR),
    }
    for problem, expected in cases.items():
        answer = ITI_47.refuse(problem)
        assert (answer.acknowledgement.code, answer.code) == expected


def test_priority_is_kept() -> None:
    assert ITI_47.decode_request(soap_in(asked(replace(EVERYTHING, priority=Priority.DEFERRED)))).value.priority == "D"


# --- audit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_both_sides_record_the_question_once_for_each_who_was_found(side: Side) -> None:
    records = ITI_47.audit(side, EVERYTHING, FOUND, facts())
    asking, asked_ = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    assert [ids(each)[0] for each in records] == [str(each) for each in ZOE.identifiers[:2]]
    for each in records:
        assert (each.event, each.action, each.outcome) == (QUERY, Action.EXECUTE, Outcome.SUCCESS)
        assert parties(each) == [(asking.user_id, "source", True), (asked_.user_id, "destination", False)]
        assert each.objects[1].id_type.code == "ITI-47"
        assert b"<queryByParameter" in (each.objects[1].query or b"")


@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_nobody_found_is_one_record_without_a_patient_and_no_failure(side: Side) -> None:
    (record,) = ITI_47.audit(side, EVERYTHING, NOBODY, facts())
    assert (ids(record), record.outcome) == ([str(QUERY_ID)], Outcome.SUCCESS)
    (failed,) = ITI_47.audit(side, EVERYTHING, ITI_47.refuse(TooManyResults("many")), facts())
    assert failed.outcome is Outcome.MINOR_FAILURE


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", [Side.INITIATOR, Side.RESPONDER])
def test_the_records_are_valid_messages(side: Side) -> None:
    other = PatientIdentifier(value="9", authority=ZOE.identifiers[0].authority)
    for request in (EVERYTHING, None):
        for response in (FOUND, NOBODY, None):
            judge_audit(*ITI_47.audit(side, request, response, facts(patients=(other,))))
            judge_audit(*CONTINUE.audit(side, MORE, response, facts()))
    judge_audit(*CANCEL.audit(side, ENOUGH, FOUND.acknowledgement, facts(error=DOWN)))
    judge_audit(*CANCEL.audit(side, None, None, facts(error=DOWN)))
