"""RAD-108 as one value.

Source: IHE RAD TF-2 4.108; DICOM PS3.18 10.5.
"""

from profiles.transaction import Actor, HttpTransaction
from profiles.wia.rad108.audit import audit
from profiles.wia.rad108.codec import decode_request, encode_response
from profiles.wia.rad108.messages import StoreInstancesRequest, StoreInstancesResponse
from profiles.wire.dicom.web import SERVICE, refused

RAD_108: HttpTransaction[StoreInstancesRequest, StoreInstancesResponse] = HttpTransaction(
    id="RAD-108",
    name="STOW-RS Store",
    section="RAD TF-2 4.108; DICOM PS3.18 10.5",
    initiator=Actor.IMAGING_DOCUMENT_SOURCE,
    responder=Actor.IMAGE_MANAGER,
    audit=audit,
    service=SERVICE,
    methods=("POST",),
    paths=("/studies", "/studies/{study}"),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
