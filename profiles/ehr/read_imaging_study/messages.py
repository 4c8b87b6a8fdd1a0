"""A study by its UID."""

from dataclasses import dataclass

from profiles.wire.fhir.endpoint import Endpoint
from profiles.wire.fhir.imaging_study import IndexedStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImagingStudyRequest:
    """Which study. `instances`: whether the answer will list them."""

    study_instance_uid: str
    instances: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImagingStudyResponse:
    """The study as the index has it; `endpoints` are all of the house."""

    study: IndexedStudy
    endpoints: tuple[Endpoint, ...] = ()
