"""ITI-43 as one value.

Source: ITI TF-2 3.43.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.rim import XDS
from profiles.wire.soap.message import Packaging
from profiles.xds.iti43.audit import audit
from profiles.xds.iti43.checks import CHECKS
from profiles.xds.iti43.codec import decode_request, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti43.messages import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse

ITI_43: SoapTransaction[RetrieveDocumentSetRequest, Poured[RetrieveDocumentSetResponse]] = SoapTransaction(
    id="ITI-43",
    name="Retrieve Document Set",
    section="ITI TF-2 3.43",
    initiator=Actor.DOCUMENT_CONSUMER,
    responder=Actor.DOCUMENT_REPOSITORY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.MTOM,
    request_action="urn:ihe:iti:2007:RetrieveDocumentSet",
    response_action="urn:ihe:iti:2007:RetrieveDocumentSetResponse",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{XDS}}}RetrieveDocumentSetRequest",
    response_element=f"{{{XDS}}}RetrieveDocumentSetResponse",
)
