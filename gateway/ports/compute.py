"""Compute: CPU work that must not stand on the event loop goes to threads or processes here."""

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Compute(Protocol):
    """A place to work."""

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread: parsing of manifests, hashing, signatures, fsync."""
        ...
