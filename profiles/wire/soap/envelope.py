"""The envelope: read as it comes, with inline documents poured aside; addressing and headers; and written.

Two ways of reading that give the same: up to `root_bytes` the parser builds its tree by itself, which is the fast and usual
way. An envelope that is larger can only be so by documents written inline; it is read again from its first byte event by
event, so that their base64 goes to a sink chunk by chunk and never stands in a tree.

What a newcomer gets wrong: the headers that count are those addressed to us (`role`), and a header that must be understood
and is not is a refusal, however little it would matter.

Source: SOAP 1.2 part 1, 2.4 and 5; WS-Addressing 1.0 core 3 and SOAP binding; ITI TF-2 Appendix V.3.2.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote

from lxml import etree

from profiles.errors import MalformedMessage, RuleViolation, Unsupported
from profiles.findings import Finding, Severity
from profiles.model.content import OCTETS, Content
from profiles.wire import xml
from profiles.wire.multipart import Base64Decoder
from profiles.wire.soap.fault import (
    HEADER_REQUIRED,
    INVALID_CARDINALITY,
    NOT_UNDERSTOOD,
    ONLY_ANONYMOUS,
    VERSION_MISMATCH,
)
from profiles.wire.soap.names import (
    ANONYMOUS,
    BODY,
    DOCUMENT,
    ENVELOPE,
    HEADER,
    INCLUDE,
    MUST_UNDERSTAND,
    OUR_ROLES,
    ROLE,
    S11,
    WSA,
    XOP,
    S,
)

MAX_DEPTH = 256
MAX_TAGS = 500_000  # security: elements of one document
MAX_ATTRIBUTES = 256  # of one element
MAX_PROLOG_BYTES = 4 * 1024
RAW_BYTES = 64 * 1024  # of the envelope, kept for operators
BASE64_STEP = 64 * 1024
PARSER_LAG_BYTES = 4 * 1024  # text that a parser may hold back before it tells us of it; libxml2 holds back 300

ACTION_WHITE_SPACE = "action-white-space"
UNDERSTOOD_HEADERS = "understood-headers"
ENCODINGS: Final = frozenset({"utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii", "iso-8859-1"})


class Sink(Protocol):
    """A place for a document's bytes on their way in: it counts, hashes, bounds."""

    def write(self, chunk: bytes) -> None:
        """Take some."""
        ...

    def finish(self, media_type: str) -> Content:
        """The whole."""
        ...


NewSink = Callable[[], Sink]


# --- bytes to tree ----------------------------------------------------------------------------------------------------


class EnvelopeReader:
    """Bytes in, one tree out; each inline document in it replaced by an `xop:Include` that names a `Content`.

    Args:
        root_bytes: How large the envelope may be, inline documents not counted.
        new_sink: Gives a place for each inline document.
        charset: What the transport says of the encoding; it wins over the XML declaration (RFC 7303 3.2).

    Raises:
        MalformedMessage: From `feed` and `close`: not XML, a DOCTYPE, a limit passed, broken base64.
    """

    def __init__(self, root_bytes: int, new_sink: NewSink, charset: str = "") -> None:
        self._root_bytes = root_bytes
        self._new_sink = new_sink
        self._prolog = _Prolog(charset)
        self._encoding = charset or None
        self._parser: Any = None  # of the one or the other kind
        self._target: _Target | None = None  # set once the envelope has outgrown `root_bytes`
        self._kept = bytearray()
        self._fed_bytes = 0
        self._tags = 0
        self._equals = 0
        self._returns = 0  # CRs inside documents

    @property
    def raw(self) -> bytes:
        """How it began, for operators."""
        return bytes(self._kept[:RAW_BYTES])

    def feed(self, chunk: bytes) -> None:
        """Take some."""
        if not self._prolog.passed:
            chunk = self._prolog.receive(chunk)
            if not chunk:
                return
            if chunk.startswith(_MARKS):
                self._encoding = None  # a byte order mark wins over both (RFC 7303 3)
        self._fed_bytes += len(chunk)
        self._tags += chunk.count(b"<") - chunk.count(b"</")
        self._equals += chunk.count(b"=")
        if self._tags > MAX_TAGS or self._equals > 2 * MAX_TAGS:  # before a parser makes a tree of it
            raise MalformedMessage(f"the envelope has more than {MAX_TAGS} elements")
        if self._target is None and self._fed_bytes > self._root_bytes:
            self._parser, self._target = _streaming(self._new_sink, self._encoding)
            for at in range(0, len(self._kept), BASE64_STEP):
                self._pass(bytes(self._kept[at : at + BASE64_STEP]))
            del self._kept[RAW_BYTES:]
        if self._parser is None:
            self._parser = etree.XMLParser(**_SAFE, encoding=self._encoding)
        inside = self._target.document if self._target is not None else 0
        self._pass(chunk)
        if self._target is None:
            self._kept += chunk
            return
        if inside and inside == self._target.document:
            self._returns += chunk.count(b"\r")  # all of the chunk is base64, and a parser makes LF of CRLF
        self._check_size(PARSER_LAG_BYTES)

    def _check_size(self, lag_bytes: int) -> None:
        if self._target is not None:
            beside = self._fed_bytes - self._target.inline_characters - self._returns
            if beside > self._root_bytes + lag_bytes:
                raise MalformedMessage(f"the envelope has more than {self._root_bytes} bytes beside its documents")

    def _pass(self, chunk: bytes) -> None:
        """Let the parser have it; what it says of a chunk may also come with the next one or at the end."""
        try:
            self._parser.feed(chunk)
        except etree.XMLSyntaxError as error:
            raise MalformedMessage("the envelope is not well-formed XML") from error
        if self._target is not None and self._target.error is not None:
            raise self._target.error

    def close(self) -> tuple[etree._Element, dict[str, Content]]:
        """The envelope, and what was inline in it by content id, in document order."""
        if self._parser is None:
            raise MalformedMessage("the envelope is empty")
        try:
            root: etree._Element = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise MalformedMessage("the envelope is not well-formed XML") from error
        if self._target is not None and self._target.error is not None:
            raise self._target.error
        self._check_size(0)
        if root.getroottree().docinfo.internalDTD is not None:
            raise MalformedMessage("the envelope has a DOCTYPE")
        if _ONE_TOO_MANY(root):
            raise MalformedMessage(f"an element has more than {MAX_ATTRIBUTES} attributes")
        return root, (self._target.inline if self._target is not None else _poured_aside(root, self._new_sink))


_ONE_TOO_MANY = etree.XPath(f"//@*[{MAX_ATTRIBUTES + 1}]")  # six times as fast as counting those of each element
_SAFE: Final[Mapping[str, Any]] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,  # so that a comment inside a value cannot cut it short for us and not for others
    "remove_pis": True,
    "recover": False,
}


class _Prolog:
    """Looks at what stands before the root element, and lets nothing pass before it is known to be harmless."""

    def __init__(self, charset: str) -> None:
        if charset and charset.lower() not in ENCODINGS:
            raise MalformedMessage("the envelope is in an encoding that is not read here")
        self._held = b""
        self.passed = False

    def receive(self, chunk: bytes) -> bytes:
        """What may go on to the parser: nothing, or everything so far."""
        self._held += chunk
        if len(self._held) < 4:  # a byte order mark may not be whole yet
            return b""
        # UTF-16 is looked at without its zero bytes: what matters here is ASCII in any allowed encoding.
        text = self._held[: 4 * MAX_PROLOG_BYTES].removeprefix(codecs.BOM_UTF8)
        if text[:2] in _MARKS or b"\0" in text[:4]:
            text = text[2 if text[:1] >= b"\xfe" else 0 :].replace(b"\0", b"")
        match = _PROLOG.match(text)
        end = match.end() if match else 0
        rest = text[end:]
        if len(rest) < 2 or (rest[:2] in (b"<?", b"<!") and _UNFINISHED.match(rest)):
            end = len(text)
        if end > MAX_PROLOG_BYTES:
            raise MalformedMessage("too much stands before the envelope")
        if end == len(text):
            return b""
        if rest[:1] != b"<":
            raise MalformedMessage("the envelope is not XML")
        if rest[:2] in (b"<!", b"<?"):
            raise MalformedMessage("the envelope has a DOCTYPE")
        declared = _ENCODING.search(text[: text.find(b"?>") + 2]) if text.startswith(b"<?xml") else None
        if declared and declared[1].decode("latin-1").lower() not in ENCODINGS:
            raise MalformedMessage("the envelope is in an encoding that is not read here")
        self.passed = True
        return self._held


_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PROLOG = re.compile(rb"(?:[ \t\r\n]+|<\?(?:[^?]|\?(?!>))*\?>|<!--(?:[^-]|-(?!-))*-->)*")
_UNFINISHED = re.compile(rb"<(?:!-?\Z|!--(?:[^-]|-(?!-))*-{0,2}\Z|\?(?:[^?]|\?(?!>))*\Z)")
_ENCODING = re.compile(rb"""\sencoding\s*=\s*["']([^"']*)["']""")


def _poured_aside(root: etree._Element, new_sink: NewSink) -> dict[str, Content]:
    """Replace the base64 of every inline document by an Include."""
    inline: dict[str, Content] = {}
    for document in root.iter(DOCUMENT):
        if len(document):
            continue
        sink, decoder, text = new_sink(), Base64Decoder(), document.text or ""
        for at in range(0, len(text), BASE64_STEP):
            _decode(text[at : at + BASE64_STEP], decoder, sink)
        decoder.close()
        document.text = None
        etree.SubElement(document, INCLUDE, {"href": _keep(sink, inline)}, {"xop": XOP})
    return inline


def _decode(text: str, decoder: Base64Decoder, sink: Sink) -> None:
    try:
        decoded = decoder.decode(text.encode("ascii"))
    except UnicodeEncodeError:
        raise MalformedMessage("an inline document is not base64") from None
    if decoded:
        sink.write(decoded)


def _keep(sink: Sink, inline: dict[str, Content]) -> str:
    key = f"inline.{len(inline)}@radgate"
    inline[key] = sink.finish(OCTETS)
    return f"cid:{key}"


class _Target:
    """Events to tree, inline documents to sinks.

    `error` is what went wrong first. It is not raised from inside the parser, which would bury it under errors of its own.
    """

    def __init__(self, new_sink: NewSink) -> None:
        self._new_sink = new_sink
        self._builder: Any = etree.TreeBuilder()  # its stubs forget the namespaces of `start`
        self._depth = 0
        self._document_depth = 0  # 0: not inside a document
        self._decoder = Base64Decoder()
        self._sink: Sink | None = None  # of the document that we are inside of, if it is inline
        self._attached = False  # it has a child
        self._documents = 0
        self.inline: dict[str, Content] = {}
        self.inline_characters = 0
        self.error: Exception | None = None

    @property
    def document(self) -> int:
        """The number of the document that we are inside of; 0: none."""
        return self._documents if self._document_depth else 0

    def start(self, tag: str, attributes: Mapping[str, str], nsmap: Mapping[str, str]) -> None:
        self._guard(self._start, tag, attributes, nsmap)

    def end(self, tag: str) -> None:
        self._guard(self._end, tag)

    def data(self, text: str) -> None:
        self._guard(self._data, text)

    def close(self) -> etree._Element | None:
        root: etree._Element | None = None
        if self.error is None:
            root = self._builder.close()
        return root

    def _guard(self, event: Callable[..., None], *what: object) -> None:
        if self.error is None:
            try:
                event(*what)
            except Exception as error:
                self.error = error

    def _start(self, tag: str, attributes: Mapping[str, str], nsmap: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MalformedMessage(f"the envelope is nested deeper than {MAX_DEPTH}")
        if len(attributes) > MAX_ATTRIBUTES:
            raise MalformedMessage(f"an element has more than {MAX_ATTRIBUTES} attributes")
        if self._document_depth:
            if self._sink is not None:
                raise MalformedMessage("a document is both inline and attached")
            self._attached = True
        elif tag == DOCUMENT:
            self._document_depth, self._attached = self._depth, False
            self._documents += 1
        # The default namespace comes as the prefix "" and is wanted as None.
        try:
            self._builder.start(tag, dict(attributes), {prefix or None: uri for prefix, uri in nsmap.items()})
        except ValueError as error:  # a namespace that is no URI; the parser by itself says so too
            raise MalformedMessage("the envelope is not well-formed XML") from error

    def _end(self, tag: str) -> None:
        if self._document_depth == self._depth:
            if not self._attached:
                if self._sink is None:  # no bytes are a document too
                    self._sink = self._new_sink()
                self._decoder.close()
                self._builder.start(INCLUDE, {"href": _keep(self._sink, self.inline)}, {"xop": XOP})
                self._builder.end(INCLUDE)
            self._document_depth, self._sink, self._decoder = 0, None, Base64Decoder()
        self._depth -= 1
        self._builder.end(tag)

    def _data(self, text: str) -> None:
        if self._document_depth != self._depth:
            self._builder.data(text)
            return
        self.inline_characters += len(text)
        if self._sink is None and not text.strip():
            return
        if self._attached:
            raise MalformedMessage("a document is both inline and attached")
        if self._sink is None:
            self._sink = self._new_sink()
        _decode(text, self._decoder, self._sink)


def _streaming(new_sink: NewSink, encoding: str | None) -> tuple[Any, _Target]:
    target: Any = _Target(new_sink)  # the stubs know no `start` with namespaces
    return etree.XMLParser(**_SAFE, encoding=encoding, target=target), target


# --- what the headers say ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """WS-Addressing of one message; "" for what it does not say. `action` is stripped."""

    action: str = ""
    message_id: str = ""
    relates_to: str = ""
    to: str = ""
    reply_to: str = ""
    reply_parameters: tuple[bytes, ...] = ()  # header blocks that an answer that goes elsewhere brings along

    @property
    def elsewhere(self) -> bool:
        """Whether the answer is to go to another address than back on the connection that asks."""
        return self.reply_to not in ("", ANONYMOUS)


_ADDRESSING = tuple(f"{{{WSA}}}{name}" for name in ("Action", "MessageID", "RelatesTo", "To", "ReplyTo"))
_UNDERSTOOD = frozenset((*_ADDRESSING, f"{{{WSA}}}From", f"{{{WSA}}}FaultTo"))


def envelope_header(root: etree._Element) -> etree._Element | None:
    """The header of an envelope, which may be absent.

    Raises:
        Unsupported: It is SOAP 1.1.
        MalformedMessage: It is no envelope.
    """
    if root.tag == f"{{{S11}}}Envelope":
        raise Unsupported("SOAP 1.2 is spoken here, the envelope is SOAP 1.1", code=VERSION_MISMATCH)
    if root.tag != ENVELOPE:
        raise MalformedMessage("the document is not a SOAP 1.2 envelope", code=VERSION_MISMATCH)
    children = [child.tag for child in root]
    if children not in ([BODY], [HEADER, BODY]):
        raise MalformedMessage("an envelope has at most one header, then one body", location="/Envelope")
    return root[0] if children[0] == HEADER else None


def envelope_body(root: etree._Element) -> etree._Element:
    """The one child of the body (document/literal).

    Raises:
        MalformedMessage: There is none, or more than one.
    """
    body = root[-1]
    if len(body) != 1:
        raise MalformedMessage("a SOAP body has exactly one child", location="/Envelope/Body")
    return body[0]


def addressing_of(header: etree._Element | None) -> Addressing:
    """What the addressing headers say, whatever is missing; the first counts where one is repeated."""
    if header is None:
        return Addressing()
    action, message_id, relates_to, to = (
        (header.findtext(name) or "").strip() for name in _ADDRESSING if not name.endswith("ReplyTo")
    )
    reply_to = (header.findtext(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address") or "").strip()
    parameters = header.iterfind(f"{{{WSA}}}ReplyTo/{{{WSA}}}ReferenceParameters/*")
    return Addressing(
        action=action, message_id=message_id, relates_to=relates_to, to=to, reply_to=reply_to,
        reply_parameters=tuple(map(_reference_parameter, parameters)),
    )  # fmt: skip


def _reference_parameter(element: etree._Element) -> bytes:
    """A parameter of an address as the header block that messages to it have (WS-Addressing SOAP Binding 3.4)."""
    block = deepcopy(element)
    block.set(f"{{{WSA}}}IsReferenceParameter", "true")
    return etree.tostring(block, with_tail=False)


def check_header(
    header: etree._Element | None,
    addressing: Addressing,
    *,
    understood: frozenset[str] = frozenset(),
    elsewhere: bool = False,
) -> tuple[Finding, ...]:
    """Hold a request's header to SOAP and WS-Addressing.

    Args:
        header: As it came.
        addressing: What was read from it.
        understood: Names of further headers (`{namespace}name`) that were really processed.
        elsewhere: Whether the answer may go to another address, by what the caller knows of it.

    Returns:
        What is odd and can be read all the same.

    Raises:
        RuleViolation: A header that must be understood is not, or an addressing header is repeated.
        MalformedMessage: There is no action.
        Unsupported: The reply is to go elsewhere.
    """
    findings: list[Finding] = []
    seen: set[str] = set()
    for block in header if header is not None else ():
        must = (block.get(MUST_UNDERSTAND) or "false").strip()
        if must not in ("true", "1", "false", "0"):
            raise MalformedMessage("mustUnderstand is a boolean", location=str(block.tag))
        if (block.get(ROLE) or "").strip() not in OUR_ROLES:
            continue
        if block.tag in _ADDRESSING:
            if block.tag in seen and not block.tag.endswith("RelatesTo"):
                raise RuleViolation(
                    f"wsa:{etree.QName(block).localname} stands twice",
                    code=INVALID_CARDINALITY,
                    location=str(block.tag),
                )
            seen.add(block.tag)
        if must in ("true", "1") and block.tag not in understood:
            if block.tag not in _UNDERSTOOD:
                raise RuleViolation(
                    "a header must be understood and is not", code=NOT_UNDERSTOOD, location=str(block.tag)
                )
            if block.tag != _ADDRESSING[0]:
                findings.append(
                    _odd(UNDERSTOOD_HEADERS, "a header other than wsa:Action must be understood", str(block.tag))
                )
        elif block.tag == _ADDRESSING[0] and must in ("false", "0"):
            findings.append(_odd("IHE-WSA101", "wsa:Action is not marked mustUnderstand", str(block.tag)))
    if not addressing.action:
        raise MalformedMessage("there is no wsa:Action", code=HEADER_REQUIRED, location="/Envelope/Header")
    if header is not None and header.findtext(_ADDRESSING[0]) != addressing.action:
        findings.append(_odd(ACTION_WHITE_SPACE, "white space around wsa:Action", _ADDRESSING[0]))
    if not addressing.message_id:
        findings.append(_odd("wsa-message-id", "a request has no wsa:MessageID", "/Envelope/Header"))
    if not addressing.reply_to:
        findings.append(_odd("IHE-WSA102", "a request has no wsa:ReplyTo", "/Envelope/Header"))
    elif addressing.elsewhere and not elsewhere:
        raise Unsupported("answers go back on the connection that asks", code=ONLY_ANONYMOUS, location="wsa:ReplyTo")
    elif addressing.elsewhere and not addressing.message_id:
        raise MalformedMessage(
            "an answer that goes elsewhere needs the request's wsa:MessageID", code=HEADER_REQUIRED,
            location="/Envelope/Header",
        )  # fmt: skip
    return tuple(findings)


def _odd(rule: str, text: str, location: str) -> Finding:
    return Finding(rule=rule, text=text, severity=Severity.WARNING, location=location)


# --- what is attached -------------------------------------------------------------------------------------------------


class Includes:
    """The content ids that a body names (`hrefs`), as it writes them, in document order."""

    __slots__ = ("_by_content_id", "hrefs")

    def __init__(self, hrefs: Iterable[str]) -> None:
        """Each names another part."""
        self.hrefs = tuple(hrefs)
        self._by_content_id = {unquote(href): href for href in reversed(self.hrefs)}
        self._by_content_id.update((href, href) for href in self.hrefs)

    def key(self, content_id: str) -> str | None:
        """What the body calls the part of this Content-ID; None: it does not name it.

        A `cid` is compared as it stands and percent-decoded: both are written (RFC 2392 2 asks for the latter).
        """
        return self._by_content_id.get(content_id)


def includes_of(root: etree._Element) -> Includes:
    """Every `xop:Include` of an envelope.

    Raises:
        MalformedMessage: One that is not the only child of its element, stands in the header, names anything but a
            content id, or names one that another names too.

    Source: XOP 1.0, 3.2 and 4.
    """
    hrefs: list[str] = []
    for include in root.iter(INCLUDE):
        parent = include.getparent()
        href = include.get("href", "").strip()
        if parent is None or len(parent) != 1 or (parent.text or "").strip() or (include.tail or "").strip():
            raise MalformedMessage("xop:Include is the only child of its element")
        if href[:4].lower() != "cid:" or len(href) == 4:
            raise MalformedMessage("xop:Include names a content id", location=href[:80])
        if next(include.iterancestors(HEADER), None) is not None:
            raise MalformedMessage("xop:Include stands in the header")
        if href != include.get("href") or href[:4] != "cid:":
            include.set("href", f"cid:{href[4:]}")
        hrefs.append(href[4:])
    if len(set(hrefs)) != len(hrefs):
        raise MalformedMessage("two xop:Include name the same part")
    return Includes(hrefs)


# --- what is written --------------------------------------------------------------------------------------------------


def encode_envelope(
    body: Iterable[bytes],
    *,
    action: str,
    message_id: str,
    relates_to: str = "",
    to: str = "",
    reply_to: bool = False,
    reply_address: str = ANONYMOUS,
    blocks: bytes = b"",
) -> Iterator[bytes]:
    """An envelope in pieces.

    Args:
        body: The first child of the SOAP body, in pieces, its namespaces declared.
        action: wsa:Action; but for security the only header that is marked mustUnderstand (V.3.2, note 1).
        message_id: A URI.
        relates_to: MessageID of the request; "" in requests, but for those that answer an earlier one.
        to: Where a request goes.
        reply_to: Whether to say where the answer is to go; requests do.
        reply_address: Where that is: on the connection that asks, or an address of our own.
        blocks: Further header blocks, as they are to stand there.
    """
    header = (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{S}" xmlns:wsa="{WSA}"><s:Header>'
        f'<wsa:Action s:mustUnderstand="1">{xml.text(action)}</wsa:Action>'
        f"<wsa:MessageID>{xml.text(message_id)}</wsa:MessageID>"
    )
    if relates_to:
        header += f"<wsa:RelatesTo>{xml.text(relates_to)}</wsa:RelatesTo>"
    if reply_to:
        header += f"<wsa:ReplyTo><wsa:Address>{xml.text(reply_address)}</wsa:Address></wsa:ReplyTo>"
    if to:
        header += f"<wsa:To>{xml.text(to)}</wsa:To>"
    yield b"%b%b</s:Header><s:Body>" % (header.encode(), blocks)
    yield from body
    yield b"</s:Body></s:Envelope>"
