"""ITI-86 as one value.

Source: ITI TF-2 3.86.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import RMD, RS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti86.audit import audit
from profiles.xds.iti86.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti86.messages import RegistryResponse, RemoveDocumentsRequest

ITI_86: SoapTransaction[RemoveDocumentsRequest, RegistryResponse] = SoapTransaction(
    id="ITI-86",
    name="Remove Documents",
    section="ITI TF-2 3.86",
    initiator=Actor.DOCUMENT_ADMINISTRATOR,
    responder=Actor.DOCUMENT_REPOSITORY,
    audit=audit,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2017:RemoveDocuments",
    response_action="urn:ihe:iti:2017:RemoveDocumentsResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{RMD}}}RemoveDocumentsRequest",
    response_element=f"{{{RS}}}RegistryResponse",
)
