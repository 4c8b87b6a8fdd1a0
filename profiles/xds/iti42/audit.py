"""What is audited of ITI-42: Export at the repository, Import at the registry; the patient and the submission set.

Source: ITI TF-2 3.42.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.ebxml.audited import audit_submission
from profiles.xds.iti42.messages import RegisterRequest, RegistryResponse

CODE = transaction_code("ITI-42", "Register Document Set-b")


def audit(
    side: Side, request: RegisterRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient: the submission set's, or those of the facts when there is none to read."""
    return audit_submission(
        CODE,
        side,
        None if request is None else request.submission,
        None if response is None else (response.status, response.errors),
        facts,
    )
