"""A head in other words: with our patient (coercion), or in another native transfer syntax.

The pixel tail is never touched, and of the head only what must change: everything else is copied as bytes. What a newcomer
gets wrong: Original Attributes Sequence is not optional once anything was coerced; and a name that the dataset's character
set cannot write moves the whole head to UTF-8, nested items included.

Source: DICOM PS3.3 C.12.1.1.9 (Original Attributes), C.7.1.1 (Patient); PS3.5 A.5 (deflate).
"""

import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from struct import pack

from profiles.errors import Unsupported
from profiles.model.identifiers import AccessionNumber
from profiles.model.moment import Precision
from profiles.model.patient import NO_NAME, Patient, Sex
from profiles.wire.dicom.elements import Elements, places_of
from profiles.wire.dicom.encode import UTF8, element, encoded, encoded_element, file_meta, item, sequence
from profiles.wire.dicom.names import from_pn, to_pn
from profiles.wire.dicom.part10 import Part10Head, read_head
from profiles.wire.dicom.study import issuer_of
from profiles.wire.dicom.syntaxes import (
    BIG,
    EXPLICIT,
    EXPLICIT_BE,
    EXPLICIT_LE,
    GE_PRIVATE,
    IMPLICIT,
    IMPLICIT_LE,
    UNDEFINED,
    Encoding,
    encoding_of,
)

CHARACTER_SET = 0x00080005
OTHER_PATIENT_IDS = 0x00101002
ORIGINAL_ATTRIBUTES = 0x04000561
MODIFIED_ATTRIBUTES = 0x04000550

COERCED_TAGS = (
    0x00080050,  # Accession Number
    0x00080051,  # Issuer of Accession Number Sequence
    0x00100010,  # Patient's Name
    0x00100020,  # Patient ID
    0x00100021,  # Issuer of Patient ID
    0x00100024,  # Issuer of Patient ID Qualifiers Sequence
    0x00100030,  # Patient's Birth Date
    0x00100040,  # Patient's Sex
    OTHER_PATIENT_IDS,
)
"""What coercion may change, besides recording that it did."""


def coerced_head(
    head: Part10Head,
    *,
    patient: Patient,
    accession: AccessionNumber | None,
    source: str,
    system: str,
    at: datetime,
) -> bytes:
    """The head as it reads with our patient.

    Args:
        head: As received.
        patient: Ours; the first identifier becomes Patient ID. Demographics that we do not know are left as they are.
        accession: Ours, if the order has a number here.
        source: Where the previous values come from (0400,0564).
        system: Who changes them (0400,0563).
        at: When (0400,0562).

    Returns:
        A head to be followed by the file's tail (`tail_offset`); for a deflated file the whole file, deflated again. The
        head as it was when it says all of this already.

    Raises:
        Unsupported: The head was cut by the size cap before an attribute that must change.
    """
    wanted = _wanted(head.dataset, patient, accession)
    if not wanted:
        return whole(head, _dataset_bytes(head))
    dataset = head.dataset
    texts = (*(text for _, text in wanted.values() if isinstance(text, str)), source, system)
    if any(dataset.charset.encode(text) is None for text in texts):
        dataset = _in_utf8(dataset)
    _refuse_if_cut(head, max(*wanted, ORIGINAL_ATTRIBUTES))
    encoding, charset = dataset.encoding, dataset.charset
    changes: dict[int, bytes] = {}
    for tag, (vr, value) in wanted.items():
        if tag == OTHER_PATIENT_IDS:
            changes[tag] = _with_old_id(dataset)
        elif isinstance(value, str):
            changes[tag] = element(tag, vr, charset.encode(value) or b"", encoding)
        else:
            changes[tag] = sequence(tag, [_entity(each, encoding) for each in value], encoding)
    changes[ORIGINAL_ATTRIBUTES] = _with_item(
        dataset, ORIGINAL_ATTRIBUTES, _original_attributes(dataset, wanted, source=source, system=system, at=at)
    )
    return whole(head, spliced(dataset, changes))


def head_in(head: Part10Head, transfer_syntax_uid: str) -> bytes:
    """The head in Implicit or Explicit VR Little Endian, with the pixel element's header at its end.

    To be followed by the file's bytes from `pixel_value_offset`, `pixel_length` of them: what may come after the pixels is
    padding, and is written in the old syntax. For a deflated file the whole file is returned.

    Raises:
        Unsupported: The pixel data would have to change too (compressed, or words in big endian order).
    """
    if transfer_syntax_uid not in (IMPLICIT_LE, EXPLICIT_LE):
        raise Unsupported(
            "a head can be written in Implicit and Explicit VR Little Endian", location=transfer_syntax_uid
        )
    bits = head.dataset.number(0x00280100) or 8
    if head.pixel_tag is not None and (
        head.encapsulated or (bits > 8 and head.transfer_syntax_uid in (EXPLICIT_BE, GE_PRIVATE))
    ):
        raise Unsupported("the pixel data would have to be decoded", location=head.transfer_syntax_uid)
    if not head.complete:
        raise Unsupported("the header is too long to be written anew", location=head.sop_instance_uid)
    target = encoding_of(transfer_syntax_uid)
    body = encoded(head.dataset, target)
    if head.pixel_value_offset is not None and head.pixel_tag is not None:
        vr = b"OW" if head.pixel_vr == b"" and head.pixel_tag == 0x7FE00010 else head.pixel_vr
        vr = vr or (b"OF" if head.pixel_tag == 0x7FE00008 else b"OD")
        length = head.pixel_length if head.pixel_length is not None else UNDEFINED
        if target.implicit:
            body += pack("<HHL", 0x7FE0, head.pixel_tag & 0xFFFF, length)
        else:
            body += pack("<HH2sHL", 0x7FE0, head.pixel_tag & 0xFFFF, vr, 0, length)
    return meta_of(head, transfer_syntax_uid) + body


def reread(coerced: bytes, original: Part10Head) -> Part10Head:
    """A coerced head as a head again, with the pixels of the file that it belongs to."""
    return replace(
        read_head(coerced),
        tail_offset=original.tail_offset,
        tail_tag=original.tail_tag,
        pixel_offset=original.pixel_offset,
        pixel_value_offset=original.pixel_value_offset,
        pixel_length=original.pixel_length,
        pixel_tag=original.pixel_tag,
        pixel_vr=original.pixel_vr,
    )


def meta_of(head: Part10Head, transfer_syntax_uid: str) -> bytes:
    """Preamble and file meta: as they came where that is possible, with this transfer syntax and a true group length."""
    meta = head.meta
    if 0x00020002 not in meta or 0x00020003 not in meta:
        return file_meta(head.sop_class_uid, head.sop_instance_uid, transfer_syntax_uid)
    preamble = head.raw[:128] if head.raw[128:132] == b"DICM" else bytes(128)
    syntax = element(0x00020010, b"UI", transfer_syntax_uid.encode("latin-1", "replace"))
    elements: list[bytes] = []
    for tag in sorted({*meta.places, 0x00020010}):
        if tag == 0x00020000:
            continue
        if tag == 0x00020010:
            elements.append(syntax)
        else:
            place = meta.places[tag]
            elements.append(bytes(meta.raw[place.start : place.stop]))
    content = b"".join(elements)
    return bytes(preamble) + b"DICM" + element(0x00020000, b"UL", pack("<L", len(content))) + content


def whole(head: Part10Head, dataset: bytes) -> bytes:
    """File meta and a dataset; deflated when the file was."""
    syntax = head.transfer_syntax_uid
    if encoding_of(syntax) != head.encoding:  # the file lied about itself; what we write does not
        syntax = {IMPLICIT: IMPLICIT_LE, EXPLICIT: EXPLICIT_LE, BIG: EXPLICIT_BE}[head.encoding]
    if not head.deflated:
        return meta_of(head, syntax) + dataset
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(dataset) + deflate.flush()
    return meta_of(head, syntax) + body + bytes(len(body) & 1)


def spliced(dataset: Elements, changes: dict[int, bytes]) -> bytes:
    """The dataset's bytes with some elements in other words; whatever did not change is copied, runs at a time."""
    raw, places = dataset.raw, dataset.places
    groups = {tag >> 16 for tag in changes}
    pieces: list[bytes | bytearray | memoryview] = []
    begin = end = -1
    for tag in sorted({*places, *changes}):
        if tag in changes or (tag & 0xFFFF == 0 and tag >> 16 in groups):  # a group length would be wrong now
            if end > begin:
                pieces.append(raw[begin:end])
                begin = end = -1
            pieces.append(changes.get(tag, b""))
            continue
        place = places[tag]
        if place.start != end:
            if end > begin:
                pieces.append(raw[begin:end])
            begin = place.start
        end = place.stop
    if end > begin:
        pieces.append(raw[begin:end])
    return b"".join(pieces)


_Wanted = dict[int, tuple[bytes, "str | tuple[str, ...]"]]
"""VR and value of what is to change: text, or the OIDs of a designator sequence."""


def _wanted(dataset: Elements, patient: Patient, accession: AccessionNumber | None) -> _Wanted:
    """Attributes whose value is not yet what it should be."""
    texts: dict[int, tuple[bytes, str]] = {}
    sequences: dict[int, tuple[str, ...]] = {}
    if accession is not None:
        texts[0x00080050] = (b"SH", accession.value)
        sequences[0x00080051] = (accession.authority,) if accession.authority else ()
    if patient.name != NO_NAME:
        texts[0x00100010] = (b"PN", to_pn(patient.name))
    if patient.identifiers:
        ours = patient.identifiers[0]
        texts[0x00100020] = (b"LO", ours.value)
        texts[0x00100021] = (b"LO", ours.authority)
        sequences[0x00100024] = (ours.authority,)
    if patient.birth_date is not None and patient.birth_date.precision >= Precision.DAY:
        texts[0x00100030] = (b"DA", patient.birth_date.at.strftime("%Y%m%d").zfill(8))
    if patient.sex is not Sex.UNKNOWN:
        texts[0x00100040] = (b"CS", patient.sex.value)
    wanted: _Wanted = {}
    for tag, (vr, text) in texts.items():
        now = to_pn(from_pn(dataset.text(tag))) if vr == b"PN" else dataset.text(tag)
        if now != text:
            wanted[tag] = (vr, text)
    for tag, oids in sequences.items():
        issuer = issuer_of(dataset, tag)
        if ((issuer,) if issuer else ()) != oids and (oids or dataset.items(tag)):
            wanted[tag] = (b"SQ", oids)
    if (
        {0x00100020, 0x00100021, 0x00100024} & wanted.keys()
        and dataset.first(0x00100020)
        and not _knows_own_id(dataset, patient)
    ):
        wanted[OTHER_PATIENT_IDS] = (b"SQ", ())
    return dict(sorted(wanted.items()))


def _knows_own_id(dataset: Elements, patient: Patient) -> bool:
    """Whether the id that is there now is our own (without its issuer), or is among the other ids already."""
    value, issuer = dataset.first(0x00100020), dataset.first(0x00100021)
    ours = patient.identifiers[0]
    if value == ours.value and not issuer and not dataset.items(0x00100024):
        return True
    qualified = issuer_of(dataset, 0x00100024)
    return any(
        each.first(0x00100020) == value
        and each.first(0x00100021) == issuer
        and issuer_of(each, 0x00100024) == qualified
        for each in dataset.items(OTHER_PATIENT_IDS)
    )


def _entity(oid: str, encoding: Encoding) -> bytes:
    return element(0x00400032, b"UT", oid.encode("ascii"), encoding) + element(0x00400033, b"CS", b"ISO", encoding)


def _with_old_id(dataset: Elements) -> bytes:
    """Other Patient IDs Sequence with the id that the header has now."""
    encoding = dataset.encoding
    content = [element(0x00100020, b"LO", dataset.value(0x00100020) or b"", encoding)]
    if 0x00100021 in dataset:
        content.append(element(0x00100021, b"LO", dataset.value(0x00100021) or b"", encoding))
    content.append(element(0x00100022, b"CS", b"TEXT", encoding))
    if dataset.items(0x00100024):
        content.append(encoded_element(dataset, 0x00100024, encoding))
    return _with_item(dataset, OTHER_PATIENT_IDS, b"".join(content))


def _with_item(dataset: Elements, tag: int, content: bytes) -> bytes:
    """A sequence with one more item at its end; those that are there are kept, byte for byte where they can be."""
    encoding = dataset.encoding
    place = dataset.places.get(tag)
    if place is None:
        return sequence(tag, [content], encoding)
    if place.vr == b"SQ" or (encoding.implicit and not place.vr):
        return element(tag, b"SQ", bytes(dataset.raw[place.begin : place.end]) + item(content, encoding), encoding)
    return sequence(tag, [*(encoded(each, encoding) for each in dataset.items(tag)), content], encoding)


def _original_attributes(dataset: Elements, wanted: Iterable[int], *, source: str, system: str, at: datetime) -> bytes:
    """One item that says what was there before; an attribute that was not there has no value."""
    encoding, charset = dataset.encoding, dataset.charset
    previous = b"".join(
        encoded_element(dataset, tag, encoding) if tag in dataset else element(tag, _VRS[tag], b"", encoding)
        for tag in sorted(wanted)
    )
    when = at.strftime("%Y%m%d%H%M%S.%f%z").zfill(26).encode("ascii")
    return b"".join(
        (
            sequence(MODIFIED_ATTRIBUTES, [previous], encoding),
            element(0x04000562, b"DT", when, encoding),
            element(0x04000563, b"LO", charset.encode(system[:64]) or b"", encoding),
            element(0x04000564, b"LO", charset.encode(source[:64]) or b"", encoding),
            element(0x04000565, b"CS", b"COERCE", encoding),
        )
    )


_VRS = {
    0x00080050: b"SH",
    0x00080051: b"SQ",
    0x00100010: b"PN",
    0x00100020: b"LO",
    0x00100021: b"LO",
    0x00100024: b"SQ",
    0x00100030: b"DA",
    0x00100040: b"CS",
    OTHER_PATIENT_IDS: b"SQ",
}


def _in_utf8(dataset: Elements) -> Elements:
    """The same dataset with every text in UTF-8, and saying so."""
    body = encoded(dataset, dataset.encoding, UTF8)
    recoded = Elements(body, places_of(body, 0, len(body), dataset.encoding), dataset.encoding)
    named = spliced(recoded, {CHARACTER_SET: element(CHARACTER_SET, b"CS", UTF8.value, dataset.encoding)})
    return Elements(named, places_of(named, 0, len(named), dataset.encoding), dataset.encoding)


def _dataset_bytes(head: Part10Head) -> bytes:
    return head.raw[head.dataset_offset :]


def _refuse_if_cut(head: Part10Head, last_tag: int) -> None:
    if not head.complete and (head.tail_tag or 0) <= last_tag:
        raise Unsupported(
            "the header is too long to be changed: an attribute lies behind more bytes than are held",
            location=head.sop_instance_uid,
        )
