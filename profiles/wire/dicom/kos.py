"""Manifest and Key Object Selection Document, both ways.

A KOS of thousands of instances is written by hand-encoded sequences, some two hundred times faster than by a toolkit, and
read from the places of its elements. What a newcomer gets wrong: what counts is the evidence sequence (0040,A375); the
content tree repeats it and may say more (texts, image libraries). Real manifests leave out most of what is optional and
some of what is not, so reading reports and goes on.

Source: RAD TF-3 4.68.4.1.2.1; DICOM PS3.3 A.35.4, C.17.6.2, C.17.3; PS3.16 TID 2010.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, tzinfo
from itertools import zip_longest
from struct import Struct, pack

from profiles.errors import MalformedMessage
from profiles.findings import Decoded, Finding, Severity
from profiles.model.codes import DCM, KOS_SOP_CLASS, MANIFEST_TITLE, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, Sex
from profiles.wire.dicom.elements import Elements
from profiles.wire.dicom.encode import element, file_meta, item, sequence
from profiles.wire.dicom.names import to_pn
from profiles.wire.dicom.part10 import read_head
from profiles.wire.dicom.study import (
    DESIGNATORS,
    accession_numbers_of,
    code_of,
    moment_of,
    oid_or_none,
    patient_of,
    placer_orders_of,
    study_with,
    zone_of,
)
from profiles.wire.dicom.syntaxes import EXPLICIT, EXPLICIT_LE, UNDEFINED

MANIFEST_TITLES = frozenset(
    {
        (MANIFEST_TITLE.value, DCM),
        ("MADOTEMP001", "99IHE"),  # "Manifest with Description", until DICOM gives it a code
        ("ddd001", DCM),  # the same, as drafts of the change proposal number it
        ("ddd001", "99IHE"),
    }
)
KEY_OBJECT_DESCRIPTION = Code(value="113012", system=DCM, display="Key Object Description")

_EVIDENCE = 0x0040A375
_REFERENCED_REQUESTS = 0x0040A370
_CONTENT = 0x0040A730

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_WAVEFORMS = (f"{_STORAGE}9.",)
_NO_IMAGES = (
    # What has no pixels is named as COMPOSITE: spectra, states, registrations, raw data, plans, reports, documents.
    *(f"{_STORAGE}{each}" for each in ("4.2", "66", "67", "77.1.5.3", "79.1", "80.1")),
    *(f"{_STORAGE}66.{each}" for each in ("1", "2", "3", "5", "6")),
    *(f"{_STORAGE}481.{each}" for each in range(3, 26)),
)
_NO_IMAGE_FAMILIES = tuple(f"{_STORAGE}{each}." for each in ("11", "34", "68", "78", "88", "104", "200", "201"))


def value_type_of(sop_class_uid: str) -> bytes:
    """How the content tree names an instance of this class: IMAGE, WAVEFORM or COMPOSITE."""
    if sop_class_uid.startswith(_WAVEFORMS):
        return b"WAVEFORM"
    if (
        sop_class_uid in _NO_IMAGES
        or sop_class_uid.startswith(_NO_IMAGE_FAMILIES)
        or not sop_class_uid.startswith(_STORAGE)
    ):
        return b"COMPOSITE"
    return b"IMAGE"


# --- writing ----------------------------------------------------------------------------------------------------------


def encode_kos(manifest: Manifest) -> bytes:
    """The manifest as a Part 10 file in Explicit VR Little Endian.

    Study, accession and institution in the header are those of the first study; dates and times are in the zone of
    `created`. What a KOS has no place for (modalities, instance numbers, sizes) is not written.
    """
    study = manifest.studies[0]
    zone = manifest.created.at.tzinfo or UTC
    created_date, created_time = _date_and_time(manifest.created, zone)
    study_date, study_time = _date_and_time(study.started, zone)
    accession = study.accession_numbers[0] if len(study.accession_numbers) == 1 else None
    offset = manifest.created.at.strftime("%z")[:5].encode("ascii")
    body = b"".join(
        (
            element(0x00080005, b"CS", b"ISO_IR 192"),
            element(0x00080012, b"DA", created_date),
            element(0x00080013, b"TM", created_time),
            _uid(0x00080016, KOS_SOP_CLASS),
            _uid(0x00080018, manifest.sop_instance_uid),
            element(0x00080020, b"DA", study_date),
            element(0x00080023, b"DA", created_date),
            element(0x00080030, b"TM", study_time),
            element(0x00080033, b"TM", created_time),
            _text(0x00080050, b"SH", accession.value if accession else ""),
            _issuer(0x00080051, accession),
            element(0x00080060, b"CS", b"KO"),
            _text(0x00080070, b"LO", manifest.manufacturer),
            _optional(0x00080080, b"LO", manifest.institution),
            _text(0x00080090, b"PN", to_pn(study.referring_physician)),
            element(0x00080201, b"SH", offset),
            _optional(0x00081030, b"LO", study.description),
            _codes(0x00081032, study.procedure_codes),
            element(0x00081111, b"SQ", b""),
            _patient(manifest.patient),
            _uid(0x0020000D, study.study_instance_uid),
            _uid(0x0020000E, manifest.series_instance_uid),
            _text(0x00200010, b"SH", study.study_id),
            element(0x00200011, b"IS", b"1"),
            element(0x00200013, b"IS", b"1"),
            element(0x0040A040, b"CS", b"CONTAINER"),
            sequence(0x0040A043, [_code(manifest.title)]),
            element(0x0040A050, b"CS", b"SEPARATE"),
            _requests(manifest.studies),
            sequence(_EVIDENCE, [_evidence(each) for each in manifest.studies]),
            sequence(0x0040A504, [element(0x00080105, b"CS", b"DCMR") + element(0x0040DB00, b"CS", b"2010")]),
            element(_CONTENT, b"SQ", _content(manifest)),
        )
    )
    return file_meta(KOS_SOP_CLASS, manifest.sop_instance_uid, EXPLICIT_LE) + body


def _date_and_time(moment: Moment | None, zone: tzinfo) -> tuple[bytes, bytes]:
    if moment is None or moment.precision < Precision.DAY:
        return b"", b""
    if moment.precision is Precision.DAY:
        return moment.at.strftime("%Y%m%d").zfill(8).encode("ascii"), b""
    at = moment.at.astimezone(zone)
    time = at.strftime({Precision.HOUR: "%H", Precision.MINUTE: "%H%M", Precision.SECOND: "%H%M%S"}[moment.precision])
    if moment.precision is Precision.SECOND and at.microsecond:
        time += f".{at.microsecond:06d}"
    return at.strftime("%Y%m%d").zfill(8).encode("ascii"), time.encode("ascii")


def _text(tag: int, vr: bytes, text: str) -> bytes:
    return element(tag, vr, text.encode())


def _optional(tag: int, vr: bytes, text: str) -> bytes:
    return element(tag, vr, text.encode()) if text else b""


def _uid(tag: int, uid: str) -> bytes:
    return element(tag, b"UI", uid.encode("ascii"))


def _entity(oid: str) -> bytes:
    return _text(0x00400032, b"UT", oid) + element(0x00400033, b"CS", b"ISO")


def _issuer(tag: int, number: AccessionNumber | None) -> bytes:
    return sequence(tag, [_entity(number.authority)]) if number is not None and number.authority else b""


def _code(code: Code) -> bytes:
    designator = DESIGNATORS.get(code.system)
    uid = b""
    if designator is None:
        # A system that is an OID and has no designator is named by its UID; the designator is required all the same.
        is_oid = code.system[:1].isdigit() and "." in code.system
        designator = "99OID" if is_oid else code.system[:16]
        uid = _uid(0x0008010C, code.system) if is_oid else b""
    value_tag, vr = (0x00080100, b"SH") if len(code.value) <= 16 else (0x00080119, b"UC")
    parts = {
        value_tag: _text(value_tag, vr, code.value),
        0x00080102: _text(0x00080102, b"SH", designator),
        0x00080104: _text(0x00080104, b"LO", code.display or code.value),
        0x0008010C: uid,
    }
    return b"".join(parts[tag] for tag in sorted(parts))


def _codes(tag: int, codes: tuple[Code, ...]) -> bytes:
    return sequence(tag, map(_code, codes)) if codes else b""


def _patient(patient: Patient) -> bytes:
    ours = patient.identifiers[0] if patient.identifiers else None
    born = patient.birth_date
    others = [
        _text(0x00100020, b"LO", each.value)
        + _text(0x00100021, b"LO", each.authority)
        + element(0x00100022, b"CS", b"TEXT")
        + sequence(0x00100024, [_entity(each.authority)])
        for each in patient.identifiers[1:]
    ]
    return b"".join(
        (
            _text(0x00100010, b"PN", to_pn(patient.name)),
            _text(0x00100020, b"LO", ours.value if ours else ""),
            _text(0x00100021, b"LO", ours.authority) if ours else b"",
            sequence(0x00100024, [_entity(ours.authority)]) if ours else b"",
            element(0x00100030, b"DA", _date_and_time(born, UTC)[0]),
            element(0x00100040, b"CS", b"" if patient.sex is Sex.UNKNOWN else patient.sex.encode("ascii")),
            sequence(0x00101002, others) if others else b"",
        )
    )


def _requests(studies: Iterable[Study]) -> bytes:
    """One item per accession number and placer order of each study, side by side in the order that they are in."""
    items = [
        b"".join(
            (
                _text(0x00080050, b"SH", accession.value if accession else ""),
                _issuer(0x00080051, accession),
                element(0x00081110, b"SQ", b""),
                _uid(0x0020000D, study.study_instance_uid),
                element(0x00321060, b"LO", b""),
                element(0x00321064, b"SQ", b""),
                _issuer(0x00400026, order),
                element(0x00401001, b"SH", b""),
                _text(0x00402016, b"LO", order.value if order else ""),
                element(0x00402017, b"LO", b""),
            )
        )
        for study in studies
        for accession, order in zip_longest(study.accession_numbers, study.placer_orders)
    ]
    return sequence(_REFERENCED_REQUESTS, items) if items else b""


def _evidence(study: Study) -> bytes:
    series = [
        b"".join(
            (
                _optional(0x00080054, b"AE", each.retrieve_ae_title),
                _optional(0x00081190, b"UR", each.retrieve_url),
                element(0x00081199, b"SQ", b"".join(map(item, _references(each.instances)))),
                _uid(0x0020000E, each.series_instance_uid),
                _uid(0x0040E011, each.retrieve_location_uid) if each.retrieve_location_uid else b"",
            )
        )
        for each in study.series
    ]
    return sequence(0x00081115, series) + _uid(0x0020000D, study.study_instance_uid)


def _references(instances: Iterable[Instance]) -> Iterator[bytes]:
    """(0008,1150) and (0008,1155) of each instance; classes are encoded once."""
    classes: dict[str, bytes] = {}
    for instance in instances:
        sop_class = classes.get(instance.sop_class_uid)
        if sop_class is None:
            sop_class = classes[instance.sop_class_uid] = _uid(0x00081150, instance.sop_class_uid)
        uid = instance.sop_instance_uid.encode("ascii")
        if len(uid) & 1:
            uid += b"\0"
        yield sop_class + b"\x08\0\x55\x11UI" + pack("<H", len(uid)) + uid


def _content(manifest: Manifest) -> bytes:
    contains = element(0x0040A010, b"CS", b"CONTAINS")
    text = contains + element(0x0040A040, b"CS", b"TEXT") + sequence(0x0040A043, [_code(KEY_OBJECT_DESCRIPTION)])
    items = [item(text + _text(0x0040A160, b"UT", each)) for each in manifest.texts]
    kinds: dict[str, bytes] = {}
    for study in manifest.studies:
        for series in study.series:
            for instance, reference in zip(series.instances, _references(series.instances), strict=True):
                kind = kinds.get(instance.sop_class_uid)
                if kind is None:
                    kind = contains + element(0x0040A040, b"CS", value_type_of(instance.sop_class_uid))
                    kinds[instance.sop_class_uid] = kind
                size = len(reference)
                items.append(
                    pack("<HHLHH2sHLHHL", 0xFFFE, 0xE000, 20 + size + len(kind), 8, 0x1199, b"SQ", 0, 8 + size,
                         0xFFFE, 0xE000, size) + reference + kind
                )  # fmt: skip
    return b"".join(items)


# --- reading ----------------------------------------------------------------------------------------------------------


class _Reading:
    """One KOS being read, and what was odd about it."""

    def __init__(self, dataset: Elements, zone: tzinfo) -> None:
        self.dataset = dataset
        self.zone = zone_of(dataset, zone)
        self.findings: list[Finding] = []

    def note(self, rule: str, text: str, location: str = "", severity: Severity = Severity.WARNING) -> None:
        self.findings.append(Finding(rule=rule, text=text, severity=severity, location=location))


def decode_kos(body: bytes, *, authority: Oid | None = None, zone: tzinfo = UTC) -> Decoded[Manifest]:
    """Read a manifest.

    Args:
        body: A Part 10 file.
        authority: Who gave the patient id, where the file does not say. None: such an id is left out.
        zone: The clock that dates and times were read from, where (0008,0201) does not say.

    Returns:
        1..n studies, each with 1..n series, each with 1..n instances, in document order; findings for what is missing or
        contradicts itself. A title that is not a manifest's is a finding of severity error: such a KOS is a key image
        note or a rejection note.

    Raises:
        MalformedMessage: Not a Part 10 file, not a KOS, without evidence, or with UIDs that are none.
    """
    head = read_head(body)
    if head.sop_class_uid != KOS_SOP_CLASS:
        raise MalformedMessage("not a Key Object Selection Document", location="(0008,0016)")
    reading = _Reading(head.dataset, zone)
    reading.findings.extend(head.findings)
    dataset = head.dataset
    title = _title(reading)
    patient = _patient_of(reading, authority)
    studies = _studies(reading, patient, _uid_of(head.sop_instance_uid, "(0008,0018)"))
    _compare_content(reading, studies)
    created = (
        moment_of(dataset, 0x00080023, 0x00080033, reading.zone)
        or moment_of(dataset, 0x00080012, 0x00080013, reading.zone)
        or moment_of(dataset, 0x00080020, 0x00080030, reading.zone)
    )
    if created is None:
        raise MalformedMessage("the document does not say when it was made", location="(0008,0023)")
    manifest = Manifest(
        sop_instance_uid=_uid_of(head.sop_instance_uid, "(0008,0018)"),
        series_instance_uid=_uid_of(dataset.first(0x0020000E), "(0020,000E)"),
        created=created,
        patient=patient,
        studies=studies,
        title=title,
        institution=dataset.first(0x00080080),
        manufacturer=dataset.first(0x00080070),
        texts=tuple(_texts(dataset)),
    )
    if any(each.series_instance_uid == manifest.series_instance_uid for study in studies for each in study.series):
        reading.note("kos/own-series", "the document is in a series that it lists", "(0020,000E)")
    return Decoded(manifest, tuple(reading.findings))


def _title(reading: _Reading) -> Code:
    for each in reading.dataset.items(0x0040A043):
        title = code_of(each)
        if title is not None:
            if (title.value, title.system) not in MANIFEST_TITLES:
                reading.note(
                    "kos/title",
                    "the document's title is not that of a manifest",
                    "(0040,A043)",
                    Severity.ERROR,
                )
            return title
    reading.note("kos/title", "the document has no title", "(0040,A043)")
    return MANIFEST_TITLE


_NOBODY = Oid("0.0")


def _patient_of(reading: _Reading, authority: Oid | None) -> Patient:
    """The patient; without identifiers when nobody says who gave the id."""
    patient = patient_of(reading.dataset, authority=authority or _NOBODY)
    known: tuple[PatientIdentifier, ...] = tuple(each for each in patient.identifiers if each.authority != _NOBODY)
    if len(known) < len(patient.identifiers):
        reading.note("kos/patient-issuer", "the patient id has no issuer", "(0010,0024)")
    if not patient.identifiers:
        reading.note("kos/patient-id", "the document has no patient id", "(0010,0020)")
    return Patient(identifiers=known, name=patient.name, birth_date=patient.birth_date, sex=patient.sex)


def _studies(reading: _Reading, patient: Patient, own: Uid) -> tuple[Study, ...]:
    dataset = reading.dataset
    header_study = dataset.first(0x0020000D)
    evidence = dataset.items(_EVIDENCE)
    if not evidence:
        raise MalformedMessage("the document lists no evidence", location="(0040,A375)")
    requests = dataset.items(_REFERENCED_REQUESTS)
    seen: set[str] = {own}
    studies: list[Study] = []
    for position, each in enumerate(evidence):
        where = f"(0040,A375)[{position}]"
        uid = _uid_of(each.first(0x0020000D), f"{where} > (0020,000D)")
        series = tuple(_series(reading, each, seen, where))
        if not series:
            raise MalformedMessage("a study without series", location=f"{where} > (0008,1115)")
        mine = [request for request in requests if request.first(0x0020000D) == uid]
        accessions = [number for request in mine for number in accession_numbers_of(request)]
        orders = [order for request in mine for order in placer_orders_of(request)]
        if uid == header_study:
            study = study_with(dataset, series, patient, reading.zone)
            numbers = accessions or study.accession_numbers
            studies.append(_with_orders(study, numbers, (*study.placer_orders, *orders)))
        else:
            study = Study(study_instance_uid=uid, patient=patient, series=series)
            studies.append(_with_orders(study, accessions, orders))
    if all(study.study_instance_uid != header_study for study in studies):
        reading.note("kos/header-study", "the document's own study is not among those that it lists", "(0020,000D)")
    return tuple(studies)


def _with_orders(study: Study, accessions: Iterable[AccessionNumber], orders: Iterable[AccessionNumber]) -> Study:
    return replace(
        study, accession_numbers=tuple(dict.fromkeys(accessions)), placer_orders=tuple(dict.fromkeys(orders))
    )


def _series(reading: _Reading, study: Elements, seen: set[str], where: str) -> Iterator[Series]:
    for position, each in enumerate(study.items(0x00081115)):
        here = f"{where} > (0008,1115)[{position}]"
        instances = tuple(_instances(reading, each, seen, here))
        location = oid_or_none(each.first(0x0040E011))
        if location is None:
            reading.note("kos/retrieve-location", "a series has no Retrieve Location UID", f"{here} > (0040,E011)")
        ae_title = each.first(0x00080054)
        if not ae_title:
            reading.note("kos/retrieve-ae-title", "a series has no Retrieve AE Title", f"{here} > (0008,0054)")
        uid = _uid_of(each.first(0x0020000E), f"{here} > (0020,000E)")
        if not instances:
            reading.note("kos/empty-series", "a series lists no instance", f"{here} > (0008,1199)")
            continue
        yield Series(
            series_instance_uid=uid,
            instances=instances,
            retrieve_location_uid=location,
            retrieve_url=each.text(0x00081190),
            retrieve_ae_title=ae_title,
        )


def _instances(reading: _Reading, series: Elements, seen: set[str], where: str) -> Iterator[Instance]:
    twice = 0
    classes: dict[str, Uid] = {}
    for position, (sop_class, text) in enumerate(_pairs(series)):
        uid = _uid_of(text, f"{where} > (0008,1199)[{position}] > (0008,1155)")
        if uid in seen:
            twice += 1
            continue
        seen.add(uid)
        known = classes.get(sop_class)
        if known is None:
            known = classes[sop_class] = _uid_of(sop_class, f"{where} > (0008,1199)[{position}] > (0008,1150)")
        yield Instance(sop_instance_uid=uid, sop_class_uid=known)
    if twice:
        reading.note("kos/instance-twice", f"{twice} instances are listed before, or are the document itself", where)


def _pairs(series: Elements) -> Iterator[tuple[str, str]]:
    """Referenced SOP Class and Instance UID of every reference, as text."""
    place = series.places.get(0x00081199)
    if place is not None and series.encoding == EXPLICIT and place.vr == b"SQ":
        pairs = _plain_pairs(series.raw, place.begin, place.end)
        if pairs is not None:
            return iter(pairs)
    return ((each.first(0x00081150), each.first(0x00081155)) for each in series.items(0x00081199))


def _plain_pairs(raw: bytes | bytearray | memoryview, position: int, end: int) -> list[tuple[str, str]] | None:
    """The same where every item has these two elements and no other, as nearly all have; None: it is not so."""
    pairs: list[tuple[str, str]] = []
    while position + 24 <= end:
        item_tag, item_length, class_tag, class_vr, class_length = _ITEM_WITH_CLASS(raw, position)
        begin = position + 16
        position = begin + class_length
        if item_tag != _ITEM or class_tag != _CLASS or class_vr != b"UI" or position + 8 > end:
            return None
        uid_tag, uid_vr, uid_length = _REFERENCE(raw, position)
        uid_end = position + 8 + uid_length
        if uid_tag != _INSTANCE or uid_vr != b"UI" or uid_end > end:
            return None
        pairs.append((_ascii(raw[begin:position]), _ascii(raw[position + 8 : uid_end])))
        if item_length == UNDEFINED:
            if bytes(raw[uid_end : uid_end + 8]) != _ITEM_END:
                return None
            uid_end += 8
        elif begin - 8 + item_length != uid_end:
            return None
        position = uid_end
    return pairs if position == end else None


def _ascii(value: bytes | bytearray | memoryview) -> str:
    return bytes(value).decode("latin-1").strip(" \0")


_REFERENCED_UID = re.compile(rb"\x08\x00\x55\x11UI(.)\x00([0-9.]{1,64})", re.DOTALL)
_ITEM, _CLASS, _INSTANCE = 0xE000FFFE, 0x11500008, 0x11550008  # tags read as one little-endian number
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
_ITEM_WITH_CLASS = Struct("<LLL2sH").unpack_from
_REFERENCE = Struct("<L2sH").unpack_from


def _compare_content(reading: _Reading, studies: tuple[Study, ...]) -> None:
    """Evidence and content tree name the same instances (C.17.6.2.1); the evidence is what we go by."""
    evidence = {instance.sop_instance_uid for study in studies for _, instance in study.instances()}
    content = _content_uids(reading.dataset)
    if content != evidence:
        missing, extra = len(evidence - content), len(content - evidence)
        reading.note(
            "kos/content",
            f"evidence and content differ: {missing} instances only in the one, {extra} only in the other",
            "(0040,A730)",
        )


def _content_uids(dataset: Elements) -> set[str]:
    """Every instance that the content tree refers to, at any depth: an image library names them below its groups."""
    place = dataset.places.get(_CONTENT)
    if place is None:
        return set()
    if dataset.encoding == EXPLICIT:
        # No text holds these bytes (there are NULs in them), and nothing else in an SR tree is binary.
        found = _REFERENCED_UID.finditer(bytes(dataset.raw[place.begin : place.end]))
        return {_ascii(match[2][: match[1][0]]) for match in found}
    return set(_nested_uids(dataset))


def _nested_uids(dataset: Elements) -> Iterator[str]:
    for each in dataset.items(_CONTENT):
        for reference in each.items(0x00081199):
            yield reference.first(0x00081155)
        yield from _nested_uids(each)


def _texts(dataset: Elements) -> Iterator[str]:
    for each in dataset.items(_CONTENT):
        if each.first(0x0040A040) == "TEXT":
            text = each.text(0x0040A160)
            if text:
                yield text


def _uid_of(text: str, location: str) -> Uid:
    try:
        return Uid(text)
    except ValueError:
        raise MalformedMessage("a UID is missing or is not one", location=location) from None
