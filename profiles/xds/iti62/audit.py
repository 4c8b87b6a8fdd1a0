"""What is audited of ITI-62: a Patient Record deleted, on both sides; the patient and each object by its entryUUID.

Source: ITI TF-2 3.62.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import metadata_object, transaction_code
from profiles.wire.ebxml.audited import audit_removal
from profiles.xds.iti62.messages import RegistryResponse, RemoveMetadataRequest

CODE = transaction_code("ITI-62", "Remove Metadata")


def audit(
    side: Side, request: RemoveMetadataRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient whose objects they were, as far as that is known."""
    return audit_removal(
        CODE,
        side,
        () if request is None else tuple(map(metadata_object, dict.fromkeys(request.entry_uuids))),
        None if response is None else (response.status, response.errors),
        facts,
    )
