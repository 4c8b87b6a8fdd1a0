"""DocumentEntry <-> rim:ExtrinsicObject.

Source: ITI TF-3 4.2.3.2 (attributes), 4.2.5.2 (UUIDs and slots).
"""

from collections.abc import Iterator
from enum import Enum

from lxml import etree

from profiles.errors import RuleViolation
from profiles.findings import Finding
from profiles.model.document import AvailabilityStatus, DocumentEntry, EntryType, ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.wire.ebxml import rim
from profiles.wire.ebxml.datatypes import (
    cx,
    cxi,
    from_cx,
    from_cxi,
    from_dtm,
    from_source_patient_info,
    source_patient_info,
)
from profiles.wire.ebxml.rim import Read, odd, wrong
from profiles.wire.xml import attribute as escape

REFERENCE_IDS = "urn:ihe:iti:xds:2013:referenceIdList"


class Phase(Enum):
    """Whose word it is: a source does not say status, version and logical id; a registry does."""

    SUBMITTED = "submitted"
    REGISTERED = "registered"


def registered(phase: Phase, status: AvailabilityStatus, logical_id: str, own_id: str) -> str:
    """The attributes that only a registry writes, beginning with a blank."""
    if phase is Phase.SUBMITTED or status is AvailabilityStatus.PENDING:  # PENDING is ours and never leaves
        return f' lid="{escape(logical_id)}"' if logical_id and phase is Phase.SUBMITTED else ""
    return f' lid="{escape(logical_id or own_id)}" status="{status}"'


def home(home_community_id: Oid | None) -> str:
    """`@home`, beginning with a blank; nothing when there is none: an empty one means the same and confuses."""
    return f' home="{home_community_id.urn}"' if home_community_id else ""


def extrinsic_object(entry: DocumentEntry, phase: Phase) -> str:
    """An entry, written; children in the schema's order."""
    id = escape(entry.entry_uuid)
    ids = rim.ChildIds(entry.entry_uuid)
    slot, plain, code, identifier = rim.slot, rim.plain, rim.classification, rim.identifier
    parts = [
        f'<rim:ExtrinsicObject id="{id}"{home(entry.home_community_id)}'
        f"{registered(phase, entry.availability_status, entry.logical_id, entry.entry_uuid)}"
        f' objectType="{entry.entry_type}" mimeType="{escape(entry.mime_type)}">'
    ]
    if entry.creation_time:
        parts.append(plain("creationTime", entry.creation_time.dtm))
    if entry.hash:
        parts.append(slot("hash", (entry.hash,)))
    if entry.language_code:
        parts.append(slot("languageCode", (entry.language_code,)))
    if entry.legal_authenticator:
        parts.append(slot("legalAuthenticator", (entry.legal_authenticator,)))
    if entry.repository_unique_id:
        parts.append(plain("repositoryUniqueId", entry.repository_unique_id))
    if entry.service_start_time:
        parts.append(plain("serviceStartTime", entry.service_start_time.dtm))
    if entry.service_stop_time:
        parts.append(plain("serviceStopTime", entry.service_stop_time.dtm))
    if entry.size_bytes is not None:
        parts.append(plain("size", str(entry.size_bytes)))
    if entry.source_patient_id:
        parts.append(slot("sourcePatientId", (cx(entry.source_patient_id),)))
    if entry.source_patient:
        parts.append(slot("sourcePatientInfo", source_patient_info(entry.source_patient)))
    if entry.uri:
        parts.append(slot("URI", (entry.uri,)))
    if entry.reference_ids:
        parts.append(slot(REFERENCE_IDS, [cxi(reference) for reference in entry.reference_ids]))
    parts += [slot(name, values) for name, values in entry.extra]
    parts.append(rim.localized("Name", entry.title))
    parts.append(rim.localized("Description", entry.comments))
    if phase is Phase.REGISTERED:
        parts.append(f'<rim:VersionInfo versionName="{entry.version}"/>')
    parts += [rim.author(ids, id, rim.ENTRY_AUTHOR, author) for author in entry.authors]
    parts.append(code(ids, id, rim.ENTRY_CLASS, entry.class_code))
    parts += [code(ids, id, rim.ENTRY_CONFIDENTIALITY, each) for each in entry.confidentiality_codes]
    parts += [code(ids, id, rim.ENTRY_EVENT, each) for each in entry.event_codes]
    parts.append(code(ids, id, rim.ENTRY_FORMAT, entry.format_code))
    parts.append(code(ids, id, rim.ENTRY_FACILITY, entry.healthcare_facility_type_code))
    parts.append(code(ids, id, rim.ENTRY_PRACTICE, entry.practice_setting_code))
    parts.append(code(ids, id, rim.ENTRY_TYPE, entry.type_code))
    parts.append(identifier(ids, id, rim.ENTRY_PATIENT_ID, cx(entry.patient_id)))
    parts.append(identifier(ids, id, rim.ENTRY_UNIQUE_ID, entry.unique_id))
    parts.append("</rim:ExtrinsicObject>")
    return "".join(parts)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_entry(element: etree._Element, findings: list[Finding]) -> DocumentEntry:
    """Read an entry.

    What is missing is left empty for the rules to find; what is odd is reported.

    Raises:
        RuleViolation: There is no patient id that says whose it is: without one it is not an entry for anybody.
    """
    found = rim.read(element, findings)
    source_patient_id = _source_patient_id(found, findings)
    logical_id = (element.get("lid") or "").strip()
    return DocumentEntry(
        entry_uuid=found.id,
        unique_id=found.identifier(rim.ENTRY_UNIQUE_ID, findings),
        patient_id=patient_id(found, rim.ENTRY_PATIENT_ID, findings),
        class_code=found.code(rim.ENTRY_CLASS, "classCode", findings),
        type_code=found.code(rim.ENTRY_TYPE, "typeCode", findings),
        format_code=found.code(rim.ENTRY_FORMAT, "formatCode", findings),
        healthcare_facility_type_code=found.code(rim.ENTRY_FACILITY, "healthcareFacilityTypeCode", findings),
        practice_setting_code=found.code(rim.ENTRY_PRACTICE, "practiceSettingCode", findings),
        confidentiality_codes=found.codes(rim.ENTRY_CONFIDENTIALITY, "confidentialityCode", findings),
        event_codes=found.codes(rim.ENTRY_EVENT, "eventCodeList", findings),
        mime_type=(element.get("mimeType") or "").strip(),
        entry_type=_entry_type(element, found, findings),
        availability_status=status(element, found, findings),
        title=found.name,
        comments=found.description,
        authors=found.authors(rim.ENTRY_AUTHOR, findings),
        legal_authenticator=found.value("legalAuthenticator", findings),
        creation_time=from_dtm(found.value("creationTime", findings), "creationTime", found.id, findings),
        service_start_time=from_dtm(found.value("serviceStartTime", findings), "serviceStartTime", found.id, findings),
        service_stop_time=from_dtm(found.value("serviceStopTime", findings), "serviceStopTime", found.id, findings),
        language_code=found.value("languageCode", findings),
        source_patient_id=source_patient_id,
        source_patient=from_source_patient_info(
            found.values("sourcePatientInfo"), source_patient_id, found.id, findings
        ),
        hash=found.value("hash", findings).lower(),
        size_bytes=_size(found, findings),
        repository_unique_id=_repository(found, findings),
        home_community_id=home_of(element, found.id, findings),
        uri="".join(found.values("URI")),  # longer ones are split over several values
        reference_ids=tuple(_references(found, findings)),
        logical_id="" if logical_id == found.id else logical_id,
        version=version(found),
        extra=found.rest(findings),
    )


def patient_id(found: Read, scheme: str, findings: list[Finding]) -> PatientIdentifier:
    """The patient id of an entry, a set or a folder.

    Raises:
        RuleViolation: There is none, or it has no assigning authority.
    """
    text = found.identifier(scheme, findings)
    try:
        return from_cx(text)
    except ValueError as error:
        finding = wrong("patient-id", f"{rim.IDENTIFIER_NAMES[scheme]}: {error}", found.id)
        raise RuleViolation(
            "a registry object has no usable patient id", location=found.id, findings=(finding,)
        ) from error


def status(element: etree._Element, found: Read, findings: list[Finding]) -> AvailabilityStatus:
    """availabilityStatus; a source's word is not asked for and Approved is what it means."""
    text = (element.get("status") or "").strip()
    if text in ("", AvailabilityStatus.APPROVED):
        return AvailabilityStatus.APPROVED
    if text == AvailabilityStatus.DEPRECATED:
        return AvailabilityStatus.DEPRECATED
    findings.append(odd("status", "an availability status that is neither Approved nor Deprecated", found.id))
    return AvailabilityStatus.APPROVED


def home_of(element: etree._Element, owner: str, findings: list[Finding]) -> Oid | None:
    """`@home`; None when it is absent, empty or unreadable."""
    return from_home(element.get("home") or "", owner, findings)


def from_home(text: str, owner: str, findings: list[Finding]) -> Oid | None:
    """A home community id as peers write it: with `urn:oid:`, without, or twice."""
    text = text.strip()
    if not text:
        return None
    try:
        oid = Oid.from_urn(text)
    except ValueError:
        findings.append(odd("home", "a homeCommunityId is not an OID and is left out", owner))
        return None
    if text != oid.urn:
        findings.append(odd("home", "a homeCommunityId is not written as urn:oid: and an OID", owner))
    return oid


def version(found: Read) -> int:
    """The version's number; 1 where registries without Metadata Update write something else ("1.1")."""
    return int(found.version) if found.version.isdecimal() and len(found.version) < 10 else 1


def _entry_type(element: etree._Element, found: Read, findings: list[Finding]) -> EntryType:
    text = rim.uuid_urn(element.get("objectType"))
    if text == EntryType.ON_DEMAND:
        return EntryType.ON_DEMAND
    if text != EntryType.STABLE:
        findings.append(wrong("object-type", "objectType is neither Stable nor On-Demand", found.id))
    return EntryType.STABLE


def _source_patient_id(found: Read, findings: list[Finding]) -> PatientIdentifier | None:
    text = found.value("sourcePatientId", findings)
    if not text:
        return None
    try:
        return from_cx(text)
    except ValueError as error:
        findings.append(wrong("source-patient-id", f"sourcePatientId: {error}", found.id))
        return None


def _size(found: Read, findings: list[Finding]) -> int | None:
    text = found.value("size", findings)
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        findings.append(wrong("size", "size is not a number of octets", found.id))
        return None
    return int(text)


def _repository(found: Read, findings: list[Finding]) -> Oid | None:
    text = found.value("repositoryUniqueId", findings)
    if not text:
        return None
    try:
        oid = Oid.from_urn(text)
    except ValueError:
        findings.append(wrong("repository-unique-id", "repositoryUniqueId is not an OID", found.id))
        return None
    if text != oid:
        findings.append(odd("repository-unique-id", "repositoryUniqueId is a bare OID, without urn:oid:", found.id))
    return oid


def _references(found: Read, findings: list[Finding]) -> Iterator[ReferenceId]:
    for text in found.values(REFERENCE_IDS):
        try:
            yield from_cxi(text)
        except ValueError as error:
            findings.append(odd("reference-id", f"referenceIdList: {error}", found.id))
