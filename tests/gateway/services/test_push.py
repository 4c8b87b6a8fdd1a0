"""Pushed instances: one announcement for what belongs together, and none lost between archive and index."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.samples import SampleStudy, write_mr_study
from gateway.adapters.arrival import Reading
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryArchive
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Caller, Peer, UnknownPatientPolicy
from gateway.ports.store import Work
from gateway.services import push as push_room
from gateway.services.exchange import Exchange
from gateway.services.push import MOST_QUIET, QUIET, Push
from gateway.services.screen import bare
from profiles.errors import IdentityConflict, MalformedMessage, UnknownPatient
from profiles.model.content import Part, Pour
from profiles.model.identifiers import PatientIdentifier, Uid
from profiles.model.imaging import Study
from profiles.wia.rad108 import InstanceOutcome
from tests.support.clock import FixedClock
from tests.support.hl7 import HOUSE
from tests.support.registered import patient

WHOSE = PatientIdentifier(value="P1", authority=HOUSE.patient_authority)


@dataclass
class Scene:
    store: MemoryStore
    archive: MemoryArchive
    service: Push
    clock: FixedClock
    study: SampleStudy
    exchange: Exchange | None = None

    def files(self) -> list[Path]:
        return [instance.path for series in self.study.series for instance in series.instances]

    async def push(self, *files: Path, peer: Peer | None = None) -> tuple[InstanceOutcome, ...]:
        """One STOW-RS request."""
        return await self.bring(pour(files), peer)

    async def bring(self, parts: Pour, peer: Peer | None = None) -> tuple[InstanceOutcome, ...]:
        """The same, of parts as they come."""
        async with AsyncExitStack() as turn:
            work: list[Work] = []

            async def begin() -> Work:
                if not work:
                    work.append(await turn.enter_async_context(self.store.unit()))
                return work[0]

            self.exchange = Exchange(
                id=self.clock.new_uuid(), caller=Caller(peer=peer, network_address="127.0.0.1"), now=self.clock.now(),
                begin=begin,
            )  # fmt: skip
            return await self.service.store(parts, None, self.exchange)

    async def indexed(self) -> set[str]:
        """SOP Instance UIDs that can be seen."""
        async with self.store.view() as work:
            record = await work.studies.get(self.study.study_instance_uid)
            return {str(each.sop_instance_uid) for _, each in record.study.instances()} if record is not None else set()

    async def jobs(self) -> list[ExchangeJob]:
        async with self.store.view() as work:
            return list(await work.ledger.list(kinds=frozenset({Kind.STORE})))


async def pour(files: Sequence[Path], breaks: Exception | None = None) -> Pour:
    """These files; then it `breaks`."""

    async def chunks(path: Path) -> AsyncIterator[bytes]:
        yield path.read_bytes()

    for path in files:
        yield Part(key=path.name, chunks=chunks(path))
    if breaks is not None:
        raise breaks


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, store, compute = FixedClock(), MemoryStore(), ThreadCompute()
    reading = Reading(authority=HOUSE.patient_authority, zone=HOUSE.zone, system=HOUSE.name)
    archive = MemoryArchive(clock=clock, reading=reading)
    service = Push(house=HOUSE, store=store, archive=archive, clock=clock)
    async with store.unit() as work:
        await work.identity.put(patient(WHOSE), clock.now())
    study = write_mr_study(tmp_path, seed=3, patient=patient(WHOSE), instances=4, rows=32)
    yield Scene(store, archive, service, clock, study)
    compute.close()


async def test_several_requests_of_one_study_are_announced_once(scene: Scene) -> None:
    first, second, *rest = scene.files()
    await scene.push(first)
    await scene.push(second)
    await scene.push(*rest)
    (job,) = await scene.jobs()
    assert job.state is State.READY
    assert job.study_instance_uid == scene.study.study_instance_uid


async def test_what_comes_after_it_was_told_is_told_again(scene: Scene) -> None:
    first, *rest = scene.files()
    await scene.push(first)
    (job,) = await scene.jobs()
    async with scene.store.unit() as work:
        for event in (Event.STARTED, Event.COMPLETE, Event.ANNOUNCED):
            await work.ledger.advance(job.id, event, scene.clock.now())
    await scene.push(*rest)
    assert {each.state for each in await scene.jobs()} == {State.DONE, State.READY}


async def test_the_same_again_is_not_told_again(scene: Scene) -> None:
    await scene.push(*scene.files())
    (job,) = await scene.jobs()
    async with scene.store.unit() as work:
        for event in (Event.STARTED, Event.COMPLETE, Event.ANNOUNCED):
            await work.ledger.advance(job.id, event, scene.clock.now())
    await scene.push(*scene.files())
    assert [each.state for each in await scene.jobs()] == [State.DONE]


async def test_what_a_crash_left_in_the_archive_without_index_is_told_when_it_is_sent_again(scene: Scene) -> None:
    """The archive had it, the index did not: nothing was acknowledged, and the resend is news to everybody."""
    async for _ in scene.archive.store(pour(tuple(scene.files()))):
        pass
    await scene.push(*scene.files())
    (job,) = await scene.jobs()
    assert job.state is State.READY


async def test_more_of_a_study_that_is_held_joins_it(scene: Scene, tmp_path: Path) -> None:
    stranger = patient(PatientIdentifier(value="S9", authority=HOUSE.patient_authority), family="Stranger")
    scene.study = write_mr_study(tmp_path / "stranger", seed=5, patient=stranger, instances=2, rows=32)
    first, second = scene.files()
    await scene.push(first)
    await scene.push(second)
    (job,) = await scene.jobs()
    assert job.state is State.HELD
    assert job.reason


# --- a push that is larger than a batch ---------------------------------------------------------------------------------


def uids(study: SampleStudy) -> list[str]:
    return [str(each.sop_instance_uid) for each in study.instances]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_room, "BATCH_INSTANCES", 2)


async def test_a_push_of_many_batches_is_answered_and_told_as_one(scene: Scene, small_batches: None) -> None:
    told = await scene.push(*scene.files())
    assert [each.sop_instance_uid for each in told] == uids(scene.study)
    assert {each.study_instance_uid for each in told} == {scene.study.study_instance_uid}
    assert {each.series_instance_uid for each in told} == {scene.study.series[0].series_instance_uid}
    assert await scene.indexed() == set(uids(scene.study))
    (job,) = await scene.jobs()
    assert scene.exchange is not None
    assert (job.state, job.id, job.due_at) == (State.READY, scene.exchange.id, scene.clock.now() + QUIET)
    learned = scene.exchange.learned
    (fact,) = learned.studies
    assert (learned.text, learned.created, learned.patients) == ("4 instances archived", True, (WHOSE,))
    assert sum(count for _, count in fact.sop_classes) == 4


async def test_a_batch_ends_with_much_metadata_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_room, "BATCH_BYTES", 1)
    with pytest.raises(MalformedMessage):
        await scene.bring(pour(scene.files()[:1], MalformedMessage("the request broke off")))
    assert await scene.indexed() == set(uids(scene.study)[:1])


async def test_a_push_that_breaks_off_leaves_whole_batches_and_who_tells_of_them(
    scene: Scene, small_batches: None
) -> None:
    """What came after the last batch is in the archive alone: start-up names it, and it is news when it is sent again."""
    with pytest.raises(MalformedMessage):
        await scene.bring(pour(scene.files()[:3], MalformedMessage("the request broke off")))
    assert await scene.indexed() == set(uids(scene.study)[:2])
    (job,) = await scene.jobs()
    assert scene.exchange is not None
    assert (job.state, job.due_at) == (State.READY, scene.clock.now() + MOST_QUIET)
    assert job.id != scene.exchange.id  # the turn that failed is an exchange of its own
    assert scene.exchange.learned.studies[0].sop_classes[0][1] == 2
    await scene.push(*scene.files())
    assert await scene.indexed() == set(uids(scene.study))
    (job,) = await scene.jobs()
    assert (job.state, job.due_at) == (State.READY, scene.clock.now() + QUIET)


async def test_the_same_again_in_many_batches_is_not_told_again(scene: Scene, small_batches: None) -> None:
    await scene.push(*scene.files())
    (job,) = await scene.jobs()
    async with scene.store.unit() as work:
        for event in (Event.STARTED, Event.COMPLETE, Event.ANNOUNCED):
            await work.ledger.advance(job.id, event, scene.clock.now())
    await scene.push(*scene.files())
    assert [each.state for each in await scene.jobs()] == [State.DONE]


async def test_what_comes_after_it_was_told_in_the_middle_of_a_push_is_told_again(
    scene: Scene, small_batches: None
) -> None:
    """A sender that is slower than `MOST_QUIET`: what is here is told of, and the rest when it is here."""
    files = scene.files()

    async def slow() -> Pour:
        async for part in pour(files[:2]):
            yield part
        async for part in pour(files[2:3]):
            (job,) = await scene.jobs()
            async with scene.store.unit() as work:
                for event in (Event.STARTED, Event.COMPLETE, Event.ANNOUNCED):
                    await work.ledger.advance(job.id, event, scene.clock.now())
            yield part

    await scene.bring(slow())
    assert {each.state for each in await scene.jobs()} == {State.DONE, State.READY}


async def test_a_refused_push_of_many_batches_changes_nothing_in_the_index(
    scene: Scene, small_batches: None, tmp_path: Path
) -> None:
    stranger = patient(PatientIdentifier(value="S9", authority=HOUSE.patient_authority), family="Stranger")
    scene.study = write_mr_study(tmp_path / "stranger", seed=5, patient=stranger, instances=4, rows=32)
    strict = Peer(name="Strict", unknown_patient=UnknownPatientPolicy.REJECT)
    told = await scene.push(*scene.files(), peer=strict)
    assert all(isinstance(each.error, UnknownPatient) for each in told)
    assert await scene.indexed() == set()
    assert await scene.jobs() == []
    assert scene.exchange is not None
    assert (scene.exchange.learned.failed, scene.exchange.learned.studies) == (True, ())


async def test_a_study_of_another_patient_keeps_out_all_batches(scene: Scene, small_batches: None) -> None:
    """The index says so, where two pushes of one study were let in at the same time."""
    other = PatientIdentifier(value="P2", authority=HOUSE.patient_authority)
    async with scene.store.unit() as work:
        await work.identity.put(patient(other), scene.clock.now())

    async def taken() -> Pour:
        async for part in pour(scene.files()):
            yield part
            async with scene.store.unit() as work:  # the first was let in already
                theirs = Study(study_instance_uid=Uid(scene.study.study_instance_uid), patient=patient(other))
                await work.studies.expect(theirs, "", scene.clock.now())

    told = await scene.bring(taken())
    assert all(isinstance(each.error, IdentityConflict) for each in told)
    assert {each.study_instance_uid for each in told} == {scene.study.study_instance_uid}
    assert await scene.indexed() == set()
    assert await scene.jobs() == []


async def test_an_error_that_is_told_later_does_not_hold_what_came() -> None:
    def fails(_: bytes) -> None:
        raise MalformedMessage("it is not DICOM") from KeyError("where")

    with pytest.raises(MalformedMessage) as raised:
        fails(bytes(1000))
    assert raised.value.__traceback__ is not None
    told = bare(raised.value)
    assert (told.__traceback__, told.__cause__, told.__context__) == (None, None, None)
    assert told.detail == "it is not DICOM"
