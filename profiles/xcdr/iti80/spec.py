"""ITI-80 as one value.

Source: ITI TF-2 3.80.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.provide import HOME_BLOCK
from profiles.wire.ebxml.rim import RS, XDS
from profiles.wire.soap.message import Packaging
from profiles.xcdr.iti80.audit import audit
from profiles.xcdr.iti80.checks import CHECKS
from profiles.xcdr.iti80.codec import decode_request, encode_request
from profiles.xcdr.iti80.messages import ProvideAndRegisterRequest, RegistryResponse
from profiles.xds.iti41 import ITI_41

ITI_80: SoapTransaction[ProvideAndRegisterRequest, RegistryResponse] = SoapTransaction(
    id="ITI-80",
    name="Cross-Gateway Document Provide",
    section="ITI TF-2 3.80",
    initiator=Actor.INITIATING_GATEWAY,
    responder=Actor.RESPONDING_GATEWAY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:iti:2015:CrossGatewayDocumentProvide",
    response_action="urn:ihe:iti:2015:CrossGatewayDocumentProvideResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=ITI_41.decode_response,
    encode_response=ITI_41.encode_response,
    refuse=ITI_41.refuse,
    request_element=f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest",
    response_element=f"{{{RS}}}RegistryResponse",
    brings_documents=True,
    headers=frozenset({HOME_BLOCK}),
)
