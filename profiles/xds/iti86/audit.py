"""What is audited of ITI-86: a Patient Record deleted, on both sides; the patient and each document.

Source: ITI TF-2 3.86.5.1.
"""

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import document_object, transaction_code
from profiles.wire.ebxml.audited import audit_removal
from profiles.xds.iti86.messages import RegistryResponse, RemoveDocumentsRequest

CODE = transaction_code("ITI-86", "Remove Documents")


def audit(
    side: Side, request: RemoveDocumentsRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient whose documents they were, as far as that is known."""
    named = () if request is None else request.documents
    return audit_removal(
        CODE,
        side,
        tuple(
            document_object(each.document_unique_id, each.repository_unique_id, each.home_community_id)
            for each in named
        ),
        None if response is None else (response.status, response.errors),
        facts,
    )
