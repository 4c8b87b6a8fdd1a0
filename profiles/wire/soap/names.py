"""Namespaces, addresses and media types of SOAP 1.2, WS-Addressing 1.0, MTOM/XOP and WS-Security, as they are written."""

from typing import Final

S: Final = "http://www.w3.org/2003/05/soap-envelope"
S11: Final = "http://schemas.xmlsoap.org/soap/envelope/"  # SOAP 1.1, known only to be refused by name
WSA: Final = "http://www.w3.org/2005/08/addressing"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
XDS_B: Final = "urn:ihe:iti:xds-b:2007"

ANONYMOUS: Final = f"{WSA}/anonymous"

ENVELOPE: Final = f"{{{S}}}Envelope"
HEADER: Final = f"{{{S}}}Header"
BODY: Final = f"{{{S}}}Body"
FAULT: Final = f"{{{S}}}Fault"
MUST_UNDERSTAND: Final = f"{{{S}}}mustUnderstand"
ROLE: Final = f"{{{S}}}role"
OUR_ROLES: Final = frozenset({"", f"{S}/role/next", f"{S}/role/ultimateReceiver"})
"""Values of `role` that address a header to us, who are never in between (SOAP 1.2 part 1, 2.2)."""
INCLUDE: Final = f"{{{XOP}}}Include"
DOCUMENT: Final = f"{{{XDS_B}}}Document"
"""The only base64Binary element of the transactions that carry documents (ITI TF-2 3.41, 3.43; RAD TF-2 4.69)."""

SOAP_XML: Final = "application/soap+xml"
XOP_XML: Final = "application/xop+xml"
RELATED: Final = "multipart/related"

# wsa:Action of a fault: WS-Addressing 1.0 SOAP binding, section 6
ADDRESSING_FAULT_ACTION: Final = f"{WSA}/fault"
SOAP_FAULT_ACTION: Final = f"{WSA}/soap/fault"
