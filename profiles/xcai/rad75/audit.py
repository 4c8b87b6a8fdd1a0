"""What is audited of RAD-75: as RAD-69, under its own type.

Source: RAD TF-2 4.75.
"""

from dataclasses import replace

from profiles.model.audit import AuditRecord
from profiles.model.content import Poured
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.xcai.rad75.messages import RetrieveDocumentSetResponse, RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69

CODE = transaction_code("RAD-75", "Cross Gateway Retrieve Imaging Document Set")


def audit(
    side: Side,
    request: RetrieveImagingDocumentSetRequest | None,
    response: Poured[RetrieveDocumentSetResponse] | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    return tuple(replace(each, types=(CODE,)) for each in RAD_69.audit(side, request, response, facts))
