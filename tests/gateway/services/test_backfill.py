"""Back-fill: everything that is here is published once, at its rate, and goes on from where it was."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.model.job import Event, Kind, State
from gateway.services.backfill import AT_ONCE, Asked, asked_of, open_backfill
from gateway.services.rules import Rule
from profiles.errors import PeerUnavailable
from profiles.xdsi.rad68 import SiteCodes
from tests.support.publishing import TO_REGION, House
from tests.support.region import entries


@pytest.fixture
async def compute() -> AsyncIterator[ThreadCompute]:
    made = ThreadCompute()
    yield made
    made.close()


@pytest.fixture
async def house(compute: ThreadCompute) -> House:
    return House(compute)


async def test_everything_is_published_and_counted(house: House) -> None:
    await house.have(120)
    began = await house.begin()
    await house.pass_(20)
    assert (await house.job(began)).state is State.DONE
    assert await house.counts(began) == {"published": 120}
    assert len({each.reference_ids for each in await house.region.entries()}) == 120
    async with house.store.view() as work:
        (step,) = await work.ledger.timeline(began)
    assert step.text == "120 of 120 studies: 120 published, 0 already there, 0 held, 0 failed"


async def test_what_is_there_already_is_counted_and_not_sent_again(house: House) -> None:
    await house.have(3)
    await house.begin()
    await house.pass_(5)
    await house.have(2, first=4)
    again = await house.begin()
    await house.pass_(5)
    assert await house.counts(again) == {"published": 2, "already there": 3}
    assert house.region.submissions == 5


async def test_it_is_no_faster_than_its_rate(house: House) -> None:
    await house.have(10)
    began = await house.begin(per_minute=30)
    await house.pass_(9)
    assert house.region.submissions == 5
    assert (await house.job(began)).payload["done"] == 5
    await house.pass_(15)
    assert (await house.job(began)).state is State.DONE


async def test_the_newest_study_is_first(house: House) -> None:
    await house.have(3)
    await house.begin(per_minute=60)
    await house.pass_(1)
    (entry,) = await house.region.entries()
    assert "1.2.50.1" in {each.value for each in entry.reference_ids}


async def test_after_a_restart_it_goes_on_with_the_study_where_it_was(house: House) -> None:
    await house.have(10)
    began = await house.begin(per_minute=60)
    await house.pass_(4)
    house.restart()
    await house.pass_(10)
    assert await house.counts(began) == {"published": 10}
    assert house.region.submissions == 10


async def test_it_waits_for_a_peer_that_is_down_and_does_not_flood_it(house: House) -> None:
    await house.have(AT_ONCE + 30)
    house.region.down = PeerUnavailable("no connection")
    began = await house.begin()
    await house.pass_(30)
    async with house.store.view() as work:
        opened = await work.ledger.list(kinds=frozenset({Kind.SHARE}), limit=1000)
    assert len(opened) == AT_ONCE
    told = (await house.job(began)).reason
    assert told == f"50 of 80 studies: 0 published, 0 already there, 0 held, 0 failed, {AT_ONCE} under way"
    house.region.down = None
    await house.pass_(400)
    assert (await house.job(began)).state is State.DONE
    assert await house.counts(began) == {"published": AT_ONCE + 30}


async def test_what_has_no_code_is_held_for_a_person_and_listed_once(house: House) -> None:
    await house.have(2)
    await house.have(1, modality="MR", first=3)
    house.codes = replace(house.codes, modalities={"CT": "CT"})
    began = await house.begin()
    await house.pass_(5)
    assert (await house.job(began)).state is State.DONE
    assert await house.counts(began) == {"published": 2, "held": 1}
    again = await house.begin()
    await house.pass_(5)
    assert await house.counts(again) == {"already there": 2, "held": 1}
    async with house.store.view() as work:
        (held,) = await work.ledger.list(states=frozenset({State.HELD}))
    assert "event of modality MR" in held.reason
    house.codes = SiteCodes()
    async with house.store.unit() as work:
        await work.ledger.advance(held.id, Event.RELEASED, house.clock.now())
    await house.pass_(2)
    assert len(await house.region.entries()) == 3


async def test_conditions_choose_the_studies(house: House) -> None:
    await house.have(3)
    await house.have(2, modality="MR", first=4)
    began = await house.begin(modalities=("MR",))
    recent = await house.begin(since="20260312", until="20260313")
    await house.pass_(5)
    assert (await house.counts(began), (await house.job(began)).payload["total"]) == ({"published": 2}, 2)
    assert (await house.counts(recent), (await house.job(recent)).payload["total"]) == ({"published": 1}, 1)


async def test_by_rules_each_study_goes_where_they_say_and_no_announcement_is_repeated(compute: ThreadCompute) -> None:
    house = House(
        compute,
        Rule(do=("announce:EHR", "share:Region"), modality=("CT",)),
        Rule(do=("register",), modality=("MR",)),
    )
    await house.have(2)
    await house.have(1, modality="MR", first=3)
    await house.have(2, modality="US", first=4)
    began = await house.begin(actions=())
    await house.pass_(5)
    assert await house.counts(began) == {"published": 3, "of no rule": 2}
    assert len(await house.region.entries()) == 2
    assert len(await entries(house.store)) == 1


async def test_what_it_was_asked_for_is_read_back(house: House) -> None:
    asked = Asked(actions=TO_REGION, modalities=("CT",), patient="V1", since="2026", until="2027", per_minute=7)
    async with house.store.unit() as work:
        job = await open_backfill(work, house.clock, asked)
    assert asked_of(job) == asked


async def test_a_patient_id_is_taken_alone_and_with_its_authority(house: House) -> None:
    assert Asked(patient="V1").criteria().patient_ids == (("V1", None),)
    assert Asked(patient="V1^^^&1.2.3&ISO").criteria().patient_ids == (("V1", "1.2.3"),)


async def test_a_time_that_is_none_is_refused(house: House) -> None:
    with pytest.raises(ValueError, match="not a DTM"):
        await house.begin(since="yesterday")
