"""What is audited of ITI-92: as of ITI-57.

Source: ITI TF-2 3.92.5.1.
"""

from profiles.model.audit import Action, AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.wire.ebxml.audited import audit_submission
from profiles.xds.iti92.messages import RegistryResponse, RestrictedUpdateRequest

CODE = transaction_code("ITI-92", "Restricted Update Document Set")


def audit(
    side: Side, request: RestrictedUpdateRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient: the submission set's, or those of the facts when there is none to read."""
    return audit_submission(
        CODE,
        side,
        None if request is None else request.submission,
        None if response is None else (response.status, response.errors),
        facts,
        taken=Action.UPDATE,
    )
