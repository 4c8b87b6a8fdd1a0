"""Bodies for the ebXML tests: parse, compare, judge by the published schemas; read samples; one value of each kind."""

import base64
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from lxml import etree

from profiles.model.codes import DCM, LOINC, MANIFEST_FORMAT, SNOMED_CT, Code
from profiles.model.content import Content, Part, Pour
from profiles.model.document import (
    ACCESSION,
    STUDY_INSTANCE_UID,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.ebxml.rim import RIM
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.wire.soap.names import XOP
from tests.support.judges import standards

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "ebxml"
S12 = "http://www.w3.org/2003/05/soap-envelope"


# --- bodies -----------------------------------------------------------------------------------------------------------


def parse(text: bytes) -> etree._Element:
    """As the listener parses: without comments."""
    return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True))


def vector(name: str) -> etree._Element:
    """A golden body of ours."""
    return parse((VECTORS / name).read_bytes())


def sample(*below: str) -> etree._Element:
    """The body of somebody else's message; its envelope, if it has one, is taken off."""
    root = parse(standards("samples", "xds", *below).read_bytes())
    if root.tag == f"{{{S12}}}Envelope":
        root = next(root.iterchildren(f"{{{S12}}}Body"))[0]
    return root


def written(out: SoapOut) -> etree._Element:
    """The body of a message of ours."""
    return parse(b"".join(out.body))


def soap_in(body: etree._Element, attachments: dict[str, Content] | None = None, parts: Pour | None = None) -> SoapIn:
    """A message with this body."""
    return SoapIn(action="", body=body, attachments=attachments or {}, parts=parts)


def canonical(element: etree._Element) -> bytes:
    """A body without what does not matter: white space between elements, ids of attributes, prefixes as declared."""
    copy = parse(etree.tostring(element))
    for each in copy.iter():
        if not (each.text or "").strip():
            each.text = None
        each.tail = None
        if each.tag in (f"{{{RIM}}}Classification", f"{{{RIM}}}ExternalIdentifier"):
            each.set("id", "")
    return etree.tostring(copy, method="c14n2")


@lru_cache(maxsize=2)
def _schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path))


def judge(element: etree._Element) -> None:
    """Fails unless the published schemas accept the body. Their document type is base64, so includes become some."""
    removal = etree.QName(element).namespace == "urn:ihe:iti:rmd:2017"  # which the schemas of the others do not have
    schema = _schema(standards("xds-schemas", *(("nist", "rmd.xsd") if removal else ("all-xds.xsd",))))
    copy = parse(etree.tostring(element))
    for include in list(copy.iter(f"{{{XOP}}}Include")):
        parent = include.getparent()
        assert parent is not None
        parent.remove(include)
        parent.text = base64.b64encode(b"placeholder").decode()
    schema.assertValid(copy)


# --- bytes ------------------------------------------------------------------------------------------------------------


async def pour_of(*parts: tuple[str, bytes]) -> AsyncIterator[Part]:
    """Parts by key."""
    for key, body in parts:
        yield Part(key=key, media_type="application/dicom", size_bytes=len(body), chunks=_chunks(body))


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


async def poured(pour: Pour | None) -> list[tuple[str, bytes]]:
    """A pour, drunk."""
    assert pour is not None
    return [(part.key, b"".join([chunk async for chunk in part.chunks])) async for part in pour]


async def drained(pour: Pour | None) -> dict[str, Content]:
    """A pour as a listener would have put it aside."""
    return {key: Content.of(body) for key, body in await poured(pour)}


def mutations(body: bytes) -> Iterator[bytes]:
    """The same body, each time with one element gone, emptied, or one attribute gone."""
    for place in range(1, sum(1 for _ in parse(body).iter())):
        for kind in ("remove", "empty", "attributes"):
            copy = parse(body)
            target = list(copy.iter())[place]
            if kind == "remove":
                target.getparent().remove(target)  # type: ignore[union-attr]
            elif kind == "empty":
                for child in list(target):
                    target.remove(child)
                target.text = None
            else:
                target.attrib.clear()
            yield etree.tostring(copy)


# --- values -----------------------------------------------------------------------------------------------------------

AFFINITY = Oid("1.3.6.1.4.1.21367.2005.13.20.1000")
PATIENT_ID = PatientIdentifier(value="XAD77", authority=AFFINITY)
SOURCE_ID = PatientIdentifier(value="PAT001", authority=Oid("1.2.3.4.5"))
OLD_ENTRY = "urn:uuid:1a2b3c4d-0000-4000-8000-000000000001"

ENTRY = DocumentEntry(
    entry_uuid="Document01",
    unique_id="1.2.826.0.1.99.2",
    patient_id=PATIENT_ID,
    class_code=Code(value="IMAGES", system="1.3.6.1.4.1.19376.1.2.6.1", display="Images"),
    type_code=Code(value="24627-2", system=LOINC, display="CT Chest"),
    format_code=MANIFEST_FORMAT,
    healthcare_facility_type_code=Code(value="22232009", system=SNOMED_CT, display="Hospital"),
    practice_setting_code=Code(value="394914008", system=SNOMED_CT, display="Radiology"),
    confidentiality_codes=(Code(value="N", system="2.16.840.1.113883.5.25", display="Normal"),),
    event_codes=(
        Code(value="CT", system=DCM, display="Computed Tomography"),
        Code(value="816094009", system=SNOMED_CT, display="Thorax"),
    ),
    mime_type="application/dicom",
    title='CT "Chest" <low dose> & more',
    comments="second\nreading",
    authors=(
        Author(
            person="^Smitty^Gerald^^^Dr",
            institutions=("Lakeside Imaging^^^^^^^^^1.2.3.9",),
            roles=("Attending",),
            specialties=("Radiology",),
            telecommunications=("^^Internet^g.smitty@lakeside.example",),
        ),
    ),
    legal_authenticator="11^Welby^Marcus^^^Dr^^^&1.2.3.9&ISO",
    creation_time=Moment.from_dtm("20260301101500"),
    service_start_time=Moment.from_dtm("20260301093000"),
    service_stop_time=Moment.from_dtm("20260301094500"),
    language_code="en-US",
    source_patient_id=SOURCE_ID,
    source_patient=Patient(
        identifiers=(SOURCE_ID,),
        name=PersonName(family="Te^st", given="Anna", middle="B", prefix="Dr", suffix="Jr"),
        birth_date=Moment.from_dtm("19700101"),
        sex=Sex.FEMALE,
        address="100 Main St^^Metropolis^IL^44130^USA",
    ),
    hash="da39a3ee5e6b4b0d3255bfef95601890afd80709",
    size_bytes=17,
    repository_unique_id=Oid("1.2.3.2"),
    uri="manifest.dcm",
    reference_ids=(
        ReferenceId(value="ACC42", type=ACCESSION, authority="1.2.3.4.5.6"),
        ReferenceId(value="1.2.826.0.1.99.1", type=STUDY_INSTANCE_UID),
    ),
    extra=(("urn:example:sort", ("a", "b")),),
)
SET = SubmissionSet(
    entry_uuid="SubmissionSet01",
    unique_id="1.2.826.0.1.99.3",
    source_id="1.2.3.4.5.7",
    patient_id=PATIENT_ID,
    content_type_code=Code(value="Imaging", system="1.2.3.99", display="Imaging procedure"),
    submission_time=Moment.from_dtm("20260301101501"),
    title="Chest CT",
    comments="sent at night",
    authors=ENTRY.authors,
    intended_recipients=("Valley^^^^^^^^^1.2.3.1|^Welby^Marcus^^^Dr",),
)
MEMBER = Association(
    entry_uuid="member",
    type=AssociationType.HAS_MEMBER,
    source="SubmissionSet01",
    target="Document01",
    original=True,
)
REPLACEMENT = Association(entry_uuid="replacement", type=AssociationType.REPLACE, source="Document01", target=OLD_ENTRY)
FOLDER = Folder(
    entry_uuid="Folder01",
    unique_id="1.2.826.0.1.99.4",
    patient_id=PATIENT_ID,
    codes=(Code(value="pregnancy", system="1.2.3.98", display="Pregnancy"),),
    title="Pregnancy 2026",
    comments="all of it",
    last_update_time=Moment.from_dtm("20260301101502"),
)
SUBMISSION = Submission(submission_set=SET, entries=(ENTRY,), associations=(MEMBER, REPLACEMENT))
WITH_FOLDER = Submission(
    submission_set=SET,
    entries=(ENTRY,),
    folders=(FOLDER,),
    associations=(
        MEMBER,
        Association(
            entry_uuid="set-folder", type=AssociationType.HAS_MEMBER, source="SubmissionSet01", target="Folder01"
        ),
        Association(entry_uuid="folder-entry", type=AssociationType.HAS_MEMBER, source="Folder01", target="Document01"),
        Association(
            entry_uuid="set-arrow", type=AssociationType.HAS_MEMBER, source="SubmissionSet01", target="folder-entry"
        ),
    ),
)


def keys(findings: Iterable[object]) -> list[str]:
    """The rules of findings, for comparing."""
    return [str(getattr(finding, "rule", finding)) for finding in findings]
