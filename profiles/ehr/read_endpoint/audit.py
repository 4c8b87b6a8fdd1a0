"""The audit record of the read: a question, about nobody."""

from profiles.ehr.interaction import search_records
from profiles.ehr.read_endpoint.messages import ReadEndpointRequest, ReadEndpointResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side, request: ReadEndpointRequest | None, response: ReadEndpointResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record without a patient: an address was asked for. No event of the standards is nearer than Query."""
    return search_records(side, facts, "Endpoint", ())
