"""ITI-51 as one value.

Source: ITI TF-2 3.51.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import QUERY
from profiles.wire.soap.message import Packaging
from profiles.xds.iti51.audit import audit
from profiles.xds.iti51.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti51.messages import StoredQueryRequest, StoredQueryResponse

ITI_51: SoapTransaction[StoredQueryRequest, StoredQueryResponse] = SoapTransaction(
    id="ITI-51",
    name="Multi-Patient Stored Query",
    section="ITI TF-2 3.51",
    initiator=Actor.DOCUMENT_CONSUMER,
    responder=Actor.DOCUMENT_REGISTRY,
    audit=audit,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2009:MultiPatientStoredQuery",
    response_action="urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{QUERY}}}AdhocQueryRequest",
    response_element=f"{{{QUERY}}}AdhocQueryResponse",
)
