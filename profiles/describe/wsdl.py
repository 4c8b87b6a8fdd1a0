"""The WSDL of a SOAP address, made from what it serves. Our own description: operations, actions and body elements.

The content of a body is left open (`any`): the standards' schemas say it, and a description that is ours is not to repeat
them. A stranger's tool can load this without fetching anything.

Source: WSDL 1.1, its SOAP 1.2 binding, and WS-Addressing 1.0 metadata (wsam:Action).
"""

import re
from collections.abc import Sequence
from typing import Any

from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Packaging
from profiles.wire.xml import attribute, text

TARGET = "urn:radgate:soap"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" '
    'xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" '
    'xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata" '
    'xmlns:wsoma="http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization" '
    'xmlns:wsp="http://www.w3.org/ns/ws-policy" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    f'xmlns:r="{TARGET}" targetNamespace="{TARGET}" name="radgate">\n'
)


def encode_wsdl(address: str, operations: Sequence[SoapTransaction[Any, Any]]) -> bytes:
    """The description of one address and 1..n transactions that are served there, each an operation."""
    elements = {element for each in operations for element in (each.request_element, each.response_element) if element}
    namespaces: dict[str, set[str]] = {}
    for element in elements:
        namespace, _, name = element[1:].partition("}")
        namespaces.setdefault(namespace, set()).add(name)
    prefixes = {namespace: f"n{index}" for index, namespace in enumerate(sorted(namespaces))}

    def message(operation: SoapTransaction[Any, Any], suffix: str, element: str) -> str:
        if element:
            namespace, _, name = element[1:].partition("}")
            prefix = prefixes[namespace]
            refers = f'element="{prefix}:{attribute(name)}" xmlns:{prefix}="{attribute(namespace)}"'
        else:
            refers = 'type="xsd:anyType"'
        return f'  <wsdl:message name="{_label(operation)}{suffix}"><wsdl:part name="body" {refers}/></wsdl:message>\n'

    pieces = [_HEAD, "  <wsdl:types>\n"]
    pieces.extend(_schema(namespace, sorted(namespaces[namespace])) for namespace in sorted(namespaces))
    pieces.append("  </wsdl:types>\n")
    for each in operations:
        pieces.append(message(each, "Request", each.request_element))
        pieces.append(message(each, "Response", each.response_element))
    pieces.append('  <wsdl:portType name="PortType">\n')
    pieces.extend(
        f'    <wsdl:operation name="{_label(each)}">\n'
        f"      <wsdl:documentation>{text(each.id)} {text(each.name)}</wsdl:documentation>\n"
        f'      <wsdl:input message="r:{_label(each)}Request" wsam:Action="{attribute(each.request_action)}"/>\n'
        f'      <wsdl:output message="r:{_label(each)}Response" wsam:Action="{attribute(each.response_action)}"/>\n'
        f"    </wsdl:operation>\n"
        for each in operations
    )
    pieces.append(
        "  </wsdl:portType>\n"
        '  <wsdl:binding name="Binding" type="r:PortType">\n'
        '    <soap12:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>\n'
    )
    pieces.extend(
        f'    <wsdl:operation name="{_label(each)}">\n'
        + (
            "      <wsp:Policy><wsoma:OptimizedMimeSerialization/></wsp:Policy>\n"
            if each.packaging is Packaging.MTOM
            else ""
        )
        + f'      <soap12:operation soapAction="{attribute(each.request_action)}" style="document"/>\n'
        f'      <wsdl:input><soap12:body use="literal"/></wsdl:input>\n'
        f'      <wsdl:output><soap12:body use="literal"/></wsdl:output>\n'
        f"    </wsdl:operation>\n"
        for each in operations
    )
    pieces.append(
        "  </wsdl:binding>\n"
        '  <wsdl:service name="Service">\n'
        '    <wsdl:port name="Port" binding="r:Binding">'
        f'<soap12:address location="{attribute(address)}"/></wsdl:port>\n'
        "  </wsdl:service>\n"
        "</wsdl:definitions>\n"
    )
    return "".join(pieces).encode()


def _label(operation: SoapTransaction[Any, Any]) -> str:
    """The name as WSDL can write it: `RegistryStoredQuery`."""
    words = re.findall(r"[A-Za-z0-9]+", operation.name) or re.findall(r"[A-Za-z0-9]+", operation.id)
    return "".join(word[0].upper() + word[1:] for word in words)


def _schema(namespace: str, names: Sequence[str]) -> str:
    elements = "".join(
        f'      <xsd:element name="{attribute(name)}"><xsd:complexType><xsd:sequence>'
        '<xsd:any processContents="lax" minOccurs="0" maxOccurs="unbounded"/></xsd:sequence>'
        '<xsd:anyAttribute processContents="lax"/></xsd:complexType></xsd:element>\n'
        for name in names
    )
    return (
        f'    <xsd:schema targetNamespace="{attribute(namespace)}" elementFormDefault="qualified">\n'
        f"{elements}    </xsd:schema>\n"
    )
