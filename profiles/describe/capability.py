"""What a CapabilityStatement lists, made from the transactions that are served; `wire/fhir/capability.py` writes it."""

from collections.abc import Iterable
from typing import Any

from profiles.ehr.interaction import FhirTransaction
from profiles.transaction import Transaction
from profiles.wire.fhir.capability import Interaction


def interactions_of(transactions: Iterable[Transaction[Any, Any]]) -> tuple[Interaction, ...]:
    """The interactions of those that are FHIR, in their order; the others are described elsewhere.

    Source: HL7 FHIR R4, CapabilityStatement.rest.resource.interaction.
    """
    return tuple(each.interaction for each in transactions if isinstance(each, FhirTransaction))
