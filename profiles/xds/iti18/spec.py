"""ITI-18 as one value.

Source: ITI TF-2 3.18.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import QUERY
from profiles.wire.soap.message import Packaging
from profiles.xds.iti18.audit import audit
from profiles.xds.iti18.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti18.messages import StoredQueryRequest, StoredQueryResponse

ITI_18: SoapTransaction[StoredQueryRequest, StoredQueryResponse] = SoapTransaction(
    id="ITI-18",
    name="Registry Stored Query",
    section="ITI TF-2 3.18",
    initiator=Actor.DOCUMENT_CONSUMER,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2007:RegistryStoredQuery",
    response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{QUERY}}}AdhocQueryRequest",
    response_element=f"{{{QUERY}}}AdhocQueryResponse",
)
