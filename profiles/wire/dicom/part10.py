"""Part 10 files, read as they pass: the header is kept and understood, the pixels are only counted.

Whoever stores a stream feeds it its chunks and asks for `head`: set as soon as the pixel element's header has come (or the
file's end, or the size cap). From then on the reader keeps nothing, but goes on stepping over elements and fragments, so
that `finish` can tell a file that stops early. The archive, STOW-RS and the manifest reader stand on it.

What a newcomer gets wrong: the rest of the file after the head is *not* always there to be copied. In a deflated file the
pixels are inside the compressed stream; then the head holds the whole dataset, inflated, and `tail_offset` is None.

Source: DICOM PS3.10 7.1; PS3.5 7, A.4, A.5; security notes 5 (limits).
"""

import zlib
from dataclasses import dataclass, field
from struct import Struct
from typing import Literal

from profiles.errors import MalformedMessage
from profiles.findings import Finding, Severity
from profiles.wire.dicom.elements import Elements, Place, Walk
from profiles.wire.dicom.syntaxes import (
    DEFLATED_LE,
    EXPLICIT,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT,
    IMPLICIT_LE,
    LONG_LENGTH,
    NATIVE,
    SHORT_LENGTH,
    UNDEFINED,
    Encoding,
    encoding_of,
)

MAX_HEAD_BYTES = 32 * 1024 * 1024  # an enhanced multi-frame header has been seen at 9 MB; pixels are not in it
MAX_META_BYTES = 1024 * 1024  # (0002,0102) private information included
MAX_INFLATED_BYTES = 256 * 1024 * 1024  # a deflated dataset is held whole, pixels included
INFLATE_FREE_BYTES = 16 * 1024 * 1024  # below this any ratio may be: a blank ultrasound loop deflates a thousandfold
MAX_INFLATE_RATIO = 200

_DICM = b"DICM"
_PREAMBLE_BYTES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Part10Head:
    """Everything of a Part 10 file before its pixels.

    `raw` is preamble, file meta and dataset as they came, up to the pixel element (inflated, when `deflated`).
    `dataset_offset` is where the dataset starts in `raw`; `tail_offset` where the rest starts *in the file*: the pixel
    element, or the element that overran the size cap (`tail_tag`). None: nothing comes after the head.
    `pixel_offset` is the pixel element's offset in the file, `pixel_value_offset` that of its value, `pixel_length` its
    length (None: encapsulated, or no pixel data). They are None for deflated files, whose pixels are in `raw`.
    """

    raw: bytes = field(repr=False)
    meta: Elements = field(repr=False)
    dataset: Elements = field(repr=False)
    dataset_offset: int
    tail_offset: int | None = None
    pixel_offset: int | None = None
    pixel_value_offset: int | None = None
    pixel_length: int | None = None
    pixel_tag: int | None = None
    pixel_vr: bytes = b""
    tail_tag: int | None = None
    transfer_syntax_uid: str
    encoding: Encoding
    deflated: bool = False
    sop_class_uid: str
    sop_instance_uid: str
    findings: tuple[Finding, ...] = ()

    @property
    def study_instance_uid(self) -> str:
        """(0020,000D); "" when absent."""
        return self.dataset.first(0x0020000D)

    @property
    def series_instance_uid(self) -> str:
        """(0020,000E); "" when absent."""
        return self.dataset.first(0x0020000E)

    @property
    def encapsulated(self) -> bool:
        """Whether pixel data, if there is any, comes in fragments."""
        return self.transfer_syntax_uid not in NATIVE

    @property
    def complete(self) -> bool:
        """Whether every element before the pixels is in the head; False when the size cap cut it."""
        return self.tail_offset is None or self.pixel_tag is not None


class Part10Reader:
    """A Part 10 file on its way past. Feed it every chunk; `head` is set as early as it can be."""

    __slots__ = (
        "_buffer",
        "_dataset_offset",
        "_encoding",
        "_failed",
        "_fed",
        "_findings",
        "_inflate",
        "_max_head_bytes",
        "_meta",
        "_prefix",
        "_syntax",
        "_tail",
        "_tail_walk",
        "_walk",
        "head",
    )

    def __init__(self, *, max_head_bytes: int = MAX_HEAD_BYTES) -> None:
        """A new file begins."""
        self._max_head_bytes = max_head_bytes
        self._buffer: bytes | bytearray = b""
        self._prefix = b""  # preamble and meta of a deflated file, whose buffer is what was inflated
        self._fed = 0
        self._meta: dict[int, Place] | None = None
        self._dataset_offset = 0
        self._syntax = ""
        self._encoding = EXPLICIT
        self._inflate: zlib._Decompress | None = None
        self._walk: Walk | None = None
        self._tail = bytearray()
        self._tail_walk: Walk | None = None
        self._findings: list[Finding] = []
        self._failed: MalformedMessage | None = None
        self.head: Part10Head | None = None

    @property
    def size_bytes(self) -> int:
        """How much has been fed."""
        return self._fed

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """The next bytes of the file, in pieces of any size.

        Raises:
            MalformedMessage: Not a DICOM file, or a broken one; every later call raises it again.
        """
        if self._failed is not None:
            raise self._failed
        try:
            self._take(chunk)
        except MalformedMessage as error:
            self._failed = error
            raise

    def finish(self) -> Part10Head:
        """The file's end has come.

        Raises:
            MalformedMessage: It came too early, or there was no DICOM in it.
        """
        if self._failed is not None:
            raise self._failed
        try:
            return self._end()
        except MalformedMessage as error:
            self._failed = error
            raise

    # --- the head -----------------------------------------------------------------------------------------------------

    def _take(self, chunk: bytes | bytearray | memoryview) -> None:
        self._fed += len(chunk)
        if self.head is not None:
            self._take_tail(chunk)
            return
        if self._inflate is not None:
            self._take_deflated(chunk)
            return
        if self._buffer or not isinstance(chunk, bytes):
            if not isinstance(self._buffer, bytearray):
                self._buffer = bytearray(self._buffer)
            self._buffer += chunk
        else:
            self._buffer = chunk  # the first chunk is mostly all that is needed: it is not copied
        if self._meta is None and not self._read_meta(final=False):
            return
        self._advance()

    def _read_meta(self, *, final: bool) -> bool:
        """Find preamble, file meta and transfer syntax. False: not enough bytes yet."""
        buffer, size = self._buffer, len(self._buffer)
        if size < _PREAMBLE_BYTES + 12 and not final:
            return False
        begin = self._find_meta()
        found: dict[int, Place] = {}
        position = begin
        if begin >= 0:
            walked = _meta_places(buffer, begin, size)
            if walked is None:
                if size > MAX_META_BYTES:
                    raise MalformedMessage("the file meta information has no end", location="group 0002")
                if final:
                    raise MalformedMessage("the file stops inside its file meta information", location="group 0002")
                return False
            found, position = walked
            if position + 8 > size and not final:
                return False
        else:
            position = 0
        meta = Elements(buffer, found)
        self._syntax = meta.text(0x00020010)
        self._dataset_offset = position
        if begin < 0 or not self._syntax:
            if not self._syntax:
                self._syntax = _guessed_syntax(buffer, position)
            self._note("dicom/transfer-syntax", "the file does not name its transfer syntax; it was guessed")
        self._encoding = encoding_of(self._syntax)
        if self._encoding == IMPLICIT and _looks_explicit(buffer, position):
            self._note("dicom/implicit", "the file says Implicit VR and is written with Explicit VR")
            self._encoding = EXPLICIT
        self._meta = found
        if self._syntax == DEFLATED_LE:
            self._prefix = bytes(buffer[:position])
            rest = bytes(buffer[position:])
            self._buffer = bytearray(self._prefix)
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            self._walk = Walk(self._encoding, position, item=True)
            self._take_deflated(rest)
        else:
            self._walk = Walk(self._encoding, position)
        return True

    def _find_meta(self) -> int:
        """Where group 0002 starts; -1 when there is none and the dataset starts at once."""
        buffer = self._buffer
        if buffer[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _DICM:
            return _PREAMBLE_BYTES + 4
        if buffer[:4] == _DICM:
            self._note("dicom/preamble", "the file has no preamble before DICM")
            return 4
        if len(buffer) >= 8 and buffer[:2] == b"\x02\0" and bytes(buffer[4:6]) in SHORT_LENGTH | LONG_LENGTH:
            self._note("dicom/preamble", "the file has no preamble")
            return 0
        # A dataset alone starts with group 0008 (0004 and 0000 do not occur in files), written either way.
        if len(buffer) >= 8 and buffer[:2] == b"\x08\0" and buffer[3] <= 0x30:
            self._note("dicom/preamble", "the file has neither preamble nor file meta information")
            return -1
        if len(buffer) >= 8 and buffer[:2] == b"\0\x08" and bytes(buffer[4:6]) in SHORT_LENGTH:
            self._note("dicom/preamble", "the file has neither preamble nor file meta information")
            return -1
        raise MalformedMessage("this is not a DICOM file: no DICM after the preamble", location="offset 128")

    def _take_deflated(self, chunk: bytes | bytearray | memoryview) -> None:
        inflate = self._inflate
        assert inflate is not None
        assert isinstance(self._buffer, bytearray)
        pending: bytes | bytearray | memoryview = chunk
        while len(pending):
            try:
                self._buffer += inflate.decompress(pending, 1024 * 1024)
            except zlib.error:
                raise MalformedMessage("the deflated dataset cannot be inflated", location="dataset") from None
            inflated = len(self._buffer) - len(self._prefix)
            if inflated > INFLATE_FREE_BYTES and inflated > MAX_INFLATE_RATIO * self._fed:
                raise MalformedMessage("the deflated dataset grows without measure", location="dataset")
            if inflated > MAX_INFLATED_BYTES:
                raise MalformedMessage(
                    f"the deflated dataset is larger than {MAX_INFLATED_BYTES} bytes", location="dataset"
                )
            pending = inflate.unconsumed_tail
            if inflate.eof:
                break
        assert self._walk is not None
        self._walk.advance(self._buffer, len(self._buffer))

    def _advance(self) -> None:
        walk, size = self._walk, len(self._buffer)
        assert walk is not None
        if self.head is not None or self._inflate is not None:
            return
        if not walk.ended:
            walk.advance(self._buffer, min(size, self._max_head_bytes))
        if walk.ended:
            if size >= walk.position + 12:  # the pixel element's header is wanted whole
                self._settle(walk.position, pixels=True)
        elif walk.position > self._max_head_bytes or size > self._max_head_bytes:
            self._cut(walk)

    def _cut(self, walk: Walk) -> None:
        """The cap is reached before the pixels: the element that overran it, and what follows, is the tail."""
        if walk.depth or not walk.index:
            raise MalformedMessage(f"a header of more than {self._max_head_bytes} bytes", location="dataset")
        if walk.position > self._max_head_bytes:
            start = max(walk.index.values(), key=lambda place: place.start).start
            walk.index = {tag: place for tag, place in walk.index.items() if place.start != start}
        else:
            start = walk.position
        if len(self._buffer) < start + 12:
            return
        self._note("dicom/long-header", f"the header is longer than {self._max_head_bytes} bytes; its end was not read")
        self._settle(start, pixels=False)

    def _settle(self, tail: int | None, *, pixels: bool) -> None:
        """Make the head; from here on only what follows is walked."""
        walk, buffer = self._walk, self._buffer
        assert walk is not None
        assert self._meta is not None
        raw = bytes(buffer) if tail is None else bytes(memoryview(buffer)[:tail])
        meta = Elements(raw, self._meta)
        dataset = Elements(raw, walk.index, self._encoding)
        header = None if tail is None else _element_header(buffer, tail, self._encoding)
        pixel = header if pixels else None
        sop_class, sop_instance = dataset.first(0x00080016), dataset.first(0x00080018)
        if not sop_class:
            sop_class = meta.first(0x00020002)
        if not sop_instance:
            sop_instance = meta.first(0x00020003)
        elif meta.first(0x00020003) not in ("", sop_instance):
            self._note("dicom/meta-instance", "file meta and dataset name different instances")
        inside = self._pixels_inside(dataset) if self._inflate is not None else None
        self.head = Part10Head(
            raw=raw,
            meta=meta,
            dataset=dataset,
            dataset_offset=self._dataset_offset,
            tail_offset=tail,
            pixel_offset=tail if pixel else None,
            pixel_value_offset=pixel[2] if pixel else None,
            pixel_length=pixel[3] if pixel and pixel[3] != UNDEFINED else None,
            pixel_tag=pixel[0] if pixel else inside,
            pixel_vr=pixel[1] if pixel else b"",
            tail_tag=header[0] if header else None,
            transfer_syntax_uid=self._syntax,
            encoding=self._encoding,
            deflated=self._inflate is not None,
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            findings=tuple(self._findings),
        )
        if tail is not None:
            self._tail_walk = Walk(self._encoding, 0, item=True)
            self._buffer = b""
            self._take_tail(memoryview(buffer)[tail:])

    @staticmethod
    def _pixels_inside(dataset: Elements) -> int | None:
        return next((tag for tag in (0x7FE00010, 0x7FE00008, 0x7FE00009) if tag in dataset), None)

    # --- the tail -----------------------------------------------------------------------------------------------------

    def _take_tail(self, chunk: bytes | bytearray | memoryview) -> None:
        """`_tail` holds what was left of a header that the last chunk cut; everything else is only stepped over."""
        walk, tail = self._tail_walk, self._tail
        if walk is None or not len(chunk):
            return
        skip = walk.position - len(tail)
        if skip >= len(chunk):
            walk.position = skip - len(chunk)
            tail.clear()
            return
        if skip >= 0:
            tail.clear()
            walk.position = skip
            self._step(walk, chunk)
        else:
            held = bytes(tail) + bytes(chunk)
            tail.clear()
            self._step(walk, held)

    def _step(self, walk: Walk, held: bytes | bytearray | memoryview) -> None:
        walk.advance(held, len(held))
        walk.index.clear()
        used = min(walk.position, len(held))
        self._tail += memoryview(held)[used:]
        walk.position -= used

    # --- the end ------------------------------------------------------------------------------------------------------

    def _end(self) -> Part10Head:
        if self.head is None and self._meta is None:
            if not self._buffer:
                raise MalformedMessage("an empty file")
            self._read_meta(final=True)
            if self.head is None:
                self._advance()
        if self.head is None:
            self._end_head()
        elif self._tail_walk is not None:
            self._end_tail(self._tail_walk)
        assert self.head is not None
        return self.head

    def _end_head(self) -> None:
        walk, buffer = self._walk, self._buffer
        assert walk is not None
        if self._inflate is not None and not self._inflate.eof:
            raise MalformedMessage("the deflated dataset stops early", location="dataset")
        if self._inflate is None and not walk.ended:
            walk.advance(buffer, len(buffer))
        left = len(buffer) - walk.position
        if walk.ended or walk.depth or left < 0 or (left and any(buffer[walk.position :])):
            raise MalformedMessage("the file stops inside an element", location=f"offset {len(buffer)}")
        if not walk.index:
            raise MalformedMessage("a file without a dataset", location=f"offset {self._dataset_offset}")
        if left:
            self._note("dicom/trailing", "zero bytes follow the dataset")
            self._buffer = buffer[: walk.position]
        self._settle(None, pixels=False)

    def _end_tail(self, walk: Walk) -> None:
        left = len(self._tail) - walk.position
        if walk.between_fragments and left == 0:
            return  # the fragments are whole; only their delimiter was left out
        if walk.depth or left < 0 or (left and any(self._tail[walk.position :])):
            raise MalformedMessage("the pixel data stop early", location=f"offset {self._fed}")

    def _note(self, rule: str, text: str) -> None:
        self._findings.append(Finding(rule=rule, text=text, severity=Severity.WARNING))


def read_head(body: bytes, *, max_head_bytes: int = MAX_HEAD_BYTES) -> Part10Head:
    """The head of a file that is in memory whole.

    Raises:
        MalformedMessage: Not DICOM, or broken.
    """
    reader = Part10Reader(max_head_bytes=max_head_bytes)
    reader.feed(body)
    return reader.finish()


def _meta_places(buffer: bytes | bytearray, begin: int, size: int) -> tuple[dict[int, Place], int] | None:
    """Elements of group 0002 and where they end. None: they do not end in these bytes.

    The group length is not believed: it is wrong often enough, and the groups are easily told apart.
    """
    found: dict[int, Place] = {}
    position = begin
    while position + 8 <= size:
        group, element, vr, length = _HEAD.unpack_from(buffer, position)
        if group != 0x0002:
            return found, position
        value = position + 8
        if vr in LONG_LENGTH:
            value += 4
            length = int.from_bytes(buffer[position + 8 : value], "little")
        elif vr not in SHORT_LENGTH:
            vr = b""
            length = int.from_bytes(buffer[position + 4 : value], "little")
        if length > MAX_META_BYTES:
            raise MalformedMessage("an element of the file meta information is too long", location="group 0002")
        if value + length > size:
            return None
        found[0x00020000 | element] = Place(vr, position, value, value + length, False)
        position = value + length
    return (found, position) if position == size else None


_HEAD = Struct("<HH2sH")


def _looks_explicit(buffer: bytes | bytearray, position: int) -> bool:
    vr = bytes(buffer[position + 4 : position + 6])
    return vr in SHORT_LENGTH or vr in LONG_LENGTH


def _guessed_syntax(buffer: bytes | bytearray, position: int) -> str:
    if not _looks_explicit(buffer, position):
        return IMPLICIT_LE
    return EXPLICIT_BE if buffer[position] == 0 else EXPLICIT_LE


def _element_header(buffer: bytes | bytearray, start: int, encoding: Encoding) -> tuple[int, bytes, int, int]:
    """Tag, VR, value offset and length of the element at `start`, in the form that long values have."""
    order: Literal["little", "big"] = "big" if encoding.big else "little"
    group = int.from_bytes(buffer[start : start + 2], order)
    element = int.from_bytes(buffer[start + 2 : start + 4], order)
    tag = group << 16 | element
    vr = bytes(buffer[start + 4 : start + 6])
    if encoding.implicit or vr not in LONG_LENGTH:
        return tag, b"", start + 8, int.from_bytes(buffer[start + 4 : start + 8], order)
    return tag, vr, start + 12, int.from_bytes(buffer[start + 8 : start + 12], order)
