"""ITI-30's audit records.

Source: the Framework has no table for ITI-30; after ITI TF-2 3.8.5.1, under the transaction's own code.
"""

from profiles.model.audit import AuditRecord
from profiles.pix.iti30.messages import Acknowledgement, PatientFeedRequest
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v2.feed_audit import feed_records

CODE = transaction_code("ITI-30", "Patient Identity Management")


def audit(
    side: Side, request: PatientFeedRequest | None, response: Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One Patient Record; a merge is two (the subsumed id deleted, the surviving one updated)."""
    return feed_records(CODE, side, request, facts)
