"""A search for our endpoints."""

from dataclasses import dataclass

from profiles.wire.fhir.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEndpointsRequest:
    """Which ones: both conditions hold, each is alternatives; None is no condition."""

    ids: frozenset[str] | None = None
    connections: frozenset[str] | None = None

    def matches(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint is meant."""
        return (self.ids is None or endpoint.id in self.ids) and (
            self.connections is None or endpoint.connection.value in self.connections
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEndpointsResponse:
    """Those of ours that match."""

    endpoints: tuple[Endpoint, ...] = ()
