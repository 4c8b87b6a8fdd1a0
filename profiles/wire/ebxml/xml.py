"""Rendered text on its way out in pieces, and elements on their way in. Escaping is `profiles.wire.xml`."""

from collections.abc import Iterable, Iterator

from lxml import etree

PIECE_BYTES = 32 * 1024
"""Pieces of a body are at least this long but for the last: fewer writes, and still a stream."""


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
    return parent.iterchildren("*")


def text_of(element: etree._Element) -> str:
    """An element's text without white space around it; comments inside are stepped over."""
    text = element.text or ""
    if len(element):
        text += "".join(child.tail or "" for child in element)
    return text.strip()
