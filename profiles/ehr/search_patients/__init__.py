"""Search for patients by identifier: whose id is this, and under which id do ImagingStudies name them."""

from profiles.ehr.search_patients.messages import SearchPatientsRequest, SearchPatientsResponse
from profiles.ehr.search_patients.spec import SEARCH_PATIENTS

__all__ = ["SEARCH_PATIENTS", "SearchPatientsRequest", "SearchPatientsResponse"]
