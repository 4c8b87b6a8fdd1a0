"""multipart/related, read as it comes and written as it goes: MTOM and DICOMweb stand on it.

Nothing here waits: bytes in, events out, and bytes for what is to be written. A body is never gathered; what lies between
two boundaries is passed through as the chunks that came.

What a newcomer gets wrong: the line end before a boundary belongs to the boundary, not to the part; and whether lines end
in CRLF or in a bare LF is decided once, by the first boundary line.

Source: RFC 2046 5.1 (multipart), RFC 2387 (related), RFC 2392 (content ids).
"""

import binascii
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final, TypeAlias

from profiles.errors import MalformedMessage, PeerProtocolError
from profiles.findings import Finding, Severity
from profiles.model.content import OCTETS, Part, Pour
from profiles.wire.media_type import TOKEN, parse_media_type

MAX_BOUNDARY_CHARACTERS = 70  # RFC 2046 5.1.1
MAX_PADDING_BYTES = 128  # blanks after a boundary; RFC 2046 names no limit, real ones have none or one
LF_ONLY = "lf-only-mime"
"""Rule id of the finding for bodies whose lines end in LF instead of CRLF."""

Headers: TypeAlias = tuple[tuple[str, str], ...]


# --- what is read -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartLimits:
    """What a stranger may make us hold or count. None: the caller bounds it elsewhere.

    `base64_parts`: decode parts whose Content-Transfer-Encoding is base64 (`parts_of` does it) instead of refusing them.
    `boundary_characters`: Orthanc's DICOMweb client names boundaries of 73. `lengths`: believe the Content-Length of parts
    once the first one was right, for bodies from a house we trust: looking for boundaries is two thirds of reading them.
    """

    boundary_characters: int = MAX_BOUNDARY_CHARACTERS
    parts: int = 1_000
    header_bytes: int = 8 * 1024  # of one part
    preamble_bytes: int = 8 * 1024  # before the first boundary, and again after the last
    part_bytes: int | None = None
    total_bytes: int | None = None
    base64_parts: bool = False
    lengths: bool = False


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The head of a part: names in lower case, values unfolded and stripped, in the order in which they stood."""

    headers: Headers

    def header(self, name: str) -> str:
        """The first value of a header; "" where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def content_id(self) -> str:
        """Content-ID without angle brackets, not decoded; "" where there is none."""
        return bare_content_id(self.header("content-id"))

    @property
    def media_type(self) -> str:
        """Content-Type as it was written; octets where none is named."""
        return self.header("content-type") or OCTETS


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of a part's body, never empty; how it is cut says nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


@dataclass(frozen=True, slots=True)
class End:
    """The final boundary was seen; what follows it is ignored."""


MultipartEvent: TypeAlias = PartBegin | PartData | PartEnd | End
_Step: TypeAlias = Generator[MultipartEvent, None, int | None]


class CutOff(MalformedMessage):
    """The body ended before its final boundary: what a connection that broke leaves behind, when HTTP told no length."""


class _State(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    BODY = auto()
    EPILOGUE = auto()


class _Line(Enum):
    """What the characters after `--boundary` make of it."""

    UNDECIDED = auto()  # more bytes are needed
    NO_BOUNDARY = auto()  # it only begins like one
    BOUNDARY = auto()
    FINAL = auto()


class MultipartReader:
    """Bytes in, events out, the same for any cutting of the bytes.

    Args:
        content_type: The Content-Type that names the boundary.
        limits: What we are ready to take.

    Raises:
        MalformedMessage: From any method: the framing is broken or a limit is passed. The reader is of no use then.
    """

    def __init__(self, content_type: str, limits: MultipartLimits = MultipartLimits()) -> None:
        self._limits = limits
        self._dashes: Final = b"--" + boundary_of(content_type, limits.boundary_characters).encode("latin-1")
        self._newline = b"\r\n"
        self._delimiter = self._newline + self._dashes
        self._state = _State.PREAMBLE
        self._held = b""  # the end of what came, undecided: less than a boundary line, or the beginning of a head
        self._skip = 0  # 2 or 1 at the start of a body: the line end that closed the head
        self._total_bytes = 0
        self._epilogue_bytes = 0
        self._part_bytes = 0
        self._told_bytes: int | None = None  # by the head of the open part, where lengths may be believed
        self._lengths_were_right = False
        self._parts = 0
        self._content_ids: set[str] = set()
        self.findings: tuple[Finding, ...] = ()

    def receive(self, chunk: bytes) -> Iterator[MultipartEvent]:
        """Take some bytes; the events that they complete. Exhaust the iterator before the next call."""
        self._total_bytes += len(chunk)
        if self._limits.total_bytes is not None and self._total_bytes > self._limits.total_bytes:
            raise MalformedMessage(f"the multipart body has more than {self._limits.total_bytes} bytes")
        data = self._held + chunk if self._held else chunk
        self._held = b""
        at: int | None = 0
        while at is not None:
            match self._state:
                case _State.BODY:
                    at = yield from self._body(data, at)
                case _State.HEAD:
                    at = yield from self._head(data, at)
                case _State.PREAMBLE:
                    at = yield from self._preamble(data)
                case _State.EPILOGUE:
                    self._epilogue(data, at)
                    at = None

    def close(self) -> None:
        """Say that no more comes.

        Raises:
            MalformedMessage: The final boundary is missing: the body was cut off.
        """
        if self._state is not _State.EPILOGUE:
            raise CutOff("the multipart body ends without its final boundary")

    # Each of the three answers where to go on, or None when it needs more bytes (and has kept what it could not decide).

    def _preamble(self, data: bytes) -> _Step:
        found = 0 if data.startswith(self._dashes) else _after_line_end(data, self._dashes, 0)
        while 0 <= found <= self._limits.preamble_bytes:
            line, after = self._line(data, found + len(self._dashes), any_line_end=True)
            if line is _Line.UNDECIDED:
                break
            if line is _Line.FINAL:
                return (yield from self._end(after))
            if line is _Line.BOUNDARY:
                if data[after - 2 : after] != b"\r\n":
                    self._newline = b"\n"
                    self._delimiter = b"\n" + self._dashes
                    self.findings += (
                        Finding(
                            rule=LF_ONLY, text="multipart lines end in LF instead of CRLF", severity=Severity.WARNING
                        ),
                    )
                self._state = _State.HEAD
                return after - len(self._newline)
            found = _after_line_end(data, self._dashes, found + 1)
        if len(data) > self._limits.preamble_bytes + len(self._dashes) + MAX_PADDING_BYTES:
            raise MalformedMessage("the boundary that Content-Type names does not open the multipart body")
        self._held = data
        return None

    def _head(self, data: bytes, at: int) -> _Step:
        """`at` is the line end of the boundary line, so that a head without headers is found by the same search."""
        width = len(self._newline)
        found = data.find(self._newline * 2, at)
        if (found if found >= 0 else len(data) - 2 * width) - at > self._limits.header_bytes:
            raise MalformedMessage(f"the headers of part {self._parts} exceed {self._limits.header_bytes} bytes")
        if found < 0:
            self._held = data[at:]
            return None
        begin = self._begin(data[at + width : found])
        yield begin
        if self._limits.lengths:
            told = begin.header("content-length")
            self._told_bytes = int(told) if told.isdecimal() else None
        self._parts += 1
        self._part_bytes = 0
        self._state = _State.BODY
        self._skip = width
        return found + width

    def _body(self, data: bytes, at: int) -> _Step:
        start = at + self._skip
        if self._told_bytes and self._lengths_were_right:
            found, line, after = self._told_end(data, at, start, self._told_bytes - self._part_bytes)
        else:
            found, line, after = self._next_boundary(data, at)
        if found >= start and found > at:
            self._skip = 0
            if found > start:
                self._part_bytes += found - start
                if self._limits.part_bytes is not None and self._part_bytes > self._limits.part_bytes:
                    raise MalformedMessage(
                        f"part {self._parts - 1} has more than {self._limits.part_bytes} bytes",
                        location=f"part {self._parts - 1}",
                    )
                yield PartData(data if start == 0 and found == len(data) else data[start:found])
        if line is _Line.UNDECIDED:
            self._held = data[found:]
            return None
        self._skip = 0
        if self._told_bytes is not None:
            self._lengths_were_right = self._told_bytes == self._part_bytes
        yield PartEnd()
        if line is _Line.FINAL:
            return (yield from self._end(after))
        self._state = _State.HEAD
        return after - len(self._newline)

    def _next_boundary(self, data: bytes, at: int) -> tuple[int, _Line, int]:
        """Where the next boundary begins, or might; what it is; where the line after it starts."""
        delimiter = self._delimiter
        found = data.find(delimiter, at)
        while found >= 0:
            line, after = self._line(data, found + len(delimiter))
            if line is not _Line.NO_BOUNDARY:
                return found, line, after
            found = data.find(delimiter, found + 1)
        # Only the last CR (or LF) can begin a boundary that the next chunk completes: a boundary holds no other.
        found = data.rfind(delimiter[:1], max(at, len(data) - len(delimiter) + 1))
        if found < 0 or not delimiter.startswith(data[found:]):
            found = len(data)
        return found, _Line.UNDECIDED, found

    def _told_end(self, data: bytes, at: int, start: int, left_bytes: int) -> tuple[int, _Line, int]:
        """The same by the length that the head told.

        Raises:
            MalformedMessage: It is not the boundary that stands there.
        """
        if len(data) < start:
            return at, _Line.UNDECIDED, at
        found = min(start + left_bytes, len(data))
        if len(data) < found + len(self._delimiter):
            if self._delimiter.startswith(data[found:]):
                return found, _Line.UNDECIDED, found
        elif data.startswith(self._delimiter, found):
            line, after = self._line(data, found + len(self._delimiter))
            if line is not _Line.NO_BOUNDARY:
                return found, line, after
        raise MalformedMessage(f"part {self._parts - 1} is not as long as its head tells")

    def _end(self, at: int) -> _Step:
        self._state = _State.EPILOGUE
        yield End()
        return at

    def _epilogue(self, data: bytes, at: int) -> None:
        self._epilogue_bytes += len(data) - at
        if self._epilogue_bytes > self._limits.preamble_bytes:
            raise MalformedMessage("too much follows the final boundary")

    def _line(self, data: bytes, at: int, *, any_line_end: bool = False) -> tuple[_Line, int]:
        """Judge what follows `--boundary`, and where the line after it starts."""
        following = data[at : at + 2]
        if following == b"--":
            return _Line.FINAL, at + 2
        if following in (b"", b"-"):
            return _Line.UNDECIDED, at
        limit = at + MAX_PADDING_BYTES
        while at < len(data) and data[at] in b" \t" and at < limit:
            at += 1
        following = data[at : at + 2]
        if any_line_end and following[:1] == b"\n":
            return _Line.BOUNDARY, at + 1
        newline = b"\r\n" if any_line_end else self._newline
        if following.startswith(newline):
            return _Line.BOUNDARY, at + len(newline)
        if newline.startswith(following) and at < limit:
            return _Line.UNDECIDED, at
        return _Line.NO_BOUNDARY, at

    def _begin(self, block: bytes) -> PartBegin:
        if self._parts >= self._limits.parts:
            raise MalformedMessage(f"the multipart body has more than {self._limits.parts} parts")
        begin = PartBegin(_headers(block, self._newline))
        self._admit(begin)
        return begin

    def _admit(self, begin: PartBegin) -> None:
        """Refuse what would be ambiguous."""
        here = f"part {self._parts}"
        single: dict[str, str] = {}
        for name, value in begin.headers:
            if name in _SINGLE_HEADERS:
                if name in single:
                    raise MalformedMessage("a header that names or types a part stands in it twice", location=here)
                single[name] = value
        if single.get("content-type", "").lower().startswith("multipart/"):
            raise MalformedMessage("a multipart inside a multipart is not read", location=here)
        encoding = single.get("content-transfer-encoding", "").lower()
        if encoding not in _PLAIN_ENCODINGS and not (encoding == "base64" and self._limits.base64_parts):
            raise MalformedMessage("the Content-Transfer-Encoding of a part is not binary", location=here)
        if content_id := bare_content_id(single.get("content-id", "")):
            if content_id in self._content_ids:
                raise MalformedMessage("two parts have the same Content-ID", location=here)
            self._content_ids.add(content_id)


_SINGLE_HEADERS = frozenset({"content-id", "content-type", "content-transfer-encoding"})
_PLAIN_ENCODINGS = frozenset({"", "binary", "8bit", "7bit"})


def _after_line_end(data: bytes, dashes: bytes, start: int) -> int:
    """Where `--boundary` stands at the start of a line that is not the first; -1: nowhere."""
    found = data.find(b"\n" + dashes, max(start - 1, 0))
    return found + 1 if found >= 0 else -1


def _headers(block: bytes, newline: bytes) -> Headers:
    """Split a head into (lower-case name, value)."""
    headers: list[tuple[str, str]] = []
    for line in block.split(newline) if block else ():
        if line[:1] in (b" ", b"\t") and headers:  # folded: RFC 5322 2.2.3
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {_text(line).strip()}".strip())
        else:
            headers.append(_header(line))
    return tuple(headers)


@lru_cache(maxsize=64)  # the heads of a thousand images differ in a line or none
def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = _text(line).partition(":")
    name = name.rstrip(" \t").lower()
    if not colon or not TOKEN.fullmatch(name):
        raise MalformedMessage("a part header is not `name: value`")
    return name, value.strip()


def _text(line: bytes) -> str:
    text = line.decode("latin-1")
    if _CONTROLS.search(text):
        raise MalformedMessage("a part header has a control character or a line end of another kind")
    return text


_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


# --- header values ----------------------------------------------------------------------------------------------------


def boundary_of(content_type: str, most_characters: int = MAX_BOUNDARY_CHARACTERS) -> str:
    """The boundary that a multipart Content-Type names, of at most so many characters.

    Raises:
        MalformedMessage: It is not multipart, or its boundary is missing, too long or not printable.
    """
    media_type = parse_media_type(content_type)
    if not media_type.name.startswith("multipart/"):
        raise MalformedMessage("Content-Type is not multipart")
    boundary = media_type.parameters.get("boundary", "")
    if not 1 <= len(boundary) <= most_characters:
        raise MalformedMessage(f"a multipart boundary has 1 to {most_characters} characters")
    if not boundary.isascii() or not boundary.isprintable() or boundary.endswith(" "):
        raise MalformedMessage("a multipart boundary is of printable ASCII and does not end in a blank")
    return boundary


def bare_content_id(text: str) -> str:
    """A Content-ID or `start` without its angle brackets."""
    text = text.strip()
    return text[1:-1].strip() if text[:1] == "<" and text[-1:] == ">" else text


class Base64Decoder:
    """Base64 read as it comes: white space is skipped wherever it stands, groups may be cut anywhere.

    Raises:
        MalformedMessage: From both methods: it is not base64.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def decode(self, chunk: bytes) -> bytes:
        """The bytes that are complete by now."""
        text = self._rest + chunk.translate(None, b" \t\r\n")
        whole = len(text) & ~3
        self._rest = text[whole:]
        if not whole:
            return b""
        if self._ended:
            raise MalformedMessage("base64 goes on after its padding")
        self._ended = text[whole - 1] == 0x3D  # "="
        try:
            return binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error as error:
            raise MalformedMessage("base64 holds a character that is none of it") from error

    def close(self) -> None:
        """Say that no more comes."""
        if self._rest:
            raise MalformedMessage("base64 ends inside a group")


# --- parts as they come -----------------------------------------------------------------------------------------------


class MultipartPour:
    """A multipart body as a `Pour`: one pass, in wire order; asking for the next part leaves the last one behind.

    `key` of a part is its Content-ID without brackets, else its position ("0", "1", ...). `findings` and `ended` are true
    to what was read so far.
    """

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str, limits: MultipartLimits) -> None:
        self._reader = MultipartReader(content_type, limits)
        self._source = chunks
        self._events: Iterator[MultipartEvent] = iter(())  # what is left of the chunk that came last
        self._position = 0
        self._open = False
        self._stopped = False
        self.ended = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was odd about the framing."""
        return self._reader.findings

    def __aiter__(self) -> "MultipartPour":
        return self

    async def __anext__(self) -> Part:
        while (event := self._next() or await self._more()) is not None:
            if isinstance(event, PartBegin):
                position, self._position, self._open = self._position, self._position + 1, True
                chunks = self._chunks(position)
                if event.header("content-transfer-encoding").lower() == "base64":
                    chunks = _decoded(chunks)
                return Part(
                    key=event.content_id or str(position),
                    media_type=event.media_type,
                    chunks=chunks,
                    headers=event.headers,
                )
        self._complete()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading; what is under way raises."""
        self._stop()

    def _stop(self) -> None:
        self._open, self._stopped, self._events = False, True, iter(())

    def _next(self) -> MultipartEvent | None:
        """The next event of what has come; None: more has to come."""
        try:
            return next(self._events, None)
        except MalformedMessage:
            self._stop()
            raise

    async def _more(self) -> MultipartEvent | None:
        """The next event of what comes; None: the body has ended, or will not be read on."""
        while not self._stopped:
            chunk = await anext(self._source, None)
            if chunk is None:
                self._stop()
                self._reader.close()
                self.ended = True
                return None
            self._events = self._reader.receive(chunk)
            if (event := self._next()) is not None:
                return event
        return None

    def _complete(self) -> None:
        """Never let a body that broke pass for one that is complete, however often it is asked."""
        if not self.ended:
            raise CutOff("the multipart body was not read to its end")

    async def _chunks(self, position: int) -> AsyncIterator[bytes]:
        while True:
            if position != self._position - 1:
                raise RuntimeError("a part of a pour is read before the next one is asked for")
            if not self._open:
                return
            event = self._next() or await self._more()
            if isinstance(event, PartData):
                yield event.data
                continue
            if event is None:
                self._complete()
            self._open = False


async def _decoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder = Base64Decoder()
    async for chunk in chunks:
        if decoded := decoder.decode(chunk):
            yield decoded
    decoder.close()


def parts_of(
    chunks: AsyncIterator[bytes], content_type: str, limits: MultipartLimits = MultipartLimits()
) -> MultipartPour:
    """Read a multipart body as parts. The body is read to its end (epilogue included) when all parts are.

    Raises:
        MalformedMessage: At once, when Content-Type names no boundary; while reading, when the framing breaks or the body
            is cut off. What `chunks` raises passes through.
    """
    return MultipartPour(chunks, content_type, limits)


# --- what is written --------------------------------------------------------------------------------------------------


def part_head(boundary: str, headers: Iterable[tuple[str, str]], *, first: bool) -> bytes:
    """The boundary line and head before a part's bytes.

    Raises:
        ValueError: A value would break the head (line ends and other controls).
    """
    lines = [f"--{boundary}" if first else f"\r\n--{boundary}"]
    for name, value in headers:
        if _CONTROLS.search(value) or not TOKEN.fullmatch(name):
            raise ValueError(f"the part header {name!r} cannot be written")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "\r\n")).encode("latin-1", "replace")


def multipart_tail(boundary: str) -> bytes:
    """The final boundary line."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")


def multipart_length(boundary: str, parts: Iterable[tuple[Headers, int]]) -> int:
    """The size of a body of these heads and part sizes, as the functions here write it."""
    length, first = len(multipart_tail(boundary)), True
    for headers, size_bytes in parts:
        length += len(part_head(boundary, headers, first=first)) + size_bytes
        first = False
    return length - 2 if first else length  # without parts the tail has no line end before it


def headers_of(part: Part) -> Headers:
    """The head of a part as it is: its media type, then the headers that it carries."""
    return (("Content-Type", part.media_type), *(pair for pair in part.headers if pair[0].lower() != "content-type"))


async def poured(
    pour: Pour, boundary: str, head: Callable[[Part], Headers] = headers_of, *, first: bool = True
) -> AsyncIterator[bytes]:
    """A pour as the bytes of a multipart body, final boundary included. Breaks by raising; then it must not be ended.

    Args:
        pour: What is written, in this order.
        boundary: Must not occur in the bodies: make it from randomness.
        head: The headers of a part.
        first: False when parts were written before these (an MTOM root).

    Raises:
        PeerProtocolError: A part had not as many bytes as was said of it.
    """
    async for part in pour:
        yield part_head(boundary, head(part), first=first)
        first = False
        size_bytes = 0
        async for chunk in part.chunks:
            size_bytes += len(chunk)
            yield chunk
        if part.size_bytes is not None and size_bytes != part.size_bytes:
            raise PeerProtocolError(f"a part of {part.size_bytes} bytes came with {size_bytes}", location=part.key)
    tail = multipart_tail(boundary)
    yield tail[2:] if first else tail


async def gathered(chunks: AsyncIterator[bytes], enough_bytes: int) -> tuple[tuple[bytes, ...], bool]:
    """The next bytes of a body, at least so many, and whether they are the last.

    Small chunks are joined, so that a write is worth its while; one that is enough by itself is not copied. An empty one
    says that the next may take its time: what is there is not held back for it.
    """
    held: list[bytes] = []
    held_bytes = 0
    async for chunk in chunks:
        if len(chunk) >= enough_bytes:
            return ((b"".join(held), chunk) if held else (chunk,)), False
        if chunk:
            held.append(chunk)
            held_bytes += len(chunk)
        if held and (held_bytes >= enough_bytes or not chunk):
            return (b"".join(held),), False
    return ((b"".join(held),) if held else ()), True
