"""Search for endpoints: every address at which images can be had from us."""

from profiles.ehr.search_endpoints.messages import SearchEndpointsRequest, SearchEndpointsResponse
from profiles.ehr.search_endpoints.spec import SEARCH_ENDPOINTS

__all__ = ["SEARCH_ENDPOINTS", "SearchEndpointsRequest", "SearchEndpointsResponse"]
