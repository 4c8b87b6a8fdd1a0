"""ITI-30 Patient Identity Management (HL7 2.5 and later). Source: ITI TF-2 3.30."""

from profiles.pix.iti30.messages import ACCEPTED, Acknowledgement, FeedEvent, PatientFeedRequest
from profiles.pix.iti30.spec import ITI_30, iti_30

__all__ = ["ACCEPTED", "ITI_30", "Acknowledgement", "FeedEvent", "PatientFeedRequest", "iti_30"]
