"""Provide and Register Document Set-b, in model terms: metadata with documents there, a registry response back."""

from profiles.wire.ebxml.provide import ProvideAndRegisterRequest, is_imaging, is_manifest
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus

__all__ = [
    "ProvideAndRegisterRequest",
    "RegistryError",
    "RegistryResponse",
    "ResponseStatus",
    "is_imaging",
    "is_manifest",
]
