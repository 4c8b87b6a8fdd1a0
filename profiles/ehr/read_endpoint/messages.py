"""An endpoint by id."""

from dataclasses import dataclass

from profiles.wire.fhir.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEndpointRequest:
    """Which one."""

    endpoint_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadEndpointResponse:
    """An address of ours."""

    endpoint: Endpoint
