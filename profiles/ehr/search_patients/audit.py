"""The audit record of the search: Query, one for each patient who was found."""

from profiles.ehr.interaction import search_records
from profiles.ehr.search_patients.messages import SearchPatientsRequest, SearchPatientsResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side, request: SearchPatientsRequest | None, response: SearchPatientsResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record for each patient found; one without a patient when nobody is, and for failures."""
    found = [patient.identifiers[0] for patient in response.patients] if response else facts.patients
    return search_records(side, facts, "Patient", found)
