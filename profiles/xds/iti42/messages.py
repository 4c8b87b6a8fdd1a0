"""Register Document Set-b, in model terms: metadata there, a registry response back."""

from dataclasses import dataclass

from profiles.model.document import Submission
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """A submission whose documents are in a repository already."""

    submission: Submission


__all__ = ["RegisterRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
