"""Specific Character Set: bytes to text and back.

The three sets that nearly everybody uses are Python codecs; those with code extensions (ISO 2022) go through pydicom. What
a newcomer gets wrong: reading must never fail on a header that lies about its set, so undecodable bytes become U+FFFD;
writing must never lose a character, so `encode` refuses and the caller moves the dataset to UTF-8.

Source: DICOM PS3.3 C.12.1.1.2; PS3.5 6.1; lesson: repertoires never match, so one inner Unicode and a set per destination.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

UTF_8 = b"ISO_IR 192"

_PLAIN = {
    b"": "latin-1",  # the default repertoire is ASCII; bytes above it are seen in the field and are mostly Latin-1
    b"ISO_IR 6": "latin-1",
    b"ISO 2022 IR 6": "latin-1",
    b"ISO_IR 100": "latin-1",
    b"ISO_IR 101": "iso8859_2",
    b"ISO_IR 109": "iso8859_3",
    b"ISO_IR 110": "iso8859_4",
    b"ISO_IR 144": "iso8859_5",
    b"ISO_IR 127": "iso8859_6",
    b"ISO_IR 126": "iso8859_7",
    b"ISO_IR 138": "iso8859_8",
    b"ISO_IR 148": "iso8859_9",
    b"ISO_IR 166": "tis_620",
    b"ISO_IR 203": "iso8859_15",
    b"ISO_IR 13": "shift_jis",
    UTF_8: "utf-8",
    b"GB18030": "gb18030",
    b"GBK": "gbk",
}
DEFINED_TERMS = tuple(name.decode() for name in _PLAIN if name)
"""What (0008,0005) may name alone and is read and written here; code extensions (ISO 2022) are read."""

_ASCII_ONLY = frozenset((b"", b"ISO_IR 6", b"ISO 2022 IR 6"))


@dataclass(frozen=True, slots=True)
class Charset:
    """One value of (0008,0005). `codec` is a Python codec, or "" when code extensions are in play."""

    names: tuple[bytes, ...]
    codec: str

    @classmethod
    def named(cls, value: bytes) -> "Charset":
        """Read the element's value; unknown names are taken as the default repertoire."""
        return _named(value.strip(b" \0"))

    @property
    def value(self) -> bytes:
        """As the element says it."""
        return b"\\".join(self.names)

    def decode(self, value: bytes) -> str:
        """Bytes as text; what cannot be decoded becomes U+FFFD."""
        if value.isascii() and b"\x1b" not in value and self.codec != "shift_jis":
            return value.decode("ascii")
        if self.codec:
            return value.decode(self.codec, "replace")
        return _decode_extended(self.names, value)

    def decode_name(self, value: bytes) -> str:
        """A PN value; code extensions start anew in every component group."""
        if self.codec or b"\x1b" not in value:
            return self.decode(value)
        return "\\".join("=".join(self.decode(group) for group in name.split(b"=")) for name in value.split(b"\\"))

    def encode(self, text: str) -> bytes | None:
        """Text as bytes; None when a character is not in the repertoire (or code extensions would be needed)."""
        if text.isascii():
            return text.encode("ascii")
        if not self.codec or self.names[0] in _ASCII_ONLY:
            return None
        try:
            return text.encode(self.codec)
        except UnicodeEncodeError:
            return None


@lru_cache(maxsize=256)
def _named(value: bytes) -> Charset:
    names = tuple(each.strip(b" \0") for each in value.split(b"\\"))
    if len(names) == 1:
        codec = _PLAIN.get(names[0])
        if codec is None and not names[0].startswith(b"ISO 2022"):
            codec = _PLAIN.get(names[0].replace(b"ISO-IR", b"ISO_IR").replace(b"ISO IR", b"ISO_IR"), "latin-1")
        return Charset(names, codec or "")
    return Charset(names, "")


def _decode_extended(names: tuple[bytes, ...], value: bytes) -> str:
    from pydicom.charset import convert_encodings, decode_bytes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what cannot be decoded; we show U+FFFD
        try:
            encodings = convert_encodings([name.decode("latin-1") for name in names])
            return decode_bytes(value, encodings, {0x0D, 0x0A, 0x09, 0x0C, 0x5C, 0x5E})
        except (LookupError, ValueError):
            return value.decode("latin-1")


DEFAULT = Charset((b"",), "latin-1")
