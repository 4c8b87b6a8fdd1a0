"""HL7-typed values inside metadata: CX, CXi, DTM, and the PID fields of sourcePatientInfo.

XCN, XON and XTN are handed through as they came: nobody here takes an author apart.

Source: ITI TF-3 4.2.3.1.7 (table 4.2.3.1.7-2).
"""

import re
from collections.abc import Iterable

from profiles.findings import Finding
from profiles.model.document import ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import NO_NAME, Patient, PersonName, Sex
from profiles.wire.ebxml.rim import odd, wrong

# --- HL7 escapes ------------------------------------------------------------------------------------------------------

_ESCAPES = {"|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\", "\\": "\\E\\"}
_UNESCAPES = {written: plain for plain, written in _ESCAPES.items()}
_DELIMITER = re.compile(r"[|^~&\\]")
_ESCAPED = re.compile(r"\\[FSRTE]\\")


def escape_hl7(text: str) -> str:
    """Text as it may stand inside a component."""
    return _DELIMITER.sub(lambda match: _ESCAPES[match[0]], text)


def unescape_hl7(text: str) -> str:
    r"""Text of a component; `\X..\` and other escapes than those of delimiters stay as they are."""
    return _ESCAPED.sub(lambda match: _UNESCAPES[match[0]], text) if "\\" in text else text


# --- identifiers ------------------------------------------------------------------------------------------------------


def cx(identifier: PatientIdentifier) -> str:
    """`id^^^&oid&ISO`."""
    return f"{escape_hl7(identifier.value)}^^^&{identifier.authority}&ISO"


def from_cx(text: str) -> PatientIdentifier:
    """Read a patient id.

    A namespace id before the OID and components behind it are ignored.

    Raises:
        ValueError: There is no value, or no OID that says whose it is.
    """
    value, *rest = text.split("^")
    if len(rest) < 3:
        raise ValueError("a patient id has the form id^^^&oid&ISO")
    authority = rest[2].split("&")
    if len(authority) < 2:
        raise ValueError("a patient id names its assigning authority by OID")
    return PatientIdentifier(value=unescape_hl7(value.strip()), authority=Oid.from_urn(authority[1].strip()))


def cxi(reference: ReferenceId) -> str:
    """`value^^^&oid&ISO^type`, `value^^^namespace^type` or `value^^^^type`.

    This text is also what `$XDSDocumentEntryReferenceIdList` patterns are compared with.
    """
    authority = escape_hl7(reference.authority)
    if authority[:1].isdigit():
        authority = f"&{authority}&ISO"
    return f"{escape_hl7(reference.value)}^^^{authority}^{escape_hl7(reference.type)}"


def from_cxi(text: str) -> ReferenceId:
    """Read an entry of referenceIdList.

    Raises:
        ValueError: The value or the type code (component 5) is missing.
    """
    components = text.split("^")
    value, kind = components[0].strip(), components[4].strip() if len(components) > 4 else ""
    if not value or not kind:
        raise ValueError("a reference id has a value in component 1 and its type in component 5")
    namespace, _, universal = components[3].partition("&")
    authority = universal.partition("&")[0].strip() or namespace.strip()
    return ReferenceId(value=unescape_hl7(value), type=unescape_hl7(kind), authority=unescape_hl7(authority))


# --- time -------------------------------------------------------------------------------------------------------------


def from_dtm(text: str, attribute: str, owner: str, findings: list[Finding]) -> Moment | None:
    """Read a time, which is UTC by rule; None, and a finding, when it cannot be read."""
    if not text:
        return None
    if not text.isdigit():
        findings.append(odd("dtm", f"{attribute} has a zone or a fraction; metadata times are UTC seconds", owner))
    try:
        moment = Moment.from_dtm(text)
        moment.dtm  # noqa: B018 - a time whose UTC form leaves the calendar is not one
    except (ValueError, OverflowError):
        findings.append(wrong("dtm", f"{attribute} is not YYYY[MM[DD[hh[mm[ss]]]]]", owner))
        return None
    return moment


# --- sourcePatientInfo ------------------------------------------------------------------------------------------------


def _joined(parts: Iterable[str]) -> str:
    return "^".join(escape_hl7(part) for part in parts).rstrip("^")


def source_patient_info(patient: Patient) -> tuple[str, ...]:
    """The values of the slot. A name goes out as XPN: suffix before prefix, the other way round than in DICOM."""
    name = patient.name
    return (
        *(f"PID-3|{cx(identifier)}" for identifier in patient.identifiers),
        *(
            (f"PID-5|{_joined((name.family, name.given, name.middle, name.suffix, name.prefix))}",)
            if name != NO_NAME
            else ()
        ),
        *((f"PID-7|{patient.birth_date.dtm[:8]}",) if patient.birth_date else ()),
        *((f"PID-8|{patient.sex}",) if patient.sex is not Sex.UNKNOWN else ()),
        *((f"PID-11|{patient.address}",) if patient.address else ()),
    )


def from_source_patient_info(
    values: Iterable[str], fallback: PatientIdentifier | None, owner: str, findings: list[Finding]
) -> Patient | None:
    """Read the slot; None when it is not there. Without a usable PID-3 the patient is known by `fallback`."""
    identifiers: list[PatientIdentifier] = []
    name, birth_date, sex, address = NO_NAME, None, Sex.UNKNOWN, ""
    found = False
    for value in values:
        found = True
        field, _, text = value.partition("|")
        field, text = field.strip().upper(), text.strip()
        if field == "PID-3":
            identifiers += _identifiers(text, owner, findings)
        elif field == "PID-5" and name == NO_NAME:
            name = _name(text.split("~")[0])
        elif field == "PID-7":
            birth_date = _birth_date(text, owner, findings)
        elif field == "PID-8":
            sex = Sex(text) if text in ("F", "M", "O") else Sex.UNKNOWN
        elif field == "PID-11" and not address:
            address = text
    if not found:
        return None
    known = tuple(dict.fromkeys(identifiers)) or ((fallback,) if fallback else ())
    return Patient(identifiers=known, name=name, birth_date=birth_date, sex=sex, address=address)


def _identifiers(text: str, owner: str, findings: list[Finding]) -> Iterable[PatientIdentifier]:
    for repetition in text.split("~"):
        try:
            yield from_cx(repetition)
        except ValueError:
            findings.append(odd("source-patient-id", "a PID-3 value has no assigning authority and is left out", owner))


def _name(text: str) -> PersonName:
    family, given, middle, suffix, prefix, *_ = (*text.split("^"), "", "", "", "", "")
    return PersonName(
        family=unescape_hl7(family.split("&")[0].strip()),  # the surname of FN; own and partner parts follow it
        given=unescape_hl7(given.strip()),
        middle=unescape_hl7(middle.strip()),
        prefix=unescape_hl7(prefix.strip()),
        suffix=unescape_hl7(suffix.strip()),
    )


def _birth_date(text: str, owner: str, findings: list[Finding]) -> Moment | None:
    if not text:
        return None
    try:
        return Moment.from_dtm(text[:8])
    except ValueError:
        findings.append(odd("source-patient-birth-date", "PID-7 is not a date and is left out", owner))
        return None
