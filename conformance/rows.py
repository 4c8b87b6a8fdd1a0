"""Requirement rows: what the Framework asks, in our words, one CSV for each transaction in `requirements/`, named after it.

A row that no case proves carries the reason; a house test holds both ways, so that coverage is never a feeling.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from conformance.case import Case
from profiles.catalogue import TRANSACTIONS
from profiles.transaction import Actor

FOLDER = Path(__file__).parent / "requirements"
COMMON = "appendix-v.csv"


class Level(StrEnum):
    """How strongly it is asked."""

    SHALL = "SHALL"
    SHOULD = "SHOULD"
    MAY = "MAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row. `not_tested` is why no case proves it; "" where one does.

    `transaction` is "" and `actor` None where it is asked of every SOAP transaction alike.
    """

    id: str
    transaction: str
    section: str
    level: Level
    actor: Actor | None
    text: str
    not_tested: str = ""

    def asks(self, case: Case) -> bool:
        """Whether a case can prove it."""
        return self.transaction in ("", case.transaction) and self.actor in (None, case.actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A row, and the ids of the cases that prove it, 0..n."""

    requirement: Requirement
    cases: tuple[str, ...]


def requirements(folder: Path = FOLDER) -> Mapping[str, Requirement]:
    """Every row by its id.

    Raises:
        ValueError: A file is of no transaction, has an unknown column, level or actor, or an id twice.
    """
    found: dict[str, Requirement] = {}
    named = {each.id.lower().replace(" ", "-"): each.id for each in TRANSACTIONS}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                try:
                    each = Requirement(
                        id=row["id"],
                        transaction="" if path.name == COMMON else named[path.stem],
                        section=row["section"],
                        level=Level(row["level"]),
                        actor=Actor(row["actor"]) if row["actor"] else None,
                        text=row["requirement"],
                        not_tested=row["not_tested"],
                    )
                except (KeyError, ValueError) as error:
                    raise ValueError(f"{path.name}: {row.get('id')}: {error}") from error
                if each.id in found:
                    raise ValueError(f"{path.name}: {each.id} is there twice")
                found[each.id] = each
    return found


def coverage(cases: Iterable[Case], rows: Mapping[str, Requirement]) -> tuple[Covered, ...]:
    """Which cases prove each row, in the order of the rows."""
    proofs: dict[str, list[str]] = {id: [] for id in rows}
    for case in cases:
        for id in case.requirements:
            proofs[id].append(case.id)
    return tuple(Covered(requirement=row, cases=tuple(proofs[id])) for id, row in rows.items())
