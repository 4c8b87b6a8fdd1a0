"""ITI-92 as one value.

Source: ITI TF-2 3.92.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import LCM, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti92.audit import audit
from profiles.xds.iti92.checks import CHECKS
from profiles.xds.iti92.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti92.messages import RegistryResponse, RestrictedUpdateRequest

ITI_92: SoapTransaction[RestrictedUpdateRequest, RegistryResponse] = SoapTransaction(
    id="ITI-92",
    name="Restricted Update Document Set",
    section="ITI TF-2 3.92",
    initiator=Actor.UPDATE_INITIATOR,
    responder=Actor.UPDATE_RESPONDER,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
    response_action="urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{LCM}}}SubmitObjectsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
