"""ITI-46 PIXV3 Update Notification: the ids of a patient have changed. Source: ITI TF-2 3.46."""

from profiles.pixv3.iti46.messages import ACCEPTED, Acknowledgement, PatientRecordRequest, RecordEvent, notification
from profiles.pixv3.iti46.spec import ITI_46

__all__ = ["ACCEPTED", "ITI_46", "Acknowledgement", "PatientRecordRequest", "RecordEvent", "notification"]
