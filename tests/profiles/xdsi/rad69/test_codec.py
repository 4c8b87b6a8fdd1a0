"""RAD-69: what the schema requires is required, what means nothing is left to the rules."""

import pytest

from profiles.errors import MalformedMessage
from profiles.xdsi.rad69 import RAD_69
from tests.profiles.xds.messages import RETRIEVE_IMAGES
from tests.support.ebxml import soap_in, written

XDS = "{urn:ihe:iti:xds-b:2007}"


@pytest.mark.parametrize(
    ("path", "attribute", "location"),
    [
        ("{*}StudyRequest", "studyInstanceUID", "StudyRequest"),
        ("{*}StudyRequest/{*}SeriesRequest", "seriesInstanceUID", "SeriesRequest"),
    ],
)
def test_a_level_without_its_uid_is_malformed(path: str, attribute: str, location: str) -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    element = body.find(path)
    assert element is not None
    del element.attrib[attribute]
    with pytest.raises(MalformedMessage) as caught:
        RAD_69.decode_request(soap_in(body))
    assert caught.value.location == location


@pytest.mark.parametrize(
    "path",
    [
        "{*}StudyRequest",
        "{*}StudyRequest/{*}SeriesRequest",
        f"{{*}}StudyRequest/{{*}}SeriesRequest/{XDS}DocumentRequest",
        "{*}TransferSyntaxUIDList",
    ],
)
def test_a_level_without_content_is_malformed(path: str) -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    for element in body.findall(path):
        element.getparent().remove(element)  # type: ignore[union-attr]
    with pytest.raises(MalformedMessage):
        RAD_69.decode_request(soap_in(body))


def test_documents_in_the_wrong_namespace_are_named_as_such() -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    for element in list(body.iter(f"{XDS}*")):
        element.tag = str(element.tag).replace("urn:ihe:iti:xds-b:2007", "urn:ihe:rad:xdsi-b:2009")
    with pytest.raises(MalformedMessage, match="xds-b namespace"):
        RAD_69.decode_request(soap_in(body))


def test_transfer_syntaxes_before_the_studies_are_read() -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    body.insert(0, body[-1])
    assert RAD_69.decode_request(soap_in(body)).value == RETRIEVE_IMAGES


@pytest.mark.parametrize(
    ("path", "attribute", "rules"),
    [
        ("{*}StudyRequest", "studyInstanceUID", {"RAD69/study"}),
        ("{*}StudyRequest/{*}SeriesRequest", "seriesInstanceUID", {"RAD69/series"}),
        (".//{*}DocumentUniqueId", None, {"RAD69/document"}),
        (".//{*}RepositoryUniqueId", None, {"RAD69/repository"}),
    ],
)
def test_an_empty_uid_is_read_and_refused_by_a_rule(path: str, attribute: str | None, rules: set[str]) -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    element = body.find(path)
    assert element is not None
    if attribute:
        element.set(attribute, " ")
    else:
        element.text = None
    request = RAD_69.decode_request(soap_in(body)).value
    findings = [finding for check in RAD_69.checks for finding in check(request)]
    assert {finding.rule for finding in findings} == rules
    assert {finding.code for finding in findings} <= {"XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"}


def test_an_empty_list_of_transfer_syntaxes_is_not_any() -> None:
    body = written(RAD_69.encode_request(RETRIEVE_IMAGES))
    for element in list(body[-1]):
        body[-1].remove(element)
    request = RAD_69.decode_request(soap_in(body)).value
    assert request.transfer_syntax_uids == ()
    assert [finding.rule for check in RAD_69.checks for finding in check(request)] == ["RAD69/transfer-syntax"]


def test_the_answer_has_the_action_of_the_document_transaction() -> None:
    assert RAD_69.response_action == "urn:ihe:iti:2007:RetrieveDocumentSetResponse"
