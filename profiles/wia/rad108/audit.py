"""What is audited of a store: DICOM Instances Transferred, C when they were new to us, R when we had them.

Source: DICOM PS3.15 A.5.3.7 (DICOM Instances Transferred); RAD TF-2 4.108.
"""

from collections.abc import Iterator

from profiles.errors import ExchangeError
from profiles.model.audit import Action, AuditRecord, Outcome, ParticipantObject
from profiles.transaction import Facts, Side, StudyFact
from profiles.wia.rad108.messages import StoreInstancesRequest, StoreInstancesResponse
from profiles.wire.audit.participants import (
    INSTANCES_TRANSFERRED,
    description_of,
    destination,
    initiator,
    outcome_of,
    patient_object,
    record,
    responder,
    source,
    study_object,
    transaction_code,
)

CODE = transaction_code("RAD-108", "STOW-RS Store")


def audit(
    side: Side, request: StoreInstancesRequest | None, response: StoreInstancesResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient for what was kept, and one for what was refused.

    Of a push that broke off, one per patient of whom something had come: it is a failure, and it is here all the same.
    """
    refused = [] if response is None else [each for each in response.outcomes if each.error is not None]
    kept = response is not None and len(refused) < len(response.outcomes) and facts.error is None
    records: list[AuditRecord] = []
    if kept:
        action = Action.READ if facts.created is False else Action.CREATE
        records += (_record(side, facts, action, objects, None) for objects in _objects(facts))
    error = facts.error or (refused[0].error if refused else None)
    if facts.error is not None and facts.studies:  # it broke off, and what had come of it before is here
        records += (_record(side, facts, Action.CREATE, objects, error) for objects in _objects(facts))
    elif error is not None or not kept:
        named = dict.fromkeys(each.study_instance_uid for each in refused if each.study_instance_uid)
        if not named and request is not None and request.study_instance_uid is not None:
            named = {str(request.study_instance_uid): None}
        objects = tuple(study_object(StudyFact(study_instance_uid=uid)) for uid in named)
        records.append(_record(side, facts, Action.CREATE, objects, error))
    return tuple(records)


def _record(
    side: Side,
    facts: Facts,
    action: Action,
    objects: tuple[ParticipantObject, ...],
    error: ExchangeError | None,
) -> AuditRecord:
    return record(
        INSTANCES_TRANSFERRED,
        action,
        facts,
        participants=(
            source(initiator(side, facts), requestor=True),
            destination(responder(side, facts), requestor=False),
        ),
        objects=objects,
        transaction=CODE,
        outcome=Outcome.SUCCESS if error is None else outcome_of(error),
        description=description_of(error),
    )


def _objects(facts: Facts) -> Iterator[tuple[ParticipantObject, ...]]:
    only = facts.patients[0] if len(facts.patients) == 1 else None
    by_patient: dict[object, list[StudyFact]] = {}
    for fact in facts.studies:
        by_patient.setdefault(fact.patient or only, []).append(fact)
    if not by_patient:
        yield ((patient_object(only),) if only else ())
    for studies in by_patient.values():
        patient = studies[0].patient or only
        yield (*((patient_object(patient),) if patient else ()), *map(study_object, studies))
