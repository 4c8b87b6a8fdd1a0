"""Text on its way into an XML template, and elements on their way out of one."""

import re
from collections.abc import Iterable, Iterator

from lxml import etree

_SPECIAL = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_LEGAL_CONTROLS = {0x09: "&#9;", 0x0A: "&#10;", 0x0D: "&#13;"}
_TABLE: dict[int, str] = {
    **dict.fromkeys((*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"),
    **_LEGAL_CONTROLS,
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}

PIECE_BYTES = 32 * 1024
"""Pieces of a body are at least this long but for the last: fewer writes, and still a stream."""


def escape(text: str) -> str:
    """Text as it may stand in element content and between double quotes.

    White space other than a blank is written as a character reference, so that attribute normalisation does not eat
    it. What XML 1.0 cannot say at all becomes U+FFFD: a control character out of an old header must not spoil an answer
    of a thousand entries.
    """
    return text if _SPECIAL.search(text) is None else text.translate(_TABLE)


def pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """Rendered text, gathered into pieces of `PIECE_BYTES` and more."""
    gathered: list[str] = []
    length = 0
    for text in texts:
        gathered.append(text)
        length += len(text)
        if length >= PIECE_BYTES:
            yield "".join(gathered).encode()
            gathered.clear()
            length = 0
    if gathered:
        yield "".join(gathered).encode()


def elements(parent: etree._Element) -> Iterator[etree._Element]:
    """Child elements without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))


def text_of(element: etree._Element) -> str:
    """An element's text without white space around it; comments inside are stepped over."""
    text = element.text
    return "".join(element.itertext(with_tail=False)).strip() if len(element) else (text.strip() if text else "")
