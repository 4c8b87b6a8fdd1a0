"""The suite of the Publications port, on every store."""

from dataclasses import replace

from gateway.ports.publications import Publication, Snapshot
from gateway.ports.store import Store
from tests.support.registered import ANN, LATER, NOW

TAKEN = Publication(
    study_instance_uid="1.2.50.1", peer="Region", at=NOW, entry_uuid="urn:uuid:1", unique_id="1.2.77", patient_id=ANN,
    digest="d1", in_force=True,
)  # fmt: skip


async def test_a_publication_comes_back_as_it_was_kept(store: Store) -> None:
    offered = Publication(study_instance_uid="1.2.50.1", peer="", at=LATER, offered=("urn:uuid:3", "urn:uuid:2"))
    async with store.unit() as work:
        await work.publications.keep(TAKEN)
        await work.publications.keep(offered)
    async with store.view() as work:
        assert await work.publications.get("1.2.50.1", "Region") == TAKEN
        assert await work.publications.get("1.2.50.1", "") == offered
        assert await work.publications.get("1.2.50.1", "Lakeside") is None
        assert await work.publications.get("1.2.50.2", "Region") is None


async def test_there_is_one_for_each_study_and_registry_and_it_is_the_last(store: Store) -> None:
    withdrawn = replace(TAKEN, at=LATER, in_force=False)
    async with store.unit() as work:
        await work.publications.keep(TAKEN)
        await work.publications.keep(replace(TAKEN, peer="Lakeside"))
        await work.publications.keep(replace(TAKEN, study_instance_uid="1.2.50.2"))
        await work.publications.keep(withdrawn)
    async with store.view() as work:
        assert list(await work.publications.of("1.2.50.1")) == [replace(TAKEN, peer="Lakeside"), withdrawn]
        assert list(await work.publications.of("1.2.50.3")) == []


async def test_an_on_demand_entry_in_force_is_found_by_its_document(store: Store) -> None:
    made = replace(TAKEN, on_demand=True)
    async with store.unit() as work:
        await work.publications.keep(TAKEN)
        await work.publications.keep(replace(made, study_instance_uid="1.2.50.2", unique_id="1.2.78"))
        await work.publications.keep(replace(made, study_instance_uid="1.2.50.3", unique_id="1.2.79", in_force=False))
    async with store.view() as work:
        found = await work.publications.on_demand("1.2.78")
        assert found is not None
        assert (found.study_instance_uid, found.on_demand) == ("1.2.50.2", True)
        assert await work.publications.on_demand("1.2.77") is None
        assert await work.publications.on_demand("1.2.79") is None


async def test_the_snapshot_of_an_on_demand_entry_is_kept_with_it(store: Store) -> None:
    kept = Snapshot(entry_uuid="urn:uuid:9", unique_id="1.2.80", digest="d2:urn:uuid:1")
    async with store.unit() as work:
        await work.publications.keep(replace(TAKEN, on_demand=True, snapshot=kept))
    async with store.view() as work:
        found = await work.publications.get("1.2.50.1", "Region")
        assert found is not None
        assert found.snapshot == kept


async def test_what_changed_last_comes_first_and_entries_in_force_are_counted(store: Store) -> None:
    every = [
        TAKEN,
        replace(TAKEN, study_instance_uid="1.2.50.2", at=LATER),
        replace(TAKEN, study_instance_uid="1.2.50.3", peer="", on_demand=True),
        replace(TAKEN, study_instance_uid="1.2.50.4", in_force=False),
    ]
    async with store.unit() as work:
        for each in every:
            await work.publications.keep(each)
    async with store.view() as work:
        assert dict(await work.publications.counts()) == {("Region", False): 2, ("", True): 1}
        assert list(await work.publications.latest(2)) == [every[1], every[0]]
        assert len(await work.publications.latest(10)) == 4
