"""Probe: what was found on the way to a peer, hop by hop, and what it supports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Hop(StrEnum):
    """One hop of the way, in the order in which they are walked."""

    NAME = "name"  # has the host an address
    CONNECTION = "connection"  # is there a route, and does something listen
    TLS = "TLS"
    HTTP = "HTTP"
    SOAP = "SOAP"
    TRANSACTION = "transaction"  # is the question understood


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """One hop as it was found; `cure` says what helps where it is not `good`, and what to look at where it may not be."""

    hop: Hop
    good: bool
    detail: str
    cure: str = ""
    ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One endpoint of a peer: 1..n hops, up to the first that is not good.

    `supports` is what the transaction has parts of (the stored queries of ITI-18) and whether each is answered.
    `asynchronous` is whether the answer is brought to our reply address when that is asked; None: it was not tried.
    """

    transaction: str
    address: str
    hops: tuple[Walked, ...]
    supports: Mapping[str, bool] = field(default_factory=dict)
    asynchronous: bool | None = None

    @property
    def good(self) -> bool:
        """Whether every hop held."""
        return all(hop.good for hop in self.hops)
