"""The data types that several resources share, and the addresses of code systems.

Source: HL7 FHIR R4, Data Types; Narrative; Extensibility.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from profiles.model import codes
from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, PatientIdentifier, Uid
from profiles.model.moment import Moment, Precision

Json = dict[str, Any]
"""A resource or a part of one. Members stand in the standard's order: that is also the order in which XML wants them."""

DCM = "http://dicom.nema.org/resources/ontology/DCM"
DICOM_UID = "urn:dicom:uid"  # Identifier.system of a Study Instance UID; its value has urn:oid: in front
URI = "urn:ietf:rfc:3986"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RADLEX = "http://www.radlex.org"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
NAME_REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"

CODE_SYSTEMS: Mapping[str, str] = {
    codes.DCM: DCM,
    codes.SNOMED_CT: SNOMED,
    codes.LOINC: LOINC,
    codes.CONFIDENTIALITY: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "DCM": DCM,  # coding scheme designators, as DICOM writes them (PS3.16 Table 8-1)
    "SCT": SNOMED,
    "LN": LOINC,
    "RADLEX": RADLEX,
    "UCUM": "http://unitsofmeasure.org",
}
"""Code systems that FHIR has an address of its own for, by OID and by DICOM designator."""

SUBSETTED: Json = {"system": OBSERVATION_VALUE, "code": "SUBSETTED", "display": "subsetted"}
"""The tag of a resource that is not whole."""

MAX_UNSIGNED_INT = 2**31 - 1

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NOTHING: tuple[object, ...] = (None, "", [], {}, ())


def filled(**members: Any) -> Json:
    """The members that say something. FHIR has no null and no empty string, array or object."""
    return {name: value for name, value in members.items() if value not in _NOTHING}


def text(value: str) -> str | None:
    """A string as FHIR allows it: without control characters, without white space around it; None when empty.

    DICOM text may hold escape sequences and padding; neither JSON nor XML should.
    """
    return _NOT_TEXT.sub("", value).strip() or None


def unsigned(value: int | None) -> int | None:
    """An unsignedInt. DICOM's IS may be negative; then it is left out."""
    return value if value is not None and 0 <= value <= MAX_UNSIGNED_INT else None


def instant(at: datetime) -> str:
    """A time to the millisecond, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_time(moment: Moment | None) -> str | None:
    """A dateTime. FHIR wants a zone with every time; where the speaker named none, only the day is told."""
    if moment is None:
        return None
    if moment.precision > Precision.DAY and not moment.zoned:
        return Moment(moment.at, Precision.DAY, False).iso
    return moment.iso


def date(moment: Moment | None) -> str | None:
    """A date: year, year and month, or day; a time of day is cut off."""
    if moment is None:
        return None
    return Moment(moment.at, min(moment.precision, Precision.DAY), False).iso


def system_of(system: str) -> str | None:
    """The address of a code system given as OID or designator; None for a designator that nobody has registered."""
    known = CODE_SYSTEMS.get(system)
    if known is not None:
        return known
    try:
        return Uid(system).urn
    except ValueError:
        return system if ":" in system else None


def coding(code: Code) -> Json:
    """A Coding of a code of the model."""
    return filled(system=system_of(code.system), code=text(code.value), display=text(code.display))


def concept(code: Code) -> Json:
    """A CodeableConcept of one coding."""
    return filled(coding=[coding(code)])


def patient_identifier(identifier: PatientIdentifier, use: str | None = None) -> Json:
    """A patient's id with the authority that gave it."""
    return filled(use=use, system=identifier.authority.urn, value=text(identifier.value))


def study_identifier(study_instance_uid: Uid) -> Json:
    """A Study Instance UID: the one identifier that every ImagingStudy has."""
    return {
        "type": {"coding": [{"system": DCM, "code": "110180", "display": "Study Instance UID"}]},
        "system": DICOM_UID,
        "value": study_instance_uid.urn,
    }


def numbered(number: AccessionNumber, *types: Json) -> Json:
    """An accession or order number with its types, and its issuer where that is known."""
    system = number.authority.urn if number.authority else None
    return filled(type={"coding": list(types)}, system=system, value=text(number.value))


ACCESSION: Json = {"system": IDENTIFIER_TYPE, "code": "ACSN", "display": "Accession ID"}
ACCESSION_OF_DICOM: Json = {"system": DCM, "code": "121022", "display": "Accession Number"}
PLACER: Json = {"system": IDENTIFIER_TYPE, "code": "PLAC", "display": "Placer Identifier"}
