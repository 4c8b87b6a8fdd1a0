"""ITI-46 as one value.

Source: ITI TF-2 3.46.
"""

from profiles.pixv3.iti46.audit import audit
from profiles.pixv3.iti46.checks import CHECKS
from profiles.pixv3.iti46.codec import (
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    refuse,
    stamped,
)
from profiles.pixv3.iti46.messages import Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.hl7v3.ack import ACCEPT_ACKNOWLEDGEMENT, ACCEPT_ELEMENT
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging

ITI_46: SoapTransaction[PatientRecordRequest, Acknowledgement] = SoapTransaction(
    id="ITI-46",
    name="PIXV3 Update Notification",
    section="ITI TF-2 3.46",
    initiator=Actor.CROSS_REFERENCE_MANAGER,
    responder=Actor.CROSS_REFERENCE_CONSUMER,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{RecordEvent.REVISE}",
    response_action=f"{HL7}:{ACCEPT_ACKNOWLEDGEMENT}",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{HL7}}}{RecordEvent.REVISE}",
    response_element=ACCEPT_ELEMENT,
    stamp=stamped,
)
