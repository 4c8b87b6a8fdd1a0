"""A dataset as a map from tag to a place in its bytes. Nothing is decoded until it is asked for.

`Walk` finds the elements; it can be fed less than a whole dataset and goes on where it stopped. `Elements` looks into one
dataset, and into the items of its sequences. What a newcomer gets wrong: places are offsets into `raw`, so the map and the
bytes belong together; and an element of undefined length ends eight bytes after its value.

Source: DICOM PS3.5 7.1, 7.5, 6.2.2 (UN of undefined length is Implicit LE inside).
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Literal, NamedTuple

from profiles.errors import MalformedMessage
from profiles.wire.dicom.charset import DEFAULT, Charset
from profiles.wire.dicom.dictionary import vr_of
from profiles.wire.dicom.syntaxes import (
    EXPLICIT,
    IMPLICIT,
    LONG_LENGTH,
    ONE_VALUE_TEXT,
    PIXEL_TAGS,
    SHORT_LENGTH,
    TEXT,
    UNDEFINED,
    Encoding,
)

MAX_DEPTH = 32  # security notes 5: sequences in sequences
MAX_ELEMENTS = 2_000_000  # a 10,000-frame enhanced object has about half a million nested ones

_HEAD_LE, _HEAD_BE = Struct("<HH2sH"), Struct(">HH2sH")
_QUAD_LE, _QUAD_BE = Struct("<HHHH"), Struct(">HHHH")
_LONG_LE, _LONG_BE = Struct("<L"), Struct(">L")
_ITEM_GROUP = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


_KINDS_LE = {int.from_bytes(vr, "little"): (vr, vr in LONG_LENGTH) for vr in SHORT_LENGTH | LONG_LENGTH}
_KINDS_BE = {int.from_bytes(vr, "big"): kind for kind in _KINDS_LE.values() for vr in [kind[0]]}
"""VR and whether its length has 32 bit, by the two letters read as a number."""


def _unknown_vr(vr: bytes) -> bytes:
    """A VR that we do not know has 16 bit, as other readers take it; b"" for what is none.

    Such an element is written implicitly among explicit ones, which is seen in the field.
    """
    return vr if vr.isalpha() and vr.isupper() else b""


class Place(NamedTuple):
    """Where an element stands: `start` of its header, its value's `begin` and `end`. `vr` as written, b"" if implicit."""

    vr: bytes
    start: int
    begin: int
    end: int
    undefined: bool

    @property
    def stop(self) -> int:
        """Where the next element starts."""
        return self.end + 8 if self.undefined else self.end


class Walk:
    """Finds the elements of one dataset, as far as its bytes are there.

    `position` is where the next element starts; it may lie beyond what has been fed, as values are stepped over unseen.
    `ended` is set when the walk is over before the bytes are: a pixel element's header is next (not inside an `item`),
    or the delimiter of the `item` has been passed.
    """

    __slots__ = ("_big", "_count", "_implicit", "_open", "_stack", "ended", "index", "item", "position")

    def __init__(self, encoding: Encoding, position: int = 0, *, item: bool = False) -> None:
        """Start at a position."""
        self._implicit, self._big = encoding.implicit, encoding.big
        self._stack: list[tuple[bool, bool]] = []  # (inside an item and not between items, implicit)
        self._open: tuple[int, bytes, int, int] | None = None
        self._count = 0
        self.position = position
        self.index: dict[int, Place] = {}
        self.ended = False
        self.item = item

    @property
    def depth(self) -> int:
        """How many sequences and items of undefined length are open."""
        return len(self._stack)

    @property
    def between_fragments(self) -> bool:
        """Whether only a top-level sequence delimiter is missing."""
        return len(self._stack) == 1 and not self._stack[0][0]

    def close(self, end: int) -> None:
        """Take a top-level element of undefined length as ended here, without its delimiter."""
        self._stack.clear()
        if self._open is not None:
            tag, vr, start, begin = self._open
            self.index[tag] = Place(vr, start, begin, end - 8, True)
            self._open = None

    def advance(self, raw: bytes | bytearray | memoryview, size: int) -> None:
        """Go on through `raw[:size]` until it ends inside a header, or the pixel element is next.

        Raises:
            MalformedMessage: The nesting is wrong, too deep, or there are too many elements.
        """
        unpack = (_QUAD_BE if self._big else _QUAD_LE).unpack_from
        unpack_long = (_LONG_BE if self._big else _LONG_LE).unpack_from
        kinds = _KINDS_BE if self._big else _KINDS_LE
        index, implicit = self.index, self._implicit
        new = tuple.__new__  # half the time of Place(...), on the hottest line of the house
        position = self.position
        while not self.ended:
            if self._stack:
                self.position = position
                self._advance_nested(raw, size)
                position = self.position
                if self._stack:
                    return
            count = self._count
            for count in range(self._count, MAX_ELEMENTS):  # noqa: B007  # where it ended is kept
                start = position
                if start + 8 > size:
                    break
                group, element, code, length = unpack(raw, start)
                if implicit:
                    vr, begin = b"", start + 8
                    length = unpack_long(raw, start + 4)[0]
                else:
                    kind = kinds.get(code)
                    if kind is None:
                        vr, begin = _unknown_vr(bytes(raw[start + 4 : start + 6])), start + 8
                        if not vr:
                            length = unpack_long(raw, start + 4)[0]
                    elif kind[1]:
                        if start + 12 > size:
                            break
                        vr, begin = kind[0], start + 12
                        length = unpack_long(raw, start + 8)[0]
                    else:
                        vr, begin = kind[0], start + 8
                if group >= 0x7FE0 and self._stands_here(group, element, start):
                    position = self.position
                    break
                if length == UNDEFINED:
                    self._open = (group << 16 | element, vr, start, begin)
                    self._stack.append((False, implicit or vr in (b"UN", b"")))
                    position = begin
                    break
                position = begin + length
                index[group << 16 | element] = new(Place, (vr, start, begin, position, False))
            else:
                raise MalformedMessage(f"more than {MAX_ELEMENTS} elements", location=f"offset {position}")
            self._count = count
            if not self._stack:
                break
        self.position = position

    def _stands_here(self, group: int, element: int, start: int) -> bool:
        """Whether the walk ends at this element: the pixels, or the delimiter of the item that is walked."""
        self.position = start
        if group << 16 | element in PIXEL_TAGS and not self.item:
            self.ended = True
        elif group == _ITEM_GROUP:
            if not (self.item and element == _ITEM_END):
                raise MalformedMessage("an item stands outside a sequence", location=_at(group << 16 | element, start))
            self.position = start + 8
            self.ended = True
        return self.ended

    def _advance_nested(self, raw: bytes | bytearray | memoryview, size: int) -> None:
        big, stack, position = self._big, self._stack, self.position
        count = self._count
        while stack and position + 8 <= size:
            unpack = _HEAD_BE if big else _HEAD_LE
            unpack_long = _LONG_BE if big else _LONG_LE
            group, element, vr, length = unpack.unpack_from(raw, position)
            inside, implicit = stack[-1]
            count += 1
            if group == _ITEM_GROUP:
                length = unpack_long.unpack_from(raw, position + 4)[0]
                if element == _ITEM and not inside:
                    position += 8
                    if length == UNDEFINED:
                        stack.append((True, implicit))
                    else:
                        position += length
                elif (element == _ITEM_END and inside) or (element == _SEQUENCE_END and not inside):
                    stack.pop()
                    position += 8
                else:
                    raise MalformedMessage(
                        "items and their delimiters do not match", location=_at(group << 16 | element, position)
                    )
            elif not inside:
                raise MalformedMessage(
                    "an element stands where an item is due", location=_at(group << 16 | element, position)
                )
            else:
                if implicit or not (vr.isalpha() and vr.isupper()):
                    length = unpack_long.unpack_from(raw, position + 4)[0]
                    begin, nested_implicit = position + 8, True
                elif vr in LONG_LENGTH:
                    if position + 12 > size:
                        count -= 1
                        break
                    length = unpack_long.unpack_from(raw, position + 8)[0]
                    begin, nested_implicit = position + 12, vr == b"UN"
                else:
                    begin, nested_implicit = position + 8, False
                if length == UNDEFINED:
                    stack.append((False, nested_implicit))
                    position = begin
                else:
                    position = begin + length
            if len(stack) > 2 * MAX_DEPTH:
                raise MalformedMessage(f"sequences nest deeper than {MAX_DEPTH}", location=f"offset {position}")
            if count > MAX_ELEMENTS:
                raise MalformedMessage(f"more than {MAX_ELEMENTS} elements", location=f"offset {position}")
        self._count = count
        self.position = position
        if not stack and self._open is not None:
            tag, vr, start, begin = self._open
            self.index[tag] = Place(vr, start, begin, position - 8, True)
            self._open = None


def _at(tag: int, offset: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at offset {offset}"


class Elements:
    """One dataset: the places of its elements in `raw`, and the values when they are asked for."""

    __slots__ = ("_charset", "_inherited", "depth", "encoding", "places", "raw")

    def __init__(
        self,
        raw: bytes | bytearray | memoryview,
        places: dict[int, Place],
        encoding: Encoding = EXPLICIT,
        inherited: Charset = DEFAULT,
        depth: int = 0,
    ) -> None:
        """Wrap what a walk has found."""
        self.raw = raw
        self.places = places
        self.encoding = encoding
        self.depth = depth
        self._inherited = inherited
        self._charset: Charset | None = None

    def __contains__(self, tag: int) -> bool:
        return tag in self.places

    def __iter__(self) -> Iterator[int]:
        """Tags in ascending order."""
        return iter(sorted(self.places))

    @property
    def charset(self) -> Charset:
        """Specific Character Set, inherited by items that name none (PS3.5 7.5.3)."""
        if self._charset is None:
            place = self.places.get(0x00080005)
            value = b"" if place is None else bytes(self.raw[place.begin : place.end])
            self._charset = self._inherited if place is None else Charset.named(value)
        return self._charset

    def excerpt(self, tags: Iterable[int]) -> "Excerpt":
        """These elements alone; two excerpts that are equal say the same."""
        raw, places = bytearray(), list[tuple[int, Place]]()
        for tag in tags:
            place = self.places.get(tag)
            if place is not None:
                begin = len(raw)
                raw += self.raw[place.begin : place.end]
                places.append((tag, Place(place.vr, begin, begin, len(raw), place.undefined)))
        return Excerpt(bytes(raw), tuple(places), self.encoding, self.charset, self.depth)

    def vr(self, tag: int) -> bytes:
        """The VR as written, or that of the dictionary where none, or only UN, was written."""
        place = self.places[tag]
        if place.vr == b"UN" and not place.undefined and place.end - place.begin < 0xFFFF:
            known = vr_of(tag)
            if known == b"SQ":  # written by somebody who did not know that it is one: Implicit LE inside
                return known if self.raw[place.begin : place.begin + 4] == b"\xfe\xff\x00\xe0" else place.vr
            return known if len(known) == 2 else self._implicit_vr(tag)
        if place.undefined and place.vr in (b"UN", b""):
            return b"OB" if tag in PIXEL_TAGS else b"SQ"
        return place.vr or self._implicit_vr(tag)

    def _implicit_vr(self, tag: int) -> bytes:
        vr = vr_of(tag)
        if len(vr) == 2:
            return vr
        if vr.startswith(b"OB"):  # "OB or OW"
            return b"OW"
        if tag >> 16 in range(0x6000, 0x6100, 2) and vr.endswith(b"OW"):
            return b"OW"
        if b"OW" in vr and tag in (0x00281201, 0x00281202, 0x00281203, 0x00283006):
            return b"OW" if tag != 0x00283006 or self.places[tag].end - self.places[tag].begin > 2 else b"US"
        return b"SS" if self.number(0x00280103) == 1 else b"US"  # Pixel Representation decides "US or SS"

    def value(self, tag: int) -> bytes | None:
        """The value's bytes as they stand. None: no such element."""
        place = self.places.get(tag)
        return None if place is None else bytes(self.raw[place.begin : place.end])

    def text(self, tag: int) -> str:
        """The value as text without padding; "" when absent or empty. Several values stay joined by backslashes."""
        place = self.places.get(tag)
        if place is None or place.end == place.begin:
            return ""
        value = bytes(self.raw[place.begin : place.end])
        vr = place.vr or vr_of(tag)
        if vr in TEXT or vr == b"UN":
            text = self.charset.decode_name(value) if vr == b"PN" else self.charset.decode(value)
        else:
            text = value.decode("latin-1")
        if vr in ONE_VALUE_TEXT:
            return text.rstrip(" \0")
        return text.strip(" \0") if "\\" not in text else "\\".join(each.strip(" \0") for each in text.split("\\"))

    def first(self, tag: int) -> str:
        """The first of its values as text."""
        return self.text(tag).partition("\\")[0]

    def texts(self, tag: int) -> tuple[str, ...]:
        """All of its values as text, empty ones included; () when the element is absent or empty."""
        text = self.text(tag)
        return tuple(text.split("\\")) if text else ()

    def number(self, tag: int) -> int | None:
        """The first value of US, UL, SS, SL, UV, SV or IS as an integer. None: absent, empty or not one."""
        place = self.places.get(tag)
        if place is None:
            return None
        value = bytes(self.raw[place.begin : place.end])
        vr = place.vr or vr_of(tag)
        size = _INTEGER_BYTES.get(vr)
        if size is not None:
            if len(value) < size:
                return None
            order: Literal["little", "big"] = "big" if self.encoding.big else "little"
            return int.from_bytes(value[:size], order, signed=vr[:1] == b"S")
        try:
            return int(float(value.partition(b"\\")[0].strip(b" \0") or b"x"))
        except (ValueError, OverflowError):
            return None

    def items(self, tag: int) -> "tuple[Elements, ...]":
        """The items of a sequence; () when absent, empty or not a sequence.

        Raises:
            MalformedMessage: The items overrun their sequence, or nest too deep.
        """
        place = self.places.get(tag)
        if place is None or place.end <= place.begin or self.vr(tag) != b"SQ":
            return ()
        if self.depth >= MAX_DEPTH:
            raise MalformedMessage(f"sequences nest deeper than {MAX_DEPTH}", location=_at(tag, place.start))
        encoding = (
            IMPLICIT if place.vr == b"UN" else Encoding(self.encoding.implicit or not place.vr, self.encoding.big)
        )
        return tuple(self._items(place, encoding))

    def _items(self, place: Place, encoding: Encoding) -> "Iterator[Elements]":
        position, end, raw = place.begin, place.end, self.raw
        unpack = Struct(">HHL" if encoding.big else "<HHL").unpack_from
        while position + 8 <= end:
            group, element, length = unpack(raw, position)
            if (group, element) == (_ITEM_GROUP, _SEQUENCE_END):
                return
            if (group, element) != (_ITEM_GROUP, _ITEM):
                raise MalformedMessage("an item is due", location=_at(group << 16 | element, position))
            position += 8
            if length == UNDEFINED:
                places, position = _item_of_undefined_length(raw, position, end, encoding)
            else:
                if position + length > end:
                    raise MalformedMessage("an item is longer than its sequence", location=f"offset {position}")
                places = places_of(raw, position, position + length, encoding)
                position += length
            yield Elements(raw, places, encoding, self.charset, self.depth + 1)


class Excerpt(NamedTuple):
    """Some elements of a dataset, by value."""

    raw: bytes
    places: tuple[tuple[int, Place], ...]
    encoding: Encoding
    charset: Charset
    depth: int

    def elements(self) -> Elements:
        """As a dataset that has nothing else."""
        return Elements(self.raw, dict(self.places), self.encoding, self.charset, self.depth)


def places_of(raw: bytes | bytearray | memoryview, begin: int, end: int, encoding: Encoding) -> dict[int, Place]:
    """The elements of the dataset that fills `raw[begin:end]`.

    Raises:
        MalformedMessage: It does not end where it should.
    """
    walk = Walk(encoding, begin, item=True)
    walk.advance(raw, end)
    if walk.depth or walk.position != end:
        raise MalformedMessage("an element is longer than the item that it is in", location=f"offset {begin}")
    return walk.index


def _item_of_undefined_length(
    raw: bytes | bytearray | memoryview, begin: int, end: int, encoding: Encoding
) -> tuple[dict[int, Place], int]:
    """Places of an item that ends with its delimiter, and the offset after it."""
    walk = Walk(encoding, begin, item=True)
    walk.advance(raw, end)
    if not walk.ended or walk.position > end:
        raise MalformedMessage("an item has no end", location=f"offset {begin}")
    return walk.index, walk.position


_INTEGER_BYTES = {b"US": 2, b"SS": 2, b"UL": 4, b"SL": 4, b"UV": 8, b"SV": 8}
