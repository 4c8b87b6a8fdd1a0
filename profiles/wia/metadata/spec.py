"""The metadata retrieve as one value.

Source: IHE RAD TF-2 4.107 (Get Metadata); DICOM PS3.18 10.4.1.1.2.
"""

from profiles.transaction import Actor, HttpTransaction
from profiles.wia.metadata.audit import audit
from profiles.wia.metadata.codec import decode_request, encode_response
from profiles.wia.metadata.messages import RetrieveMetadataRequest, RetrieveMetadataResponse
from profiles.wire.dicom.web import INSTANCE_PATH, SERVICE, refused

RETRIEVE_METADATA: HttpTransaction[RetrieveMetadataRequest, RetrieveMetadataResponse] = HttpTransaction(
    id="RAD-107 metadata",
    name="WADO-RS Retrieve, metadata",
    section="RAD TF-2 4.107; DICOM PS3.18 10.4",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=(
        "/studies/{study}/metadata",
        "/studies/{study}/series/{series}/metadata",
        f"{INSTANCE_PATH}/metadata",
    ),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
