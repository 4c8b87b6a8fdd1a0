"""ITI-51 Multi-Patient Stored Query: a consumer asks a registry what several patients, or all, have.

On the wire it is ITI-18 with queries of its own.

Source: ITI TF-2 3.51 (Multi-Patient Queries).
"""

from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.xds.iti51.messages import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti51.spec import ITI_51

__all__ = ["ITI_51", "MultiPatientQuery", "StoredQueryRequest", "StoredQueryResponse"]
