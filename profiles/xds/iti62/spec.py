"""ITI-62 as one value. The Framework calls the message Delete Document Set and the transaction Remove Metadata.

Source: ITI TF-2 3.62.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import LCM, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti62.audit import audit
from profiles.xds.iti62.checks import CHECKS
from profiles.xds.iti62.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti62.messages import RegistryResponse, RemoveMetadataRequest

ITI_62: SoapTransaction[RemoveMetadataRequest, RegistryResponse] = SoapTransaction(
    id="ITI-62",
    name="Remove Metadata",
    section="ITI TF-2 3.62",
    initiator=Actor.DOCUMENT_ADMINISTRATOR,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2010:DeleteDocumentSet",
    response_action="urn:ihe:iti:2010:DeleteDocumentSetResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{LCM}}}RemoveObjectsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
