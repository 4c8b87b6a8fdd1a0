"""What this server can do."""

from dataclasses import dataclass

from profiles.wire.fhir.capability import Interaction, Software


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesRequest:
    """The question has no parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesResponse:
    """Who answers, and which interactions it really answers: those of the `FhirTransaction` values that are served."""

    software: Software
    interactions: tuple[Interaction, ...]
