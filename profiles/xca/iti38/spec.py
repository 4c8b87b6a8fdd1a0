"""ITI-38 as one value. On the wire it is ITI-18 but for the actions: there is no codec of its own.

Source: ITI TF-2 3.38.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import QUERY
from profiles.wire.soap.message import Packaging
from profiles.xca.iti38.audit import audit
from profiles.xca.iti38.checks import CHECKS
from profiles.xca.iti38.messages import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti18 import ITI_18

ITI_38: SoapTransaction[StoredQueryRequest, StoredQueryResponse] = SoapTransaction(
    id="ITI-38",
    name="Cross Gateway Query",
    section="ITI TF-2 3.38",
    initiator=Actor.INITIATING_GATEWAY,
    responder=Actor.RESPONDING_GATEWAY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action="urn:ihe:iti:2007:CrossGatewayQuery",
    response_action="urn:ihe:iti:2007:CrossGatewayQueryResponse",
    decode_request=ITI_18.decode_request,
    encode_request=ITI_18.encode_request,
    decode_response=ITI_18.decode_response,
    encode_response=ITI_18.encode_response,
    refuse=ITI_18.refuse,
    request_element=f"{{{QUERY}}}AdhocQueryRequest",
    response_element=f"{{{QUERY}}}AdhocQueryResponse",
)
