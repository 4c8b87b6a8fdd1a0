"""The frame retrieve as one value.

Source: IHE RAD TF-2 4.107 (Get Bulkdata); DICOM PS3.18 10.4.1.1.6.
"""

from profiles.model.content import Poured
from profiles.transaction import Actor, HttpTransaction
from profiles.wia.frames.audit import audit
from profiles.wia.frames.codec import decode_request, encode_response
from profiles.wia.frames.messages import RetrieveFramesHead, RetrieveFramesRequest
from profiles.wire.dicom.web import INSTANCE_PATH, SERVICE, refused

RETRIEVE_FRAMES: HttpTransaction[RetrieveFramesRequest, Poured[RetrieveFramesHead]] = HttpTransaction(
    id="RAD-107 frames",
    name="WADO-RS Retrieve, frames",
    section="RAD TF-2 4.107; DICOM PS3.18 10.4",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=(f"{INSTANCE_PATH}/frames/{{frames}}",),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
