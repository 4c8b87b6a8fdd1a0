"""ITI-8 Patient Identity Feed, HL7 2.3.1.

Versions before and after 2.3.1 that have no ERR of 2.5 are read the same: senders write what their interface engine has.
"""

from functools import partial

from profiles.pix.iti8.audit import audit
from profiles.pix.iti8.checks import CHECKS
from profiles.pix.iti8.codec import RULES, decode_request, encode_request
from profiles.pix.iti8.messages import Acknowledgement, PatientFeedRequest
from profiles.transaction import Actor, Hl7Transaction
from profiles.wire.hl7v2.answering import decode_response, refuse, respond
from profiles.wire.hl7v2.datatypes import NO_SITE, Site


def iti_8(site: Site) -> Hl7Transaction[PatientFeedRequest, Acknowledgement]:
    """The transaction, as a house reads it that knows this of its senders."""
    return Hl7Transaction(
        id="ITI-8",
        name="Patient Identity Feed",
        section="ITI TF-2 3.8",
        initiator=Actor.PATIENT_IDENTITY_SOURCE,
        responder=Actor.DOCUMENT_REGISTRY,
        audit=audit,
        checks=CHECKS,
        triggers=tuple(("ADT", event.value) for event in RULES.structures),
        versions=("2.1", "2.2", "2.3", "2.3.1", "2.4"),
        decode_request=partial(decode_request, site=site),
        encode_request=partial(encode_request, site=site),
        decode_response=decode_response,
        respond=respond,
        refuse=refuse,
    )


ITI_8 = iti_8(NO_SITE)
