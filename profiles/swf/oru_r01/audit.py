"""The audit record of an announcement: a Procedure Record with the study and the patient.

No IHE transaction number covers it, so it has no EventTypeCode of IHE's.

Source: DICOM PS3.15 A.5.3 (Procedure Record); RAD TF-3 5.1.
"""

from profiles.model.audit import Action, AuditRecord
from profiles.swf.oru_r01.messages import Acknowledgement, StudyAvailable
from profiles.transaction import Facts, Side, StudyFact
from profiles.wire.audit.participants import (
    PROCEDURE_RECORD,
    destination,
    initiator,
    patient_object,
    record,
    responder,
    source,
    study_object,
)
from profiles.wire.hl7v2.feed_audit import receiver, sender


def audit(
    side: Side, request: StudyAvailable | None, response: Acknowledgement | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record, created at the receiver: the sender is the requestor on both sides."""
    address = request.address if request is not None else None
    studies = facts.studies or (_fact(request),) if request is not None else facts.studies
    named = request.study.patient.identifiers if request is not None else ()
    patient = next(iter((*facts.patients, *named)), None)
    return (
        record(
            PROCEDURE_RECORD,
            Action.CREATE,
            facts,
            participants=(
                source(sender(initiator(side, facts), address), requestor=True),
                destination(receiver(responder(side, facts), address), requestor=False),
            ),
            objects=(
                *(
                    (patient_object(patient, message_control_id=request.control_id if request is not None else ""),)
                    if patient is not None
                    else ()
                ),
                *map(study_object, studies),
            ),
        ),
    )


def _fact(request: StudyAvailable) -> StudyFact:
    study = request.study
    return StudyFact(
        study_instance_uid=study.study_instance_uid,
        accession_numbers=tuple(number.value for number in study.accession_numbers),
    )
