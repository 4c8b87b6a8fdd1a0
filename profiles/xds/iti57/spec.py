"""ITI-57 as one value.

Source: ITI TF-2 3.57.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import LCM, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti57.audit import audit
from profiles.xds.iti57.checks import CHECKS
from profiles.xds.iti57.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti57.messages import RegistryResponse, UpdateRequest

ITI_57: SoapTransaction[UpdateRequest, RegistryResponse] = SoapTransaction(
    id="ITI-57",
    name="Update Document Set",
    section="ITI TF-2 3.57",
    initiator=Actor.DOCUMENT_ADMINISTRATOR,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2010:UpdateDocumentSet",
    response_action="urn:ihe:iti:2010:UpdateDocumentSetResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{LCM}}}SubmitObjectsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
