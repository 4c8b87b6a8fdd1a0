"""ITI-43 Retrieve Document Set: a consumer fetches documents from a repository.

Source: ITI TF-2 3.43.
"""

from profiles.xds.iti43.messages import (
    DocumentRequest,
    RegistryError,
    ResponseStatus,
    RetrievedDocument,
    RetrieveDocumentSetRequest,
    RetrieveDocumentSetResponse,
)
from profiles.xds.iti43.spec import ITI_43

__all__ = [
    "ITI_43",
    "DocumentRequest",
    "RegistryError",
    "ResponseStatus",
    "RetrieveDocumentSetRequest",
    "RetrieveDocumentSetResponse",
    "RetrievedDocument",
]
