"""ITI-39: ITI-43's messages under its own actions and audit type, with a home for each document."""

from dataclasses import replace

import pytest

from profiles.model.audit import Action
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Side
from profiles.wire.audit.participants import EXPORT, IMPORT
from profiles.wire.ebxml.retrieve import nothing
from profiles.xca.iti39 import ITI_39
from profiles.xds.iti43 import RetrieveDocumentSetRequest
from tests.profiles.xds.audited import DOWN, ME, THEM, details, facts, judge, parties
from tests.profiles.xds.messages import RETRIEVE, RETRIEVED
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import poured, sample, soap_in, written

HOME = Oid("1.2.3.1")
AT_HOME = RetrieveDocumentSetRequest(
    documents=tuple(replace(each, home_community_id=HOME) for each in RETRIEVE.documents)
)
UIDS = tuple(each.document_unique_id for each in RETRIEVE.documents)
ALL = Poured(head=RETRIEVED, pour=nothing())


def rules(request: RetrieveDocumentSetRequest) -> list[tuple[str, str, str]]:
    return [(each.rule, each.code, each.location) for check in ITI_39.checks for each in check(request)]


def test_its_actions_are_its_own() -> None:
    assert ITI_39.request_action == "urn:ihe:iti:2007:CrossGatewayRetrieve"
    assert ITI_39.response_action == "urn:ihe:iti:2007:CrossGatewayRetrieveResponse"


def test_each_document_needs_its_home() -> None:
    assert rules(AT_HOME) == []
    (first, *rest) = AT_HOME.documents
    homeless = RetrieveDocumentSetRequest(documents=(replace(first, home_community_id=None), *rest))
    assert rules(homeless) == [("ITI39/home", "XDSMissingHomeCommunityId", UIDS[0])]


def test_the_rules_of_iti_43_hold_as_well() -> None:
    nameless = replace(AT_HOME.documents[0], repository_unique_id="")
    assert [rule for rule, _, _ in rules(RetrieveDocumentSetRequest(documents=(nameless,)))] == ["ITI43/repository"]


def test_the_responder_exports_and_the_initiator_imports() -> None:
    (there,) = ITI_39.audit(Side.RESPONDER, AT_HOME, ALL, facts(delivered=UIDS))
    assert (there.event, there.action, there.types[0].code) == (EXPORT, Action.READ, "ITI-39")
    assert parties(there) == [(ME.user_id, "source", False), (THEM.user_id, "destination", True)]
    assert all(("ihe:homeCommunityID", HOME.urn) in details(each) for each in there.objects)
    (here,) = ITI_39.audit(Side.INITIATOR, AT_HOME, ALL, facts(delivered=UIDS))
    assert (here.event, here.action, here.types[0].code) == (IMPORT, Action.CREATE, "ITI-39")
    assert parties(here) == [(THEM.user_id, "source", False), (ME.user_id, "destination", True)]


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    judge(*ITI_39.audit(side, AT_HOME, ALL, facts(delivered=UIDS[:1], undelivered=UIDS[1:])))
    judge(*ITI_39.audit(side, AT_HOME, None, facts(error=DOWN)))


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", ["soap-xcr-req.xml", "xcads-iti39-with-xua-saml.xml"])
def test_a_request_of_others_is_read_and_written_again(name: str) -> None:
    request = ITI_39.decode_request(soap_in(sample("iti-39", name))).value
    assert rules(request) == []
    body = written(ITI_39.encode_request(request))
    judge_body(body)
    assert ITI_39.decode_request(soap_in(body)).value == request


@pytest.mark.judge_standard
async def test_documents_of_others_come_with_their_home() -> None:
    answer = ITI_39.decode_response(soap_in(sample("iti-39", "soap-xret-resp.xml"))).value
    assert answer.head.documents
    assert None not in [each.home_community_id for each in answer.head.documents]
    assert len(await poured(answer.pour)) == len(answer.head.documents)
    judge_body(written(ITI_39.encode_response(Poured(head=answer.head, pour=nothing()))))
