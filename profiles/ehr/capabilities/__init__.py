"""Capabilities: `GET /metadata`, the one question that anybody may ask without saying who they are."""

from profiles.ehr.capabilities.messages import CapabilitiesRequest, CapabilitiesResponse
from profiles.ehr.capabilities.spec import CAPABILITIES

__all__ = ["CAPABILITIES", "CapabilitiesRequest", "CapabilitiesResponse"]
