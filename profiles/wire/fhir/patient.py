"""Patient: a person as one house knows them, and the id under which FHIR clients do.

`Patient.id` is made from the identifier and can be read back, so that no table of ids is needed and the id survives a
restored backup. It shows nothing at a glance but is not a secret: who may see it is the policy's business.

Source: HL7 FHIR R4, Patient; ITI TF-2 Appendix E.3 (identifiers).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.fhir.datatypes import (
    NAME_REPRESENTATION,
    Json,
    date,
    filled,
    patient_identifier,
    text,
)

MAX_ID_CHARACTERS = 64  # FHIR type id

GENDERS: Mapping[Sex, str] = {
    Sex.FEMALE: "female",
    Sex.MALE: "male",
    Sex.OTHER: "other",
    Sex.UNKNOWN: "unknown",
}

MANDATORY = ("meta",)  # R4 Patient has no member that must be there

HASHED = "0"  # in front of an id that is a hash; base 32 has no zero, so it cannot be mistaken

_SEPARATOR = re.compile(r"([0-9a]+)f(.*)", re.DOTALL)


def patient_id_of(identifier: PatientIdentifier) -> str:
    """The id of the Patient resource that this identifier names.

    Base 32 of the authority, a nibble a character with `a` for the dot and `f` behind it, and the value in UTF-8: room
    for 25 characters beside a usual OID. What does not fit becomes a hash; nobody can read that back, so `reference`
    then gives the identifier only.
    """
    authority = identifier.authority.replace(".", "a") + "f"
    packed = bytes.fromhex(authority + "f" * (len(authority) % 2)) + identifier.value.encode()
    name = base64.b32encode(packed).decode().rstrip("=").lower()
    if len(name) <= MAX_ID_CHARACTERS:
        return name
    return HASHED + hashlib.sha256(packed).hexdigest()[:40]


def identifier_of(patient_id: str) -> PatientIdentifier | None:
    """The identifier inside a Patient id; None: it is not one of ours, or a hash."""
    try:
        packed = base64.b32decode(patient_id.upper() + "=" * (-len(patient_id) % 8))
        found = _SEPARATOR.fullmatch(packed.hex())
        if found is None:
            return None
        authority = found[1].replace("a", ".")
        value = bytes.fromhex(found[2][0 if len(found[1]) % 2 else 1 :])
        identifier = PatientIdentifier(value=value.decode(), authority=Oid(authority))
    except (binascii.Error, ValueError):
        return None
    return identifier if patient_id_of(identifier) == patient_id else None


def reference(patient: Patient) -> Json:
    """A reference to the patient, by the id that the house itself uses; the identifier goes with it."""
    return _reference(patient.identifiers[0])


def _reference(identifier: PatientIdentifier) -> Json:
    patient_id = patient_id_of(identifier)
    return filled(
        reference=None if patient_id.startswith(HASHED) else f"Patient/{patient_id}",
        type="Patient",
        identifier=patient_identifier(identifier),
    )


def patient_resource(patient: Patient) -> Json:
    """The whole resource. A subsumed patient is inactive and says by whom it was replaced."""
    first, *others = patient.identifiers
    return filled(
        resourceType="Patient",
        id=patient_id_of(first),
        identifier=[patient_identifier(first, "usual"), *map(patient_identifier, others)],
        active=patient.active and patient.replaced_by is None,
        name=list(_names(patient.name)),
        gender=GENDERS[patient.sex],
        birthDate=date(patient.birth_date),
        address=[{"text": address}] if (address := _address(patient.address)) else None,
        link=[{"other": _reference(patient.replaced_by), "type": "replaced-by"}] if patient.replaced_by else None,
    )


def display_name(name: PersonName) -> str | None:
    """A name as people write it: never with the carets of DICOM or HL7 v2."""
    parts = (name.prefix, name.given, name.middle, name.family, name.suffix)
    return text(" ".join(part for part in parts if part.strip()))


def _names(name: PersonName) -> Iterator[Json]:
    """The alphabetic name, and DICOM's ideographic and phonetic groups marked as what they are."""
    written = filled(
        family=text(name.family),
        given=[given for part in (name.given, name.middle) if (given := text(part))],
        prefix=[prefix] if (prefix := text(name.prefix)) else None,
        suffix=[suffix] if (suffix := text(name.suffix)) else None,
    )
    if written:
        yield written
    for group, representation in ((name.ideographic, "IDE"), (name.phonetic, "SYL")):
        family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
        told = filled(
            family=text(family),
            given=[each for part in (given, middle) if (each := text(part))],
            prefix=[each] if (each := text(prefix)) else None,
            suffix=[each] if (each := text(suffix)) else None,
        )
        if told:
            yield {"extension": [{"url": NAME_REPRESENTATION, "valueCode": representation}]} | told


def _address(xad: str) -> str | None:
    """The components of an HL7 address, one after the other: shown, never taken apart."""
    components = (component.partition("&")[0].strip() for component in xad.partition("~")[0].split("^"))
    return text(", ".join(component for component in components if component))
