"""Words for people: every state, kind, status and outcome has one; amounts and times read well."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.inbound.desk import words
from gateway.model.job import ExchangeJob, Kind, State, StepOutcome
from gateway.model.study import StudyStatus
from profiles.model.patient import PersonName, Sex
from tests.profiles.wire.audit.records import KINDS

AT = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)


def test_every_member_of_every_table_has_a_word() -> None:
    assert set(words.TONES) == set(State)
    assert set(words.KINDS) == set(words.TITLES) == set(Kind)
    assert set(words.STATUSES) == set(StudyStatus)
    assert set(words.SEXES) == set(Sex)
    assert set(words.OUTCOMES) == set(StepOutcome)


def test_an_exchange_is_called_by_its_peer_where_it_has_one() -> None:
    job = ExchangeJob(id="1", kind=Kind.RECEIVE, state=State.READY, opened_at=AT, updated_at=AT, peer="{Lakeside}")
    assert words.titled(job) == "Study offered by {Lakeside}"
    job = ExchangeJob(id="1", kind=Kind.STORE, state=State.READY, opened_at=AT, updated_at=AT)
    assert words.titled(job) == "Study pushed here"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("the peer left", "The peer left"), ("4 came.", "4 came"), ("", ""), ("a. b.", "A. b"), (" x ", "x")],
)
def test_a_text_of_the_ledger_becomes_a_sentence(text: str, shown: str) -> None:
    assert words.sentence_case(text) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (31_500_000, "31.5 MB"), (4 * 10**12, "4000.0 GB")],
)
def test_bytes_are_read_in_powers_of_ten(count: int, shown: str) -> None:
    assert words.size(count) == shown


@pytest.mark.parametrize(
    ("passed", "shown"),
    [(0, "just now"), (59, "just now"), (60, "1 minute ago"), (7200, "2 hours ago"), (86_400 * 3, "3 days ago")],
)
def test_how_long_ago(passed: int, shown: str) -> None:
    assert words.ago(AT, AT + timedelta(seconds=passed)) == shown


def test_days_and_times_are_those_of_the_house() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    assert words.day_of(AT, zurich) == "Sunday, 15 March 2026"
    assert words.filters(zurich, lambda: AT)["clock"](AT) == "00:30:00"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (PersonName(family="Doe", given="Ann", middle="B"), "Doe, Ann B"),
        (PersonName(family="Doe"), "Doe"),
        (PersonName(ideographic="山田^太郎"), "山田^太郎"),
        (PersonName(), "no name"),
    ],
)
def test_a_person_is_named_family_first(name: PersonName, shown: str) -> None:
    assert words.person_name(name) == shown


def test_studies_in_a_sentence_are_links_and_long_uids_are_short() -> None:
    retrieved = KINDS["imaging retrieved"]
    long = "2.25.7188027242812322969797599382617145607"
    told = words.told(f"A & B fetched 1.2.3.4.5 of 127.0.0.1 and {long}.", retrieved)
    assert told == (
        'A &amp; B fetched <a class="mono" href="/studies/1.2.3.4.5" title="1.2.3.4.5">1.2.3.4.5</a> of 127.0.0.1 and '
        f'<span class="mono" title="{long}">2.25.71880…145607</span>.'
    )


@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ({"00281050": {"Value": [40, 50]}, "00281051": {"Value": [400.5]}}, ("40", "400.5")),
        ({"00280101": {"Value": [12]}}, ("2048", "4096")),
        ({"00281050": {"vr": "DS"}}, ("128", "256")),
    ],
)
def test_dragging_starts_from_the_stored_window(attributes: dict[str, object], window: tuple[str, str]) -> None:
    assert words.stored_window(attributes) == window
