"""Register On-Demand Document Entry, in model terms: metadata there, a registry response back."""

from dataclasses import dataclass

from profiles.model.document import Submission
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOnDemandRequest:
    """A submission whose entries have neither creationTime nor hash nor size: there are no bytes yet."""

    submission: Submission


__all__ = ["RegisterOnDemandRequest", "RegistryError", "RegistryResponse", "ResponseStatus"]
