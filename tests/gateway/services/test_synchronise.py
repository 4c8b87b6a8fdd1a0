"""Synchronise: what an archive behind us has becomes ours, and answers say so until it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.adapters.memory import MemoryStore
from gateway.model.house import House
from gateway.model.job import ExchangeJob, Kind, State
from gateway.model.study import StudyStatus
from gateway.ports.studies import ArrivedInstance, Origin
from gateway.services.follow import Follow
from gateway.services.search import Search
from gateway.services.synchronise import Synchronise
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Study
from tests.support.clock import FixedClock
from tests.support.registered import arrived, instance, patient, series, study

OWN, THEIRS = Oid("1.2.3.4"), Oid("1.2.9.9")
HOUSE = House(
    name="Valley", home_community_id=Oid("1.2.3.1"), repository_unique_id=Oid("1.2.3.2"),
    retrieve_location_uid=Oid("1.2.3.3"), source_id=Oid("1.2.3.2"), patient_authority=OWN, affinity_authority=None,
    zone=ZoneInfo("UTC"), base_url="http://localhost", ae_title="RADGATE", hl7_application="RADGATE",
    hl7_facility="VALLEY", process_id="1", network_address="localhost",
)  # fmt: skip


def held(uid: str, authority: Oid) -> Study:
    whose = patient(PatientIdentifier(value="P1", authority=authority))
    return study(uid, series(f"{uid}.1", instance(f"{uid}.1.1"), instance(f"{uid}.1.2")), of=whose)


class Foreign:
    """An archive with some studies; remembers of which it was asked for everything."""

    def __init__(self, *studies: Study) -> None:
        self.studies = studies
        self.read: list[str] = []

    async def index(self, known: Callable[[str, int | None], Awaitable[bool]]) -> AsyncIterator[ArrivedInstance]:
        for each in self.studies:
            if await known(each.study_instance_uid, each.instance_count):
                continue
            self.read.append(each.study_instance_uid)
            for one in arrived(each):
                yield one


async def run(store: MemoryStore, synchronise: Synchronise) -> None:
    """Claim what is due and run it, as the job runner does."""
    async with store.unit() as work:
        (job,) = await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.READY}), limit=1)
    follow = Follow(
        store=store, rewrite=None, transfer=None, collect=None, publish=None, notify=None, inform=None,  # type: ignore[arg-type]  # not asked here
        rules=(), synchronise=synchronise, clock=CLOCK, system="radgate",
    )  # fmt: skip
    await follow.run(job)


CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


async def jobs(store: MemoryStore) -> list[ExchangeJob]:
    async with store.view() as work:
        return list(await work.ledger.list(kinds=frozenset({Kind.INDEX})))


async def test_what_the_archive_has_is_ours_after_one_walk() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    synchronise = Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK)
    await synchronise.begin()
    await run(store, synchronise)
    async with store.view() as work:
        for uid in ("1.2.50.1", "1.2.50.2"):
            record = await work.studies.get(uid)
            assert record is not None
            assert record.status is StudyStatus.AVAILABLE
            assert record.study.instance_count == 2
        assert await work.identity.get(PatientIdentifier(value="P1", authority=OWN)) is not None


async def test_somebody_elses_patient_stays_hidden() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.3", THEIRS))
    synchronise = Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK)
    await synchronise.begin()
    await run(store, synchronise)
    async with store.view() as work:
        record = await work.studies.get("1.2.50.3")
        assert record is not None
        assert record.status is StudyStatus.UNKNOWN
        assert await work.identity.get(PatientIdentifier(value="P1", authority=THEIRS)) is None


async def test_answers_say_that_the_index_is_not_complete_until_it_is() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN))
    synchronise = Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK)
    search = Search(store=store, notice=lambda: synchronise.notice)
    await synchronise.begin()
    assert "not complete" in search.warnings[0]
    await run(store, synchronise)
    assert search.warnings == ()


async def test_the_next_walk_is_due_later_and_passes_over_what_is_known() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN))
    synchronise = Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK)
    await synchronise.begin()
    await run(store, synchronise)
    following, done = await jobs(store)
    assert (following.state, done.state) == (State.READY, State.DONE)
    assert following.due_at is not None
    assert following.due_at > CLOCK.now()
    await run(store, synchronise)
    assert archive.read == ["1.2.50.1"]


async def test_what_is_hidden_counts_as_known_and_stays_hidden_when_the_archive_tells_of_it() -> None:
    uid = "1.2.50.1"
    store, whole = MemoryStore(), held(uid, OWN)
    async with store.unit() as work:
        await work.studies.expect(whole, "Lakeside", CLOCK.now(), ("1.2.77",))
        await work.studies.add(arrived(whole), whole.patient, "Lakeside", CLOCK.now(), Origin.FETCHED)
        await work.studies.withdraw(("1.2.77",), (), "1.2.78", CLOCK.now())
    archive = Foreign(whole)
    synchronise = Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK)
    await synchronise.begin()
    await run(store, synchronise)
    assert archive.read == []
    archive.studies = (replace(whole, series=(*whole.series, series(f"{uid}.2", instance(f"{uid}.2.1")))),)
    await run(store, synchronise)
    assert archive.read == [uid]
    async with store.view() as work:
        record = await work.studies.get(uid)
        assert record is not None
        assert [one.sop_instance_uid for _, one in record.study.instances()] == [f"{uid}.2.1"]
        assert record.status is StudyStatus.AVAILABLE
        assert len(await work.studies.withdrawn(uid)) == 2


async def test_a_restart_goes_on_with_the_walk_that_was_not_finished() -> None:
    store, archive = MemoryStore(), Foreign()
    await Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK).begin()
    await Synchronise(house=HOUSE, store=store, archive=archive, clock=CLOCK).begin()
    assert len(await jobs(store)) == 1
