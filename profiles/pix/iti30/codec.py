"""ITI-30 on the wire: ADT of HL7 2.5 and later.

A01, A04, A05 and A08 belong to ITI-31 by the book; they are read here as what they say of the patient.

Source: ITI TF-2 3.30.4; HL7 v2.5 chapter 3 (message structures).
"""

from profiles.findings import Decoded
from profiles.pix.iti30.messages import FeedEvent, PatientFeedRequest
from profiles.wire.hl7v2.address import Hl7Out
from profiles.wire.hl7v2.adt import FeedRules, read_feed, write_feed
from profiles.wire.hl7v2.datatypes import NO_SITE, Site

RULES = FeedRules(
    version="2.5",
    structures={
        FeedEvent.ADMIT: "ADT_A01",
        FeedEvent.REGISTER: "ADT_A01",
        FeedEvent.PRE_ADMIT: "ADT_A05",
        FeedEvent.UPDATE: "ADT_A01",
        FeedEvent.ADD_PERSON: "ADT_A05",
        FeedEvent.UPDATE_PERSON: "ADT_A05",
        FeedEvent.MERGE: "ADT_A39",
        FeedEvent.CHANGE_IDS: "ADT_A30",
    },
    names_event=False,
    patient_class="N",  # ITI TF-2 3.30.4.1.2: the pseudo PV1 of a person without a visit
)


def decode_request(data: bytes, site: Site = NO_SITE) -> Decoded[PatientFeedRequest]:
    """Read an identity management message; see `read_feed`."""
    return read_feed(data, RULES, site)


def encode_request(request: PatientFeedRequest, out: Hl7Out, site: Site = NO_SITE) -> bytes:
    """Write an identity management message; see `write_feed`."""
    return write_feed(request, out, RULES, site)
