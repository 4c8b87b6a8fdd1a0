"""A manifest as a registered document: its DocumentEntry and its submission, and whether an entry and a manifest agree.

What a newcomer gets wrong: `patientId` is the affinity domain's and `sourcePatientId` the one in the manifest; the
repository id is the repository's and never the Retrieve Location UID; a study without a date has no serviceStartTime and
above all not "now"; modalities are those of CID 29, so that neither KO nor SR is ever one.

Source: RAD TF-2 4.68.4.1.2.3; RAD68-018 to -022, -033.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from profiles.findings import Finding, Severity
from profiles.model.codes import CONFIDENTIALITY, DCM, LOINC, MANIFEST_FORMAT, SNOMED_CT, Code
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
from profiles.model.modalities import MODALITY_OF_SOP_CLASS
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.wire.ebxml.datatypes import escape_hl7

# --- vocabularies -----------------------------------------------------------------------------------------------------

ACQUISITION_MODALITIES: Mapping[str, str] = {
    # DICOM PS3.16 CID 29
    "AR": "Autorefraction",
    "BDUS": "Ultrasound Bone Densitometry",
    "BI": "Biomagnetic Imaging",
    "BMD": "Bone Mineral Densitometry",
    "CFM": "Confocal Microscopy",
    "CR": "Computed Radiography",
    "CT": "Computed Tomography",
    "DG": "Diaphanography",
    "DMS": "Dermoscopy",
    "DX": "Digital Radiography",
    "ECG": "Electrocardiography",
    "EEG": "Electroencephalography",
    "EMG": "Electromyography",
    "EOG": "Electrooculography",
    "EPS": "Cardiac Electrophysiology",
    "ES": "Endoscopy",
    "GM": "General Microscopy",
    "HD": "Hemodynamic Waveform",
    "IO": "Intra-oral Radiography",
    "IVOCT": "Intravascular Optical Coherence Tomography",
    "IVUS": "Intravascular Ultrasound",
    "KER": "Keratometry",
    "LEN": "Lensometry",
    "LS": "Laser Scan",
    "MG": "Mammography",
    "MR": "Magnetic Resonance",
    "NM": "Nuclear Medicine",
    "OAM": "Ophthalmic Axial Measurements",
    "OCT": "Optical Coherence Tomography",
    "OP": "Ophthalmic Photography",
    "OPM": "Ophthalmic Mapping",
    "OPT": "Ophthalmic Tomography",
    "OPTBSV": "Ophthalmic Tomography B-scan Volume Analysis",
    "OPTENF": "Ophthalmic Tomography En Face",
    "OPV": "Ophthalmic Visual Field",
    "OSS": "Optical Surface Scanner",
    "PA": "Photoacoustic",
    "POS": "Position Sensor",
    "PT": "Positron emission tomography",
    "PX": "Panoramic X-Ray",
    "RESP": "Respiratory Waveform",
    "RF": "Radiofluoroscopy",
    "RG": "Radiographic imaging",
    "RTIMAGE": "RT Image",
    "SM": "Slide Microscopy",
    "SRF": "Subjective Refraction",
    "TG": "Thermography",
    "US": "Ultrasound",
    "VA": "Visual Acuity",
    "XA": "X-Ray Angiography",
    "XC": "External-camera Photography",
}


def _region(value: str, display: str) -> Code:
    return Code(value=value, system=SNOMED_CT, display=display)


ANATOMIC_REGIONS: Mapping[str, Code] = {
    # Body Part Examined (0018,0015) -> DICOM PS3.16 CID 4; a site adds its own in `SiteCodes.body_parts`
    "ABDOMEN": _region("818981001", "Abdomen"),
    "ABDOMENPELVIS": _region("818982008", "Abdomen and Pelvis"),
    "ANKLE": _region("70258002", "Ankle joint"),
    "AORTA": _region("15825003", "Aorta"),
    "ARM": _region("40983000", "Upper arm"),
    "BLADDER": _region("89837001", "Bladder"),
    "BRAIN": _region("12738006", "Brain"),
    "BREAST": _region("76752008", "Breast"),
    "CALCANEUS": _region("80144004", "Calcaneus"),
    "CAROTID": _region("69105007", "Carotid Artery"),
    "CHEST": _region("816094009", "Thorax"),
    "CHESTABDOMEN": _region("416550000", "Chest and Abdomen"),
    "CHESTABDPELVIS": _region("416775004", "Chest, Abdomen and Pelvis"),
    "CLAVICLE": _region("51299004", "Clavicle"),
    "COLON": _region("71854001", "Colon"),
    "CORONARYARTERY": _region("41801008", "Coronary artery"),
    "CSPINE": _region("122494005", "Cervical spine"),
    "ELBOW": _region("16953009", "Elbow joint"),
    "FEMUR": _region("71341001", "Femur"),
    "FINGER": _region("7569003", "Finger"),
    "FOOT": _region("56459004", "Foot"),
    "FOREARM": _region("14975008", "Forearm"),
    "HAND": _region("85562004", "Hand"),
    "HEAD": _region("69536005", "Head"),
    "HEADNECK": _region("774007", "Head and Neck"),
    "HEART": _region("80891009", "Heart"),
    "HIP": _region("29836001", "Hip"),
    "HUMERUS": _region("85050009", "Humerus"),
    "JAW": _region("661005", "Jaw region"),
    "KNEE": _region("72696002", "Knee"),
    "LEG": _region("30021000", "Lower leg"),
    "LIVER": _region("10200004", "Liver"),
    "LSPINE": _region("122496007", "Lumbar spine"),
    "LUNG": _region("39607008", "Lung"),
    "MAXILLA": _region("70925003", "Maxilla"),
    "NECK": _region("45048000", "Neck"),
    "ORBIT": _region("363654007", "Orbital structure"),
    "PANCREAS": _region("15776009", "Pancreas"),
    "PELVIS": _region("816092008", "Pelvis"),
    "PROSTATE": _region("41216001", "Prostate"),
    "RIB": _region("113197003", "Rib"),
    "SCAPULA": _region("79601000", "Scapula"),
    "SHOULDER": _region("16982005", "Shoulder"),
    "SKULL": _region("89546000", "Skull"),
    "SPINE": _region("421060004", "Spine"),
    "STERNUM": _region("56873002", "Sternum"),
    "THIGH": _region("68367000", "Thigh"),
    "THUMB": _region("76505004", "Thumb"),
    "TOE": _region("29707007", "Toe"),
    "TSPINE": _region("122495006", "Thoracic spine"),
    "UTERUS": _region("35039007", "Uterus"),
    "WHOLEBODY": _region("38266002", "Entire body"),
    "WRIST": _region("74670003", "Wrist joint"),
}


IMAGES = Code(value="IMAGES", system="1.3.6.1.4.1.19376.1.2.6.1", display="Images")
IMAGING_STUDY = Code(value="18748-4", system=LOINC, display="Diagnostic imaging study")
HOSPITAL = Code(value="22232009", system=SNOMED_CT, display="Hospital")
RADIOLOGY = Code(value="394914008", system=SNOMED_CT, display="Radiology")
NORMAL = Code(value="N", system=CONFIDENTIALITY, display="normal")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCodes:
    """What an affinity domain and a site decide and no manifest can tell.

    `procedures` maps a procedure code (value, system) to the affinity domain's typeCode; what it does not name gets
    `type_code`. `accession_authority` is for accession numbers that do not say who gave them.
    """

    class_code: Code = IMAGES
    type_code: Code = IMAGING_STUDY
    content_type_code: Code = IMAGING_STUDY
    healthcare_facility_type_code: Code = HOSPITAL
    practice_setting_code: Code = RADIOLOGY
    confidentiality_codes: tuple[Code, ...] = (NORMAL,)
    language_code: str = "en-US"
    accession_authority: Oid | None = None
    order_authority: Oid | None = None
    modalities: Mapping[str, str] = field(default_factory=lambda: ACQUISITION_MODALITIES)
    body_parts: Mapping[str, Code] = field(default_factory=lambda: ANATOMIC_REGIONS)
    procedures: Mapping[tuple[str, str], Code] = field(default_factory=dict)


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

    Source: RAD TF-2 4.68.4.1.2.3.
    """
    source_id = manifest.patient.identifiers[0] if manifest.patient.identifiers else None
    first = manifest.studies[0] if manifest.studies else None
    institution = manifest.institution or (first.institution if first else "")
    return DocumentEntry(
        entry_uuid=entry_uuid,
        unique_id=manifest.sop_instance_uid,
        patient_id=patient_id,
        class_code=codes.class_code,
        type_code=_type_code(manifest, codes),
        format_code=MANIFEST_FORMAT,
        healthcare_facility_type_code=codes.healthcare_facility_type_code,
        practice_setting_code=codes.practice_setting_code,
        confidentiality_codes=codes.confidentiality_codes,
        event_codes=tuple(dict.fromkeys((*_modalities(manifest, codes), *_regions(manifest, codes)))),
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


def _type_code(manifest: Manifest, codes: SiteCodes) -> Code:
    """The affinity domain's word for the procedure, if all studies have the same one."""
    mapped = {
        codes.procedures.get((code.value, code.system), codes.type_code)
        for study in manifest.studies
        for code in study.procedure_codes[:1]
    }
    return mapped.pop() if len(mapped) == 1 else codes.type_code


def _modalities(manifest: Manifest, codes: SiteCodes) -> Iterator[Code]:
    for modality in _modalities_of(manifest):
        if modality in ACQUISITION_MODALITIES:
            display = codes.modalities.get(modality, ACQUISITION_MODALITIES[modality])
            yield Code(value=modality, system=DCM, display=display)


def _modalities_of(manifest: Manifest) -> Iterator[str]:
    """As the series say; where a series does not, as its SOP classes leave no doubt."""
    for study in manifest.studies:
        for series in study.series:
            if series.modality:
                yield series.modality
            else:
                yield from (MODALITY_OF_SOP_CLASS.get(each.sop_class_uid, "") for each in series.instances)


def _regions(manifest: Manifest, codes: SiteCodes) -> Iterator[Code]:
    for study in manifest.studies:
        for series in study.series:
            region = codes.body_parts.get("".join(series.body_part.upper().split()))
            if region is not None:
                yield region


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
        else (
            Association(
                entry_uuid="replacement-1", type=AssociationType.REPLACE, source=entry.entry_uuid, target=replaces
            ),
        )
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
    known = {modality for modality in _modalities_of(manifest) if modality in ACQUISITION_MODALITIES}
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
