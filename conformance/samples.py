"""Synthetic patients and studies: valid, decodable, the same for the same seed, and of nobody.

A body phantom is drawn slice by slice: an ellipse with lungs and spine, and a lesion that moves with the slice, so that
somebody who scrolls sees a movement and a mixed-up order is seen too. What was written is told (`SampleStudy`), with the
SHA-256 of each Pixel Data value, so that a demo or a case can compare what it gets back. `read_study` tells the same of a
folder that somebody else filled.

What a newcomer gets wrong: UIDs are made from seed and position (2.25, PS3.5 B.2). Two studies of one seed are one study.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from profiles.model.identifiers import Oid, PatientIdentifier, Uid
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex

NAMESPACE: Final = uuid.UUID("6f2f1b1e-5d0e-5a9a-9d4c-7f1f0c7f5a11")  # drawn once; all sample UIDs are under it
IMPLEMENTATION_CLASS_UID: Final = f"2.25.{uuid.uuid5(NAMESPACE, 'implementation').int}"
BEGIN: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday

LOSSLESS: Final = (RLELossless, JPEG2000Lossless, JPEGLSLossless)
"""Compressed syntaxes that can be asked for; they need the extra `codecs`."""

_ENCODERS: Final = {RLELossless: "pylibjpeg", JPEG2000Lossless: "pylibjpeg", JPEGLSLossless: "pyjpegls"}
"""By name: another one that may be installed ends the process over an odd number of rows."""

_NAMES: Final = (
    ("Acevedo", "Marta", Sex.FEMALE),
    ("Brandt", "Jürgen", Sex.MALE),
    ("Chen", "Li", Sex.FEMALE),
    ("Dvořák", "Petr", Sex.MALE),
    ("Eriksen", "Solveig", Sex.FEMALE),
    ("Fofana", "Amadou", Sex.MALE),
    ("Grönholm", "Aino", Sex.FEMALE),
    ("O'Hara", "Sean", Sex.OTHER),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleInstance:
    """One file. `pixels_sha256` is of the Pixel Data value as the file has it; "" if it has none."""

    path: Path
    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid
    number: int | None
    frames: int
    size_bytes: int
    pixels_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSeries:
    """Instances in the order of their numbers."""

    series_instance_uid: Uid
    modality: str
    description: str
    instances: tuple[SampleInstance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleStudy:
    """What is in the folder."""

    study_instance_uid: Uid
    patient: Patient
    accession_number: str
    description: str
    series: tuple[SampleSeries, ...]

    @property
    def instances(self) -> tuple[SampleInstance, ...]:
        """Of all series, in order."""
        return tuple(instance for series in self.series for instance in series.instances)


def sample_uid(*names: object) -> Uid:
    """The UID of what these names describe; the same in every run."""
    return Uid(f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, names))).int}")


def sample_patient(seed: int, authority: Oid, *, prefix: str = "P") -> Patient:
    """A patient of this authority. Their names try the character sets; the ninth is the first with another id."""
    family, given, sex = _NAMES[seed % len(_NAMES)]
    born = datetime(1938 + seed * 7 % 70, 1 + seed * 5 % 12, 1 + seed * 11 % 28, tzinfo=UTC)
    return Patient(
        identifiers=(PatientIdentifier(value=f"{prefix}{1000 + seed}", authority=authority),),
        name=PersonName(family=family, given=given),
        birth_date=Moment(born, Precision.DAY, zoned=False),
        sex=sex,
    )


# --- studies ----------------------------------------------------------------------------------------------------------


def write_ct_study(
    folder: Path,
    *,
    seed: int,
    patient: Patient,
    study_instance_uid: Uid | None = None,
    accession_number: str | None = None,
    series: int = 2,
    instances: int = 32,
    rows: int = 512,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> SampleStudy:
    """A CT of the chest: `series` reconstructions of `instances` slices, `rows` squared, 12 bits in 16.

    Source: DICOM PS3.3 A.3 (CT Image IOD).
    """
    study = _Study("CT", seed, patient, study_instance_uid, accession_number, "Synthetic chest CT")
    kernels = ("Soft tissue 1.5 mm", "Lung 1.5 mm", "Bone 1.5 mm")
    for place in range(series):
        described = study.series(place + 1, kernels[place % len(kernels)], body_part="CHEST")
        for slice_ in range(instances):
            dataset = described.instance(slice_ + 1, CTImageStorage, transfer_syntax)
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            _place_axial(dataset, study.uid, slice_, spacing_mm=0.7 * 512 / rows, thickness_mm=1.5)
            dataset.AcquisitionNumber = 1
            dataset.KVP = "120"
            dataset.ConvolutionKernel = kernels[place % len(kernels)].split(" ", maxsplit=1)[0].upper()
            dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
            dataset.WindowCenter, dataset.WindowWidth = ("40", "400") if place % 2 == 0 else ("-600", "1500")
            _monochrome(dataset, _phantom(seed + place, slice_, instances, rows), bits=12)
            described.write(folder, dataset)
    return study.told()


def write_mr_study(
    folder: Path,
    *,
    seed: int,
    patient: Patient,
    study_instance_uid: Uid | None = None,
    accession_number: str | None = None,
    instances: int = 16,
    rows: int = 256,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> SampleStudy:
    """One T2-weighted MR series.

    Source: DICOM PS3.3 A.4 (MR Image IOD).
    """
    study = _Study("MR", seed, patient, study_instance_uid, accession_number, "Synthetic brain MR")
    described = study.series(1, "T2 TSE axial", body_part="HEAD")
    for slice_ in range(instances):
        dataset = described.instance(slice_ + 1, MRImageStorage, transfer_syntax)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        _place_axial(dataset, study.uid, slice_, spacing_mm=0.9 * 256 / rows, thickness_mm=4.0)
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "SK", ""
        dataset.MRAcquisitionType = "2D"
        dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = "4500", "100", "12"
        dataset.WindowCenter, dataset.WindowWidth = "1000", "2000"
        _monochrome(dataset, _phantom(seed, slice_, instances, rows), bits=12)
        described.write(folder, dataset)
    return study.told()


def write_us_study(
    folder: Path,
    *,
    seed: int,
    patient: Patient,
    study_instance_uid: Uid | None = None,
    accession_number: str | None = None,
    frames: int = 8,
    rows: int = 240,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> SampleStudy:
    """Ultrasound in colour: one still image and one loop of `frames`.

    Source: DICOM PS3.3 A.6 and A.7 (US Image and US Multi-frame Image IODs).
    """
    study = _Study("US", seed, patient, study_instance_uid, accession_number, "Synthetic abdomen US")
    described = study.series(1, "Liver", body_part="ABDOMEN")
    for number, sop_class, count in (
        (1, UltrasoundImageStorage, 1),
        (2, UltrasoundMultiFrameImageStorage, frames),
    ):
        dataset = described.instance(number, sop_class, transfer_syntax)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
        if count > 1:
            dataset.NumberOfFrames = count
            dataset.FrameTime, dataset.FrameIncrementPointer = "40", 0x00181063
        dataset.PatientOrientation = ""
        dataset.LossyImageCompression = "00"
        _colour(dataset, numpy.stack([_fan(seed, frame, rows) for frame in range(count)]))
        described.write(folder, dataset)
    return study.told()


def write_capture_study(
    folder: Path,
    *,
    seed: int,
    patient: Patient,
    study_instance_uid: Uid | None = None,
    accession_number: str | None = None,
    frames: int = 16,
    rows: int = 512,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> SampleStudy:
    """One multi-frame object, 16 bits: 400 frames of 512 rows make 210 MB.

    Source: DICOM PS3.3 A.8.4 (Multi-frame Grayscale Word Secondary Capture Image IOD).
    """
    study = _Study("OT", seed, patient, study_instance_uid, accession_number, "Synthetic multi-frame")
    described = study.series(1, "Phantom in motion", body_part="CHEST")
    dataset = described.instance(1, MultiFrameGrayscaleWordSecondaryCaptureImageStorage, transfer_syntax)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = "WSD"
    dataset.NumberOfFrames = frames
    dataset.FrameIncrementPointer = 0x00182002
    dataset.FrameLabelVector = [f"{frame + 1}" for frame in range(frames)]
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    _monochrome(dataset, numpy.stack([_phantom(seed, frame, frames, rows) for frame in range(frames)]), bits=12)
    dataset.BitsStored, dataset.HighBit = 16, 15
    described.write(folder, dataset)
    return study.told()


# --- reading ----------------------------------------------------------------------------------------------------------


def read_study(folder: Path) -> tuple[SampleStudy, ...]:
    """What is in a folder that somebody else filled: every study, sub-folders too; other files are passed over.

    An id without issuer is given to an authority of its own, since a bare id is nobody's.
    """
    found: dict[str, dict[str, list[tuple[SampleInstance, Dataset]]]] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        try:
            dataset = dcmread(path, defer_size=64 * 1024)
        except (InvalidDicomError, OSError, EOFError):
            continue
        if "SOPInstanceUID" not in dataset or "StudyInstanceUID" not in dataset:
            continue  # a DICOMDIR
        series = found.setdefault(str(dataset.StudyInstanceUID), {}).setdefault(str(dataset.SeriesInstanceUID), [])
        series.append((_told(path, dataset), dataset))
        dataset.pop("PixelData", None)  # told; a folder may hold more than memory does
    return tuple(_as_study(uid, series) for uid, series in found.items())


def pixels_sha256(dataset: Dataset) -> str:
    """SHA-256 of the Pixel Data value as it is encoded; "" without pixels."""
    value = dataset.get("PixelData")
    return hashlib.sha256(value).hexdigest() if value is not None else ""


def _told(path: Path, dataset: Dataset) -> SampleInstance:
    number = dataset.get("InstanceNumber")
    return SampleInstance(
        path=path,
        sop_instance_uid=Uid(dataset.SOPInstanceUID),
        sop_class_uid=Uid(dataset.SOPClassUID),
        transfer_syntax_uid=Uid(dataset.file_meta.TransferSyntaxUID),
        number=int(number) if number is not None else None,
        frames=int(dataset.get("NumberOfFrames") or 1),
        size_bytes=path.stat().st_size,
        pixels_sha256=pixels_sha256(dataset),
    )


def _as_study(uid: str, found: dict[str, list[tuple[SampleInstance, Dataset]]]) -> SampleStudy:
    first = next(iter(found.values()))[0][1]
    series = tuple(
        SampleSeries(
            series_instance_uid=Uid(series_uid),
            modality=str(members[0][1].get("Modality", "")),
            description=str(members[0][1].get("SeriesDescription", "")),
            instances=tuple(
                sorted((instance for instance, _ in members), key=lambda each: (each.number or 0, str(each.path)))
            ),
        )
        for series_uid, members in sorted(found.items(), key=lambda each: int(each[1][0][1].get("SeriesNumber") or 0))
    )
    return SampleStudy(
        study_instance_uid=Uid(uid),
        patient=_as_patient(first),
        accession_number=str(first.get("AccessionNumber") or ""),
        description=str(first.get("StudyDescription") or ""),
        series=series,
    )


def _as_patient(dataset: Dataset) -> Patient:
    qualifiers = dataset.get("IssuerOfPatientIDQualifiersSequence")
    authority = str(qualifiers[0].get("UniversalEntityID", "")) if qualifiers else ""
    name = dataset.get("PatientName")
    born = str(dataset.get("PatientBirthDate") or "")
    sex = str(dataset.get("PatientSex") or "")
    return Patient(
        identifiers=(
            PatientIdentifier(
                value=str(dataset.get("PatientID") or "unknown"),
                authority=Oid(authority) if authority else sample_uid("no issuer"),
            ),
        ),
        name=PersonName(
            family=name.family_name, given=name.given_name, middle=name.middle_name, prefix=name.name_prefix,
            suffix=name.name_suffix, ideographic=name.ideographic, phonetic=name.phonetic,
        )
        if name
        else PersonName(),
        birth_date=Moment.from_dtm(born) if born else None,
        sex=Sex(sex) if sex in ("F", "M", "O") else Sex.UNKNOWN,
    )  # fmt: skip


# --- writing ----------------------------------------------------------------------------------------------------------


class _Study:
    """A study while it is written."""

    def __init__(
        self,
        modality: str,
        seed: int,
        patient: Patient,
        study_instance_uid: Uid | None,
        accession_number: str | None,
        description: str,
    ) -> None:
        self.uid = study_instance_uid or sample_uid(modality, seed, patient.identifiers[0], "study")
        self.modality = modality
        self.seed = seed
        self.patient = patient
        self.accession = accession_number if accession_number is not None else f"A{20260000 + seed}"
        self.description = description
        self.begun = BEGIN + timedelta(minutes=37 * seed)
        self._series: list[_Series] = []

    def series(self, number: int, description: str, *, body_part: str) -> "_Series":
        """Begin the next one."""
        self._series.append(_Series(self, number, description, body_part))
        return self._series[-1]

    def told(self) -> SampleStudy:
        """What was written."""
        return SampleStudy(
            study_instance_uid=self.uid,
            patient=self.patient,
            accession_number=self.accession,
            description=self.description,
            series=tuple(
                SampleSeries(
                    series_instance_uid=each.uid,
                    modality=self.modality,
                    description=each.description,
                    instances=tuple(each.written),
                )
                for each in self._series
            ),
        )


class _Series:
    """A series while it is written."""

    def __init__(self, study: _Study, number: int, description: str, body_part: str) -> None:
        self.study = study
        self.uid = sample_uid(study.uid, "series", number)
        self.number = number
        self.description = description
        self.body_part = body_part
        self.written: list[SampleInstance] = []

    def instance(self, number: int, sop_class: str, transfer_syntax: str) -> FileDataset:
        """A dataset with everything that patient, study, series and equipment say."""
        study, patient = self.study, self.study.patient
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(sop_class)
        meta.MediaStorageSOPInstanceUID = UID(sample_uid(self.uid, "instance", number))
        meta.TransferSyntaxUID = UID(transfer_syntax)
        meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
        meta.ImplementationVersionName = "RADGATE_SAMPLES"
        dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study.uid, self.uid
        at = study.begun + timedelta(minutes=3 * self.number, seconds=number)
        dataset.StudyDate = f"{study.begun:%Y%m%d}"
        dataset.StudyTime = f"{study.begun:%H%M%S}"
        dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = dataset.StudyDate
        dataset.SeriesTime = f"{study.begun + timedelta(minutes=3 * self.number):%H%M%S}"
        dataset.AcquisitionTime = dataset.ContentTime = f"{at:%H%M%S}"
        dataset.TimezoneOffsetFromUTC = "+0000"
        dataset.AccessionNumber = study.accession
        dataset.Modality = study.modality
        dataset.Manufacturer, dataset.ManufacturerModelName = "radgate", "Phantom"
        dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0001", "1"
        dataset.InstitutionName = "Lakeside"
        dataset.ReferringPhysicianName = "Ward^Alex"
        dataset.StudyDescription, dataset.SeriesDescription = study.description, self.description
        identifier = patient.identifiers[0]
        dataset.PatientID = identifier.value
        dataset.IssuerOfPatientIDQualifiersSequence = [_universal(identifier.authority)]
        name = patient.name
        dataset.PatientName = "^".join((name.family, name.given, name.middle, name.prefix, name.suffix)).rstrip("^")
        dataset.PatientBirthDate = patient.birth_date.dtm[:8] if patient.birth_date is not None else ""
        dataset.PatientSex = "" if patient.sex is Sex.UNKNOWN else patient.sex.value
        dataset.BodyPartExamined = self.body_part
        dataset.PatientPosition = "HFS"
        dataset.StudyID = f"{study.seed}"
        dataset.SeriesNumber, dataset.InstanceNumber = self.number, number
        return dataset

    def write(self, folder: Path, dataset: FileDataset) -> None:
        """Encode it as its file meta says, write it, note it."""
        wanted = dataset.file_meta.TransferSyntaxUID
        if wanted.is_compressed:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            if wanted == JPEG2000Lossless and dataset.SamplesPerPixel == 3:
                dataset.PhotometricInterpretation = "YBR_RCT"  # PS3.5 8.2.4: with the reversible colour transform
            dataset.compress(wanted, encoding_plugin=_ENCODERS[wanted], generate_instance_uid=False)
        path = folder / f"S{self.number:03}" / f"I{dataset.InstanceNumber:05}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True, overwrite=True)
        self.written.append(_told(path, dataset))


def _universal(authority: str) -> Dataset:
    item = Dataset()
    item.UniversalEntityID, item.UniversalEntityIDType = authority, "ISO"
    return item


def _place_axial(
    dataset: Dataset, frame_of_reference: str, slice_: int, *, spacing_mm: float, thickness_mm: float
) -> None:
    """Where the slice is in the patient, from feet to head."""
    dataset.FrameOfReferenceUID = sample_uid(frame_of_reference, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    z = slice_ * thickness_mm
    dataset.SliceThickness = f"{thickness_mm:g}"
    dataset.ImagePositionPatient = ["-180", "-180", f"{z:g}"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SliceLocation = f"{z:g}"
    dataset.PixelSpacing = [f"{spacing_mm:.6g}"] * 2


def _monochrome(dataset: Dataset, pixels: NDArray[numpy.uint16], *, bits: int) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.add_new(0x7FE00010, "OW", pixels.astype("<u2").tobytes())


def _colour(dataset: Dataset, pixels: NDArray[numpy.uint8]) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = pixels.shape[1:3]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    body = pixels.tobytes()
    dataset.add_new(0x7FE00010, "OB", body + b"\0" * (len(body) % 2))


# --- pictures ---------------------------------------------------------------------------------------------------------


def _grid(rows: int) -> tuple[NDArray[Any], NDArray[Any]]:
    axis = numpy.linspace(-1, 1, rows, dtype=numpy.float32)
    return axis[numpy.newaxis, :], axis[:, numpy.newaxis]


def _phantom(seed: int, slice_: int, slices: int, rows: int) -> NDArray[numpy.uint16]:
    """One slice in stored values (HU + 1024): air, body, two lungs that grow and shrink, spine, a lesion on its way."""
    x, y = _grid(rows)
    phase = slice_ / max(slices - 1, 1)
    noise = numpy.random.default_rng((seed, slice_)).normal(0, 12, (rows, rows)).astype(numpy.float32)
    picture = numpy.full((rows, rows), -1000, dtype=numpy.float32)
    body = (x / 0.85) ** 2 + (y / 0.62) ** 2 < 1
    picture[body] = 40
    breath = 0.20 + 0.10 * numpy.sin(numpy.pi * phase)
    for side in (-1, 1):
        picture[((x - side * 0.40) / breath) ** 2 + ((y + 0.05) / (breath * 1.5)) ** 2 < 1] = -820
    picture[(x / 0.11) ** 2 + ((y - 0.42) / 0.12) ** 2 < 1] = 700
    turn = 2 * numpy.pi * (phase + 0.1 * seed)
    picture[(x - 0.40 * numpy.cos(turn)) ** 2 + (y - 0.25 * numpy.sin(turn)) ** 2 < 0.06**2] = 120
    return numpy.asarray(numpy.clip(picture + noise + 1024, 0, 4095), dtype=numpy.uint16)


def _fan(seed: int, frame: int, rows: int) -> NDArray[numpy.uint8]:
    """One frame of ultrasound: a fan of speckle with a coloured spot that goes round in it."""
    x, y = _grid(rows)
    depth, angle = numpy.hypot(x, y + 1), numpy.arctan2(x, y + 1)
    speckle = numpy.random.default_rng((seed, frame)).rayleigh(45, (rows, rows))
    inside = (depth < 1.9) & (numpy.abs(angle) < 0.7)
    grey = numpy.where(inside, numpy.clip(speckle * (1.2 - 0.4 * depth), 0, 255), 0)
    picture = numpy.repeat(grey[:, :, numpy.newaxis], 3, axis=2)
    turn = 2 * numpy.pi * frame / 8
    spot = (x - 0.2 * numpy.cos(turn)) ** 2 + (y - 0.2 * numpy.sin(turn)) ** 2 < 0.1**2
    picture[spot] = (200, 40, 30)
    return numpy.asarray(picture, dtype=numpy.uint8)
