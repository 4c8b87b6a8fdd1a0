"""An imaging report as a registered document: its DocumentEntry.

Report and manifest of a study belong together by the same reference ids. What a newcomer gets wrong: the modality is an
event code of the manifest, which is images, and not of the report, which is words.

Source: RAD TF-2 4.68.4.1.2 (RAD68-012 to -016).
"""

from profiles.model.codes import Code
from profiles.model.document import ACCESSION, STUDY_INSTANCE_UID, Author, DocumentEntry, ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.wire.cda import Report
from profiles.wire.ebxml.datatypes import escape_hl7


def report_entry(
    report: Report,
    study: Study,
    *,
    entry_uuid: str,
    unique_id: str,
    patient_id: PatientIdentifier,
    written: Moment,
    class_code: Code,
    type_code: Code,
    healthcare_facility_type_code: Code,
    practice_setting_code: Code,
    confidentiality_codes: tuple[Code, ...],
    language_code: str,
    accession_authority: Oid | None,
    sha1: str,
    size_bytes: int,
) -> DocumentEntry:
    """The entry of a report of a study of ours.

    Args:
        report: What the bytes say; their own id, title and time win.
        study: Which study it reports on: its reference ids, times and sender's patient.
        entry_uuid: A UUID, or a symbolic id that the registry replaces.
        unique_id: A new OID, for a report that has none of its own.
        patient_id: The affinity domain's id of the patient.
        written: When it was written, for a report that does not say.
        class_code: As the affinity domain has it; so are the other codes.
        type_code: What kind of report.
        healthcare_facility_type_code: Where it was written.
        practice_setting_code: In which specialty.
        confidentiality_codes: 1..n.
        language_code: Of the text.
        accession_authority: Of accession numbers that do not say whose they are.
        sha1: Of the bytes.
        size_bytes: Of the same.
    """
    source_id = study.patient.identifiers[0] if study.patient.identifiers else None
    references = [
        ReferenceId(value=each.value, type=ACCESSION, authority=each.authority or accession_authority or "")
        for each in study.accession_numbers
    ]
    references.append(ReferenceId(value=study.study_instance_uid, type=STUDY_INSTANCE_UID))
    return DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=report.unique_id or unique_id,
        patient_id=patient_id,
        class_code=class_code,
        type_code=type_code,
        format_code=report.kind.format_code,
        healthcare_facility_type_code=healthcare_facility_type_code,
        practice_setting_code=practice_setting_code,
        confidentiality_codes=confidentiality_codes,
        mime_type=report.kind.mime_type,
        title=(report.title or study.description)[:127],  # shorter than 128 characters (ITI TF-3 4.2.3.2.29)
        authors=(Author(institutions=(escape_hl7(study.institution),)),) if study.institution else (),
        creation_time=report.written or written,
        service_start_time=study.started,
        language_code=language_code,
        source_patient_id=source_id,
        source_patient=study.patient if source_id else None,
        hash=sha1,
        size_bytes=size_bytes,
        reference_ids=tuple(dict.fromkeys(references)),
    )
