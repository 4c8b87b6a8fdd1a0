"""What is audited of ITI-45: a Query on both sides; the patient, and the question as it was asked.

Source: ITI TF-2 3.45.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.pixv3.iti45.codec import question_text
from profiles.pixv3.iti45.messages import IdentifiersQuery, IdentifiersResponse
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v3.audited import query_records

CODE = transaction_code("ITI-45", "PIXV3 Query")


def audit(
    side: Side, request: IdentifiersQuery | None, response: IdentifiersResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record: the patient who was asked about."""
    return query_records(
        CODE,
        side,
        facts,
        query_id="" if request is None else str(request.question.id),
        question="" if request is None else question_text(request),
        patients=() if request is None else (request.identifier,),
        acknowledgement=None if response is None else response.acknowledgement,
    )
