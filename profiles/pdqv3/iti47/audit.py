"""What is audited of ITI-47: a Query on both sides, the question as it was asked, one record for each who was found.

A continuation is the same query going on: its question is its own message's id of the query, and no parameters.

Source: ITI TF-2 3.47.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.pdqv3.iti47.messages import Acknowledgement, CandidatesQuery, CandidatesResponse, Continuation
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v3.audited import query_records
from profiles.wire.hl7v3.candidates import question_text

CODE = transaction_code("ITI-47", "Patient Demographics Query")


def audit(
    side: Side, request: CandidatesQuery | None, response: CandidatesResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient of the answer; one where nobody was found."""
    return query_records(
        CODE,
        side,
        facts,
        query_id="" if request is None else str(request.question.id),
        question="" if request is None else question_text(request),
        patients=() if response is None else tuple(each.patient.identifiers[0] for each in response.candidates),
        acknowledgement=None if response is None else response.acknowledgement,
    )


def audit_continuation(
    side: Side, request: Continuation | None, response: CandidatesResponse | Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """The same of a continuation, and one record of a cancellation."""
    found = response if isinstance(response, CandidatesResponse) else None
    return query_records(
        CODE,
        side,
        facts,
        query_id="" if request is None else str(request.query_id),
        question="" if found is None else found.question.text,
        patients=() if found is None else tuple(each.patient.identifiers[0] for each in found.candidates),
        acknowledgement=response.acknowledgement if isinstance(response, CandidatesResponse) else response,
    )
