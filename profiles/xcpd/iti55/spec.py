"""ITI-55 as one value, and the two exchanges of its deferred variant: the question, and its answer on its own.

Source: ITI TF-2 3.55.
"""

from profiles.transaction import Actor, SoapTransaction
from profiles.wire.hl7v3.ack import ACCEPT_ACKNOWLEDGEMENT, ACCEPT_ELEMENT, of_error
from profiles.wire.hl7v3.candidates import REQUEST, RESPONSE
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging
from profiles.xcpd.iti55 import codec
from profiles.xcpd.iti55.audit import audit, audit_deferred_answer
from profiles.xcpd.iti55.checks import CHECKS, DEFERRED_CHECKS
from profiles.xcpd.iti55.messages import Acknowledgement, DeferredAnswer, DiscoveryRequest, DiscoveryResponse

DEFERRED: SoapTransaction[DiscoveryRequest, Acknowledgement] = SoapTransaction(
    id="ITI-55",
    name="Cross Gateway Patient Discovery, deferred",
    section="ITI TF-2 3.55.4.1.3",
    initiator=Actor.INITIATING_GATEWAY,
    responder=Actor.RESPONDING_GATEWAY,
    audit=audit,
    checks=DEFERRED_CHECKS,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{REQUEST}:Deferred:CrossGatewayPatientDiscovery",
    response_action=f"{HL7}:{ACCEPT_ACKNOWLEDGEMENT}",
    decode_request=codec.decode_deferred_request,
    encode_request=codec.encode_request,
    decode_response=codec.decode_deferred_response,
    encode_response=codec.encode_deferred_response,
    refuse=of_error,
    request_element=f"{{{HL7}}}{REQUEST}",
    response_element=ACCEPT_ELEMENT,
    stamp=codec.stamp_deferred,
)

DEFERRED_ANSWER: SoapTransaction[DeferredAnswer, Acknowledgement] = SoapTransaction(
    id="ITI-55",
    name="Cross Gateway Patient Discovery, deferred answer",
    section="ITI TF-2 3.55.4.2",
    initiator=Actor.RESPONDING_GATEWAY,
    responder=Actor.INITIATING_GATEWAY,
    audit=audit_deferred_answer,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{RESPONSE}:Deferred:CrossGatewayPatientDiscovery",
    response_action=f"{HL7}:{ACCEPT_ACKNOWLEDGEMENT}",
    decode_request=codec.decode_deferred_answer,
    encode_request=codec.encode_deferred_answer,
    decode_response=codec.decode_deferred_response,
    encode_response=codec.encode_deferred_response,
    refuse=of_error,
    request_element=f"{{{HL7}}}{RESPONSE}",
    response_element=ACCEPT_ELEMENT,
    stamp=codec.stamp_deferred,
)

ITI_55: SoapTransaction[DiscoveryRequest, DiscoveryResponse] = SoapTransaction(
    id="ITI-55",
    name="Cross Gateway Patient Discovery",
    section="ITI TF-2 3.55",
    initiator=Actor.INITIATING_GATEWAY,
    responder=Actor.RESPONDING_GATEWAY,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{REQUEST}:CrossGatewayPatientDiscovery",
    response_action=f"{HL7}:{RESPONSE}:CrossGatewayPatientDiscovery",
    decode_request=codec.decode_request,
    encode_request=codec.encode_request,
    decode_response=codec.decode_response,
    encode_response=codec.encode_response,
    refuse=codec.refuse,
    request_element=f"{{{HL7}}}{REQUEST}",
    response_element=f"{{{HL7}}}{RESPONSE}",
    stamp=codec.stamp_response,
    variants=(DEFERRED, DEFERRED_ANSWER),
)
