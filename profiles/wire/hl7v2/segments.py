"""Segments that several transactions share: MSH, EVN, PID, PV1, MRG, and the model.

Source: HL7 v2.3.1 and v2.5 2.14.9 (MSH), 3.4.1 (EVN), 3.4.2 (PID), 3.4.3 (PV1), 3.4.9 (MRG).
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from profiles.findings import Finding
from profiles.model.identifiers import AccessionNumber
from profiles.model.patient import Patient, Sex
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.hl7v2.datatypes import (
    NO_SITE,
    Site,
    read_address,
    read_assigned,
    read_birth_date,
    read_name,
    read_patient_identifiers,
    read_sex,
    warning,
    write_address,
    write_authority,
    write_moment,
    write_name,
    write_patient_identifier,
)
from profiles.wire.hl7v2.message import Component, FieldValue, Segment, Value, Written, written

MAX_CONTROL_ID_CHARACTERS = 20  # MSH-10 in 2.3.1 and 2.5


# --- MSH --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What routing needs of MSH: all as text, components cut off where only the first counts."""

    address: Hl7Address
    message_code: str  # MSH-9.1
    trigger_event: str  # MSH-9.2
    structure: str  # MSH-9.3
    control_id: str  # MSH-10
    processing_id: str  # MSH-11.1
    version: str  # MSH-12.1


@lru_cache(maxsize=16)  # the same segment is asked by listener, codec and acknowledgement
def read_header(msh: Segment) -> Header:
    """Read MSH; what is missing is empty, for the listener decides what it cannot do without."""
    code, trigger, structure = msh.value(9).firsts(3)
    return Header(
        address=Hl7Address(
            sending_application=_hd_text(msh.value(3)),
            sending_facility=_hd_text(msh.value(4)),
            receiving_application=_hd_text(msh.value(5)),
            receiving_facility=_hd_text(msh.value(6)),
        ),
        message_code=code.upper(),
        trigger_event=trigger.upper(),
        structure=structure.upper(),
        control_id=msh.value(10).text,  # to the letter: MSA-2 is an exact copy
        processing_id=msh.part(11).upper(),
        version=msh.part(12),
    )


def _hd_text(hd: Value) -> str:
    """`application`, or `namespace^universal id^type` if it has more than a namespace."""
    if hd.raw.isalnum():
        return hd.raw
    return "^".join(component[0].strip() for component in hd.parts()).rstrip("^")


def write_header(out: Hl7Out, message_type: tuple[str, ...], version: str) -> Written:
    """MSH of a message of ours; `message_type` is code, trigger and, from 2.5 on, structure."""
    address = out.address
    return written(
        "MSH",
        {
            3: _hd(address.sending_application),
            4: _hd(address.sending_facility),
            5: _hd(address.receiving_application),
            6: _hd(address.receiving_facility),
            7: write_time(out.at),
            9: message_type,
            10: out.control_id,
            11: out.processing_id,
            12: version,
        },
    )


def _hd(text: str) -> FieldValue:
    return tuple(text.split("^"))


def write_time(at: datetime) -> str:
    """A time of ours: UTC to the second, with its offset."""
    utc = at.astimezone(UTC)
    return f"{utc.year:04}{utc.month:02}{utc.day:02}{utc.hour:02}{utc.minute:02}{utc.second:02}+0000"


def control_id_of(message_id: str) -> str:
    """A control id for a longer id: the same for the same, and not likely that of another (80 bits of SHA-256).

    Source: HL7 v2.5 2.14.9.10 (20 characters).
    """
    if len(message_id) <= MAX_CONTROL_ID_CHARACTERS:
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()[:MAX_CONTROL_ID_CHARACTERS].upper()


# --- PID --------------------------------------------------------------------------------------------------------------


def read_patient(pid: Segment, site: Site, findings: list[Finding]) -> Patient:
    """A patient with the ids whose authority is known: 0..n here, for the caller decides what none means.

    PID-2 stands in for PID-3 where only the old field is filled.
    """
    identifiers = read_patient_identifiers(pid, 3 if pid.has(3) or not pid.has(2) else 2, site, findings)
    name = read_name(pid, 5)
    if any("\ufffd" in part for part in (name.family, name.given, name.middle, name.ideographic, name.phonetic)):
        findings.append(warning("hl7.text-lost", "a name has bytes that are of no character", "102", pid.at(5)))
    return Patient(
        identifiers=identifiers,
        name=name,
        birth_date=read_birth_date(pid, 7, findings),
        sex=read_sex(pid, 8, findings),
        address=read_address(pid, 11),
    )


def write_patient(patient: Patient, site: Site = NO_SITE, *, set_id: str = "1") -> Written:
    """PID. An unknown sex is said (U): PID-8 is required by some profiles."""
    identifiers: list[str | tuple[Component, ...]] = [
        write_patient_identifier(each, site) for each in patient.identifiers
    ]
    return written(
        "PID",
        {
            1: set_id,
            3: identifiers,
            5: write_name(patient.name),
            7: write_moment(patient.birth_date),
            8: patient.sex.value if patient.sex is not Sex.UNKNOWN else "U",
            11: write_address(patient.address) if patient.address else "",
        },
    )


# --- PV1 --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A visit, as far as images need it: patient class (table 0004: E, I, O, P, R, B, N, U) and visit number."""

    patient_class: str = ""
    number: AccessionNumber | None = None  # value and authority, as an accession number has them


def read_visit(pv1: Segment | None, site: Site = NO_SITE) -> Visit | None:
    """PV1; None where there is none, or where it says nothing."""
    if pv1 is None:
        return None
    number = read_assigned(pv1.value(19), site)
    visit = Visit(patient_class=pv1.part(2).upper(), number=number)
    return visit if visit != Visit() else None


def write_visit(visit: Visit | None, *, default_class: str) -> Written:
    """PV1, with at least the patient class, which is required wherever PV1 is."""
    fields: dict[int, FieldValue] = {2: visit.patient_class if visit and visit.patient_class else default_class}
    if visit is not None and visit.number is not None:
        authority = write_authority(visit.number.authority)
        fields |= {19: (visit.number.value, "", "", authority, "VN"), 51: "V"}
    return written("PV1", fields)
