"""The chain in a database: it follows the unit, says whatever was done to it, and is searched as reviewers search."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.adapters.audit_folder import CHECKPOINTS, KEY, MARK, PUBLIC_KEY, AuditFolder
from gateway.adapters.audit_sql import ALIVE_S
from gateway.adapters.audit_verify import verify_database
from gateway.model.job import Kind, State, StepOutcome
from gateway.ports.audit import AuditCriteria
from profiles.errors import MalformedMessage
from profiles.wire.audit.chain import GENESIS, Link, sealed
from profiles.wire.audit.message import encode
from tests.gateway.adapters.stores import emptied
from tests.gateway.adapters.trails import Trail, started
from tests.profiles.wire.audit.records import KINDS
from tests.support.clock import FixedClock
from tests.support.registered import LATER, exchange, step

SUBMISSION = KINDS["a submission"]
RETRIEVE = KINDS["imaging retrieved"]
FAILURE = KINDS["a retrieve that failed"]
ALERT = KINDS["an alert"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.judge_program)])
async def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind; "": the file of the folder."""
    if request.param == "sqlite":
        return ""
    address: str = request.getfixturevalue("database")
    await emptied(address)
    return address


@pytest.fixture
async def house(tmp_path: Path, url: str) -> AsyncIterator[Trail]:
    running = await started(tmp_path, url)
    yield running
    await running.stop()


async def numbers(house: Trail, **criteria: object) -> list[int]:
    return [each.number for each in await house.archive.list(AuditCriteria(**criteria))]  # type: ignore[arg-type]


# --- the sink ---------------------------------------------------------------------------------------------------------


async def test_records_are_kept_as_they_are_sent_and_chained(house: Trail) -> None:
    await house.record(SUBMISSION, RETRIEVE, exchange_id="e1")
    await house.record(FAILURE)
    newest_first = await house.archive.list(AuditCriteria())
    assert [each.number for each in newest_first] == [3, 2, 1]
    assert newest_first[2].xml == encode(SUBMISSION)
    assert newest_first[2].record == SUBMISSION
    assert newest_first[2].exchange_id == "e1"
    assert newest_first[2].received_at == house.clock.now()
    assert await house.archive.verify() == []


async def test_what_a_unit_takes_back_leaves_no_hole_in_the_chain(house: Trail) -> None:
    await house.record(SUBMISSION)
    with pytest.raises(KeyError):
        async with house.store.unit() as work:
            await work.audit.record((FAILURE,))
            raise KeyError("the reply could not be made")
    await house.record(RETRIEVE)
    assert [each.record for each in await house.archive.list(AuditCriteria())] == [RETRIEVE, SUBMISSION]
    assert await house.archive.verify() == []


async def test_an_intent_is_answered_and_only_the_answer_is_shown(house: Trail) -> None:
    async with house.store.unit() as work:
        intent = await work.audit.intend((FAILURE,), "e1")
    assert await numbers(house) == []
    async with house.store.unit() as work:
        await work.audit.close(intent, (RETRIEVE, FAILURE))
    shown = await house.archive.list(AuditCriteria())
    assert [(each.number, each.record, each.exchange_id) for each in shown] == [(3, FAILURE, "e1"), (2, RETRIEVE, "e1")]
    assert await house.archive.verify() == []
    assert [each.number async for each in house.archive.export(AuditCriteria())] == [2, 3]


async def test_an_intent_of_nothing_can_be_closed_by_something(house: Trail) -> None:
    async with house.store.unit() as work:
        intent = await work.audit.intend(())
        await work.audit.close(intent, (RETRIEVE,))
    assert await numbers(house) == [1]


async def test_what_a_crash_left_open_is_closed_as_it_was_feared(tmp_path: Path) -> None:
    house = await started(tmp_path)
    async with house.store.unit() as work:
        await work.audit.intend((FAILURE,), "e1")
        answered = await work.audit.intend((FAILURE,), "e2")
        await work.audit.close(answered, (RETRIEVE,))
    await house.store.close()  # and no more: the process is gone
    again = await started(tmp_path)
    shown = await again.archive.list(AuditCriteria())
    assert [(each.record, each.exchange_id) for each in shown] == [(FAILURE, "e1"), (RETRIEVE, "e2")]
    assert await again.archive.verify() == []
    await again.stop()
    third = await started(tmp_path)
    assert len(await numbers(third)) == 2
    await third.stop()


@pytest.mark.judge_program
async def test_a_house_does_not_answer_for_another_that_lives(tmp_path: Path, database: str) -> None:
    await emptied(database)
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    first = await started(one, database)
    async with first.store.unit() as work:
        intent = await work.audit.intend((FAILURE,), "e1")
    second = await started(other, database)
    assert await numbers(second) == []
    async with first.store.unit() as work:
        await work.audit.close(intent, (RETRIEVE,))
        await work.audit.intend((FAILURE,), "e2")
    await first.store.close()  # and no more: the process is gone
    second.clock.advance(30)
    await second.trail._look_after_intents()
    assert len(await numbers(second)) == 1
    second.clock.advance(31)
    await second.trail._look_after_intents()
    assert [each.exchange_id for each in await second.archive.list(AuditCriteria())] == ["e2", "e1"]
    assert await second.archive.verify() == []
    await second.stop()


@pytest.mark.judge_program
async def test_open_steps_of_a_process_that_lives_are_left_alone_and_of_one_that_died_are_closed(
    tmp_path: Path, database: str
) -> None:
    await emptied(database)
    first = await started(tmp_path / "one", database)
    async with first.store.unit() as work:
        await work.ledger.open(exchange("1", kind=Kind.ASK))
        await work.ledger.note(step("1", outcome=StepOutcome.OPEN))
        await work.audit.intend([FAILURE], "1")
    second = await started(tmp_path / "two", database)  # starting is not to end what the first is doing
    async with second.store.unit() as work:
        await work.ledger.open(exchange("2", kind=Kind.ASK))
        await work.ledger.note(step("2", outcome=StepOutcome.OPEN))
        await work.audit.intend([FAILURE], "2")
        assert await work.ledger.close_open_steps(LATER) == 0

    async def seen(id_: str) -> tuple[StepOutcome, State]:
        async with second.store.view() as work:
            job = await work.ledger.get(id_)
            assert job is not None
            return (await work.ledger.timeline(id_))[0].outcome, job.state

    assert [await seen(id_) for id_ in "12"] == [(StepOutcome.OPEN, State.RECEIVED)] * 2
    second.clock.advance(ALIVE_S + 1)  # and the first has not been seen since
    await second.trail._look_after_intents()
    assert await seen("1") == (StepOutcome.FAILURE, State.FAILED)
    assert await seen("2") == (StepOutcome.OPEN, State.RECEIVED)
    assert await second.archive.verify() == []
    await second.stop()
    await first.stop()


async def test_units_side_by_side_make_one_chain(house: Trail) -> None:
    async def busy(who: int) -> None:
        for number in range(5):
            async with house.store.unit() as work:
                await work.audit.record((replace(SUBMISSION, source_id=f"{who} {number}"),))
                if number == 3:
                    await work.audit.record((RETRIEVE,))

    await asyncio.gather(*map(busy, range(6)))
    assert sorted(await numbers(house)) == list(range(1, 37))
    assert await house.archive.verify() == []


# --- the archive ------------------------------------------------------------------------------------------------------


async def test_reviewers_find_by_each_of_their_questions(house: Trail) -> None:
    await house.record(*KINDS.values())
    of = {kind: number for number, kind in enumerate(KINDS, 1)}
    every = sorted(of.values(), reverse=True)
    with_study = [of["a report sent that nobody took"], of["instances stored"], of["imaging retrieved"]]
    assert await numbers(house) == every
    assert await numbers(house, patient="V123") == await numbers(house, patient="V123^^^&1.2.3.4&ISO")
    assert await numbers(house, patient="V12") == []
    assert await numbers(house, study_instance_uid="1.2.3.4.5") == with_study
    assert await numbers(house, event="RAD-69") == [of["imaging retrieved"]]
    assert await numbers(house, event="110113") == [of["an alert"]]
    assert await numbers(house, event="D-6") == []
    assert await numbers(house, outcome=8) == [of["a report sent that nobody took"]]
    assert await numbers(house, user="idp.EXAMPLE") == every
    assert await numbers(house, user="valley.example") == []
    assert await numbers(house, organisation="Valley.Example", event="ITI-8") == [of["a merge"]]
    assert await numbers(house, organisation="100%_") == []
    assert await numbers(house, patient="V123", limit=2) == (await numbers(house, patient="V123"))[:2]
    assert await numbers(house, before=4) == [3, 2, 1]
    assert await numbers(house, since=SUBMISSION.at, until=SUBMISSION.at) == []
    assert await numbers(house, since=SUBMISSION.at, until=SUBMISSION.at + timedelta(seconds=1)) == every


async def test_a_patients_records_are_found_by_the_patient_and_not_among_everybodys(tmp_path: Path) -> None:
    house = await started(tmp_path)
    await house.record(SUBMISSION, RETRIEVE)
    asked: list[str] = []
    async with house.store.reading() as executor:  # the reader that the question will get
        reader = executor.raw  # type: ignore[attr-defined]
    reader.set_trace_callback(asked.append)
    assert await numbers(house, patient="V123") == [2, 1]
    reader.set_trace_callback(None)
    (question,) = [each for each in asked if each.startswith("SELECT")]
    plan = [row[3] for row in reader.execute(f"explain query plan {question}")]
    assert [step for step in plan if "audit_subjects" in step] == [
        "SEARCH audit_subjects USING PRIMARY KEY (kind=? AND term=?)",
        "SEARCH audit_subjects USING PRIMARY KEY (kind=? AND term>? AND term<?)",
    ]
    await house.stop()


async def test_a_study_is_told_with_the_records_of_its_exchanges(house: Trail) -> None:
    await house.record(SUBMISSION, exchange_id="took it in")  # RAD-68 names patient and submission set, and no study
    await house.record(RETRIEVE, exchange_id="took it in")
    await house.record(SUBMISSION, exchange_id="of another study")
    await house.record(FAILURE)
    assert await numbers(house, study_instance_uid="1.2.3.4.5") == [2]
    assert await numbers(house, study_instance_uid="1.2.3.4.5", exchange_ids=("took it in",)) == [2, 1]
    assert await numbers(house, study_instance_uid="9.9.9", exchange_ids=("of another study", "unheard of")) == [3]
    assert await numbers(house, study_instance_uid="9.9.9", exchange_ids=("",)) == []
    exported = AuditCriteria(study_instance_uid="1.2.3.4.5", exchange_ids=("took it in",))
    assert [each.number async for each in house.archive.export(exported)] == [1, 2]


async def test_an_export_goes_on_from_page_to_page(house: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.audit_sql.PAGE", 3)
    await house.record(*[SUBMISSION] * 8)
    assert [each.number async for each in house.archive.export(AuditCriteria())] == list(range(1, 9))
    assert [each.number async for each in house.archive.export(AuditCriteria(before=4))] == [1, 2, 3]
    assert await house.archive.verify() == []


# --- what is done to a copy of it -------------------------------------------------------------------------------------

LENGTH = 40


@pytest.fixture
async def stopped(tmp_path: Path) -> Path:
    """The folder of a house that kept 40 records, with checkpoints on the way, and went down."""
    house = await started(tmp_path, checkpoint_records=15)
    for number in range(LENGTH):
        await house.record(replace(SUBMISSION, source_id=f"valley {number}"))
        if number % 15 == 14:
            await house.trail.checkpoint()
    await house.stop()
    return tmp_path


def copied(folder: Path) -> Path:
    to = folder / "copy"
    to.mkdir()
    shutil.copy(folder / "radgate.db", to)
    shutil.copytree(folder / "audit", to / "audit")
    return to


def change(database: sqlite3.Connection) -> None:
    database.execute("UPDATE audit_records SET body = replace(body, 'DrA', 'DrB') WHERE number = 17")


def delete(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit_records WHERE number = 17")


def delete_and_renumber(database: sqlite3.Connection) -> None:
    delete(database)
    for number in range(18, LENGTH + 1):
        database.execute("UPDATE audit_records SET number = ? WHERE number = ?", (number - 1, number))


def swap(database: sqlite3.Connection) -> None:
    for old, new in ((17, -1), (30, 17), (-1, 30)):
        database.execute("UPDATE audit_records SET number = ? WHERE number = ?", (new, old))


def swap_contents(database: sqlite3.Connection) -> None:
    bodies = dict(database.execute("SELECT number, body FROM audit_records WHERE number IN (17, 30)").fetchall())
    for number, other in ((17, 30), (30, 17)):
        database.execute("UPDATE audit_records SET body = ? WHERE number = ?", (bodies[other], number))


def cut(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit_records WHERE number > 38")


def cut_everything(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit_records")


def rewrite(database: sqlite3.Connection) -> None:
    """Everything anew, each hash right: nothing inside the database gives it away."""
    previous = GENESIS
    for number in range(1, LENGTH + 1):
        link = sealed(previous, Link(number=number, received_us=number, xml=encode(FAILURE)))
        previous = link.hash
        database.execute(
            "UPDATE audit_records SET received_at = ?, kind = ?, intent = '', exchange_id = '', origin = '', body = ?,"
            " hash = ? WHERE number = ?",
            (link.received_us, link.kind.value, link.xml, link.hash, number),
        )


ATTACKS: dict[str, tuple[Callable[[sqlite3.Connection], None], int, str]] = {
    "a byte changed": (change, 17, "changed"),
    "a record deleted": (delete, 17, "deleted"),
    "a record deleted and the rest renumbered": (delete_and_renumber, 17, "deleted"),
    "two records swapped": (swap, 17, "swapped"),
    "two contents swapped": (swap_contents, 17, "swapped"),
    "the tail cut": (cut, 39, "truncated"),
    "everything cut": (cut_everything, 1, "truncated"),
    "the whole chain rewritten": (rewrite, 1, "rewritten"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_was_done_to_a_copy_is_found_and_located(stopped: Path, attack: str) -> None:
    copy = copied(stopped)
    assert verify_database(copy / "radgate.db", copy / "audit") == []
    do, number, kind = ATTACKS[attack]
    with sqlite3.connect(copy / "radgate.db") as database:
        do(database)
    faults = verify_database(copy / "radgate.db", copy / "audit")
    assert [(fault.number, fault.kind) for fault in faults] == [(number, kind)]
    assert verify_database(stopped / "radgate.db", stopped / "audit") == []


@pytest.mark.parametrize(
    ("file", "kind"),
    [(CHECKPOINTS, "rewritten"), (MARK, "truncated"), (PUBLIC_KEY, "rewritten")],
    ids=["checkpoints", "mark", "key"],
)
async def test_a_folder_that_lost_a_file_says_what_it_can(stopped: Path, file: str, kind: str) -> None:
    copy = copied(stopped)
    (copy / "audit" / file).unlink()
    faults = verify_database(copy / "radgate.db", copy / "audit")
    assert {fault.kind for fault in faults} == {kind}


@pytest.mark.parametrize("left", [b"", b"torn" * 20])
async def test_a_tail_that_was_cut_with_the_mark_and_its_checkpoints_is_told_as_unknown(
    stopped: Path, left: bytes
) -> None:
    copy = copied(stopped)
    lines = (copy / "audit" / CHECKPOINTS).read_bytes().splitlines(keepends=True)
    (copy / "audit" / CHECKPOINTS).write_bytes(lines[0])
    (copy / "audit" / MARK).write_bytes(left)
    with sqlite3.connect(copy / "radgate.db") as database:
        database.execute("DELETE FROM audit_records WHERE number > 2")
    assert "truncated" in {fault.kind for fault in verify_database(copy / "radgate.db", copy / "audit")}


async def test_without_checkpoints_and_mark_nothing_vouches_for_the_chain(stopped: Path) -> None:
    copy = copied(stopped)
    for file in (CHECKPOINTS, MARK):
        (copy / "audit" / file).unlink()
    (fault,) = verify_database(copy / "radgate.db", copy / "audit")
    assert (fault.number, fault.kind) == (1, "rewritten")


async def test_a_checkpoint_taken_out_of_the_middle_is_missed(stopped: Path) -> None:
    copy = copied(stopped)
    path = copy / "audit" / CHECKPOINTS
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 4
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert "checkpoint 2 is missing" in [fault.text for fault in verify_database(copy / "radgate.db", copy / "audit")]


async def test_what_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no database at all, whatever its name is")
    AuditFolder(tmp_path / "audit").open()
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(MalformedMessage):
            verify_database(path, tmp_path / "audit")


@pytest.mark.parametrize("column", ["received_at", "kind", "intent", "exchange_id", "origin", "body", "hash"])
@pytest.mark.parametrize("value", [0, "text", b"bytes", 1.5, -(2**63)])
async def test_a_column_of_another_type_is_a_changed_record(stopped: Path, column: str, value: object) -> None:
    with sqlite3.connect(stopped / "radgate.db") as database:
        database.execute(f"UPDATE audit_records SET {column} = ? WHERE number = 17", (value,))
    faults = verify_database(stopped / "radgate.db", stopped / "audit")
    assert [(fault.number, fault.kind) for fault in faults] == [(17, "changed")]


async def test_a_running_house_verifies_its_own_chain(tmp_path: Path) -> None:
    house = await started(tmp_path)
    await house.record(*[SUBMISSION] * 5)
    with sqlite3.connect(house.database) as database:
        database.execute("UPDATE audit_records SET exchange_id = 'another' WHERE number = 3")
    assert [(fault.number, fault.kind) for fault in await house.archive.verify()] == [(3, "changed")]
    await house.stop()


async def test_a_house_that_finds_its_chain_cut_says_so_at_its_start(stopped: Path) -> None:
    with sqlite3.connect(stopped / "radgate.db") as database:
        cut(database)
    again = await started(stopped)
    (newest,) = await again.archive.list(AuditCriteria(limit=1))
    assert newest.record is not None
    assert (newest.record.event.text, newest.record.outcome) == ("Security Alert", 12)
    assert "records 39 to 40 were cut off the end" in newest.record.outcome_description
    await again.record(SUBMISSION)
    assert [(fault.number, fault.kind) for fault in await again.archive.verify()] == [(39, "deleted")]
    await again.stop()
    assert [(fault.number, fault.kind) for fault in verify_database(again.database, again.audit)] == [(39, "deleted")]


# --- the folder -------------------------------------------------------------------------------------------------------


async def test_the_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    first = AuditFolder(tmp_path / "audit").open()
    assert (tmp_path / "audit" / KEY).stat().st_mode & 0o777 == 0o600
    assert AuditFolder(tmp_path / "audit").open() == first


async def test_a_checkpoint_line_that_a_crash_cut_short_is_taken_away(stopped: Path) -> None:
    path = stopped / "audit" / CHECKPOINTS
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:30])
    assert verify_database(stopped / "radgate.db", stopped / "audit") == []
    again = await started(stopped)
    await again.record(SUBMISSION)
    await again.stop()
    assert path.read_bytes().startswith(whole)
    assert verify_database(stopped / "radgate.db", stopped / "audit") == []


def test_a_checkpoint_that_could_not_be_synced_was_not_made(tmp_path: Path) -> None:
    failing = False

    def sync(descriptor: int) -> None:
        if failing:
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)

    folder = AuditFolder(tmp_path, sync)
    folder.open()
    clock = FixedClock()
    folder.checkpoint(0, GENESIS, clock.now())
    failing = True
    with pytest.raises(OSError, match="No space"):
        folder.checkpoint(5, GENESIS, clock.now())
    failing = False
    folder.checkpoint(6, GENESIS, clock.now())
    assert [line.count(b"serial") for line in (tmp_path / CHECKPOINTS).read_bytes().splitlines()] == [1, 1]
    assert folder.last_number == 6


async def test_the_mark_follows_commits_without_being_asked(house: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.audit_sql.MARK_INTERVAL_S", 0.01)
    await house.record(*[SUBMISSION] * 3)

    async with asyncio.timeout(5):
        while b'"number": 3' not in (house.audit / MARK).read_bytes():
            await asyncio.sleep(0.01)


async def test_a_house_that_stops_marks_how_far_it_came_and_waits_for_no_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.audit_sql.MARK_INTERVAL_S", 60.0)
    house = await started(tmp_path)
    await house.record(SUBMISSION)
    async with asyncio.timeout(20):
        await house.stop()
    assert b'"number": 1' in (house.audit / MARK).read_bytes()


async def test_checkpoints_come_after_so_many_records(tmp_path: Path) -> None:

    house = await started(tmp_path, checkpoint_records=4)
    await house.record(*[SUBMISSION] * 5)
    async with asyncio.timeout(5):
        while b'"number": 5' not in (house.audit / CHECKPOINTS).read_bytes():
            await asyncio.sleep(0.01)
    await house.stop()
