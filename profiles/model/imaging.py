"""Studies and manifests.

`Manifest` is the pivot: which instances, of which study, and where each can be had. A KOS, a RAD-69 request, an
ImagingStudy, WADO-RS addresses and a QIDO answer are renderings of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from profiles.model.codes import MANIFEST_TITLE, Code
from profiles.model.identifiers import AccessionNumber, Oid, Uid
from profiles.model.moment import Moment
from profiles.model.patient import NO_NAME, Patient, PersonName


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One SOP instance, named and classed, wherever it is kept.

    Source: DICOM PS3.3 C.12.1 (SOP Common), C.7.6.3 (Image Pixel).
    """

    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid | None = None  # None: the archive has not told us, not "any"
    number: int | None = None
    frames: int = 1
    rows: int | None = None  # None: not an image, or not told
    columns: int | None = None
    size_bytes: int | None = None  # of the Part 10 file as received
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """1..n instances of one modality, and where they can be had.

    `retrieve_location_uid` is what RAD-69 calls RepositoryUniqueId; `retrieve_url` the base of a WADO-RS service.

    Source: DICOM PS3.3 C.7.3.1, C.17.2.1 (Hierarchical SOP Instance Reference Macro).
    """

    series_instance_uid: Uid
    modality: str = ""  # "" before the pixels have come: a manifest does not tell
    expected_modality: str = ""  # a guess from SOP classes or the entry, shown only as long as `modality` is ""
    number: int | None = None
    description: str = ""
    body_part: str = ""
    laterality: str = ""
    started: Moment | None = None
    instances: tuple[Instance, ...] = ()
    retrieve_location_uid: Oid | None = None
    retrieve_url: str = ""
    retrieve_ae_title: str = ""

    @property
    def shown_modality(self) -> str:
        """What is shown and searched: the modality that was told, else the expected one; "" when there is neither."""
        return self.modality or self.expected_modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """0..n series of one patient. Series are in the order in which they are shown."""

    study_instance_uid: Uid
    patient: Patient
    accession_numbers: tuple[AccessionNumber, ...] = ()
    study_id: str = ""
    started: Moment | None = None
    description: str = ""
    referring_physician: PersonName = NO_NAME
    institution: str = ""
    procedure_codes: tuple[Code, ...] = ()
    placer_orders: tuple[AccessionNumber, ...] = ()  # value and authority, as an accession number has them
    series: tuple[Series, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Distinct modalities of the series as they are shown, in the order in which they appear."""
        return tuple(dict.fromkeys(series.shown_modality for series in self.series if series.shown_modality))

    @property
    def instance_count(self) -> int:
        """How many instances all series have together."""
        return sum(len(series.instances) for series in self.series)

    def instances(self) -> Iterator[tuple[Series, Instance]]:
        """Every instance with the series that it is in."""
        for series in self.series:
            for instance in series.instances:
                yield series, instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A Key Object Selection that lists what a study has and where: 1..n studies of one patient.

    Source: RAD TF-3 4.68.4.1.2.1; DICOM PS3.3 A.35.4.
    """

    sop_instance_uid: Uid
    series_instance_uid: Uid
    created: Moment
    patient: Patient
    studies: tuple[Study, ...]
    title: Code = MANIFEST_TITLE
    institution: str = ""
    manufacturer: str = ""
    texts: tuple[str, ...] = field(default=())  # TEXT items (113012, DCM), kept for a lossless round trip

    @property
    def instance_count(self) -> int:
        """How many instances all studies have together."""
        return sum(study.instance_count for study in self.studies)
