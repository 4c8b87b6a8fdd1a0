"""The audit records that retrievals over DICOMweb share.

The server is the source of the instances and the client their destination; the client is the requestor. Instances that
went out are Instances Transferred, what a viewer was merely shown (metadata, pictures) is Instances Accessed.

Source: DICOM PS3.15 A.5.3.6 (DICOM Instances Accessed), A.5.3.7 (DICOM Instances Transferred); RAD TF-2 4.107.
"""

from collections.abc import Iterable, Iterator

from profiles.model.audit import Action, AuditCode, AuditRecord, ParticipantObject
from profiles.wire.audit.facts import Facts, Side, StudyFact
from profiles.wire.audit.participants import (
    INSTANCES_ACCESSED,
    INSTANCES_TRANSFERRED,
    destination,
    for_each_outcome,
    initiator,
    patient_object,
    record,
    responder,
    source,
    study_object,
)


def audit_transfer(
    code: AuditCode, side: Side, study_instance_uid: str | None, asked: Iterable[str], facts: Facts
) -> tuple[AuditRecord, ...]:
    """Instances that were handed over, and those that were not: one record per patient and outcome.

    `asked` are the parts that were promised (SOP Instance UIDs), `study_instance_uid` the study of the request (None: the
    request could not be read).
    """
    return tuple(
        record(
            INSTANCES_ACCESSED if side is Side.INITIATOR else INSTANCES_TRANSFERRED,
            Action.CREATE if side is Side.INITIATOR else Action.READ,
            facts,
            participants=(
                source(responder(side, facts), requestor=False),
                destination(initiator(side, facts), requestor=True),
            ),
            objects=objects,
            transaction=code,
            outcome=group.outcome,
            description=group.description,
        )
        for group in for_each_outcome(facts, asked)
        for objects in _objects(facts, study_instance_uid, delivered=not group.description)
    )


def audit_access(code: AuditCode, side: Side, study_instance_uid: str | None, facts: Facts) -> tuple[AuditRecord, ...]:
    """A look at a study: one record per patient."""
    return tuple(
        record(
            INSTANCES_ACCESSED,
            Action.READ,
            facts,
            participants=(
                source(responder(side, facts), requestor=False),
                destination(initiator(side, facts), requestor=True),
            ),
            objects=objects,
            transaction=code,
        )
        for objects in _objects(facts, study_instance_uid, delivered=facts.error is None)
    )


def _objects(
    facts: Facts, study_instance_uid: str | None, *, delivered: bool
) -> Iterator[tuple[ParticipantObject, ...]]:
    """Patient and studies of each record. SOP classes tell what was handed over, and stay out where nothing was."""
    studies = facts.studies
    if not studies and study_instance_uid is not None:
        studies = (StudyFact(study_instance_uid=study_instance_uid),)
    if not studies:
        yield ()
        return
    only = facts.patients[0] if len(facts.patients) == 1 else None
    by_patient: dict[object, list[StudyFact]] = {}
    for fact in studies:
        by_patient.setdefault(fact.patient or only, []).append(fact)
    for facts_of_patient in by_patient.values():
        patient = facts_of_patient[0].patient or only
        shown = (
            fact
            if delivered
            else StudyFact(study_instance_uid=fact.study_instance_uid, accession_numbers=fact.accession_numbers)
            for fact in facts_of_patient
        )
        yield (*((patient_object(patient),) if patient else ()), *map(study_object, shown))
