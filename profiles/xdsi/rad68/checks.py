"""Rules of a Provide and Register Imaging request that was read: those of ITI-41, and what a manifest's entry must say.

Whether entry and manifest contradict each other takes the manifest's bytes: `contradictions` in `manifest_entry.py`.

Source: RAD TF-2 4.68.4.1.2 (RAD68-003 to -022); ITI TF-2 3.41.4.1.3.
"""

from collections.abc import Iterator

from profiles.findings import Finding, Severity
from profiles.model.codes import DCM_UID_REGISTRY
from profiles.model.content import DICOM
from profiles.model.document import ACCESSION
from profiles.wire.ebxml.provide import (
    ProvideAndRegisterRequest,
    every_document_has_an_entry,
    every_entry_has_a_document,
    is_manifest,
    metadata_is_complete,
)

_SCHEMES = frozenset({DCM_UID_REGISTRY, "DCMUID"})


def a_manifest_is_dicom(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """RAD68-005: a manifest has the MIME type application/dicom."""
    for entry in request.submission.entries:
        if is_manifest(entry) and entry.mime_type.lower() != DICOM:
            yield Finding(
                rule="RAD68-005", text="a manifest has the MIME type application/dicom", location=entry.entry_uuid
            )


def a_manifest_has_its_format_code(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """RAD68-022: the scheme of a manifest's formatCode is the DICOM UID registry."""
    for entry in request.submission.entries:
        if is_manifest(entry) and entry.format_code.system not in _SCHEMES:
            yield Finding(
                rule="RAD68-022",
                text="the coding scheme of a manifest's formatCode is 1.2.840.10008.2.6.1",
                severity=Severity.WARNING,
                location=entry.entry_uuid,
            )


def a_manifest_tells_modality_and_order(request: ProvideAndRegisterRequest) -> Iterator[Finding]:
    """RAD68-019 to -021: event codes and reference ids are required if known; nobody can tell whether they are."""
    for entry in request.submission.entries:
        if not is_manifest(entry):
            continue
        if not entry.event_codes:
            yield Finding(
                rule="RAD68-019",
                text="the manifest's entry names no acquisition modality",
                severity=Severity.WARNING,
                location=entry.entry_uuid,
            )
        if not any(reference.type == ACCESSION for reference in entry.reference_ids):
            yield Finding(
                rule="RAD68-accession",
                text="the manifest's entry names no accession number",
                severity=Severity.WARNING,
                location=entry.entry_uuid,
            )


CHECKS = (
    metadata_is_complete,
    every_entry_has_a_document,
    every_document_has_an_entry,
    a_manifest_is_dicom,
    a_manifest_has_its_format_code,
    a_manifest_tells_modality_and_order,
)
