"""ITI-8 Patient Identity Feed (HL7 2.3.1): a patient was registered, changed or merged. Source: ITI TF-2 3.8."""

from profiles.pix.iti8.messages import ACCEPTED, Acknowledgement, FeedEvent, PatientFeedRequest
from profiles.pix.iti8.spec import ITI_8, iti_8

__all__ = ["ACCEPTED", "ITI_8", "Acknowledgement", "FeedEvent", "PatientFeedRequest", "iti_8"]
