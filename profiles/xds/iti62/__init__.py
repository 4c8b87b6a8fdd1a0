"""ITI-62 Remove Metadata: an administrator has registry objects removed.

Source: ITI TF-2 3.62 (Remove Metadata and Documents).
"""

from profiles.xds.iti62.messages import RegistryError, RegistryResponse, RemoveMetadataRequest, ResponseStatus
from profiles.xds.iti62.spec import ITI_62

__all__ = ["ITI_62", "RegistryError", "RegistryResponse", "RemoveMetadataRequest", "ResponseStatus"]
