"""ITI-62 and ITI-86: written as the schemas want it, read as others write it, refused and audited."""

from typing import Any

import pytest

from profiles.errors import MalformedMessage, RuleViolation, UnknownDocument, Unsupported
from profiles.model.audit import Action, Outcome
from profiles.transaction import Side, SoapTransaction
from profiles.wire.audit.participants import PATIENT_RECORD
from profiles.wire.ebxml.rim import LCM, RIM, RMD, XDS
from profiles.xds.iti62 import ITI_62, RegistryResponse, RemoveMetadataRequest, ResponseStatus
from profiles.xds.iti86 import ITI_86
from tests.profiles.xds.audited import ME, PATIENT, THEM, facts, ids, judge, parties
from tests.profiles.xds.messages import FAILURE
from tests.profiles.xds.updates import OLD, OTHER, REMOVE, REMOVE_DOCUMENTS
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import parse, sample, soap_in, written

BOTH = pytest.mark.parametrize(
    ("transaction", "request_"), [(ITI_62, REMOVE), (ITI_86, REMOVE_DOCUMENTS)], ids=["ITI-62", "ITI-86"]
)


@BOTH
def test_what_is_written_is_read_again(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    decoded = transaction.decode_request(soap_in(written(transaction.encode_request(request_))))
    assert (decoded.value, decoded.findings) == (request_, ())


@pytest.mark.judge_standard
def test_both_are_valid_by_the_published_schemas() -> None:
    judge_body(written(ITI_62.encode_request(REMOVE)))
    judge_body(written(ITI_86.encode_request(REMOVE_DOCUMENTS)))
    for transaction in (ITI_62, ITI_86):
        judge_body(written(transaction.encode_response(FAILURE)))


@pytest.mark.judge_standard
def test_removals_that_others_wrote_are_read() -> None:
    template = ITI_62.decode_request(soap_in(sample("iti-62", "nist-remove_all-template.xml"))).value
    assert template.entry_uuids == ("$document01$", "$associationhm01$", "$submissionset01$")
    nothing = ITI_62.decode_request(soap_in(sample("iti-62", "xcads-iti62.xml"))).value
    assert nothing.entry_uuids == ()
    (document,) = ITI_86.decode_request(soap_in(sample("iti-86", "xcads-iti86.xml"))).value.documents
    assert document.document_unique_id == "0145ca61-6ea3-44d4-95bb-3506d6c14e4f"
    assert str(document.home_community_id) == "2.16.578.1.12.4.5.100.1.1"


def test_a_removal_names_something() -> None:
    (finding,) = [each for check in ITI_62.checks for each in check(RemoveMetadataRequest(entry_uuids=()))]
    assert finding.code == "XDSRegistryError"
    with pytest.raises(MalformedMessage):
        ITI_86.decode_request(soap_in(parse(f'<r:RemoveDocumentsRequest xmlns:r="{RMD}"/>'.encode())))


def test_what_is_removed_is_not_said_by_a_query() -> None:
    body = f'<l:RemoveObjectsRequest xmlns:l="{LCM}"><r:AdhocQuery xmlns:r="{RIM}" id="x"/></l:RemoveObjectsRequest>'
    with pytest.raises(Unsupported):
        ITI_62.decode_request(soap_in(parse(body.encode())))


def test_more_objects_than_we_would_look_at_are_refused() -> None:
    refs = f'<r:ObjectRef xmlns:r="{RIM}" id="urn:uuid:1"/>' * 20_001
    body = (
        f'<l:RemoveObjectsRequest xmlns:l="{LCM}"><r:ObjectRefList xmlns:r="{RIM}">{refs}</r:ObjectRefList>'
        "</l:RemoveObjectsRequest>"
    )
    with pytest.raises(MalformedMessage):
        ITI_62.decode_request(soap_in(parse(body.encode())))


def test_a_document_has_a_repository_and_a_name() -> None:
    body = f'<r:RemoveDocumentsRequest xmlns:r="{RMD}" xmlns:x="{XDS}"><x:DocumentRequest/></r:RemoveDocumentsRequest>'
    with pytest.raises(MalformedMessage):
        ITI_86.decode_request(soap_in(parse(body.encode())))


@BOTH
def test_another_element_is_no_removal(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    with pytest.raises(MalformedMessage):
        transaction.decode_request(soap_in(parse(b"<other/>")))


def test_each_says_no_in_its_own_words() -> None:
    refused = ITI_62.refuse(RuleViolation("no", code="ReferencesExistException", location=OLD))
    assert (refused.status, refused.errors[0].code) == (ResponseStatus.FAILURE, "ReferencesExistException")
    refused = ITI_86.refuse(UnknownDocument("no such document", location="1.2"))
    assert (refused.status, refused.errors[0].code) == (ResponseStatus.FAILURE, "XDSDocumentUniqueIdError")


@BOTH
@pytest.mark.parametrize("side", Side)
def test_a_removal_is_a_patient_record_deleted(
    transaction: SoapTransaction[Any, Any], request_: Any, side: Side
) -> None:
    local, remote = (ME, THEM) if side is Side.INITIATOR else (THEM, ME)
    known = facts(local=local, remote=remote, patients=(PATIENT,))
    (record,) = transaction.audit(side, request_, RegistryResponse(), known)
    assert (record.event, record.action, record.outcome) == (PATIENT_RECORD, Action.DELETE, Outcome.SUCCESS)
    assert [code.code for code in record.types] == [transaction.id]
    asker, asked = (local, remote) if side is Side.INITIATOR else (remote, local)
    assert parties(record) == [(asker.user_id, "source", True), (asked.user_id, "destination", False)]
    named = [OLD, OTHER] if transaction is ITI_62 else ["1.2.826.0.1.99.2"]
    assert ids(record) == [str(PATIENT), *named]


@pytest.mark.judge_standard
@BOTH
def test_a_failure_is_audited_as_one_and_valid(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    for side in (Side.INITIATOR, Side.RESPONDER):
        (record,) = transaction.audit(side, request_, FAILURE, facts())
        assert record.outcome is Outcome.MINOR_FAILURE
        judge(record)
