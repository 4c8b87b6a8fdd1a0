"""PN and `PersonName`.

What a newcomer gets wrong: DICOM puts prefix before suffix, HL7 the other way round; and a PN has up to three groups
(alphabetic, ideographic, phonetic), of which the model keeps the last two as they came.

Source: DICOM PS3.5 6.2.1 (person name).
"""

import re

from profiles.model.patient import NO_NAME, PersonName

_EMPTY_END = re.compile(r"[\^\s]+$")


def from_pn(text: str) -> PersonName:
    """Read `family^given^middle^prefix^suffix=ideographic=phonetic`; anything may be missing."""
    if not text.strip("^= "):
        return NO_NAME
    groups = [_group(group) for group in text.split("=")]
    alphabetic = [part.strip() for part in groups[0].split("^")]
    alphabetic += [""] * (5 - len(alphabetic))
    family, given, middle, prefix, suffix = alphabetic[:5]
    return PersonName(
        family=family,
        given=given,
        middle=middle,
        prefix=prefix,
        suffix=" ".join(part for part in (suffix, *alphabetic[5:]) if part),
        ideographic=groups[1] if len(groups) > 1 else "",
        phonetic=groups[2] if len(groups) > 2 else "",
    )


def to_pn(name: PersonName) -> str:
    """Write a PN; delimiters inside a part become spaces, as PN has no escapes."""
    parts = (name.family, name.given, name.middle, name.prefix, name.suffix)
    alphabetic = "^".join(_plain(part, "^=\\") for part in parts).rstrip("^")
    others = (_group(_plain(group, "=\\")) for group in (name.ideographic, name.phonetic))
    groups = (alphabetic, *others)
    return "=".join(groups).rstrip("=")


def _group(text: str) -> str:
    """A group without what says nothing: blanks around it and empty components at its end."""
    return _EMPTY_END.sub("", text).strip()


def _plain(part: str, delimiters: str) -> str:
    for delimiter in delimiters:
        if delimiter in part:
            part = part.replace(delimiter, " ")
    return part.strip()
