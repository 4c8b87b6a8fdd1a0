"""Patient records that were added, revised or merged: one value and one codec for the feed and for notifications.

What a newcomer gets wrong: in a merge `patient/id` is who *remains*, and `replacementOf` names who goes.

Source: ITI TF-2 3.44.4, 3.46.4; HL7 V3 PRPA_IN201301UV02, PRPA_IN201302UV02, PRPA_IN201304UV02.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Decoded, Finding
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.wire.hl7v3.ack import DUPLICATE_KEY, UNKNOWN_KEY
from profiles.wire.hl7v3.datatypes import (
    child,
    children,
    error,
    read_oid,
    read_patient_identifier,
    warning,
    write_name,
    write_patient_identifier,
)
from profiles.wire.hl7v3.person import DEMOGRAPHICS, read_patient, registration, write_demographics, write_patient
from profiles.wire.hl7v3.transmission import UNSENT, Transmission, control_act, read_transmission, write_message
from profiles.wire.soap.message import SoapIn, SoapOut


class RecordEvent(StrEnum):
    """What happened to a record, by the interaction that tells of it."""

    ADD = "PRPA_IN201301UV02"
    REVISE = "PRPA_IN201302UV02"
    MERGE = "PRPA_IN201304UV02"


TRIGGERS: Mapping[RecordEvent, str] = {
    RecordEvent.ADD: "PRPA_TE201301UV02",
    RecordEvent.REVISE: "PRPA_TE201302UV02",
    RecordEvent.MERGE: "PRPA_TE201304UV02",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecordRequest:
    """A record was added or revised, or two were merged.

    `patient.identifiers` are those whose authority is known; in a merge they are the surviving ones. `said` names the
    demographics that the message spoke of. `provider` scopes the record; `custodian` keeps it.
    """

    event: RecordEvent
    patient: Patient
    subsumed_identifiers: tuple[PatientIdentifier, ...] = ()
    said: frozenset[str] = frozenset(DEMOGRAPHICS)
    provider: Oid | None = None
    custodian: Oid | None = None
    transmission: Transmission = UNSENT

    @property
    def merges(self) -> tuple[tuple[PatientIdentifier, PatientIdentifier], ...]:
        """(subsumed, surviving) of one authority: one pair in a message that keeps to the book.

        Source: ITI TF-2 3.44.4.2.4.
        """
        return self.patient.survives(self.subsumed_identifiers)


# --- reading ----------------------------------------------------------------------------------------------------------

_EVENT = "controlActProcess/subject/registrationEvent"


def read_record(message: SoapIn, event: RecordEvent) -> Decoded[PatientRecordRequest]:
    """Read the interaction of this event.

    Returns:
        The request; that no id has a known authority is an error among the findings.

    Raises:
        MalformedMessage: It is another interaction, has no id of its own, or is about no patient.
    """
    root = message.body
    transmission, findings = read_transmission(root, event, accept_acknowledgement="AL")
    at = f"/{event}/{_EVENT}/subject1/patient"
    patients = children(root, f"{_EVENT}/subject1/patient")
    if len(patients) != 1:
        raise MalformedMessage("a feed is about exactly one patient", location=at)
    registered = read_patient(patients[0], at, findings)
    patient = registered.patient
    if not patient.identifiers:
        findings.append(
            error("hl7v3.no-identifier", "no id with an assigning authority is there", f"{at}/id", UNKNOWN_KEY)
        )
    if registered.provider is None and event is not RecordEvent.MERGE:
        findings.append(warning("iti44.provider", "providerOrganization is missing", f"{at}/providerOrganization"))
    request = PatientRecordRequest(
        event=event,
        patient=patient,
        subsumed_identifiers=_read_subsumed(root, event, findings) if event is RecordEvent.MERGE else (),
        said=registered.said,
        provider=registered.provider,
        custodian=read_oid(child(root, f"{_EVENT}/custodian/assignedEntity/id")),
        transmission=transmission,
    )
    return Decoded(request, tuple(findings))


def _read_subsumed(root: etree._Element, event: RecordEvent, findings: list[Finding]) -> tuple[PatientIdentifier, ...]:
    path = f"{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole"
    at = f"/{event}/{path}/id"
    elements = children(root, f"{path}/id")
    if len(elements) != 1:
        # One pair in a message: which of several were done could not be told in one answer.
        findings.append(error("iti44.one-subsumed", "a merge names exactly one id that goes", at))
        return ()
    subsumed = read_patient_identifier(elements[0], at, findings)
    if subsumed is None:
        findings.append(error("hl7v3.no-identifier", "the id that goes has no assigning authority", at, UNKNOWN_KEY))
        return ()
    return (subsumed,)


# --- writing ----------------------------------------------------------------------------------------------------------


def write_record(request: PatientRecordRequest) -> SoapOut:
    """Write the interaction of the request's event."""
    patient = request.patient
    merges = request.event is RecordEvent.MERGE
    person = iter((write_name("name", patient.name),)) if merges else write_demographics(patient)
    provider = None if merges else request.provider or _authority(patient)
    return write_message(
        request.event,
        request.transmission,
        control_act(
            TRIGGERS[request.event],
            registration(
                write_patient(patient.identifiers, person, provider=provider),
                request.custodian or _authority(patient),
                behind="".join(_replacements(request)),
            ),
        ),
        accept_acknowledgement="AL",
    )


def _authority(patient: Patient) -> Oid | None:
    return patient.identifiers[0].authority if patient.identifiers else None


def _replacements(request: PatientRecordRequest) -> Iterator[str]:
    for each in request.subsumed_identifiers:
        yield '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN">'
        yield '<statusCode code="obsolete"/><subject1 typeCode="SBJ"><priorRegisteredRole classCode="PAT">'
        yield write_patient_identifier("id", each)
        yield "</priorRegisteredRole></subject1></priorRegistration></replacementOf>"


# --- rules ------------------------------------------------------------------------------------------------------------

RecordCheck = Callable[[PatientRecordRequest], Iterator[Finding]]

_SUBSUMED = f"/{RecordEvent.MERGE}/{_EVENT}/replacementOf/priorRegistration/subject1/priorRegisteredRole/id"


def both_ids_are_of_one_authority(request: PatientRecordRequest) -> Iterator[Finding]:
    """ITI TF-2 3.44.4.2.4: a merge joins two ids of the same assigning authority."""
    if request.subsumed_identifiers and not request.merges:
        yield error(
            "iti44.merge-across-authorities",
            "the two ids of the merge are of different assigning authorities",
            _SUBSUMED,
            UNKNOWN_KEY,
        )


def the_two_ids_differ(request: PatientRecordRequest) -> Iterator[Finding]:
    """ITI TF-2 3.44.4.2.4: an id cannot be merged into itself."""
    if any(subsumed == surviving for subsumed, surviving in request.merges):
        yield error("iti44.merge-into-itself", "the two ids of the merge are the same", _SUBSUMED, DUPLICATE_KEY)


def a_new_patient_has_a_name(request: PatientRecordRequest) -> Iterator[Finding]:
    """ITI TF-2 3.44.4.1.2: a person has 1..n names."""
    name = request.patient.name
    if request.event is RecordEvent.ADD and not (name.family or name.given):
        yield error(
            "iti44.no-name",
            "a new patient has a name",
            f"/{RecordEvent.ADD}/{_EVENT}/subject1/patient/patientPerson/name",
            "SYN101",
        )


RECORD_CHECKS: tuple[RecordCheck, ...] = (both_ids_are_of_one_authority, the_two_ids_differ, a_new_patient_has_a_name)
