"""What is audited of ITI-55: a Query on both sides, the question as it was asked, one record for each who was found.

Source: ITI TF-2 3.55.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.hl7v3.audited import query_records
from profiles.wire.hl7v3.candidates import question_text
from profiles.xcpd.iti55.messages import Acknowledgement, DiscoveryRequest, DiscoveryResponse

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
