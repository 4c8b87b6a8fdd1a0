"""ImagingStudy: a study of the index as FHIR shows it, rendered in pieces.

A study of ten thousand instances is one resource of several megabytes, and there is no paging inside a resource. So the
head, each series and each few hundred instances are pieces: nobody holds the whole, and a series that was rendered once
(`series_fragment`) can be kept beside its row and joined.

What a newcomer gets wrong: `series` stands last in the standard's order, and `instance` last in a series. That is what
makes pieces possible without looking ahead.

Source: HL7 FHIR R4, ImagingStudy (and its DICOM mapping).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

import orjson

from profiles.model.imaging import Instance, Series, Study
from profiles.model.modalities import modality_of_classes
from profiles.wire.fhir import patient, xml
from profiles.wire.fhir.datatypes import (
    ACCESSION,
    ACCESSION_OF_DICOM,
    DATA_ABSENT_REASON,
    DCM,
    PLACER,
    SNOMED,
    URI,
    Json,
    concept,
    date_time,
    filled,
    instant,
    numbered,
    study_identifier,
    text,
    unsigned,
)
from profiles.wire.fhir.endpoint import Endpoint, references
from profiles.wire.fhir.media import WHOLE, Summary, Syntax, View, subsetted

AVAILABLE = "available"
MANDATORY = ("meta", "status", "subject")
INSTANCES_PER_PIECE = 500  # some 80 kB of JSON: under a millisecond to render

LATERALITIES: Mapping[str, Json] = {
    "R": {"system": SNOMED, "code": "24028007", "display": "Right"},
    "L": {"system": SNOMED, "code": "7771000", "display": "Left"},
    "B": {"system": SNOMED, "code": "51440002", "display": "Bilateral"},
    "U": {"system": SNOMED, "code": "66459002", "display": "Unilateral"},
}
"""DICOM PS3.16 CID 244."""

BODY_SITES: Mapping[str, tuple[str, str]] = {
    "ABDOMEN": ("818981001", "Abdomen"),
    "ABDOMENPELVIS": ("818982008", "Abdomen and Pelvis"),
    "ACJOINT": ("85856004", "Acromioclavicular joint"),
    "ANKLE": ("70258002", "Ankle joint"),
    "ANUS": ("53505006", "Anus"),
    "AORTA": ("15825003", "Aorta"),
    "ARM": ("40983000", "Upper arm"),
    "BILEDUCT": ("28273000", "Bile duct"),
    "BLADDER": ("89837001", "Bladder"),
    "BRAIN": ("12738006", "Brain"),
    "BREAST": ("76752008", "Breast"),
    "BRONCHUS": ("955009", "Bronchus"),
    "CALCANEUS": ("80144004", "Calcaneus"),
    "CAROTID": ("69105007", "Carotid Artery"),
    "CHEST": ("816094009", "Chest"),
    "CHESTABDOMEN": ("416550000", "Chest and Abdomen"),
    "CHESTABDPELVIS": ("416775004", "Chest, Abdomen and Pelvis"),
    "CLAVICLE": ("51299004", "Clavicle"),
    "COCCYX": ("64688005", "Coccyx"),
    "COLON": ("71854001", "Colon"),
    "CSPINE": ("122494005", "Cervical spine"),
    "CTSPINE": ("1217257000", "Cervico-thoracic spine"),
    "DUODENUM": ("38848004", "Duodenum"),
    "ELBOW": ("16953009", "Elbow joint"),
    "ESOPHAGUS": ("32849002", "Esophagus"),
    "EXTREMITY": ("66019005", "Extremity"),
    "EYE": ("81745001", "Eye"),
    "FEMUR": ("71341001", "Femur"),
    "FIBULA": ("87342007", "Fibula"),
    "FINGER": ("7569003", "Finger"),
    "FOOT": ("56459004", "Foot"),
    "FOREARM": ("14975008", "Forearm"),
    "GALLBLADDER": ("28231008", "Gallbladder"),
    "HAND": ("85562004", "Hand"),
    "HEAD": ("69536005", "Head"),
    "HEADNECK": ("774007", "Head and Neck"),
    "HEART": ("80891009", "Heart"),
    "HIP": ("29836001", "Hip"),
    "HUMERUS": ("85050009", "Humerus"),
    "ILEUM": ("34516001", "Ileum"),
    "ILIUM": ("22356005", "Ilium"),
    "JAW": ("661005", "Jaw region"),
    "JEJUNUM": ("21306003", "Jejunum"),
    "KIDNEY": ("64033007", "Kidney"),
    "KNEE": ("72696002", "Knee"),
    "LARYNX": ("4596009", "Larynx"),
    "LEG": ("30021000", "Lower leg"),
    "LIVER": ("10200004", "Liver"),
    "LSPINE": ("122496007", "Lumbar spine"),
    "LSSPINE": ("1217253001", "Lumbo-sacral spine"),
    "MANDIBLE": ("91609006", "Mandible"),
    "MAXILLA": ("70925003", "Maxilla"),
    "MEDIASTINUM": ("72410000", "Mediastinum"),
    "NECK": ("45048000", "Neck"),
    "NECKCHEST": ("417437006", "Neck and Chest"),
    "NECKCHESTABDOMEN": ("416152001", "Neck, Chest and Abdomen"),
    "NECKCHESTABDPELV": ("416319003", "Neck, Chest, Abdomen and Pelvis"),
    "ORBIT": ("363654007", "Orbital structure"),
    "PANCREAS": ("15776009", "Pancreas"),
    "PAROTID": ("45289007", "Parotid gland"),
    "PATELLA": ("64234005", "Patella"),
    "PELVIS": ("816092008", "Pelvis"),
    "PROSTATE": ("41216001", "Prostate"),
    "RECTUM": ("34402009", "Rectum"),
    "RIB": ("113197003", "Rib"),
    "SCAPULA": ("79601000", "Scapula"),
    "SCJOINT": ("7844006", "Sternoclavicular joint"),
    "SELLA": ("42575006", "Sella turcica"),
    "SHOULDER": ("16982005", "Shoulder"),
    "SIJOINT": ("39723000", "Sacroiliac joint"),
    "SKULL": ("89546000", "Skull"),
    "SPINE": ("421060004", "Spine"),
    "SSPINE": ("54735007", "Sacrum"),
    "STERNUM": ("56873002", "Sternum"),
    "STOMACH": ("69695003", "Stomach"),
    "THIGH": ("68367000", "Thigh"),
    "THUMB": ("76505004", "Thumb"),
    "TLSPINE": ("1217256009", "Thoraco-lumbar spine"),
    "TMJ": ("53620006", "Temporomandibular joint"),
    "TOE": ("29707007", "Toe"),
    "TRACHEA": ("44567001", "Trachea"),
    "TSPINE": ("122495006", "Thoracic spine"),
    "URETER": ("87953007", "Ureter"),
    "URETHRA": ("13648007", "Urethra"),
    "WHOLEBODY": ("38266002", "Entire body"),
    "WRIST": ("74670003", "Wrist joint"),
    "ZYGOMA": ("13881006", "Zygoma"),
}
"""Body Part Examined and its SNOMED CT code. Text that is not here gets no coding.

Source: DICOM PS3.16 Annex L, CID 4031.
"""

OTHER = "OT"
MODALITY_UNKNOWN: Json = {
    "extension": [{"url": DATA_ABSENT_REASON, "valueCode": "temp-unknown"}],
    "system": DCM,
    "code": OTHER,
    "display": "Other",
}
"""Before the pixels have come, when nothing tells: the element is mandatory, so it says that it guesses."""


class Instances(Enum):
    """Whether a study's series list their instances."""

    LISTED = "listed"
    COUNTED = "counted"  # there may be some, and they are not told: the resource is a part


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedStudy:
    """A study as an index keeps it: what `Study` says, and what only the index knows.

    `counts` are the numbers of instances by Series Instance UID, where the series do not list them. `fragments` are
    series that were rendered before (`series_fragment`), in series order; empty: render now.
    """

    study: Study
    status: str  # FHIR's word: registered, available, cancelled, entered-in-error, unknown
    updated: datetime
    version: int = 1
    instances: Instances = Instances.LISTED
    counts: Mapping[str, int] | None = None
    fragments: tuple[bytes, ...] = ()

    def count_of(self, series: Series) -> int | None:
        """How many instances a series has; None: not known."""
        if self.instances is Instances.LISTED:
            return len(series.instances)
        return (self.counts or {}).get(series.series_instance_uid)

    @property
    def count(self) -> int | None:
        """How many instances the study has; None: not known."""
        counts = [self.count_of(series) for series in self.study.series]
        return None if None in counts else sum(filter(None, counts))


# --- parts ------------------------------------------------------------------------------------------------------------


def head(indexed: IndexedStudy, endpoints: Sequence[Endpoint] = ()) -> Json:
    """Everything but the series. Endpoints are named when there is something to be had from them."""
    study = indexed.study
    referrer = patient.display_name(study.referring_physician)
    modalities = dict.fromkeys(modality_of(series) for series in study.series)
    return filled(
        resourceType="ImagingStudy",
        id=str(study.study_instance_uid),
        meta={"versionId": str(indexed.version), "lastUpdated": instant(indexed.updated)},
        identifier=[
            study_identifier(study.study_instance_uid),
            *(numbered(number, ACCESSION, ACCESSION_OF_DICOM) for number in study.accession_numbers),
        ],
        status=indexed.status,
        modality=[{"system": DCM, "code": modality} for modality in modalities if modality],
        subject=patient.reference(study.patient),
        started=date_time(study.started),
        basedOn=[{"type": "ServiceRequest", "identifier": numbered(order, PLACER)} for order in study.placer_orders],
        referrer={"type": "Practitioner", "display": referrer} if referrer else None,
        endpoint=references(endpoints) if indexed.status == AVAILABLE else None,
        numberOfSeries=len(study.series),
        numberOfInstances=indexed.count,
        procedureCode=[concept(code) for code in study.procedure_codes],
        description=text(study.description),
    )


def modality_of(series: Series) -> str:
    """The modality that was told, else the one that is expected, else that of the SOP class; "" when none says it."""
    return text(series.shown_modality) or modality_of_classes(series.instances)


def series_head(series: Series, count: int | None) -> Json:
    """A series without its instances."""
    modality = modality_of(series)
    site = BODY_SITES.get(series.body_part.strip().upper())
    return filled(
        uid=str(series.series_instance_uid),
        number=unsigned(series.number),
        modality={"system": DCM, "code": modality} if modality else MODALITY_UNKNOWN,
        description=text(series.description),
        numberOfInstances=count,
        bodySite={"system": SNOMED, "code": site[0], "display": site[1]} if site else None,
        laterality=LATERALITIES.get(series.laterality.strip().upper()),
        started=date_time(series.started),
    )


def instance_part(instance: Instance, classes: dict[str, Json]) -> Json:
    """One instance. `classes` keeps the Coding of each SOP class, which most instances share."""
    sop_class = classes.get(instance.sop_class_uid)
    if sop_class is None:
        sop_class = classes[instance.sop_class_uid] = {"system": URI, "code": f"urn:oid:{instance.sop_class_uid}"}
    number = unsigned(instance.number)
    if number is None:
        return {"uid": str(instance.sop_instance_uid), "sopClass": sop_class}
    return {"uid": str(instance.sop_instance_uid), "sopClass": sop_class, "number": number}


def imaging_study(indexed: IndexedStudy, endpoints: Sequence[Endpoint] = (), view: View = WHOLE) -> Json:
    """The whole resource as one object, for what is small: a search page, a test."""
    resource = _viewed_head(indexed, endpoints, view)
    if _shows_series(view) and indexed.study.series:
        listed, classes = _shows_instances(indexed, view), dict[str, Json]()
        resource["series"] = [
            series_head(series, indexed.count_of(series))
            | filled(instance=[instance_part(each, classes) for each in series.instances] if listed else None)
            for series in indexed.study.series
        ]
    return resource


# --- pieces -----------------------------------------------------------------------------------------------------------


def series_fragment(series: Series) -> bytes:
    """A series with its instances as JSON: render it when the series changes, keep it, join it when asked."""
    return b"".join(_json_series(series, len(series.instances), True))


def pieces(
    indexed: IndexedStudy,
    endpoints: Sequence[Endpoint] = (),
    view: View = WHOLE,
    syntax: Syntax = Syntax.JSON,
) -> Iterator[bytes]:
    """The resource as bytes, piece by piece; joined they are what `imaging_study` says."""
    opening = _viewed_head(indexed, endpoints, view)
    series = indexed.study.series if _shows_series(view) else ()
    listed = _shows_instances(indexed, view)
    if syntax is Syntax.XML:
        yield xml.opened(opening)
        for each in series:
            yield from _xml_series(each, indexed.count_of(each), listed)
        yield xml.closed(opening)
        return
    if not series:
        yield orjson.dumps(opening)
        return
    yield orjson.dumps(opening)[:-1]
    separator = b',"series":['
    if listed and len(indexed.fragments) == len(series):
        for fragment in indexed.fragments:
            yield separator
            yield fragment
            separator = b","
    else:
        for each in series:
            yield separator
            yield from _json_series(each, indexed.count_of(each), listed)
            separator = b","
    yield b"]}"


def _json_series(series: Series, count: int | None, listed: bool) -> Iterator[bytes]:
    opening = orjson.dumps(series_head(series, count))
    if not listed or not series.instances:
        yield opening
        return
    yield opening[:-1]
    separator = b',"instance":['
    classes: dict[str, Json] = {}
    for batch in _batches(series.instances):
        yield separator + orjson.dumps([instance_part(instance, classes) for instance in batch])[1:-1]
        separator = b","
    yield b"]}"


def _xml_series(series: Series, count: int | None, listed: bool) -> Iterator[bytes]:
    yield xml.elements("series", [series_head(series, count)]).removesuffix(b"</series>")
    if listed:
        classes: dict[str, Json] = {}
        for batch in _batches(series.instances):
            yield xml.elements("instance", [instance_part(instance, classes) for instance in batch])
    yield b"</series>"


def _batches(instances: tuple[Instance, ...]) -> Iterator[tuple[Instance, ...]]:
    for start in range(0, len(instances), INSTANCES_PER_PIECE):
        yield instances[start : start + INSTANCES_PER_PIECE]


def _viewed_head(indexed: IndexedStudy, endpoints: Sequence[Endpoint], view: View) -> Json:
    opening = view.of(head(indexed, endpoints), MANDATORY)
    if view.is_whole and indexed.instances is Instances.COUNTED:
        return subsetted(opening, opening)
    return opening


def _shows_series(view: View) -> bool:
    return view.is_whole or view.shows("series")


def _shows_instances(indexed: IndexedStudy, view: View) -> bool:
    return indexed.instances is Instances.LISTED and view.summary is not Summary.TRUE


def without_instances(indexed: IndexedStudy) -> IndexedStudy:
    """The same study for a list: instances counted and left out."""
    if indexed.instances is Instances.COUNTED:
        return indexed
    series = indexed.study.series
    return replace(
        indexed,
        study=replace(indexed.study, series=tuple(replace(each, instances=()) for each in series)),
        instances=Instances.COUNTED,
        counts={each.series_instance_uid: len(each.instances) for each in series},
        fragments=(),
    )
