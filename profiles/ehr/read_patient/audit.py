"""The audit record of the read: Patient Record, read."""

from profiles.ehr.interaction import read_records
from profiles.ehr.read_patient.messages import ReadPatientRequest, ReadPatientResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side, request: ReadPatientRequest | None, response: ReadPatientResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """The patient who was read; after a failure the one who was asked for."""
    if response is not None:
        return read_records(side, facts, response.patient.identifiers[:1])
    return read_records(side, facts, (request.identifier,) if request is not None else facts.patients)
