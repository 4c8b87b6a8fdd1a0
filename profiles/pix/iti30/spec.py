"""ITI-30 Patient Identity Management, HL7 2.5 and later."""

from functools import partial

from profiles.pix.iti30.audit import audit
from profiles.pix.iti30.checks import CHECKS
from profiles.pix.iti30.codec import RULES, decode_request, encode_request
from profiles.pix.iti30.messages import Acknowledgement, PatientFeedRequest
from profiles.transaction import Actor, Hl7Transaction
from profiles.wire.hl7v2.answering import decode_response, refuse, respond
from profiles.wire.hl7v2.datatypes import NO_SITE, Site


def iti_30(site: Site) -> Hl7Transaction[PatientFeedRequest, Acknowledgement]:
    """The transaction, as a house reads it that knows this of its senders."""
    return Hl7Transaction(
        id="ITI-30",
        name="Patient Identity Management",
        section="ITI TF-2 3.30",
        initiator=Actor.PATIENT_IDENTITY_SOURCE,
        responder=Actor.PATIENT_IDENTITY_CONSUMER,
        audit=audit,
        checks=CHECKS,
        triggers=tuple(("ADT", event.value) for event in RULES.structures),
        versions=("2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"),
        decode_request=partial(decode_request, site=site),
        encode_request=partial(encode_request, site=site),
        decode_response=decode_response,
        respond=respond,
        refuse=refuse,
    )


ITI_30 = iti_30(NO_SITE)
