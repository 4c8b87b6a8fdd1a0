"""RAD-69 Retrieve Imaging Document Set: a consumer fetches a manifest's instances from an imaging source.

Source: RAD TF-2 4.69.
"""

from profiles.xdsi.rad69.messages import (
    DocumentRequest,
    LocatedRequest,
    RegistryError,
    RequestedInstance,
    ResponseStatus,
    RetrievedDocument,
    RetrieveDocumentSetResponse,
    RetrieveImagingDocumentSetRequest,
    SeriesRequest,
    StudyRequest,
    of_instances,
    to_retrieve_requests,
    unlocated,
)
from profiles.xdsi.rad69.spec import RAD_69

__all__ = [
    "RAD_69",
    "DocumentRequest",
    "LocatedRequest",
    "RegistryError",
    "RequestedInstance",
    "ResponseStatus",
    "RetrieveDocumentSetResponse",
    "RetrieveImagingDocumentSetRequest",
    "RetrievedDocument",
    "SeriesRequest",
    "StudyRequest",
    "of_instances",
    "to_retrieve_requests",
    "unlocated",
]
