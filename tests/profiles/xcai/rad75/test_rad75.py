"""RAD-75: RAD-69's messages under its own actions and audit type, with a home for each instance."""

from dataclasses import replace

import pytest

from profiles.model.audit import Action
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Side
from profiles.wire.audit.participants import INSTANCES_ACCESSED, INSTANCES_TRANSFERRED
from profiles.wire.ebxml.retrieve import nothing
from profiles.xcai.rad75 import RAD_75
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, of_instances
from tests.profiles.xds.audited import DOWN, ME, PATIENT, THEM, details, facts, judge, parties
from tests.profiles.xds.messages import PARTIAL, RETRIEVE_IMAGES
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import sample, soap_in, written

HOME = Oid("1.2.3.1")
AT_HOME = of_instances(
    RETRIEVE_IMAGES,
    [replace(each, document=replace(each.document, home_community_id=HOME)) for each in RETRIEVE_IMAGES.instances()],
)
UIDS = tuple(each.document.document_unique_id for each in AT_HOME.instances())


def rules(request: RetrieveImagingDocumentSetRequest) -> set[tuple[str, str]]:
    return {(each.rule, each.code) for check in RAD_75.checks for each in check(request)}


def test_question_and_answer_have_actions_of_their_own() -> None:
    assert RAD_75.request_action == "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"
    assert RAD_75.response_action == "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse"


def test_each_instance_needs_its_home() -> None:
    assert rules(AT_HOME) == set()
    homeless = of_instances(
        AT_HOME,
        [replace(each, document=replace(each.document, home_community_id=None)) for each in AT_HOME.instances()],
    )
    assert rules(homeless) == {("RAD75/home", "XDSMissingHomeCommunityId")}


def test_the_rules_of_rad_69_hold_as_well() -> None:
    assert rules(replace(AT_HOME, transfer_syntax_uids=())) == {("RAD69/transfer-syntax", "XDSRepositoryError")}


def test_a_share_of_a_request_keeps_studies_series_and_syntaxes() -> None:
    instances = list(AT_HOME.instances())
    share = of_instances(AT_HOME, instances[:2])
    assert list(share.instances()) == instances[:2]
    assert share.transfer_syntax_uids == AT_HOME.transfer_syntax_uids


def test_the_responder_transfers_and_the_initiator_accesses() -> None:
    partial = Poured(head=PARTIAL, pour=nothing())
    good, bad = RAD_75.audit(Side.RESPONDER, AT_HOME, partial, facts(patients=(PATIENT,), delivered=UIDS[:1]))
    assert (good.event, good.action, good.types[0].code) == (INSTANCES_TRANSFERRED, Action.READ, "RAD-75")
    assert bad.types == good.types
    assert parties(good) == [(ME.user_id, "source", False), (THEM.user_id, "destination", True)]
    assert ("ihe:homeCommunityID", HOME.urn) in details(good.objects[1])
    (here,) = RAD_75.audit(Side.INITIATOR, AT_HOME, None, facts(error=DOWN))
    assert (here.event, here.action, here.types[0].code) == (INSTANCES_ACCESSED, Action.CREATE, "RAD-75")
    assert parties(here) == [(THEM.user_id, "source", False), (ME.user_id, "destination", True)]


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    known = facts(patients=(PATIENT,), delivered=UIDS[:1], undelivered=UIDS[1:])
    judge(*RAD_75.audit(side, AT_HOME, Poured(head=PARTIAL, pour=nothing()), known))
    judge(*RAD_75.audit(side, AT_HOME, None, facts(error=DOWN)))


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", ["rig_5420-request.xml", "rig_5429-request.xml"])
def test_a_request_of_others_is_read_and_written_again(name: str) -> None:
    request = RAD_75.decode_request(soap_in(sample("rad-75", name))).value
    assert rules(request) == set()
    body = written(RAD_75.encode_request(request))
    judge_body(body)
    assert RAD_75.decode_request(soap_in(body)).value == request


@pytest.mark.judge_standard
def test_the_share_of_each_source_is_what_the_others_expect() -> None:
    whole = RAD_75.decode_request(soap_in(sample("rad-75", "rig_5429-request.xml"))).value
    for letter in "EF":
        expected = RAD_69.decode_request(
            soap_in(sample("rad-75", f"rig_5429-expected-rad69-to-ids-{letter}.xml"))
        ).value
        repositories = {each.document.repository_unique_id for each in expected.instances()}
        share = of_instances(
            whole, [each for each in whole.instances() if each.document.repository_unique_id in repositories]
        )
        assert set(share.instances()) == set(expected.instances())
        assert set(share.transfer_syntax_uids) == set(expected.transfer_syntax_uids)
