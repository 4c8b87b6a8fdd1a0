"""The data types of HL7 V3 that our messages need: II, TS, PN, AD, administrative gender.

Readers take what real senders write; what cannot be used is told as a finding and left out. Writers are exact.

Source: HL7 V3 Data Types R1 (XML ITS); ITI TF-2x Appendix E (patient ids as II), Appendix R.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from profiles.findings import Finding, Severity
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment, Precision
from profiles.model.patient import PersonName, Sex
from profiles.wire.hl7v2.message import Value, escape
from profiles.wire.xml import attribute, text

HL7: Final = "urn:hl7-org:v3"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
INTERACTIONS: Final = "2.16.840.1.113883.1.6"  # codes of interactions and trigger events

# --- elements ---------------------------------------------------------------------------------------------------------


def named(name: str) -> str:
    """The name as lxml has it; a path of names as `a/b`."""
    return "/".join(f"{{{HL7}}}{step}" for step in name.split("/"))


def child(element: etree._Element | None, path: str) -> etree._Element | None:
    """The first element at this path below."""
    return None if element is None else element.find(named(path))


def children(element: etree._Element | None, path: str) -> list[etree._Element]:
    """All elements at this path below, in document order."""
    return [] if element is None else element.findall(named(path))


def code_of(element: etree._Element | None, path: str) -> str:
    """The `@code` of the first element at this path; "": there is none."""
    found = child(element, path)
    return "" if found is None else found.get("code", "").strip()


def said(element: etree._Element | None) -> str:
    """The text inside an element, without white space around it."""
    return "" if element is None else "".join(element.itertext()).strip()


def warning(rule: str, says: str, location: str) -> Finding:
    """Something odd that is read all the same."""
    return Finding(rule=rule, text=says, severity=Severity.WARNING, location=location)


def error(rule: str, says: str, location: str, code: str = "") -> Finding:
    """Something that refuses the message."""
    return Finding(rule=rule, text=says, severity=Severity.ERROR, code=code, location=location)


# --- II ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentifier:
    """II: a root (OID or UUID) and, unless the root alone is the id, an extension."""

    root: str = ""
    extension: str = ""

    def __str__(self) -> str:
        """`root^extension`, as audit writes it (ITI TF-2 3.44.5.1)."""
        return f"{self.root}^{self.extension}" if self.extension else self.root

    @property
    def is_known(self) -> bool:
        """There is something in it."""
        return bool(self.root or self.extension)


NO_ID = InstanceIdentifier()


def read_ii(element: etree._Element | None) -> InstanceIdentifier:
    """An II as it came; `NO_ID` where it is absent or null."""
    if element is None:
        return NO_ID
    return InstanceIdentifier(root=element.get("root", "").strip(), extension=element.get("extension", "").strip())


def write_ii(tag: str, ii: InstanceIdentifier) -> str:
    """An II; one that is not known is null (no information)."""
    if not ii.is_known:
        return f'<{tag} nullFlavor="NI"/>'
    root = f' root="{attribute(ii.root)}"' if ii.root else ""
    extension = f' extension="{attribute(ii.extension)}"' if ii.extension else ""
    return f"<{tag}{root}{extension}/>"


def read_oid(element: etree._Element | None) -> Oid | None:
    """The root of an II that names an authority, an organisation or a community; `urn:oid:` in front is tolerated."""
    if element is None:
        return None
    try:
        return Oid.from_urn(element.get("root", "").strip())
    except ValueError:
        return None


def read_patient_identifier(
    element: etree._Element, location: str, findings: list[Finding]
) -> PatientIdentifier | None:
    """A patient id: the root is the assigning authority, the extension the id.

    None, and a finding: no extension, or no OID as root. (An assigningAuthorityName alone means nothing to strangers.)
    """
    ii = read_ii(element)
    authority = read_oid(element)
    if authority is None or not ii.extension:
        if not element.get("nullFlavor"):
            findings.append(
                warning("hl7v3.no-known-authority", "an id without authority or value is left out", location)
            )
        return None
    return PatientIdentifier(value=ii.extension, authority=authority)


def write_patient_identifier(tag: str, identifier: PatientIdentifier) -> str:
    """A patient id as II."""
    return write_ii(tag, InstanceIdentifier(root=identifier.authority, extension=identifier.value))


# --- TS ---------------------------------------------------------------------------------------------------------------


def read_ts(element: etree._Element | None, location: str, findings: list[Finding]) -> Moment | None:
    """A time; None where it is absent, null, or none that exists, which is told."""
    value = "" if element is None else element.get("value", "").strip()
    if not value:
        return None
    try:
        return Moment.from_dtm(value)
    except ValueError:
        findings.append(warning("hl7v3.no-time", "a time that does not exist is left out", location))
        return None


def read_day(element: etree._Element | None, location: str, findings: list[Finding]) -> Moment | None:
    """The day that a time of birth names, or month or year where no more is said.

    Hours and zone are left out: midnight of another zone would be the day before in ours, and nobody is born twice.
    """
    moment = read_ts(element, location, findings)
    if moment is None or moment.precision <= Precision.DAY or element is None:
        return moment
    return Moment.from_dtm(element.get("value", "").strip()[:8])


def write_ts(tag: str, moment: Moment | None) -> str:
    """A time, in UTC where it has hours."""
    if moment is None:
        return f'<{tag} nullFlavor="NI"/>'
    zone = "+0000" if moment.precision > Precision.DAY else ""
    return f'<{tag} value="{moment.dtm}{zone}"/>'


# --- PN ---------------------------------------------------------------------------------------------------------------


def read_name(element: etree._Element | None) -> PersonName:
    """A name in parts. The first given name is the given, the others are the middle names.

    A name without parts ("Unknown" and the like) has no family name, and so none here.
    """
    if element is None:
        return PersonName()
    parts: dict[str, list[str]] = {"family": [], "given": [], "prefix": [], "suffix": []}
    for each in element:
        kind = etree.QName(each).localname if isinstance(each.tag, str) else ""
        if kind in parts and (value := said(each)):
            parts[kind].append(value)
    given = parts["given"]
    return PersonName(
        family=" ".join(parts["family"]),
        given=given[0] if given else "",
        middle=" ".join(given[1:]),
        prefix=" ".join(parts["prefix"]),
        suffix=" ".join(parts["suffix"]),
    )


def write_name(tag: str, name: PersonName, attributes: str = "") -> str:
    """A name in parts; one that is not known is null. Ideographic and phonetic groups have no place in one PN."""
    parts = "".join(
        f"<{kind}>{text(value)}</{kind}>"
        for kind, value in (
            ("prefix", name.prefix), ("given", name.given), ("given", name.middle), ("family", name.family),
            ("suffix", name.suffix),
        )
        if value
    )  # fmt: skip
    return f"<{tag}{attributes}>{parts}</{tag}>" if parts else f'<{tag} nullFlavor="NI"/>'


# --- administrative gender --------------------------------------------------------------------------------------------

GENDERS: dict[str, Sex] = {"M": Sex.MALE, "F": Sex.FEMALE, "UN": Sex.OTHER}
"""AdministrativeGender (2.16.840.1.113883.5.1)."""
_WRITTEN = {sex: code for code, sex in GENDERS.items()}


def read_gender(element: etree._Element | None) -> Sex:
    """The sex; unknown for what is absent, null or of another table, but that HL7 v2's O is understood."""
    code = "" if element is None else element.get("code", "").strip().upper()
    return Sex.OTHER if code == "O" else GENDERS.get(code, Sex.UNKNOWN)


def write_gender(tag: str, sex: Sex) -> str:
    """The sex, or nothing where it is not known."""
    code = _WRITTEN.get(sex)
    return f'<{tag} code="{code}" codeSystem="2.16.840.1.113883.5.1"/>' if code else ""


# --- AD ---------------------------------------------------------------------------------------------------------------

ADDRESS_PARTS = ("streetAddressLine", "additionalLocator", "city", "state", "postalCode", "country")
"""The parts of an address, in the order of XAD's components."""


def read_address(element: etree._Element | None) -> str:
    """An address in the form that the model keeps, XAD: `line^second line^city^state^code^country`. "": none."""
    if element is None:
        return ""
    parts: dict[str, list[str]] = {}
    for each in element:
        if isinstance(each.tag, str) and (value := said(each)):
            parts.setdefault(etree.QName(each).localname, []).append(value)
    lines = parts.get("streetAddressLine") or [
        line for line in (" ".join((*parts.get("houseNumber", ()), *parts.get("streetName", ()))),) if line
    ]
    further = [*lines[1:], *parts.get("additionalLocator", ())]
    values = [
        lines[0] if lines else "",
        " ".join(further),
        *(" ".join(parts.get(kind, ())) for kind in ADDRESS_PARTS[2:]),
    ]
    return "^".join(escape(value) for value in values).rstrip("^")


def address_parts(address: str) -> Iterator[tuple[str, str]]:
    """What an XAD says, part by part, without what it leaves open."""
    for kind, value in zip(ADDRESS_PARTS, Value(address).firsts(len(ADDRESS_PARTS)), strict=True):
        if value:
            yield kind, value


def write_address(tag: str, address: str) -> str:
    """An address, or nothing."""
    parts = "".join(f"<{kind}>{text(value)}</{kind}>" for kind, value in address_parts(address))
    return f"<{tag}>{parts}</{tag}>" if parts else ""
