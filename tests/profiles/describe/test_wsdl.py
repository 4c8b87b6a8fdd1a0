"""The WSDL that an address serves: a stranger's tool loads it without fetching anything and lists what it may ask."""

from dataclasses import replace
from pathlib import Path

from lxml import etree

from profiles.describe.wsdl import encode_wsdl
from tests.support.soap import client_of
from tests.support.toy_soap import QUERY, SUBMIT

ADDRESS = "https://localhost:8443/soap/x?a=1&b=2"
OPERATIONS = (
    replace(
        QUERY,
        id="TOY-1",
        name="Registry Stored Query",
        request_action="urn:x:Query",
        response_action="urn:x:QueryResponse",
        request_element="{urn:x:query&more}Ask",
        response_element="{urn:x:query&more}Answer",
    ),
    replace(
        SUBMIT,
        id="TOY-2",
        name="Provide and Register Document Set-b",
        request_action="urn:x:Provide",
        response_action="urn:x:ProvideResponse",
        request_element="{urn:y}Provide",
        response_element="{urn:x:query&more}Answer",
    ),
    replace(
        QUERY,
        id="TOY-3",
        name="Bare",
        request_action="urn:x:Bare",
        response_action="urn:x:BareResponse",
        request_element="",
        response_element="",
    ),
)


def test_zeep_loads_it_offline_and_lists_the_operations(tmp_path: Path) -> None:
    client = client_of(encode_wsdl(ADDRESS, OPERATIONS), tmp_path)
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    assert port.binding_options["address"] == ADDRESS
    operations = port.binding.all()
    assert {name: operation.soapaction for name, operation in operations.items()} == {
        "RegistryStoredQuery": "urn:x:Query",
        "ProvideAndRegisterDocumentSetB": "urn:x:Provide",
        "Bare": "urn:x:Bare",
    }
    asked = operations["RegistryStoredQuery"]
    assert asked.input.body.qname.text == "{urn:x:query&more}Ask"
    assert asked.output.body.qname.text == "{urn:x:query&more}Answer"


def test_zeep_writes_a_soap_1_2_message_from_it(tmp_path: Path) -> None:
    client = client_of(encode_wsdl(ADDRESS, OPERATIONS[:2]), tmp_path)
    message = client.create_message(client.service, "RegistryStoredQuery", _value_1=[])
    assert message.tag == "{http://www.w3.org/2003/05/soap-envelope}Envelope"
    assert [child.tag for child in message[-1]] == ["{urn:x:query&more}Ask"]


def test_it_is_well_formed_and_names_each_element_once() -> None:
    root = etree.fromstring(encode_wsdl(ADDRESS, OPERATIONS))
    names = [str(element.get("name")) for element in root.iter("{http://www.w3.org/2001/XMLSchema}element")]
    assert sorted(names) == ["Answer", "Ask", "Provide"]
