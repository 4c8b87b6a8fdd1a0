"""What is audited of RAD-68: Export at the imaging source, Import at the repository; the patient and the submission set.

Source: RAD TF-2 4.68.5; ITI TF-2 3.41.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.ebxml.audited import audit_submission
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest
from profiles.wire.ebxml.response import RegistryResponse

CODE = transaction_code("RAD-68", "Provide and Register Imaging Document Set")


def audit(
    side: Side, request: ProvideAndRegisterRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient: the submission set's, or those of the facts when there is none to read."""
    return audit_submission(
        CODE,
        side,
        None if request is None else request.submission,
        None if response is None else (response.status, response.errors),
        facts,
    )
