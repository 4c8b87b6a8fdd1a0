"""Every SOAP transaction of the house says what its bodies are; the published schemas know those elements."""

from typing import Any

import pytest
from lxml import etree

from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Packaging
from profiles.wire.soap.names import DOCUMENT
from profiles.xca.profile import TRANSACTIONS as XCA
from profiles.xcai.profile import TRANSACTIONS as XCAI
from profiles.xds.profile import TRANSACTIONS as XDS
from profiles.xdsi.profile import TRANSACTIONS as XDSI
from tests.support.judges import standards

SOAP: list[SoapTransaction[Any, Any]] = [*XDS, *XDSI, *XCA, *XCAI]


def test_there_are_some() -> None:
    assert {each.id for each in SOAP} >= {"ITI-18", "ITI-41", "ITI-42", "ITI-43", "RAD-68", "RAD-69"}


@pytest.mark.parametrize("transaction", SOAP, ids=str)
def test_a_submission_with_documents_is_packed_as_mtom(transaction: SoapTransaction[Any, Any]) -> None:
    if transaction.brings_documents:
        assert transaction.packaging is Packaging.MTOM


@pytest.mark.judge_standard
def test_the_schemas_declare_every_body_and_its_documents() -> None:
    schema = etree.XMLSchema(etree.parse(str(standards("xds-schemas", "all-xds.xsd"))))
    for transaction in SOAP:
        for element in (transaction.request_element, transaction.response_element):
            # An element that is declared is found wanting in content; one that is not has no declaration.
            schema.validate(etree.Element(element))
            said = str(schema.error_log)
            assert "No matching global declaration" not in said, (transaction.id, element)
    assert DOCUMENT == "{urn:ihe:iti:xds-b:2007}Document"
    schema.validate(etree.Element("{urn:x}Unknown"))
    assert "No matching global declaration" in str(schema.error_log)
