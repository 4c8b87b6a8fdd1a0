"""The suite of the Correlations port, on every store."""

from dataclasses import replace
from datetime import timedelta

from gateway.ports.correlations import Correlation
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
