"""ITI-44 Patient Identity Feed HL7 V3: a patient record was added, revised or merged. Source: ITI TF-2 3.44."""

from profiles.pixv3.iti44.messages import ACCEPTED, Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti44.spec import BY_EVENT, ITI_44

__all__ = ["ACCEPTED", "BY_EVENT", "ITI_44", "Acknowledgement", "PatientRecordRequest", "RecordEvent"]
