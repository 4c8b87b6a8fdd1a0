"""Transfer syntaxes and value representations: the two tables that every reader of DICOM bytes stands on.

Source: DICOM PS3.5 7.1.2 (lengths), 10 and Annex A (transfer syntaxes), 6.2 (VRs); PS3.6 Annex A.
"""

from collections.abc import Mapping
from dataclasses import dataclass

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
GE_PRIVATE = "1.2.840.113619.5.2"  # Implicit LE whose pixel words are big endian

NATIVE = frozenset({IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, GE_PRIVATE})
"""Syntaxes without encapsulated pixel data. Everything else, private ones included, is Explicit LE and encapsulated."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the elements of a dataset are written."""

    implicit: bool = False
    big: bool = False


EXPLICIT = Encoding()
IMPLICIT = Encoding(implicit=True)
BIG = Encoding(big=True)


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The element encoding of a transfer syntax (of the inflated bytes, for the deflated one)."""
    if transfer_syntax_uid in (IMPLICIT_LE, GE_PRIVATE):
        return IMPLICIT
    return BIG if transfer_syntax_uid == EXPLICIT_BE else EXPLICIT


SHORT_LENGTH = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS")
).union((b"ST", b"TM", b"UI", b"UL", b"US"))
"""VRs with a length of 16 bit."""

LONG_LENGTH = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""VRs with two reserved bytes and a length of 32 bit."""

BINARY = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))
"""VRs whose value is bytes to us: InlineBinary or bulk data in DICOM JSON."""

TEXT = frozenset((b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"))
"""VRs that Specific Character Set applies to."""

ONE_VALUE_TEXT = frozenset((b"LT", b"ST", b"UT", b"UR"))
"""VRs in which a backslash is a character and not a separator."""

UNDEFINED = 0xFFFFFFFF

PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
"""Float Pixel Data, Double Float Pixel Data, Pixel Data: where a head ends."""

RECEIVABLE = (
    EXPLICIT_LE,
    IMPLICIT_LE,
    DEFLATED_LE,
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.92",
    "1.2.840.10008.1.2.4.93",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.104",
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.106",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.108",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.4.111",
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.5",
    EXPLICIT_BE,
)
"""What we take when we ask for instances: everything, as pixels are kept as they came."""

MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "image/jpeg": (
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.57",
    ),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "image/jls": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    "image/jp2": ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
    "image/jpx": ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"),
    "image/jphc": ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"),
    "image/jxl": ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"),
    "video/mpeg": ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101"),
    "video/mp4": (
        "1.2.840.10008.1.2.4.102",
        "1.2.840.10008.1.2.4.103",
        "1.2.840.10008.1.2.4.104",
        "1.2.840.10008.1.2.4.105",
        "1.2.840.10008.1.2.4.106",
    ),
    "video/H265": ("1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108"),
}
"""Compressed bulk data media types and their transfer syntaxes, the default one first (PS3.18 8.7.3.3.2)."""

ALIASES: Mapping[str, str] = {
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
}
"""Names that older clients use."""


def media_type_of(transfer_syntax_uid: str) -> str:
    """The media type of a frame as stored: `application/octet-stream` for native ones and those that have no name."""
    base = transfer_syntax_uid
    if base.endswith(".1") and base.startswith(("1.2.840.10008.1.2.4.10",)) and base.count(".") == 8:
        base = base[:-2]  # the fragmentable variants of the video syntaxes
    for media_type, syntaxes in MEDIA_TYPES.items():
        if base in syntaxes:
            return media_type
    return "application/octet-stream"
