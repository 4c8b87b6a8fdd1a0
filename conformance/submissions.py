"""Documents of nobody, to be submitted: what a document source would say of a text.

Everything has its own UIDs, so that no case meets what another one left behind.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from profiles.model.codes import CONFIDENTIALITY, LOINC, SNOMED_CT, Code
from profiles.model.content import Content
from profiles.model.document import (
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.wire.ebxml.provide import ProvideAndRegisterRequest

SOURCE_ID = "2.25.71190522.77"
REPORT = Code(value="REPORTS", system="1.3.6.1.4.1.19376.1.2.6.1", display="Reports")
TYPE = Code(value="18748-4", system=LOINC, display="Diagnostic imaging study")
TEXT = Code(
    value="urn:ihe:iti:xds:2017:mimeTypeSufficient", system="1.3.6.1.4.1.19376.1.2.3", display="mimeType sufficient"
)
HOSPITAL = Code(value="22232009", system=SNOMED_CT, display="Hospital")
RADIOLOGY = Code(value="394914008", system=SNOMED_CT, display="Radiology")
NORMAL = Code(value="N", system=CONFIDENTIALITY, display="Normal")
CONTENT = Code(value="18748-4", system=LOINC, display="Diagnostic imaging study")
FOLDER_CODE = Code(value="Case", system="2.25.71190522.78", display="Case")


def new_uid() -> str:
    """A UID that nobody has used."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An entry and its bytes."""

    entry: DocumentEntry
    body: bytes


def document(patient: PatientIdentifier, text: str = "", **fields: Any) -> Document:
    """A text of this patient; `fields` replace those of the entry."""
    body = (text or f"A text of nobody, {uuid.uuid4()}.\n").encode()
    given: dict[str, Any] = {
        "entry_uuid": f"Document-{uuid.uuid4().hex[:8]}", "unique_id": new_uid(), "patient_id": patient,
        "source_patient_id": patient, "class_code": REPORT, "type_code": TYPE, "format_code": TEXT,
        "healthcare_facility_type_code": HOSPITAL, "practice_setting_code": RADIOLOGY, "confidentiality_codes": (NORMAL,),
        "mime_type": "text/plain", "language_code": "en", "title": "A text", "creation_time": _now(),
        "hash": hashlib.sha1(body, usedforsecurity=False).hexdigest(), "size_bytes": len(body),
    }  # fmt: skip
    return Document(entry=DocumentEntry(**given | fields), body=body)


def reference(value: str, type: str, authority: str = "") -> ReferenceId:
    """An entry of referenceIdList."""
    return ReferenceId(value=value, type=type, authority=authority)


def submission(
    patient: PatientIdentifier,
    documents: Sequence[Document],
    *,
    folders: Sequence[Folder] = (),
    associations: Sequence[Association] = (),
    **fields: Any,
) -> Submission:
    """A submission set with these members; `fields` replace those of the set."""
    given: dict[str, Any] = {
        "entry_uuid": "SubmissionSet-1", "unique_id": new_uid(), "source_id": SOURCE_ID, "patient_id": patient,
        "content_type_code": CONTENT, "submission_time": _now(),
    }  # fmt: skip
    submission_set = SubmissionSet(**given | fields)
    members = [
        arrow(AssociationType.HAS_MEMBER, submission_set.entry_uuid, uuid_, original=True)
        for uuid_ in (*(each.entry.entry_uuid for each in documents), *(each.entry_uuid for each in folders))
    ]
    return Submission(
        submission_set=submission_set,
        entries=tuple(each.entry for each in documents),
        folders=tuple(folders),
        associations=(*members, *associations),
    )


def provided(
    patient: PatientIdentifier, *documents: Document, associations: Sequence[Association] = (), **fields: Any
) -> ProvideAndRegisterRequest:
    """A submission with its documents' bytes."""
    return ProvideAndRegisterRequest(
        submission=submission(patient, documents, associations=associations, **fields),
        documents={each.entry.entry_uuid: Content.of(each.body, each.entry.mime_type) for each in documents},
    )


def folder(patient: PatientIdentifier) -> Folder:
    """A folder of this patient."""
    return Folder(
        entry_uuid=f"Folder-{uuid.uuid4().hex[:8]}", unique_id=new_uid(), patient_id=patient, codes=(FOLDER_CODE,),
        title="A folder",
    )  # fmt: skip


def arrow(type: AssociationType, source: str, target: str, *, original: bool | None = None) -> Association:
    """An association of two objects."""
    return Association(
        entry_uuid=f"Association-{uuid.uuid4().hex[:8]}", type=type, source=source, target=target, original=original
    )


def altered(document: Document, body: bytes) -> Document:
    """The same uniqueId with other bytes, told truly."""
    entry = replace(
        document.entry, entry_uuid=f"Document-{uuid.uuid4().hex[:8]}", size_bytes=len(body),
        hash=hashlib.sha1(body, usedforsecurity=False).hexdigest(),
    )  # fmt: skip
    return Document(entry=entry, body=body)


def _now() -> Moment:
    return Moment(datetime.now(UTC).replace(microsecond=0))
