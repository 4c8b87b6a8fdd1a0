"""ITI-41 as one value.

Source: ITI TF-2 3.41.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import RS, XDS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti41.audit import audit
from profiles.xds.iti41.checks import CHECKS
from profiles.xds.iti41.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti41.messages import ProvideAndRegisterRequest, RegistryResponse

ITI_41: SoapTransaction[ProvideAndRegisterRequest, RegistryResponse] = SoapTransaction(
    id="ITI-41",
    name="Provide and Register Document Set-b",
    section="ITI TF-2 3.41",
    initiator=Actor.DOCUMENT_SOURCE,
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
