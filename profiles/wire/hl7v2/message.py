r"""HL7 v2 messages: read lazily, written exactly.

Reading splits a message into segments and each segment into fields when somebody asks; escapes are undone after splitting,
once, in the one value that was asked for. `write` does the opposite with plain tuples. Everything takes time linear in the
length of the message.

What a newcomer gets wrong: the delimiters are what MSH-1 and MSH-2 say and not `|^~\&`; MSH-1 is the separator itself, so
that MSH-9 is not the ninth piece; and a field of two quotes says "delete", while an absent one says nothing.

Source: HL7 v2.5 2.5 (message construction), 2.7 (escape sequences), 2.14.9 (MSH); ITI TF-2x Appendix C.2.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from profiles.errors import MalformedMessage
from profiles.findings import Finding, Severity
from profiles.wire.hl7v2.charset import ASCII, UTF_8, UTF_8_NAME, codec_of, read_text

NULL = '""'
"""Whole field or component: delete what you have."""

MAX_SEGMENTS = 20_000
MAX_FIELDS = 2_000  # of one segment; the longest that the standard knows has 52

_UTF_8_BOM = b"\xef\xbb\xbf"
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_USUAL = frozenset(
    (
        "MSH",
        "EVN",
        "PID",
        "PD1",
        "NK1",
        "PV1",
        "PV2",
        "MRG",
        "OBX",
        "AL1",
        "DG1",
        "IN1",
        "ORC",
        "OBR",
        "NTE",
        "MSA",
        "ERR",
    )
)  # names that need no look at their characters
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
_COUNTED = re.compile(
    r"(\.(?:sp|sk|in|ti)) ?[+-]?\d*"
)  # the number is not obeyed: it would let one value make a million
_DELIMITER = re.compile(r"[!-/:-@\[-`{-~]")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The five characters that structure a message; `truncation` only since 2.7.

    Source: HL7 v2.5 2.5.4, v2.7 2.5.5.2.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return f"{self.component}{self.repetition}{self.escape}{self.subcomponent}{self.truncation}"


STANDARD = Delimiters()


# --- escapes ----------------------------------------------------------------------------------------------------------

_DROPPED = frozenset({"H", "N", ".in", ".ti", ".fi", ".nf"})  # highlighting and layout: not of the text


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    r"""Text as a value: delimiters become `\F\` and the like, control characters `\X0D\`.

    Control characters must not reach the wire as they are: a carriage return in a name would begin a segment.

    Source: HL7 v2.5 2.7.1 to 2.7.4.
    """
    if text.isalnum():  # most values are, and need no look at each character
        return text
    return text.translate(_table(delimiters))


_TABLES: dict[Delimiters, Mapping[int, str]] = {}


def _table(delimiters: Delimiters) -> Mapping[int, str]:
    table = _TABLES.get(delimiters)
    if table is None:
        mark = delimiters.escape
        table = {code: f"{mark}X{code:02X}{mark}" for code in (*range(0x20), 0x7F)} | {
            ord(delimiters.field): f"{mark}F{mark}",
            ord(delimiters.component): f"{mark}S{mark}",
            ord(delimiters.subcomponent): f"{mark}T{mark}",
            ord(delimiters.repetition): f"{mark}R{mark}",
            ord(mark): f"{mark}E{mark}",
        }
        if delimiters.truncation:
            table[ord(delimiters.truncation)] = f"{mark}P{mark}"
        if len(_TABLES) < 64:  # a peer chooses its delimiters; it does not choose how much we remember
            _TABLES[delimiters] = table
    return table


def unescape(value: str, delimiters: Delimiters = STANDARD, codec: str = UTF_8) -> str:
    r"""A value as text: escapes are undone once, leftmost first.

    `\X..\` are bytes in the character set of the message; neighbours are put together before they are decoded. A sequence
    that is not known stays as it is, and so does an escape character without its partner.

    Source: HL7 v2.5 2.7.
    """
    mark = delimiters.escape
    if mark not in value:
        return value
    pieces = value.split(mark)
    unpaired = len(pieces) % 2 == 0  # text, sequence, text, sequence, ..., text: an even number has one without an end
    simple = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": mark,
        ".br": "\n",
        ".sp": "\n",
        ".ce": "\n",
    }
    if delimiters.truncation:
        simple["P"] = delimiters.truncation
    text: list[str] = [pieces[0]]
    pending = bytearray()
    last = len(pieces) - (1 if unpaired else 0)
    for position in range(1, last, 2):
        sequence, after = pieces[position], pieces[position + 1]
        hexadecimal = _HEX.fullmatch(sequence)
        if hexadecimal is not None:
            pending += bytes.fromhex(hexadecimal[1])
            if after:
                text += (pending.decode(codec, "replace"), after)
                pending.clear()
            continue
        if pending:
            text.append(pending.decode(codec, "replace"))
            pending.clear()
        counted = _COUNTED.fullmatch(sequence)
        name = counted[1] if counted is not None else sequence
        if name in simple:
            text.append(simple[name])
        elif name == ".sk":
            text.append(" ")
        elif name not in _DROPPED and not _is_charset_switch(name):
            text.append(f"{mark}{sequence}{mark}")
        text.append(after)
    if pending:
        text.append(pending.decode(codec, "replace"))
    if unpaired:
        text.append(f"{mark}{pieces[-1]}")
    return "".join(text)


def _is_charset_switch(sequence: str) -> bool:
    r"""`\Cxxyy\` and `\Mxxyyzz\`: the codec follows the bytes by itself."""
    return re.fullmatch(r"C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?", sequence) is not None


# --- reading ----------------------------------------------------------------------------------------------------------


class Value:
    """One repetition of a field, as it stands on the wire. Made for every look at a field, so a plain class."""

    __slots__ = ("codec", "delimiters", "raw")

    def __init__(self, raw: str, delimiters: Delimiters = STANDARD, codec: str = UTF_8) -> None:
        self.raw = raw
        self.delimiters = delimiters
        self.codec = codec

    @property
    def is_null(self) -> bool:
        """It says: delete what you have."""
        return self.raw == NULL

    @property
    def text(self) -> str:
        """The whole of it as text, for types without components; escapes undone."""
        return unescape(self.raw, self.delimiters, self.codec)

    @property
    def has_content(self) -> bool:
        """Something was said, and it is not only delimiters."""
        return bool(self.raw.strip(f" {self.delimiters.component}{self.delimiters.subcomponent}"))

    def component(self, number: int) -> "Value":
        """A component, from 1; empty where there is none."""
        pieces = self.raw.split(self.delimiters.component, number)
        return Value(pieces[number - 1] if number <= len(pieces) else "", self.delimiters, self.codec)

    def part(self, component: int, subcomponent: int = 1) -> str:
        """A subcomponent as text, both from 1; "" where there is none. Surrounding spaces do not count."""
        return part_of(self.raw, component, subcomponent, self.delimiters, self.codec)

    def firsts(self, count: int) -> list[str]:
        """The first subcomponent of each of the first `count` components as text, padded with ""; in one look."""
        pieces = self.raw.split(self.delimiters.component, count)[:count]
        separator, mark = self.delimiters.subcomponent, self.delimiters.escape
        texts = []
        for piece in pieces:
            if separator in piece:
                piece = piece.partition(separator)[0]
            if mark in piece:
                piece = unescape(piece, self.delimiters, self.codec)
            texts.append(piece.strip())
        return texts if len(texts) == count else [*texts, *[""] * (count - len(texts))]

    def subcomponents(self, count: int) -> list[str]:
        """The first `count` subcomponents of a component as text, padded with ""; in one look."""
        pieces = self.raw.split(self.delimiters.subcomponent, count)[:count]
        texts = [unescape(piece, self.delimiters, self.codec).strip() for piece in pieces]
        return texts if len(texts) == count else [*texts, *[""] * (count - len(texts))]

    def parts(self) -> tuple[tuple[str, ...], ...]:
        """All components, each with its subcomponents, as text."""
        return tuple(
            tuple(
                unescape(subcomponent, self.delimiters, self.codec)
                for subcomponent in component.split(self.delimiters.subcomponent)
            )
            for component in self.raw.split(self.delimiters.component)
        )

    def __bool__(self) -> bool:
        """Something was said."""
        return bool(self.raw)

    def __repr__(self) -> str:
        """The length: a value may be a name."""
        return f"Value({len(self.raw)} characters)"


def part_of(raw: str, component: int, subcomponent: int, delimiters: Delimiters, codec: str) -> str:
    """A subcomponent of one repetition as text, both from 1; "" where there is none."""
    if delimiters.component in raw:
        pieces = raw.split(delimiters.component, component)
        if component > len(pieces):
            return ""
        raw = pieces[component - 1]
    elif component > 1:
        return ""
    if delimiters.subcomponent in raw:
        pieces = raw.split(delimiters.subcomponent, subcomponent)
        if subcomponent > len(pieces):
            return ""
        raw = pieces[subcomponent - 1]
    elif subcomponent > 1:
        return ""
    return unescape(raw, delimiters, codec).strip()


class Segment:
    """One segment; fields are split when they are first asked for. `ordinal` counts segments of the same name, from 1."""

    __slots__ = ("_fields", "_raw", "codec", "delimiters", "name", "ordinal")

    def __init__(self, raw: str, ordinal: int, delimiters: Delimiters, codec: str) -> None:
        self.name = raw[:3]
        self.ordinal = ordinal
        self.delimiters = delimiters
        self.codec = codec
        self._raw = raw
        self._fields: list[str] | None = None

    @property
    def raw(self) -> str:
        """As it stands on the wire."""
        return self._raw

    @property
    def fields(self) -> Sequence[str]:
        """Raw fields; index 0 is the name. In MSH index 1 is the separator itself."""
        return self._fields or self._split()

    def _split(self) -> list[str]:
        separator = self.delimiters.field
        fields = self._raw.split(separator, MAX_FIELDS)
        if self.name == "MSH":
            fields.insert(1, separator)
        self._fields = fields
        return fields

    def raw_field(self, number: int) -> str:
        """A field with all its repetitions; "" where there is none."""
        fields = self._fields or self._split()
        return fields[number] if number < len(fields) else ""

    def has(self, number: int) -> bool:
        """Something was said, and it is not only delimiters."""
        raw = self.raw_field(number)
        return bool(
            raw.strip(" " + self.delimiters.component + self.delimiters.subcomponent + self.delimiters.repetition)
        )

    def value(self, number: int) -> Value:
        """The first repetition; empty where there is none."""
        raw = self.raw_field(number)
        if self.delimiters.repetition in raw and not (self.name == "MSH" and number == 2):
            raw = raw.partition(self.delimiters.repetition)[0]
        return Value(raw, self.delimiters, self.codec)

    def values(self, number: int) -> tuple[Value, ...]:
        """All repetitions in order; none where the field is empty."""
        raw = self.raw_field(number)
        if not raw:
            return ()
        return tuple(Value(each, self.delimiters, self.codec) for each in raw.split(self.delimiters.repetition))

    def text(self, number: int) -> str:
        """The whole field as text, for types without components; surrounding spaces do not count."""
        return unescape(self.raw_field(number), self.delimiters, self.codec).strip()

    def part(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """A subcomponent of the first repetition as text."""
        raw = self.raw_field(number)
        if not raw:
            return ""
        if self.delimiters.repetition in raw:
            raw = raw.partition(self.delimiters.repetition)[0]
        return part_of(raw, component, subcomponent, self.delimiters, self.codec)

    def at(self, number: int, *rest: int) -> str:
        """Where that is, as ERR-2 writes it: `PID^1^3^1^4`."""
        return "^".join((self.name, str(self.ordinal), str(number), *map(str, rest)))

    def __repr__(self) -> str:
        """The name: its fields may be a person's."""
        return f"Segment({self.name})"


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was split into segments. The first one is MSH, and there is no other MSH."""

    segments: tuple[Segment, ...]
    delimiters: Delimiters
    codec: str
    findings: tuple[Finding, ...] = ()

    @property
    def msh(self) -> Segment:
        """The header."""
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        """The first segment of this name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, name: str) -> Iterator[Segment]:
        """All segments of this name, in order."""
        return (segment for segment in self.segments if segment.name == name)


def delimiters_of(msh: str) -> Delimiters:
    """The delimiters that a message declares; `msh` begins with `MSH`.

    Raises:
        MalformedMessage: MSH-2 is too short, repeats a character, or uses one that no delimiter may be.

    Source: HL7 v2.5 2.14.9.1, 2.14.9.2; v2.7 2.14.9.2 (fifth character).
    """
    separator = msh[3:4]
    return _delimiters(separator, msh[4:12].partition(separator)[0] if separator else "")


@lru_cache(maxsize=64)
def _delimiters(separator: str, characters: str) -> Delimiters:
    if not 3 <= len(characters) <= 5:
        raise MalformedMessage("MSH-2 has 4 characters, 5 since version 2.7", code="102", location="MSH^1^2")
    if len(characters) == 3:  # some old senders have no subcomponents
        characters += next(spare for spare in "&#$%" if spare not in separator + characters)
    declared = separator + characters
    if len(set(declared)) != len(declared) or not all(map(_DELIMITER.fullmatch, declared)):
        raise MalformedMessage("MSH-1 and MSH-2 name different punctuation characters", code="102", location="MSH^1^2")
    return Delimiters(separator, *characters)


def header_of(data: bytes) -> Segment:
    """MSH alone, for routing; the rest of the message is not looked at.

    Raises:
        MalformedMessage: It does not begin with a readable MSH.
    """
    line = data[:MAX_HEADER_BYTES].removeprefix(_UTF_8_BOM).lstrip(b"\r\n").partition(b"\r")[0].partition(b"\n")[0]
    if len(line) > MAX_HEADER_BYTES - 16:
        raise MalformedMessage("MSH is too long", code="102", location="MSH^1")
    return _header(line)


@lru_cache(maxsize=16)  # listener, codec and acknowledgement each ask for the same one
def _header(line: bytes) -> Segment:
    if not line.startswith(b"MSH"):
        raise MalformedMessage("a message begins with MSH", code="100", location="MSH^1")
    text = line.decode("iso8859-1")
    delimiters = delimiters_of(text)
    if line.isascii():
        return Segment(text, 1, delimiters, UTF_8)
    declared = Segment(text, 1, delimiters, UTF_8).raw_field(18)
    read = read_text(line, declared.replace(delimiters.repetition, "~"))
    return Segment(read.text, 1, delimiters, read.codec)


MAX_HEADER_BYTES = 16 * 1024


def read_message(data: bytes, *, default_codec: str = UTF_8, max_segments: int = MAX_SEGMENTS) -> Message:
    """Split a message, without its MLLP frame, into segments.

    Segments end with a carriage return; line feeds are tolerated. A line that begins no segment belongs to the value
    before it (base64 with raw line breaks is seen in the field), which is a finding.

    Args:
        data: The bytes, as they came.
        default_codec: How to read text that is not ASCII if MSH-18 is silent.
        max_segments: More are refused.

    Raises:
        MalformedMessage: There is no readable MSH, there is more than one, or there are too many segments.

    Source: HL7 v2.5 2.5; ITI TF-2x Appendix C.2.
    """
    header = header_of(data)
    delimiters = header.delimiters
    read = read_text(
        data.removeprefix(_UTF_8_BOM), header.raw_field(18).replace(delimiters.repetition, "~"), default_codec
    )
    findings = list(read.findings)
    text = read.text
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
        findings.append(_warning("hl7.line-feed", "segments end with a line feed", "100"))
    lines = text.split("\r", max_segments + 1)
    if len(lines) > max_segments + 1:
        raise MalformedMessage(f"more than {max_segments} segments", code="207")
    segments: list[Segment] = []
    ordinals: dict[str, int] = {}
    separator = delimiters.field
    joined: dict[int, list[str]] = {}
    for line in lines:
        name = line[:3]
        if line[3:4] in (separator, "") and (name in _USUAL or _SEGMENT_NAME.fullmatch(name) is not None):
            ordinal = ordinals[name] = ordinals.get(name, 0) + 1
            if not segments and read.codec == header.codec and line == header.raw:
                segments.append(header)  # its fields are split already
            else:
                segments.append(Segment(line, ordinal, delimiters, read.codec))
        elif line.strip() and segments:
            joined.setdefault(len(segments) - 1, [segments[-1].raw]).append(line)
    for position, pieces in joined.items():
        broken = segments[position]
        segments[position] = Segment("\n".join(pieces), broken.ordinal, delimiters, read.codec)
        findings.append(
            _warning("hl7.broken-line", "a value has a raw line break in it", "102", f"{broken.name}^{broken.ordinal}")
        )
    if ordinals.get("MSH") != 1 or segments[0].name != "MSH":
        raise MalformedMessage("one message has one MSH, and it is the first segment", code="100", location="MSH^1")
    return Message(tuple(segments), delimiters, read.codec, tuple(findings))


def _warning(rule: str, text: str, code: str, location: str = "") -> Finding:
    return Finding(rule=rule, text=text, severity=Severity.WARNING, code=code, location=location)


# --- writing ----------------------------------------------------------------------------------------------------------

Part = str
Component = str | tuple[Part, ...]
FieldValue = str | tuple[Component, ...] | list["str | tuple[Component, ...]"]
"""A field: text; a tuple of components, each text or a tuple of subcomponents; or a list of such, which are repetitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A segment to write: its name and its fields by number; what is missing between them is empty."""

    name: str
    fields: Mapping[int, FieldValue] = field(default_factory=dict)


def written(name: str, fields: Mapping[int, FieldValue]) -> Written:
    """A segment to write."""
    return Written(name=name, fields=fields)


def write_field(value: FieldValue, delimiters: Delimiters = STANDARD) -> str:
    """A field on the wire: everything escaped, empty ends left out."""
    if isinstance(value, str):
        return escape(value, delimiters)
    if isinstance(value, list):
        return delimiters.repetition.join(write_field(each, delimiters) for each in value).rstrip(delimiters.repetition)
    return delimiters.component.join(_component(each, delimiters) for each in value).rstrip(delimiters.component)


def _component(value: Component, delimiters: Delimiters) -> str:
    if isinstance(value, str):
        return escape(value, delimiters)
    return delimiters.subcomponent.join(escape(each, delimiters) for each in value).rstrip(delimiters.subcomponent)


def write_segment(segment: Written, delimiters: Delimiters = STANDARD) -> str:
    """A segment on the wire, without its carriage return. MSH-1 and MSH-2 are written by themselves."""
    fields = segment.fields
    pieces = [""] * (max(fields, default=0) + 1)
    pieces[0] = segment.name
    for number, value in fields.items():
        pieces[number] = write_field(value, delimiters)
    if segment.name == "MSH":  # MSH-1 is the separator that the join puts there
        pieces[1:3] = [delimiters.encoding_characters]
    return delimiters.field.join(pieces).rstrip(delimiters.field)


def write_message(segments: Sequence[Written], *, charset: str = UTF_8_NAME) -> bytes:
    """A whole message with the standard's delimiters, without its MLLP frame. The first segment is MSH.

    Pure ASCII is sent without MSH-18. Other text is written in `charset` with MSH-18 saying so; what that set cannot say
    makes it UTF-8: a message never fails for its repertoire, and nothing is replaced or cut.

    Source: HL7 v2.5 2.6.1; ITI TF-2x Appendix C.2 (MSH-18).
    """
    header, *others = segments
    text = _terminated(segments)
    if text.isascii():
        return text.encode("ascii")
    codec = codec_of(charset)
    for name, encoding in ((charset, codec), (UTF_8_NAME, UTF_8)):
        if encoding is None or encoding == ASCII:
            continue
        declared = Written(name=header.name, fields={**header.fields, 18: name})
        try:
            return _terminated((declared, *others)).encode(encoding)
        except UnicodeEncodeError:
            continue
    # Half of a surrogate pair, which is no character: JSON can say one.
    declared = Written(name=header.name, fields={**header.fields, 18: UTF_8_NAME})
    return _terminated((declared, *others)).encode(UTF_8, "replace")


def _terminated(segments: Sequence[Written]) -> str:
    return "\r".join(write_segment(segment) for segment in segments) + "\r"
