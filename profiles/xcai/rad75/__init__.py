"""RAD-75 Cross Gateway Retrieve Imaging Document Set: a gateway fetches instances of another community.

Source: RAD TF-2 4.75.
"""

from profiles.xcai.rad75.messages import RetrieveDocumentSetResponse, RetrieveImagingDocumentSetRequest
from profiles.xcai.rad75.spec import RAD_75

__all__ = ["RAD_75", "RetrieveDocumentSetResponse", "RetrieveImagingDocumentSetRequest"]
