"""RAD-69 as one value.

Source: RAD TF-2 4.69.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import IHERAD, XDS
from profiles.wire.soap.message import Packaging
from profiles.xdsi.rad69.audit import audit
from profiles.xdsi.rad69.checks import CHECKS
from profiles.xdsi.rad69.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xdsi.rad69.messages import RetrieveDocumentSetResponse, RetrieveImagingDocumentSetRequest

RAD_69: SoapTransaction[RetrieveImagingDocumentSetRequest, Poured[RetrieveDocumentSetResponse]] = SoapTransaction(
    id="RAD-69",
    name="Retrieve Imaging Document Set",
    section="RAD TF-2 4.69",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:rad:2009:RetrieveImagingDocumentSet",
    response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",  # the one of ITI-43: so all published WSDLs say
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{IHERAD}}}RetrieveImagingDocumentSetRequest",
    response_element=f"{{{XDS}}}RetrieveDocumentSetResponse",
)
