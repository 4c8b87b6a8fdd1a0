"""ITI-61 as one value. Mind the action of its response, which has no "Entry".

Source: ITI TF-2 3.61.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import LCM, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti61.audit import audit
from profiles.xds.iti61.checks import CHECKS
from profiles.xds.iti61.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti61.messages import RegisterOnDemandRequest, RegistryResponse

ITI_61: SoapTransaction[RegisterOnDemandRequest, RegistryResponse] = SoapTransaction(
    id="ITI-61",
    name="Register On-Demand Document Entry",
    section="ITI TF-2 3.61",
    initiator=Actor.ON_DEMAND_DOCUMENT_SOURCE,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
    response_action="urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{LCM}}}SubmitObjectsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
