"""Messages that other projects wrote: each is read, and what we write of it is valid and means the same."""

from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree

from profiles.errors import RuleViolation
from profiles.findings import Severity
from profiles.model.content import Poured
from profiles.model.document import AssociationType
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.query import StoredQuery
from profiles.wire.ebxml.rim import RIM
from profiles.xds.iti18 import ITI_18, ReturnType
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest, is_imaging
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti43 import ITI_43
from profiles.xdsi.rad69 import RAD_69
from tests.support.ebxml import drained, judge, poured, sample, soap_in, written

pytestmark = pytest.mark.judge_standard

REQUESTS: Mapping[str, SoapTransaction[Any, Any]] = {
    "iti-18/soap-sq-req.xml": ITI_18,
    "iti-38/soap-xcq-req.xml": ITI_18,
    "iti-38/xcads-iti38-async.xml": ITI_18,
    "iti-42/RegisterOneDocument.xml": ITI_42,
    "iti-42/CreateFolderWithDocument.xml": ITI_42,
    "iti-42/ipf-SubmitObjectsRequest.xml": ITI_42,
    "rad-68/metadata-IDCDEPT001-a.xml": ITI_42,
    "rad-68/metadata-IDCDEPT041-a.xml": ITI_42,
    "iti-43/soap-ret-req.xml": ITI_43,
    "iti-39/soap-xcr-req.xml": ITI_43,
    "iti-39/xcads-iti39-with-xua-saml.xml": ITI_43,
    "rad-69/ids_4810-request-single.xml": RAD_69,
    "rad-69/ids_4811-request-multi.xml": RAD_69,
    "rad-69/iig_5401-request-two-studies-to-IIG.xml": RAD_69,
    "rad-75/rig_5420-request.xml": RAD_69,
    "rad-75/rig_5420-expected-rad69-to-ids.xml": RAD_69,
    "rad-75/rig_5429-request.xml": RAD_69,
    "rad-75/rig_5429-expected-rad69-to-ids-E.xml": RAD_69,
    "rad-75/rig_5429-expected-rad69-to-ids-F.xml": RAD_69,
}
RESPONSES: Mapping[str, SoapTransaction[Any, Any]] = {
    "iti-18/sq-resp-leafclass.xml": ITI_18,
    "iti-18/sq-resp-objectref.xml": ITI_18,
    "iti-38/soap-xcq-resp.xml": ITI_18,
    "iti-41/soap-pnr-resp.xml": ITI_41,
}
RETRIEVED: Mapping[str, SoapTransaction[Any, Any]] = {
    "iti-43/soap-ret-resp.xml": ITI_43,
    "iti-39/soap-xret-resp.xml": ITI_43,
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_of_others_is_read_and_written_again(name: str) -> None:
    transaction = REQUESTS[name]
    first = transaction.decode_request(soap_in(sample(*name.split("/"))))
    assert [finding for finding in first.findings if finding.severity is Severity.ERROR] == []
    body = written(transaction.encode_request(first.value))
    judge(body)
    assert transaction.decode_request(soap_in(body)).value == first.value


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_of_others_is_read_and_written_again(name: str) -> None:
    transaction = RESPONSES[name]
    first = transaction.decode_response(soap_in(sample(*name.split("/"))))
    assert first.findings == ()
    body = written(transaction.encode_response(first.value))
    judge(body)
    assert transaction.decode_response(soap_in(body)).value == first.value


@pytest.mark.parametrize("name", RETRIEVED)
async def test_documents_of_others_are_read_and_poured_again(name: str) -> None:
    transaction = RETRIEVED[name]
    first = transaction.decode_response(soap_in(sample(*name.split("/")))).value
    bytes_of_first = await poured(first.pour)
    assert bytes_of_first
    again = transaction.decode_response(soap_in(sample(*name.split("/")))).value
    out = transaction.encode_response(Poured(head=first.head, pour=again.pour))
    body = written(out)
    judge(body)
    read = transaction.decode_response(soap_in(body, parts=out.parts)).value
    assert read.head == first.head
    assert await poured(read.pour) == bytes_of_first


async def test_a_submission_with_two_documents_is_read_written_and_read_again() -> None:
    body = sample("iti-41", "soap-pnr.xml")
    bodies = {"Document01": b"one", "Document02": b"two"}
    for element in body.iter("{urn:ihe:iti:xds-b:2007}Document"):
        for child in list(element):  # the sample's includes name parts that are not beside it
            element.remove(child)
        element.text = "b25l" if element.get("id", "").endswith("1") else "dHdv"
    first = ITI_41.decode_request(soap_in(body)).value
    assert {key: await content.read(9) for key, content in first.documents.items()}.keys() <= {
        entry.entry_uuid for entry in first.submission.entries
    }
    out = ITI_41.encode_request(first)
    again = ITI_41.decode_request(soap_in(written(out), await drained(out.parts))).value
    assert again.submission == first.submission
    assert [await content.read(9) for content in again.documents.values()] == [
        await content.read(9) for content in first.documents.values()
    ]
    assert set(bodies.values()) >= {await content.read(9) for content in again.documents.values()}


def test_what_a_query_of_others_asks_for_is_understood() -> None:
    request = ITI_18.decode_request(soap_in(sample("iti-18", "soap-sq-req.xml"))).value
    assert request.query is StoredQuery.FIND_DOCUMENTS
    assert request.return_type is ReturnType.LEAF_CLASS
    assert str(request.criteria.patient_ids[0]) == "c4d77e21d0dd487^^^&1.3.6.1.4.1.21367.2005.3.7&ISO"
    assert request.criteria.class_codes[0].system == "scheme"


def test_an_injection_in_a_query_of_others_is_refused_and_named() -> None:
    with pytest.raises(RuleViolation) as caught:
        ITI_18.decode_request(soap_in(sample("iti-18", "ipf-iti18request.xml")))
    assert [finding.location for finding in caught.value.findings] == ["$XDSDocumentEntryPatientId"]
    assert caught.value.code == "XDSRegistryError"


FILLED = {  # by the end of the parameter's name
    "PatientId": "'p^^^&1.2.3&ISO'",
    "Status": "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
    "Code": "('a^^b')",
    "CodeList": "('a^^b')",
    "Type": "('urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1')",
    "From": "2026",
    "To": "2027",
    "EntryUUID": "'urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c2'",
    "ReferenceIdList": "('%x%')",
    "AuthorPerson": "('%x%')",
}


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("FindDocumentsByReferenceId-template.xml", StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID),
        ("GetSubmissionSetAndContents-template.xml", StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS),
    ],
)
def test_a_template_of_others_is_read_once_it_is_filled_in(name: str, query: StoredQuery) -> None:
    body = sample("iti-18", name)
    adhoc_query = body.find("{*}AdhocQuery")
    assert adhoc_query is not None
    for slot in list(adhoc_query):
        text = next((text for end, text in FILLED.items() if slot.get("name", "").endswith(end)), None)
        if text is None:  # the other one of an alternative: the template has both
            adhoc_query.remove(slot)
            continue
        values = slot[0]
        del values[1:]
        if len(values) == 0:
            etree.SubElement(values, f"{{{RIM}}}Value")
        values[0].text = text
    assert ITI_18.decode_request(soap_in(body)).value.query is query


def test_a_replacement_of_others_without_patient_ids_is_refused_with_each_object_named() -> None:
    with pytest.raises(RuleViolation) as caught:
        ITI_41.decode_request(soap_in(sample("iti-41", "document_replacement.xml")))
    assert {finding.location for finding in caught.value.findings} >= {"doc1", "SubmissionSet"}


def test_a_folder_of_others_is_read() -> None:
    submission = ITI_42.decode_request(soap_in(sample("iti-42", "CreateFolderWithDocument.xml"))).value.submission
    assert len(submission.folders) == 1
    assert submission.folders[0].codes
    assert AssociationType.HAS_MEMBER in {arrow.type for arrow in submission.associations}


def test_manifest_metadata_of_others_is_imaging() -> None:
    submission = ITI_42.decode_request(soap_in(sample("rad-68", "metadata-IDCDEPT001-a.xml"))).value.submission
    assert is_imaging(ProvideAndRegisterRequest(submission=submission))
    register = ITI_42.decode_request(soap_in(sample("iti-42", "ipf-SubmitObjectsRequest.xml"))).value.submission
    assert not is_imaging(ProvideAndRegisterRequest(submission=register))


def test_a_large_request_of_others_keeps_its_order() -> None:
    request = RAD_69.decode_request(soap_in(sample("rad-69", "ids_4811-request-multi.xml"))).value
    uids = [each.document.document_unique_id.rpartition(".")[2] for each in request.instances()]
    assert uids[:4] == ["1", "10", "11", "12"]
    assert len(uids) == 36
