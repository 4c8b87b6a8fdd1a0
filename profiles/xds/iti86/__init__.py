"""ITI-86 Remove Documents: an administrator has documents removed from a repository.

Source: ITI TF-2 3.86 (Remove Metadata and Documents).
"""

from profiles.xds.iti86.messages import (
    DocumentRequest,
    RegistryError,
    RegistryResponse,
    RemoveDocumentsRequest,
    ResponseStatus,
)
from profiles.xds.iti86.spec import ITI_86

__all__ = [
    "ITI_86",
    "DocumentRequest",
    "RegistryError",
    "RegistryResponse",
    "RemoveDocumentsRequest",
    "ResponseStatus",
]
