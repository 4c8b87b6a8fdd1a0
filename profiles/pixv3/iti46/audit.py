"""What is audited of ITI-46: a Patient Record that the manager reads out and the consumer updates; every id of the patient.

Source: ITI TF-2 3.46.5.1.
"""

from profiles.model.audit import Action, AuditRecord
from profiles.pixv3.iti46.messages import Acknowledgement, PatientRecordRequest
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import (
    PATIENT_RECORD,
    destination,
    initiator,
    patient_object,
    record,
    responder,
    source,
    transaction_code,
)
from profiles.wire.hl7v3.audited import outcome_of_answer

CODE = transaction_code("ITI-46", "PIXV3 Update Notification")


def audit(
    side: Side, request: PatientRecordRequest | None, response: Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record: they are ids of one patient."""
    identifiers = request.patient.identifiers if request is not None else facts.patients
    message_id = "" if request is None else str(request.transmission.id)
    outcome, description = outcome_of_answer(response, facts)
    return (
        record(
            PATIENT_RECORD,
            Action.READ if side is Side.INITIATOR else Action.UPDATE,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=tuple(patient_object(each, message_id=message_id) for each in identifiers),
            transaction=CODE,
            outcome=outcome,
            description=description,
        ),
    )
