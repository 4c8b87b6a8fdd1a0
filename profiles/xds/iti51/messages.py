"""Multi-Patient Stored Query, in model terms: the question and the answer of ITI-18."""

from profiles.xds.iti18 import StoredQueryRequest, StoredQueryResponse

__all__ = ["StoredQueryRequest", "StoredQueryResponse"]
