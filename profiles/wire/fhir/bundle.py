"""Bundle: a page of matches, written entry by entry.

Paging is by keyset: the `next` link holds the sort value and the UID at which the page ended, so that a study that
arrives meanwhile is neither lost nor shown twice. To a client the link is opaque.

Source: HL7 FHIR R4, Bundle; RESTful API (paging); Search (self link).
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from profiles.errors import MalformedMessage
from profiles.model.query import PageKey
from profiles.wire.fhir import xml
from profiles.wire.fhir.datatypes import Json
from profiles.wire.fhir.media import Syntax
from profiles.wire.fhir.search import PAGE

Pieces = Iterable[bytes]
"""A resource in the syntax of the bundle, in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: `mode` is match, include or outcome. An outcome has no address."""

    mode: str
    resource: Pieces
    full_url: str = ""


def page_token(key: PageKey) -> str:
    """A page key as it stands in a link."""
    packed = orjson.dumps([key.value, key.study_instance_uid])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def page_key(token: str) -> PageKey:
    """Read it back.

    Raises:
        MalformedMessage: Nobody of us wrote it.
    """
    try:
        packed: Any = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        value, uid = packed
        if not (isinstance(value, str) and isinstance(uid, str)):
            raise TypeError
    except (binascii.Error, ValueError, TypeError):
        raise MalformedMessage("this page does not exist; follow the links", location=PAGE, code="value") from None
    return PageKey(value=value, study_instance_uid=uid)


def address(base: str, kind: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The address of a search. `self` repeats what was understood and used, nothing else."""
    query = urlencode(list(parameters), safe="/:,", quote_via=quote)
    return f"{base}/{kind}?{query}" if query else f"{base}/{kind}"


def searchset(
    entries: Iterable[Entry], *, self_url: str, next_url: str = "", total: int | None = None, syntax: Syntax
) -> Iterator[bytes]:
    """The page in pieces: head with total and links, then entry by entry."""
    links = [{"relation": "self", "url": self_url}]
    if next_url:
        links.append({"relation": "next", "url": next_url})
    opening: Json = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        opening["total"] = total
    opening["link"] = links
    yield from _json(opening, entries) if syntax is Syntax.JSON else _xml(opening, entries)


def _json(opening: Json, entries: Iterable[Entry]) -> Iterator[bytes]:
    separator = orjson.dumps(opening)[:-1] + b',"entry":['
    some = False
    for entry in entries:
        address = b'"fullUrl":%b,' % orjson.dumps(entry.full_url) if entry.full_url else b""
        yield separator + b'{%b"resource":' % address
        yield from entry.resource
        yield b',"search":{"mode":"%b"}}' % entry.mode.encode()
        separator, some = b",", True
    yield b"]}" if some else orjson.dumps(opening)


def _xml(opening: Json, entries: Iterable[Entry]) -> Iterator[bytes]:
    yield xml.opened(opening)
    for entry in entries:
        address = f'<fullUrl value="{xml.attribute(entry.full_url)}"/>' if entry.full_url else ""
        yield f"<entry>{address}<resource>".encode()
        yield from entry.resource  # they carry the namespace once more, which changes nothing
        yield f'</resource><search><mode value="{entry.mode}"/></search></entry>'.encode()
    yield xml.closed(opening)
