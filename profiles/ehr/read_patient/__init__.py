"""Read a patient: the one that ImagingStudy.subject refers to."""

from profiles.ehr.read_patient.messages import ReadPatientRequest, ReadPatientResponse
from profiles.ehr.read_patient.spec import READ_PATIENT

__all__ = ["READ_PATIENT", "ReadPatientRequest", "ReadPatientResponse"]
