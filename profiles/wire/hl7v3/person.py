"""A patient as V3 registries say it: the role (ids, status), the person who plays it, the organisation that scopes it.

What a newcomer gets wrong: V3 tells ids of the patient (`patient/id`) from ids of the person (`asOtherIDs`: social
security, driver's licence). Here both are identifiers, as PID-3 has both; the ids of the role come first.

Source: ITI TF-2 3.44.4.1.2, 3.45.4.2.2, 3.47.4.2.2, 3.55.4.2.2; HL7 V3 PRPA_MT201301, 201302, 201303, 201304, 201310.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Finding
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.wire.hl7v3.datatypes import (
    InstanceIdentifier,
    child,
    children,
    read_address,
    read_day,
    read_gender,
    read_name,
    read_oid,
    read_patient_identifier,
    write_address,
    write_gender,
    write_ii,
    write_name,
    write_patient_identifier,
    write_ts,
)

DEMOGRAPHICS: Final = {"name": "name", "birth_date": "birthTime", "sex": "administrativeGenderCode", "address": "addr"}
"""The attributes of `Patient` that a person says, and by which element."""

MAX_IDENTIFIERS = 200  # of one patient in one message: nobody has been registered in so many places


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPatient:
    """A patient as a registry tells of one.

    `said` names the demographics that it spoke of, even to delete them; `provider` is the scoping organisation.
    """

    patient: Patient
    said: frozenset[str] = frozenset(DEMOGRAPHICS)
    provider: Oid | None = None


def read_patient(element: etree._Element, at: str, findings: list[Finding]) -> RegisteredPatient:
    """Read a patient role.

    Args:
        element: `patient`.
        at: Its path, for findings.
        findings: What was odd is added.

    Returns:
        The patient. `identifiers` is empty where no authority is known.

    Raises:
        MalformedMessage: There are more ids than one patient has.
    """
    person = child(element, "patientPerson")
    ids = identifier_elements(element, at)
    found = (read_patient_identifier(each, f"{at}/id", findings) for each in ids)
    # HL7 sorts names by use: the legal one counts, else the first.
    names = children(person, "name")
    name = next((each for each in names if "L" in each.get("use", "").split()), next(iter(names), None))
    return RegisteredPatient(
        patient=Patient(
            identifiers=tuple(dict.fromkeys(each for each in found if each is not None)),
            name=read_name(name),
            birth_date=read_day(child(person, "birthTime"), f"{at}/patientPerson/birthTime", findings),
            sex=read_gender(child(person, "administrativeGenderCode")),
            address=read_address(child(person, "addr")),
        ),
        said=frozenset(name for name, element in DEMOGRAPHICS.items() if child(person, element) is not None),
        provider=read_oid(child(element, "providerOrganization/id")),
    )


def identifier_elements(element: etree._Element, at: str) -> list[etree._Element]:
    """The ids of a patient role: its own, then those of the person.

    Raises:
        MalformedMessage: There are more than one patient has.
    """
    ids = [*children(element, "id"), *children(child(element, "patientPerson"), "asOtherIDs/id")]
    if len(ids) > MAX_IDENTIFIERS:
        raise MalformedMessage(f"a patient with more than {MAX_IDENTIFIERS} ids", location=f"{at}/id")
    return ids


def write_demographics(patient: Patient) -> Iterator[str]:
    """The person of a feed or a candidate, in the schema's order, without the ids."""
    yield write_name("name", patient.name)
    yield write_gender("administrativeGenderCode", patient.sex)
    yield write_ts("birthTime", patient.birth_date) if patient.birth_date is not None else ""
    yield write_address("addr", patient.address)


def write_other_ids(identifiers: Sequence[PatientIdentifier]) -> Iterator[str]:
    """Ids in other domains, where `patient/id` may have only one."""
    for each in identifiers:
        yield f'<asOtherIDs classCode="PAT">{write_patient_identifier("id", each)}'
        yield '<scopingOrganization classCode="ORG" determinerCode="INSTANCE">'
        yield f'<id root="{each.authority}"/></scopingOrganization></asOtherIDs>'


def write_patient(
    identifiers: Sequence[PatientIdentifier],
    person: Iterator[str],
    *,
    provider: Oid | None = None,
    behind: str = "",
) -> Iterator[str]:
    """A patient role.

    Args:
        identifiers: Its ids, 1..n.
        person: What stands in `patientPerson`.
        provider: The scoping organisation; its OID is the authority of one of the ids.
        behind: What stands behind it.
    """
    yield '<patient classCode="PAT">'
    yield "".join(write_patient_identifier("id", each) for each in identifiers) or '<id nullFlavor="NI"/>'
    yield '<statusCode code="active"/><patientPerson classCode="PSN" determinerCode="INSTANCE">'
    yield from person
    yield "</patientPerson>"
    if provider is not None:
        yield '<providerOrganization classCode="ORG" determinerCode="INSTANCE">'
        yield f'<id root="{provider}"/><contactParty classCode="CON"/></providerOrganization>'
    yield f"{behind}</patient>"


def registration(
    patient: Iterator[str], custodian: Oid | None, *, custodian_code: str = "", behind: str = ""
) -> Iterator[str]:
    """The registration event around a patient, as the subject of a control act; `custodian` keeps the record."""
    yield '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN"><id nullFlavor="NA"/>'
    yield '<statusCode code="active"/><subject1 typeCode="SBJ">'
    yield from patient
    yield '</subject1><custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">'
    yield write_ii("id", InstanceIdentifier(root=custodian or ""))
    yield f"{custodian_code}</assignedEntity></custodian>{behind}</registrationEvent></subject>"
