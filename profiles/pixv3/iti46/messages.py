"""ITI-46's messages: a record that was revised, with ids and a name and nothing else.

What a newcomer gets wrong: the list is the whole list of the domains that the receiver is interested in, not what is new.

Source: ITI TF-2 3.46.4.1.2.
"""

from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient, PersonName
from profiles.wire.hl7v3.ack import ACCEPTED, Acknowledgement
from profiles.wire.hl7v3.feed import PatientRecordRequest, RecordEvent
from profiles.wire.hl7v3.transmission import UNSENT, Transmission


def notification(
    identifiers: tuple[PatientIdentifier, ...], name: PersonName, transmission: Transmission = UNSENT
) -> PatientRecordRequest:
    """That a patient of this name is known by these ids, 1..n, of the domains that the receiver is interested in."""
    return PatientRecordRequest(
        event=RecordEvent.REVISE,
        patient=Patient(identifiers=identifiers, name=name),
        said=frozenset({"name"}),
        provider=identifiers[0].authority,
        custodian=identifiers[0].authority,
        transmission=transmission,
    )


__all__ = ["ACCEPTED", "Acknowledgement", "PatientRecordRequest", "RecordEvent", "notification"]
