"""Chains of manifests: which one began it, whether another still stands, and what follows for the instances."""

from dataclasses import replace
from itertools import pairwise

import pytest

from gateway.adapters.memory import MemoryStore
from gateway.model.job import NEVER, Event, Kind, State
from gateway.ports.studies import Origin
from gateway.services.ingest import expect
from gateway.services.supersede import Chain, chain_of
from profiles.model.codes import KOS_SOP_CLASS, MANIFEST_FORMAT
from profiles.model.document import AssociationType, AvailabilityStatus, DocumentEntry, Submission
from profiles.model.identifiers import Uid
from profiles.model.imaging import Manifest, Study
from profiles.model.moment import Moment
from tests.support.clock import FixedClock
from tests.support.registered import (
    ANN,
    LATER,
    NOW,
    arrived,
    entry,
    exchange,
    instance,
    patient,
    relation,
    series,
    study,
    submission,
)

CLOCK = FixedClock(LATER)
UID = "1.2.3.50.1"
WHOLE = study(UID, series(f"{UID}.1", instance(f"{UID}.1.1"), instance(f"{UID}.1.2"), instance(f"{UID}.1.3")))
FEWER = replace(WHOLE, series=(replace(WHOLE.series[0], instances=WHOLE.series[0].instances[:1]),))


def manifest(**fields: object) -> DocumentEntry:
    return entry(format_code=MANIFEST_FORMAT, **fields)


def replacing(new: DocumentEntry, *old: DocumentEntry) -> Submission:
    return submission(
        new,
        associations=tuple(relation(AssociationType.REPLACE, new.entry_uuid, each.entry_uuid) for each in old),
    )


async def registered(store: MemoryStore, *submissions: Submission) -> None:
    for each in submissions:
        async with store.unit() as work:
            await work.registry.put(each, NOW)


async def chain(store: MemoryStore, of: DocumentEntry | None, *beside: DocumentEntry) -> Chain:
    async with store.view() as work:
        return await chain_of(work, of, frozenset(each.entry_uuid for each in (*beside, *((of,) if of else ()))))


def kos(of: DocumentEntry, *studies: Study) -> Manifest:
    return Manifest(
        sop_instance_uid=Uid(of.unique_id), series_instance_uid=Uid(f"{of.unique_id}.1"), created=Moment(NOW),
        patient=studies[0].patient, studies=studies,
    )  # fmt: skip


# --- whose chain it is --------------------------------------------------------------------------------------------------


async def test_a_manifest_that_replaces_nothing_begins_a_chain() -> None:
    store, first = MemoryStore(), manifest()
    await registered(store, submission(first))
    assert await chain(store, first) == Chain(begun_by=(first.unique_id,))
    assert await chain(store, manifest(unique_id="1.2.9")) == Chain(begun_by=("1.2.9",))  # registered elsewhere
    assert await chain(store, None) == Chain()


async def test_the_chain_is_called_by_its_first_document_however_often_it_was_replaced() -> None:
    store, all_of_them = MemoryStore(), [manifest() for _ in range(5)]
    await registered(store, submission(all_of_them[0]))
    await registered(store, *(replacing(new, old) for old, new in pairwise(all_of_them)))
    assert await chain(store, all_of_them[-1]) == Chain(begun_by=(all_of_them[0].unique_id,), replaces=True, alone=True)


async def test_a_manifest_that_replaces_two_continues_both_chains() -> None:
    store, one, other, both = MemoryStore(), manifest(), manifest(), manifest()
    await registered(store, submission(one), submission(other), replacing(both, one, other))
    begun_by = tuple(sorted((one.unique_id, other.unique_id)))
    assert await chain(store, both) == Chain(begun_by=begun_by, replaces=True, alone=True)


async def test_the_same_document_in_another_entry_that_is_valid_stands_beside_the_new_one() -> None:
    store, first, new = MemoryStore(), manifest(), manifest()
    again = manifest(unique_id=first.unique_id)
    await registered(store, submission(first), submission(again), replacing(new, again))
    assert not (await chain(store, new)).alone
    newest = manifest()
    await registered(store, replacing(newest, first, new))
    assert (await chain(store, newest)).alone


async def test_the_same_document_that_comes_back_as_a_replacement_is_the_same_chain() -> None:
    store, first, second = MemoryStore(), manifest(), manifest()
    back = manifest(unique_id=first.unique_id)
    await registered(store, submission(first), replacing(second, first), replacing(back, second))
    assert await chain(store, back) == Chain(begun_by=(first.unique_id,), replaces=True, alone=True)


async def test_what_came_in_the_same_submission_and_what_is_no_manifest_does_not_stand_beside_it() -> None:
    store, first, new = MemoryStore(), manifest(), manifest()
    twin, report = manifest(unique_id=first.unique_id), entry(unique_id=first.unique_id)
    await registered(store, submission(first), submission(twin), submission(report), replacing(new, first))
    assert not (await chain(store, new)).alone
    assert (await chain(store, new, twin)).alone
    assert report.format_code.value != KOS_SOP_CLASS


# --- what follows -------------------------------------------------------------------------------------------------------


async def taken(store: MemoryStore, of: DocumentEntry, whole: Study) -> str:
    """A manifest is carried out; answers what the timeline says of what was here."""
    async with store.unit() as work:
        changed = await expect(work, [(kos(of, whole), of)], patient(ANN), "Lakeside", CLOCK)
    return changed.text


async def counts(store: MemoryStore) -> tuple[int, int]:
    """How many instances are seen, and how many hidden."""
    async with store.view() as work:
        record = await work.studies.get(UID)
        assert record is not None
        return record.study.instance_count, len(await work.studies.withdrawn(UID))


async def come(store: MemoryStore) -> DocumentEntry:
    """A manifest of all of it, carried out."""
    first = manifest()
    await registered(store, submission(first))
    assert await taken(store, first, WHOLE) == ""
    async with store.unit() as work:
        await work.studies.add(arrived(WHOLE), patient(ANN), "Lakeside", NOW, Origin.FETCHED)
    return first


async def test_a_held_replacement_hides_nothing_before_it_is_released() -> None:
    store = MemoryStore()
    first = await come(store)
    held = replace(manifest(), availability_status=AvailabilityStatus.PENDING)
    await registered(store, replacing(held, first))
    assert await counts(store) == (3, 0)
    async with store.unit() as work:
        await work.registry.set_status(held.entry_uuid, AvailabilityStatus.APPROVED, LATER)
    assert await taken(store, held, FEWER) == "; 2 that it does not name any more are hidden"
    assert await counts(store) == (1, 2)


async def test_a_manifest_whose_entry_nobody_knows_hides_nothing_and_keeps_what_it_names_from_being_hidden() -> None:
    store = MemoryStore()
    first = await come(store)
    async with store.unit() as work:
        unknown = manifest()
        changed = await expect(work, [(kos(unknown, WHOLE), None)], patient(ANN), "Lakeside", CLOCK)
    assert not changed
    second = manifest()
    await registered(store, replacing(second, first))
    assert await taken(store, second, FEWER) == ""
    assert await counts(store) == (3, 0)


async def test_a_manifest_beside_the_replaced_one_keeps_everything_shown() -> None:
    store = MemoryStore()
    first = await come(store)
    again, new = manifest(unique_id=first.unique_id), manifest()
    await registered(store, submission(again), replacing(new, first))
    assert await taken(store, new, FEWER) == ""
    assert await counts(store) == (3, 0)


async def test_what_two_manifests_of_one_submission_name_together_stays() -> None:
    store = MemoryStore()
    first = await come(store)
    one, other = manifest(), manifest()
    rest = replace(WHOLE, series=(replace(WHOLE.series[0], instances=WHOLE.series[0].instances[1:2]),))
    relations = (relation(AssociationType.REPLACE, one.entry_uuid, first.entry_uuid),)
    await registered(store, submission(one, other, associations=relations))
    async with store.unit() as work:
        named = [(kos(one, FEWER), one), (kos(other, rest), other)]
        changed = await expect(work, named, patient(ANN), "Lakeside", CLOCK)
    assert changed.hidden == 1
    assert await counts(store) == (2, 1)


@pytest.mark.parametrize("due_at", [None, NEVER])
async def test_an_exchange_that_waits_for_what_is_withdrawn_looks_again_at_once(due_at: object) -> None:
    store, first, second = MemoryStore(), manifest(), manifest()
    await registered(store, submission(first), replacing(second, first))
    await taken(store, first, WHOLE)
    async with store.unit() as work:
        await work.ledger.open(exchange("1", study_instance_uid=UID))
        for event in (Event.SETTLED, Event.STARTED):
            await work.ledger.advance("1", event, NOW)
        await work.ledger.advance("1", Event.PARTLY, NOW, due_at=due_at)  # type: ignore[arg-type]  # a time, or none
    assert await taken(store, second, FEWER) == ""
    async with store.view() as work:
        job = await work.ledger.get("1")
    assert job is not None
    assert (job.state, job.due_at) == (State.INCOMPLETE, LATER)


async def test_a_study_that_the_new_manifest_does_not_name_is_told_of_by_an_exchange_of_its_own() -> None:
    store = MemoryStore()
    first = await come(store)
    second = manifest()
    await registered(store, replacing(second, first))
    other = study("1.2.3.50.2", series("1.2.3.50.2.1", instance("1.2.3.50.2.1.1")))
    assert await taken(store, second, other) == "; 3 that it does not name any more are hidden"
    async with store.view() as work:
        (job,) = await work.ledger.list(kinds=frozenset({Kind.KEEP}))
    assert (job.state, job.study_instance_uid, job.texts("when")) == (State.READY, UID, ("study.gone",))
    assert job.patient_id == str(ANN)


async def test_the_study_that_the_new_manifest_names_is_told_of_by_the_exchange_that_brought_it() -> None:
    store = MemoryStore()
    first = await come(store)
    second = manifest()
    await registered(store, replacing(second, first))
    await taken(store, second, FEWER)
    async with store.view() as work:
        assert list(await work.ledger.list(kinds=frozenset({Kind.KEEP}))) == []
