"""Registrations: documents that we keep, and whose entries are in a registry elsewhere.

What a newcomer gets wrong: a registry that did not answer may have taken what it was sent. So a submission is remembered
before it is sent, and from then on its documents can be fetched; it is forgotten when the registry has said no.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from profiles.model.identifiers import PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A submission to a registry elsewhere, whose documents are here.

    `documents` are their uniqueIds, 0..n; `digest` is of them and their hashes. `taken`: the registry has said so, and
    whoever submitted was told; until then no answer came.
    """

    set_unique_id: str
    peer: str  # whose registry
    at: datetime
    patient_id: PatientIdentifier
    documents: tuple[str, ...]
    digest: str
    taken: bool = False


class Registrations(Protocol):
    """One for each submission set; part of the unit of work."""

    async def keep(self, registration: Registration) -> None:
        """Put it in the place of what was known of this submission set."""
        ...

    async def get(self, set_unique_id: str) -> Registration | None:
        """By the uniqueId of its submission set. None: there was none, or its registry refused it."""
        ...

    async def of_document(self, unique_id: str) -> Sequence[PatientIdentifier]:
        """Whose the document is, once for each submission that has it; none: no registry elsewhere may know it."""
        ...

    async def drop(self, set_unique_id: str) -> None:
        """Forget a submission. Unknown ids are nobody's."""
        ...

    async def without(self, document_unique_id: str) -> None:
        """The document is not kept any more: no submission has it."""
        ...
