"""The audit records that HL7 V3 transactions share: of records that were fed, and of questions.

Source: ITI TF-2 3.44.5.1, 3.45.5.1, 3.46.5.1, 3.47.5.1, 3.55.5.1.
"""

from dataclasses import replace

from profiles.model.audit import Action, AuditCode, AuditRecord, Outcome
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.wire.audit.facts import Facts, Side
from profiles.wire.audit.participants import (
    HOME_OF_DOCUMENT,
    PATIENT_RECORD,
    QUERY,
    destination,
    for_each_patient,
    initiator,
    of_a_merge,
    patient_object,
    query_object,
    record,
    responder,
    source,
)
from profiles.wire.hl7v3.ack import Acknowledgement
from profiles.wire.hl7v3.feed import PatientRecordRequest, RecordEvent


def record_records(
    transaction: AuditCode,
    side: Side,
    request: PatientRecordRequest | None,
    response: Acknowledgement | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One Patient Record, created or updated; a merge is two a pair: the subsumed id deleted, the surviving one updated.

    A request that could not be read is an update of whomever the house had found, or of nobody.
    """
    message_id = "" if request is None else str(request.transmission.id)
    outcome, description = outcome_of_answer(response, facts)
    return tuple(
        record(
            PATIENT_RECORD,
            action,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=(patient_object(patient, message_id=message_id),) if patient else (),
            transaction=transaction,
            outcome=outcome,
            description=description,
        )
        for action, patient in _touched(request, facts)
    )


def _touched(request: PatientRecordRequest | None, facts: Facts) -> tuple[tuple[Action, PatientIdentifier | None], ...]:
    named = request.patient.identifiers if request is not None else ()
    patient = next(iter((*facts.patients, *named)), None)
    if request is None:
        return ((Action.UPDATE, patient),)
    if request.event is RecordEvent.MERGE:
        return of_a_merge(request.merges, request.subsumed_identifiers, patient)
    return ((Action.CREATE if request.event is RecordEvent.ADD else Action.UPDATE, patient),)


def outcome_of_answer(response: Acknowledgement | None, facts: Facts) -> tuple[Outcome | None, str | None]:
    """Outcome and description by what was answered; (None, None): that of the facts' error."""
    if response is None or response.accepted or facts.error is not None:
        return None, None
    says = "; ".join(f"{detail.code}: {detail.text}" for detail in response.details)
    return Outcome.MINOR_FAILURE, says or f"refused ({response.code})"


def query_records(
    transaction: AuditCode,
    side: Side,
    facts: Facts,
    *,
    query_id: str,
    question: str,
    patients: tuple[PatientIdentifier, ...],
    acknowledgement: Acknowledgement | None,
    home: Oid | None = None,
) -> tuple[AuditRecord, ...]:
    """One Query per patient, or one without any.

    Args:
        transaction: EventTypeCode, which is the type of the query's id too.
        side: Whose record it is.
        facts: What the house knew; its patients are added.
        query_id: `root^extension` of the query.
        question: The queryByParameter element; "": it could not be read.
        patients: Whom the question named, or the answer.
        acknowledgement: How it was answered, if it was.
        home: The community that was asked, or asks, where there is one.
    """
    outcome, description = outcome_of_answer(acknowledgement, facts)
    asked = query_object(query_id, question.encode(), transaction)
    if home is not None:
        # Not the type that ITI-18 has: implementations of ITI-55 write that of ITI-43, with the bare OID.
        asked = replace(asked, details=((HOME_OF_DOCUMENT, home.encode()),))
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
            transaction=transaction,
            outcome=outcome,
            description=description,
        )
        for patient in for_each_patient((*patients, *facts.patients))
    )
