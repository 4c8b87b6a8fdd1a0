"""Follow: what the rules say of a study that something happened to, and what keeps its entries true besides."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.model.job import Kind, State
from gateway.model.study import StudyStatus
from gateway.services.rules import Rule, When, happened
from profiles.model.document import AvailabilityStatus, EntryType
from profiles.xdsi.rad68 import SiteCodes
from tests.support.publishing import WHO, House
from tests.support.region import entries

UID = "1.2.50.1"
REGISTER, OFFER = Rule(do=("register",)), Rule(do=("offer",))


@pytest.fixture
async def compute() -> AsyncIterator[ThreadCompute]:
    made = ThreadCompute()
    yield made
    made.close()


async def told(house: House, when: When, seconds: int = 2) -> State:
    """Something happened to the study; what became of the exchange about it."""
    async with house.store.unit() as work:
        job = await happened(work, house.clock, UID, str(WHO.identifiers[0]), when)
    await house.pass_(seconds)
    return (await house.job(job.id)).state


async def test_a_rule_is_followed_when_what_it_is_for_has_happened(compute: ThreadCompute) -> None:
    house = House(compute, REGISTER, Rule(do=("share:Region",), when=When.CHANGED))
    await house.have(1)
    assert await told(house, When.AVAILABLE) is State.DONE
    assert (len(await entries(house.store)), house.region.submissions) == (1, 0)
    assert await told(house, When.CHANGED) is State.DONE
    assert (len(await entries(house.store)), house.region.submissions) == (1, 1)


async def test_what_was_published_is_kept_true_without_a_rule(compute: ThreadCompute) -> None:
    house = House(compute, REGISTER)
    await house.have(1)
    await told(house, When.AVAILABLE)
    house.rules = ()
    house.restart()
    house.codes = replace(SiteCodes(), language_code="de-DE")
    await told(house, When.CHANGED)
    (entry,) = await entries(house.store)
    assert entry.language_code == "de-DE"
    async with house.store.unit() as work:
        await work.studies.set_status(UID, StudyStatus.CANCELLED, house.clock.now())
    assert await told(house, When.GONE) is State.DONE
    assert await entries(house.store) == []


@pytest.mark.parametrize(
    ("before", "after", "type_"), [(OFFER, REGISTER, EntryType.STABLE), (REGISTER, OFFER, EntryType.ON_DEMAND)]
)
async def test_a_rule_that_says_otherwise_changes_the_entry_once(
    compute: ThreadCompute, before: Rule, after: Rule, type_: EntryType
) -> None:
    house = House(compute, before)
    await house.have(1)
    await told(house, When.AVAILABLE)
    house.rules = (after,)
    house.restart()
    await told(house, When.AVAILABLE)
    await told(house, When.AVAILABLE)
    (entry,) = await entries(house.store)
    assert entry.entry_type is type_
    assert len(await entries(house.store, AvailabilityStatus.DEPRECATED)) == 1


async def test_an_on_demand_entry_stays_one_when_it_is_kept_true(compute: ThreadCompute) -> None:
    house = House(compute, OFFER)
    await house.have(1)
    await told(house, When.AVAILABLE)
    house.rules = ()
    house.restart()
    house.codes = replace(SiteCodes(), language_code="de-DE")
    await told(house, When.CHANGED)
    (entry,) = await entries(house.store)
    assert (entry.entry_type, entry.language_code) == (EntryType.ON_DEMAND, "de-DE")


async def test_a_study_that_no_rule_admits_and_nobody_published_is_done_with(compute: ThreadCompute) -> None:
    house = House(compute, Rule(do=("share:Region",), modality=("MR",)))
    await house.have(1)
    assert await told(house, When.AVAILABLE) is State.DONE
    assert house.region.submissions == 0


async def test_a_study_without_a_code_is_held_with_the_rest_of_what_was_to_be_done(compute: ThreadCompute) -> None:
    house = House(compute, Rule(do=("register", "share:Region")))
    await house.have(1)
    house.codes = replace(SiteCodes(), modalities={"MR": "MR"})
    assert await told(house, When.AVAILABLE) is State.HELD
    async with house.store.view() as work:
        (held,) = await work.ledger.list(kinds=frozenset({Kind.KEEP}))
    assert held.lacks_codes
    assert "event of modality CT" in held.reason
