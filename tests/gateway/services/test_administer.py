"""A person deprecates and removes documents: here, and at a peer that is a registry of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryObjects
from gateway.model.job import State
from gateway.model.peer import Peer
from gateway.services.administer import Administer
from gateway.services.remove import Removal
from gateway.services.update import Update
from profiles.errors import PeerRefused, RuleViolation, UnknownDocument, UnknownRepository
from profiles.model.content import Content
from profiles.model.document import AssociationType, AvailabilityStatus, DocumentEntry, Submission
from profiles.model.identifiers import Oid
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xdsi.rad68 import SiteCodes
from tests.support.hl7 import HOUSE
from tests.support.registered import CT, entry_uuid, folder, relation
from tests.support.registry import JAN, InlineCompute, RegistryHouse, brought, registrable

MEMBER, RPLC = AssociationType.HAS_MEMBER, AssociationType.REPLACE
APPROVED, DEPRECATED = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
ELSEWHERE = Oid("1.2.5.2")


@dataclass
class _Call:
    response: Any

    def learned(self, **facts: object) -> None:
        """Nothing that is looked at here."""


class Region:
    """`Peers` and `Directory` of one peer, which is a registry behind a wire."""

    def __init__(self, house: RegistryHouse) -> None:
        self.house = house
        self.asked: list[str] = []
        self.peer = Peer(
            name="Region", repository_unique_ids=(ELSEWHERE,),
            endpoints=dict.fromkeys(("ITI-18", "ITI-57", "ITI-62", "ITI-86"), "http://region"),
        )  # fmt: skip

    @asynccontextmanager
    async def call(self, transaction: Any, peer: Peer, request: Any, **_: object) -> AsyncIterator[_Call]:
        self.asked.append(transaction.id)
        yield _Call(await self.house.ask(transaction, request))

    def known(self, name: str) -> Peer:
        if name != "Region":
            raise RuleViolation("no such peer")
        return self.peer

    def by_repository(self, unique_id: str) -> Peer | None:
        return self.peer if unique_id in self.peer.repository_unique_ids else None


@dataclass
class Scene:
    """Our house (`at` is ""), and Region (`at` is "Region"); `registry` is the one that is meant."""

    ours: RegistryHouse
    region: Region
    administer: Administer
    at: str

    @property
    def registry(self) -> RegistryHouse:
        return self.region.house if self.at else self.ours

    @property
    def repository(self) -> Oid:
        return ELSEWHERE if self.at else HOUSE.repository_unique_id

    async def registers(self, *entries: DocumentEntry, **more: object) -> Submission:
        told = tuple(replace(each, repository_unique_id=self.repository) for each in entries)
        whole = brought(*told, **more)  # type: ignore[arg-type]
        assert (await self.registry.ask(ITI_42, RegisterRequest(submission=whole))).errors == ()
        async with self.registry.store.unit() as work:
            for each in told:
                staged = await MemoryObjects().stage(Content.of(b"%PDF", "application/pdf"))
                await work.documents.keep(each.unique_id, staged)
        return whole

    async def state_of_the_errand(self) -> tuple[State, str]:
        async with self.ours.store.view() as work:
            (job, *_) = await work.ledger.list(limit=1)
        return job.state, job.reason

    def left(self) -> set[str]:
        return set(self.registry.memory.state.objects)


@pytest.fixture(params=["", "Region"], ids=["here", "there"])
async def scene(request: pytest.FixtureRequest) -> Scene:
    ours, region = await RegistryHouse().open(), Region(await RegistryHouse().open())
    # Region hands its documents out under its own repository id, but for its own rules it is the house of these tests.
    administer = Administer(
        house=HOUSE, store=ours.store, peers=region, directory=region, compute=InlineCompute(), clock=ours.clock,
        update=Update(house=HOUSE, clock=ours.clock), removal=Removal(house=HOUSE, compute=InlineCompute()),
        codes=SiteCodes,
    )  # type: ignore[arg-type]  # fmt: skip  # Region has what is asked of the two ports
    return Scene(ours, region, administer, request.param)


async def test_a_document_is_taken_out_of_force_and_stays_known(scene: Scene) -> None:
    document = registrable()
    await scene.registers(document)
    assert await scene.administer.deprecate(document.unique_id, "ada", at=scene.at) == 1
    assert scene.registry.memory.state.entries[document.entry_uuid].availability_status is DEPRECATED
    assert (await scene.state_of_the_errand())[0] is State.DONE


async def test_what_is_not_in_force_is_not_deprecated(scene: Scene) -> None:
    document = registrable()
    await scene.registers(document)
    await scene.administer.deprecate(document.unique_id, "ada", at=scene.at)
    before = scene.left()
    for unique_id in (document.unique_id, "1.2.3.4.5"):
        with pytest.raises(UnknownDocument):
            await scene.administer.deprecate(unique_id, "ada", at=scene.at)
    assert scene.left() == before
    state, reason = await scene.state_of_the_errand()
    assert (state, reason) == (State.FAILED, "no entry of this document is in force")


async def test_the_newest_version_is_what_is_deprecated(scene: Scene) -> None:
    first = registrable(repository_unique_id=scene.repository)
    await scene.registers(first)
    second = replace(first, entry_uuid=entry_uuid(), logical_id=first.entry_uuid)
    whole = brought(second)
    extra = (("PreviousVersion", ("1",)),)
    told = replace(whole, associations=tuple(replace(each, extra=extra) for each in whole.associations))
    assert (await scene.registry.ask(ITI_57, UpdateRequest(submission=told))).errors == ()
    assert await scene.administer.deprecate(first.unique_id, "ada", at=scene.at) == 1
    statuses = {each.version: each.availability_status for each in scene.registry.memory.state.entries.values()}
    assert statuses == {1: DEPRECATED, 2: DEPRECATED}
    ids = await scene.administer.remove(first.unique_id, "ada", at=scene.at, metadata_only=True)
    assert ids > 4  # two versions, their memberships, what was changed, and three sets
    assert scene.left() == set()


async def test_all_that_hangs_on_a_document_goes_with_it_and_nothing_else(scene: Scene) -> None:
    old, other, filed = registrable(), registrable(), folder(JAN, codes=(CT,), title="a folder")
    new = registrable()
    first = await scene.registers(
        old, other, folders=(filed,), associations=(relation(MEMBER, filed.entry_uuid, old.entry_uuid),)
    )
    second = await scene.registers(new, associations=(relation(RPLC, new.entry_uuid, old.entry_uuid),))
    await scene.administer.remove(old.unique_id, "ada", at=scene.at, metadata_only=True)
    left = scene.left()
    assert {other.entry_uuid, new.entry_uuid, filed.entry_uuid, first.submission_set.entry_uuid} <= left
    assert old.entry_uuid not in left
    assert all(
        old.entry_uuid not in (each.source, each.target) for each in scene.registry.memory.state.associations.values()
    )
    await scene.administer.remove(new.unique_id, "ada", at=scene.at, metadata_only=True)
    assert second.submission_set.entry_uuid not in scene.left()
    assert set(scene.registry.memory.state.documents) == {old.unique_id, other.unique_id, new.unique_id}


async def test_what_nobody_registered_is_not_removed(scene: Scene) -> None:
    with pytest.raises(UnknownDocument):
        await scene.administer.remove("1.2.3.4.5", "ada", at=scene.at)


async def test_the_bytes_go_where_they_are_kept(scene: Scene) -> None:
    document = registrable()
    await scene.registers(document)
    if not scene.at:
        await scene.administer.remove(document.unique_id, "ada")
        assert scene.left() == set(scene.ours.memory.state.documents) == set()
        return
    with pytest.raises(PeerRefused) as caught:  # to itself, this Region has another repository id
        await scene.administer.remove(document.unique_id, "ada", at="Region")
    assert caught.value.code == "XDSUnknownRepositoryId"
    assert scene.region.asked[-2:] == ["ITI-62", "ITI-86"]


@pytest.mark.parametrize("missing", ["repository", "endpoint"])
async def test_where_nobody_removes_the_bytes_nothing_is_removed(scene: Scene, missing: str) -> None:
    document = registrable()
    scene.at = "Region"
    await scene.registers(document)
    if missing == "repository":
        scene.region.peer = replace(scene.region.peer, repository_unique_ids=())
    else:
        scene.region.peer = replace(scene.region.peer, endpoints={"ITI-18": "x", "ITI-62": "x"})
    before = scene.left()
    with pytest.raises(UnknownRepository):
        await scene.administer.remove(document.unique_id, "ada", at="Region")
    assert scene.left() == before
    assert "ITI-62" not in scene.region.asked


async def test_a_refusal_leaves_our_registry_as_it_was() -> None:
    ours = await RegistryHouse().open()
    region = Region(await RegistryHouse().open())
    document = registrable()
    assert (await ours.ask(ITI_42, RegisterRequest(submission=brought(document)))).errors == ()

    class Stubborn(Removal):
        async def documents(self, requests: Sequence[Any], exchange: Any) -> None:
            raise RuleViolation("no", code="XDSRemoveDocumentsError")

    administer = Administer(
        house=HOUSE, store=ours.store, peers=region, directory=region, compute=InlineCompute(), clock=ours.clock,
        update=Update(house=HOUSE, clock=ours.clock), removal=Stubborn(house=HOUSE, compute=InlineCompute()),
        codes=SiteCodes,
    )  # type: ignore[arg-type]  # fmt: skip  # as above
    async with ours.store.unit() as work:
        staged = await MemoryObjects().stage(Content.of(b"%PDF", "application/pdf"))
        await work.documents.keep(document.unique_id, staged)
    with pytest.raises(RuleViolation):
        await administer.remove(document.unique_id, "ada")
    assert isinstance(ours.store, MemoryStore)
    assert document.entry_uuid in ours.memory.state.entries
    assert document.unique_id in ours.memory.state.documents
