"""Retrieve of metadata, in model terms."""

from dataclasses import dataclass

from profiles.model.identifiers import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveMetadataRequest:
    """Of what: the study, or of it a series, or of that an instance. `xml`: in the native XML model."""

    study_instance_uid: Uid
    series_instance_uid: Uid | None = None
    sop_instance_uid: Uid | None = None
    xml: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveMetadataResponse:
    """1..n instances as DICOM JSON objects, in the order in which they are shown."""

    objects: tuple[bytes, ...]
