import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from gateway.adapters import clock
from gateway.adapters.clock import SystemClock
from tests.support.clock import FixedClock


def test_now_is_aware_and_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_new_uuid_is_version_seven_of_this_millisecond() -> None:
    made = uuid.UUID(SystemClock().new_uuid())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert abs((made.int >> 80) / 1000 - datetime.now(UTC).timestamp()) < 5


def test_uuids_rise_strictly_in_many_threads() -> None:
    system = SystemClock()
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(system.new_uuid() for _ in range(500))

    threads = [threading.Thread(target=make, args=(each,)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == sorted(each) for each in made)
    assert len({one for each in made for one in each}) == 2000


def test_uuids_rise_also_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([2_000_000_000_000, 1_000_000_000_000, 1_000_000_000_000])
    monkeypatch.setattr(clock.time, "time_ns", lambda: next(times))
    system = SystemClock()
    made = [system.new_uuid() for _ in range(3)]
    assert made == sorted(made)
    assert len(set(made)) == 3


def test_a_new_uid_is_a_random_number_under_2_25() -> None:
    system = SystemClock()
    first, second = system.new_uid(), system.new_uid()
    assert first != second
    root, number = first.rsplit(".", 1)
    assert root == "2.25"
    assert uuid.UUID(int=int(number)).version == 4
    assert len(first) <= 44


def test_the_clock_of_tests_stands_until_it_is_moved() -> None:
    fixed = FixedClock()
    before = fixed.now()
    fixed.advance(90)
    assert fixed.now() - before == timedelta(seconds=90)
    assert fixed.new_uuid() < fixed.new_uuid()
    assert fixed.new_uid() != fixed.new_uid()
