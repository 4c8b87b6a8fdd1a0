"""The schema: that migrations lead to it, on both databases, and that what is asked most is answered by an index."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.adapters.migrations import configuration, heads, upgrade
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.stored import entry_body
from gateway.adapters.tables import metadata
from gateway.model.job import Event, Kind, State
from profiles.model.moment import Moment
from profiles.model.query import DocumentCriteria, StudyCriteria
from tests.gateway.adapters.plans import ALSO_BY_INDEX, BY_PATIENT, find, plans, scans, sorts
from tests.gateway.adapters.stores import no_audit
from tests.support.registered import (
    ANN,
    CT,
    HEAD,
    NOW,
    arrived,
    entry,
    entry_uuid,
    exchange,
    folder,
    instance,
    patient,
    series,
    study,
    submission,
)

importlib.import_module("gateway.adapters.audit_sql")  # adds its tables


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, metadata)


# --- migrations ---------------------------------------------------------------------------------------------------------


def test_migrations_lead_to_the_tables_on_sqlite(tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        upgrade(connection)
        assert differences(connection) == []


@pytest.mark.judge_program
async def test_migrations_lead_to_the_tables_on_postgresql(database: str) -> None:
    engine = create_async_engine(database.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_where_the_steps_lead_is_read_from_them_as_alembic_reads_it() -> None:
    assert heads() == frozenset(ScriptDirectory.from_config(configuration()).get_heads())


def test_a_database_that_is_up_to_date_is_left_alone_without_alembic(tmp_path: Path) -> None:
    program = (
        "import sys, gateway.app; from pathlib import Path; from gateway.adapters.store_sqlite import engine_of;"
        "from gateway.adapters.migrations import upgrade;"
        "upgrade(engine_of(Path(sys.argv[1])).connect()); print('alembic' in sys.modules)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "a.db")], capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert [each.stdout.strip() for each in told] == ["True", "False"]


def test_text_keys_without_a_rowid_are_so_in_the_migrated_database_too(tmp_path: Path) -> None:
    wanted = {name for name, table in metadata.tables.items() if not table.dialect_options["sqlite"]["with_rowid"]}
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        upgrade(connection)
        rows = connection.execute(text("select name, sql from sqlite_master where type = 'table'")).all()
    assert {name for name, made in rows if "WITHOUT ROWID" in made.upper()} == wanted


def test_the_rows_of_the_ports_go_down_and_up_again_and_audit_stays(tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        upgrade(connection)
        command.downgrade(configuration(connection), "0001@base")
        left = set(inspect(connection).get_table_names())
        assert left == {
            "alembic_version",
            *(
                name
                for name in metadata.tables
                if name.startswith(
                    ("audit_", "hl7_", "publications", "correlations", "registrations", "told_", "premises", "support_")
                )
            ),
        }
        upgrade(connection)
        assert differences(connection) == []


def test_raw_messages_that_were_documents_are_taken_along_and_documents_stay(tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        command.upgrade(configuration(connection), "0001")
        for id_, state in (("7", "done"), ("8", "failed")):
            connection.execute(
                text(
                    "insert into exchanges values"
                    " (:id, 'ask', :state, 11, 12, '', '', '', '{}', '', '', null, 0, '', null, null)"
                ),
                {"id": id_, "state": state},
            )
        for name, body in (("raw:7", b"MSH|"), ("raw:8", b""), ("raw:of nobody", b"x"), ("1.2.3", b"%PDF")):
            connection.execute(
                text("insert into documents values (:name, 'application/octet-stream', :size, '', null, :body)"),
                {"name": name, "size": len(body), "body": body},
            )
        upgrade(connection)
        rows = connection.execute(text("select * from raw_messages order by exchange_id")).all()
        names = connection.execute(text("select document_unique_id from documents")).scalars().all()
    assert [tuple(row) for row in rows] == [("7", 11, 0, 4, "", b"MSH|"), ("8", 11, 1, 0, "", b"")]
    assert names == ["1.2.3"]


def test_what_was_here_before_chains_were_kept_has_none_and_what_is_withdrawn_is_shown_where_nothing_hides_it(
    tmp_path: Path,
) -> None:
    row = "5, '{sop}', '1.2.840', null, null, 1, null, null, null, null, x'01'"
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        command.upgrade(configuration(connection), "0003")
        connection.execute(
            text("insert into studies values ('1.2', 'available', 1, '', 1, -1, 1, 2, -1, '', '', '', x'01')")
        )
        connection.execute(text("insert into series values ('1.2', '1.2.3', 5, 'CT', 1, x'01')"))
        connection.execute(text(f"insert into instances values ({row.format(sop='1.2.3.1')})"))
        connection.execute(text("insert into expected_instances values ('1.2', '1.2.3.2')"))
        upgrade(connection)
        assert connection.execute(text("select chain from instances")).all() == [(None,)]
        assert connection.execute(text("select series_key, chain from expected_instances")).all() == [(None, None)]
        assert connection.execute(text("select withdrawn from series")).all() == [(0,)]
        connection.execute(text("update studies set status = 'cancelled'"))
        connection.execute(text("update series set instances = 0, withdrawn = 1"))
        connection.execute(text("delete from instances"))
        for sop in ("1.2.3.1", "1.2.3.9"):
            values = f"{row.format(sop=sop)}, 77, '1.2', 9, '1.2.78'"
            connection.execute(text(f"insert into withdrawn_instances values ({values})"))
        connection.execute(text("insert into study_keys values ('1.2', 'chain', '1.2.77', '')"))
        command.downgrade(configuration(connection), "0003_versions")
        assert connection.execute(text("select status from studies")).all() == [("available",)]
        assert connection.execute(text("select instances from series")).all() == [(2,)]
        assert connection.execute(text("select sop_instance_uid from instances order by 1")).all() == [
            ("1.2.3.1",), ("1.2.3.9",),
        ]  # fmt: skip
        assert connection.execute(text("select * from study_keys")).all() == []
        upgrade(connection)
        assert differences(connection) == []


async def test_an_entry_of_a_schema_without_versions_is_the_first_of_its_own_and_gets_a_next_one(
    tmp_path: Path,
) -> None:
    first = entry(title="first")
    with create_engine(f"sqlite:///{tmp_path}/a.db").begin() as connection:
        command.upgrade(configuration(connection), "0003")
        connection.execute(
            text(
                "insert into entries values (:of, 1, :id, :uid, 'approved', 'stable', 'c', 'c', 'c', 'c', 'c',"
                " null, null, null, :body)"
            ),
            {"of": str(first.patient_id), "id": first.entry_uuid, "uid": first.unique_id, "body": entry_body(first)},
        )
        connection.execute(text("insert into registry_objects values (:id, 'entry')"), {"id": first.entry_uuid})
        upgrade(connection)
    store = SqlStore(f"sqlite:///{tmp_path}/a.db", audit=no_audit)
    await store.open()
    second = replace(first, entry_uuid=entry_uuid(), logical_id=first.entry_uuid, version=2, title="second")
    async with store.unit() as work:
        newest = DocumentCriteria(logical_ids=(first.entry_uuid,), latest=True)
        assert [each.title async for each in work.registry.find(newest)] == ["first"]
        await work.registry.put(submission(second), NOW)
        assert [each.title async for each in work.registry.find(newest)] == ["second"]
        assert await work.registry.superseded([first.entry_uuid, second.entry_uuid]) == {first.entry_uuid}
    await store.close()


async def test_an_upgrade_that_fails_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    path = tmp_path / "a.db"
    store = SqlStore(f"sqlite:///{path}", audit=no_audit)
    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", broken)
        with pytest.raises(RuntimeError):
            await store.open()
    with create_engine(f"sqlite:///{path}").connect() as connection:
        assert inspect(connection).get_table_names() == []
    await store.open()
    await store.close()


# --- plans --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def watched(tmp_path: Path) -> Any:
    """A SQLite store with something in it, and the list of statements that a view has run."""
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await store.open()
    async with store.unit() as work:
        await work.registry.put(submission(entry(event_codes=(CT, HEAD))), NOW)
        whole = study("1.2.3.50.1", series("1.2.3.50.1.1", instance("1.2.3.50.1.1.1", 1)))
        await work.studies.add(arrived(whole), whole.patient, "", NOW)
        await work.identity.put(patient(), NOW)
        await work.ledger.open(exchange("1"))
        await work.ledger.advance("1", Event.SETTLED, NOW)
    yield store
    await store.close()


@pytest.mark.parametrize("criteria", BY_PATIENT.values(), ids=BY_PATIENT)
async def test_find_documents_reads_one_patients_entries_in_order(watched: SqlStore, criteria: dict[str, Any]) -> None:
    plan = await plans(watched, lambda work: find(work, patient_ids=(ANN,), **criteria))
    assert any("SEARCH entries" in step and "(patient_id=?" in step for step in plan), plan
    assert not scans(plan), plan
    assert not sorts(plan), plan


@pytest.mark.parametrize("ask", ALSO_BY_INDEX.values(), ids=ALSO_BY_INDEX)
async def test_no_question_of_the_day_walks_a_whole_table(watched: SqlStore, ask: Any) -> None:
    plan = await plans(watched, ask)
    assert not scans(plan), plan


NOT_WALKED = (
    "studies by patient",
    "studies by accession",
    "studies by uid",
    "studies by series",
    "studies by instance",
)


@pytest.mark.parametrize("name", NOT_WALKED)
async def test_a_few_studies_are_found_from_their_key_and_not_by_walking_in_order(watched: SqlStore, name: str) -> None:
    plan = await plans(watched, ALSO_BY_INDEX[name])
    assert any(re.search(r"SEARCH studies USING INDEX \S+ \(study_instance_uid=\?\)", step) for step in plan), plan


@pytest.mark.parametrize(
    ("comparison", "ends"), [("eq", ">? AND started_order<?"), ("ge", "<?"), ("gt", "<?"), ("le", ">?"), ("lt", ">?")]
)
async def test_studies_of_a_time_are_looked_for_where_that_time_is_and_not_from_the_newest_on(
    watched: SqlStore, comparison: str, ends: str
) -> None:
    criteria = StudyCriteria(started=((comparison, Moment.from_dtm("20260301")),))
    plan = await plans(watched, lambda work: work.studies.search(criteria, False))
    (walk,) = [step for step in plan if " studies " in step]
    assert walk == f"SEARCH studies USING INDEX ix_studies_started_order_study_instance_uid (started_order{ends})"


async def test_claiming_looks_at_what_is_due_and_nothing_else(watched: SqlStore) -> None:
    seen: list[str] = []
    async with watched.unit() as work:
        raw = work.executor.raw  # type: ignore[attr-defined]
        raw.set_trace_callback(seen.append)
        assert await work.ledger.claim(NOW, "me", timedelta(seconds=1))
        raw.set_trace_callback(None)
        plan = [
            row[3]
            for statement in seen
            if statement.startswith("SELECT")
            for row in raw.execute(f"explain query plan {statement}")
        ]
    assert plan
    assert all("ix_exchanges_peer_claimable_at" in step for step in plan), plan


PRUNING: dict[str, Any] = {
    "exchanges": lambda work: work.ledger.prune(frozenset({Kind.ASK}), frozenset({State.DONE}), NOW, 10),
    "raw messages": lambda work: work.raw.prune(NOW, 10, failed=False),
}


@pytest.mark.parametrize("ask", PRUNING.values(), ids=PRUNING)
async def test_pruning_reads_what_goes_and_nothing_else(watched: SqlStore, ask: Any) -> None:
    seen: list[str] = []
    async with watched.unit() as work:
        await work.ledger.open(exchange("2", kind=Kind.ASK, state=State.DONE, updated_at=NOW - timedelta(days=1)))
        await work.raw.keep("2", NOW - timedelta(days=1), b"x", failed=False)
        raw = work.executor.raw  # type: ignore[attr-defined]
        raw.set_trace_callback(seen.append)
        assert await ask(work) == 1
        raw.set_trace_callback(None)
        plan = [row[3] for statement in seen for row in raw.execute(f"explain query plan {statement}")]
    assert plan
    assert all(step.startswith(("SEARCH", "LIST SUBQUERY")) for step in plan), plan


async def test_a_version_is_made_and_an_object_removed_without_walking_a_table(watched: SqlStore) -> None:
    first = entry(title="first")
    second = replace(first, entry_uuid=entry_uuid(), logical_id=first.entry_uuid, version=2)
    filed = folder()
    seen: list[str] = []
    async with watched.unit() as work:
        await work.registry.put(submission(first, folders=(filed,)), NOW)
        raw = work.executor.raw  # type: ignore[attr-defined]
        raw.set_trace_callback(seen.append)
        await work.registry.put(submission(second), NOW)
        await work.registry.superseded([first.entry_uuid])
        await work.registry.objects([first.entry_uuid, filed.entry_uuid])
        await work.registry.remove([second.entry_uuid, filed.entry_uuid], NOW)
        raw.set_trace_callback(None)
        read = [each for each in seen if each.startswith(("SELECT", "UPDATE", "DELETE"))]
        plan = [row[3] for statement in read for row in raw.execute(f"explain query plan {statement}")]
    assert plan
    assert not scans(plan), plan
