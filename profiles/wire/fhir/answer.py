"""Answers: a resource or a page as an HTTP message, whole when it is small and flowing when it is not.

Source: HL7 FHIR R4, RESTful API (read, conditional read, version-aware headers).
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from profiles.errors import ExchangeError
from profiles.wire.fhir.datatypes import Json
from profiles.wire.fhir.media import Syntax, syntax_of_error, written
from profiles.wire.fhir.outcome import headers_of, outcome, verdict_of
from profiles.wire.http import HttpIn, HttpOut

PIECE_BYTES = 64 * 1024  # what goes out at once; an answer that is no larger has a Content-Length instead

Headers = tuple[tuple[str, str], ...]


def flowing(pieces: Iterable[bytes], syntax: Syntax, headers: Headers = (), status: int = 200) -> HttpOut:
    """An answer in pieces. What fits into one piece is sent whole."""
    gathered = _gathered(iter(pieces))
    first = next(gathered, b"")
    second = next(gathered, None)
    if second is None:
        return HttpOut(status=status, headers=headers, media_type=syntax.content_type, body=first)

    async def stream() -> AsyncIterator[bytes]:
        yield first
        yield second
        for piece in gathered:
            yield piece

    return HttpOut(status=status, headers=headers, media_type=syntax.content_type, stream=stream())


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)


def versioned(version: str, updated: datetime | None) -> Headers:
    """ETag, and Last-Modified where a time is known. Entity tags are weak: the two syntaxes share them."""
    tag = (("ETag", f'W/"{version}"'),)
    if updated is None:
        return tag
    return (*tag, ("Last-Modified", format_datetime(updated, usegmt=True)))


def unchanged(request: HttpIn, version: str, updated: datetime | None) -> bool:
    """Whether the client has it already. If-Modified-Since counts only where no If-None-Match is sent (RFC 9110 13.1.3)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        asked = [tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")]
        return version in asked or "*" in asked
    since = request.headers.get("if-modified-since")
    if since is None or updated is None:
        return False
    try:
        return updated.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False  # a date that cannot be read is ignored, says HTTP


def read_answer(
    request: HttpIn, pieces: Iterable[bytes], syntax: Syntax, *, version: str, updated: datetime | None = None
) -> HttpOut:
    """A resource that was asked for by its id, or 304 without a body."""
    headers = versioned(version, updated)
    if unchanged(request, version, updated):
        return HttpOut(status=304, headers=headers, body=b"")
    return flowing(pieces, syntax, headers)


def fingerprint(resource: Json) -> str:
    """A version for what has none of its own: the same content, the same version."""
    return hashlib.sha256(written(resource, Syntax.JSON)).hexdigest()[:16]


def refused(error: ExchangeError, request: HttpIn) -> HttpOut:
    """An error: its status, and an OperationOutcome in the syntax that was asked for if that can be had."""
    syntax = syntax_of_error(request)
    return HttpOut(
        status=verdict_of(error).status,
        headers=headers_of(error),
        media_type=syntax.content_type,
        body=written(outcome(error), syntax),
    )
