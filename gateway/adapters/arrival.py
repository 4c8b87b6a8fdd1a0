"""Arrival: what every archive does with a part before it is believed, and what it tells of it afterwards.

A part is read as it comes (`Part10Reader`); its identifiers are checked before any of them is used; its head is coerced
if the caller said so; and what the index keeps of it is rendered once, from the head that will be served.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Final, TypeAlias

import orjson

from gateway.ports.archive import Coercion, Stored, StoreOutcome
from gateway.ports.studies import ArrivedInstance
from profiles.errors import ExchangeError, MalformedMessage, RuleViolation, Unsupported
from profiles.model.identifiers import Oid, Uid
from profiles.model.imaging import Instance, Study
from profiles.wire.dicom.dataset import COERCED_TAGS, coerced_head, dicom_json, head_in, reread, study_of
from profiles.wire.dicom.decompress import Decompression, decompressible, decompression
from profiles.wire.dicom.frames import Read, aligned, frame_ranges, frame_shape
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.dicom.rewrite import ORIGINAL_ATTRIBUTES
from profiles.wire.dicom.syntaxes import (
    BINARY,
    DEFLATED_LE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    NATIVE,
    PIXEL_TAGS,
    media_type_of,
)

STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
NUMBER_OF_FRAMES: Final = 0x00280008

PROGRAMS: Mapping[bytes, str] = {
    b"MZ": "a Windows program",
    b"\x7fELF": "a Linux program",
    b"\xfe\xed\xfa": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS or Java program",
    b"#!": "a script",
    b"<": "a page that a browser would run",
    b"PK": "an archive that a system would unpack",
    b"%PDF": "a PDF",
}
"""What a preamble must not begin with: the file would be DICOM to one reader and a program to another (CVE-2019-11687).

TIFF (`II*`, `MM`) is legitimate there: whole-slide images are both (PS3.10 7.1).
"""


CONVERTIBLE: Final = frozenset((IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE))
"""Syntaxes that become Explicit or Implicit VR Little Endian by another head; nothing is recompressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How this house reads a header: whose a bare Patient ID is, which zone a time without one is in, who we are."""

    authority: Oid
    zone: tzinfo
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The four UIDs, checked."""

    study_instance_uid: Uid
    series_instance_uid: Uid
    sop_instance_uid: Uid
    sop_class_uid: Uid


def identity_of(head: Part10Head) -> Identity:
    """Who it is.

    Raises:
        MalformedMessage: One of the UIDs is missing or none.
        RuleViolation: The preamble is a program.
    """
    preamble = head.raw[:128] if head.raw[128:132] == b"DICM" else b""
    for magic, what in PROGRAMS.items():
        if preamble.startswith(magic):
            raise RuleViolation(
                f"the preamble is {what}", location="preamble", cure="ask the sender for a file with an empty preamble"
            )
    _uid(head.transfer_syntax_uid, "(0002,0010)")
    return Identity(
        study_instance_uid=_uid(head.dataset.first(STUDY_INSTANCE_UID), "(0020,000D)"),
        series_instance_uid=_uid(head.dataset.first(SERIES_INSTANCE_UID), "(0020,000E)"),
        sop_instance_uid=_uid(head.sop_instance_uid, "(0008,0018)"),
        sop_class_uid=_uid(head.sop_class_uid, "(0008,0016)"),
    )


def _uid(text: str, location: str) -> Uid:
    try:
        return Uid(text)
    except ValueError as error:
        raise MalformedMessage("a UID that names the instance is missing or wrong", location=location) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Coerced:
    """A head in other words: `raw` as it stands in front of the tail (deflated, if the file is), `head` as it reads."""

    raw: bytes
    head: Part10Head


def coerced(head: Part10Head, coercion: Coercion, reading: Reading, at: datetime) -> Coerced | None:
    """The head with our patient and accession number, the old values in Original Attributes Sequence.

    None: it says all of that already.
    """
    raw = coerced_head(
        head,
        patient=coercion.patient,
        accession=coercion.accession_number,
        source=coercion.source,
        system=coercion.system or reading.system,
        at=at,
    )
    new = reread(raw, head)
    return None if new.raw == head.raw else Coerced(raw=raw, head=new)


def arrived(head: Part10Head, reading: Reading, *, size_bytes: int | None, sha256: str | None) -> ArrivedInstance:
    """What the index keeps: `head` is the one that will be served, size and hash are of the file as received."""
    study = study_of(head, authority=reading.authority, zone=reading.zone)
    return ArrivedInstance(study=_measured(study, size_bytes, sha256), metadata=dicom_json(head))


def _measured(study: Study, size_bytes: int | None, sha256: str | None) -> Study:
    def measured(instance: Instance) -> Instance:
        return replace(instance, size_bytes=size_bytes, sha256=sha256)

    return replace(
        study,
        series=tuple(replace(each, instances=tuple(map(measured, each.instances))) for each in study.series),
    )


def refused(key: str, head: Part10Head | None, error: ExchangeError) -> StoreOutcome:
    """The outcome of a part that was not taken, with as much of its identity as could be read."""
    return StoreOutcome(
        key=key,
        stored=Stored.REFUSED,
        sop_class_uid=head.sop_class_uid if head is not None else "",
        sop_instance_uid=head.sop_instance_uid if head is not None else "",
        error=error,
    )


def syntax_for(stored: str, accepted: frozenset[str] | None) -> str | None:
    """The transfer syntax in which something stored in this one is sent; None: it cannot be had.

    As it is where that will do; else a native one, by another head or by decompression. Nothing is compressed.
    """
    if accepted is None or stored in accepted:
        return stored
    native = next((each for each in (EXPLICIT_LE, IMPLICIT_LE) if each in accepted), None)
    return native if native is not None and (stored in CONVERTIBLE or decompressible(stored)) else None


def cannot_be_had(location: str) -> ExchangeError:
    """Why an instance is missing that is here: each of the wires asks for syntaxes by name."""
    return Unsupported(
        "the instance cannot be had in one of the transfer syntaxes asked for",
        location=location,
        code="XDSRepositoryError",
        cure="ask for the syntax in which it is stored, or for Explicit VR Little Endian",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file in another syntax: this head, then these bytes of the file that it was made from."""

    head: bytes
    begin: int
    end: int


def written_in(head: Part10Head, size: int, transfer_syntax_uid: str) -> Written:
    """A file of `size` bytes in Implicit or Explicit VR Little Endian; what may follow its pixels is padding.

    Raises:
        Unsupported: Its pixels would have to change too.
    """
    raw = head_in(head, transfer_syntax_uid)
    if head.pixel_value_offset is None:
        return Written(head=raw, begin=size, end=size)
    length = head.pixel_length if head.pixel_length is not None else size - head.pixel_value_offset
    return Written(head=raw, begin=head.pixel_value_offset, end=head.pixel_value_offset + length)


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one stored file; `read` gives bytes of it, blocking."""

    head: Part10Head
    read: Read

    @property
    def count(self) -> int:
        """Of the whole instance."""
        return max(1, self.head.dataset.number(NUMBER_OF_FRAMES) or 1)

    @property
    def media_type(self) -> str:
        """Of one frame, with the transfer syntax that it is in."""
        syntax = self.head.transfer_syntax_uid
        return f"{media_type_of(syntax)}; transfer-syntax={syntax}"

    def places(self, numbers: Sequence[int]) -> "tuple[Places, ...]":
        """Where these frames lie; blocking.

        Raises:
            UnknownDocument: No such frame.
        """
        return frame_ranges(self.head, self.read, numbers)

    def pixels(self, number: int, places: "Places") -> bytes:
        """One frame as stored; blocking."""
        pixels = b"".join(self.read(begin, end - begin) for begin, end in places)
        return pixels if self.head.encapsulated else aligned(frame_shape(self.head), number, pixels)

    def decompression(self, places: "Places", transfer_syntax_uid: str) -> Decompression:
        """How the instance is written without compression; blocking, decodes the first frame."""
        return decompression(self.head, self.pixels(1, places), transfer_syntax_uid)


Places: TypeAlias = tuple[tuple[int, int], ...]
"""A frame's fragments: begin and end in the file."""


def is_compressed(transfer_syntax_uid: str) -> bool:
    """Whether another head is not enough to make it native."""
    return transfer_syntax_uid not in NATIVE


def same_but_coerced(one: Part10Head, other: Part10Head) -> bool:
    """Whether two heads say the same but for what a coercion may change, whatever their file meta and character sets.

    A sender that sends again what was coerced meanwhile sends nothing new.
    """
    if one.transfer_syntax_uid != other.transfer_syntax_uid:
        return False
    ours, theirs = (
        {key: value for key, value in orjson.loads(dicom_json(each)).items() if key not in _COERCED}
        for each in (one, other)
    )
    return ours == theirs and all(
        one.dataset.value(tag) == other.dataset.value(tag)
        for tag in one.dataset
        if tag in PIXEL_TAGS or one.dataset.vr(tag) in BINARY  # DICOM JSON leaves long ones out
    )


_COERCED: Final = frozenset(f"{tag:08X}" for tag in (*COERCED_TAGS, ORIGINAL_ATTRIBUTES))


def file_meta_of(beginning: bytes) -> tuple[str, str]:
    """SOP Instance UID and transfer syntax that a file's first kilobyte names; "" where it does not.

    Source: DICOM PS3.10 7.1: file meta information is Explicit VR Little Endian whatever follows.
    """
    found = {b"\x02\0\x03\0UI": "", b"\x02\0\x10\0UI": ""}
    if beginning[128:132] == b"DICM":
        for header in found:
            at = beginning.find(header, 132)
            if at >= 0:
                begin = at + 8
                length = int.from_bytes(beginning[at + 6 : begin], "little")
                found[header] = beginning[begin : begin + length].decode("ascii", "replace").strip("\0 ")
    instance, syntax = found.values()
    return instance, syntax


def behind(chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """What of these chunks lies behind an offset."""
    for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:] if offset else chunk
        offset = max(offset - len(chunk), 0)
