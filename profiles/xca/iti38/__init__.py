"""ITI-38 Cross Gateway Query: a gateway asks another community what there is.

Source: ITI TF-2 3.38.
"""

from profiles.xca.iti38.messages import StoredQueryRequest, StoredQueryResponse, names_a_patient
from profiles.xca.iti38.spec import ITI_38

__all__ = ["ITI_38", "StoredQueryRequest", "StoredQueryResponse", "names_a_patient"]
