"""RAD-75 as one value. On the wire it is RAD-69 but for the actions: there is no codec of its own.

Source: RAD TF-2 4.75.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import IHERAD, XDS
from profiles.wire.soap.message import Packaging
from profiles.xcai.rad75.audit import audit
from profiles.xcai.rad75.checks import CHECKS
from profiles.xcai.rad75.messages import RetrieveDocumentSetResponse, RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69

RAD_75: SoapTransaction[RetrieveImagingDocumentSetRequest, Poured[RetrieveDocumentSetResponse]] = SoapTransaction(
    id="RAD-75",
    name="Cross Gateway Retrieve Imaging Document Set",
    section="RAD TF-2 4.75",
    initiator=Actor.INITIATING_IMAGING_GATEWAY,
    responder=Actor.RESPONDING_IMAGING_GATEWAY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
    response_action="urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse",
    decode_request=RAD_69.decode_request,
    encode_request=RAD_69.encode_request,
    decode_response=RAD_69.decode_response,
    encode_response=RAD_69.encode_response,
    refuse=RAD_69.refuse,
    request_element=f"{{{IHERAD}}}RetrieveImagingDocumentSetRequest",
    response_element=f"{{{XDS}}}RetrieveDocumentSetResponse",
)
