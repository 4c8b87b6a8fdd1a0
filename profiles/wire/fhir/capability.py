"""CapabilityStatement: what this server can do, made from what it answers.

Source: HL7 FHIR R4, CapabilityStatement; ITI TF-2 Appendix Z.3.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from profiles.wire.fhir.datatypes import Json, filled, instant
from profiles.wire.fhir.search import SearchParameter

FHIR_VERSION = "4.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """What one transaction lets a client do with one type of resource; `resource` is "" for the whole system."""

    resource: str
    code: str  # read, search-type, ... ; "capabilities" is not listed, since it is what lists
    parameters: tuple[SearchParameter, ...] = ()
    includes: tuple[str, ...] = ()
    conditional_read: bool = False
    versioned: bool = False
    documentation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """Who answers: product, version, when this version was made ready."""

    name: str
    version: str
    published: datetime
    description: str


def capability_statement(software: Software, base: str, interactions: Iterable[Interaction]) -> Json:
    """The statement of one running server."""
    by_type: dict[str, list[Interaction]] = {}
    for interaction in interactions:
        if interaction.resource:
            by_type.setdefault(interaction.resource, []).append(interaction)
    return filled(
        resourceType="CapabilityStatement",
        url=f"{base}/metadata",
        version=software.version,
        name=software.name.title().replace(" ", ""),  # an identifier for programs: it starts with a capital
        status="active",
        date=instant(software.published),
        kind="instance",
        software=filled(name=software.name, version=software.version),
        implementation={"description": software.description, "url": base},
        fhirVersion=FHIR_VERSION,
        format=["application/fhir+json", "application/fhir+xml", "json", "xml"],
        rest=[
            filled(
                mode="server",
                security={
                    "cors": False,
                    "description": "Mutual TLS, or a bearer token that was given to the organisation that asks.",
                },
                resource=[_resource(kind, offered) for kind, offered in by_type.items()],
            )
        ],
    )


def _resource(kind: str, offered: list[Interaction]) -> Json:
    parameters = {parameter.name: parameter for each in offered for parameter in each.parameters}
    conditional = any(each.conditional_read for each in offered)
    return filled(
        type=kind,
        profile=f"http://hl7.org/fhir/StructureDefinition/{kind}",
        interaction=[filled(code=each.code, documentation=each.documentation) for each in offered],
        versioning="versioned" if any(each.versioned for each in offered) else "no-version",
        readHistory=False,
        conditionalCreate=False,
        conditionalRead="full-support" if conditional else "not-supported",
        conditionalUpdate=False,
        searchInclude=list(dict.fromkeys(include for each in offered for include in each.includes)),
        searchParam=[
            filled(
                name=parameter.name,
                definition=parameter.definition,
                type=parameter.type.value,
                documentation=parameter.documentation,
            )
            for parameter in parameters.values()
        ],
    )
