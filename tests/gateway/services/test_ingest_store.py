"""Pushed instances: one announcement for what belongs together, and none lost between archive and index."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.samples import SampleStudy, write_mr_study
from gateway.adapters.arrival import Reading
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory_archive import MemoryArchive, MemoryObjects
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Caller
from gateway.services.exchange import Exchange
from gateway.services.ingest import Ingest, claimed_patient
from profiles.model.content import Part, Pour
from profiles.model.document import DocumentEntry
from profiles.model.identifiers import Oid, PatientIdentifier, Uid
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from tests.support.clock import FixedClock
from tests.support.hl7 import HOUSE
from tests.support.registered import entry, patient

WHOSE = PatientIdentifier(value="P1", authority=HOUSE.patient_authority)


@dataclass
class Scene:
    store: MemoryStore
    archive: MemoryArchive
    ingest: Ingest
    clock: FixedClock
    study: SampleStudy

    def files(self) -> list[Path]:
        return [instance.path for series in self.study.series for instance in series.instances]

    async def push(self, *files: Path) -> None:
        """One STOW-RS request."""
        async with self.store.unit() as work:

            async def begin() -> object:
                return work

            exchange = Exchange(
                id=self.clock.new_uuid(), caller=Caller(peer=None, network_address="127.0.0.1"), now=self.clock.now(),
                begin=begin,  # type: ignore[arg-type]  # the unit of this test
            )  # fmt: skip
            await self.ingest.store(pour(files), None, exchange)

    async def jobs(self) -> list[ExchangeJob]:
        async with self.store.view() as work:
            return list(await work.ledger.list(kinds=frozenset({Kind.STORE})))


async def pour(files: tuple[Path, ...]) -> Pour:
    async def chunks(path: Path) -> AsyncIterator[bytes]:
        yield path.read_bytes()

    for path in files:
        yield Part(key=path.name, chunks=chunks(path))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, store, compute = FixedClock(), MemoryStore(), ThreadCompute()
    reading = Reading(authority=HOUSE.patient_authority, zone=HOUSE.zone, system=HOUSE.name)
    archive = MemoryArchive(clock=clock, reading=reading)
    ingest = Ingest(house=HOUSE, store=store, archive=archive, objects=MemoryObjects(), compute=compute, clock=clock)
    async with store.unit() as work:
        await work.identity.put(patient(WHOSE), clock.now())
    study = write_mr_study(tmp_path, seed=3, patient=patient(WHOSE), instances=4, rows=32)
    yield Scene(store, archive, ingest, clock, study)
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


# --- who it is, as the sender says -------------------------------------------------------------------------------------

THEIRS, ELSEWHERE = Oid("1.2.4.4"), Oid("1.2.4.9")


def claiming(**told: object) -> tuple[DocumentEntry, Manifest]:
    """An entry that says this of its patient, and a manifest of Mallory Moe."""
    moe = Patient(
        identifiers=(WHOSE, PatientIdentifier(value="M", authority=THEIRS)), name=PersonName(family="Moe"),
        birth_date=Moment.from_dtm("19610417"),
    )  # fmt: skip
    manifest = Manifest(
        sop_instance_uid=Uid("1.2.1"), series_instance_uid=Uid("1.2.2"), created=Moment.from_dtm("20260301"),
        patient=moe, studies=(),
    )  # fmt: skip
    return entry(WHOSE, **told), manifest


def test_every_id_that_was_given_counts_once_and_the_metadatas_come_first() -> None:
    document, manifest = claiming(source_patient_id=PatientIdentifier(value="S", authority=ELSEWHERE))
    named = PatientIdentifier(value="N", authority=ELSEWHERE)
    claimed = claimed_patient(document, manifest, (named,))
    assert [each.value for each in claimed.identifiers] == ["N", "P1", "S", "M"]
    assert [each.value for each in claimed_patient(None, None, (named,)).identifiers] == ["N"]


@pytest.mark.parametrize(
    ("told", "family"),
    [
        (None, "Moe"),
        (Patient(identifiers=()), "Moe"),
        (Patient(identifiers=(), name=PersonName(family="Doe")), "Doe"),
        (Patient(identifiers=(), birth_date=Moment.from_dtm("1961")), ""),  # two halves may be of two persons
    ],
)
def test_demographics_are_the_metadatas_or_the_manifests_and_never_mixed(told: Patient | None, family: str) -> None:
    claimed = claimed_patient(*claiming(source_patient=told))
    assert claimed.name.family == family
    assert (claimed.birth_date == Moment.from_dtm("19610417")) is (family == "Moe")
