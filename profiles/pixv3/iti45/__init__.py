"""ITI-45 PIXV3 Query: by which ids a patient is known elsewhere. Source: ITI TF-2 3.45."""

from profiles.pixv3.iti45.messages import (
    ASKED_ID,
    IdentifiersQuery,
    IdentifiersResponse,
    QueryResponseCode,
    asked_domain,
)
from profiles.pixv3.iti45.spec import ITI_45

__all__ = ["ASKED_ID", "ITI_45", "IdentifiersQuery", "IdentifiersResponse", "QueryResponseCode", "asked_domain"]
