"""Acknowledgements: both levels, every condition, whose answer it is; and those of others."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.errors import Busy, Condition, Duplicate, ExchangeError, MalformedMessage, RuleViolation, UnknownPatient
from profiles.findings import Finding, Severity
from profiles.wire.hl7v3.ack import (
    ACKNOWLEDGEMENTS,
    DETAILS,
    AckCode,
    AckDetail,
    Acknowledgement,
    decode_accept_acknowledgement,
    encode_accept_acknowledgement,
    of_error,
    stamped,
)
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.soap.message import Stamp
from tests.support.ebxml import parse, soap_in, written
from tests.support.hl7v3 import AT, SENT, judge, sample

REFUSED = Acknowledgement(
    code=AckCode.COMMIT_ERROR,
    details=(AckDetail(code="204", text="nobody <here>", locations=("/PRPA_IN201301UV02/id", "/x")),),
    target=InstanceIdentifier(root="1.2.3", extension="7"),
    transmission=SENT,
)


def read(body: Any) -> Acknowledgement:
    return decode_accept_acknowledgement(soap_in(body)).value


def test_an_acknowledgement_is_read_as_it_was_written() -> None:
    assert read(written(encode_accept_acknowledgement(REFUSED))) == REFUSED


def test_a_feed_is_answered_at_accept_level() -> None:
    for code, level in ((AckCode.ACCEPT, "CA"), (AckCode.ERROR, "CE"), (AckCode.REJECT, "CR")):
        answer = read(written(encode_accept_acknowledgement(Acknowledgement(code=code, transmission=SENT))))
        assert answer.code == level
        assert answer.accepted is (level == "CA")


@pytest.mark.judge_standard
@pytest.mark.parametrize("acknowledgement", [REFUSED, Acknowledgement(), of_error(Busy("later"))])
def test_the_published_schema_accepts_it(acknowledgement: Acknowledgement) -> None:
    judge(written(encode_accept_acknowledgement(acknowledgement)))


@pytest.mark.judge_standard
def test_an_acknowledgement_of_others_is_read() -> None:
    answer = read(sample("iti-44", "Ack.xml"))
    assert answer.accepted
    assert answer.target.root == "22a0f9e0-4454-11dc-a6be-3603d6866807"
    assert answer.transmission.sender.id.root == "1.2.840.114350.1.13.99999.4567"
    judge(written(encode_accept_acknowledgement(answer)))


@pytest.mark.judge_standard
def test_an_answer_names_the_message_that_it_answers_and_goes_back_to_its_sender() -> None:
    request = sample("iti-44", "PIX_FEED_REG_Maximal_Request.xml")
    answer = stamped(Acknowledgement(), soap_in(request), Stamp(id="0b7c8f2e-0000-4000-8000-000000000001", at=AT))
    assert str(answer.target) == "21acf7be-007c-41e6-b176-d0969794983b^345"
    assert answer.transmission.id.root == "0b7c8f2e-0000-4000-8000-000000000001"
    assert answer.transmission.receiver.id.root == "1.2.840.114350.1.13.99998.8734"
    assert answer.transmission.sender.id.root == "1.2.840.114350.1.13.99999.4567"


def test_each_condition_has_a_code_that_we_can_write() -> None:
    for condition in Condition:
        code, detail = ACKNOWLEDGEMENTS[condition]
        assert code in (AckCode.ERROR, AckCode.REJECT)
        assert detail in DETAILS


@pytest.mark.parametrize(
    ("problem", "code", "detail", "temporary"),
    [
        (UnknownPatient("nobody", location="PID^1^3"), AckCode.ERROR, "204", False),
        (Duplicate("the same", code="205"), AckCode.ERROR, "205", False),
        (Busy("later"), AckCode.REJECT, "206", True),
        (RuleViolation("no", code="XDSRegistryError"), AckCode.ERROR, "SYN", False),
    ],
)
def test_an_error_becomes_its_code(problem: ExchangeError, code: AckCode, detail: str, temporary: bool) -> None:
    answer = of_error(problem)
    assert (answer.code, [each.code for each in answer.details]) == (code, [detail])
    assert answer.details[0].text == problem.detail
    assert answer.details[0].locations == ()  # a path of HL7 v2 says nothing here
    assert answer.is_temporary is temporary


def test_each_finding_that_refuses_is_a_detail_of_its_own() -> None:
    findings = tuple(
        Finding(rule="x", text=text, severity=Severity.ERROR, code=code, location=f"/{text}")
        for text, code in (("one", "204"), ("two", "XX"))
    )
    answer = of_error(RuleViolation("no", findings=findings))
    assert [(each.code, each.locations) for each in answer.details] == [("204", ("/one",)), ("SYN", ("/two",))]


@pytest.mark.parametrize("broken", ["acknowledgement", "typeCode", "id"])
def test_an_answer_that_says_nothing_cannot_be_read(broken: str) -> None:
    body = written(encode_accept_acknowledgement(REFUSED))
    gone = next(body.iter(f"{{*}}{broken}"))
    gone.getparent().remove(gone)
    with pytest.raises(MalformedMessage):
        read(body)


def test_a_code_of_nowhere_cannot_be_read() -> None:
    text = b"".join(encode_accept_acknowledgement(REFUSED).body).replace(b'"CE"', b'"XX"')
    with pytest.raises(MalformedMessage):
        read(parse(text))


def test_a_rejection_without_a_reason_may_be_tried_again() -> None:
    assert Acknowledgement(code=AckCode.COMMIT_REJECT).is_temporary
    assert not replace(REFUSED, details=()).is_temporary
