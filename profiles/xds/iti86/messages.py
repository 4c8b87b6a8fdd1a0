"""Remove Documents, in model terms: documents by name there, a registry response back."""

from dataclasses import dataclass

from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDocumentsRequest:
    """Documents that are to go: 1..n."""

    documents: tuple[DocumentRequest, ...]


__all__ = ["DocumentRequest", "RegistryError", "RegistryResponse", "RemoveDocumentsRequest", "ResponseStatus"]
