"""ITI-41 Provide and Register Document Set-b: a source hands documents and their metadata to a repository.

Source: ITI TF-2 3.41.
"""

from profiles.xds.iti41.messages import (
    ProvideAndRegisterRequest,
    RegistryError,
    RegistryResponse,
    ResponseStatus,
    is_imaging,
    is_manifest,
)
from profiles.xds.iti41.spec import ITI_41

__all__ = [
    "ITI_41",
    "ProvideAndRegisterRequest",
    "RegistryError",
    "RegistryResponse",
    "ResponseStatus",
    "is_imaging",
    "is_manifest",
]
