"""Search parameters: their grammar, before anybody knows what they are about.

A parameter is `name[:modifier][.chain]=value`, a value `alternative,alternative`; repeating a parameter means AND. What is
read here are tokens, references and dates; which of them a resource knows is the transaction's table.

What a newcomer gets wrong: `,` `|` `$` and the backslash itself are escaped by a backslash, so a value is split before it
is unescaped; and a date is an interval: `2026-01` is a month, not the first of January.

Source: HL7 FHIR R4, Search; ITI TF-2 Appendix Z.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from profiles.errors import MalformedMessage, Unsupported
from profiles.model.identifiers import Oid, Uid
from profiles.model.moment import Moment, Precision
from profiles.wire.fhir.datatypes import DICOM_UID, URI
from profiles.wire.http import HttpIn

DEFAULT_COUNT = 20
MAX_COUNT = 500
MAX_ALTERNATIVES = 500

RESULT_PARAMETERS = frozenset({"_count", "_elements", "_format", "_include", "_pretty", "_sort", "_summary", "_total"})
"""They shape the answer and select nothing; every search of ours knows them."""

PAGE = "_page"
"""Our own parameter inside `next` links. Clients follow the link and never write it."""


class ParameterType(StrEnum):
    """How values of a parameter are written."""

    TOKEN = "token"  # noqa: S105  # FHIR's word
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """A parameter that a resource type is searched by, with the modifiers and chains that we know of it."""

    name: str
    type: ParameterType
    definition: str
    documentation: str = ""
    modifiers: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()
    says_whose: bool = False  # and so is refused when it is empty: whoever asks of one must not get everybody's


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One condition as it was written: alternatives still escaped, order as in the URL."""

    name: str
    modifier: str = ""
    chain: str = ""
    alternatives: tuple[str, ...]
    written: tuple[str, str]

    @property
    def location(self) -> str:
        """The parameter, for an error's expression."""
        return self.written[0]


# --- reading ----------------------------------------------------------------------------------------------------------


def is_strict(request: HttpIn) -> bool:
    """Whether unknown parameters are errors (`Prefer: handling=strict`); by default they are ignored."""
    preferences = re.split("[,;]", request.headers.get("prefer", "").lower())
    return any(preference.replace(" ", "") == "handling=strict" for preference in preferences)


def read(
    pairs: Iterable[tuple[str, str]], parameters: Mapping[str, SearchParameter], *, strict: bool
) -> tuple[Asked, ...]:
    """The conditions that are to be met, without result parameters and without what is empty or unknown.

    Raises:
        Unsupported: A known parameter with an unknown modifier or chain; an unknown one where strict.
        MalformedMessage: Too many alternatives; a parameter that says whose, and is empty.
    """
    asked = []
    for name, value in pairs:
        base, modifier, chain = split_name(name)
        if name in RESULT_PARAMETERS or base == PAGE or (base == "_include" and modifier == "iterate"):
            continue
        parameter = parameters.get(base)
        if parameter is None:
            if strict:
                raise Unsupported("this search parameter is not supported", location=name)
            continue
        if modifier and modifier not in parameter.modifiers:
            raise Unsupported("this modifier is not supported on this parameter", location=name)
        if chain and chain not in parameter.chains:
            raise Unsupported("this chain is not supported on this parameter", location=name)
        alternatives = tuple(each for each in split(value, ",") if each.strip())
        if len(alternatives) > MAX_ALTERNATIVES:
            raise MalformedMessage(f"more than {MAX_ALTERNATIVES} alternatives", location=name, code="too-long")
        if not alternatives:
            if parameter.says_whose:
                raise MalformedMessage("this parameter says whose, and is empty", location=name, code="value")
            continue  # an empty value is no condition: forms send every field
        asked.append(Asked(name=base, modifier=modifier, chain=chain, alternatives=alternatives, written=(name, value)))
    return tuple(asked)


def honoured(
    pairs: Iterable[tuple[str, str]],
    parameters: Mapping[str, SearchParameter],
    shaping: Collection[str],
    *,
    strict: bool,
    includes: Collection[str] = (),
) -> list[tuple[str, str]]:
    """The parameters that had an effect, as they were written: what the `self` link of an answer tells.

    Args:
        pairs: The parameters of the request.
        parameters: Those that the resource is searched by.
        shaping: The result parameters that this search takes.
        strict: As `read` was told.
        includes: The values of `_include` that were taken.

    Source: HL7 FHIR R4, Search (server conformance).
    """
    pairs = tuple(pairs)
    understood = {asked.written for asked in read(pairs, parameters, strict=strict)}
    return [
        (name, value)
        for name, value in pairs
        if (name, value) in understood
        or (name in shaping and value)
        or (name in ("_include", "_include:iterate") and value in includes)
    ]


def split_name(name: str) -> tuple[str, str, str]:
    """Parameter, modifier and chain: `subject:Patient.identifier` is subject, Patient, identifier."""
    before, _, chain = name.partition(".")
    base, _, modifier = before.partition(":")
    return base, modifier, chain


def split(value: str, separator: str) -> list[str]:
    """Split at separators that are not escaped; the pieces stay escaped."""
    pieces, current, position = [], "", 0
    while position < len(value):
        character = value[position]
        if character == "\\" and position + 1 < len(value):
            current += value[position : position + 2]
            position += 2
            continue
        if character == separator:
            pieces.append(current)
            current = ""
        else:
            current += character
        position += 1
    return [*pieces, current]


def unescape(value: str) -> str:
    r"""Undo `\,` `\|` `\$` and `\\`; a backslash before anything else stands for itself."""
    return re.sub(r"\\([,|$\\])", r"\1", value)


def escape(value: str) -> str:
    """Write a value so that it is read back as one alternative."""
    return re.sub(r"([,|$\\])", r"\\\1", value)


# --- tokens -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """`code` (system None: any), `|code` (system "": none), `system|code`, `system|` (code "": any code of it)."""

    system: str | None
    code: str


def token(value: str) -> Token:
    """Read one alternative of a token parameter."""
    first, *rest = split(value, "|")
    if not rest:
        return Token(None, unescape(first).strip())
    return Token(unescape(first).strip(), unescape("|".join(rest)).strip())


def codes_of(asked: Asked, system: str, value_set: Collection[str]) -> tuple[str, ...]:
    """The codes that are asked for of a value set that is required; tokens of other systems are met by nothing.

    Raises:
        MalformedMessage: A code that is not in the value set: no resource can have it.
        Unsupported: A system without a code.

    Source: HL7 FHIR R4, Search (token), Terminologies (binding strength "required").
    """
    codes = []
    for named in map(token, asked.alternatives):
        if not named.code:
            raise Unsupported("a system without a code selects too much", location=asked.location)
        if named.system not in (None, system):
            continue
        if named.code not in value_set:
            raise MalformedMessage(f"it is one of {', '.join(value_set)}", location=asked.location, code="value")
        codes.append(named.code)
    return tuple(codes)


def oid_of(system: str) -> Oid | None:
    """The OID of an identifier system; None: it is not an OID, so nothing of ours is in it."""
    if system[:8].lower() != "urn:oid:":
        return None
    try:
        return Oid.from_urn(system)
    except ValueError:
        return None


def uid_of(asked: Token) -> str | None:
    """The UID that a token names, with or without `urn:oid:`, in one of the systems that UIDs are written in."""
    if asked.system not in (None, "", DICOM_UID, URI):
        return None
    try:
        return Uid.from_urn(asked.code)
    except ValueError:
        return None


# --- references -------------------------------------------------------------------------------------------------------


def reference(value: str, base: str, kind: str) -> str | None:
    """The id that a reference names: `id`, `Type/id`, or an absolute address of ours. None: it points elsewhere."""
    text = unescape(value).strip()
    if "://" in text:
        if not text.startswith(f"{base}/"):
            return None
        text = text[len(base) + 1 :]
    text = text.partition("/_history/")[0]
    if "/" not in text:
        return text or None
    named, _, identity = text.partition("/")
    return identity if named == kind and identity and "/" not in identity else None


# --- dates ------------------------------------------------------------------------------------------------------------

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+ -]\d\d:\d\d)?)?)?)?", re.ASCII
)

COMPARISONS: Mapping[str, str] = {
    "eq": "eq",
    "ne": "ne",
    "gt": "gt",
    "ge": "ge",
    "lt": "lt",
    "le": "le",
    "sa": "gt",  # for a value that is itself a point in time, starting after it is being greater
    "eb": "lt",
}


def moment(text: str) -> Moment:
    """Read a date of a search, to the precision in which it is written; hours come with minutes.

    A space in front of the zone is a `+` that the client forgot to write as %2B.

    Raises:
        ValueError: Not a date, or no such day.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a date")
    *numbers, fraction, zone = match.groups()
    said = [int(number) for number in numbers if number is not None]
    year, month, day, hour, minute, second = (*said, *(0, 1, 1, 0, 0, 0)[len(said) :])
    offset = UTC if zone in (None, "Z") else _offset(zone)
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    at = datetime(year, month, day, hour, minute, min(second, 59), micros, tzinfo=offset)
    return Moment(at, Precision(len(said)), zone is not None)


def _offset(zone: str) -> timezone:
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("no such zone")
    return timezone((-1 if zone[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def comparisons(asked: Asked) -> tuple[tuple[str, Moment], ...]:
    """A date condition as comparisons that must all hold. `ap` is one unit of its precision to either side.

    Raises:
        MalformedMessage: Not a date.
        Unsupported: Several dates as alternatives.
    """
    if len(asked.alternatives) > 1:
        raise Unsupported("dates as alternatives are not supported; ask for a range", location=asked.location)
    value = unescape(asked.alternatives[0]).strip()
    prefix, rest = (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)
    try:
        at = moment(rest)
        if prefix == "ap":
            return (("ge", _moved(at, -1)), ("le", _moved(at, 1)))
    except (ValueError, OverflowError):
        raise MalformedMessage("not a date", location=asked.location, code="value") from None
    return ((COMPARISONS[prefix], at),)


def _moved(at: Moment, units: int) -> Moment:
    """The same precision, one unit earlier or later."""
    if at.precision <= Precision.MONTH:
        months = at.at.year * 12 + at.at.month - 1 + units * (12 if at.precision is Precision.YEAR else 1)
        return Moment(at.at.replace(year=months // 12, month=months % 12 + 1), at.precision, at.zoned)
    step = {
        Precision.DAY: timedelta(days=1),
        Precision.HOUR: timedelta(hours=1),
        Precision.MINUTE: timedelta(minutes=1),
        Precision.SECOND: timedelta(seconds=1),
    }[at.precision]
    return Moment(at.at + units * step, at.precision, at.zoned)


# --- result parameters ------------------------------------------------------------------------------------------------


class Total(StrEnum):
    """The values of `_total`."""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the answer shall look like. `count` is never above our limit; 0 asks for the total alone."""

    count: int = DEFAULT_COUNT
    total: Total = Total.ACCURATE
    sort: str = ""
    includes: frozenset[str] = frozenset()
    page: str = ""


def shape_of(
    pairs: Iterable[tuple[str, str]], *, sorts: Iterable[str], includes: Mapping[str, str], strict: bool
) -> Shape:
    """Read the result parameters.

    Args:
        pairs: The parameters of the request.
        sorts: The values of `_sort` that we know.
        includes: The values of `_include` that we know, and what each stands for.
        strict: Whether an unknown include is an error.

    Raises:
        MalformedMessage: A value cannot be read.
        Unsupported: An order that we do not have.
    """
    count, total, sort, page = DEFAULT_COUNT, Total.ACCURATE, "", ""
    included: set[str] = set()
    for name, value in pairs:
        value = value.strip()
        if name == "_count":
            if not re.fullmatch("[0-9]{1,9}", value):
                raise MalformedMessage("_count is a whole number from 0", location=name, code="value")
            count = min(int(value), MAX_COUNT)
        elif name == "_total":
            try:
                total = Total(value)
            except ValueError:
                raise MalformedMessage("_total is none, estimate or accurate", location=name, code="value") from None
        elif name == "_sort":
            if value not in sorts:
                raise Unsupported(f"_sort is one of {', '.join(sorts)}", location=name)
            sort = value
        elif name in ("_include", "_include:iterate"):
            if value in includes:
                included.add(includes[value])
            elif strict:
                raise Unsupported("this include is not supported", location="_include")
        elif name == PAGE:
            page = value
    return Shape(count=count, total=total, sort=sort, includes=frozenset(included), page=page)
