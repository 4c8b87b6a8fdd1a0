"""The suite of the Ledger port, on every store."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.model.job import (
    ENDED,
    HAS_WORK,
    NEVER,
    TRANSITIONS,
    Event,
    ExchangeJob,
    InvalidTransition,
    Kind,
    State,
    StepOutcome,
)
from gateway.ports.store import Store
from profiles.errors import UnknownDocument
from tests.support.registered import LATER, NOW, exchange, step

LEASE = timedelta(seconds=30)
SOON = NOW + timedelta(seconds=10)


async def opened(store: Store, *jobs: ExchangeJob) -> None:
    async with store.unit() as work:
        for job in jobs:
            await work.ledger.open(job)


async def ready(store: Store, *ids: str, peer: str = "Lakeside", at: datetime = NOW) -> None:
    async with store.unit() as work:
        for id_ in ids:
            await work.ledger.open(exchange(id_, peer))
            await work.ledger.advance(id_, Event.SETTLED, at)


async def claim(store: Store, now: datetime = NOW, owner: str = "me", limit: int = 1) -> list[str]:
    async with store.unit() as work:
        return [job.id for job in await work.ledger.claim(now, owner, LEASE, limit)]


async def job_of(store: Store, id_: str) -> ExchangeJob:
    async with store.view() as work:
        job = await work.ledger.get(id_)
    assert job is not None
    return job


# --- exchanges ----------------------------------------------------------------------------------------------------------


async def test_an_exchange_comes_back_as_it_was_opened(store: Store) -> None:
    job = exchange(
        "1",
        study_instance_uid="1.2.3",
        patient_id="ann^^^&1.2.3.9&ISO",
        payload={"manifests": ["1.2"], "missing": {"1.2.3": None}, "n": 3},
        reason="waiting",
        cure="wait",
        due_at=SOON,
        attempt=2,
        lease_owner="somebody",
        lease_until=LATER,
    )
    await opened(store, job)
    assert await job_of(store, "1") == job
    async with store.view() as work:
        assert await work.ledger.get("2") is None


async def test_every_cell_of_the_table_moves_and_every_other_is_refused(store: Store) -> None:
    await opened(store, *(exchange(f"{state.name} {event.name}", state=state) for state in State for event in Event))
    for state in State:
        for event in Event:
            id_ = f"{state.name} {event.name}"
            async with store.unit() as work:
                if (state, event) in TRANSITIONS:
                    moved = await work.ledger.advance(id_, event, LATER)
                    assert moved.state is TRANSITIONS[state, event]
                    assert moved.updated_at == LATER
                    assert moved.due_at == (LATER if moved.state in HAS_WORK else None)
                    assert await work.ledger.get(id_) == moved
                else:
                    with pytest.raises(InvalidTransition):
                        await work.ledger.advance(id_, event, LATER)
                    assert await work.ledger.get(id_) == exchange(id_, state=state)


async def test_a_move_changes_what_it_names_and_clears_what_was_said_of_the_state_before(store: Store) -> None:
    await opened(store, exchange("1", payload={"a": 1}, study_instance_uid="1.2", patient_id="x"))
    async with store.unit() as work:
        held = await work.ledger.advance("1", Event.UNSETTLED, NOW, reason="who is it?", cure="decide")
        assert (held.state, held.reason, held.cure, held.due_at) == (State.HELD, "who is it?", "decide", None)
        freed = await work.ledger.advance("1", Event.RELEASED, LATER, patient_id="y", due_at=SOON)
        assert (freed.reason, freed.cure, freed.due_at) == ("", "", SOON)
        assert (freed.payload, freed.study_instance_uid, freed.patient_id) == ({"a": 1}, "1.2", "y")
        started = await work.ledger.advance("1", Event.STARTED, LATER, payload={"b": 2}, study_instance_uid="1.3")
        assert (started.payload, started.study_instance_uid) == ({"b": 2}, "1.3")
    assert await job_of(store, "1") == started


async def test_an_unknown_exchange_cannot_move(store: Store) -> None:
    with pytest.raises(UnknownDocument):
        async with store.unit() as work:
            await work.ledger.advance("1", Event.SETTLED, NOW)


# --- claiming -----------------------------------------------------------------------------------------------------------


async def test_what_is_due_is_claimed_once_and_counts_an_attempt(store: Store) -> None:
    await ready(store, "1")
    async with store.unit() as work:
        (job,) = await work.ledger.claim(NOW, "me", LEASE)
    assert (job.id, job.attempt, job.lease_owner, job.lease_until) == ("1", 1, "me", NOW + LEASE)
    assert job.state is State.READY
    assert await job_of(store, "1") == job
    assert await claim(store) == []


async def test_what_is_not_due_has_ended_or_waits_for_a_person_is_not_claimed(store: Store) -> None:
    await ready(store, "later", "never", "ended")
    await opened(store, exchange("received"), exchange("held"))
    async with store.unit() as work:
        await work.ledger.advance("held", Event.UNSETTLED, NOW)
        await work.ledger.advance("later", Event.TEMPORARY, NOW, due_at=SOON)
        await work.ledger.advance("never", Event.TEMPORARY, NOW, due_at=NEVER)
        await work.ledger.advance("ended", Event.CANCELLED, NOW)
        assert await work.ledger.next_due() == SOON
    assert await claim(store, limit=9) == []
    assert await claim(store, SOON, limit=9) == ["later"]


async def test_every_state_with_work_left_is_claimed(store: Store) -> None:
    await opened(store, *(exchange(state.name, state=state, due_at=NOW) for state in HAS_WORK))
    assert sorted(await claim(store, limit=99)) == sorted(state.name for state in HAS_WORK)


async def test_a_lease_that_runs_out_is_claimed_again_in_whatever_state_it_was(store: Store) -> None:
    await ready(store, "1")
    await claim(store, owner="first")
    async with store.unit() as work:
        await work.ledger.advance("1", Event.STARTED, NOW)
        assert await work.ledger.next_due() == NOW + LEASE
    assert await claim(store, NOW + LEASE - timedelta(microseconds=1), "second") == []
    assert await claim(store, NOW + LEASE, "second") == ["1"]
    job = await job_of(store, "1")
    assert (job.state, job.attempt, job.lease_owner) == (State.MOVING, 2, "second")


async def test_progress_keeps_the_lease_and_every_other_move_ends_it(store: Store) -> None:
    await ready(store, "1")
    await claim(store)
    for event, keeps in ((Event.STARTED, True), (Event.PROGRESS, True), (Event.TEMPORARY, False)):
        async with store.unit() as work:
            job = await work.ledger.advance("1", event, NOW)
        assert (job.lease_owner, job.lease_until) == (("me", NOW + LEASE) if keeps else ("", None))
        assert await claim(store, owner="other") == ([] if keeps else ["1"])


async def test_a_lease_is_extended_by_its_holder_only(store: Store) -> None:
    await ready(store, "1")
    await claim(store, owner="first")
    async with store.unit() as work:
        assert await work.ledger.extend("1", "first", NOW + 2 * LEASE)
        assert not await work.ledger.extend("1", "second", NOW + 9 * LEASE)
        assert not await work.ledger.extend("2", "first", NOW + 9 * LEASE)
        assert not await work.ledger.extend("1", "", NOW + 9 * LEASE)
    assert await claim(store, NOW + LEASE, "second") == []
    assert await claim(store, NOW + 2 * LEASE, "second") == ["1"]
    async with store.unit() as work:
        assert not await work.ledger.extend("1", "first", NOW + 9 * LEASE)


async def test_attempts_count_from_nothing_when_other_work_begins(store: Store) -> None:
    await ready(store, "1")
    for attempt in (1, 2, 3):
        await claim(store)
        assert (await job_of(store, "1")).attempt == attempt
        async with store.unit() as work:
            await work.ledger.advance("1", Event.TEMPORARY, NOW)
    await claim(store)
    async with store.unit() as work:
        await work.ledger.advance("1", Event.STARTED, NOW)
        stored = await work.ledger.advance("1", Event.COMPLETE, NOW)
    assert stored.attempt == 0


async def test_a_peer_with_much_to_do_does_not_starve_another(store: Store) -> None:
    await ready(store, *(f"a{number:02}" for number in range(20)), peer="A", at=NOW - timedelta(hours=1))
    await ready(store, "b0", "b1", peer="B")
    await ready(store, "c0", peer="")
    claimed = [(await claim(store, NOW))[0] for _ in range(5)]
    assert sorted(claimed) == ["a00", "a01", "b0", "b1", "c0"]
    assert {id_[0] for id_ in claimed[:3]} == {"a", "b", "c"}


async def test_a_batch_is_shared_by_the_peers_and_filled_by_those_who_have_more(store: Store) -> None:
    await ready(store, *(f"a{number:02}" for number in range(20)), peer="A", at=NOW - timedelta(hours=1))
    await ready(store, "b0", "b1", peer="B")
    assert Counter(id_[0] for id_ in await claim(store, limit=8)) == {"a": 6, "b": 2}
    assert Counter(id_[0] for id_ in await claim(store, limit=99)) == {"a": 14}


async def test_a_peers_exchanges_are_claimed_in_the_order_in_which_they_are_due(store: Store) -> None:
    for id_, minutes in (("1", 3), ("2", 1), ("3", 2)):
        await ready(store, id_, at=NOW + timedelta(minutes=minutes))
    assert await claim(store, NOW + timedelta(minutes=9), limit=9) == ["2", "3", "1"]


async def test_workers_at_once_never_take_the_same(store: Store) -> None:
    await ready(store, *(f"{number:02}" for number in range(24)))

    async def worker(name: str) -> list[str]:
        taken: list[str] = []
        for _ in range(6):
            taken += await claim(store, owner=name, limit=2)
        return taken

    taken = [id_ for ids in await asyncio.gather(*(worker(f"w{number}") for number in range(4))) for id_ in ids]
    taken += await claim(store, limit=99)
    assert sorted(taken) == [f"{number:02}" for number in range(24)]


async def test_nothing_due_is_no_time_to_look_again(store: Store) -> None:
    await opened(store, exchange("1"))
    async with store.view() as work:
        assert await work.ledger.next_due() is None


# --- the timeline -------------------------------------------------------------------------------------------------------


async def test_steps_come_back_as_they_were_noted_oldest_first(store: Store) -> None:
    second = step("1", LATER, text="Stored", size_bytes=5_000_000_000, duration_ms=12.5, peer="Lakeside", raw_key="r1")
    first = step("1", why="because", cure="do this")
    async with store.unit() as work:
        ids = [await work.ledger.note(each) for each in (second, first, step("2"))]
    assert len(set(ids)) == 3
    async with store.view() as work:
        assert list(await work.ledger.timeline("1")) == [replace(first, id=ids[1]), replace(second, id=ids[0])]
        assert list(await work.ledger.timeline("3")) == []


async def test_steps_of_one_moment_stay_in_the_order_in_which_they_were_noted(store: Store) -> None:
    async with store.unit() as work:
        for number in range(20):
            await work.ledger.note(step("1", text=str(number)))
        assert [each.text for each in await work.ledger.timeline("1")] == [str(number) for number in range(20)]


async def test_an_open_step_gets_its_end(store: Store) -> None:
    async with store.unit() as work:
        id_ = await work.ledger.note(step("1", outcome=StepOutcome.OPEN))
        other = await work.ledger.note(step("1", outcome=StepOutcome.OPEN))
        ended = step("1", outcome=StepOutcome.PARTIAL, text="58 of 60", size_bytes=7, duration_ms=1.5)
        await work.ledger.close_step(id_, ended)
        there = {each.id: each for each in await work.ledger.timeline("1")}
    assert there[id_] == replace(ended, id=id_)
    assert there[other].outcome is StepOutcome.OPEN


async def test_at_start_up_open_steps_become_failures_that_say_why(store: Store) -> None:
    async with store.unit() as work:
        for outcome in StepOutcome:
            await work.ledger.note(step("1", outcome=outcome))
        await work.ledger.note(step("2", outcome=StepOutcome.OPEN, text="Asked"))
    async with store.unit() as work:
        assert await work.ledger.close_open_steps(LATER) == 2
        assert await work.ledger.close_open_steps(LATER) == 0
        (closed,) = await work.ledger.timeline("2")
        outcomes = Counter(each.outcome for each in await work.ledger.timeline("1"))
    assert (closed.outcome, closed.text) == (StepOutcome.FAILURE, "Asked")
    assert closed.why
    assert closed.cure
    assert outcomes == {StepOutcome.SUCCESS: 1, StepOutcome.PARTIAL: 1, StepOutcome.FAILURE: 2}


async def test_at_start_up_what_somebody_held_can_be_claimed_at_once(store: Store) -> None:
    await opened(
        store, exchange("1", state=State.READY, due_at=NOW), exchange("2", state=State.READY, due_at=NOW),
        exchange("3", state=State.DONE),
    )  # fmt: skip
    async with store.unit() as work:
        (held,) = await work.ledger.claim(NOW, "gone", timedelta(hours=1))
    async with store.unit() as work:
        assert await work.ledger.end_leases() == 1
        assert await work.ledger.end_leases() == 0
        claimed = await work.ledger.claim(NOW, "new", timedelta(hours=1), 10)
    assert {each.id for each in claimed} == {"1", "2"}
    assert {each.id: each.attempt for each in claimed}[held.id] == 2


# --- lists --------------------------------------------------------------------------------------------------------------


async def test_lists_are_newest_first_narrowed_and_paged(store: Store) -> None:
    await opened(
        store,
        *(exchange(f"{number:02}", peer="A" if number % 2 else "B", state=State.DONE) for number in range(10)),
        exchange("10", peer="A", kind=Kind.STORE, state=State.FAILED, study_instance_uid="1.2.3"),
    )
    async with store.view() as work:

        async def ids(**asked: object) -> list[str]:
            return [job.id for job in await work.ledger.list(**asked)]  # type: ignore[arg-type]

        assert await ids() == ["10", *(f"{number:02}" for number in reversed(range(10)))]
        assert await ids(limit=3) == ["10", "09", "08"]
        assert await ids(limit=3, before="08") == ["07", "06", "05"]
        assert await ids(peer="A", before="07") == ["05", "03", "01"]
        assert await ids(kinds=frozenset({Kind.STORE})) == ["10"]
        assert await ids(states=frozenset({State.FAILED, State.HELD})) == ["10"]
        assert await ids(states=frozenset()) == []
        assert await ids(study_instance_uid="1.2.3") == ["10"]
        assert await work.ledger.counts() == {State.DONE: 10, State.FAILED: 1}


async def test_at_start_up_questions_whose_answers_were_being_poured_have_failed(store: Store) -> None:
    asked = exchange("1", kind=Kind.ASK)
    others = (exchange("2", kind=Kind.ASK, state=State.DONE), exchange("3"), exchange("4", state=State.HELD))
    await opened(store, asked, *others)
    async with store.unit() as work:
        await work.ledger.close_open_steps(LATER)
    job = await job_of(store, "1")
    assert (job.state, job.updated_at) == (State.FAILED, LATER)
    assert job.reason
    assert job.cure
    assert [await job_of(store, other.id) for other in others] == list(others)


# --- letting go ---------------------------------------------------------------------------------------------------------

QUESTIONS = frozenset({Kind.ASK})
DONE = frozenset({State.DONE})


async def prune(store: Store, before: datetime = LATER, limit: int = 99, states: frozenset[State] = DONE) -> int:
    async with store.unit() as work:
        return await work.ledger.prune(QUESTIONS, states, before, limit)


async def left(store: Store) -> list[str]:
    async with store.view() as work:
        return [job.id for job in reversed(await work.ledger.list(limit=999))]


async def test_questions_that_ended_before_go_with_their_steps_and_no_others(store: Store) -> None:
    await opened(
        store,
        exchange("1", kind=Kind.ASK, state=State.DONE),
        exchange("2", kind=Kind.ASK, state=State.DONE, opened_at=NOW, updated_at=LATER),
    )
    async with store.unit() as work:
        for id_ in ("1", "1", "2"):
            await work.ledger.note(step(id_))
    assert await prune(store) == 1
    assert await left(store) == ["2"]
    async with store.view() as work:
        assert list(await work.ledger.timeline("1")) == []
        assert len(await work.ledger.timeline("2")) == 1
    assert await prune(store) == 0


async def test_only_the_kinds_and_states_that_are_named_go(store: Store) -> None:
    every = [exchange(f"{kind.name} {state.name}", kind=kind, state=state) for kind in Kind for state in State]
    await opened(store, *every)
    assert await prune(store) == 1
    assert await prune(store, states=frozenset({State.FAILED, State.ABANDONED})) == 2
    gone = {"ASK DONE", "ASK FAILED", "ASK ABANDONED"}
    assert set(await left(store)) == {job.id for job in every} - gone


@pytest.mark.parametrize("state", sorted(set(State) - ENDED))
async def test_what_has_not_ended_is_never_let_go(store: Store, state: State) -> None:
    await opened(store, exchange("1", kind=Kind.ASK, state=state), exchange("2", kind=Kind.ASK, state=State.DONE))
    with pytest.raises(ValueError, match=state.value):
        await prune(store, states=frozenset({State.DONE, state}))
    assert await left(store) == ["1", "2"]


async def test_a_batch_is_bounded_and_takes_what_ended_longest_ago(store: Store) -> None:
    ended = [
        exchange(f"{9 - number}", kind=Kind.ASK, state=state, updated_at=NOW + timedelta(seconds=number))
        for number, state in enumerate([State.DONE] * 5 + [State.CANCELLED] * 2)
    ]
    await opened(store, *ended)
    assert await prune(store, limit=2) == 2
    assert await left(store) == ["3", "4", "5", "6", "7"]
    both = frozenset({State.DONE, State.CANCELLED})
    assert [await prune(store, limit=4, states=both) for _ in range(3)] == [4, 1, 0]
