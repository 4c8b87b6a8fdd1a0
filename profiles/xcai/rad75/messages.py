"""Cross Gateway Retrieve Imaging Document Set, in model terms: the messages of RAD-69, each instance with its home."""

from profiles.xdsi.rad69 import RetrieveDocumentSetResponse, RetrieveImagingDocumentSetRequest

__all__ = ["RetrieveDocumentSetResponse", "RetrieveImagingDocumentSetRequest"]
