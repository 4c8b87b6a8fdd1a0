"""RAD-129 as one value.

Source: IHE RAD TF-2 4.129; DICOM PS3.18 10.6.
"""

from profiles.transaction import Actor, HttpTransaction
from profiles.wia.rad129.audit import audit
from profiles.wia.rad129.codec import decode_request, encode_response
from profiles.wia.rad129.messages import SearchRequest, SearchResponse
from profiles.wire.dicom.web import SERVICE, refused

RAD_129: HttpTransaction[SearchRequest, SearchResponse] = HttpTransaction(
    id="RAD-129",
    name="QIDO-RS Query",
    section="RAD TF-2 4.129; DICOM PS3.18 10.6",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=(
        "/studies",
        "/series",
        "/instances",
        "/studies/{study}/series",
        "/studies/{study}/instances",
        "/studies/{study}/series/{series}/instances",
    ),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
