"""ITI-44 as one value for each event: ITI_44 adds, its variants revise and merge.

Source: ITI TF-2 3.44.
"""

from collections.abc import Mapping
from functools import partial

from profiles.pixv3.iti44.audit import audit
from profiles.pixv3.iti44.checks import CHECKS
from profiles.pixv3.iti44.codec import (
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    refuse,
    stamped,
)
from profiles.pixv3.iti44.messages import Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.hl7v3.ack import ACCEPT_ACKNOWLEDGEMENT, ACCEPT_ELEMENT
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging


def _of(
    event: RecordEvent,
    name: str,
    variants: tuple[SoapTransaction[PatientRecordRequest, Acknowledgement], ...] = (),
) -> SoapTransaction[PatientRecordRequest, Acknowledgement]:
    return SoapTransaction(
        id="ITI-44",
        name=name,
        section="ITI TF-2 3.44",
        initiator=Actor.PATIENT_IDENTITY_SOURCE,
        responder=Actor.CROSS_REFERENCE_MANAGER,
        audit=audit,
        checks=CHECKS,
        packaging=Packaging.SIMPLE,
        request_action=f"{HL7}:{event}",
        response_action=f"{HL7}:{ACCEPT_ACKNOWLEDGEMENT}",
        decode_request=partial(decode_request, event=event),
        encode_request=encode_request,
        decode_response=decode_response,
        encode_response=encode_response,
        refuse=refuse,
        request_element=f"{{{HL7}}}{event}",
        response_element=ACCEPT_ELEMENT,
        stamp=stamped,
        variants=variants,
    )


_REVISE = _of(RecordEvent.REVISE, "Patient Identity Feed HL7 V3, record revised")
_MERGE = _of(RecordEvent.MERGE, "Patient Identity Feed HL7 V3, records merged")
ITI_44 = _of(RecordEvent.ADD, "Patient Identity Feed HL7 V3", (_REVISE, _MERGE))

BY_EVENT: Mapping[RecordEvent, SoapTransaction[PatientRecordRequest, Acknowledgement]] = {
    RecordEvent.ADD: ITI_44,
    RecordEvent.REVISE: _REVISE,
    RecordEvent.MERGE: _MERGE,
}
"""Which of them a request goes out as."""
