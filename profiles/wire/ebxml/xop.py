"""Binaries of a body: which content id an element means, and content ids for what we send.

Source: ITI TF-2 Appendix V.8.
"""

import binascii
from collections.abc import Mapping
from urllib.parse import unquote

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.model.content import Content
from profiles.wire.ebxml.xml import text_of
from profiles.wire.soap.names import INCLUDE, XOP


def content_id(position: int) -> str:
    """The content id of the n-th binary of a message of ours, without angle brackets."""
    return f"{position}.document@radgate"


def include(id: str) -> str:
    """An `xop:Include`: the only child of its element, no white space around it."""
    return f'<xop:Include xmlns:xop="{XOP}" href="cid:{id}"/>'


def content_id_of(element: etree._Element) -> str | None:
    """What the `xop:Include` in an element names, as written; None when the binary is not an include.

    Raises:
        MalformedMessage: The include points somewhere else than into this message.
    """
    found = next(element.iterchildren(INCLUDE), None)
    if found is None:
        return None
    href = (found.get("href") or "").strip()
    if href[:4].lower() != "cid:":
        raise MalformedMessage("xop:Include does not point to a part of this message", location="xop:Include/@href")
    return href[4:]


def spellings(id: str) -> tuple[str, ...]:
    """A content id as it may stand in a part's header: decoded, and as it was written."""
    decoded = unquote(id)
    return (decoded,) if decoded == id else (decoded, id)


def attached(id: str, attachments: Mapping[str, Content]) -> str | None:
    """The key of the attachment that a content id means; None when there is none."""
    return next((spelling for spelling in spellings(id) if spelling in attachments), None)


def inline(element: etree._Element) -> bytes:
    """A binary written as base64 text.

    Raises:
        MalformedMessage: It is not base64.
    """
    try:
        return binascii.a2b_base64("".join(text_of(element).split()).encode(), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise MalformedMessage("a document's text is not base64", location="Document") from error
