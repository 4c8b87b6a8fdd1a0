"""RAD-107 as one value.

Source: IHE RAD TF-2 4.107; DICOM PS3.18 10.4.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, HttpTransaction
from profiles.wia.rad107.audit import audit
from profiles.wia.rad107.codec import decode_request, encode_response
from profiles.wia.rad107.messages import RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wire.dicom.web import INSTANCE_PATH, SERVICE, refused

RAD_107: HttpTransaction[RetrieveInstancesRequest, Poured[RetrieveInstancesHead]] = HttpTransaction(
    id="RAD-107",
    name="WADO-RS Retrieve",
    section="RAD TF-2 4.107; DICOM PS3.18 10.4",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=("/studies/{study}", "/studies/{study}/series/{series}", INSTANCE_PATH),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
