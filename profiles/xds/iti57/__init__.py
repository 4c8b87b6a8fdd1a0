"""ITI-57 Update Document Set: an administrator changes metadata that is registered.

Source: ITI TF-2 3.57 (XDS Metadata Update).
"""

from profiles.xds.iti57.messages import RegistryError, RegistryResponse, ResponseStatus, UpdateRequest
from profiles.xds.iti57.spec import ITI_57

__all__ = ["ITI_57", "RegistryError", "RegistryResponse", "ResponseStatus", "UpdateRequest"]
