"""Messages between the tester and the system, where something in between can change them, as a proxy would."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request on its way out. By MLLP there are no headers, and the body is a message without its frame."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An answer on its way in, whole; header names are lower-case. By MLLP `status` is 0."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class InFlight(Protocol):
    """Changes messages. How the tester itself is tested."""

    def request(self, transaction: str, outgoing: Outgoing) -> Outgoing:
        """So a house looks that overlooks something."""
        ...

    def answer(self, transaction: str, incoming: Incoming) -> Incoming:
        """So a house looks that says something else."""
        ...
