"""A patient by id."""

from dataclasses import dataclass

from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPatientRequest:
    """Whom: the identifier that the id was made of."""

    identifier: PatientIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPatientResponse:
    """The patient; a subsumed one with `replaced_by`."""

    patient: Patient
