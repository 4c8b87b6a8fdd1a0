"""Elements as bytes: one element, one item, a whole dataset in another encoding, file meta information.

What a newcomer gets wrong: values are padded to even length with what their VR pads with; UI with NUL, text with space.

Source: DICOM PS3.5 7.1, 7.3 (byte order), 6.2 (padding); PS3.10 7.1.
"""

from collections.abc import Iterable
from struct import pack

from profiles.wire.dicom.charset import UTF_8, Charset
from profiles.wire.dicom.elements import Elements
from profiles.wire.dicom.syntaxes import EXPLICIT, LONG_LENGTH, SHORT_LENGTH, TEXT, Encoding

IMPLEMENTATION_CLASS_UID = b"2.25.211934271846371580254879601633409105247"
IMPLEMENTATION_VERSION_NAME = b"RADGATE_0"

WORD_BYTES = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
"""VRs whose values are words, and how wide these are."""

_NUL_PADDED = frozenset((b"UI", b"OB", b"UN"))


def element(tag: int, vr: bytes, value: bytes, encoding: Encoding = EXPLICIT) -> bytes:
    """One element. The value is in the byte order of the encoding; it is padded to even length."""
    if len(value) & 1:
        value += b"\0" if vr in _NUL_PADDED else b" "
    order = ">" if encoding.big else "<"
    if encoding.implicit:
        return pack(f"{order}HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
    if vr in SHORT_LENGTH:
        if len(value) > 0xFFFF:
            vr = b"UN"  # PS3.5 6.2.2: a value that does not fit 16 bit is written as UN
        else:
            return pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
    return pack(f"{order}HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


def item(content: bytes, encoding: Encoding = EXPLICIT) -> bytes:
    """One item of a sequence, of defined length."""
    return pack(">HHL" if encoding.big else "<HHL", 0xFFFE, 0xE000, len(content)) + content


def sequence(tag: int, items: Iterable[bytes], encoding: Encoding = EXPLICIT) -> bytes:
    """A sequence of items whose contents are handed in."""
    return element(tag, b"SQ", b"".join(item(each, encoding) for each in items), encoding)


def encoded(dataset: Elements, encoding: Encoding, charset: Charset | None = None) -> bytes:
    """A whole dataset in another encoding, and in another character set when one is named.

    Lengths become defined; group lengths are left out, as they would be wrong. Private sequences of unknown structure
    (UN) stay as they are.
    """
    return b"".join(encoded_element(dataset, tag, encoding, charset) for tag in dataset if tag & 0xFFFF)


def encoded_element(dataset: Elements, tag: int, encoding: Encoding, charset: Charset | None = None) -> bytes:
    """One element of a dataset in another encoding, and in another character set when one is named."""
    vr = dataset.vr(tag)
    if vr == b"SQ":
        return sequence(tag, (encoded(each, encoding, charset) for each in dataset.items(tag)), encoding)
    if vr not in SHORT_LENGTH and vr not in LONG_LENGTH:
        vr = b"UN"
    value = dataset.value(tag) or b""
    if tag == 0x00080005 and charset is not None:
        return element(tag, b"CS", charset.value, encoding)
    if charset is not None and vr in TEXT:
        text = dataset.charset.decode_name(value) if vr == b"PN" else dataset.charset.decode(value)
        # Only a set that has every character is handed in.
        value = charset.encode(text.rstrip("\0")) or b""
    elif encoding.big != dataset.encoding.big and vr in WORD_BYTES:
        value = swapped(value, WORD_BYTES[vr])
    return element(tag, vr, value, encoding)


def swapped(value: bytes, width: int) -> bytes:
    """Words of `width` bytes in the other byte order; a rest that fills no word stays."""
    whole = len(value) - len(value) % width
    result = bytearray(value)
    for offset in range(width):
        result[offset:whole:width] = value[width - 1 - offset : whole : width]
    return bytes(result)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, DICM and file meta information of a file that we make."""
    content = b"".join(
        (
            element(0x00020001, b"OB", b"\0\1"),
            element(0x00020002, b"UI", sop_class_uid.encode("ascii", "replace")),
            element(0x00020003, b"UI", sop_instance_uid.encode("ascii", "replace")),
            element(0x00020010, b"UI", transfer_syntax_uid.encode("ascii", "replace")),
            element(0x00020012, b"UI", IMPLEMENTATION_CLASS_UID),
            element(0x00020013, b"SH", IMPLEMENTATION_VERSION_NAME),
        )
    )
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", pack("<L", len(content))) + content


UTF8 = Charset.named(UTF_8)
