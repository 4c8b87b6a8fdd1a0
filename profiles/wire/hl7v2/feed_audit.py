"""The audit records of an identity feed, which ITI-8 and ITI-30 share.

ITI TF-2 has no audit table for ITI-30; it is recorded like ITI-8, under its own event type.

Source: ITI TF-2 3.8.5.1 (Patient Identity Feed), 3.20; DICOM PS3.15 A.5.3 (Patient Record).
"""

from dataclasses import replace

from profiles.model.audit import Action, AuditCode, AuditRecord
from profiles.model.identifiers import PatientIdentifier
from profiles.wire.audit.facts import Facts, Party, Side
from profiles.wire.audit.participants import (
    PATIENT_RECORD,
    destination,
    initiator,
    of_a_merge,
    patient_object,
    record,
    responder,
    source,
)
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v2.adt import CREATES, JOINS, PatientFeedRequest


def feed_records(
    transaction: AuditCode, side: Side, request: PatientFeedRequest | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One Patient Record, created or updated; a merge is two a pair: the subsumed id deleted, the surviving one updated.

    A request that could not be read is an update of whomever the house had found, or of nobody.
    """
    return tuple(
        record(
            PATIENT_RECORD,
            action,
            facts,
            participants=(
                source(sender(initiator(side, facts), request.address if request else None), requestor=True),
                destination(receiver(responder(side, facts), request.address if request else None), requestor=False),
            ),
            objects=(
                (patient_object(patient, message_control_id=request.control_id if request else ""),) if patient else ()
            ),
            transaction=transaction,
        )
        for action, patient in _touched(request, facts)
    )


def _touched(request: PatientFeedRequest | None, facts: Facts) -> tuple[tuple[Action, PatientIdentifier | None], ...]:
    named = request.patient.identifiers if request is not None else ()
    patient = next(iter((*facts.patients, *named)), None)
    if request is None:
        return ((Action.UPDATE, patient),)
    if request.event in JOINS:
        return of_a_merge(request.merges, request.subsumed_identifiers, patient)
    return ((Action.CREATE if request.event in CREATES else Action.UPDATE, patient),)


def sender(party: Party, address: Hl7Address | None) -> Party:
    """The sending system under its HL7 name, `MSH-4|MSH-3`."""
    if address is None:
        return party
    return replace(party, user_id=f"{address.sending_facility}|{address.sending_application}")


def receiver(party: Party, address: Hl7Address | None) -> Party:
    """The receiving system under its HL7 name, `MSH-6|MSH-5`."""
    if address is None:
        return party
    return replace(party, user_id=f"{address.receiving_facility}|{address.receiving_application}")
