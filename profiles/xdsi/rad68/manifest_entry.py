"""A manifest as a registered document: its DocumentEntry and its submission, and whether an entry and a manifest agree.

What a newcomer gets wrong: `patientId` is the affinity domain's and `sourcePatientId` the one in the manifest; the
repository id is the repository's and never the Retrieve Location UID; a study without a date has no serviceStartTime and
above all not "now"; modalities are those of CID 29, so that neither KO nor SR is ever one.

Source: RAD TF-2 4.68.4.1.2.3; RAD68-018 to -022, -033.
"""

from collections.abc import Iterator

from profiles.findings import Finding, Severity
from profiles.model.codes import DCM, MANIFEST_FORMAT, Code
from profiles.model.content import DICOM
from profiles.model.document import (
    ACCESSION,
    ORDER,
    STUDY_INSTANCE_UID,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.wire.ebxml.datatypes import escape_hl7
from profiles.xdsi.rad68.site_codes import ACQUISITION_MODALITIES, SiteCodes, chosen_codes, modalities_of

# --- manifest -> entry ------------------------------------------------------------------------------------------------


def entry_for(
    manifest: Manifest,
    *,
    entry_uuid: str,
    patient_id: PatientIdentifier,
    codes: SiteCodes,
    sha1: str = "",
    size_bytes: int | None = None,
) -> DocumentEntry:
    """The entry of a manifest of ours.

    Args:
        manifest: What will be published; its series know their modalities and body parts.
        entry_uuid: A UUID, or a symbolic id that the registry replaces.
        patient_id: The affinity domain's id of the patient, not the one in the manifest.
        codes: What the site decides.
        sha1: Of the file as it will be sent, preamble and all; "" leaves it to the repository.
        size_bytes: Of the same.

    Raises:
        UnmappedCode: The site has no code for something that the manifest says.

    Source: RAD TF-2 4.68.4.1.2.3.
    """
    chosen = chosen_codes(manifest, codes)
    source_id = manifest.patient.identifiers[0] if manifest.patient.identifiers else None
    first = manifest.studies[0] if manifest.studies else None
    institution = manifest.institution or (first.institution if first else "")
    return DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=manifest.sop_instance_uid,
        patient_id=patient_id,
        class_code=chosen.class_code,
        type_code=chosen.type_code,
        format_code=MANIFEST_FORMAT,
        healthcare_facility_type_code=chosen.healthcare_facility_type_code,
        practice_setting_code=chosen.practice_setting_code,
        confidentiality_codes=chosen.confidentiality_codes,
        event_codes=chosen.event_codes,
        mime_type=DICOM,
        title=(first.description if first else "")[:127],  # shorter than 128 characters (ITI TF-3 4.2.3.2.29)
        authors=(Author(institutions=(escape_hl7(institution),)),) if institution else (),
        creation_time=manifest.created,
        service_start_time=_started(manifest),
        language_code=codes.language_code,
        source_patient_id=source_id,
        source_patient=_source_patient(manifest.patient, source_id),
        hash=sha1,
        size_bytes=size_bytes,
        reference_ids=tuple(dict.fromkeys(_references(manifest, codes))),
    )


def _started(manifest: Manifest) -> Moment | None:
    """When the first study began; None when no study says so."""
    return min((study.started for study in manifest.studies if study.started), default=None)


def _source_patient(patient: Patient, source_id: PatientIdentifier | None) -> Patient:
    """What the manifest says of the patient, under the source's id alone."""
    return Patient(
        identifiers=(source_id,) if source_id else (),
        name=patient.name,
        birth_date=patient.birth_date,
        sex=patient.sex,
        address=patient.address,
    )


def _references(manifest: Manifest, codes: SiteCodes) -> Iterator[ReferenceId]:
    for study in manifest.studies:
        for accession in study.accession_numbers:
            yield _reference(accession, ACCESSION, codes.accession_authority)
        for order in study.placer_orders:
            yield _reference(order, ORDER, codes.order_authority)
        yield ReferenceId(value=study.study_instance_uid, type=STUDY_INSTANCE_UID)


def _reference(number: AccessionNumber, kind: str, default: Oid | None) -> ReferenceId:
    return ReferenceId(value=number.value, type=kind, authority=number.authority or default or "")


# --- entry -> submission ----------------------------------------------------------------------------------------------


def submission_for(
    entry: DocumentEntry,
    *,
    submission_set_uuid: str,
    unique_id: str,
    source_id: Oid,
    submission_time: Moment,
    content_type_code: Code,
    replaces: str | None = None,
    relation: AssociationType = AssociationType.REPLACE,
    title: str = "",
) -> Submission:
    """A submission of one entry; the set's only associations have symbolic ids.

    Args:
        entry: What is submitted.
        submission_set_uuid: A UUID, or a symbolic id.
        unique_id: A new OID.
        source_id: Our OID as a source.
        submission_time: Now.
        content_type_code: The clinical activity, as the affinity domain calls it.
        replaces: entryUUID of the entry that this one takes the place of (RAD68-006).
        relation: What it is to that entry, where it does not take its place: a transformation of it, or an addition to it.
        title: Of the set.
    """
    member = Association(
        entry_uuid="member-1",
        type=AssociationType.HAS_MEMBER,
        source=submission_set_uuid,
        target=entry.entry_uuid,
        original=True,
    )
    replacement = (
        ()
        if replaces is None
        else (Association(entry_uuid="relation-1", type=relation, source=entry.entry_uuid, target=replaces),)
    )
    return Submission(
        submission_set=SubmissionSet(
            entry_uuid=submission_set_uuid,
            unique_id=unique_id,
            source_id=source_id,
            patient_id=entry.patient_id,
            content_type_code=content_type_code,
            submission_time=submission_time,
            title=title,
            authors=entry.authors,
        ),
        entries=(entry,),
        associations=(member, *replacement),
    )


# --- entry against manifest -------------------------------------------------------------------------------------------


def modalities_of_entry(entry: DocumentEntry) -> frozenset[str]:
    """The acquisition modalities among the event codes, which are anatomic regions too.

    Source: RAD TF-2 4.68.4.1.2.3 (eventCodeList); DICOM PS3.16 CID 29.
    """
    told = {code.value for code in entry.event_codes if code.system in (DCM, "DCM")}
    return frozenset(told & ACQUISITION_MODALITIES.keys())


def contradictions(entry: DocumentEntry, manifest: Manifest) -> tuple[Finding, ...]:
    """Where an entry says something else of a manifest than the manifest itself.

    Contradictions about which document, which study or whose it is refuse the document, one error for all of them; what
    may be a mapping of the sender's is a warning.

    Source: ITI TF-3 table 4.2.4.1-2 (InvalidDocumentContent, one per document, codeContext with the uniqueId).
    """
    wrong = tuple(_wrong(entry, manifest))
    findings = tuple(
        Finding(rule=rule, text=text, severity=Severity.WARNING, location=entry.entry_uuid)
        for rule, text in _odd(entry, manifest)
    )
    if not wrong:
        return findings
    refusal = Finding(
        rule="RAD68/manifest-agrees",
        text=f"{entry.unique_id}: {'; '.join(wrong)}",
        code="InvalidDocumentContent",
        location=entry.entry_uuid,
    )
    return (refusal, *findings)


def _wrong(entry: DocumentEntry, manifest: Manifest) -> Iterator[str]:
    if entry.unique_id != manifest.sop_instance_uid:
        yield "the document's SOP Instance UID is another"
    if not manifest.studies:
        yield "the manifest lists no study"
    listed = {str(study.study_instance_uid) for study in manifest.studies}
    named = {reference.value for reference in entry.reference_ids if reference.type == STUDY_INSTANCE_UID}
    if named and listed and not named <= listed:
        yield "referenceIdList names a study that the manifest does not list"
    theirs = {identifier.value for identifier in manifest.patient.identifiers}
    if entry.source_patient_id and theirs and entry.source_patient_id.value not in theirs:
        yield "sourcePatientId is not the patient of the manifest"


def _odd(entry: DocumentEntry, manifest: Manifest) -> Iterator[tuple[str, str]]:
    if entry.mime_type.lower() != DICOM:
        yield "RAD68-005", "a manifest has the MIME type application/dicom"
    told = modalities_of_entry(entry)
    known = {
        modality
        for study in manifest.studies
        for modality in modalities_of(study)
        if modality in ACQUISITION_MODALITIES
    }
    if told and known and not told & known:
        yield "RAD68-019", "the modalities of the entry are not those of the manifest's instances"
    named = {reference.value for reference in entry.reference_ids if reference.type == ACCESSION}
    listed = {number.value for study in manifest.studies for number in study.accession_numbers if number.value}
    if named and listed and not named & listed:
        yield "RAD68/accession-agrees", "the accession numbers of the entry are not those of the manifest"
    patient = entry.source_patient
    if patient is None:
        return
    if patient.birth_date and manifest.patient.birth_date and patient.birth_date.dtm != manifest.patient.birth_date.dtm:
        yield "RAD68/birth-date-agrees", "the birth date in sourcePatientInfo is not the one of the manifest"
    name, other = patient.name, manifest.patient.name
    if name.family and other.family and name.family.casefold() != other.family.casefold():
        yield "RAD68/name-agrees", "the family name in sourcePatientInfo is not the one of the manifest"
