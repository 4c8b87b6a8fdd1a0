"""What is audited of a search: Query, with path and parameters as they were asked.

Source: DICOM PS3.15 A.5.3.10 (Query); RAD TF-2 4.129.
"""

from profiles.model.audit import Action, AuditRecord
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Facts, Side
from profiles.wia.rad129.messages import SearchRequest, SearchResponse
from profiles.wire.audit.participants import (
    QUERY,
    destination,
    dicom_query_object,
    for_each_patient,
    initiator,
    record,
    responder,
    source,
    transaction_code,
)

CODE = transaction_code("RAD-129", "QIDO-RS Query")


def audit(
    side: Side, request: SearchRequest | None, response: SearchResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record for each patient that the search was about or found; one without a patient when it found nobody."""
    patients: tuple[PatientIdentifier, ...] = facts.patients
    if response is not None:
        patients = (*patients, *(each for row in response.rows for each in row.study.patient.identifiers[:1]))
    asked = dicom_query_object(facts.query or b"")
    return tuple(
        record(
            QUERY,
            Action.EXECUTE,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=(*patient, asked),
            transaction=CODE,
        )
        for patient in for_each_patient(patients)
    )
