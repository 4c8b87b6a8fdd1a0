"""Packaging: one SOAP message from the bytes of an HTTP body, and back. Plain, or as MTOM with its parts.

A reader of a request has every document spooled before it decodes; a reader of an answer has the envelope first and the
documents as a pour, however the peer ordered them.

What a newcomer gets wrong: the root part is named by `start`, which many peers leave out and some write wrongly; and a
transaction that is packed as MTOM is packed so even when nothing binary is in it.

Source: ITI TF-2 Appendix V.8; MTOM 1.0; XOP 1.0; RFC 2387.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, replace

from lxml import etree

from profiles.errors import InternalFault, MalformedMessage, Unsupported
from profiles.findings import Finding, Severity
from profiles.model.content import OCTETS, Content, Part, Pour
from profiles.wire.media_type import parse_media_type
from profiles.wire.multipart import (
    Headers,
    MultipartLimits,
    MultipartPour,
    bare_content_id,
    multipart_length,
    part_head,
    parts_of,
    poured,
)
from profiles.wire.soap.envelope import (
    Addressing,
    EnvelopeReader,
    Includes,
    NewSink,
    Sink,
    addressing_of,
    envelope_body,
    envelope_header,
    includes_of,
)
from profiles.wire.soap.fault import VERSION_MISMATCH, PeerFault, decode_fault, is_fault
from profiles.wire.soap.message import Packaging, SoapIn, SoapOut
from profiles.wire.soap.names import RELATED, SOAP_XML, XOP_XML

PERCENT_ENCODED = "percent-encoded-content-id"
START_NAMES_NOTHING = "mtom-start"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoapLimits:
    """What one message may make us hold or count.

    `root_bytes` does not count documents that are inline. `spooled_bytes` is for all documents of a message together that
    have to be put aside; what is handed out as a pour is not. `message_bytes` None: bounded by those.
    """

    root_bytes: int = 8 * 1024 * 1024
    parts: int = 1_000
    spooled_bytes: int = 1024 * 1024 * 1024
    message_bytes: int | None = None

    @property
    def multipart(self) -> MultipartLimits:
        """The same for the framing."""
        return MultipartLimits(parts=self.parts, total_bytes=self.message_bytes, base64_parts=True)


@dataclass(slots=True, kw_only=True)
class SoapMessage:
    """A message that was read up to its body.

    `header` and `body` are elements of one tree. Documents are in `attachments` when all were read, else they come by
    `parts`; both are keyed as the body's Includes write it. `raw` is how the envelope began.
    """

    packaging: Packaging
    addressing: Addressing
    header: etree._Element | None
    body: etree._Element
    attachments: dict[str, Content]
    parts: Pour | None = None
    findings: tuple[Finding, ...] = ()
    raw: bytes = b""

    @property
    def body_name(self) -> str:
        """What the body is, as `{namespace}name`."""
        return str(self.body.tag)

    def quoted(self, limit_bytes: int) -> bytes | None:
        """The body as audit quotes it; None: too much to be quoted."""
        body = etree.tostring(self.body, with_tail=False)
        return body if len(body) <= limit_bytes else None

    def release(self) -> None:
        """Let go of the elements, which nobody reads again: to send an answer may take an hour."""
        self.header, self.body, self.raw = None, etree.Element("released"), b""

    @property
    def fault(self) -> PeerFault | None:
        """What the peer refused with; None: it did not."""
        return decode_fault(self.body) if is_fault(self.body) else None

    def to_codec(self) -> SoapIn:
        """The same as a transaction's codec sees it."""
        return SoapIn(
            action=self.addressing.action,
            body=self.body,
            header=self.header,
            message_id=self.addressing.message_id,
            relates_to=self.addressing.relates_to,
            attachments=self.attachments,
            parts=self.parts,
        )


def packaging_of(content_type: str) -> Packaging:
    """How a message of this Content-Type is packed.

    Raises:
        Unsupported: Not SOAP 1.2: SOAP 1.1, SOAP with Attachments, or something else altogether.
        MalformedMessage: Not a media type.
    """
    media_type = parse_media_type(content_type)
    if media_type.name == SOAP_XML:
        return Packaging.SIMPLE
    if media_type.name == RELATED:
        root = media_type.parameters.get("type", XOP_XML).lower()
        if root != XOP_XML:
            raise Unsupported(f"multipart/related of {root[:80]}: MTOM ({XOP_XML}) is asked for")
        return Packaging.MTOM
    if media_type.name == "text/xml":
        raise Unsupported("text/xml is SOAP 1.1; SOAP 1.2 is spoken here", code=VERSION_MISMATCH)
    raise Unsupported(f"{media_type.name[:80]} is not SOAP: {SOAP_XML} or {RELATED} is asked for")


async def read_message(
    chunks: AsyncIterator[bytes], content_type: str, *, limits: SoapLimits, new_sink: NewSink, as_pour: bool = False
) -> SoapMessage:
    """Read a message.

    Args:
        chunks: The HTTP body.
        content_type: Of the HTTP message.
        limits: What we are ready to take.
        new_sink: A place for each document that has to be put aside: inline ones, all of a request, and those that
            come before a late root.
        as_pour: Whether to leave the parts behind the root unread and hand them out as a pour.

    Raises:
        MalformedMessage: It cannot be read, or a limit is passed.
        Unsupported: It is not SOAP 1.2.
    """
    new_sink = _Quota(limits.spooled_bytes, new_sink).sink
    if packaging_of(content_type) is Packaging.SIMPLE:
        charset = parse_media_type(content_type).parameters.get("charset", "")
        reader = EnvelopeReader(limits.root_bytes, new_sink, charset)
        received_bytes = 0
        async for chunk in chunks:
            received_bytes += len(chunk)
            if limits.message_bytes is not None and received_bytes > limits.message_bytes:
                raise MalformedMessage(f"the message has more than {limits.message_bytes} bytes")
            reader.feed(chunk)
        return _message(Packaging.SIMPLE, reader, (), None)
    start = bare_content_id(parse_media_type(content_type).parameters.get("start", ""))
    pour = parts_of(chunks, content_type, limits.multipart)
    spooled: list[tuple[Part, Content]] = []
    read: EnvelopeReader | None = None
    findings: tuple[Finding, ...] = ()
    async for part in pour:
        if read is None and (
            not start
            or part.key == start
            # Where the root is awaited, one that looks like it is taken for it, whatever `start` says: several peers
            # write a `start` that names nothing. Where all is read anyway, `start` has the last word.
            or (as_pour and _is_root(part))
        ):
            if start and part.key != start:
                findings = (_start_names_nothing(),)
            read = await _read_root(part, limits, new_sink)
            if as_pour:
                break
            continue
        sink = new_sink()
        async for chunk in part.chunks:
            sink.write(chunk)
        spooled.append((part, sink.finish(part.media_type)))
    if read is None:
        if not spooled:
            raise MalformedMessage("a multipart body without a root part")
        root = next((each for each in spooled if _is_root(each[0])), spooled[0])
        spooled.remove(root)
        findings = (_start_names_nothing(),)
        read = await _read_root(replace(root[0], chunks=root[1].open()), limits, new_sink)
    message = _message(
        Packaging.MTOM, read, tuple((part.key, content) for part, content in spooled), pour if as_pour else None
    )
    message.findings = pour.findings + findings + message.findings
    return message


class _Quota:
    """Bounds what all sinks of a message take together."""

    def __init__(self, limit_bytes: int, new_sink: NewSink) -> None:
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes
        self._new_sink = new_sink

    def sink(self) -> Sink:
        return _BoundedSink(self, self._new_sink())

    def take(self, size_bytes: int) -> None:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise MalformedMessage(f"the documents of the message have more than {self._limit_bytes} bytes")


@dataclass(frozen=True, slots=True)
class _BoundedSink:
    quota: _Quota
    sink: Sink

    def write(self, chunk: bytes) -> None:
        self.quota.take(len(chunk))
        self.sink.write(chunk)

    def finish(self, media_type: str) -> Content:
        return self.sink.finish(media_type)


def _start_names_nothing() -> Finding:
    return Finding(rule=START_NAMES_NOTHING, text="`start` names no part", severity=Severity.WARNING)


def _is_root(part: Part) -> bool:
    return part.media_type.lower().startswith(XOP_XML)


async def _read_root(part: Part, limits: SoapLimits, new_sink: NewSink) -> EnvelopeReader:
    media_type = parse_media_type(part.media_type)
    if media_type.name not in (XOP_XML, SOAP_XML):
        raise MalformedMessage(f"the root part is {media_type.name[:80]}: {XOP_XML} is asked for")
    reader = EnvelopeReader(limits.root_bytes, new_sink, media_type.parameters.get("charset", ""))
    async for chunk in part.chunks:
        reader.feed(chunk)
    return reader


def _message(
    packaging: Packaging,
    reader: EnvelopeReader,
    spooled: tuple[tuple[str, Content], ...],
    behind: MultipartPour | None,
) -> SoapMessage:
    root, inline = reader.close()
    header = envelope_header(root)
    includes = includes_of(root)
    if not inline.keys().isdisjoint(key for key, _ in spooled):
        raise MalformedMessage("a part has the Content-ID of an inline document")
    attachments, findings = dict(inline), set[Finding]()
    for content_id, content in spooled:
        key = includes.key(content_id)
        if key is not None and key != content_id:
            findings.add(_percent_encoded())
        attachments[key or content_id] = content
    message = SoapMessage(
        packaging=packaging,
        addressing=addressing_of(header),
        header=header,
        body=envelope_body(root),
        attachments=attachments,
        findings=tuple(findings),
        raw=reader.raw,
    )
    missing = [href for href in includes.hrefs if href not in attachments]
    if behind is not None:
        message.parts = _answered(attachments, behind, includes, frozenset(missing))
        message.attachments = {}
    elif missing:
        raise MalformedMessage("xop:Include names a part that is not there", location=f"cid:{missing[0][:80]}")
    return message


def _percent_encoded() -> Finding:
    return Finding(
        rule=PERCENT_ENCODED, text="a content id is percent-encoded in its reference", severity=Severity.WARNING
    )


async def _answered(
    spooled: dict[str, Content], behind: MultipartPour, includes: Includes, missing: frozenset[str]
) -> AsyncIterator[Part]:
    """What was put aside, then what comes behind the root, keyed as the body writes it."""
    for key, content in spooled.items():
        yield Part(key=key, media_type=content.media_type, size_bytes=content.size_bytes, chunks=content.open())
    seen: set[str] = set()
    async for part in behind:
        key = includes.key(part.key) or part.key
        if key in seen or key in spooled:
            raise MalformedMessage("two parts are one document of the body", location=f"cid:{key[:80]}")
        seen.add(key)
        yield part if key == part.key else part.named(key)
    if not missing <= seen:
        raise MalformedMessage("documents that the answer names are not in it")


# --- what is written --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The HTTP body of a message: its Content-Type, its bytes, and their number where it is known beforehand."""

    content_type: str
    chunks: AsyncGenerator[bytes, None]
    size_bytes: int | None


def pack(packaging: Packaging, envelope: Iterator[bytes], out: SoapOut, *, unique: str, action: str = "") -> Packed:
    """A message as an HTTP body.

    Args:
        packaging: How.
        envelope: The pieces of the envelope around `out.body`.
        out: Whose parts are attached.
        unique: Letters and digits that occur nowhere else: they make the boundary and the root's content id.
        action: For the `action` parameter of a request's Content-Type; receivers ignore it (V.3.2.1.3).
    """
    stated = f'; action="{action}"' if action else ""
    if packaging is Packaging.SIMPLE:
        if out.parts is not None:
            raise InternalFault("a plain SOAP message has no attachments")
        return Packed(content_type=f"{SOAP_XML}; charset=UTF-8{stated}", chunks=_each(envelope), size_bytes=None)
    boundary, root_id = f"MIMEBoundary_{unique}", f"root.{unique}@radgate"
    root_head = part_head(
        boundary,
        (
            ("Content-Type", f'{XOP_XML}; charset=UTF-8; type="{SOAP_XML}"'),
            ("Content-Transfer-Encoding", "binary"),
            ("Content-ID", f"<{root_id}>"),
        ),
        first=True,
    )
    content_type = (
        f'{RELATED}; type="{XOP_XML}"; start="<{root_id}>"; start-info="{SOAP_XML}"; boundary="{boundary}"{stated}'
    )
    size_bytes = None
    if out.sizes is not None:
        pieces = tuple(envelope)
        envelope = iter(pieces)
        # Two bytes: behind a root, the first part's boundary has a line end before it.
        size_bytes = (
            len(root_head)
            + sum(map(len, pieces))
            + 2
            + multipart_length(boundary, ((_head(key, media_type), size) for key, media_type, size in out.sizes))
        )
    return Packed(
        content_type=content_type,
        chunks=_multipart(root_head, envelope, out, boundary),
        size_bytes=size_bytes,
    )


async def _each(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def _multipart(
    root_head: bytes, envelope: Iterator[bytes], out: SoapOut, boundary: str
) -> AsyncGenerator[bytes, None]:
    yield root_head
    for piece in envelope:
        yield piece
    parts = out.parts if out.parts is not None else _nothing()
    if out.sizes is not None:
        parts = _as_said(parts, out.sizes)
    async for chunk in poured(parts, boundary, lambda part: _head(part.key, part.media_type), first=False):
        yield chunk


def _head(key: str, media_type: str) -> Headers:
    # A media type comes from whoever registered the document; one that would break the head is not worth the exchange.
    if not media_type.isprintable() or not media_type.isascii() or not media_type:
        media_type = OCTETS
    return (("Content-Type", media_type), ("Content-Transfer-Encoding", "binary"), ("Content-ID", f"<{key}>"))


async def _nothing() -> AsyncIterator[Part]:
    return
    yield


async def _as_said(parts: Pour, sizes: tuple[tuple[str, str, int], ...]) -> AsyncIterator[Part]:
    """Hold a pour to its plan: Content-Length has been said already.

    The order is the pour's own: an archive that answers a whole study at once has one of its own, parts are found by their
    Content-ID, and the sum stays the same.
    """
    planned = {(key, media_type): size_bytes for key, media_type, size_bytes in sizes}
    async for part in parts:
        size_bytes = planned.pop((part.key, part.media_type), None)
        if size_bytes is None:
            raise InternalFault("a pour does not follow its plan", location=part.key)
        yield Part(key=part.key, media_type=part.media_type, size_bytes=size_bytes, chunks=part.chunks)
    if planned:
        raise InternalFault("a pour ends before its plan")
