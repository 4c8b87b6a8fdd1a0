"""ITI-39 Cross Gateway Retrieve: a gateway fetches documents of another community.

Source: ITI TF-2 3.39.
"""

from profiles.xca.iti39.messages import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse
from profiles.xca.iti39.spec import ITI_39

__all__ = ["ITI_39", "RetrieveDocumentSetRequest", "RetrieveDocumentSetResponse"]
