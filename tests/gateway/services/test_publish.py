"""Publish: what a registry has of a study is true, or it is told why not.

Source: RAD TF-2 4.68 (RAD68-006, -007); ITI TF-3 4.2.2.2 (RPLC).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryObjects
from gateway.model.job import ExchangeJob
from gateway.model.study import StudyStatus
from gateway.ports.objects import StagedObject
from gateway.ports.publications import Publication
from gateway.services.demand import Demand
from gateway.services.publish import Publish, Published
from profiles.errors import (
    Busy,
    PeerRefused,
    PeerTimeout,
    PeerUnavailable,
    RuleViolation,
    UnknownDocument,
    UnknownPatient,
    UnmappedCode,
)
from profiles.model.content import Content
from profiles.model.document import (
    Association,
    AssociationType,
    AvailabilityStatus,
    DocumentEntry,
    EntryType,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.patient import Patient
from profiles.model.query import SubmissionSetCriteria
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.rules import on_demand_entries_have_no_bytes
from profiles.xdsi.rad68 import SiteCodes
from tests.support.clock import NOON, FixedClock
from tests.support.hl7 import HOUSE as ALONE
from tests.support.region import Region, entries
from tests.support.registered import arrived, exchange, instance, patient, series, study

HOUSE = replace(ALONE, affinity_authority=Oid("1.2.3.9"))
OURS = PatientIdentifier(value="V1", authority=HOUSE.patient_authority)
THEIRS = PatientIdentifier(value="D1", authority=HOUSE.domain_authority)
WHO = patient(OURS, THEIRS)
UID = "1.2.50.1"


def with_instances(count: int, **fields: object) -> Study:
    every = (instance(f"{UID}.1.{number}", number) for number in range(1, count + 1))
    return study(UID, series(f"{UID}.1", *every), of=WHO, **fields)


class Slow(MemoryObjects):
    """Objects that take their time: something happens while a manifest is written."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def stage(self, content: Content) -> StagedObject:
        if self.meanwhile is not None:
            await self.meanwhile()
        return await super().stage(content)


@dataclass
class Scene:
    """A house with one study of two instances, and Region."""

    publish: Publish
    demand: Demand
    region: Region
    store: MemoryStore
    objects: Slow
    codes: list[SiteCodes]
    job: ExchangeJob = field(default_factory=lambda: exchange("x1"))

    async def have(self, whole: Study, status: StudyStatus = StudyStatus.AVAILABLE) -> None:
        async with self.store.unit() as work:
            await work.studies.add(arrived(whole), WHO, "", NOON)
            await work.studies.set_status(UID, status, NOON)

    async def share(self, registry: str = "Region", *, anew: bool = False, on_demand: bool = False) -> Published:
        return await self.publish.share(self.job, UID, registry, anew=anew, on_demand=on_demand)

    async def known(self, registry: str = "Region") -> Publication:
        async with self.store.view() as work:
            found = await work.publications.get(UID, registry)
        assert found is not None
        return found

    async def manifest(self, entry: DocumentEntry) -> set[str]:
        """SOP Instance UIDs that the document of an entry names."""
        async with self.store.view() as work:
            content = await work.documents.open(entry.unique_id)
        assert content is not None
        read = decode_kos(await content.read(1 << 20)).value
        return {str(one.sop_instance_uid) for each in read.studies for _, one in each.instances()}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    store, objects, compute, codes, clock = MemoryStore(), Slow(), ThreadCompute(), [SiteCodes()], FixedClock()
    region: Any = Region()  # as much of peers and directory as is asked
    publish = Publish(
        house=HOUSE, store=store, objects=objects, peers=region, directory=region, compute=compute, clock=clock,
        codes=lambda: codes[0],
    )  # fmt: skip
    demand = Demand(house=HOUSE, store=store, objects=objects, compute=compute, clock=clock)
    made = Scene(publish, demand, region, store, objects, codes)
    async with store.unit() as work:
        await work.identity.put(WHO, NOON)
    await made.have(with_instances(2))
    yield made
    compute.close()


async def replaced(store: MemoryStore, entry: DocumentEntry) -> list[Association]:
    async with store.view() as work:
        every = await work.registry.associations((entry.entry_uuid,))
    return [each for each in every if each.type is AssociationType.REPLACE and each.source == entry.entry_uuid]


# --- at a peer --------------------------------------------------------------------------------------------------------


async def test_a_study_is_published_once_and_the_same_again_says_nothing_new(scene: Scene) -> None:
    assert await scene.share() is Published.TAKEN
    assert await scene.share() is Published.UNCHANGED
    (entry,) = await scene.region.entries()
    assert scene.region.submissions == 1
    assert entry.patient_id == THEIRS
    assert await scene.manifest(entry) == {f"{UID}.1.1", f"{UID}.1.2"}
    assert (await scene.known()).entry_uuid == entry.entry_uuid


async def test_new_instances_replace_the_entry_and_the_old_one_is_deprecated(scene: Scene) -> None:
    await scene.share()
    (first,) = await scene.region.entries()
    await scene.have(with_instances(3))
    assert await scene.share() is Published.TAKEN
    (second,) = await scene.region.entries()
    (arrow,) = await replaced(scene.region.store, second)
    assert arrow.target == first.entry_uuid
    assert [each.entry_uuid for each in await scene.region.entries(AvailabilityStatus.DEPRECATED)] == [first.entry_uuid]
    assert len(await scene.manifest(second)) == 3


async def corrected(scene: Scene, whose: Patient) -> None:
    async with scene.store.unit() as work:
        after = await work.identity.put(whose, NOON)
        assert await work.studies.refresh(after, NOON) == [UID]


async def test_corrected_demographics_replace_the_entry(scene: Scene) -> None:
    await scene.share()
    await corrected(scene, replace(WHO, name=replace(WHO.name, family="Roe")))
    assert await scene.share() is Published.TAKEN
    (entry,) = await scene.region.entries()
    assert entry.source_patient is not None
    assert entry.source_patient.name.family == "Roe"


async def test_another_code_replaces_the_entry(scene: Scene) -> None:
    await scene.share()
    scene.codes[0] = replace(scene.codes[0], language_code="de-DE")
    assert await scene.share() is Published.TAKEN
    (entry,) = await scene.region.entries()
    assert entry.language_code == "de-DE"


async def test_who_asks_for_it_anew_gets_a_new_entry_in_the_place_of_the_old_one(scene: Scene) -> None:
    await scene.share()
    assert await scene.share(anew=True) is Published.TAKEN
    (entry,) = await scene.region.entries()
    assert len(await replaced(scene.region.store, entry)) == 1


async def test_an_answer_that_was_lost_leaves_one_entry_in_force(scene: Scene) -> None:
    scene.region.deaf = 1
    with pytest.raises(PeerTimeout):
        await scene.share()
    assert not (await scene.known()).in_force
    assert await scene.share() is Published.TAKEN
    (entry,) = await scene.region.entries()
    assert (await scene.known()).entry_uuid == entry.entry_uuid
    assert (await scene.known()).offered == ()


async def test_answers_that_were_lost_again_and_again_leave_one_entry_in_force(scene: Scene) -> None:
    await scene.share()
    for count in (3, 4, 5):
        await scene.have(with_instances(count))
        scene.region.deaf = 1
        with pytest.raises(PeerTimeout):
            await scene.share()
    await scene.share()
    (entry,) = await scene.region.entries()
    assert (await scene.known()).entry_uuid == entry.entry_uuid
    assert len(await scene.region.entries(AvailabilityStatus.DEPRECATED)) == 4


async def test_a_request_that_never_arrived_leaves_one_entry_in_force(scene: Scene) -> None:
    await scene.share()
    await scene.have(with_instances(3))
    scene.region.down = PeerUnavailable("no connection")
    with pytest.raises(PeerUnavailable):
        await scene.share()
    scene.region.down = None
    assert await scene.share() is Published.TAKEN
    assert len(await scene.region.entries()) == 1


async def test_an_entry_that_somebody_else_deprecated_is_not_published_again_until_a_person_asks(scene: Scene) -> None:
    await scene.share()
    before = await scene.known()
    async with scene.region.store.unit() as work:
        await work.registry.set_status(before.entry_uuid, AvailabilityStatus.DEPRECATED, before.at)
    await scene.have(with_instances(3))
    with pytest.raises(PeerRefused) as refused:
        await scene.share()
    assert refused.value.code == "XDSRegistryDeprecatedDocumentError"
    assert await scene.known() == before
    assert await scene.share(anew=True) is Published.TAKEN
    assert len(await scene.region.entries()) == 1


async def test_a_study_that_is_gone_and_still_registered_elsewhere_is_told_to_a_person(scene: Scene) -> None:
    await scene.share()
    await scene.have(with_instances(2), StudyStatus.CANCELLED)
    with pytest.raises(RuleViolation, match="the registry of Region has the entry urn:uuid:") as told:
        await scene.share()
    assert "ITI-57" in told.value.cure


def updates(scene: Scene) -> None:
    """Region takes updates of metadata from now on."""
    endpoints = {**scene.region.peer.endpoints, "ITI-57": "http://region/soap/registry"}
    scene.region.peer = replace(scene.region.peer, endpoints=endpoints)


async def test_the_entry_of_a_study_that_is_gone_is_deprecated_where_updates_are_taken(scene: Scene) -> None:
    await scene.share()
    updates(scene)
    await scene.have(with_instances(2), StudyStatus.CANCELLED)
    assert await scene.share() is Published.WITHDRAWN
    assert await scene.region.entries() == []
    assert len(await scene.region.entries(AvailabilityStatus.DEPRECATED)) == 1
    assert not (await scene.known()).in_force
    assert await scene.share() is Published.NOTHING


@pytest.mark.parametrize("arrives", [True, False])
async def test_the_entry_that_was_offered_last_is_deprecated_if_it_was_taken(scene: Scene, arrives: bool) -> None:
    await scene.share()
    await scene.have(with_instances(3))
    scene.region.deaf, scene.region.down = int(arrives), None if arrives else PeerTimeout("nothing came")
    with pytest.raises(PeerTimeout):
        await scene.share()
    scene.region.deaf, scene.region.down = 0, None
    updates(scene)
    await scene.have(with_instances(3), StudyStatus.CANCELLED)
    assert await scene.share() is Published.WITHDRAWN
    assert await scene.region.entries() == []


async def test_two_exchanges_of_one_study_replace_one_after_the_other(scene: Scene) -> None:
    await scene.share()
    await scene.have(with_instances(3))
    assert set(await asyncio.gather(scene.share(), scene.share())) == {Published.UNCHANGED, Published.TAKEN}
    assert len(await scene.region.entries()) == 1


async def test_what_another_process_published_meanwhile_is_looked_at_again(scene: Scene) -> None:
    await scene.share("")
    before = await scene.known("")

    async def meanwhile() -> None:
        async with scene.store.unit() as work:
            await work.publications.keep(replace(before, digest="theirs"))

    scene.objects.meanwhile = meanwhile
    with pytest.raises(Busy):
        await scene.share("", anew=True)
    assert len(await entries(scene.store, AvailabilityStatus.APPROVED)) == 1


# --- in our own registry ----------------------------------------------------------------------------------------------


async def test_our_own_registry_has_entry_and_document_in_one_commit(scene: Scene) -> None:
    assert await scene.share("") is Published.TAKEN
    (entry,) = await entries(scene.store)
    assert entry.repository_unique_id == HOUSE.repository_unique_id
    assert await scene.manifest(entry) == {f"{UID}.1.1", f"{UID}.1.2"}
    assert scene.region.submissions == 0


async def test_our_own_entry_is_replaced_and_withdrawn_with_its_study(scene: Scene) -> None:
    await scene.share("")
    await scene.have(with_instances(3))
    await scene.share("")
    (second,) = await entries(scene.store)
    assert len(await replaced(scene.store, second)) == 1
    await scene.have(with_instances(3), StudyStatus.CANCELLED)
    assert await scene.share("") is Published.WITHDRAWN
    assert await entries(scene.store) == []
    assert not (await scene.known("")).in_force
    assert await scene.share("") is Published.NOTHING


async def test_a_study_that_came_back_is_published_again_without_replacing_what_was_withdrawn(scene: Scene) -> None:
    await scene.share("")
    await scene.have(with_instances(2), StudyStatus.CANCELLED)
    await scene.share("")
    await scene.have(with_instances(2))
    assert await scene.share("") is Published.TAKEN
    (entry,) = await entries(scene.store)
    assert await replaced(scene.store, entry) == []


# --- on demand --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registry", ["", "Region"])
async def test_an_on_demand_entry_has_no_document_and_stays_as_it_is_while_instances_come(
    scene: Scene, registry: str
) -> None:
    assert await scene.share(registry, on_demand=True) is Published.TAKEN
    has = scene.region.store if registry else scene.store
    (entry,) = await entries(has)
    assert (entry.entry_type, entry.hash, entry.size_bytes, entry.creation_time) == (
        EntryType.ON_DEMAND,
        "",
        None,
        None,
    )
    assert entry.repository_unique_id == HOUSE.repository_unique_id
    submission = Submission(submission_set=(await sets(has))[0], entries=(entry,))
    assert list(on_demand_entries_have_no_bytes(submission)) == []
    async with scene.store.view() as work:
        assert await work.documents.open(entry.unique_id) is None
    await scene.have(with_instances(3))
    assert await scene.share(registry, on_demand=True) is Published.UNCHANGED
    await corrected(scene, replace(WHO, name=replace(WHO.name, family="Roe")))
    assert await scene.share(registry, on_demand=True) is Published.TAKEN
    (after,) = await entries(has)
    assert len(await replaced(has, after)) == 1


async def sets(store: MemoryStore) -> list[SubmissionSet]:
    async with store.view() as work:
        return list(await work.registry.find_submission_sets(SubmissionSetCriteria()))


async def test_its_document_is_made_when_it_is_asked_for_and_tells_what_is_there_then(scene: Scene) -> None:
    await scene.share("", on_demand=True)
    (entry,) = await entries(scene.store)
    await scene.have(with_instances(3))
    first, second = [await scene.demand.made(entry.unique_id) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert first.patient_id == THEIRS
    assert len({first.unique_id, second.unique_id, entry.unique_id}) == 3
    manifest = decode_kos(await first.content.read(1 << 20)).value
    assert (manifest.sop_instance_uid, manifest.instance_count) == (first.unique_id, 3)


async def test_nothing_is_made_of_a_stable_entry_nor_of_a_study_that_is_gone(scene: Scene) -> None:
    await scene.share("Region")
    await scene.share("", on_demand=True)
    (entry,) = await entries(scene.store)
    (stable,) = await scene.region.entries()
    assert await scene.demand.made(stable.unique_id) is None
    assert await scene.demand.made("1.2.3") is None
    await scene.have(with_instances(2), StudyStatus.CANCELLED)
    assert await scene.demand.made(entry.unique_id) is None
    assert await scene.share("", on_demand=True) is Published.WITHDRAWN


async def test_a_stable_entry_takes_the_place_of_one_on_demand(scene: Scene) -> None:
    await scene.share("", on_demand=True)
    assert await scene.share("") is Published.TAKEN
    (entry,) = await entries(scene.store)
    assert entry.entry_type is EntryType.STABLE
    assert not (await scene.known("")).on_demand


# --- what cannot be published -----------------------------------------------------------------------------------------


async def test_what_has_no_code_is_not_published_and_nothing_is_kept(scene: Scene) -> None:
    scene.codes[0] = replace(scene.codes[0], modalities={"MR": "MR"})
    with pytest.raises(UnmappedCode):
        await scene.share()
    async with scene.store.view() as work:
        assert await work.publications.of(UID) == []
    assert scene.region.submissions == 0


async def test_a_patient_without_an_id_of_the_domain_is_not_published(scene: Scene) -> None:
    nameless = patient(PatientIdentifier(value="V2", authority=OURS.authority))
    other = study("1.2.50.2", series("1.2.50.2.1", instance("1.2.50.2.1.1")), of=nameless)
    async with scene.store.unit() as work:
        await work.identity.put(nameless, NOON)
        await work.studies.add(arrived(other), nameless, "", NOON)
    with pytest.raises(UnknownPatient, match="no id in the affinity domain"):
        await scene.publish.share(scene.job, "1.2.50.2", "Region")


@pytest.mark.parametrize("status", [StudyStatus.REGISTERED, StudyStatus.UNKNOWN])
async def test_a_study_that_is_not_whole_or_not_settled_is_not_published(scene: Scene, status: StudyStatus) -> None:
    await scene.have(with_instances(2), status)
    with pytest.raises(UnknownDocument, match="not available"):
        await scene.share()


# --- a study that has another patient now -----------------------------------------------------------------------------

BOTH = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)
ROE = patient(
    PatientIdentifier(value="V2", authority=HOUSE.patient_authority),
    PatientIdentifier(value="D2", authority=HOUSE.domain_authority), family="Roe",
)  # fmt: skip


async def moved(scene: Scene, to: Patient = ROE, status: StudyStatus = StudyStatus.AVAILABLE) -> None:
    """The archive says that the study is another patient's."""
    async with scene.store.unit() as work:
        if status is StudyStatus.AVAILABLE:
            await work.identity.put(to, NOON)
        await work.studies.add(arrived(with_instances(2)), to, "", NOON, anew=True)
        await work.studies.set_status(UID, status, NOON)


async def test_our_own_entry_for_the_patient_before_is_deprecated_and_one_for_the_new_one_registered(
    scene: Scene,
) -> None:
    await scene.share("")
    (first,) = await entries(scene.store, *BOTH)
    await moved(scene)
    assert await scene.share("") is Published.TAKEN
    before, after = await entries(scene.store, *BOTH)
    assert (before.entry_uuid, before.patient_id) == (first.entry_uuid, THEIRS)
    assert before.availability_status is AvailabilityStatus.DEPRECATED
    assert (after.patient_id, after.availability_status) == (ROE.identifiers[1], AvailabilityStatus.APPROVED)
    assert await replaced(scene.store, after) == []
    assert (await scene.known("")).entry_uuid == after.entry_uuid


async def test_a_peer_that_takes_updates_has_its_entry_deprecated(scene: Scene) -> None:
    scene.region.peer = replace(
        scene.region.peer, endpoints={**scene.region.peer.endpoints, "ITI-57": "http://region/soap/registry"}
    )
    await scene.share()
    await moved(scene)
    assert await scene.share() is Published.TAKEN
    before, after = await entries(scene.region.store, *BOTH)
    assert [before.availability_status, after.availability_status] == [
        AvailabilityStatus.DEPRECATED, AvailabilityStatus.APPROVED,
    ]  # fmt: skip
    assert (before.patient_id, after.patient_id) == (THEIRS, ROE.identifiers[1])


async def test_a_peer_that_takes_none_gets_the_new_entry_and_a_person_is_told_of_the_old_one(scene: Scene) -> None:
    await scene.share()
    (first,) = await entries(scene.region.store, *BOTH)
    await moved(scene)
    with pytest.raises(RuleViolation, match=first.entry_uuid):
        await scene.share()
    assert [each.patient_id for each in await entries(scene.region.store, *BOTH)] == [THEIRS, ROE.identifiers[1]]
    assert await scene.share() is Published.UNCHANGED


async def test_a_study_of_nobody_whom_we_know_has_no_entry_any_more(scene: Scene) -> None:
    await scene.share("")
    await moved(scene, patient(PatientIdentifier(value="X9", authority=Oid("1.2.99"))), StudyStatus.UNKNOWN)
    assert await scene.share("") is Published.WITHDRAWN
    (entry,) = await entries(scene.store, *BOTH)
    assert entry.availability_status is AvailabilityStatus.DEPRECATED
    assert not (await scene.known("")).in_force


async def test_patients_who_were_merged_are_one_and_the_entry_is_replaced(scene: Scene) -> None:
    await scene.share("")
    async with scene.store.unit() as work:
        await work.identity.put(ROE, NOON)
        for gone, stays in zip(WHO.identifiers, ROE.identifiers, strict=True):
            survivor = await work.identity.merge(gone, stays, NOON)
            await work.registry.merge(gone, stays, NOON)
            await work.studies.merge(gone, survivor, NOON)
    assert await scene.share("") is Published.TAKEN
    _, after = await entries(scene.store, *BOTH)
    assert len(await replaced(scene.store, after)) == 1
