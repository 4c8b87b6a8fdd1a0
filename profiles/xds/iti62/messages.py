"""Remove Metadata, in model terms: ids there, a registry response back."""

from dataclasses import dataclass

from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMetadataRequest:
    """Objects by entryUUID: all that is to go, and so everything that refers to it."""

    entry_uuids: tuple[str, ...]


__all__ = ["RegistryError", "RegistryResponse", "RemoveMetadataRequest", "ResponseStatus"]
