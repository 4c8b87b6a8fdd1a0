"""The audit record of the search: a question, about nobody."""

from profiles.ehr.interaction import search_records
from profiles.ehr.search_endpoints.messages import SearchEndpointsRequest, SearchEndpointsResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side, request: SearchEndpointsRequest | None, response: SearchEndpointsResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record without a patient."""
    return search_records(side, facts, "Endpoint", ())
