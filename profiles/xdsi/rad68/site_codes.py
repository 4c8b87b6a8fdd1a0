"""What an affinity domain and a site decide, and how a study's own words lead to it.

The domain has a list of codes for each coded attribute. A table leads from what DICOM says (modality, procedure, body part,
institution) to codes of these lists: the first row that fits and gives the attribute wins, attribute by attribute; after
them the default. What a newcomer gets wrong: an attribute without a row and without a default is not guessed. It is
`UnmappedCode`, all that is missing at once, and a person adds a row.

Source: ITI TF-3 4.2.3.1.2, 4.2.3.2; RAD TF-2 4.68.4.1.2.3; RAD68-019 to -022.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from profiles.errors import UnmappedCode
from profiles.model.codes import CONFIDENTIALITY, DCM, LOINC, SNOMED_CT, Code
from profiles.model.identifiers import Oid
from profiles.model.imaging import Manifest, Series, Study
from profiles.model.modalities import MODALITY_OF_SOP_CLASS
from profiles.xdsi.rad68.listed_codes import ListedCodes

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
    # Body Part Examined (0018,0015) -> DICOM PS3.16 CID 4; a site adds its own by rows of its table
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


class CodeSet(StrEnum):
    """The coded attributes of a submission, as a site's file calls them."""

    CLASS = "class"
    TYPE = "type"
    FACILITY = "facility"  # healthcareFacilityTypeCode
    PRACTICE_SETTING = "practice_setting"
    CONFIDENTIALITY = "confidentiality"
    CONTENT_TYPE = "content_type"  # of the submission set
    EVENT = "event"  # beside modalities and regions
    REGION = "region"  # anatomic, among the event codes


REQUIRED = (
    CodeSet.CLASS,
    CodeSet.TYPE,
    CodeSet.FACILITY,
    CodeSet.PRACTICE_SETTING,
    CodeSet.CONFIDENTIALITY,
    CodeSet.CONTENT_TYPE,
)
"""What no submission goes without (ITI TF-3 table 4.3.1-3)."""

DEFAULTS: Mapping[CodeSet, tuple[Code, ...]] = {
    CodeSet.CLASS: (IMAGES,),
    CodeSet.TYPE: (IMAGING_STUDY,),
    CodeSet.FACILITY: (HOSPITAL,),
    CodeSet.PRACTICE_SETTING: (RADIOLOGY,),
    CodeSet.CONFIDENTIALITY: (NORMAL,),
    CodeSet.CONTENT_TYPE: (IMAGING_STUDY,),
    CodeSet.EVENT: (),
    CodeSet.REGION: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """A row of the table: conditions that must all hold ("" and None: none), and what it gives, 1..n attributes.

    Of a study, `modality` and `body_part` are those of one of its series, `procedure` one of its procedure codes.
    """

    gives: Mapping[CodeSet, tuple[Code, ...]]
    modality: str = ""
    procedure: tuple[str, str | None] | None = None  # value and system; None: whatever the system
    body_part: str = ""  # upper case, without spaces
    institution: str = ""  # with * and ?, compared without case


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCodes:
    """What an affinity domain and a site decide and no manifest can tell.

    `modalities` are the event codes that the domain has for modalities, with its words; `body_parts` the regions that need
    no row; `listed` the codes that attributes may have, where the domain says so. `accession_authority` and
    `order_authority` are for numbers that do not say who gave them.
    """

    language_code: str = "en-US"
    accession_authority: Oid | None = None
    order_authority: Oid | None = None
    modalities: Mapping[str, str] = field(default_factory=lambda: ACQUISITION_MODALITIES)
    body_parts: Mapping[str, Code] = field(default_factory=lambda: ANATOMIC_REGIONS)
    defaults: Mapping[CodeSet, tuple[Code, ...]] = field(default_factory=lambda: DEFAULTS)
    rows: tuple[CodeRow, ...] = ()
    listed: ListedCodes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCodes:
    """The codes of one manifest: one of each but confidentiality (1..n) and events (0..n)."""

    class_code: Code
    type_code: Code
    healthcare_facility_type_code: Code
    practice_setting_code: Code
    content_type_code: Code
    confidentiality_codes: tuple[Code, ...]
    event_codes: tuple[Code, ...]


def chosen_codes(manifest: Manifest, codes: SiteCodes) -> ChosenCodes:
    """The domain's codes for a manifest. Where its studies would have different ones, the default.

    Args:
        manifest: 1..n studies, whose series know their modalities and body parts.
        codes: What the site decides.

    Raises:
        UnmappedCode: There is none for something; the detail names all of it, and no patient.

    Source: RAD TF-2 4.68.4.1.2.3.
    """
    missing: dict[str, None] = {}
    found = {each: _of_studies(manifest, codes, each, missing) for each in REQUIRED}
    events = tuple(
        dict.fromkeys(
            (*_modalities(manifest, codes, missing), *_regions(manifest, codes, missing), *_events(manifest, codes))
        )
    )
    if missing:
        raise UnmappedCode(
            f"the table of codes has nothing for: {'; '.join(missing)}",
            cure="Add a row or a default to the file of affinity_domain.code_sets, then release the exchange",
        )
    return ChosenCodes(
        class_code=found[CodeSet.CLASS][0],
        type_code=found[CodeSet.TYPE][0],
        healthcare_facility_type_code=found[CodeSet.FACILITY][0],
        practice_setting_code=found[CodeSet.PRACTICE_SETTING][0],
        content_type_code=found[CodeSet.CONTENT_TYPE][0],
        confidentiality_codes=found[CodeSet.CONFIDENTIALITY],
        event_codes=events,
    )


def modalities_of(study: Study) -> Iterator[str]:
    """As the series say; where a series does not, as its SOP classes leave no doubt. May repeat, may be ""."""
    for series in study.series:
        yield from _modalities_of_series(series)


def _modalities_of_series(series: Series) -> Iterator[str]:
    if series.modality:
        yield series.modality
    else:
        yield from (MODALITY_OF_SOP_CLASS.get(each.sop_class_uid, "") for each in series.instances)


def _of_studies(manifest: Manifest, codes: SiteCodes, attribute: CodeSet, missing: dict[str, None]) -> tuple[Code, ...]:
    by_study = [_row_of(study, study.series, codes, attribute) for study in manifest.studies]
    default = codes.defaults.get(attribute, ())
    alike = {given or default for given in by_study}
    chosen = alike.pop() if len(alike) == 1 else default
    if not chosen:
        missing.update((f"{attribute} of {_said(study)}", None) for study in manifest.studies)
    return chosen


def _modalities(manifest: Manifest, codes: SiteCodes, missing: dict[str, None]) -> Iterator[Code]:
    for study in manifest.studies:
        for modality in modalities_of(study):
            if modality in codes.modalities:
                yield Code(value=modality, system=DCM, display=codes.modalities[modality])
            elif modality in ACQUISITION_MODALITIES:
                missing[f"event of modality {modality}"] = None


def _regions(manifest: Manifest, codes: SiteCodes, missing: dict[str, None]) -> Iterator[Code]:
    for study in manifest.studies:
        for series in study.series:
            part = _folded(series.body_part)
            given = _row_of(study, (series,), codes, CodeSet.REGION)
            if given is not None:
                yield from given
            elif part in codes.body_parts:
                yield codes.body_parts[part]
            elif part and CodeSet.REGION in codes.defaults:
                yield from codes.defaults[CodeSet.REGION]
            elif part and not ACQUISITION_MODALITIES.keys().isdisjoint(_modalities_of_series(series)):
                missing[f"region of body part {part}"] = None


def _events(manifest: Manifest, codes: SiteCodes) -> Iterator[Code]:
    for study in manifest.studies:
        given = _row_of(study, study.series, codes, CodeSet.EVENT)
        yield from codes.defaults.get(CodeSet.EVENT, ()) if given is None else given


def _row_of(study: Study, series: tuple[Series, ...], codes: SiteCodes, attribute: CodeSet) -> tuple[Code, ...] | None:
    """What the first row gives that fits and has the attribute; None: there is no such row."""
    if not codes.rows:
        return None
    modalities = {modality for each in series for modality in _modalities_of_series(each)}
    parts = {_folded(each.body_part) for each in series}
    for row in codes.rows:
        if (
            attribute in row.gives
            and (not row.modality or row.modality in modalities)
            and (not row.body_part or row.body_part in parts)
            and (row.procedure is None or _has_procedure(study, *row.procedure))
            and (not row.institution or fnmatchcase(study.institution.casefold(), row.institution.casefold()))
        ):
            return row.gives[attribute]
    return None


def _has_procedure(study: Study, value: str, system: str | None) -> bool:
    return any(code.value == value and system in (None, code.system) for code in study.procedure_codes)


def _folded(body_part: str) -> str:
    return "".join(body_part.upper().split())


def _said(study: Study) -> str:
    """What a row could name of a study."""
    procedures = ", ".join(f"{code.value}^{code.system}" for code in study.procedure_codes)
    parts = ", ".join(dict.fromkeys(filter(None, (_folded(each.body_part) for each in study.series))))
    modalities = ", ".join(dict.fromkeys(filter(None, modalities_of(study))))
    told = (
        ("modality", modalities),
        ("procedure", procedures),
        ("body part", parts),
        ("institution", study.institution),
    )
    return ", ".join(f"{name} {value or 'not told'}" for name, value in told)
