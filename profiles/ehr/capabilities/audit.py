"""What is audited of it: nothing."""

from profiles.ehr.capabilities.messages import CapabilitiesRequest, CapabilitiesResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side, request: CapabilitiesRequest | None, response: CapabilitiesResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """No record: nobody's data is touched, anybody may ask, and monitors ask every few seconds."""
    return ()
