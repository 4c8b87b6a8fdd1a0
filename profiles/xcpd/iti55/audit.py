"""What is audited of ITI-55: a Query on both sides, the question as it was asked, one record for each who was found.

Source: ITI TF-2 3.55.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v3.audited import query_records
from profiles.wire.hl7v3.candidates import question_text
from profiles.xcpd.iti55.messages import Acknowledgement, DeferredAnswer, DiscoveryRequest, DiscoveryResponse

CODE = transaction_code("ITI-55", "Cross Gateway Patient Discovery")


def audit(
    side: Side,
    request: DiscoveryRequest | None,
    response: DiscoveryResponse | Acknowledgement | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record per patient of the answer; one where nobody was found. The home is that of who asks."""
    found = response.answer.candidates if isinstance(response, DiscoveryResponse) else ()
    return query_records(
        CODE,
        side,
        facts,
        query_id="" if request is None else str(request.query.question.id),
        question="" if request is None else question_text(request.query),
        patients=tuple(each.patient.identifiers[0] for each in found),
        acknowledgement=response.acknowledgement if isinstance(response, DiscoveryResponse) else response,
        home=None if request is None else request.query.transmission.sender.organization,
    )


def audit_deferred_answer(
    side: Side, request: DeferredAnswer | None, response: Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """The same query, when its answer is brought: who brings it is who was asked."""
    answer = None if request is None else request.response.answer
    return query_records(
        CODE,
        Side.RESPONDER if side is Side.INITIATOR else Side.INITIATOR,
        facts,
        query_id="" if answer is None else str(answer.question.id),
        question="" if answer is None else answer.question.text,
        patients=() if answer is None else tuple(each.patient.identifiers[0] for each in answer.candidates),
        acknowledgement=response if answer is None or answer.acknowledgement.accepted else answer.acknowledgement,
    )
