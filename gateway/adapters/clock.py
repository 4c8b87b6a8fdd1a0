"""The system's clock and randomness: the one place where both come in."""

import os
import threading
import time
import uuid
from datetime import UTC, datetime

from profiles.model.identifiers import Uid

_TICKS_PER_MS = 1 << 12  # RFC 9562 6.2 method 3: the twelve bits of rand_a are a fraction of the millisecond


class SystemClock:
    """`Clock` by the machine. UUIDs made here rise strictly, from any thread, also when the clock is set back."""

    __slots__ = ("_last", "_lock")

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)

    def new_uid(self) -> Uid:
        """A UID under 2.25 from a random UUID.

        Source: DICOM PS3.5 B.2; the number is written in decimal without leading zeros, at most 39 digits.
        """
        return Uid(f"2.25.{uuid.uuid4().int}")

    def new_uuid(self) -> str:
        """A UUID, version 7.

        Source: RFC 9562 5.7: 48 bits of Unix milliseconds, version, 12 bits of rand_a, variant, 62 random bits.
        """
        with self._lock:
            tick = max(time.time_ns() * _TICKS_PER_MS // 1_000_000, self._last + 1)
            self._last = tick
        milliseconds, fraction = divmod(tick, _TICKS_PER_MS)
        rand_b = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | rand_b))
