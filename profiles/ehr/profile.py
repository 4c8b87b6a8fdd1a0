"""All interactions of the EHR side, in the order in which a CapabilityStatement lists them."""

from typing import Any

from profiles.ehr.capabilities import CAPABILITIES
from profiles.ehr.interaction import FhirTransaction
from profiles.ehr.read_endpoint import READ_ENDPOINT
from profiles.ehr.read_imaging_study import READ_IMAGING_STUDY
from profiles.ehr.read_patient import READ_PATIENT
from profiles.ehr.search_endpoints import SEARCH_ENDPOINTS
from profiles.ehr.search_imaging_studies import SEARCH_IMAGING_STUDIES
from profiles.ehr.search_patients import SEARCH_PATIENTS

TRANSACTIONS: tuple[FhirTransaction[Any, Any], ...] = (
    CAPABILITIES,
    SEARCH_IMAGING_STUDIES,
    READ_IMAGING_STUDY,
    SEARCH_PATIENTS,
    READ_PATIENT,
    SEARCH_ENDPOINTS,
    READ_ENDPOINT,
)
