"""SubmissionSet, Folder and Association <-> ebRIM, and the list of registry objects that they travel in.

Source: ITI TF-3 4.2.1.1 (submission requests), 4.2.2 (associations), 4.2.3.3, 4.2.3.4.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from profiles.errors import MalformedMessage, RuleViolation
from profiles.findings import Decoded, Finding
from profiles.model.document import Association, AssociationType, DocumentEntry, Folder, Submission, SubmissionSet
from profiles.model.identifiers import Oid
from profiles.wire.ebxml import rim
from profiles.wire.ebxml.datatypes import cx, from_dtm
from profiles.wire.ebxml.entry import (
    Phase,
    extrinsic_object,
    from_home,
    home,
    home_of,
    patient_id,
    read_entry,
    registered,
    status,
    version,
)
from profiles.wire.ebxml.rim import LCM, RIM, RS, Read, odd, wrong
from profiles.wire.ebxml.xml import elements, pieces
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.xml import attribute as escape

_PACKAGE_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage"
_ASSOCIATION_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association"

TARGET = "homeCommunityId"
"""The slot of a request that names the community that a submission is for."""

# --- writing ----------------------------------------------------------------------------------------------------------


def submission_set(value: SubmissionSet, phase: Phase) -> str:
    """A submission set, written."""
    id = escape(value.entry_uuid)
    ids = rim.ChildIds(value.entry_uuid)
    return "".join(
        (
            f'<rim:RegistryPackage id="{id}"{home(value.home_community_id)}'
            f'{registered(phase, value.availability_status, "", value.entry_uuid)} objectType="{_PACKAGE_TYPE}">',
            rim.slot("submissionTime", (value.submission_time.dtm,)),
            rim.slot("intendedRecipient", value.intended_recipients),
            *(rim.slot(name, values) for name, values in value.extra),
            rim.localized("Name", value.title),
            rim.localized("Description", value.comments),
            rim.node(ids, id, rim.SET_NODE),
            *(rim.author(ids, id, rim.SET_AUTHOR, author) for author in value.authors),
            rim.classification(ids, id, rim.SET_CONTENT_TYPE, value.content_type_code),
            rim.identifier(ids, id, rim.SET_PATIENT_ID, cx(value.patient_id)),
            rim.identifier(ids, id, rim.SET_SOURCE_ID, value.source_id),
            rim.identifier(ids, id, rim.SET_UNIQUE_ID, value.unique_id),
            "</rim:RegistryPackage>",
        )
    )


def folder(value: Folder, phase: Phase) -> str:
    """A folder, written."""
    id = escape(value.entry_uuid)
    ids = rim.ChildIds(value.entry_uuid)
    return "".join(
        (
            f'<rim:RegistryPackage id="{id}"{home(value.home_community_id)}'
            f"{registered(phase, value.availability_status, value.logical_id, value.entry_uuid)}"
            f' objectType="{_PACKAGE_TYPE}">',
            rim.slot("lastUpdateTime", (value.last_update_time.dtm,)) if value.last_update_time else "",
            *(rim.slot(name, values) for name, values in value.extra),
            rim.localized("Name", value.title),
            rim.localized("Description", value.comments),
            f'<rim:VersionInfo versionName="{value.version}"/>' if phase is Phase.REGISTERED else "",
            rim.node(ids, id, rim.FOLDER_NODE),
            *(rim.classification(ids, id, rim.FOLDER_CODE, code) for code in value.codes),
            rim.identifier(ids, id, rim.FOLDER_PATIENT_ID, cx(value.patient_id)),
            rim.identifier(ids, id, rim.FOLDER_UNIQUE_ID, value.unique_id),
            "</rim:RegistryPackage>",
        )
    )


def association(value: Association, phase: Phase) -> str:
    """An association, written."""
    slots = "".join(rim.slot(name, values) for name, values in value.extra)
    if value.original is not None:
        slots = rim.slot("SubmissionSetStatus", ("Original" if value.original else "Reference",)) + slots
    return (
        f'<rim:Association id="{escape(value.entry_uuid)}"'
        f'{registered(phase, value.availability_status, "", value.entry_uuid)} objectType="{_ASSOCIATION_TYPE}"'
        f' associationType="{value.type}" sourceObject="{escape(value.source)}" targetObject="{escape(value.target)}"'
        + (f">{slots}</rim:Association>" if slots else "/>")
    )


def object_ref(entry_uuid: str, home_community_id: Oid | None = None) -> str:
    """A reference to an object."""
    return f'<rim:ObjectRef id="{escape(entry_uuid)}"{home(home_community_id)}/>'


def registry_objects(submission: Submission, phase: Phase) -> Iterator[str]:
    """Every object of a submission, one text each."""
    for entry in submission.entries:
        yield extrinsic_object(entry, phase)
    yield submission_set(submission.submission_set, phase)
    for each in submission.folders:
        yield folder(each, phase)
    for arrow in submission.associations:
        yield association(arrow, phase)


def submit_objects_request(submission: Submission, target: Oid | None = None) -> Iterator[str]:
    """`lcm:SubmitObjectsRequest`: the whole of ITI-42, the first half of ITI-41; `target`: the community it is for."""
    yield f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}">'
    if target is not None:
        yield f'<rs:RequestSlotList xmlns:rs="{RS}">{rim.plain(TARGET, target.urn)}</rs:RequestSlotList>'
    yield "<rim:RegistryObjectList>"
    yield from registry_objects(submission, Phase.SUBMITTED)
    yield "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>"


# --- reading ----------------------------------------------------------------------------------------------------------

SUBMIT_OBJECTS_REQUEST = f"{{{LCM}}}SubmitObjectsRequest"
REGISTRY_OBJECT_LIST = f"{{{RIM}}}RegistryObjectList"
_EXTRINSIC_OBJECT = f"{{{RIM}}}ExtrinsicObject"
_PACKAGE = f"{{{RIM}}}RegistryPackage"
_ASSOCIATION = f"{{{RIM}}}Association"
_CLASSIFICATION = f"{{{RIM}}}Classification"
_OBJECT_REF = f"{{{RIM}}}ObjectRef"
_REQUEST_SLOTS = f"{{{RS}}}RequestSlotList"
_SLOT, _VALUES, _VALUE = f"{{{RIM}}}Slot", f"{{{RIM}}}ValueList", f"{{{RIM}}}Value"

MAX_OBJECTS = 20_000
"""Objects of one message; a submission of ours has four, the largest answers of registries some thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """An object by its entryUUID, and the community that has it."""

    entry_uuid: str
    home_community_id: Oid | None = None


@dataclass(slots=True)
class RegistryObjects:
    """What a RegistryObjectList holds, kind by kind, each in document order. `unreadable` counts what was left out."""

    entries: list[DocumentEntry] = field(default_factory=list)
    submission_sets: list[SubmissionSet] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    references: list[ObjectRef] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)


def encode_submission(submission: Submission) -> SoapOut:
    """`lcm:SubmitObjectsRequest` as a body of its own: metadata without documents (ITI-42, 57, 61, 92)."""
    return SoapOut(body=pieces(submit_objects_request(submission)))


def decode_submission(message: SoapIn) -> Decoded[Submission]:
    """The same, read.

    Raises:
        MalformedMessage: It is another element.
        RuleViolation: The metadata cannot be read as registry objects.
    """
    if message.body.tag != SUBMIT_OBJECTS_REQUEST:
        raise MalformedMessage("no lcm:SubmitObjectsRequest", location="Body")
    findings: list[Finding] = []
    return Decoded(read_submission(message.body, findings), tuple(findings))


def read_objects(parent: etree._Element, findings: list[Finding]) -> RegistryObjects:
    """Read a list of registry objects; one that has no owner or no meaning is counted and left out.

    Raises:
        MalformedMessage: There are more than we would look at.
    """
    if len(parent) > MAX_OBJECTS:
        raise MalformedMessage(f"more than {MAX_OBJECTS} registry objects", location="RegistryObjectList")
    nodes = _top_level_nodes(parent)
    objects = RegistryObjects()
    for element in elements(parent):
        try:
            _read_object(element, nodes, objects, findings)
        except RuleViolation as error:
            objects.unreadable += error.findings
    return objects


def read_submission(request: etree._Element, findings: list[Finding]) -> Submission:
    """Read `lcm:SubmitObjectsRequest`.

    Raises:
        MalformedMessage: There is no list of registry objects.
        RuleViolation: An object has no usable patient id or is of no known kind, or there is not exactly one set.
    """
    parent = next(request.iterchildren(REGISTRY_OBJECT_LIST), None)
    if parent is None:
        raise MalformedMessage("no rim:RegistryObjectList", location="SubmitObjectsRequest")
    objects = read_objects(parent, findings)
    if len(objects.submission_sets) != 1 and not objects.unreadable:
        objects.unreadable.append(
            wrong("one-submission-set", f"{len(objects.submission_sets)} submission sets, exactly one is asked for")
        )
    if objects.unreadable:
        first = objects.unreadable[0]
        raise RuleViolation(
            first.text, location=first.location, code=first.code, findings=(*objects.unreadable, *findings)
        )
    return Submission(
        submission_set=objects.submission_sets[0],
        entries=tuple(objects.entries),
        folders=tuple(objects.folders),
        associations=tuple(objects.associations),
    )


def target_of(request: etree._Element, findings: list[Finding]) -> Oid | None:
    """The community that `lcm:SubmitObjectsRequest` says it is for, in a slot of the request; None: it does not say."""
    for slots in request.iterchildren(_REQUEST_SLOTS):
        for slot in slots.iterchildren(_SLOT):
            if (slot.get("name") or "").strip() == TARGET:
                return from_home(slot.findtext(f"{_VALUES}/{_VALUE}") or "", TARGET, findings)
    return None


def _top_level_nodes(parent: etree._Element) -> dict[str, list[str]]:
    """Classifications that stand beside the package that they make a submission set or a folder."""
    nodes: dict[str, list[str]] = {}
    for element in parent.iterchildren(_CLASSIFICATION):
        owner = (element.get("classifiedObject") or "").strip()
        nodes.setdefault(owner, []).append(rim.uuid_urn(element.get("classificationNode")))
    return nodes


def _read_object(
    element: etree._Element, nodes: dict[str, list[str]], objects: RegistryObjects, findings: list[Finding]
) -> None:
    tag = element.tag
    if tag == _EXTRINSIC_OBJECT:
        objects.entries.append(read_entry(element, findings))
    elif tag == _ASSOCIATION:
        objects.associations.append(_read_association(element, findings))
    elif tag == _OBJECT_REF:
        entry_uuid = (element.get("id") or "").strip()
        objects.references.append(
            ObjectRef(entry_uuid=entry_uuid, home_community_id=home_of(element, entry_uuid, findings))
        )
    elif tag == _PACKAGE:
        found = rim.read(element, findings)
        kinds = (*found.nodes, *nodes.get(found.id, ()))
        if rim.SET_NODE in kinds:
            objects.submission_sets.append(_read_submission_set(element, found, findings))
        elif rim.FOLDER_NODE in kinds:
            objects.folders.append(_read_folder(element, found, findings))
        else:
            raise _refused(wrong("package-kind", "a package is neither a submission set nor a folder", found.id))
    elif tag != _CLASSIFICATION:
        raise _refused(wrong("object-kind", "an element that is not a registry object of XDS"))


def _refused(finding: Finding) -> RuleViolation:
    return RuleViolation(finding.text, location=finding.location, findings=(finding,))


def _read_submission_set(element: etree._Element, found: Read, findings: list[Finding]) -> SubmissionSet:
    submission_time = from_dtm(found.value("submissionTime", findings), "submissionTime", found.id, findings)
    if submission_time is None:
        raise _refused(wrong("submission-time", "submissionTime is missing or is not a time", found.id))
    return SubmissionSet(
        entry_uuid=found.id,
        unique_id=found.identifier(rim.SET_UNIQUE_ID, findings),
        source_id=found.identifier(rim.SET_SOURCE_ID, findings),
        patient_id=patient_id(found, rim.SET_PATIENT_ID, findings),
        content_type_code=found.code(rim.SET_CONTENT_TYPE, "contentTypeCode", findings),
        submission_time=submission_time,
        title=found.name,
        comments=found.description,
        authors=found.authors(rim.SET_AUTHOR, findings),
        intended_recipients=found.values("intendedRecipient"),
        availability_status=status(element, found, findings),
        home_community_id=home_of(element, found.id, findings),
        extra=found.rest(findings),
    )


def _read_folder(element: etree._Element, found: Read, findings: list[Finding]) -> Folder:
    logical_id = (element.get("lid") or "").strip()
    return Folder(
        entry_uuid=found.id,
        unique_id=found.identifier(rim.FOLDER_UNIQUE_ID, findings),
        patient_id=patient_id(found, rim.FOLDER_PATIENT_ID, findings),
        codes=found.codes(rim.FOLDER_CODE, "codeList", findings),
        title=found.name,
        comments=found.description,
        last_update_time=from_dtm(found.value("lastUpdateTime", findings), "lastUpdateTime", found.id, findings),
        availability_status=status(element, found, findings),
        home_community_id=home_of(element, found.id, findings),
        logical_id="" if logical_id == found.id else logical_id,
        version=version(found),
        extra=found.rest(findings),
    )


_TYPES = {each.rpartition(":")[2]: each for each in AssociationType}
_ORIGINAL = {"Original": True, "Reference": False}


def _read_association(element: etree._Element, findings: list[Finding]) -> Association:
    found = rim.read(element, findings)
    text = "".join((element.get("associationType") or "").split())
    kind = _TYPES.get(text.rpartition(":")[2])
    if kind is None:
        raise _refused(wrong("association-type", "an association of no type that XDS knows", found.id))
    if text != kind:
        findings.append(odd("association-type", f"association type {kind} is not written in full", found.id))
    source, target = (element.get("sourceObject") or "").strip(), (element.get("targetObject") or "").strip()
    if not source or not target:
        raise _refused(wrong("association-ends", "an association has no source or no target", found.id))
    member = found.value("SubmissionSetStatus", findings)
    if member and member not in _ORIGINAL:
        findings.append(odd("submission-set-status", "SubmissionSetStatus is Original or Reference", found.id))
    return Association(
        entry_uuid=found.id,
        type=kind,
        source=source,
        target=target,
        original=_ORIGINAL.get(member),
        availability_status=status(element, found, findings),
        extra=found.rest(findings),
    )
