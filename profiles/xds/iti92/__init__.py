"""ITI-92 Restricted Update Document Set: an update of some attributes of entries, and of nothing else.

Source: ITI TF-2 3.92 (Restricted Metadata Update).
"""

from profiles.xds.iti92.messages import (
    FIXED,
    RegistryError,
    RegistryResponse,
    ResponseStatus,
    RestrictedUpdateRequest,
)
from profiles.xds.iti92.spec import ITI_92

__all__ = ["FIXED", "ITI_92", "RegistryError", "RegistryResponse", "ResponseStatus", "RestrictedUpdateRequest"]
