"""ITI-45's messages, in model terms.

Source: ITI TF-2 3.45.4.
"""

from dataclasses import dataclass
from typing import Final

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import NO_NAME, PersonName
from profiles.wire.hl7v3.ack import ACCEPTED, Acknowledgement
from profiles.wire.hl7v3.query import NO_QUESTION, QueryResponseCode, Question
from profiles.wire.hl7v3.transmission import UNSENT, Transmission

__all__ = ["ASKED_ID", "IdentifiersQuery", "IdentifiersResponse", "QueryResponseCode", "asked_domain"]

PARAMETERS: Final = "/PRPA_IN201309UV02/controlActProcess/queryByParameter/parameterList"

ASKED_ID: Final = f"{PARAMETERS}/patientIdentifier/value"
"""Where an answer says that the id was not known (3.45.4.2.3, case 4)."""


def asked_domain(position: int) -> str:
    """Where an answer says that the n-th domain, from 1, was not known (case 5)."""
    return f"{PARAMETERS}/dataSource[{position}]/value"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiersQuery:
    """The question by which ids a patient is known; `domains` are those that are wanted, none: all."""

    identifier: PatientIdentifier
    domains: tuple[Oid, ...] = ()
    question: Question = NO_QUESTION
    transmission: Transmission = UNSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiersResponse:
    """0..n ids, without the one that was asked by. `name` is the patient's, for who wants to be sure."""

    code: QueryResponseCode = QueryResponseCode.OK
    identifiers: tuple[PatientIdentifier, ...] = ()
    name: PersonName = NO_NAME
    acknowledgement: Acknowledgement = ACCEPTED
    question: Question = NO_QUESTION
