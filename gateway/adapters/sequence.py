"""Sequence: numbers that order rows by when they came, made here and not by the database (no serial hot spot)."""

import time


class Sequence:
    """Strictly growing within one store; microseconds since 1970 as long as the clock is right.

    Nobody reads it as a time: two houses on one database may even share a number, so it is a key beside another one only.
    """

    __slots__ = ("_last",)

    def __init__(self, last: int = 0) -> None:
        """Go on after `last`, should the clock have been set back since."""
        self._last = last

    def next(self) -> int:
        """A new number, greater than every one before."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    def start_after(self, last: int) -> None:
        """Never go below what the store has already."""
        self._last = max(self._last, last)
