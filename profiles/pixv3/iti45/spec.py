"""ITI-45 as one value.

Source: ITI TF-2 3.45.
"""

from profiles.pixv3.iti45.audit import audit
from profiles.pixv3.iti45.checks import CHECKS
from profiles.pixv3.iti45.codec import (
    REQUEST,
    RESPONSE,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    refuse,
    stamp_response,
)
from profiles.pixv3.iti45.messages import IdentifiersQuery, IdentifiersResponse
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging

ITI_45: SoapTransaction[IdentifiersQuery, IdentifiersResponse] = SoapTransaction(
    id="ITI-45",
    name="PIXV3 Query",
    section="ITI TF-2 3.45",
    initiator=Actor.CROSS_REFERENCE_CONSUMER,
    responder=Actor.CROSS_REFERENCE_MANAGER,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{REQUEST}",
    response_action=f"{HL7}:{RESPONSE}",
    decode_request=decode_request,
    encode_request=encode_request,
    decode_response=decode_response,
    encode_response=encode_response,
    refuse=refuse,
    request_element=f"{{{HL7}}}{REQUEST}",
    response_element=f"{{{HL7}}}{RESPONSE}",
    stamp=stamp_response,
)
