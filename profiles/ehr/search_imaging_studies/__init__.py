"""Search for imaging studies: an EHR asks which studies a patient has, or for one by accession number or UID.

What a newcomer gets wrong: no match is 200 with an empty Bundle; and a search that nothing can meet (an identifier of a
system that is none of ours) is such a search, not an error.
"""

from profiles.ehr.search_imaging_studies.messages import (
    Detail,
    SearchImagingStudiesRequest,
    SearchImagingStudiesResponse,
)
from profiles.ehr.search_imaging_studies.spec import SEARCH_IMAGING_STUDIES

__all__ = [
    "SEARCH_IMAGING_STUDIES",
    "Detail",
    "SearchImagingStudiesRequest",
    "SearchImagingStudiesResponse",
]
