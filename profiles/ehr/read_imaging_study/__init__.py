"""Read an imaging study: its id is the Study Instance UID."""

from profiles.ehr.read_imaging_study.messages import ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.ehr.read_imaging_study.spec import READ_IMAGING_STUDY

__all__ = ["READ_IMAGING_STUDY", "ReadImagingStudyRequest", "ReadImagingStudyResponse"]
