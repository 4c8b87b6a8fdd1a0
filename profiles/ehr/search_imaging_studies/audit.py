"""The audit record of the search: Query, one for each patient of the page."""

from profiles.ehr.interaction import search_records
from profiles.ehr.search_imaging_studies.messages import SearchImagingStudiesRequest, SearchImagingStudiesResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side


def audit(
    side: Side,
    request: SearchImagingStudiesRequest | None,
    response: SearchImagingStudiesResponse | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """One record for each patient who is on the page; one without a patient when nobody is, and for failures."""
    found = [indexed.study.patient.identifiers[0] for indexed in response.studies] if response else facts.patients
    return search_records(side, facts, "ImagingStudy", found)
