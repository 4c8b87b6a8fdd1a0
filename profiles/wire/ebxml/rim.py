"""The grammar of registry metadata: slots, classifications, external identifiers, and the table of their UUIDs.

Written as text by templates in the order that the schema wants (`Slot* Name? Description? VersionInfo? Classification*
ExternalIdentifier*`), read into a `Read` in one pass over an element, in whatever order a peer wrote it.

Source: ITI TF-3 4.2.5 (UUIDs), 4.2.3.1 (attributes to ebRIM); OASIS ebRIM 3.0.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha1

from lxml import etree

from profiles.findings import Finding, Severity
from profiles.model.codes import Code
from profiles.model.document import Author, Slots
from profiles.wire.ebxml.xml import elements, text_of
from profiles.wire.soap.names import XDS_B
from profiles.wire.xml import attribute as escape

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDS = XDS_B
IHERAD = "urn:ihe:rad:xdsi-b:2009"
RMD = "urn:ihe:iti:rmd:2017"

# --- classification schemes and nodes ---------------------------------------------------------------------------------

ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
ENTRY_CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
ENTRY_CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
ENTRY_EVENT = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
ENTRY_FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
ENTRY_FACILITY = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
ENTRY_PRACTICE = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
ENTRY_TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SET_CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
FOLDER_CODE = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"

KNOWN_SCHEMES = frozenset(
    {
        ENTRY_AUTHOR,
        ENTRY_CLASS,
        ENTRY_CONFIDENTIALITY,
        ENTRY_EVENT,
        ENTRY_FORMAT,
        ENTRY_FACILITY,
        ENTRY_PRACTICE,
        ENTRY_TYPE,
        SET_AUTHOR,
        SET_CONTENT_TYPE,
        FOLDER_CODE,
    }
)

# --- identification schemes -------------------------------------------------------------------------------------------

ENTRY_PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_PATIENT_ID = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_SOURCE_ID = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SET_UNIQUE_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
FOLDER_PATIENT_ID = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
FOLDER_UNIQUE_ID = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"

IDENTIFIER_NAMES = {
    ENTRY_PATIENT_ID: "XDSDocumentEntry.patientId",
    ENTRY_UNIQUE_ID: "XDSDocumentEntry.uniqueId",
    SET_PATIENT_ID: "XDSSubmissionSet.patientId",
    SET_SOURCE_ID: "XDSSubmissionSet.sourceId",
    SET_UNIQUE_ID: "XDSSubmissionSet.uniqueId",
    FOLDER_PATIENT_ID: "XDSFolder.patientId",
    FOLDER_UNIQUE_ID: "XDSFolder.uniqueId",
}

_OBJECT_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"
_CHILD_IDS = b"attributes of "  # a namespace of our own

MAX_VALUE_CHARACTERS = 256
"""rim:LongName: the longest slot value, code and identifier."""

MAX_ECHO = 256
"""Characters of a peer's own words that are ever said back or logged."""


# --- writing ----------------------------------------------------------------------------------------------------------


class ChildIds:
    """Ids for the classifications and identifiers of one object: UUIDs, the same each time, without randomness.

    ebRIM asks for an id on each; nobody ever refers to them.
    """

    __slots__ = ("_next", "_prefix")

    def __init__(self, parent: str) -> None:
        """Start at the first."""
        # A UUID of version 5 but for its last digits, which count; uuid5() itself takes twice as long.
        digits = sha1(_CHILD_IDS + parent.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        self._prefix = f"urn:uuid:{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-8{digits[17:20]}-{digits[20:28]}"
        self._next = 0

    def __call__(self) -> str:
        """The next id."""
        self._next += 1
        return f"{self._prefix}{self._next:04x}"


def slot(name: str, values: Iterable[str]) -> str:
    """A slot; nothing at all when it would have no values."""
    written = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    return f'<rim:Slot name="{escape(name)}"><rim:ValueList>{written}</rim:ValueList></rim:Slot>' if written else ""


def plain(name: str, value: str) -> str:
    """A slot of one value; neither name nor value has anything in it to escape: times, numbers, OIDs."""
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>'


def localized(element: str, text: str) -> str:
    """A `Name` or `Description`; nothing when there is no text."""
    return f'<rim:{element}><rim:LocalizedString value="{escape(text)}"/></rim:{element}>' if text else ""


def classification(ids: ChildIds, parent: str, scheme: str, code: Code) -> str:
    """A coded attribute. `parent` is escaped already."""
    return f'<rim:Classification id="{ids()}" classifiedObject="{parent}"{_coded(scheme, code)}'


@lru_cache(maxsize=4096)
def _coded(scheme: str, code: Code) -> str:
    """What of a coded attribute is the same in every object: a registry's objects share a few hundred codes."""
    return (
        f' objectType="{_OBJECT_TYPE}Classification" classificationScheme="{scheme}"'
        f' nodeRepresentation="{escape(code.value)}">{slot("codingScheme", (code.system,))}'
        f"{localized('Name', code.display or code.value)}</rim:Classification>"
    )


def author(ids: ChildIds, parent: str, scheme: str, value: Author) -> str:
    """An author. `parent` is escaped already."""
    return f'<rim:Classification id="{ids()}" classifiedObject="{parent}"{_authored(scheme, value)}'


@lru_cache(maxsize=1024)
def _authored(scheme: str, value: Author) -> str:
    """What of an author is the same in every object."""
    slots = (
        slot("authorPerson", (value.person,) if value.person else ())
        + slot("authorInstitution", value.institutions)
        + slot("authorRole", value.roles)
        + slot("authorSpecialty", value.specialties)
        + slot("authorTelecommunication", value.telecommunications)
    )
    return (
        f' objectType="{_OBJECT_TYPE}Classification" classificationScheme="{scheme}" nodeRepresentation="">{slots}'
        "</rim:Classification>"
    )


def node(ids: ChildIds, parent: str, classification_node: str) -> str:
    """What makes a package a submission set or a folder. `parent` is escaped already."""
    return (
        f'<rim:Classification id="{ids()}" objectType="{_OBJECT_TYPE}Classification" classifiedObject="{parent}"'
        f' classificationNode="{classification_node}"/>'
    )


def identifier(ids: ChildIds, parent: str, scheme: str, value: str) -> str:
    """An identifier with its fixed name. `parent` is escaped already."""
    return (
        f'<rim:ExternalIdentifier id="{ids()}" registryObject="{parent}" value="{escape(value)}"{_IDENTIFIED[scheme]}'
    )


_IDENTIFIED = {
    scheme: f' objectType="{_OBJECT_TYPE}ExternalIdentifier" identificationScheme="{scheme}"><rim:Name>'
    f'<rim:LocalizedString value="{name}"/></rim:Name></rim:ExternalIdentifier>'
    for scheme, name in IDENTIFIER_NAMES.items()
}


# --- reading ----------------------------------------------------------------------------------------------------------

_SLOT = f"{{{RIM}}}Slot"
_VALUE_LIST = f"{{{RIM}}}ValueList"
_VALUE = f"{{{RIM}}}Value"
_NAME = f"{{{RIM}}}Name"
_DESCRIPTION = f"{{{RIM}}}Description"
_LOCALIZED = f"{{{RIM}}}LocalizedString"
_VERSION = f"{{{RIM}}}VersionInfo"
_CLASSIFICATION = f"{{{RIM}}}Classification"
_IDENTIFIER = f"{{{RIM}}}ExternalIdentifier"
_ORDER = {_SLOT: 0, _NAME: 1, _DESCRIPTION: 2, _VERSION: 3, _CLASSIFICATION: 4, _IDENTIFIER: 5}


def uuid_urn(text: str | None) -> str:
    """A UUID of a table as we compare it: lower case, and without the blanks that line breaks leave behind."""
    return "".join((text or "").split()).lower()


@dataclass(slots=True)
class Read:
    """One registry object's parts as they came, and what was odd about them.

    `taken` collects the slot names that somebody understood; the rest is extra metadata.
    """

    id: str
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    name: str = ""
    description: str = ""
    version: str = ""
    classifications: dict[str, list[etree._Element]] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    identifiers: dict[str, list[str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def value(self, name: str, findings: list[Finding]) -> str:
        """The value of a slot that has at most one; "" if there is none."""
        values = self.values(name)
        if len(values) > 1:
            findings.append(odd("slot-single", f"slot {name} has {len(values)} values", self.id))
        return values[0] if values else ""

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a slot."""
        self.taken.add(name)
        return self.slots.get(name, ())

    def rest(self, findings: list[Finding]) -> Slots:
        """The slots that nobody asked for. Classifications and identifiers of schemes unknown are named as not kept."""
        for kind, schemes in (
            ("classification", self.classifications.keys() - KNOWN_SCHEMES),
            ("identifier", self.identifiers.keys() - IDENTIFIER_NAMES.keys()),
        ):
            for scheme in sorted(schemes):
                text = f"a {kind} of scheme {scheme[:64] or 'none'} is not kept"
                findings.append(odd(kind, text, self.id, "XDSExtraMetadataNotSaved"))
        return tuple((name, values) for name, values in self.slots.items() if name not in self.taken)

    def identifier(self, scheme: str, findings: list[Finding]) -> str:
        """The identifier of a scheme; "" if there is none."""
        values = self.identifiers.get(scheme, ())
        if len(values) > 1:
            findings.append(wrong("identifier-single", f"{IDENTIFIER_NAMES[scheme]} is there twice", self.id))
        return values[0] if values else ""

    def code(self, scheme: str, attribute: str, findings: list[Finding]) -> Code:
        """The code of an attribute that has at most one; `NO_CODE` if there is none."""
        codes = self.codes(scheme, attribute, findings)
        if len(codes) > 1:
            findings.append(wrong("code-single", f"{attribute} has {len(codes)} values", self.id))
        return codes[0] if codes else NO_CODE

    def codes(self, scheme: str, attribute: str, findings: list[Finding]) -> tuple[Code, ...]:
        """The codes of an attribute, in document order."""
        return tuple(_code(element, attribute, self.id, findings) for element in self.classifications.get(scheme, ()))

    def authors(self, scheme: str, findings: list[Finding]) -> tuple[Author, ...]:
        """The authors, in document order."""
        return tuple(_author(element, self.id, findings) for element in self.classifications.get(scheme, ()))


NO_CODE = Code(value="", system="")
"""What stands where a peer sent no code; a rule says whether that may be."""


def odd(rule: str, text: str, location: str = "", code: str = "") -> Finding:
    """Something that we can read although it is not as it should be."""
    return Finding(rule=f"ebrim/{rule}", text=text, severity=Severity.WARNING, location=location[:MAX_ECHO], code=code)


def wrong(rule: str, text: str, location: str = "", code: str = "") -> Finding:
    """Something that refuses the message."""
    return Finding(rule=f"ebrim/{rule}", text=text, location=location[:MAX_ECHO], code=code)


def slots_of(element: etree._Element, findings: list[Finding], owner: str) -> dict[str, tuple[str, ...]]:
    """The slots that are children of an element; the values of a repeated name are put together."""
    found: dict[str, tuple[str, ...]] = {}
    for child in element.iterchildren(_SLOT):
        _take_slot(child, found, findings, owner)
    return found


def _take_slot(element: etree._Element, found: dict[str, tuple[str, ...]], findings: list[Finding], owner: str) -> None:
    name = (element.get("name") or "").strip()
    values = tuple(
        text_of(value) for values in element.iterchildren(_VALUE_LIST) for value in values.iterchildren(_VALUE)
    )
    if name in found:
        findings.append(odd("slot-repeated", f"slot {name} is there twice", owner))
        values = found[name] + values
    found[name] = values


def _localized(element: etree._Element) -> str:
    string = next(element.iterchildren(_LOCALIZED), None)
    return "" if string is None else (string.get("value") or "").strip()


def read(element: etree._Element, findings: list[Finding]) -> Read:
    """Take a registry object apart in one pass."""
    found = Read(id=(element.get("id") or "").strip())
    if not found.id:
        findings.append(wrong("object-has-id", "a registry object has no id"))
    last = 0
    ordered = True
    for child in elements(element):
        tag = str(child.tag)
        place = _ORDER.get(tag, last)
        ordered = ordered and place >= last
        last = place
        if tag == _SLOT:
            _take_slot(child, found.slots, findings, found.id)
        elif tag == _CLASSIFICATION:
            _take_classification(child, found, findings)
        elif tag == _IDENTIFIER:
            scheme = uuid_urn(child.get("identificationScheme"))
            found.identifiers.setdefault(scheme, []).append((child.get("value") or "").strip())
            _check_parent(child.get("registryObject"), found.id, findings)
        elif tag == _NAME:
            found.name = _localized(child)
        elif tag == _DESCRIPTION:
            found.description = _localized(child)
        elif tag == _VERSION:
            found.version = (child.get("versionName") or "").strip()
    if not ordered:
        findings.append(odd("order", "children of a registry object are not in the order of the schema", found.id))
    return found


def _take_classification(element: etree._Element, found: Read, findings: list[Finding]) -> None:
    classification_node = element.get("classificationNode")
    if classification_node is not None:
        found.nodes.append(uuid_urn(classification_node))
        return
    found.classifications.setdefault(uuid_urn(element.get("classificationScheme")), []).append(element)
    _check_parent(element.get("classifiedObject"), found.id, findings)


def _check_parent(named: str | None, parent: str, findings: list[Finding]) -> None:
    if (named or "").strip() != parent:
        findings.append(odd("parent", "an attribute names another object than the one that it stands in", parent))


def _code(element: etree._Element, attribute: str, owner: str, findings: list[Finding]) -> Code:
    schemes = slots_of(element, findings, owner).get("codingScheme", ())
    if len(schemes) != 1:
        findings.append(wrong("coding-scheme", f"{attribute} has {len(schemes)} coding schemes, not one", owner))
    name = next(element.iterchildren(_NAME), None)
    display = "" if name is None else _localized(name)
    if not display:
        findings.append(odd("display-name", f"{attribute} has no display name", owner))
    return Code(
        value=(element.get("nodeRepresentation") or "").strip(), system=schemes[0] if schemes else "", display=display
    )


def _author(element: etree._Element, owner: str, findings: list[Finding]) -> Author:
    slots = slots_of(element, findings, owner)
    persons = slots.get("authorPerson", ())
    if len(persons) > 1:
        findings.append(odd("author-single-person", f"an author has {len(persons)} persons; the first is kept", owner))
    if "authorSpeciality" in slots:  # a spelling that is seen in the field
        findings.append(odd("author-specialty", "slot authorSpeciality is spelled authorSpecialty", owner))
    return Author(
        person=persons[0] if persons else "",
        institutions=slots.get("authorInstitution", ()),
        roles=slots.get("authorRole", ()),
        specialties=slots.get("authorSpecialty", ()) + slots.get("authorSpeciality", ()),
        telecommunications=slots.get("authorTelecommunication", ()),
    )
