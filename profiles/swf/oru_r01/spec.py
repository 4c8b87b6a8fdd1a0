"""ORU^R01 as the notification that a study's images are available."""

from profiles.swf.oru_r01.audit import audit
from profiles.swf.oru_r01.checks import CHECKS
from profiles.swf.oru_r01.codec import decode_request, encode_request
from profiles.swf.oru_r01.messages import Acknowledgement, StudyAvailable
from profiles.transaction import Actor, Hl7Transaction
from profiles.wire.hl7v2.answering import decode_response, refuse, respond

ORU_R01: Hl7Transaction[StudyAvailable, Acknowledgement] = Hl7Transaction(
    id="ORU^R01",
    name="Images Available",
    section="HL7 v2.5.1 7.3.1",
    initiator=Actor.IMAGE_MANAGER,
    responder=Actor.REPORT_MANAGER,
    audit=audit,
    checks=CHECKS,
    triggers=(("ORU", "R01"),),
    versions=("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"),
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    respond=respond,
    refuse=refuse,
)
