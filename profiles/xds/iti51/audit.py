"""What is audited of ITI-51: as ITI-18, under its own type; one record for each patient that is named, or was found.

Source: ITI TF-2 3.51.5.1.
"""

from dataclasses import replace

from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import transaction_code
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti51.messages import StoredQueryRequest, StoredQueryResponse

CODE = transaction_code("ITI-51", "Multi-Patient Stored Query")


def audit(
    side: Side, request: StoredQueryRequest | None, response: StoredQueryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    return tuple(
        replace(
            each,
            types=(CODE,),
            objects=tuple(replace(one, id_type=CODE) if one.query is not None else one for one in each.objects),
        )
        for each in ITI_18.audit(side, request, response, facts)
    )
