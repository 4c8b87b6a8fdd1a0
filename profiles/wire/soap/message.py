"""A SOAP message as a transaction's codec sees it: the body, and the binaries that it names.

The envelope, the addressing headers and the MIME framing are already read, or not yet written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lxml import etree

from profiles.model.content import Content, Pour


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapIn:
    """A SOAP message that was read up to its body.

    `body` is the first child of the SOAP body. In it every binary, inline or attached, is an `xop:Include`: a request's
    are in `attachments` by content id (undecoded and without angle brackets), a response's come by `parts`, keyed by
    the same content ids, in wire order. `header` is the SOAP header, for what a transaction says in one of its own.
    """

    action: str
    body: etree._Element
    header: etree._Element | None = None
    message_id: str = ""
    relates_to: str = ""
    attachments: Mapping[str, Content] = field(default_factory=dict)
    parts: Pour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapOut:
    """A SOAP body to write, and the attachments that its `xop:Include`s name.

    `body` is the bytes of the first child of the SOAP body, in pieces, each namespace declared where it is used.
    `parts` are keyed by content id without angle brackets; None: nothing binary. `sizes` is the plan of `parts`, where
    it is known: key, media type and size in bytes of each, in their order; then the message has a Content-Length.
    `header` is header blocks of the transaction's own, each namespace declared. `relates_to` is the wsa:MessageID of an
    earlier message that a *request* belongs to; "": none. (An answer's is its request's.)
    """

    body: Iterable[bytes]
    header: bytes = b""
    parts: Pour | None = None
    sizes: tuple[tuple[str, str, int], ...] | None = None
    relates_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a carrier gives an answer that names itself in its body: a UUID, and the time."""

    id: str
    at: datetime


class Packaging(StrEnum):
    """ITI TF-2 Appendix V.8: how a transaction is packed, both ways alike."""

    SIMPLE = "SIMPLE SOAP"
    MTOM = "MTOM"
