"""ITI-38: ITI-18's messages under its own actions and audit type, and a home where no patient is named."""

from dataclasses import replace

import pytest

from profiles.findings import Severity
from profiles.model.audit import Action, Outcome
from profiles.model.identifiers import Oid
from profiles.transaction import Side
from profiles.wire.audit.participants import QUERY
from profiles.xca.iti38 import ITI_38
from profiles.xds.iti18 import ITI_18, ResponseStatus
from tests.profiles.xds.audited import DOWN, ME, PATIENT, THEM, details, facts, judge, parties
from tests.profiles.xds.messages import FIND, FOUND, GET_ASSOCIATIONS, NOT_FOUND
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import sample, soap_in, written

HOME = Oid("1.2.3.1")


def rules(request: object) -> list[tuple[str, str]]:
    return [(each.rule, each.code) for check in ITI_38.checks for each in check(request)]  # type: ignore[arg-type]


def test_its_actions_are_its_own() -> None:
    assert ITI_38.request_action == "urn:ihe:iti:2007:CrossGatewayQuery"
    assert ITI_38.response_action == "urn:ihe:iti:2007:CrossGatewayQueryResponse"


def test_a_query_that_names_a_patient_needs_no_home() -> None:
    assert rules(replace(FIND, home_community_id=None)) == []


def test_a_query_without_patient_needs_a_home() -> None:
    homeless = replace(GET_ASSOCIATIONS, home_community_id=None)
    assert rules(homeless) == [("ITI38/home", "XDSMissingHomeCommunityId")]
    assert rules(replace(homeless, home_community_id=HOME)) == []


def test_the_home_is_written_as_a_urn_and_read_again() -> None:
    request = replace(GET_ASSOCIATIONS, home_community_id=HOME)
    body = written(ITI_38.encode_request(request))
    (query,) = body.iterchildren("{*}AdhocQuery")
    assert query.get("home") == "urn:oid:1.2.3.1"
    assert ITI_38.decode_request(soap_in(body)).value == request


def test_both_gateways_audit_a_query_of_its_own_type() -> None:
    request = replace(FIND, home_community_id=HOME)
    for side, initiator, responder in ((Side.INITIATOR, ME, THEM), (Side.RESPONDER, THEM, ME)):
        (record,) = ITI_38.audit(side, request, FOUND, facts(patients=(PATIENT,)))
        assert (record.event, record.action, record.outcome) == (QUERY, Action.EXECUTE, Outcome.SUCCESS)
        assert [each.code for each in record.types] == ["ITI-38"]
        assert parties(record) == [(initiator.user_id, "source", True), (responder.user_id, "destination", False)]
        asked = record.objects[-1]
        assert asked.id_type.code == "ITI-18"  # the query is a registry stored query still
        assert ("urn:ihe:iti:xca:2010:homeCommunityId", HOME.urn) in details(asked)


def test_a_partial_success_is_two_records() -> None:
    partial = replace(FOUND, status=ResponseStatus.PARTIAL_SUCCESS, errors=NOT_FOUND.errors)
    assert len(ITI_38.audit(Side.RESPONDER, FIND, partial, facts())) == len(
        ITI_18.audit(Side.RESPONDER, FIND, partial, facts())
    )


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    for response, known in ((FOUND, facts(patients=(PATIENT,))), (NOT_FOUND, facts()), (None, facts(error=DOWN))):
        judge(*ITI_38.audit(side, replace(FIND, home_community_id=HOME), response, known))


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", ["soap-xcq-req.xml", "xcads-iti38-async.xml"])
def test_a_request_of_others_is_read_and_written_again(name: str) -> None:
    first = ITI_38.decode_request(soap_in(sample("iti-38", name)))
    assert [finding for finding in first.findings if finding.severity is Severity.ERROR] == []
    assert rules(first.value) == []
    body = written(ITI_38.encode_request(first.value))
    judge_body(body)
    assert ITI_38.decode_request(soap_in(body)).value == first.value


@pytest.mark.judge_standard
def test_every_object_of_an_answer_of_others_says_its_home() -> None:
    answer = ITI_38.decode_response(soap_in(sample("iti-38", "soap-xcq-resp.xml"))).value
    assert answer.count
    homes = [each.home_community_id for each in (*answer.entries, *answer.submission_sets, *answer.object_refs)]
    assert homes
    assert None not in homes
    judge_body(written(ITI_38.encode_response(answer)))
