"""The suite of the Registrations port, on every store."""

from dataclasses import replace

from gateway.ports.registrations import Registration
from gateway.ports.store import Store
from tests.support.registered import ANN, LATER, NOW

OPEN = Registration(
    set_unique_id="1.2.60.1", peer="Region", at=NOW, patient_id=ANN, documents=("1.2.77", "1.2.78"), digest="d1"
)


async def test_a_submission_comes_back_as_it_was_kept_last(store: Store) -> None:
    taken = replace(OPEN, documents=("1.2.77",), taken=True)
    bare = replace(OPEN, set_unique_id="1.2.60.2", documents=())
    async with store.unit() as work:
        await work.registrations.keep(OPEN)
        await work.registrations.keep(bare)
    async with store.view() as work:
        assert await work.registrations.get("1.2.60.1") == OPEN
    async with store.unit() as work:
        await work.registrations.keep(taken)
    async with store.view() as work:
        assert await work.registrations.get("1.2.60.1") == taken
        assert await work.registrations.get("1.2.60.2") == bare
        assert await work.registrations.get("1.2.60.3") is None
        assert list(await work.registrations.of_document("1.2.78")) == []


async def test_a_document_is_somebodys_as_long_as_a_submission_has_it(store: Store) -> None:
    async with store.unit() as work:
        await work.registrations.keep(OPEN)
        await work.registrations.keep(replace(OPEN, set_unique_id="1.2.60.2", at=LATER, documents=("1.2.77",)))
    async with store.unit() as work:
        assert list(await work.registrations.of_document("1.2.77")) == [ANN, ANN]
        await work.registrations.drop("1.2.60.1")
        await work.registrations.drop("1.2.60.9")
        assert list(await work.registrations.of_document("1.2.77")) == [ANN]
        assert list(await work.registrations.of_document("1.2.78")) == []
        await work.registrations.without("1.2.77")
    async with store.view() as work:
        assert list(await work.registrations.of_document("1.2.77")) == []
        assert await work.registrations.get("1.2.60.2") is None
