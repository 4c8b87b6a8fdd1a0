"""A dataset in the DICOM JSON model, written straight from its bytes.

Rendered once when an instance arrives and joined when it is asked for. What a newcomer gets wrong: an empty attribute has
neither Value nor null; DS and IS keep the digits that were sent, so that 1.10 does not drift; text is UTF-8, so Specific
Character Set says so; NaN does not exist in JSON.

Source: DICOM PS3.18 Annex F.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from math import isfinite
from struct import unpack

import orjson

from profiles.wire.dicom.elements import Elements
from profiles.wire.dicom.encode import WORD_BYTES, swapped
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.dicom.syntaxes import BINARY, ONE_VALUE_TEXT, PIXEL_TAGS

INLINE_BYTES = 1024
"""Longer binary values are left out of metadata: the attribute is there, its value is in the instance."""

_JSON_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBERS = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d"}
_SIZES = {"H": 2, "h": 2, "L": 4, "l": 4, "Q": 8, "q": 8, "f": 4, "d": 8}


def dicom_json(head: Part10Head) -> bytes:
    """One JSON object: every attribute in the head, without group lengths, file meta, pixel data and long binary values."""
    return dataset_json(head.dataset)


def dataset_json(dataset: Elements) -> bytes:
    """A dataset or item as a JSON object, keys ascending.

    Raises:
        MalformedMessage: The items of a sequence cannot be told apart.
    """
    parts: list[bytes] = []
    for tag in sorted(dataset.places):
        if tag & 0xFFFF == 0 or tag in PIXEL_TAGS or tag >> 16 == 0x0002:
            continue
        vr = dataset.vr(tag)
        place = dataset.places[tag]
        value = b"" if vr == b"SQ" else bytes(dataset.raw[place.begin : place.end])
        write = _WRITERS.get(vr)
        if write is None:
            vr, write = b"UN", _binary
        written = write(value, dataset, tag)
        parts.append(b'"%08X":{"vr":"%b"%b}' % (tag, vr, written))
    return b"{" + b",".join(parts) + b"}"


def _strings(value: bytes, dataset: Elements, tag: int) -> bytes:
    text = value.decode("latin-1").strip(" \0")
    if not text:
        return b""
    if "\\" in text:
        return b',"Value":' + orjson.dumps([each.strip(" \0") or None for each in text.split("\\")])
    return b',"Value":[' + orjson.dumps(text) + b"]"


def _texts(value: bytes, dataset: Elements, tag: int) -> bytes:
    text = dataset.charset.decode(value).strip(" \0")
    if not text:
        return b""
    if "\\" in text:
        return b',"Value":' + orjson.dumps([each.strip(" \0") or None for each in text.split("\\")])
    return b',"Value":[' + orjson.dumps(text) + b"]"


def _long_text(value: bytes, dataset: Elements, tag: int) -> bytes:
    text = dataset.charset.decode(value).rstrip(" \0")
    return b',"Value":[' + orjson.dumps(text) + b"]" if text else b""


def _code_string(value: bytes, dataset: Elements, tag: int) -> bytes:
    if tag == 0x00080005 and value.strip(b" \0"):
        return b',"Value":["ISO_IR 192"]'  # JSON is UTF-8, whatever the bytes were
    return _strings(value, dataset, tag)


def _names(value: bytes, dataset: Elements, tag: int) -> bytes:
    text = dataset.charset.decode_name(value).strip(" \0")
    if not text:
        return b""
    return b',"Value":' + orjson.dumps([_name(each) for each in text.split("\\")])


def _name(text: str) -> dict[str, str] | None:
    groups = [group.rstrip(" \0") for group in text.split("=")]
    named = {key: group for key, group in zip(_GROUPS, groups, strict=False) if group}
    return named or None


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _number_strings(value: bytes, dataset: Elements, tag: int) -> bytes:
    value = value.strip(b" \0")
    if not value:
        return b""
    return b',"Value":[' + b",".join(_number(each.strip(b" \0")) for each in value.split(b"\\")) + b"]"


def _number(text: bytes) -> bytes:
    if not text:
        return b"null"
    if _JSON_NUMBER.fullmatch(text):
        return text
    try:
        number = float(text)
    except ValueError:
        return orjson.dumps(text.decode("latin-1"))
    if not isfinite(number):
        return orjson.dumps(text.decode("latin-1"))
    return b"%d" % number if number.is_integer() and b"." not in text and abs(number) < 1e15 else repr(number).encode()


def _numbers(value: bytes, dataset: Elements, tag: int) -> bytes:
    code = _NUMBERS[dataset.vr(tag)]
    count = len(value) // _SIZES[code]
    if not count:
        return b""
    numbers = unpack(f"{'>' if dataset.encoding.big else '<'}{count}{code}", value[: count * _SIZES[code]])
    return b',"Value":' + orjson.dumps(numbers)  # NaN and infinities come out as null


def _tags(value: bytes, dataset: Elements, tag: int) -> bytes:
    count = len(value) // 4
    if not count:
        return b""
    halves = unpack(f"{'>' if dataset.encoding.big else '<'}{2 * count}H", value[: 4 * count])
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return b',"Value":[' + b",".join(b'"%04X%04X"' % pair for pair in pairs) + b"]"


def _binary(value: bytes, dataset: Elements, tag: int) -> bytes:
    if not value or len(value) > INLINE_BYTES:
        return b""
    width = WORD_BYTES.get(dataset.vr(tag), 1)
    if dataset.encoding.big and width > 1:
        value = swapped(value, width)
    return b',"InlineBinary":"' + b64encode(value) + b'"'


def _sequence(value: bytes, dataset: Elements, tag: int) -> bytes:
    items = dataset.items(tag)
    return b',"Value":[' + b",".join(dataset_json(item) for item in items) + b"]" if items else b""


_WRITERS: dict[bytes, Callable[[bytes, Elements, int], bytes]] = {
    **dict.fromkeys((b"AE", b"AS", b"DA", b"DT", b"TM", b"UI"), _strings),
    **dict.fromkeys((b"LO", b"SH", b"UC"), _texts),
    **dict.fromkeys(ONE_VALUE_TEXT, _long_text),
    **dict.fromkeys((b"DS", b"IS"), _number_strings),
    **dict.fromkeys(_NUMBERS, _numbers),
    **dict.fromkeys(BINARY, _binary),
    b"AT": _tags,
    b"CS": _code_string,
    b"PN": _names,
    b"SQ": _sequence,
}
