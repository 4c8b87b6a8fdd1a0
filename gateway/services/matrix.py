"""Matrix: what each peer supports, by what was found when it was tested and by what was seen since.

The newest word counts: a transaction that worked an hour ago works, whatever a test of last month said.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.peer import Peer
from gateway.model.probe import Hop, Probed
from gateway.model.sighting import Ended, Sighting, Sightings, Sort
from gateway.ports.peers import Directory
from gateway.ports.store import Store
from gateway.ports.support import KeptProbe
from gateway.telemetry import logger
from profiles.errors import ExchangeError

EVERY_S = 30.0  # what a crash may cost of the counts


class Verdict(StrEnum):
    """Of one transaction of a peer."""

    WORKS = "works"
    REACHED = "can be reached"  # tested as far as it can be without leaving something there
    REFUSED = "refused"
    FAILED = "does not work"
    UNKNOWN = "unknown"


VERDICTS = {Ended.WORKS: Verdict.WORKS, Ended.REFUSED: Verdict.REFUSED, Ended.FAILED: Verdict.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One endpoint. `at` is when that was last seen (None: never), `calls` how often we asked, by how it ended."""

    transaction: str
    verdict: Verdict
    at: datetime | None
    probed: Probed | None
    probed_at: datetime | None
    calls: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A peer: a row for each endpoint, and the oddities that were seen in what it asks and answers."""

    rows: tuple[Row, ...]
    quirks: tuple[Sighting, ...]


class Matrix:
    """What peers support."""

    def __init__(self, *, store: Store, directory: Directory, sightings: Sightings) -> None:
        """`sightings` is where everybody notes what they see."""
        self._store = store
        self._directory = directory
        self._sightings = sightings

    async def of(self, name: str) -> Card:
        """What is known of a peer, up to now.

        Raises:
            RuleViolation: No such peer.
        """
        peer = self._directory.known(name)
        await self.write_down()
        async with self._store.view() as work:
            probes = await work.support.probes(peer.name)
            seen = await work.support.sightings(peer.name)
        return Card(
            rows=tuple(_rows(peer, probes, seen)), quirks=tuple(each for each in seen if each.sort is Sort.FINDING)
        )

    async def write_down(self) -> None:
        """What was seen since the last time."""
        taken = self._sightings.take()
        if not taken:
            return
        try:
            async with self._store.unit() as work:
                await work.support.seen(taken)
        except BaseException:
            self._sightings.put_back(taken)
            raise

    async def serve(self) -> None:
        """Now and then, until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await self._try()
        finally:
            await self._try()

    async def _try(self) -> None:
        try:
            await self.write_down()
        except ExchangeError as failed:
            logger().warning("what was seen of peers has to wait", condition=failed.condition.value)


def _rows(peer: Peer, probes: Sequence[KeptProbe], seen: Sequence[Sighting]) -> Iterator[Row]:
    kept = {each.probed.transaction: each for each in probes}
    for transaction, address in sorted(peer.endpoints.items()):
        probe = kept.get(transaction)
        if probe is not None and probe.probed.address != address:
            probe = None  # what was found is about another place
        calls = tuple(each for each in seen if each.transaction == transaction and each.sort is Sort.OUTCOME)
        words = [(each.last, VERDICTS[Ended(each.what)]) for each in calls]
        if probe is not None:
            words.append((probe.at, _verdict(probe.probed)))
        at, verdict = max(words, key=lambda each: each[0], default=(None, Verdict.UNKNOWN))
        yield Row(
            transaction=transaction, verdict=verdict, at=at, probed=None if probe is None else probe.probed,
            probed_at=None if probe is None else probe.at, calls=calls,
        )  # fmt: skip


def _verdict(probed: Probed) -> Verdict:
    last = probed.hops[-1].hop
    if probed.good:
        return Verdict.WORKS if last is Hop.TRANSACTION else Verdict.REACHED
    return Verdict.REFUSED if last in (Hop.SOAP, Hop.TRANSACTION) else Verdict.FAILED
