"""What is audited of ITI-61: Export at the source, Import at the registry; the patient and the submission set.

Source: ITI TF-2 3.61.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.ebxml.audited import audit_submission
from profiles.xds.iti61.messages import RegisterOnDemandRequest, RegistryResponse

CODE = transaction_code("ITI-61", "Register On-Demand Document Entry")


def audit(
    side: Side, request: RegisterOnDemandRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient: the submission set's, or those of the facts when there is none to read."""
    return audit_submission(
        CODE,
        side,
        None if request is None else request.submission,
        None if response is None else (response.status, response.errors),
        facts,
    )
