"""RAD-68 as one value. On the wire it is ITI-41; a listener tells them apart after decoding (`is_imaging`).

Source: RAD TF-2 4.68.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import RS, XDS
from profiles.wire.soap.message import Packaging
from profiles.xdsi.rad68.audit import audit
from profiles.xdsi.rad68.checks import CHECKS
from profiles.xdsi.rad68.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xdsi.rad68.messages import ProvideAndRegisterRequest, RegistryResponse

RAD_68: SoapTransaction[ProvideAndRegisterRequest, RegistryResponse] = SoapTransaction(
    id="RAD-68",
    name="Provide and Register Imaging Document Set",
    section="RAD TF-2 4.68",
    initiator=Actor.IMAGING_DOCUMENT_SOURCE,
    responder=Actor.DOCUMENT_REPOSITORY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    response_action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest",
    response_element=f"{{{RS}}}RegistryResponse",
    brings_documents=True,
)
