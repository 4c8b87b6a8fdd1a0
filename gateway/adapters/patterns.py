"""Patterns: what text may look like when it is searched, the same on SQLite, on PostgreSQL and in memory.

Two spellings come in: SQL's `%` and `_` (ITI-18) and DICOM's `*` and `?` (C-FIND, QIDO). Both are read into a `Pattern`;
each database gets its own words for it: GLOB on SQLite, whose LIKE does not tell case apart, LIKE on PostgreSQL.

Source: ITI TF-2 3.18.4.1.2.3.5 (LIKE); DICOM PS3.4 C.2.2.2.4 (wild card matching).
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Column, ColumnElement

from gateway.adapters.executor import SQLITE
from profiles.model.patient import PersonName

_ESCAPE = "!"  # of LIKE: not the default backslash, which HL7 text is full of


class Wild(Enum):
    """What is not a character."""

    ANY = "any number of characters"
    ONE = "one character"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Characters and wild cards, in order."""

    parts: tuple[str | Wild, ...]

    @classmethod
    def from_like(cls, text: str) -> "Pattern":
        r"""Read `%` and `_`. A backslash in front of either makes it a character; elsewhere it is one itself (`\T\`)."""
        parts: list[str | Wild] = []
        escaped = False
        for position, character in enumerate(text):
            if escaped:
                parts.append(character)
                escaped = False
            elif character == "\\" and text[position + 1 : position + 2] in {"%", "_"}:
                escaped = True
            else:
                parts.append({"%": Wild.ANY, "_": Wild.ONE}.get(character, character))
        return cls(tuple(parts))

    @classmethod
    def from_dicom(cls, text: str) -> "Pattern":
        """Read `*` and `?`; there is no escape."""
        return cls(tuple({"*": Wild.ANY, "?": Wild.ONE}.get(character, character) for character in text))

    @property
    def literal(self) -> str | None:
        """The one text that fits, if there is only one."""
        characters = [part for part in self.parts if isinstance(part, str)]
        return "".join(characters) if len(characters) == len(self.parts) else None

    @property
    def glob(self) -> str:
        """For SQLite: set apart in brackets what GLOB would read as its own."""
        return "".join(
            f"[{part}]" if part in {"*", "?", "["} else part
            if isinstance(part, str) else {Wild.ANY: "*", Wild.ONE: "?"}[part]
            for part in self.parts
        )  # fmt: skip

    @property
    def like(self) -> str:
        """For PostgreSQL, with its escape character."""
        return "".join(
            f"{_ESCAPE}{part}" if part in {"%", "_", _ESCAPE} else part
            if isinstance(part, str) else {Wild.ANY: "%", Wild.ONE: "_"}[part]
            for part in self.parts
        )  # fmt: skip

    def fits(self, text: str) -> bool:
        """Whether the whole text is such."""
        expression = "".join(
            re.escape(part) if isinstance(part, str) else {Wild.ANY: ".*", Wild.ONE: "."}[part] for part in self.parts
        )
        return re.fullmatch(expression, text, re.DOTALL) is not None

    def condition(self, column: Column[str], dialect: str) -> ColumnElement[bool]:
        """The same question to a database. Without wild cards it is equality, which any index answers."""
        literal = self.literal
        if literal is not None:
            return column == literal
        if dialect == SQLITE:
            return column.op("GLOB", is_comparison=True)(self.glob)
        return column.like(self.like, escape=_ESCAPE)


def folded(text: str) -> str:
    """Without case, accents and outer space: how names and descriptions are compared."""
    apart = unicodedata.normalize("NFKD", text)
    return "".join(each for each in apart if not unicodedata.combining(each)).casefold().strip()


def folded_name(name: PersonName) -> str:
    """`family^given^middle^prefix^suffix`, folded, without empty ends (the order of DICOM PN)."""
    return folded("^".join((name.family, name.given, name.middle, name.prefix, name.suffix)).rstrip("^"))


def name_groups(name: PersonName) -> tuple[str, ...]:
    """The groups of a name that are there, folded: a person may be asked for by any of them."""
    groups = (folded_name(name), folded(name.ideographic).rstrip("^"), folded(name.phonetic).rstrip("^"))
    return tuple(dict.fromkeys(group for group in groups if group))
