"""ITI-20 as a value. It is one-way and audits nothing of itself: it *is* the audit."""

from profiles.model.audit import AuditRecord
from profiles.transaction import Actor, Facts, Side, Transaction


def _audit(side: Side, request: AuditRecord | None, response: None, facts: Facts) -> tuple[AuditRecord, ...]:
    return ()


ITI_20: Transaction[AuditRecord, None] = Transaction(
    id="ITI-20",
    name="Record Audit Event",
    section="ITI TF-2 3.20",
    initiator=Actor.SECURE_NODE,
    responder=Actor.AUDIT_RECORD_REPOSITORY,
    audit=_audit,
)
