"""What is audited of ITI-38: as ITI-18, under its own type. The query's id type stays that of ITI-18.

Source: ITI TF-2 3.38.5.
"""

from dataclasses import replace

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.xca.iti38.messages import StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti18 import ITI_18

CODE = transaction_code("ITI-38", "Cross Gateway Query")


def audit(
    side: Side, request: StoredQueryRequest | None, response: StoredQueryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    return tuple(replace(each, types=(CODE,)) for each in ITI_18.audit(side, request, response, facts))
