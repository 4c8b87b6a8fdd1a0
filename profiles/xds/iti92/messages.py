"""Restricted Update Document Set, in model terms: new versions of entries there, a registry response back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from profiles.model.document import DocumentEntry, Submission
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictedUpdateRequest:
    """A submission set with new versions of entries."""

    submission: Submission


FIXED: Mapping[str, Callable[[DocumentEntry], object]] = {
    "patientId": lambda entry: entry.patient_id,
    "sourcePatientId": lambda entry: entry.source_patient_id,
    "sourcePatientInfo": lambda entry: entry.source_patient,
    "creationTime": lambda entry: entry.creation_time,
    "mimeType": lambda entry: entry.mime_type,
    "hash": lambda entry: entry.hash,
    "size": lambda entry: entry.size_bytes,
    "repositoryUniqueId": lambda entry: entry.repository_unique_id,
    "homeCommunityId": lambda entry: entry.home_community_id,
}
"""What stays as it is: whose the document is, which bytes it is, and where. The supplement leaves more to local policy."""

__all__ = ["FIXED", "RegistryError", "RegistryResponse", "ResponseStatus", "RestrictedUpdateRequest"]
