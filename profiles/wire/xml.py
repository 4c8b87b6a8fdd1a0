"""XML in and out, in the one safe way: escaped templates out, lxml without entities, DTDs or network in.

What a newcomer gets wrong: a template needs another escape inside an attribute than between tags, because a reader
folds line breaks in attributes to spaces.

Source: XML 1.0 2.2 (characters), 2.4 (escapes), 3.3.3 (attribute normalization).
"""

import re
from datetime import UTC, datetime

from lxml import etree

from profiles.errors import MalformedMessage

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024  # far above any message that is not streamed

_ILLEGAL = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_IN_TEXT = re.compile(f"[&<>\r{_ILLEGAL}]")
_IN_ATTRIBUTE = re.compile(f'[&<>"\t\n\r{_ILLEGAL}]')
_ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_REPLACEMENT = "\ufffd"  # for what XML 1.0 cannot say at all


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], _REPLACEMENT)


def text(value: str) -> str:
    """A value as it stands between tags. Characters that XML 1.0 cannot carry become U+FFFD."""
    return _IN_TEXT.sub(_escape, value) if _IN_TEXT.search(value) else value


def attribute(value: str) -> str:
    """A value as it stands between the double quotes of an attribute; line breaks and tabs survive the reader."""
    return _IN_ATTRIBUTE.sub(_escape, value) if _IN_ATTRIBUTE.search(value) else value


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?")


def instant(value: str) -> datetime:
    """An `xs:dateTime` as an instant; without a zone it is UTC, as security headers and assertions mean it.

    Raises:
        ValueError: Not one.

    Source: XML Schema part 2, 3.2.7; SAML 2.0 core 1.3.3.
    """
    match = _INSTANT.fullmatch(value.strip())
    if match is None:
        raise ValueError("not a date with its time")
    read = datetime.fromisoformat(match[0])
    try:
        return read.astimezone(UTC) if match[2] else read.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("not a date with its time") from None


def parse(document: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> etree._Element:
    """The root element of a document that a stranger sent.

    Raises:
        MalformedMessage: Not well-formed, a DOCTYPE (no wire of ours has one), too deep or too large.
    """
    if len(document) > max_bytes:
        raise MalformedMessage(f"an XML document of more than {max_bytes} bytes")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    if b"<!DOCTYPE" in document:
        raise MalformedMessage("an XML document with a DOCTYPE")
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedMessage("not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:  # written in an encoding that hid it from the look above
        raise MalformedMessage("an XML document with a DOCTYPE")
    return root
