"""Snapshot: what is retrieved of an on-demand entry is kept and registered, once for each content.

Source: ITI TF-1 10.2.7; ITI TF-2 3.43.4.2.3; ITI TF-3 4.2.2.2 (IsSnapshotOf).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryObjects
from gateway.model.job import ExchangeJob, Kind, State
from gateway.model.study import StudyStatus
from gateway.services.demand import Demand, Made
from gateway.services.publish import Publish
from gateway.services.snapshot import Snapshots
from profiles.errors import PeerTimeout
from profiles.model.document import AssociationType, AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.wire.dicom.kos import decode_kos
from profiles.xdsi.rad68 import CodeSet, SiteCodes
from tests.support.clock import NOON, FixedClock
from tests.support.hl7 import HOUSE as ALONE
from tests.support.region import Region, entries
from tests.support.registered import arrived, exchange, instance, patient, series, study

HOUSE = replace(ALONE, affinity_authority=Oid("1.2.3.9"))
WHO = patient(
    PatientIdentifier(value="V1", authority=HOUSE.patient_authority),
    PatientIdentifier(value="D1", authority=HOUSE.domain_authority),
)
UID = "1.2.50.1"
BOTH = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)


@dataclass
class Scene:
    """A house that keeps what it makes on demand, and Region."""

    store: MemoryStore
    publish: Publish
    snapshots: Snapshots
    demand: Demand
    region: Region
    codes: list[SiteCodes]

    async def have(self, count: int, status: StudyStatus = StudyStatus.AVAILABLE, of: Patient = WHO) -> None:
        every = (instance(f"{UID}.1.{number}", number) for number in range(1, count + 1))
        whole = study(UID, series(f"{UID}.1", *every), of=of)
        async with self.store.unit() as work:
            await work.studies.add(arrived(whole), of, "", NOON)
            await work.studies.set_status(UID, status, NOON)

    async def share(self, registry: str = "") -> None:
        await self.publish.share(exchange("x1"), UID, registry, on_demand=True)

    async def retrieved(self, registry: str = "") -> Made:
        """What somebody gets who asks for the document of the entry that is there."""
        async with self.store.view() as work:
            known = await work.publications.get(UID, registry)
        assert known is not None
        made = await self.demand.made(known.unique_id)
        assert made is not None
        return made

    async def stable(self, store: MemoryStore | None = None) -> list[DocumentEntry]:
        """Stable entries, in force or not, in the order of registration."""
        found = await entries(store or self.store, *BOTH)
        return [each for each in found if each.entry_type is EntryType.STABLE]

    async def arrows(self, entry: DocumentEntry, store: MemoryStore | None = None) -> set[tuple[str, str]]:
        """What an entry points at, and how."""
        async with (store or self.store).view() as work:
            every = await work.registry.associations((entry.entry_uuid,))
        return {(each.type.name, each.target) for each in every if each.source == entry.entry_uuid}

    async def jobs(self) -> list[ExchangeJob]:
        async with self.store.view() as work:
            return list(await work.ledger.list(kinds=frozenset({Kind.SHARE}), states=frozenset({State.READY})))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    store, objects, compute, codes, clock = MemoryStore(), MemoryObjects(), ThreadCompute(), [SiteCodes()], FixedClock()
    region: Any = Region()  # as much of peers and directory as is asked
    stand: dict[str, Any] = {
        "house": HOUSE, "store": store, "objects": objects, "peers": region, "directory": region, "compute": compute,
        "clock": clock, "codes": lambda: codes[0],
    }  # fmt: skip
    snapshots = Snapshots(**stand)
    demand = Demand(house=HOUSE, store=store, objects=objects, compute=compute, clock=clock, snapshots=snapshots)
    made = Scene(store, Publish(**stand), snapshots, demand, region, codes)
    async with store.unit() as work:
        await work.identity.put(WHO, NOON)
    await made.have(2)
    yield made
    compute.close()


async def test_what_is_retrieved_is_kept_as_a_stable_document_that_is_a_snapshot_of_the_entry(scene: Scene) -> None:
    await scene.share()
    (on_demand,) = await entries(scene.store)
    made = await scene.retrieved()
    body = await made.content.read(1 << 20)
    (entry,) = await scene.stable()
    assert (made.unique_id, made.repository_unique_id) == (entry.unique_id, HOUSE.repository_unique_id)
    assert (entry.repository_unique_id, entry.patient_id) == (HOUSE.repository_unique_id, on_demand.patient_id)
    assert (entry.hash, entry.size_bytes) == (made.content.sha1, len(body))
    assert decode_kos(body).value.sop_instance_uid == entry.unique_id
    assert await scene.arrows(entry) == {(AssociationType.IS_SNAPSHOT_OF.name, on_demand.entry_uuid)}
    async with scene.store.view() as work:
        kept = await work.documents.open(entry.unique_id)
        assert kept is not None
        assert await kept.read(1 << 20) == body


async def test_the_same_content_is_the_same_snapshot_whoever_asks_and_how_many_at_once(scene: Scene) -> None:
    await scene.share()
    first, *others = await asyncio.gather(*(scene.retrieved() for _ in range(5)))
    assert {each.unique_id for each in others} == {first.unique_id}
    assert {await each.content.read(1 << 20) for each in others} == {await first.content.read(1 << 20)}
    assert len(await scene.stable()) == 1


async def test_other_content_is_a_new_snapshot_in_the_place_of_the_one_before(scene: Scene) -> None:
    await scene.share()
    (on_demand,) = await entries(scene.store)
    before = await scene.retrieved()
    await scene.have(3)
    after = await scene.retrieved()
    old, new = await scene.stable()
    assert (old.unique_id, new.unique_id) == (before.unique_id, after.unique_id)
    assert (old.availability_status, new.availability_status) == BOTH[::-1]
    assert await scene.arrows(new) == {
        (AssociationType.IS_SNAPSHOT_OF.name, on_demand.entry_uuid), (AssociationType.REPLACE.name, old.entry_uuid),
    }  # fmt: skip
    assert decode_kos(await after.content.read(1 << 20)).value.instance_count == 3


async def test_a_snapshot_that_somebody_deprecated_is_followed_by_one_that_replaces_none(scene: Scene) -> None:
    await scene.share()
    await scene.retrieved()
    (old,) = await scene.stable()
    async with scene.store.unit() as work:
        await work.registry.set_status(old.entry_uuid, AvailabilityStatus.DEPRECATED, NOON)
    await scene.have(3)
    made = await scene.retrieved()
    _, new = await scene.stable()
    assert made.unique_id == new.unique_id
    assert {kind for kind, _ in await scene.arrows(new)} == {AssociationType.IS_SNAPSHOT_OF.name}


async def test_what_cannot_be_kept_is_handed_out_and_the_timeline_says_why(scene: Scene) -> None:
    await scene.share()
    no_type = {each: codes for each, codes in scene.codes[0].defaults.items() if each is not CodeSet.TYPE}
    scene.codes[0] = replace(scene.codes[0], defaults=no_type)
    made = await scene.retrieved()
    assert decode_kos(await made.content.read(1 << 20)).value.instance_count == 2
    assert made.repository_unique_id == ""
    assert made.why.startswith("a document was made and not kept: ")
    assert "type" in made.why
    assert made.cure
    assert await scene.stable() == []


async def test_a_study_that_is_gone_takes_its_snapshot_along(scene: Scene) -> None:
    await scene.share()
    await scene.retrieved()
    await scene.have(2, StudyStatus.CANCELLED)
    await scene.share()
    assert await entries(scene.store) == []


async def test_a_stable_entry_takes_the_place_of_the_snapshot_too(scene: Scene) -> None:
    await scene.share()
    await scene.retrieved()
    await scene.publish.share(exchange("x2"), UID, "")
    (entry,) = await entries(scene.store)
    assert entry.entry_type is EntryType.STABLE
    assert len(await scene.stable()) == 2
    async with scene.store.view() as work:
        known = await work.publications.get(UID, "")
    assert known is not None
    assert (known.entry_uuid, known.snapshot) == (entry.entry_uuid, None)


async def test_a_merged_patient_s_snapshot_is_the_survivor_s(scene: Scene) -> None:
    survivor = patient(
        PatientIdentifier(value="V2", authority=HOUSE.patient_authority),
        PatientIdentifier(value="D2", authority=HOUSE.domain_authority), family="Roe",
    )  # fmt: skip
    await scene.share()
    await scene.retrieved()
    async with scene.store.unit() as work:
        await work.identity.put(survivor, NOON)
        for gone, stays in zip(WHO.identifiers, survivor.identifiers, strict=True):
            merged = await work.identity.merge(gone, stays, NOON)
            await work.registry.merge(gone, stays, NOON)
            await work.studies.merge(gone, merged, NOON)
    made = await scene.retrieved()
    assert made.why == ""
    *_, new = await scene.stable()
    assert (new.unique_id, new.patient_id) == (made.unique_id, survivor.identifiers[1])


# --- in a registry elsewhere ------------------------------------------------------------------------------------------


def taking(scene: Scene, *transactions: str) -> None:
    there = dict.fromkeys(transactions, "http://region/soap/registry")
    scene.region.peer = replace(scene.region.peer, endpoints={**scene.region.peer.endpoints, **there})


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_registry_elsewhere_is_told_by_an_exchange_and_nobody_waits_for_it(scene: Scene, lost: int) -> None:
    taking(scene, "ITI-42")
    await scene.share("Region")
    (on_demand,) = await scene.region.entries()
    made = await scene.retrieved("Region")
    assert made.repository_unique_id == HOUSE.repository_unique_id
    assert await scene.stable(scene.region.store) == []
    async with scene.store.view() as work:
        assert await work.documents.open(made.unique_id) is not None
        assert list(await work.registrations.of_document(made.unique_id)) == [on_demand.patient_id]
    (job,) = await scene.jobs()
    scene.region.deaf = lost
    if lost:
        with pytest.raises(PeerTimeout):
            await scene.snapshots.register(job)
    await scene.snapshots.register(job)
    (entry,) = await scene.stable(scene.region.store)
    assert (entry.unique_id, entry.hash) == (made.unique_id, made.content.sha1)
    assert await scene.arrows(entry, scene.region.store) == {
        (AssociationType.IS_SNAPSHOT_OF.name, on_demand.entry_uuid)
    }
    assert (await scene.retrieved("Region")).unique_id == made.unique_id
    assert len(await scene.jobs()) == 1


async def test_a_registry_that_never_heard_of_the_one_before_gets_the_new_one(scene: Scene) -> None:
    taking(scene, "ITI-42")
    await scene.share("Region")
    await scene.retrieved("Region")
    await scene.have(3)
    made = await scene.retrieved("Region")
    (job,) = [each for each in await scene.jobs() if made.unique_id in each.texts("snapshot")]
    await scene.snapshots.register(job)
    (entry,) = await scene.stable(scene.region.store)
    assert entry.unique_id == made.unique_id


async def test_a_registry_that_takes_no_entries_of_kept_documents_is_told_nothing(scene: Scene) -> None:
    await scene.share("Region")
    made = await scene.retrieved("Region")
    assert made.repository_unique_id == ""
    assert "Region is told of no document that is kept here" in made.why
    assert "ITI-42" in made.cure
    assert await scene.jobs() == []


async def test_the_snapshot_elsewhere_is_deprecated_with_its_entry(scene: Scene) -> None:
    taking(scene, "ITI-42", "ITI-57")
    await scene.share("Region")
    await scene.retrieved("Region")
    (job,) = await scene.jobs()
    await scene.snapshots.register(job)
    await scene.have(2, StudyStatus.CANCELLED)
    await scene.share("Region")
    assert await scene.region.entries() == []
    assert len(await scene.stable(scene.region.store)) == 1
