"""Read an endpoint: where the images of an ImagingStudy can be had."""

from profiles.ehr.read_endpoint.messages import ReadEndpointRequest, ReadEndpointResponse
from profiles.ehr.read_endpoint.spec import READ_ENDPOINT

__all__ = ["READ_ENDPOINT", "ReadEndpointRequest", "ReadEndpointResponse"]
