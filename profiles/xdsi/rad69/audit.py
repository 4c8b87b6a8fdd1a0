"""What is audited of RAD-69: Instances Transferred at the source, Instances Accessed at the consumer; patient and studies.

The imaging source is the source and the consumer the destination, and the consumer is the requestor. Instances that came
and instances that did not are two records; how much of a large study is named is decided when the message is written.

Source: RAD TF-2 4.69.6; DICOM PS3.15 A.5.3.6 (DICOM Instances Accessed), A.5.3.7 (DICOM Instances Transferred).
"""

from collections.abc import Iterator
from dataclasses import replace

from profiles.model.audit import Action, AuditRecord, ParticipantObject
from profiles.model.content import Poured
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Facts, Side, StudyFact
from profiles.wire.audit.participants import (
    INSTANCES_ACCESSED,
    INSTANCES_TRANSFERRED,
    destination,
    for_each_patient,
    initiator,
    patient_object,
    record,
    responder,
    source,
    study_object,
    transaction_code,
)
from profiles.wire.ebxml.audited import groups_of_retrieval
from profiles.xdsi.rad69.messages import (
    RequestedInstance,
    RetrieveDocumentSetResponse,
    RetrieveImagingDocumentSetRequest,
)

CODE = transaction_code("RAD-69", "Retrieve Imaging Document Set")


def audit(
    side: Side,
    request: RetrieveImagingDocumentSetRequest | None,
    response: Poured[RetrieveDocumentSetResponse] | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    asked = () if request is None else tuple(request.instances())
    head = None if response is None else response.head
    groups = groups_of_retrieval(
        facts,
        tuple(each.document.document_unique_id for each in asked),
        None if head is None else tuple(each.document_unique_id for each in head.documents),
        None if head is None else (head.status, head.errors),
    )
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
            transaction=CODE,
            outcome=group.outcome,
            description=group.description,
        )
        for group in groups
        for objects in _objects(asked, frozenset(group.parts), facts, delivered=not group.description)
    )


def _objects(
    asked: tuple[RequestedInstance, ...], parts: frozenset[str], facts: Facts, *, delivered: bool
) -> Iterator[tuple[ParticipantObject, ...]]:
    """The objects of each record: one patient's studies, with what of them is in `parts`.

    SOP classes of the facts tell what was handed over and stay out of a record of what was not.
    """
    known = {fact.study_instance_uid: fact for fact in facts.studies}
    instances: dict[str, list[RequestedInstance]] = {}
    for each in asked:
        if each.document.document_unique_id in parts:
            instances.setdefault(each.study_instance_uid, []).append(each)
    of_patient: dict[PatientIdentifier, list[ParticipantObject]] = {}
    of_nobody: list[ParticipantObject] = []
    only = facts.patients[0] if len(facts.patients) == 1 else None
    for uid, wanted in instances.items():
        fact = known.get(uid, StudyFact(study_instance_uid=uid))
        if not delivered:
            fact = replace(fact, sop_classes=())
        first = wanted[0].document
        study = study_object(
            fact,
            documents=[each.document.document_unique_id for each in wanted],
            series=dict.fromkeys(each.series_instance_uid for each in wanted),
            repository_unique_id=first.repository_unique_id,
            home=first.home_community_id,
        )
        owner = fact.patient or only
        (of_nobody if owner is None else of_patient.setdefault(owner, [])).append(study)
    for patient, studies in of_patient.items():
        yield (patient_object(patient), *studies)
    if of_nobody or not of_patient:  # studies of which nobody knows whose: said of each patient whom the facts name
        for patients in for_each_patient(facts.patients):
            yield (*patients, *of_nobody)
