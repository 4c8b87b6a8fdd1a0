"""ITI-30's messages: what ITI-8 and ITI-30 share.

Source: ITI TF-2 3.30.4.
"""

from profiles.wire.hl7v2.ack import ACCEPTED, Acknowledgement
from profiles.wire.hl7v2.adt import FeedEvent, PatientFeedRequest

__all__ = ["ACCEPTED", "Acknowledgement", "FeedEvent", "PatientFeedRequest"]
