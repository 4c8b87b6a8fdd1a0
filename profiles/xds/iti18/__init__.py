"""ITI-18 Registry Stored Query: a consumer asks a registry what there is.

There is no `checks.py`: what a query must say is its table of parameters, and reading it is checking it.

Source: ITI TF-2 3.18.
"""

from profiles.xds.iti18.messages import (
    FolderCriteria,
    ObjectRef,
    RegistryError,
    ResponseStatus,
    ReturnType,
    StoredQuery,
    StoredQueryRequest,
    StoredQueryResponse,
    SubmissionSetCriteria,
)
from profiles.xds.iti18.spec import ITI_18

__all__ = [
    "ITI_18",
    "FolderCriteria",
    "ObjectRef",
    "RegistryError",
    "ResponseStatus",
    "ReturnType",
    "StoredQuery",
    "StoredQueryRequest",
    "StoredQueryResponse",
    "SubmissionSetCriteria",
]
