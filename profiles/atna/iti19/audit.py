"""What is audited of node authentication: only that it failed, on both sides.

Source: ITI TF-2 3.19.6.5; DICOM PS3.15 A.5.3.11 (Security Alert).
"""

from datetime import datetime

from profiles.model.audit import Action, AuditRecord, Outcome
from profiles.transaction import Facts, Party
from profiles.wire.audit.participants import NODE_AUTHENTICATION, SECURITY_ALERT, alert_object, record, system


def node_authentication_failed(
    *, at: datetime, source_id: str, local: Party, remote: Party, reason: str, enterprise_site_id: str = ""
) -> tuple[AuditRecord, ...]:
    """We did not believe who somebody is, or they did not believe us; nothing was exchanged.

    Args:
        at: When.
        source_id: Who audits.
        local: Us: who reports.
        remote: The other node, as far as it is known.
        reason: For a person; no patient data. What the other claimed to be belongs here, for it is not believed.
    """
    return (
        record(
            SECURITY_ALERT,
            Action.EXECUTE,
            Facts(at=at, source_id=source_id, enterprise_site_id=enterprise_site_id, local=local, remote=remote),
            transaction=NODE_AUTHENTICATION,
            participants=(system(local, requestor=True), system(remote, requestor=False)),
            objects=(alert_object(remote.network_address or remote.user_id or "unknown", reason),),
            outcome=Outcome.MINOR_FAILURE,  # the mitigation, to refuse, was effective
            description=reason,
        ),
    )
