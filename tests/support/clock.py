"""A clock that stands until it is moved; its ids count up."""

import uuid
from datetime import UTC, datetime, timedelta

from profiles.model.identifiers import Uid

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


class FixedClock:
    """`Clock` for tests: `at` stands; ids are the same in every run."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at
        self._ids = 0

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def new_uid(self) -> Uid:
        self._ids += 1
        return Uid(f"2.25.{1_000_000 + self._ids}")

    def new_uuid(self) -> str:
        self._ids += 1
        milliseconds = int(self.at.timestamp() * 1000)
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | self._ids))
