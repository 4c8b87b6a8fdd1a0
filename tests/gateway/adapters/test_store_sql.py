"""Units and views: what commits together, what vanishes together, and who waits for whom."""

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.adapters.migrations import NewerSchema
from gateway.adapters.store_sql import SqlStore
from gateway.model.job import Event
from gateway.ports.store import Store
from profiles.errors import Busy, Duplicate, OutOfResources, RuleViolation
from profiles.model.document import Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria
from tests.gateway.adapters.stores import no_audit
from tests.support.registered import ANN, DOMAIN, LATER, NOW, entry, exchange, patient, step, submission

EVERYTHING = DocumentCriteria()


async def test_a_unit_that_ends_well_is_seen_by_a_view(store: Store) -> None:
    async with store.unit() as work:
        await work.registry.put(submission(entry()), NOW)
        await work.ledger.open(exchange("1"))
    async with store.view() as work:
        assert await work.registry.count(EVERYTHING) == 1
        assert await work.ledger.get("1") is not None


async def test_a_unit_that_raises_leaves_nothing_behind(store: Store) -> None:
    with suppress(RuleViolation):
        async with store.unit() as work:
            await work.registry.put(submission(entry()), NOW)
            await work.identity.put(patient(), NOW)
            raise RuleViolation("no")
    async with store.view() as work:
        assert await work.registry.count(EVERYTHING) == 0
        assert await work.identity.get(ANN) is None


async def test_a_cancelled_unit_leaves_nothing_behind(store: Store) -> None:
    async def body() -> None:
        async with store.unit() as work:
            await work.registry.put(submission(entry()), NOW)
            await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with store.unit() as work:
        assert await work.registry.count(EVERYTHING) == 0


async def test_a_unit_sees_what_it_wrote_itself(store: Store) -> None:
    async with store.unit() as work:
        await work.registry.put(submission(entry()), NOW)
        assert await work.registry.count(EVERYTHING) == 1


async def test_a_view_is_a_snapshot(store: Store) -> None:
    async with store.view() as before:
        assert await before.registry.count(EVERYTHING) == 0
        async with store.unit() as work:
            await work.registry.put(submission(entry()), NOW)
        assert await before.registry.count(EVERYTHING) == 0
    async with store.view() as after:
        assert await after.registry.count(EVERYTHING) == 1


async def test_writing_through_a_view_is_an_error(store: Store) -> None:
    with pytest.raises(Exception, match=r"read-?only|readonly|a view"):
        async with store.view() as work:
            await work.ledger.open(exchange("1"))
    async with store.view() as work:
        assert await work.ledger.get("1") is None


async def test_fifty_units_at_once_all_commit_and_one_that_fails_takes_none_with_it(store: Store) -> None:
    async def one(number: int) -> None:
        async with store.unit() as work:
            await work.registry.put(submission(entry()), NOW)
            await asyncio.sleep(0)
            if number % 10 == 3:
                raise RuleViolation("this one fails")

    results = await asyncio.gather(*(one(number) for number in range(50)), return_exceptions=True)
    assert sum(isinstance(result, RuleViolation) for result in results) == 5
    assert all(result is None or isinstance(result, RuleViolation) for result in results)
    async with store.view() as work:
        assert await work.registry.count(EVERYTHING) == 45


async def test_a_unit_inside_a_unit_is_named_as_the_mistake_it_is(sqlite: SqlStore) -> None:
    with pytest.raises(RuntimeError, match="inside a unit"):
        async with sqlite.unit(), sqlite.unit():
            pass
    async with sqlite.unit() as work:
        await work.ledger.open(exchange("1"))


async def test_a_caller_cancelled_while_queued_does_not_stop_the_queue(sqlite: SqlStore) -> None:
    entered = asyncio.Event()
    proceed = asyncio.Event()

    async def holder() -> None:
        async with sqlite.unit() as work:
            entered.set()
            await proceed.wait()
            await work.ledger.open(exchange("1"))

    async def queued(id_: str) -> None:
        async with sqlite.unit() as work:
            await work.ledger.open(exchange(id_))

    first = asyncio.create_task(holder())
    await entered.wait()
    second, third = asyncio.create_task(queued("2")), asyncio.create_task(queued("3"))
    await asyncio.sleep(0)
    second.cancel()
    proceed.set()
    await asyncio.gather(first, third)
    async with sqlite.view() as work:
        assert [job.id for job in await work.ledger.list()] == ["3", "1"]


async def test_a_caller_cancelled_just_when_its_turn_comes_hands_the_turn_on(sqlite: SqlStore) -> None:
    entered, proceed = asyncio.Event(), asyncio.Event()

    async def holder() -> None:
        async with sqlite.unit():
            entered.set()
            await proceed.wait()

    async def queued(id_: str) -> None:
        async with sqlite.unit() as work:
            await work.ledger.open(exchange(id_))

    first = asyncio.create_task(holder())
    await entered.wait()
    second = asyncio.create_task(queued("2"))
    await asyncio.sleep(0)
    third = asyncio.create_task(queued("3"))
    await asyncio.sleep(0)
    proceed.set()
    await asyncio.wait({first}, timeout=0.0)
    while not first.done():
        await asyncio.sleep(0)
        if not second.cancelling():
            second.cancel()
    await asyncio.wait_for(third, 5)
    await asyncio.gather(first, second, return_exceptions=True)
    async with sqlite.view() as work:
        assert "3" in [job.id for job in await work.ledger.list()]


async def test_many_units_share_few_commits(tmp_path: Path) -> None:
    commits = 0

    def committed() -> None:
        nonlocal commits
        commits += 1

    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, committed=committed)
    await store.open()

    async def one(number: int) -> None:
        async with store.unit() as work:
            await work.ledger.open(exchange(f"{number:03}"))

    await asyncio.gather(*(one(number) for number in range(200)))
    await store.close()
    assert 200 / 64 <= commits <= 20


async def test_a_runner_is_told_of_what_waits_and_of_nothing_else(tmp_path: Path) -> None:
    told: list[str] = []
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, due=lambda: told.append("due"))
    await store.open()
    async with store.unit() as work:
        await work.ledger.open(exchange("1"))
        await work.ledger.note(step("1"))
    async with store.unit() as work:
        await work.ledger.note(step("1"))
    assert told == []  # nobody can claim what has not been settled
    async with store.unit() as work:
        await work.ledger.advance("1", Event.SETTLED, NOW)
        assert told == []  # not before it is committed
    assert told == ["due"]
    async with store.unit() as work:
        await work.ledger.open(exchange("2", due_at=LATER))
    assert told == ["due", "due"]  # when it is due is for the runner to find out
    await store.close()


async def test_what_a_unit_promised_is_in_the_file_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    async with store.unit() as work:
        await work.ledger.open(exchange("1"))
    with sqlite3.connect(path) as other:
        assert other.execute("select id from exchanges").fetchall() == [("1",)]
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    other.close()
    await store.close()


async def test_the_file_is_made_where_it_is_asked_for_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "house" / "radgate.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    async with store.unit() as work:
        await work.ledger.open(exchange("1"))
    assert {file.name for file in path.parent.iterdir()} >= {"radgate.db", "radgate.db-wal"}
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    await store.close()


async def test_the_writer_waits_for_the_disk_at_every_commit(sqlite: SqlStore) -> None:
    async with sqlite.unit() as work:
        executor = work.executor  # type: ignore[attr-defined]
        assert executor.raw.execute("pragma synchronous").fetchone() == (2,)
        assert executor.raw.execute("pragma foreign_keys").fetchone() == (1,)


async def test_a_full_disk_is_told_to_all_of_the_group_and_the_store_goes_on_afterwards(sqlite: SqlStore) -> None:
    async with sqlite.unit() as work:
        raw = work.executor.raw  # type: ignore[attr-defined]
    pages = raw.execute("pragma page_count").fetchone()[0]
    raw.execute(f"pragma max_page_count = {pages + 40}")

    async def one(number: int) -> None:
        async with sqlite.unit() as work:
            await work.ledger.open(exchange(f"{number}", payload={"text": "x" * 20_000}))

    results = await asyncio.gather(*(one(number) for number in range(30)), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert refused
    assert all(isinstance(result, OutOfResources) for result in refused)
    raw.execute(f"pragma max_page_count = {pages + 10_000}")
    await one(1000)
    async with sqlite.view() as work:
        there = {job.id for job in await work.ledger.list(limit=100)}
    assert there == {str(number) for number, result in enumerate(results) if result is None} | {"1000"}


async def test_a_file_that_another_program_writes_to_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(Busy):
        async with store.unit() as work:
            await work.ledger.open(exchange("1"))
    other.execute("rollback")
    other.close()
    async with store.unit() as work:
        await work.ledger.open(exchange("1"))
    await store.close()


async def test_a_closed_store_is_busy_and_closing_waits_for_what_commits(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await store.open()

    async def one(number: int) -> None:
        async with store.unit() as work:
            await work.ledger.open(exchange(f"{number}"))

    tasks = [asyncio.create_task(one(number)) for number in range(10)]
    await asyncio.sleep(0)
    await store.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(Busy):
        async with store.unit():
            pass
    again = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await again.open()
    async with again.view() as work:
        there = {job.id for job in await work.ledger.list()}
    await again.close()
    assert there == {str(number) for number, result in enumerate(results) if result is None}
    assert there


async def test_a_database_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await store.open()
    await store.close()
    with sqlite3.connect(tmp_path / "radgate.db") as later:
        later.execute("insert into alembic_version values ('9999')")
    later.close()
    with pytest.raises(NewerSchema) as refused:
        await SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit).open()
    assert "9999" in refused.value.detail
    assert refused.value.cure


async def test_more_readers_than_connections_wait_and_all_read(sqlite: SqlStore) -> None:
    async with sqlite.unit() as work:
        await work.identity.put(patient(), LATER)

    async def one() -> bool:
        async with sqlite.view() as work:
            await asyncio.sleep(0.001)
            return await work.identity.get(ANN) is not None

    assert all(await asyncio.gather(*(one() for _ in range(60))))


async def test_a_registration_that_races_a_merge_lands_on_the_survivor_or_is_refused(store: Store) -> None:
    for number in range(12):
        gone = PatientIdentifier(value=f"gone{number}", authority=DOMAIN)
        stays = PatientIdentifier(value=f"stays{number}", authority=DOMAIN)
        async with store.unit() as work:
            await work.identity.put(patient(gone), NOW)
            await work.identity.put(patient(stays, family="Smith"), NOW)

        async def register(gone: PatientIdentifier, pause: int) -> bool:
            async with store.unit() as work:
                known = await work.identity.get(gone) is not None
                for _ in range(pause):
                    await asyncio.sleep(0)
                if known:
                    await work.registry.put(submission(entry(gone), patient_id=gone), NOW)
            return known

        async def merge(gone: PatientIdentifier, stays: PatientIdentifier, pause: int) -> None:
            async with store.unit() as work:
                await work.identity.merge(gone, stays, NOW)
                for _ in range(pause):
                    await asyncio.sleep(0)
                await work.registry.merge(gone, stays, NOW)

        registered, _ = await asyncio.gather(register(gone, number % 4), merge(gone, stays, number % 3))
        async with store.view() as work:
            assert await work.registry.count(DocumentCriteria(patient_ids=(gone,))) == 0
            assert await work.registry.count(DocumentCriteria(patient_ids=(stays,))) == registered


async def test_two_submissions_at_once_with_one_uniqueid_are_one_registration(store: Store) -> None:
    same = [submission(entry(), unique_id="1.2.3.4") for _ in range(6)]

    async def put(each: Submission) -> None:
        async with store.unit() as work:
            await work.registry.put(each, NOW)

    results = await asyncio.gather(*(put(each) for each in same), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert all(result is None or isinstance(result, Duplicate) for result in results)
    async with store.view() as work:
        assert await work.registry.count(EVERYTHING) == 1


@pytest.mark.judge_program
async def test_a_database_that_is_not_there_is_busy(tmp_path: Path) -> None:
    pytest.importorskip("asyncpg")
    store = SqlStore(f"postgresql://radgate@/postgres?host={tmp_path}", audit=no_audit)
    with pytest.raises(Busy):
        async with store.unit():
            pass
    await store.close()


# --- space --------------------------------------------------------------------------------------------------------------


async def test_what_was_deleted_is_given_back_to_the_disk_in_small_steps(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    assert await store.give_back() == 0
    for first in range(0, 300, 100):
        async with store.unit() as work:
            for number in range(first, first + 100):
                await work.raw.keep(str(number), NOW + timedelta(seconds=number), os.urandom(60_000), failed=False)

    def looked() -> tuple[int, int]:
        """Bytes of the file once the log is in it, and pages in it that hold nothing."""
        with closing(sqlite3.connect(path)) as other:
            other.execute("pragma wal_checkpoint(truncate)").fetchall()
            return path.stat().st_size, other.execute("pragma freelist_count").fetchone()[0]

    full, holes = looked()
    assert full > 300 * 60_000
    assert holes == 0
    async with store.unit() as work:
        assert await work.raw.prune(NOW + timedelta(seconds=270), 999, failed=False) == 270
    size, holes = looked()
    assert (size, holes * 4096 > 270 * 60_000) == (full, True)
    steps = []
    while given := await store.give_back():
        steps.append(given)
    after, holes = looked()
    assert holes == 0
    assert full - after == sum(steps) > 270 * 60_000
    assert max(steps) <= 300 * 1024
    async with store.view() as work:
        kept = [await work.raw.open(str(number)) for number in range(300)]
    assert [body is not None for body in kept] == [number >= 270 for number in range(300)]
    await store.close()


async def test_a_file_from_before_keeps_its_size_and_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    with closing(sqlite3.connect(path)) as before:
        before.execute("create table something (a)")
        before.execute("insert into something values (zeroblob(100000))")
        before.execute("delete from something")
        before.commit()
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    await store.open()
    assert await store.give_back() == 0
    async with store.unit() as work:
        await work.ledger.open(exchange("1"))
    await store.close()
