"""What is audited of ITI-43: Export at the repository, Import at the consumer; the patient and each document.

The repository is the source and the consumer the destination, and the consumer is the requestor. Documents that came and
documents that did not are two records.

Source: ITI TF-2 3.43.6.
"""

from profiles.model.audit import Action, AuditRecord
from profiles.model.content import Poured
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import (
    EXPORT,
    IMPORT,
    destination,
    document_object,
    for_each_patient,
    initiator,
    record,
    responder,
    source,
    transaction_code,
)
from profiles.wire.ebxml.audited import groups_of_retrieval
from profiles.xds.iti43.messages import RetrieveDocumentSetRequest, RetrieveDocumentSetResponse

CODE = transaction_code("ITI-43", "Retrieve Document Set")


def audit(
    side: Side,
    request: RetrieveDocumentSetRequest | None,
    response: Poured[RetrieveDocumentSetResponse] | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    named = {} if request is None else {each.document_unique_id: each for each in request.documents}
    head = None if response is None else response.head
    groups = groups_of_retrieval(
        facts,
        tuple(named),
        None if head is None else tuple(each.document_unique_id for each in head.documents),
        None if head is None else (head.status, head.errors),
    )
    return tuple(
        record(
            IMPORT if side is Side.INITIATOR else EXPORT,
            Action.CREATE if side is Side.INITIATOR else Action.READ,
            facts,
            participants=(
                source(responder(side, facts), requestor=False),
                destination(initiator(side, facts), requestor=True),
            ),
            objects=(
                *patient,
                *(
                    document_object(uid, named[uid].repository_unique_id, named[uid].home_community_id)
                    for uid in group.parts
                    if uid in named
                ),
            ),
            transaction=CODE,
            outcome=group.outcome,
            description=group.description,
        )
        for group in groups
        for patient in for_each_patient(facts.patients)
    )
