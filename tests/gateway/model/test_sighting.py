"""Sightings are counted by kind, bounded, and nothing is lost that could not be written down."""

from datetime import timedelta

from gateway.model import sighting
from gateway.model.sighting import Sightings, Sort
from tests.support.clock import NOON


def test_the_same_is_counted_and_taken_once() -> None:
    seen = Sightings()
    for minutes in (2, 1):
        seen.note("Lakeside", "RAD-69", Sort.FINDING, "lf-only-mime", NOON + timedelta(minutes=minutes))
    seen.note("Lakeside", "ITI-18", Sort.OUTCOME, "works", NOON)
    first, second = seen.take()
    assert (first.transaction, first.count) == ("ITI-18", 1)
    assert (second.count, second.last) == (2, NOON + timedelta(minutes=2))
    assert seen.take() == ()


def test_what_could_not_be_written_down_is_counted_with_what_came_since() -> None:
    seen = Sightings()
    seen.note("Lakeside", "RAD-69", Sort.OUTCOME, "works", NOON)
    taken = seen.take()
    seen.note("Lakeside", "RAD-69", Sort.OUTCOME, "works", NOON)
    seen.put_back(taken)
    assert [each.count for each in seen.take()] == [2]


def test_no_peer_makes_it_grow_without_end() -> None:
    seen = Sightings()
    for number in range(sighting.MOST + 10):
        seen.note("Lakeside", "RAD-69", Sort.FINDING, f"rule-{number}", NOON)
    assert len(seen.take()) == sighting.MOST
