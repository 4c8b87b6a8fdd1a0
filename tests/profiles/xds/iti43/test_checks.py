"""ITI-43: empty ids are legal XML and mean nothing."""

import pytest

from profiles.errors import MalformedMessage
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from tests.profiles.xds.messages import RETRIEVE
from tests.support.ebxml import soap_in, written


@pytest.mark.parametrize(
    ("repository", "document", "codes"),
    [
        ("1.2", "1.3", []),
        ("", "1.3", ["XDSUnknownRepositoryId"]),
        ("1.2", "", ["XDSDocumentUniqueIdError"]),
        ("", "", ["XDSUnknownRepositoryId", "XDSDocumentUniqueIdError"]),
    ],
)
def test_each_document_is_named(repository: str, document: str, codes: list[str]) -> None:
    request = RetrieveDocumentSetRequest(
        documents=(DocumentRequest(repository_unique_id=repository, document_unique_id=document),)
    )
    again = ITI_43.decode_request(soap_in(written(ITI_43.encode_request(request)))).value
    assert again == request
    assert [finding.code for check in ITI_43.checks for finding in check(again)] == codes


def test_a_request_for_nothing_is_malformed() -> None:
    body = written(ITI_43.encode_request(RETRIEVE))
    for element in list(body):
        body.remove(element)
    with pytest.raises(MalformedMessage):
        ITI_43.decode_request(soap_in(body))
