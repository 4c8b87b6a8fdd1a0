"""ITI-42 as one value.

Source: ITI TF-2 3.42.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import LCM, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti42.audit import audit
from profiles.xds.iti42.checks import CHECKS
from profiles.xds.iti42.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti42.messages import RegisterRequest, RegistryResponse

ITI_42: SoapTransaction[RegisterRequest, RegistryResponse] = SoapTransaction(
    id="ITI-42",
    name="Register Document Set-b",
    section="ITI TF-2 3.42",
    initiator=Actor.DOCUMENT_REPOSITORY,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2007:RegisterDocumentSet-b",
    response_action="urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{LCM}}}SubmitObjectsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
