"""What is audited of ITI-39: as ITI-43, under its own type.

Source: ITI TF-2 3.39.5.
"""

from dataclasses import replace

from profiles.model.audit import AuditRecord
from profiles.model.content import Poured
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.xca.iti39.messages import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse
from profiles.xds.iti43 import ITI_43

CODE = transaction_code("ITI-39", "Cross Gateway Retrieve")


def audit(
    side: Side,
    request: RetrieveDocumentSetRequest | None,
    response: Poured[RetrieveDocumentSetResponse] | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    return tuple(replace(each, types=(CODE,)) for each in ITI_43.audit(side, request, response, facts))
