"""Synchronise: what an archive behind us has becomes ours, and answers say so until it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.peers import StaticDirectory
from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.study import StudyStatus
from gateway.ports.store import Work
from gateway.ports.studies import ArrivedInstance, Glimpse, Origin
from gateway.services.follow import Follow
from gateway.services.operations import Operations
from gateway.services.search import Search
from gateway.services.synchronise import Synchronise
from profiles.errors import Busy
from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier
from profiles.model.imaging import Study
from profiles.model.patient import Patient, PersonName
from profiles.model.query import StudyCriteria
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


@pytest.fixture
async def compute() -> AsyncIterator[ThreadCompute]:
    made = ThreadCompute()
    yield made
    made.close()


CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


async def nothing(work: Work) -> None:
    """What the first walk found is nobody's business here."""


class Foreign:
    """An archive with some studies; remembers of which it was asked for everything. `shy` ones are not among the pages."""

    def __init__(self, *studies: Study) -> None:
        self.studies = studies
        self.read: list[str] = []
        self.shy: set[str] = set()
        self.written: dict[str, str] = {}
        self.bared: list[str] = []

    async def listed(self, study_instance_uid: str) -> frozenset[str]:
        every = [each for each in self.studies if each.study_instance_uid == study_instance_uid]
        return frozenset(str(one.sop_instance_uid) for each in every for _, one in each.instances())

    async def bare(self, study_instance_uid: str) -> None:
        self.bared.append(study_instance_uid)

    async def index(
        self, known: Callable[[Glimpse], Awaitable[bool]], *, study: str = "", patient: str = ""
    ) -> AsyncIterator[ArrivedInstance]:
        for each in self.studies:
            uid = str(each.study_instance_uid)
            ids = [one.value for one in each.patient.identifiers]
            if uid in self.shy or study not in ("", uid) or (patient and patient not in ids):
                continue
            said = f"{each.description} {each.accession_numbers} {each.started}"
            glimpse = Glimpse(
                study_instance_uid=uid, patient=each.patient, instances=each.instance_count, said=said,
                updated=self.written.get(uid, ""),
            )  # fmt: skip
            if await known(glimpse):
                continue
            self.read.append(each.study_instance_uid)
            for one in arrived(each):
                yield one


def keeping(
    store: MemoryStore,
    archive: Foreign,
    clock: FixedClock = CLOCK,
    walked: Callable[[Work], Awaitable[None]] = nothing,
    holds: bool = False,
) -> Synchronise:
    return Synchronise(
        house=HOUSE, store=store, archive=archive, clock=clock, per_minute=60, walked=walked,
        again=timedelta(minutes=15), late=timedelta(minutes=10), holds=holds,
    )  # fmt: skip


async def run(store: MemoryStore, synchronise: Synchronise) -> None:
    """Claim what is due and run it, as the job runner does."""
    async with store.unit() as work:
        (job,) = await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.READY}), limit=1)
    await follow_with(store, synchronise, CLOCK).run(job)


def follow_with(store: MemoryStore, synchronise: Synchronise | None, clock: FixedClock) -> Follow:
    nobody: Any = None  # is not asked here
    return Follow(
        store=store, rewrite=nobody, transfer=nobody, collect=nobody, publish=nobody, notify=nobody, backfill=nobody,
        snapshots=nobody, inform=nobody, discover=nobody, lookup=nobody, rules=(), synchronise=synchronise,
        clock=clock, system="radgate",
    )  # fmt: skip


async def jobs(store: MemoryStore) -> list[ExchangeJob]:
    async with store.view() as work:
        return list(await work.ledger.list(kinds=frozenset({Kind.INDEX})))


async def test_a_walk_of_an_archive_that_is_not_behind_us_any_more_is_cancelled() -> None:
    store = MemoryStore()
    await keeping(store, Foreign(held("1.2.50.1", OWN))).begin()
    (job,) = await jobs(store)
    await follow_with(store, None, CLOCK).run(job)
    (ended,) = await jobs(store)
    assert (ended.state, ended.reason) == (State.CANCELLED, "the archive is this house's own now")


async def test_what_the_archive_has_is_ours_after_one_walk() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    synchronise = keeping(store, archive)
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
    synchronise = keeping(store, archive)
    await synchronise.begin()
    await run(store, synchronise)
    async with store.view() as work:
        record = await work.studies.get("1.2.50.3")
        assert record is not None
        assert record.status is StudyStatus.UNKNOWN
        assert await work.identity.get(PatientIdentifier(value="P1", authority=THEIRS)) is None


async def test_answers_say_that_the_index_is_not_complete_until_it_is() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN))
    synchronise = keeping(store, archive)
    search = Search(store=store, notice=lambda: synchronise.notice)
    await synchronise.begin()
    assert "not complete" in search.warnings[0]
    await run(store, synchronise)
    assert search.warnings == ()


async def test_the_next_walk_is_due_later_and_passes_over_what_is_known() -> None:
    store, archive = MemoryStore(), Foreign(held("1.2.50.1", OWN))
    synchronise = keeping(store, archive)
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
    synchronise = keeping(store, archive)
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
    await keeping(store, archive).begin()
    await keeping(store, archive).begin()
    assert len(await jobs(store)) == 1


# --- what walks find after the first one ------------------------------------------------------------------------------


class Walked:
    """A house that has walked through its archive once; time is then later than anything is late."""

    def __init__(self, *studies: Study, holds: bool = False) -> None:
        self.store, self.archive, self.clock = MemoryStore(), Foreign(*studies), FixedClock(CLOCK.now())
        self.ended = 0
        self.synchronise = keeping(self.store, self.archive, self.clock, self.end, holds)

    async def end(self, work: Work) -> None:
        self.ended += 1

    async def walk(self) -> ExchangeJob:
        """Again; what became of it."""
        async with self.store.unit() as work:
            (job,) = await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.READY}), limit=1)
        await follow_with(self.store, self.synchronise, self.clock).run(job)
        self.clock.advance(3600)
        async with self.store.view() as work:
            after = await work.ledger.get(job.id)
        assert after is not None
        return after

    async def told(self) -> list[tuple[str, str]]:
        """Studies that the rules were told of, and what of them, the first one first."""
        async with self.store.view() as work:
            jobs = await work.ledger.list(kinds=frozenset({Kind.KEEP}), limit=1000)
        return [(each.study_instance_uid, *each.texts("when")) for each in reversed(jobs)]

    async def status(self, uid: str) -> StudyStatus:
        async with self.store.view() as work:
            record = await work.studies.get(uid)
        assert record is not None
        return record.status


async def walked(*studies: Study) -> Walked:
    here = Walked(*studies)
    await here.synchronise.begin()
    await here.walk()
    return here


async def test_the_first_walk_tells_the_rules_nothing_and_ends_with_what_follows_it() -> None:
    here = await walked(held("1.2.50.1", OWN))
    assert (await here.told(), here.ended) == ([], 1)
    await here.walk()
    assert (await here.told(), here.ended) == ([], 1)


async def test_a_study_that_is_new_in_the_archive_is_told_to_the_rules_once() -> None:
    here = await walked(held("1.2.50.1", OWN))
    here.archive.studies += (held("1.2.50.2", OWN),)
    await here.walk()
    await here.walk()
    assert await here.told() == [("1.2.50.2", "study.available")]


async def test_somebody_elses_new_study_is_not_told() -> None:
    here = await walked()
    here.archive.studies = (held("1.2.50.2", THEIRS),)
    await here.walk()
    assert await here.told() == []


async def test_new_instances_of_a_known_study_are_told_to_the_rules() -> None:
    here = await walked(held("1.2.50.1", OWN))
    (before,) = here.archive.studies
    more = replace(before.series[0], instances=(*before.series[0].instances, instance("1.2.50.1.1.3")))
    here.archive.studies = (replace(before, series=(more,)),)
    await here.walk()
    assert await here.told() == [("1.2.50.1", "study.available")]


async def test_many_studies_at_once_are_told_no_faster_than_the_rate() -> None:
    here = await walked()
    here.archive.studies = tuple(held(f"1.2.50.{number}", OWN) for number in range(1, 6))
    at = here.clock.now()
    await here.walk()
    async with here.store.view() as work:
        jobs = await work.ledger.list(kinds=frozenset({Kind.KEEP}))
    assert sorted((each.due_at or at) - at for each in jobs) == [timedelta(seconds=number) for number in range(5)]


async def test_a_deleted_study_is_cancelled_and_told() -> None:
    here = await walked(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    here.archive.studies = here.archive.studies[:1]
    await here.walk()
    assert await here.status("1.2.50.2") is StudyStatus.CANCELLED
    assert await here.told() == [("1.2.50.2", "study.gone")]
    await here.walk()
    assert len(await here.told()) == 1


async def test_a_study_that_comes_back_is_available_and_told() -> None:
    here = await walked(held("1.2.50.1", OWN))
    kept, here.archive.studies = here.archive.studies, ()
    await here.walk()
    here.archive.studies = kept
    await here.walk()
    assert await here.status("1.2.50.1") is StudyStatus.AVAILABLE
    assert await here.told() == [("1.2.50.1", "study.gone"), ("1.2.50.1", "study.available")]


async def test_a_rejected_instance_is_seen_no_more_and_told_as_a_change() -> None:
    here = await walked(held("1.2.50.1", OWN))
    (before,) = here.archive.studies
    here.archive.studies = (
        replace(before, series=(replace(before.series[0], instances=before.series[0].instances[:1]),)),
    )
    await here.walk()
    async with here.store.view() as work:
        record = await work.studies.get("1.2.50.1")
    assert record is not None
    assert (record.status, record.study.instance_count) == (StudyStatus.AVAILABLE, 1)
    assert await here.told() == [("1.2.50.1", "study.changed")]


async def test_a_study_that_was_only_not_among_the_pages_is_not_gone() -> None:
    here = await walked(held("1.2.50.1", OWN))
    here.archive.shy = {"1.2.50.1"}
    await here.walk()
    assert await here.status("1.2.50.1") is StudyStatus.AVAILABLE
    assert await here.told() == []


async def test_what_was_stored_just_now_is_not_gone_because_the_archive_is_late() -> None:
    here = await walked()
    async with here.store.unit() as work:
        fresh = held("1.2.50.7", OWN)
        await work.studies.add(arrived(fresh), fresh.patient, "Lakeside", here.clock.now())
    await here.walk()
    assert await here.status("1.2.50.7") is StudyStatus.AVAILABLE
    await here.walk()
    assert await here.status("1.2.50.7") is StudyStatus.CANCELLED


async def test_an_archive_that_has_lost_nearly_everything_is_looked_at_by_a_person_first() -> None:
    here = await walked(*(held(f"1.2.50.{number}", OWN) for number in range(1, 31)))
    here.archive.studies = here.archive.studies[:5]
    stopped = await here.walk()
    assert stopped.state is State.FAILED
    assert "does not have 25 of 30 studies any more; nothing was changed" in stopped.reason
    assert "archive.url" in stopped.cure
    assert await here.status("1.2.50.30") is StudyStatus.AVAILABLE
    async with here.store.unit() as work:
        await work.ledger.advance(stopped.id, Event.RELEASED, here.clock.now())
    assert (await here.walk()).state is State.DONE
    assert await here.status("1.2.50.30") is StudyStatus.CANCELLED
    assert len(await here.told()) == 25


async def test_a_study_without_a_patient_id_is_passed_over_and_counted() -> None:
    here = Walked(replace(held("1.2.50.1", OWN), patient=patient()), held("1.2.50.2", OWN))
    here.archive.studies = (replace(here.archive.studies[0], patient=Patient(identifiers=())), here.archive.studies[1])
    await here.synchronise.begin()
    done = await here.walk()
    async with here.store.view() as work:
        assert await work.studies.get("1.2.50.1") is None
        assert await work.studies.get("1.2.50.2") is not None
        (step,) = await work.ledger.timeline(done.id)
    assert step.text.endswith("1 without a patient id were passed over")


async def waiting(here: Walked) -> list[ExchangeJob]:
    async with here.store.view() as work:
        return list(await work.ledger.list(states=frozenset({State.HELD})))


async def test_a_study_of_somebody_elses_patient_is_listed_once_where_it_would_be_published() -> None:
    here = Walked(held("1.2.50.1", THEIRS), held("1.2.50.2", OWN), holds=True)
    await here.synchronise.begin()
    await here.walk()
    (job,) = await waiting(here)
    assert (job.kind, job.study_instance_uid) == (Kind.STORE, "1.2.50.1")
    assert job.reason
    assert job.cure
    (before,) = (each for each in here.archive.studies if each.study_instance_uid == "1.2.50.1")
    more = replace(before.series[0], instances=(*before.series[0].instances, instance("1.2.50.1.1.3")))
    here.archive.studies = (replace(before, series=(more,)),)
    await here.walk()
    assert [each.id for each in await waiting(here)] == [job.id]


async def test_nothing_is_listed_where_nothing_is_published() -> None:
    here = await walked(held("1.2.50.1", THEIRS))
    assert await waiting(here) == []


async def test_a_held_study_of_the_archive_goes_to_the_patient_that_a_person_names(compute: ThreadCompute) -> None:
    here = Walked(held("1.2.50.1", THEIRS), holds=True)
    whose = patient(PatientIdentifier(value="V7", authority=OWN), family="Roe")
    async with here.store.unit() as work:
        await work.identity.put(whose, here.clock.now())
    await here.synchronise.begin()
    await here.walk()
    (job,) = await waiting(here)
    operations = Operations(
        house=HOUSE, store=here.store, compute=compute, clock=here.clock, directory=StaticDirectory((), {}),
        wake=lambda: None,
    )  # fmt: skip
    assert (await operations.release(job.id, "ann", whose.identifiers[0])).state is State.READY
    assert await here.status("1.2.50.1") is StudyStatus.AVAILABLE


# --- what the archive corrects ----------------------------------------------------------------------------------------


async def corrected(here: Walked, **said: Any) -> None:
    """The archive says something else of its first study; the house walks again."""
    first, *rest = here.archive.studies
    here.archive.studies = (replace(first, **said), *rest)
    await here.walk()


async def shown(here: Walked, uid: str = "1.2.50.1") -> Study:
    async with here.store.view() as work:
        record = await work.studies.get(uid)
    assert record is not None
    return record.study


NUMBER = (AccessionNumber(value="A1", authority=None),)


async def test_a_corrected_description_and_number_stand_in_the_place_of_what_was_said_and_are_told_once() -> None:
    here = await walked(replace(held("1.2.50.1", OWN), description="Hnad", accession_numbers=NUMBER))
    await corrected(here, description="Hand", accession_numbers=(replace(NUMBER[0], value="A2"),))
    found = await shown(here)
    assert (found.description, [each.value for each in found.accession_numbers]) == ("Hand", ["A2"])
    assert await here.told() == [("1.2.50.1", "study.changed")]
    await here.walk()
    assert here.archive.read == ["1.2.50.1", "1.2.50.1"]
    assert len(await here.told()) == 1


async def test_a_correction_that_no_search_tells_is_noticed_where_the_archive_says_when_it_was_written() -> None:
    here = await walked(held("1.2.50.1", OWN))
    here.archive.written["1.2.50.1"] = "20260102T030405"
    await corrected(here, procedure_codes=(Code(value="CTCHEST", system="99LOCAL", display="Chest"),))
    assert [code.value for code in (await shown(here)).procedure_codes] == ["CTCHEST"]
    assert await here.told() == [("1.2.50.1", "study.changed")]


async def test_what_was_written_again_as_it_was_is_told_to_nobody() -> None:
    here = await walked(held("1.2.50.1", OWN))
    here.archive.written["1.2.50.1"] = "20260102T030405"
    await here.walk()
    assert here.archive.read == ["1.2.50.1", "1.2.50.1"]
    assert await here.told() == []


async def test_a_study_that_came_by_us_is_not_read_for_the_first_thing_that_is_told_of_it() -> None:
    here = await walked()
    fresh = held("1.2.50.1", OWN)
    async with here.store.unit() as work:
        await work.identity.put(fresh.patient, here.clock.now())
        await work.studies.add(arrived(fresh), fresh.patient, "", here.clock.now())
    here.archive.studies = (fresh,)
    await here.walk()
    assert here.archive.read == []
    await corrected(here, description="Hand")
    assert here.archive.read == ["1.2.50.1"]
    assert (await shown(here)).description == "Hand"


async def test_a_corrected_name_reaches_every_study_of_a_patient_whom_only_the_archive_has_told() -> None:
    here = await walked(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    whose = here.archive.studies[0].patient
    await corrected(here, patient=replace(whose, name=PersonName(family="Quill", given="Zeb")))
    for uid in ("1.2.50.1", "1.2.50.2"):
        assert (await shown(here, uid)).patient.name.family == "Quill"
    assert sorted(await here.told()) == [("1.2.50.1", "study.changed"), ("1.2.50.2", "study.changed")]


async def test_a_name_that_a_feed_has_told_stands_against_the_archive() -> None:
    here = await walked(held("1.2.50.1", OWN))
    whose = here.archive.studies[0].patient
    async with here.store.unit() as work:
        fed = await work.identity.put(replace(whose, name=PersonName(family="Fed")), here.clock.now())
        await work.studies.refresh(fed, here.clock.now())
    await corrected(here, patient=replace(whose, name=PersonName(family="Quill")))
    assert (await shown(here)).patient.name.family == "Fed"
    async with here.store.view() as work:
        kept = await work.identity.get(whose.identifiers[0])
    assert kept is not None
    assert kept.name.family == "Fed"


async def test_a_study_with_another_patient_id_is_that_patients_from_then_on() -> None:
    here = await walked(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    other = patient(PatientIdentifier(value="P2", authority=OWN), family="Roe")
    await corrected(here, patient=other)
    assert (await shown(here)).patient.identifiers == other.identifiers
    assert (await shown(here, "1.2.50.2")).patient.identifiers != other.identifiers
    assert await here.told() == [("1.2.50.1", "study.changed")]
    assert here.archive.bared == ["1.2.50.1"]
    async with here.store.view() as work:
        of_other = StudyCriteria(patient_ids=(("P2", OWN),))
        page = await work.studies.search(of_other)
    assert [each.study.study_instance_uid for each in page.records] == ["1.2.50.1"]


async def test_a_study_that_gets_an_id_of_nobody_here_is_hidden_told_and_held() -> None:
    here = Walked(held("1.2.50.1", OWN), holds=True)
    await here.synchronise.begin()
    await here.walk()
    await corrected(here, patient=patient(PatientIdentifier(value="X9", authority=THEIRS)))
    assert await here.status("1.2.50.1") is StudyStatus.UNKNOWN
    assert await here.told() == [("1.2.50.1", "study.changed")]
    (job,) = await waiting(here)
    assert (job.kind, job.study_instance_uid) == (Kind.STORE, "1.2.50.1")


@pytest.mark.parametrize("arrived_first", [0, 1])
async def test_an_archive_in_the_middle_of_moving_a_study_is_looked_at_again(arrived_first: int) -> None:
    """Its search tells of the new patient, and some of the study, or all, of the one before."""
    here = await walked(held("1.2.50.1", OWN))
    (before,) = here.archive.studies
    one, two = before.series[0].instances
    other = patient(PatientIdentifier(value="P2", authority=OWN), family="Roe")

    def part(whose: Patient, kept: Any) -> Study:
        return replace(before, patient=whose, series=(replace(before.series[0], instances=(kept,)),))

    halves = (part(other if arrived_first else before.patient, one), part(before.patient, two))

    class Halfway(Foreign):
        async def index(
            self, known: Callable[[Glimpse], Awaitable[bool]], *, study: str = "", patient: str = ""
        ) -> AsyncIterator[ArrivedInstance]:
            listed = Glimpse(study_instance_uid="1.2.50.1", patient=other, instances=2)
            if not await known(listed):
                for half in halves:
                    for each in arrived(half):
                        yield each

    whole = here.archive
    here.synchronise._archive = Halfway(before)
    await here.walk()
    assert (await shown(here)).patient.identifiers == before.patient.identifiers
    here.synchronise._archive = whole
    await corrected(here, patient=other)
    assert (await shown(here)).patient.identifiers == other.identifiers


async def test_a_study_that_a_merge_has_given_to_another_stays_theirs_when_its_description_is_corrected() -> None:
    here = await walked(held("1.2.50.1", OWN))
    survivor = patient(PatientIdentifier(value="P7", authority=OWN), family="Roe")
    async with here.store.unit() as work:
        await work.identity.put(survivor, here.clock.now())
        gone = here.archive.studies[0].patient.identifiers[0]
        merged = await work.identity.merge(gone, survivor.identifiers[0], here.clock.now())
        await work.studies.merge(gone, merged, here.clock.now())
    await corrected(here, description="Hand")
    found = await shown(here)
    assert (found.patient.identifiers[0], found.description) == (survivor.identifiers[0], "Hand")
    assert here.archive.bared == []


# --- looked at when somebody says so ----------------------------------------------------------------------------------


async def test_a_study_or_a_patient_is_looked_at_at_once_and_nothing_else() -> None:
    here = await walked()
    other = replace(held("1.2.50.3", OWN), patient=patient(PatientIdentifier(value="P2", authority=OWN), family="Roe"))
    here.archive.studies = (held("1.2.50.1", OWN), held("1.2.50.2", OWN), other)
    looked = await here.synchronise.look("ann", study="1.2.50.1")
    assert looked.text == "1 studies seen, 2 instances read, 1 studies changed, 0 gone"
    assert await here.told() == [("1.2.50.1", "study.available")]
    await here.synchronise.look("ann", patient="P2")
    assert here.archive.read == ["1.2.50.1", "1.2.50.3"]
    assert [each.state for each in await jobs(here.store)] == [State.READY, State.DONE]


async def test_a_deleted_study_that_is_looked_at_is_gone_and_no_other_one() -> None:
    here = await walked(held("1.2.50.1", OWN), held("1.2.50.2", OWN))
    here.archive.studies = ()
    await here.synchronise.look("ann", study="1.2.50.1")
    assert await here.status("1.2.50.1") is StudyStatus.CANCELLED
    assert await here.status("1.2.50.2") is StudyStatus.AVAILABLE
    async with here.store.view() as work:
        (looked,) = await work.ledger.list(kinds=frozenset({Kind.ASK}))
    assert (looked.state, looked.study_instance_uid) == (State.DONE, "1.2.50.1")


async def test_nothing_is_looked_at_before_the_first_walk_has_ended() -> None:
    here = Walked(held("1.2.50.1", OWN))
    await here.synchronise.begin()
    with pytest.raises(Busy):
        await here.synchronise.look("ann", study="1.2.50.1")
    assert here.archive.read == []
