"""Retrieve Document Set, in model terms: which documents; then how it went, and the documents by a pour."""

from dataclasses import dataclass

from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest, RetrievedDocument, RetrieveDocumentSetResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveDocumentSetRequest:
    """1..n documents."""

    documents: tuple[DocumentRequest, ...]


__all__ = [
    "DocumentRequest",
    "RegistryError",
    "ResponseStatus",
    "RetrieveDocumentSetRequest",
    "RetrieveDocumentSetResponse",
    "RetrievedDocument",
]
