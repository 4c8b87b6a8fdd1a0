"""Content-Type taken apart, as any wire that has one needs it.

Source: RFC 2045 5.1; RFC 9110 5.6.2 (tokens).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from profiles.errors import MalformedMessage

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A Content-Type taken apart: `name` and parameter names in lower case, parameter values as meant, unquoted."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


_PARAMETER = re.compile(
    r"""\s*(?P<name>[^\s=;"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s;"]*))\s*(?:;|$)""", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_media_type(text: str) -> MediaType:
    """Read a Content-Type value. Bare values may hold what only quoted ones should (`= : / +`): real boundaries do.

    Raises:
        MalformedMessage: It is not a media type, or a parameter stands twice.

    Source: RFC 2045 5.1.
    """
    name, _, rest = text.partition(";")
    name = name.strip().lower()
    kind, slash, subtype = name.partition("/")
    if not slash or not TOKEN.fullmatch(kind) or not TOKEN.fullmatch(subtype):
        raise MalformedMessage("Content-Type is not a media type")
    parameters: dict[str, str] = {}
    at = 0
    end = len(rest.rstrip(" \t\r\n;"))
    while at < end:
        if rest[at] in "; \t\r\n":
            at += 1
            continue
        found = _PARAMETER.match(rest, at)
        if found is None:
            raise MalformedMessage("a parameter of Content-Type is not `name=value`")
        key = found["name"].lower()
        if key in parameters:
            raise MalformedMessage(f"the parameter {key} of Content-Type stands twice")
        quoted = found["quoted"]
        parameters[key] = found["bare"] if quoted is None else _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
        at = found.end()
    return MediaType(name=name, parameters=parameters)
