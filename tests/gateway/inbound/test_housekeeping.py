"""What housekeeping lets go of and what it leaves alone, on memory and on SQLite."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryObjects
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.store_sql import SqlStore
from gateway.inbound import housekeeping as room
from gateway.inbound.housekeeping import Housekeeping, Retention
from gateway.model.job import Kind, State
from gateway.ports.answers import Given, MessageName
from gateway.ports.correlations import Correlation
from gateway.ports.objects import INLINE_BYTES, Objects
from gateway.ports.store import Store
from gateway.telemetry import registry
from profiles.errors import OutOfResources
from profiles.model.content import Content
from profiles.model.identifiers import Oid
from tests.gateway.adapters.stores import no_audit
from tests.support.clock import NOON, FixedClock
from tests.support.registered import ANN, BEN, exchange, step

DAY = timedelta(days=1)
KEPT = Retention(raw=30 * DAY, raw_failed=300 * DAY, raw_bytes=10_000, ask=90 * DAY, ask_failed=900 * DAY)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    made = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await made.open()
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_S", 0)


async def nothing_to_give() -> int:
    return 0


def housekeeping(
    store: Store,
    give_back: Callable[[], Awaitable[int]] = nothing_to_give,
    kept: Retention = KEPT,
    objects: Objects | None = None,
) -> Housekeeping:
    return Housekeeping(
        store=store, objects=objects or MemoryObjects(), clock=FixedClock(), retention=kept, give_back=give_back
    )


async def asked(store: Store, **days_ago: int) -> None:
    """Questions that ended so many days ago, each with a step and its raw message; names that begin with `f` failed."""
    async with store.unit() as work:
        for id_, days in days_ago.items():
            at, failed = NOON - days * DAY, id_.startswith("f")
            state = State.FAILED if failed else State.DONE
            await work.ledger.open(exchange(id_, kind=Kind.ASK, state=state, opened_at=at, updated_at=at))
            await work.ledger.note(step(id_, at))
            await work.raw.keep(id_, at, b"MSH|", failed=failed)


async def left(store: Store) -> tuple[set[str], set[str]]:
    """Exchanges, and those of them whose raw message is there."""
    async with store.view() as work:
        ids = {job.id for job in await work.ledger.list(limit=9999)}
        return ids, {id_ for id_ in ids if await work.raw.open(id_) is not None}


def metric(name: str, kind: str = "", outcome: str = "") -> float:
    labels = {"kind": kind, "outcome": outcome} if kind else {}
    return registry.get_sample_value(name, labels) or 0.0


async def test_what_is_old_goes_and_what_failed_stays_ten_times_as_long(store: Store) -> None:
    await asked(store, a=0, b=29, c=31, d=89, e=91, fa=91, fb=299, fc=301, fd=899, fe=901)
    await housekeeping(store).tidy()
    assert await left(store) == ({"a", "b", "c", "d", "fa", "fb", "fc", "fd"}, {"a", "b", "fa", "fb"})
    async with store.view() as work:
        assert list(await work.ledger.timeline("e")) == []
        assert len(await work.ledger.timeline("d")) == 1


async def test_raw_messages_beyond_their_size_go_the_oldest_first_and_those_that_failed_are_a_class_of_their_own(
    store: Store,
) -> None:
    async with store.unit() as work:
        for number in range(8):
            await work.raw.keep(str(number), NOON - number * DAY, b"x" * 2_500, failed=number == 7)
    await housekeeping(store).tidy()
    async with store.view() as work:
        there = [number for number in range(8) if await work.raw.open(str(number)) is not None]
    assert there == [0, 1, 2, 3, 7]


async def test_jobs_and_what_is_held_or_has_work_left_are_never_touched(store: Store) -> None:
    long_ago = NOON - 5000 * DAY
    every = [
        exchange(f"{kind.name} {state.name}", kind=kind, state=state, opened_at=long_ago, updated_at=long_ago)
        for kind in Kind
        for state in State
    ]
    async with store.unit() as work:
        for job in every:
            await work.ledger.open(job)
    await housekeeping(store).tidy()
    ids, _ = await left(store)
    assert {job.id for job in every} - ids == {"ASK DONE", "ASK FAILED"}


async def test_others_have_their_turn_between_the_steps_and_the_whole_backlog_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MESSAGES", 10)
    monkeypatch.setattr(room, "QUESTIONS", 10)
    await asked(store, **{f"q{number:03}": 100 for number in range(100)})
    seen: list[int] = []

    async def somebody() -> None:
        while True:
            async with store.unit() as work:
                seen.append(len(await work.ledger.list(limit=9999)))
            await asyncio.sleep(0)

    task = asyncio.create_task(somebody())
    await housekeeping(store).tidy()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert {*range(10, 100, 10)} <= set(seen)
    assert await left(store) == (set(), set())


async def test_space_is_given_back_step_by_step_until_nothing_is_left(store: Store) -> None:
    pieces = [4096, 4096, 100, 0, 9999]

    async def give_back() -> int:
        return pieces.pop(0)

    before = metric("radgate_returned_bytes_total")
    await housekeeping(store, give_back).tidy()
    assert pieces == [9999]
    assert metric("radgate_returned_bytes_total") - before == 8292


async def test_what_went_is_counted_by_kind_and_outcome(store: Store) -> None:
    labels = [(kind, outcome) for kind in ("raw", "ask") for outcome in ("success", "failure")]
    before = [metric("radgate_pruned_total", *each) for each in labels]
    await asked(store, a=31, b=91, c=92, fa=301, fb=901)
    await housekeeping(store).tidy()
    assert [metric("radgate_pruned_total", *each) - was for each, was in zip(labels, before, strict=True)] == [
        3,
        2,
        2,
        1,
    ]


async def test_the_file_of_a_house_that_lets_go_becomes_smaller(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    for number in range(0, 400, 50):
        async with store.unit() as work:
            for each in range(number, number + 50):
                await work.raw.keep(str(each), NOON - each * DAY, os.urandom(20_000), failed=False)

    def file() -> tuple[int, int]:
        """Its bytes once the log is in it, and its free pages."""
        with closing(sqlite3.connect(path)) as other:
            other.execute("pragma wal_checkpoint(truncate)").fetchall()
            return path.stat().st_size, other.execute("pragma freelist_count").fetchone()[0]

    full, _ = file()
    assert full > 8_000_000
    await housekeeping(store, store.give_back, Retention(**{**_fields(KEPT), "raw_bytes": 1_000_000})).tidy()
    assert file()[1] == 0
    assert file()[0] < 2_000_000
    async with store.view() as work:
        assert [await work.raw.open(str(each)) is not None for each in (0, 30, 31, 399)] == [True, True, False, False]
    await store.close()


def _fields(kept: Retention) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in Retention.__slots__}


async def test_it_comes_back_every_hour_whatever_went_wrong(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY", timedelta(0))
    rounds: list[int] = []

    async def give_back() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise OutOfResources("the disk is full")
        if len(rounds) == 2:
            raise RuntimeError
        return 0

    await asked(store, a=91)
    task = asyncio.create_task(housekeeping(store, give_back).serve())
    async with asyncio.timeout(10):
        while len(rounds) < 4:
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await left(store) == (set(), set())


async def test_answers_to_messages_that_nobody_sends_again_go_after_a_week(store: Store) -> None:
    def given(days: int) -> Given:
        name = MessageName(sender="A", application="B", facility="C", control_id=str(days))
        return Given(name=name, digest=bytes(32), at=NOON - days * DAY, answer=b"MSA|AA")

    async with store.unit() as work:
        for days in (0, 6, 8):
            await work.answers.keep(given(days))
    await housekeeping(store).tidy()
    async with store.view() as work:
        assert [await work.answers.get(given(days).name) is not None for days in (0, 6, 8)] == [True, True, False]


async def test_the_file_of_a_removed_document_goes_an_hour_later_unless_another_document_has_it(
    tmp_path: Path,
) -> None:
    compute = ThreadCompute()
    objects = FileObjects(tmp_path / "objects", compute)
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, kept=objects)
    await store.open()
    bodies = {name: name.encode() * INLINE_BYTES for name in ("gone", "kept", "again", "late")}
    paths: dict[str, Path] = {}
    async with store.unit() as work:
        for number, (name, body) in enumerate(bodies.items()):
            staged = await objects.stage(Content.of(body, "application/dicom"))
            assert staged.path is not None
            paths[name] = tmp_path / "objects" / staged.path
            os.utime(paths[name], (0, NOON.timestamp() - 7200))
            await work.documents.keep(f"1.2.{number}", staged)
            if name == "kept":
                await work.documents.keep("1.2.99", staged)
    two_hours = NOON - timedelta(hours=2)
    async with store.unit() as work:
        for number, name in enumerate(bodies):
            await work.documents.remove(f"1.2.{number}", NOON if name == "late" else two_hours)
    placed = await objects.stage(Content.of(bodies["again"], "application/dicom"))  # its row has not come yet
    os.utime(paths["again"], (0, NOON.timestamp()))
    await housekeeping(store, objects=objects).tidy()
    there = {name for name, path in paths.items() if path.exists()}
    assert there == {"kept", "again", "late"}
    async with store.unit() as work:
        await work.documents.keep("1.2.2", placed)
        assert await work.documents.left(NOON + DAY, 10) == [f"kept/{paths['late'].parent.name}/{paths['late'].name}"]
        content = await work.documents.open("1.2.2")
        assert content is not None and await content.read(1 << 22) == bodies["again"]
    assert list((tmp_path / "objects" / "incoming").iterdir()) == []
    await store.close()
    compute.close()


async def test_what_communities_said_of_a_patient_goes_when_it_may_not_be_believed_any_more(store: Store) -> None:
    ended = Correlation(patient=ANN, home=Oid("1.2.4.1"), identifier=BEN, until=NOON - DAY)
    holds = replace(ended, home=Oid("1.2.5.1"), until=NOON + DAY)
    async with store.unit() as work:
        await work.correlations.keep(ended)
        await work.correlations.keep(holds)
    await housekeeping(store).tidy()
    async with store.view() as work:
        assert await work.correlations.get(ANN, ended.home, NOON - 2 * DAY) is None
        assert await work.correlations.get(ANN, holds.home, NOON) == BEN
