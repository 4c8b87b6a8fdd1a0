"""What the FHIR interactions share: the frame that can describe itself, and their audit records."""

from collections.abc import Iterable
from dataclasses import dataclass

from profiles.model.audit import Action, AuditCode, AuditRecord, ParticipantObject
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Facts, HttpTransaction, Request, Response, Side
from profiles.wire.audit.participants import (
    INSTANCES_ACCESSED,
    PATIENT_RECORD,
    QUERY,
    destination,
    for_each_patient,
    initiator,
    query_object,
    record,
    responder,
    source,
)
from profiles.wire.fhir.capability import Interaction

SERVICE = "fhir/r4"

RESTFUL_INTERACTION = "http://hl7.org/fhir/restful-interaction"
SEARCH = AuditCode(code="search-type", system=RESTFUL_INTERACTION, text="search")
READ = AuditCode(code="read", system=RESTFUL_INTERACTION, text="read")


@dataclass(frozen=True, kw_only=True)
class FhirTransaction(HttpTransaction[Request, Response]):
    """An interaction; `interaction` is how a CapabilityStatement tells of it."""

    interaction: Interaction


def search_records(
    side: Side, facts: Facts, resource: str, patients: Iterable[PatientIdentifier]
) -> tuple[AuditRecord, ...]:
    """A search: Query, with the request as it was asked; one record for each patient who was found.

    IHE has no number for it. The nearest rule is that of ITI-78 and of BALP's PatientQuery: the client is the source of
    the question.

    Source: ITI TF-2 3.78.5.1; IHE BALP, Query.
    """
    asked = query_object(resource, facts.query or b"", SEARCH)
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
            transaction=SEARCH,
        )
        for patient in for_each_patient(patients)
    )


def read_records(
    side: Side, facts: Facts, patients: Iterable[PatientIdentifier], *objects: ParticipantObject
) -> tuple[AuditRecord, ...]:
    """A read: the server is the source of the data, the client its destination and the requestor.

    With objects (a study) it is DICOM Instances Accessed, without any a Patient Record that was read.

    Source: IHE BALP, PatientRead; DICOM PS3.15 A.5.3.6.
    """
    return tuple(
        record(
            INSTANCES_ACCESSED if objects else PATIENT_RECORD,
            Action.READ,
            facts,
            participants=(
                source(responder(side, facts), requestor=False),
                destination(initiator(side, facts), requestor=True),
            ),
            objects=(*patient, *objects),
            transaction=READ,
        )
        for patient in for_each_patient(patients)
    )
