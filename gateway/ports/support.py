"""Support: what was found out about each peer, by probing it and by exchanging with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.model.probe import Probed
from gateway.model.sighting import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProbe:
    """An endpoint as it was found the last time that somebody tested the way to it."""

    at: datetime
    probed: Probed


class Support(Protocol):
    """The last probe of each endpoint, and one sighting for each peer, transaction and what was seen."""

    async def probed(self, peer: str, probed: Sequence[Probed], at: datetime) -> None:
        """Put it in the place of all that was found on the ways to this peer before."""
        ...

    async def probes(self, peer: str) -> Sequence[KeptProbe]:
        """What was found the last time, by transaction."""
        ...

    async def seen(self, sightings: Sequence[Sighting]) -> None:
        """Add to what was seen."""
        ...

    async def sightings(self, peer: str) -> Sequence[Sighting]:
        """All that was ever seen of a peer, by transaction, sort and what."""
        ...
