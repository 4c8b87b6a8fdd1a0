"""ITI-44's messages: what feed and notification share, and an accept acknowledgement.

Source: ITI TF-2 3.44.4.
"""

from profiles.wire.hl7v3.ack import ACCEPTED, Acknowledgement
from profiles.wire.hl7v3.feed import PatientRecordRequest, RecordEvent

__all__ = ["ACCEPTED", "Acknowledgement", "PatientRecordRequest", "RecordEvent"]
