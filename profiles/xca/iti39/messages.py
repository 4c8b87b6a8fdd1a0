"""Cross Gateway Retrieve, in model terms: the request and the answer of ITI-43, each document with its home."""

from profiles.xds.iti43 import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse

__all__ = ["RetrieveDocumentSetRequest", "RetrieveDocumentSetResponse"]
