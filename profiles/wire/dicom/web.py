"""DICOMweb's own words: what a client accepts, resource paths, errors, and attributes in DICOM JSON.

Shared by the transactions of `profiles.wia`. What a newcomer gets wrong: without a transfer-syntax parameter a client asks
for Explicit VR Little Endian, with `*` for whatever is stored; a type parameter is quoted by the book and bare in the
field; the query parameter `accept` counts like the header.

Source: DICOM PS3.18 8.3.3, 8.7 (media types, transfer syntaxes), 8.5 (status), 10.6.3 (query answers).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

import orjson

from profiles.errors import ExchangeError, MalformedMessage, Unsupported
from profiles.model.content import DICOM, OCTETS
from profiles.model.identifiers import Uid
from profiles.model.moment import Moment, Precision
from profiles.model.patient import PersonName
from profiles.wire.dicom.names import to_pn
from profiles.wire.dicom.picture import Picture
from profiles.wire.dicom.status import BAD_REQUEST, NOT_ACCEPTABLE, headers_of, http_status_of
from profiles.wire.dicom.syntaxes import (
    ALIASES,
    EXPLICIT_LE,
    IMPLICIT_LE,
    MEDIA_TYPES,
    RECEIVABLE,
)
from profiles.wire.dicom.xmlmodel import DICOM_XML
from profiles.wire.http import HttpIn, HttpOut

SERVICE = "dicomweb"

DICOM_JSON = "application/dicom+json"
BOUNDARY = "0" * 32
"""A boundary of the length that ours have, to count the bytes of an answer before it is written."""

WEB_SYNTAXES = frozenset(RECEIVABLE) - {IMPLICIT_LE}
"""What `transfer-syntax=*` stands for: as stored, but Implicit VR is not used on the web (PS3.18 8.7.3.5.2)."""

INSTANCE_PATH = "/studies/{study}/series/{series}/instances/{instance}"


# --- what a client accepts --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRange:
    """One entry of Accept: lower-case name, weight, parameters by lower-case name, unquoted."""

    name: str
    weight: float = 1.0
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def of_parts(self) -> str:
        """The media type of the parts, of a multipart/related range; "" where none is named."""
        return self.parameters.get("type", "").lower()


_RANGE = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|[^,"])*)\s*(?:,|$)""")
_PARAMETER = re.compile(r""";\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*)))?""")


def media_ranges(request: HttpIn) -> tuple[MediaRange, ...]:
    """What the client accepts, best first; weights of 0 left out. Nothing said: everything.

    The query parameter goes before the header (PS3.18 8.3.3.1).
    """
    values = [value for name, value in request.query if name.lower() == "accept"]
    header = request.headers.get("accept", "")
    said = [text for value in (*values, header) for text in _split(value)]
    ranges = [each for each in map(_media_range, said) if each is not None and each.weight > 0]
    if not ranges and not said:
        return (MediaRange(name="*/*"),)
    return tuple(sorted(ranges, key=lambda each: -each.weight))


def _split(value: str) -> Iterable[str]:
    position = 0
    while position < len(value):
        match = _RANGE.match(value, position)
        if match is None or match.end() == position:
            return
        if match.group(1).strip():
            yield match.group(1).strip()
        position = match.end()


def _media_range(text: str) -> MediaRange | None:
    name, _, rest = text.partition(";")
    name = name.strip().lower()
    if "/" not in name:
        return None
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(f";{rest}" if rest else ""):
        key, quoted, bare = match.groups()
        parameters.setdefault(key.lower(), (quoted if quoted is not None else bare or "").strip())
    try:
        weight = float(parameters.pop("q", "1") or "1")
    except ValueError:
        weight = 1.0
    return MediaRange(name=name, weight=weight, parameters=parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancesAccept:
    """How instances may be sent: in which transfer syntaxes, and as one bare body instead of parts."""

    transfer_syntaxes: frozenset[str]
    single: bool = False


def accept_instances(request: HttpIn, *, one: bool) -> InstancesAccept:
    """What a retrieve of instances may answer; `one`: the resource is a single instance.

    Raises:
        Unsupported: None of it can be sent (406).

    Source: DICOM PS3.18 10.4.1.1, 8.7.3.
    """
    syntaxes: set[str] = set()
    single: bool | None = None
    for each in media_ranges(request):
        if each.name in ("*/*", "multipart/*") or (
            each.name == "multipart/related" and each.of_parts in (DICOM, "", "*/*", "application/*")
        ):
            bare = False
        elif each.name in (DICOM, "application/*") and one:
            bare = True
        else:
            continue
        syntaxes |= _instance_syntaxes(each)
        single = bare if single is None else single
    if single is None or not syntaxes:
        raise Unsupported(
            f'instances are sent as multipart/related; type="{DICOM}", in a transfer syntax that is used on the web',
            code=NOT_ACCEPTABLE,
            location="Accept",
        )
    return InstancesAccept(transfer_syntaxes=frozenset(syntaxes), single=single)


def _instance_syntaxes(each: MediaRange) -> frozenset[str]:
    asked = each.parameters.get("transfer-syntax", EXPLICIT_LE)
    if asked == "*":
        return WEB_SYNTAXES
    return frozenset({asked} & WEB_SYNTAXES) or frozenset({asked} - {IMPLICIT_LE})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOffer:
    """One way in which frames may be sent."""

    media_type: str
    transfer_syntaxes: frozenset[str] | None  # None: any
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameForm:
    """The way in which frames are sent."""

    media_type: str
    transfer_syntax_uid: str
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesAccept:
    """The ways in which frames may be sent, best first."""

    offers: tuple[FrameOffer, ...]

    def choose(self, stored: str) -> FrameForm | None:
        """How to send frames that are stored like this: as they are if that will do, else decoded; None: not at all.

        Native syntaxes are one and the same to a client of frames, as their bytes are.
        """
        as_stored = EXPLICIT_LE if stored in _NATIVE_FRAMES else stored
        for each in self.offers:
            if each.transfer_syntaxes is None or as_stored in each.transfer_syntaxes:
                return FrameForm(media_type=each.media_type, transfer_syntax_uid=as_stored, single=each.single)
        for each in self.offers:
            if each.transfer_syntaxes is not None and EXPLICIT_LE in each.transfer_syntaxes:
                return FrameForm(media_type=each.media_type, transfer_syntax_uid=EXPLICIT_LE, single=each.single)
        return None


_NATIVE_FRAMES = frozenset({IMPLICIT_LE, EXPLICIT_LE, "1.2.840.10008.1.2.1.99"})


def accept_frames(request: HttpIn, *, one: bool) -> FramesAccept:
    """What a retrieve of frames may answer; `one`: a single frame is asked for, which may come as one bare body.

    Raises:
        Unsupported: None of it can be sent (406).

    Source: DICOM PS3.18 10.4.1.1.6, 8.7.3.3.
    """
    offers: list[FrameOffer] = []
    for each in media_ranges(request):
        if each.name in ("*/*", "multipart/*", "multipart/related"):
            wanted, single = each.of_parts or OCTETS, False
        elif one:
            wanted, single = each.name, True
        else:
            continue
        wanted = ALIASES.get(wanted, wanted)
        asked = each.parameters.get("transfer-syntax", "")
        if wanted in (OCTETS, "*/*", "application/*"):
            syntaxes = None if asked == "*" else frozenset({asked or EXPLICIT_LE})
            offers.append(FrameOffer(media_type=OCTETS, transfer_syntaxes=syntaxes, single=single))
            continue
        known = MEDIA_TYPES.get(wanted, ())
        chosen = known if asked == "*" else ((asked,) if asked in known else ()) if asked else known[:1]
        if chosen:
            offers.append(FrameOffer(media_type=wanted, transfer_syntaxes=frozenset(chosen), single=single))
    if not offers:
        raise Unsupported(
            f'frames are sent as multipart/related; type="{OCTETS}", or compressed as they are stored',
            code=NOT_ACCEPTABLE,
            location="Accept",
        )
    return FramesAccept(offers=tuple(offers))


def accept_metadata(request: HttpIn) -> str:
    """DICOM JSON, or the native XML model: `DICOM_JSON` or `DICOM_XML`.

    Raises:
        Unsupported: Something else (406).

    Source: DICOM PS3.18 8.7.3.2.
    """
    for each in media_ranges(request):
        if each.name in (DICOM_JSON, "application/json", "*/*", "application/*"):
            return DICOM_JSON
        if each.name == "multipart/related" and each.of_parts == DICOM_XML:
            return DICOM_XML
    raise Unsupported(f"metadata are sent as {DICOM_JSON}", code=NOT_ACCEPTABLE, location="Accept")


def accept_picture(request: HttpIn) -> Picture:
    """Which picture a rendered resource may be.

    Raises:
        Unsupported: None that can be made (406).

    Source: DICOM PS3.18 8.7.4.
    """
    for each in media_ranges(request):
        if each.name in ("*/*", "image/*", "image/jpg", "image/pjpeg"):
            return Picture.JPEG
        if each.name in set(Picture):
            return Picture(each.name)
    raise Unsupported(f"pictures are made as {', '.join(Picture)}", code=NOT_ACCEPTABLE, location="Accept")


# --- paths and parameters ---------------------------------------------------------------------------------------------


def uid_of(request: HttpIn, name: str) -> Uid:
    """A UID of the path.

    Raises:
        MalformedMessage: It is none (400).
    """
    try:
        return Uid(request.variables[name])
    except ValueError:
        raise bad_request("the address names something that is not a UID", name) from None


def optional_uid_of(request: HttpIn, name: str) -> Uid | None:
    """A UID of the path, where the path has one."""
    return uid_of(request, name) if name in request.variables else None


def frame_numbers_of(request: HttpIn) -> tuple[int, ...]:
    """The comma-separated frame list: 1-based, in the order asked for.

    Raises:
        MalformedMessage: It is none (400).
    """
    try:
        numbers = tuple(int(each) for each in request.variables["frames"].split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or len(numbers) > 100_000:
        raise bad_request("frames are a comma-separated list of numbers from 1", "frames")
    return numbers


def bad_request(text: str, location: str = "") -> MalformedMessage:
    """400, with the parameter that is wrong."""
    return MalformedMessage(text, code=BAD_REQUEST, location=location)


def instance_path(study: str, series: str, instance: str) -> str:
    """The path of an instance below the service."""
    return f"/studies/{study}/series/{series}/instances/{instance}"


# --- answers ----------------------------------------------------------------------------------------------------------


def refused(error: ExchangeError, request: HttpIn) -> HttpOut:
    """An error: its status, and one paragraph that says what and where."""
    lines = [error.detail, *(f"at {error.location}" for _ in range(1) if error.location)]
    lines += [f"- {finding.text} {finding.location}".rstrip() for finding in error.findings]
    return HttpOut(
        status=http_status_of(error),
        headers=headers_of(error),
        media_type="text/plain; charset=utf-8",
        body=("\n".join(lines) + "\n").encode(),
    )


def warning(base: str, text: str) -> tuple[str, str]:
    """A Warning header of this service (PS3.18 8.3.4.1)."""
    return ("Warning", f'299 {base}: "{text}"'.replace("\r", " ").replace("\n", " "))


# --- DICOM JSON -------------------------------------------------------------------------------------------------------

Attributes = dict[str, dict[str, Any]]


def attribute(attributes: Attributes, tag: str, vr: str, *values: Any) -> None:
    """Add an attribute; empty values leave it there without any, as required ones must be (PS3.18 10.6.3.3)."""
    kept = [value for value in values if value not in (None, "")]
    attributes[tag] = {"vr": vr, "Value": kept} if kept else {"vr": vr}


def optional(attributes: Attributes, tag: str, vr: str, *values: Any) -> None:
    """Add an attribute if it has a value."""
    if any(value not in (None, "") for value in values):
        attribute(attributes, tag, vr, *values)


def sequence(attributes: Attributes, tag: str, items: Sequence[Attributes]) -> None:
    """Add a sequence; without items it is empty."""
    attributes[tag] = {"vr": "SQ", "Value": list(items)} if items else {"vr": "SQ"}


def name_value(name: PersonName) -> dict[str, str] | None:
    """A person's name as PN in JSON; None when there is none."""
    groups = to_pn(name).split("=")
    named = {key: group for key, group in zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False) if group}
    return named or None


def date_of(moment: Moment | None, zone: tzinfo | None) -> str:
    """DA; "" when the moment is less precise than a day."""
    if moment is None or moment.precision < Precision.DAY:
        return ""
    at = moment.at if moment.precision is Precision.DAY or zone is None else moment.at.astimezone(zone)
    return at.strftime("%Y%m%d").zfill(8)


def time_of(moment: Moment | None, zone: tzinfo | None) -> str:
    """TM of the moment's precision; "" for a date alone."""
    if moment is None or moment.precision <= Precision.DAY:
        return ""
    at = moment.at if zone is None else moment.at.astimezone(zone)
    text = at.strftime({Precision.HOUR: "%H", Precision.MINUTE: "%H%M", Precision.SECOND: "%H%M%S"}[moment.precision])
    return f"{text}.{at.microsecond:06d}" if at.microsecond and moment.precision is Precision.SECOND else text


def offset_of(moment: Moment | None, zone: tzinfo | None) -> str:
    """TimezoneOffsetFromUTC of a moment with a time; "" otherwise."""
    if moment is None or moment.precision <= Precision.DAY:
        return ""
    return (moment.at if zone is None else moment.at.astimezone(zone)).strftime("%z")[:5]


def json_body(attributes: Any) -> bytes:
    """As bytes, keys ascending at every level."""
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)
