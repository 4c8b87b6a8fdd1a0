"""The suite of the Correlations port, on every store."""

from dataclasses import replace
from datetime import timedelta

from gateway.ports.correlations import Correlation, DeferredQuestion
from gateway.ports.store import Store
from profiles.model.identifiers import Oid, PatientIdentifier
from tests.support.registered import ANN, BEN, NOW, OTHER_DOMAIN

HOME, OTHER_HOME = Oid("1.2.4.1"), Oid("1.2.5.1")
THERE = PatientIdentifier(value="L-77", authority=OTHER_DOMAIN)
KNOWN = Correlation(patient=ANN, home=HOME, identifier=THERE, until=NOW + timedelta(hours=1))


async def kept(store: Store, *correlations: Correlation) -> None:
    async with store.unit() as work:
        for each in correlations:
            await work.correlations.keep(each)


async def test_a_correlation_is_of_one_patient_at_one_community_until_its_time(store: Store) -> None:
    await kept(store, KNOWN)
    async with store.view() as work:
        assert await work.correlations.get(ANN, HOME, NOW) == THERE
        assert await work.correlations.get(BEN, HOME, NOW) is None
        assert await work.correlations.get(ANN, OTHER_HOME, NOW) is None
        assert await work.correlations.get(ANN, HOME, KNOWN.until) is None


async def test_what_is_told_last_counts(store: Store) -> None:
    other = replace(THERE, value="L-78")
    await kept(store, KNOWN, replace(KNOWN, identifier=other))
    async with store.view() as work:
        assert await work.correlations.get(ANN, HOME, NOW) == other


async def test_what_ended_is_forgotten_the_oldest_first(store: Store) -> None:
    older, oldest = (replace(KNOWN, home=Oid(f"1.9.{days}"), until=NOW - timedelta(days=days)) for days in (1, 2))
    await kept(store, KNOWN, older, oldest)
    async with store.unit() as work:
        assert await work.correlations.prune(NOW, 1) == 1
        assert await work.correlations.get(ANN, older.home, NOW - timedelta(days=3)) == THERE
        assert await work.correlations.get(ANN, oldest.home, NOW - timedelta(days=3)) is None
        assert await work.correlations.prune(NOW, 10) == 1
        assert await work.correlations.prune(NOW, 10) == 0
        assert await work.correlations.get(ANN, HOME, NOW) == THERE


# --- what is answered later -------------------------------------------------------------------------------------------

LATER = DeferredQuestion(
    patient=ANN, home=HOME, message_id="01a2", peer="Lakeside", exchange_id="01a1", until=NOW + timedelta(minutes=5)
)


async def test_a_question_is_found_by_its_patient_and_by_its_message_until_its_time(store: Store) -> None:
    async with store.unit() as work:
        await work.correlations.ask(LATER)
    async with store.view() as work:
        assert await work.correlations.asked(ANN, HOME, NOW) == LATER
        assert await work.correlations.asked_as("01a2", NOW) == LATER
        assert await work.correlations.asked(BEN, HOME, NOW) is None
        assert await work.correlations.asked(ANN, OTHER_HOME, NOW) is None
        assert await work.correlations.asked_as("01a1", NOW) is None
        assert await work.correlations.asked(ANN, HOME, LATER.until) is None
        assert await work.correlations.asked_as("01a2", LATER.until) is None


async def test_a_question_that_is_asked_anew_or_answered_takes_the_place_of_the_former(store: Store) -> None:
    answered = replace(LATER, message_id="01a3", answered=True)
    async with store.unit() as work:
        await work.correlations.ask(LATER)
        await work.correlations.ask(answered)
        await work.correlations.take_back(LATER)  # it is gone already
    async with store.view() as work:
        assert await work.correlations.asked(ANN, HOME, NOW) == answered
        assert await work.correlations.asked_as("01a2", NOW) is None
    async with store.unit() as work:
        await work.correlations.take_back(answered)
        assert await work.correlations.asked(ANN, HOME, NOW) is None


async def test_questions_that_are_over_are_forgotten_with_the_correlations(store: Store) -> None:
    old = replace(LATER, patient=BEN, message_id="01a4", until=NOW - timedelta(days=1))
    await kept(store, KNOWN, replace(KNOWN, home=OTHER_HOME, until=NOW - timedelta(days=1)))
    async with store.unit() as work:
        await work.correlations.ask(LATER)
        await work.correlations.ask(old)
        assert await work.correlations.prune(NOW, 10) == 2
        assert await work.correlations.asked_as("01a4", NOW - timedelta(days=2)) is None
        assert await work.correlations.asked_as("01a2", NOW) == LATER
