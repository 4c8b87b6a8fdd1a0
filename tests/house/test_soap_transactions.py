"""Every SOAP transaction of the house says what its bodies are; the published schemas know those elements."""

from typing import Any

import pytest
from lxml import etree

from profiles.pdqv3.profile import TRANSACTIONS as PDQV3
from profiles.pixv3.profile import TRANSACTIONS as PIXV3
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.rim import RMD
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging
from profiles.wire.soap.names import DOCUMENT
from profiles.xca.profile import TRANSACTIONS as XCA
from profiles.xcai.profile import TRANSACTIONS as XCAI
from profiles.xcdr.profile import TRANSACTIONS as XCDR
from profiles.xcpd.profile import TRANSACTIONS as XCPD
from profiles.xds.profile import TRANSACTIONS as XDS
from profiles.xdsi.profile import TRANSACTIONS as XDSI
from tests.support.judges import standards

SOAP: list[SoapTransaction[Any, Any]] = [*XDS, *XDSI, *XCA, *XCAI, *XCDR]
V3: list[SoapTransaction[Any, Any]] = [
    variant for each in (*PIXV3, *PDQV3, *XCPD) for variant in (each, *each.variants)
]


def test_there_are_some() -> None:
    assert {each.id for each in SOAP} >= {"ITI-18", "ITI-41", "ITI-42", "ITI-43", "RAD-68", "RAD-69"}


@pytest.mark.parametrize("transaction", SOAP, ids=str)
def test_a_submission_with_documents_is_packed_as_mtom(transaction: SoapTransaction[Any, Any]) -> None:
    if transaction.brings_documents:
        assert transaction.packaging is Packaging.MTOM


@pytest.mark.judge_standard
def test_the_schemas_declare_every_body_and_its_documents() -> None:
    schema = etree.XMLSchema(etree.parse(str(standards("xds-schemas", "all-xds.xsd"))))
    removals = etree.XMLSchema(etree.parse(str(standards("xds-schemas", "nist", "rmd.xsd"))))
    for transaction in SOAP:
        for element in (transaction.request_element, transaction.response_element):
            if etree.QName(element).namespace == RMD:
                removals.validate(etree.Element(element))
                assert "No matching global declaration" not in str(removals.error_log)
                continue
            # An element that is declared is found wanting in content; one that is not has no declaration.
            schema.validate(etree.Element(element))
            said = str(schema.error_log)
            assert "No matching global declaration" not in said, (transaction.id, element)
    assert DOCUMENT == "{urn:ihe:iti:xds-b:2007}Document"
    schema.validate(etree.Element("{urn:x}Unknown"))
    assert "No matching global declaration" in str(schema.error_log)


@pytest.mark.judge_standard
@pytest.mark.parametrize("transaction", V3, ids=lambda each: each.request_element)
def test_each_interaction_of_hl7_v3_has_a_published_schema(transaction: SoapTransaction[Any, Any]) -> None:
    folder = standards("xds-schemas", "schema", "HL7V3", "NE2008", "multicacheschemas")
    for element in (transaction.request_element, transaction.response_element):
        name = etree.QName(element)
        assert name.namespace == HL7
        schema = etree.XMLSchema(etree.parse(str(folder / f"{name.localname.removesuffix('_Cancel')}.xsd")))
        assert not schema.validate(etree.Element(element))
        assert "No matching global declaration" not in str(schema.error_log)


@pytest.mark.parametrize("transaction", V3, ids=lambda each: each.request_element)
def test_an_answer_of_hl7_v3_says_in_its_body_whose_answer_it_is(transaction: SoapTransaction[Any, Any]) -> None:
    assert transaction.stamp is not None
