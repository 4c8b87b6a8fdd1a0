"""ITI-8 on the wire: ADT of HL7 2.3.1.

Source: ITI TF-2 3.8.4.1.2 (A01, A04, A05, A08), 3.8.4.2.2 (A40).
"""

from profiles.findings import Decoded
from profiles.pix.iti8.messages import FeedEvent, PatientFeedRequest
from profiles.wire.hl7v2.address import Hl7Out
from profiles.wire.hl7v2.adt import FeedRules, read_feed, write_feed
from profiles.wire.hl7v2.datatypes import NO_SITE, Site

RULES = FeedRules(
    version="2.3.1",
    structures={
        FeedEvent.ADMIT: "ADT_A01",
        FeedEvent.REGISTER: "ADT_A01",
        FeedEvent.PRE_ADMIT: "ADT_A01",
        FeedEvent.UPDATE: "ADT_A01",
        # Spec ambiguity: ITI-8 names no A28 and A31; interface engines send them by 2.3.1 all the same. Read, never sent.
        FeedEvent.ADD_PERSON: "ADT_A05",
        FeedEvent.UPDATE_PERSON: "ADT_A05",
        FeedEvent.MERGE: "ADT_A39",
    },
    names_event=True,
    patient_class="O",
)


def decode_request(data: bytes, site: Site = NO_SITE) -> Decoded[PatientFeedRequest]:
    """Read a feed message; see `read_feed`."""
    return read_feed(data, RULES, site)


def encode_request(request: PatientFeedRequest, out: Hl7Out, site: Site = NO_SITE) -> bytes:
    """Write a feed message; see `write_feed`."""
    return write_feed(request, out, RULES, site)
