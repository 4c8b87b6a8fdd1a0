"""ITI-39 as one value. On the wire it is ITI-43 but for the actions: there is no codec of its own.

Source: ITI TF-2 3.39.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import XDS
from profiles.wire.soap.message import Packaging
from profiles.xca.iti39.audit import audit
from profiles.xca.iti39.checks import CHECKS
from profiles.xca.iti39.messages import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse
from profiles.xds.iti43 import ITI_43

ITI_39: SoapTransaction[RetrieveDocumentSetRequest, Poured[RetrieveDocumentSetResponse]] = SoapTransaction(
    id="ITI-39",
    name="Cross Gateway Retrieve",
    section="ITI TF-2 3.39",
    initiator=Actor.INITIATING_GATEWAY,
    responder=Actor.RESPONDING_GATEWAY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:iti:2007:CrossGatewayRetrieve",
    response_action="urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
    decode_request=ITI_43.decode_request,
    encode_request=ITI_43.encode_request,
    decode_response=ITI_43.decode_response,
    encode_response=ITI_43.encode_response,
    refuse=ITI_43.refuse,
    request_element=f"{{{XDS}}}RetrieveDocumentSetRequest",
    response_element=f"{{{XDS}}}RetrieveDocumentSetResponse",
)
