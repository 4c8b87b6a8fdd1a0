"""HL7 v2 data types and the model: HD, CX, EI, XPN, TS, CWE.

A reader of a type takes a `Value` and what the house knows (`Site`) and answers the model's value, adding what was odd to
the findings that it is handed. A writer answers the tuples that `message.write_message` takes.

What a newcomer gets wrong: XPN is family, given, middle, *suffix, prefix*; DICOM's PN has the last two the other way
round. And an authority may be said by namespace alone: only the house's table can tell which OID that is.

Source: HL7 v2.5 2A (CX 2A.14, HD 2A.36, XPN 2A.89, TS 2A.77, EI 2A.28); ITI TF-2x Appendix E, N; ITI TF-2 3.8.4.1.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache

from profiles.findings import Finding, Severity
from profiles.model.codes import DCM, LOINC, SNOMED_CT, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import NO_NAME, PersonName, Sex
from profiles.wire.hl7v2.message import NULL, STANDARD, Component, FieldValue, Segment, Value, escape

UNKNOWN_KEY = "204"
TYPE_ERROR = "102"
NOT_IN_TABLE = "103"
REQUIRED = "101"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a message does not say and the house knows.

    `namespaces` are the assigning authorities by namespace id, or by the whole HD (`CHU-X&000897406&N`) where it is of
    another type than ISO. `default_authority` is whose an id without any authority is (None: nobody's, which is an error).
    `zone` is that of times without an offset; `codec` reads text that is not ASCII where MSH-18 is silent.

    Source: ITI TF-2 3.8.4.1.2.4 (the table of namespaces and OIDs).
    """

    namespaces: Mapping[str, Oid] = field(default_factory=dict)
    default_authority: Oid | None = None
    zone: tzinfo = UTC
    codec: str = "utf-8"


NO_SITE = Site()


def error(rule: str, text: str, code: str, location: str) -> Finding:
    """A finding that refuses the message."""
    return Finding(rule=rule, text=text, severity=Severity.ERROR, code=code, location=location)


def warning(rule: str, text: str, code: str, location: str) -> Finding:
    """A finding that is only told."""
    return Finding(rule=rule, text=text, severity=Severity.WARNING, code=code, location=location)


# --- HD: who assigned it ----------------------------------------------------------------------------------------------


def read_authority(hd: Value, site: Site, at: str, findings: list[Finding]) -> Oid | None:
    """The OID of an assigning authority, by itself or by the house's table; None where nobody can tell.

    Tolerated, each a warning: an OID in the place of the namespace, `urn:oid:` in front, a missing or wrong type beside
    an OID.

    Args:
        hd: A component whose subcomponents are namespace, universal id, type.
        site: The table.
        at: Where it is, for findings.
        findings: Where to add.

    Source: HL7 v2.5 2A.36; ITI TF-2x Appendix E.
    """
    namespace, universal, kind = hd.subcomponents(3)
    if kind == "ISO" and not namespace and universal[:1].isdigit() and (plain := _oid(universal)) == universal:
        return plain  # the form that IHE asks for
    known = site.namespaces.get(namespace) if namespace else None
    said = _oid(universal)
    if said is not None and kind.upper() in ("ISO", "", "NULL"):
        if kind.upper() != "ISO" or universal != said:
            findings.append(
                warning("hl7.authority-spelling", "an OID has the type ISO and no prefix", NOT_IN_TABLE, at)
            )
        if known is not None and known != said:
            findings.append(
                error("hl7.authority-contradiction", "namespace and OID are of two authorities", UNKNOWN_KEY, at)
            )
            return None
        return said
    if universal:
        by_whole = site.namespaces.get(f"{namespace}&{universal}&{kind}")
        return by_whole or known
    if known is None and (misplaced := _oid(namespace)) is not None:
        findings.append(
            warning("hl7.authority-spelling", "an OID stands in the place of the namespace", NOT_IN_TABLE, at)
        )
        return misplaced
    return known


def _oid(text: str) -> Oid | None:
    if "." not in text:  # a number of some national register, not an OID
        return None
    try:
        return Oid.from_urn(text)
    except ValueError:
        return None


def namespace_of(authority: Oid, site: Site) -> str:
    """The namespace id of an authority, if the table has one; so that all three subcomponents can be written."""
    return next((name for name, oid in site.namespaces.items() if oid == authority and "&" not in name), "")


def write_authority(authority: Oid | None, site: Site = NO_SITE) -> Component:
    """`namespace&oid&ISO`, the namespace only where it is known."""
    return (namespace_of(authority, site), str(authority), "ISO") if authority else ""


# --- CX and EI: ids ---------------------------------------------------------------------------------------------------


def read_patient_identifier(cx: Value, site: Site, at: str, findings: list[Finding]) -> PatientIdentifier | None:
    """A patient id with its authority; None, and a warning, where it cannot be had.

    The check digit (CX.2) is no part of the id. Leading zeros and case count.

    Args:
        cx: One repetition.
        site: The table of namespaces, and the default authority.
        at: Where it is, without the component.
        findings: Where to add.

    Source: HL7 v2.5 2A.14; ITI TF-2 3.8.4.1.2.4.
    """
    identifier = cx.part(1)
    if not identifier or identifier == NULL:
        if cx.has_content:
            findings.append(warning("hl7.identifier-without-value", "an authority without an id", REQUIRED, f"{at}^1"))
        return None
    assigner = cx.component(4)
    said = bool(assigner.raw.strip(" " + assigner.delimiters.subcomponent))
    authority = read_authority(assigner, site, f"{at}^4", findings) if said else site.default_authority
    if authority is None:
        findings.append(
            warning("hl7.authority-unknown", "nobody here knows this assigning authority", UNKNOWN_KEY, f"{at}^4")
        )
        return None
    return PatientIdentifier(value=identifier, authority=authority)


def read_patient_identifiers(
    segment: Segment, number: int, site: Site, findings: list[Finding]
) -> tuple[PatientIdentifier, ...]:
    """The ids of a field whose authority is known, in order, each once."""
    found = (
        read_patient_identifier(cx, site, segment.at(number, repetition), findings)
        for repetition, cx in enumerate(segment.values(number), start=1)
    )
    return tuple(dict.fromkeys(each for each in found if each is not None))


def write_patient_identifier(
    identifier: PatientIdentifier, site: Site = NO_SITE, kind: str = ""
) -> tuple[Component, ...]:
    """`id^^^namespace&oid&ISO^kind`."""
    return (identifier.value, "", "", write_authority(identifier.authority, site), kind)


def read_entity(ei: Value, site: Site = NO_SITE) -> AccessionNumber | None:
    """An order's number with its authority, if that is known.

    Source: HL7 v2.5 2A.28.
    """
    if not ei.part(1) or ei.is_null:
        return None
    authority = _oid(ei.part(3)) or site.namespaces.get(ei.part(2))
    return AccessionNumber(value=ei.part(1), authority=authority)


def read_assigned(cx: Value, site: Site = NO_SITE) -> AccessionNumber | None:
    """A number that is written as CX: an account, a visit.

    Source: HL7 v2.5 2A.14.
    """
    if not cx.part(1) or cx.is_null:
        return None
    return AccessionNumber(value=cx.part(1), authority=read_authority(cx.component(4), site, "", []))


def write_entity(number: AccessionNumber | None, site: Site = NO_SITE) -> FieldValue:
    """`number^namespace^oid^ISO`."""
    if number is None:
        return ""
    if number.authority is None:
        return number.value
    return (number.value, namespace_of(number.authority, site), str(number.authority), "ISO")


# --- XPN: names -------------------------------------------------------------------------------------------------------

_IDEOGRAPHIC, _PHONETIC = "I", "P"
_NOT_THE_NAME = frozenset(
    {"B", "M", "A", "S", "BAD", "U"}
)  # table 0200: birth, maiden, alias, pseudonym, bad, unspecified


def read_name(segment: Segment, number: int) -> PersonName:
    """A person's name: the legal (L), display (D) or untyped repetition, with its ideographic and phonetic forms.

    Source: HL7 v2.5 2A.89; tables 0200 (type), 0465 (representation).
    """
    alphabetic: list[str] | None = None
    fallback: list[str] | None = None
    groups = {_IDEOGRAPHIC: "", _PHONETIC: ""}
    for xpn in segment.values(number):
        if not xpn.has_content or xpn.is_null:
            continue
        parts = ["" if part == NULL else part for part in xpn.firsts(8)]
        kind, representation = parts[6].upper(), parts[7].upper()
        if representation in groups:
            groups[representation] = groups[representation] or _dicom_order(parts)
        elif kind in _NOT_THE_NAME:
            fallback = fallback or parts
        elif alphabetic is None or (kind == "L" and alphabetic[6].upper() != "L"):
            alphabetic = parts
    chosen = alphabetic or fallback
    if chosen is None and not any(groups.values()):
        return NO_NAME
    family, given, middle, suffix, prefix = chosen[:5] if chosen is not None else ("",) * 5
    return PersonName(
        family=family,
        given=given,
        middle=middle,
        suffix=suffix,
        prefix=prefix,
        ideographic=groups[_IDEOGRAPHIC],
        phonetic=groups[_PHONETIC],
    )


def _dicom_order(parts: list[str]) -> str:
    family, given, middle, suffix, prefix = parts[:5]
    return "^".join((family, given, middle, prefix, suffix)).rstrip("^")


def write_name(name: PersonName) -> FieldValue:
    """All its forms as repetitions, the alphabetic one first."""
    repetitions: list[str | tuple[Component, ...]] = []
    if name.family or name.given or name.middle or name.prefix or name.suffix:
        kind = ("", "L") if not (name.ideographic or name.phonetic) else ("", "L", "A")
        repetitions.append((name.family, name.given, name.middle, name.suffix, name.prefix, *kind))
    for group, representation in ((name.ideographic, _IDEOGRAPHIC), (name.phonetic, _PHONETIC)):
        if group:
            family, given, middle, prefix, suffix = (group.split("^") + [""] * 5)[:5]
            repetitions.append((family, given, middle, suffix, prefix, "", "L", representation))
    return repetitions


# --- XAD: addresses, as they came -------------------------------------------------------------------------------------


def read_address(segment: Segment, number: int) -> str:
    """The first address in the standard's delimiters, otherwise untouched: `line^^city^state^zip^country`."""
    xad = segment.value(number)
    if xad.is_null:
        return ""
    if xad.delimiters == STANDARD and STANDARD.escape not in xad.raw:
        return xad.raw
    return "^".join("&".join(escape(part) for part in component).rstrip("&") for component in xad.parts()).rstrip("^")


def write_address(address: str) -> FieldValue:
    """An address that `read_address` gave, taken apart again so that it is escaped only once."""
    return Value(address).parts()


# --- TS, table 0001, CWE ----------------------------------------------------------------------------------------------


def read_moment(segment: Segment, number: int, site: Site, findings: list[Finding]) -> Moment | None:
    """A time with the precision that was said, in the house's zone where no offset is; None, and an error, if it is none.

    Source: HL7 v2.5 2A.77 (TS), 2A.22 (DTM).
    """
    text = segment.part(number, 1)
    if not text or text == NULL:
        return None
    try:
        return _moment(text, site.zone)
    except (ValueError, OverflowError):
        findings.append(error("hl7.timestamp", "not a date and time", TYPE_ERROR, segment.at(number)))
        return None


@lru_cache(maxsize=64)  # a message says the same second twice, and a burst of messages too
def _moment(text: str, zone: tzinfo) -> Moment:
    return Moment.from_dtm(text, zone)


def read_birth_date(segment: Segment, number: int, findings: list[Finding]) -> Moment | None:
    """A date of birth; a time of day is let go, and a date that cannot be read costs the date and not the message."""
    text = segment.part(number, 1)[:8]
    if not text or text == NULL:
        return None
    for length in (8, 6, 4):
        try:
            moment = Moment.from_dtm(text[:length])
        except ValueError:
            continue
        if length < len(text):
            findings.append(
                warning("hl7.birth-date", "not a date; only its beginning was read", TYPE_ERROR, segment.at(number))
            )
        return moment
    findings.append(warning("hl7.birth-date", "not a date", TYPE_ERROR, segment.at(number)))
    return None


def write_moment(moment: Moment | None) -> str:
    """As precise as it is; with its offset where it has a time of day."""
    if moment is None:
        return ""
    return f"{moment.dtm}+0000" if moment.zoned else moment.dtm


_SEX = {"F": Sex.FEMALE, "M": Sex.MALE, "O": Sex.OTHER, "A": Sex.OTHER, "N": Sex.OTHER, "U": Sex.UNKNOWN}


def read_sex(segment: Segment, number: int, findings: list[Finding]) -> Sex:
    """Table 0001; ambiguous (A) and not applicable (N) are other."""
    text = segment.part(number, 1).upper()
    if not text or text == NULL:
        return Sex.UNKNOWN
    if text not in _SEX:
        findings.append(warning("hl7.sex", "not in table 0001", NOT_IN_TABLE, segment.at(number)))
    return _SEX.get(text, Sex.UNKNOWN)


# Table 0396: what a coding system is called in HL7 v2. Others are written as they are.
_SYSTEM_NAMES = {DCM: "DCM", SNOMED_CT: "SCT", LOINC: "LN"}
_SYSTEMS = {name: system for system, name in _SYSTEM_NAMES.items()}


def read_code(cwe: Value) -> Code | None:
    """A coded value, if it has a code or a text."""
    value, display, system = (cwe.part(number) for number in (1, 2, 3))
    if not value and not display:
        return None
    return Code(value=value, system=_SYSTEMS.get(system, system), display=display)


def write_code(code: Code) -> tuple[Component, ...]:
    """`code^text^system`."""
    return (code.value, code.display, _SYSTEM_NAMES.get(code.system, code.system))
