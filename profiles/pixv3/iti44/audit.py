"""ITI-44's audit records: as ITI-8's, with the id of the message in the place of MSH-10.

Source: ITI TF-2 3.44.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.pixv3.iti44.messages import Acknowledgement, PatientRecordRequest
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v3.audited import record_records

CODE = transaction_code("ITI-44", "Patient Identity Feed HL7 V3")


def audit(
    side: Side, request: PatientRecordRequest | None, response: Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One Patient Record; a merge is two (the subsumed id deleted, the surviving one updated)."""
    return record_records(CODE, side, request, response, facts)
