"""Frames: where in a file the pixel data of each frame lies. Offsets and lengths; the bytes stay where they are.

An archive asks for `frame_ranges` with a function that reads a few bytes of its file; fragments are stepped over by their
headers, so that a two-gigabyte loop costs some thousand small reads. What a newcomer gets wrong: a frame may be several
fragments, and without an offset table only the code streams' own first bytes tell which; and a 1-bit frame may begin in
the middle of a byte.

Source: DICOM PS3.5 8.1.1, 8.2, A.4 (fragments, Basic Offset Table); PS3.3 C.7.6.3.1.8 (Extended Offset Table).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import unpack

from profiles.errors import MalformedMessage, UnknownDocument
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.dicom.syntaxes import UNDEFINED

MAX_FRAGMENTS = 1_000_000
MAX_OFFSET_TABLE_BYTES = 64 * 1024 * 1024  # eight million frames

Range = tuple[int, int]
"""Begin and end offset in the file."""

Read = Callable[[int, int], bytes]
"""Bytes of the file: offset, size; fewer where the file ends."""

_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0c", b"\xff\x0a")
"""How a code stream begins: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, boxed JPEG 2000 and JPEG XL, bare JPEG XL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameShape:
    """What a native frame's place depends on."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    frames: int
    subsampled: bool = False

    @property
    def frame_bits(self) -> int:
        """Bits of one frame; frames are packed without gaps. YBR_FULL_422 has two samples a pixel."""
        samples = 2 if self.subsampled and self.samples == 3 else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


def frame_shape(head: Part10Head) -> FrameShape:
    """Read it from the head.

    Raises:
        MalformedMessage: Rows, Columns or Bits Allocated are missing.
    """
    dataset = head.dataset
    rows, columns = dataset.number(0x00280010), dataset.number(0x00280011)
    bits = {0x7FE00008: 32, 0x7FE00009: 64}.get(head.pixel_tag or 0) or dataset.number(0x00280100)
    if not rows or not columns or not bits:
        raise MalformedMessage("an image without rows, columns or bits allocated", location="(0028,0010)")
    return FrameShape(
        rows=rows,
        columns=columns,
        samples=dataset.number(0x00280002) or 1,
        bits_allocated=bits,
        frames=max(1, dataset.number(0x00280008) or 1),
        subsampled=dataset.first(0x00280004) == "YBR_FULL_422" and not head.encapsulated,
    )


def frame_ranges(head: Part10Head, read: Read, numbers: Sequence[int]) -> tuple[tuple[Range, ...], ...]:
    """Where the frames with these numbers (1-based) lie: 1..n ranges each, to be joined.

    A native frame of 1-bit pixels that does not begin or end at a byte is given with the bytes that it shares; see
    `aligned`.

    Raises:
        UnknownDocument: No pixel data, or no such frame.
        MalformedMessage: The pixel data cannot be taken apart, or are shorter than the head says.
    """
    if head.pixel_offset is None or head.pixel_value_offset is None:
        raise UnknownDocument("the instance has no pixel data that can be handed out by frame")
    wanted = _checked(numbers, max(1, head.dataset.number(0x00280008) or 1))
    if head.pixel_length is not None:
        return tuple((_native(head, number),) for number in wanted)
    frames = _encapsulated(head, read)
    if wanted and max(wanted) > len(frames):
        raise MalformedMessage("the pixel data have fewer frames than the header says", location="(7FE0,0010)")
    return tuple(frames[number - 1] for number in wanted)


def _checked(numbers: Sequence[int], frames: int) -> Sequence[int]:
    for number in numbers:
        if not 1 <= number <= frames:
            raise UnknownDocument(f"no frame {number}: there are {frames}", location=f"frames/{number}")
    return numbers


def _native(head: Part10Head, number: int) -> Range:
    shape = frame_shape(head)
    assert head.pixel_value_offset is not None
    assert head.pixel_length is not None
    begin, end = (number - 1) * shape.frame_bits, number * shape.frame_bits
    if (end + 7) // 8 > head.pixel_length:
        raise MalformedMessage("the pixel data are shorter than rows, columns and frames say", location="(7FE0,0010)")
    return head.pixel_value_offset + begin // 8, head.pixel_value_offset + (end + 7) // 8


def aligned(shape: FrameShape, number: int, shared: bytes) -> bytes:
    """A 1-bit frame moved to the first bit of its first byte, unused bits at its end zero; others as they are."""
    shift = (number - 1) * shape.frame_bits % 8
    if shift == 0 and shape.frame_bits % 8 == 0:
        return shared
    bits = int.from_bytes(shared, "little") >> shift  # bit 0 of a byte is its first pixel (PS3.5 8.1.1)
    bits &= (1 << shape.frame_bits) - 1
    return bits.to_bytes((shape.frame_bits + 7) // 8, "little")


def _encapsulated(head: Part10Head, read: Read) -> tuple[tuple[Range, ...], ...]:
    """All frames, each with the fragments that it is made of."""
    frames = max(1, head.dataset.number(0x00280008) or 1)
    table, fragments = _fragments(head, read)
    if not fragments:
        raise MalformedMessage("the pixel data have no fragment", location="(7FE0,0010)")
    extended = _extended_offsets(head)
    if frames == 1:
        return (tuple(fragments),)
    if extended or table:
        return _by_offsets(fragments, extended or table)
    if len(fragments) == frames:
        return tuple((each,) for each in fragments)
    return _by_code_streams(fragments, read)


def _fragments(head: Part10Head, read: Read) -> tuple[tuple[int, ...], list[Range]]:
    """The Basic Offset Table (may be empty) and every fragment's place."""
    assert head.pixel_value_offset is not None
    position = head.pixel_value_offset
    fragments: list[Range] = []
    table: tuple[int, ...] | None = None
    while True:
        header = read(position, 8)
        if len(header) < 8:
            if table is None:
                raise MalformedMessage("the pixel data stop early", location=f"offset {position}")
            break  # the delimiter was left out
        group, element, length = unpack("<HHL", header)
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000) or length == UNDEFINED:
            raise MalformedMessage("a fragment is due", location=f"offset {position}")
        position += 8
        if table is None:
            if length > MAX_OFFSET_TABLE_BYTES:
                raise MalformedMessage("the offset table is too long", location=f"offset {position}")
            content = read(position, length)
            table = unpack(f"<{len(content) // 4}L", content[: len(content) // 4 * 4])
        else:
            fragments.append((position, position + length))
            if len(fragments) > MAX_FRAGMENTS:
                raise MalformedMessage(f"more than {MAX_FRAGMENTS} fragments", location="(7FE0,0010)")
        position += length
    return table or (), fragments


def _extended_offsets(head: Part10Head) -> tuple[int, ...]:
    value = head.dataset.value(0x7FE00001) or b""
    return unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8])


def _by_offsets(fragments: list[Range], offsets: tuple[int, ...]) -> tuple[tuple[Range, ...], ...]:
    """Offsets count from the first fragment's item header."""
    origin = fragments[0][0] - 8
    starts = sorted({origin + offset + 8 for offset in offsets})
    known = {begin for begin, _ in fragments}
    if not starts or starts[0] != fragments[0][0] or any(start not in known for start in starts):
        raise MalformedMessage("the offset table does not fit the fragments", location="(7FE0,0010)")
    groups: list[list[Range]] = []
    boundaries = set(starts)
    for fragment in fragments:
        if fragment[0] in boundaries:
            groups.append([])
        groups[-1].append(fragment)
    return tuple(tuple(group) for group in groups)


def _by_code_streams(fragments: list[Range], read: Read) -> tuple[tuple[Range, ...], ...]:
    """A fragment that begins like a code stream begins a frame."""
    groups: list[list[Range]] = []
    for fragment in fragments:
        if not groups or read(fragment[0], 4).startswith(_STARTS):
            groups.append([])
        groups[-1].append(fragment)
    return tuple(tuple(group) for group in groups)
