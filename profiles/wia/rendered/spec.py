"""The rendered retrieve as one value.

Source: IHE RAD TF-2 4.107 (Get Rendered); DICOM PS3.18 10.4.1.1.3, 10.4.1.1.4.
"""

from profiles.transaction import Actor, HttpTransaction
from profiles.wia.rendered.audit import audit
from profiles.wia.rendered.codec import decode_request, encode_response
from profiles.wia.rendered.messages import RetrieveRenderedRequest, RetrieveRenderedResponse
from profiles.wire.dicom.web import INSTANCE_PATH, SERVICE, refused

RETRIEVE_RENDERED: HttpTransaction[RetrieveRenderedRequest, RetrieveRenderedResponse] = HttpTransaction(
    id="RAD-107 rendered",
    name="WADO-RS Retrieve, rendered",
    section="RAD TF-2 4.107; DICOM PS3.18 10.4",
    initiator=Actor.IMAGING_DOCUMENT_CONSUMER,
    responder=Actor.IMAGING_DOCUMENT_SOURCE,
    audit=audit,
    service=SERVICE,
    methods=("GET",),
    paths=(
        f"{INSTANCE_PATH}/rendered",
        f"{INSTANCE_PATH}/frames/{{frames}}/rendered",
        "/studies/{study}/thumbnail",
        "/studies/{study}/series/{series}/thumbnail",
        f"{INSTANCE_PATH}/thumbnail",
        f"{INSTANCE_PATH}/frames/{{frames}}/thumbnail",
    ),
    decode_request=decode_request,
    encode_response=encode_response,
    refuse=refused,
)
