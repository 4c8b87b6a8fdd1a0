"""ITI-19 as a value: it is played by TLS itself, so there is nothing to encode."""

from profiles.atna.iti19.audit import node_authentication_failed
from profiles.model.audit import AuditRecord
from profiles.transaction import Actor, Facts, Side, Transaction


def _audit(side: Side, request: None, response: None, facts: Facts) -> tuple[AuditRecord, ...]:
    """Nothing of a success; a failure is one security alert on each side."""
    if facts.error is None:
        return ()
    return node_authentication_failed(
        at=facts.at,
        source_id=facts.source_id,
        enterprise_site_id=facts.enterprise_site_id,
        local=facts.local,
        remote=facts.remote,
        reason=facts.error.detail,
    )


ITI_19: Transaction[None, None] = Transaction(
    id="ITI-19",
    name="Authenticate Node",
    section="ITI TF-2 3.19",
    initiator=Actor.SECURE_NODE,
    responder=Actor.SECURE_NODE,
    audit=_audit,
)
