"""ITI-47 as three values: the query, and its variants that continue and cancel it.

Source: ITI TF-2 3.47.
"""

from functools import partial

from profiles.pdqv3.iti47 import codec
from profiles.pdqv3.iti47.audit import audit, audit_continuation
from profiles.pdqv3.iti47.checks import CHECKS
from profiles.pdqv3.iti47.messages import Acknowledgement, CandidatesQuery, CandidatesResponse, Continuation
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.hl7v3.ack import (
    ACCEPT_ACKNOWLEDGEMENT,
    ACCEPT_ELEMENT,
    decode_accept_acknowledgement,
    encode_accept_acknowledgement,
    of_error,
    stamped,
)
from profiles.wire.hl7v3.candidates import REQUEST, RESPONSE, refused, stamped_response
from profiles.wire.hl7v3.datatypes import HL7
from profiles.wire.soap.message import Packaging

CONTINUE: SoapTransaction[Continuation, CandidatesResponse] = SoapTransaction(
    id="ITI-47",
    name="Patient Demographics Query HL7 V3, continued",
    section="ITI TF-2 3.47.4.3",
    initiator=Actor.DEMOGRAPHICS_CONSUMER,
    responder=Actor.DEMOGRAPHICS_SUPPLIER,
    audit=audit_continuation,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{codec.CONTINUE}_Continue",
    response_action=f"{HL7}:{RESPONSE}",
    decode_request=partial(codec.decode_continuation, element=codec.CONTINUE),
    encode_request=codec.encode_continuation,
    decode_response=codec.decode_response,
    encode_response=codec.encode_response,
    refuse=refused,
    request_element=f"{{{HL7}}}{codec.CONTINUE}",
    response_element=f"{{{HL7}}}{RESPONSE}",
    stamp=stamped_response,
)

CANCEL: SoapTransaction[Continuation, Acknowledgement] = SoapTransaction(
    id="ITI-47",
    name="Patient Demographics Query HL7 V3, cancelled",
    section="ITI TF-2 3.47.4.3",
    initiator=Actor.DEMOGRAPHICS_CONSUMER,
    responder=Actor.DEMOGRAPHICS_SUPPLIER,
    audit=audit_continuation,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{codec.CANCEL}",
    response_action=f"{HL7}:{ACCEPT_ACKNOWLEDGEMENT}",
    decode_request=partial(codec.decode_continuation, element=codec.CANCEL),
    encode_request=codec.encode_continuation,
    decode_response=decode_accept_acknowledgement,
    encode_response=encode_accept_acknowledgement,
    refuse=of_error,
    request_element=f"{{{HL7}}}{codec.CANCEL}",
    response_element=ACCEPT_ELEMENT,
    stamp=stamped,
)

ITI_47: SoapTransaction[CandidatesQuery, CandidatesResponse] = SoapTransaction(
    id="ITI-47",
    name="Patient Demographics Query HL7 V3",
    section="ITI TF-2 3.47",
    initiator=Actor.DEMOGRAPHICS_CONSUMER,
    responder=Actor.DEMOGRAPHICS_SUPPLIER,
    audit=audit,
    checks=CHECKS,
    packaging=Packaging.SIMPLE,
    request_action=f"{HL7}:{REQUEST}",
    response_action=f"{HL7}:{RESPONSE}",
    decode_request=codec.decode_request,
    encode_request=codec.encode_request,
    decode_response=codec.decode_response,
    encode_response=codec.encode_response,
    refuse=refused,
    request_element=f"{{{HL7}}}{REQUEST}",
    response_element=f"{{{HL7}}}{RESPONSE}",
    stamp=stamped_response,
    variants=(CONTINUE, CANCEL),
)
