"""Sighting: what was seen of a peer in what we exchange with it, counted.

It is kept in memory first, and written down now and then by whoever `take`s it: no exchange waits for it, and a crash costs
some counts of the last seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

MOST = 4096
"""Kinds of sightings that wait to be written down; what would be one more is not counted. A peer has some tens."""


class Sort(StrEnum):
    """What was seen."""

    OUTCOME = "outcome"  # how our asking ended: an `Ended`
    FINDING = "finding"  # an oddity that was tolerated, in what they ask or answer: the rule


class Ended(StrEnum):
    """How a call of ours ended, as far as it says something of the peer."""

    WORKS = "works"  # it answered, be it with an error of the transaction's own
    REFUSED = "refused"  # it does not do this, or not for us
    FAILED = "failed"  # it could not be reached, or its answer not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One kind of it, of one peer in one transaction: how often, and when last."""

    peer: str
    transaction: str
    sort: Sort
    what: str
    count: int
    last: datetime


class Sightings:
    """What was seen since it was written down."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._seen: dict[tuple[str, str, Sort, str], Sighting] = {}

    def note(self, peer: str, transaction: str, sort: Sort, what: str, at: datetime) -> None:
        """Once more."""
        self._add(Sighting(peer=peer, transaction=transaction, sort=sort, what=what, count=1, last=at))

    def take(self) -> tuple[Sighting, ...]:
        """All of it, in a fixed order; from here on it is counted anew."""
        taken = tuple(self._seen[key] for key in sorted(self._seen))
        self._seen.clear()
        return taken

    def put_back(self, taken: Iterable[Sighting]) -> None:
        """It could not be written down."""
        for each in taken:
            self._add(each)

    def _add(self, more: Sighting) -> None:
        key = (more.peer, more.transaction, more.sort, more.what)
        before = self._seen.get(key)
        if before is not None:
            self._seen[key] = replace(before, count=before.count + more.count, last=max(before.last, more.last))
        elif len(self._seen) < MOST:
            self._seen[key] = more
