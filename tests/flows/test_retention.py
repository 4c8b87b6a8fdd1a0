"""What a house keeps for its operators, and what it lets go of by itself: `[retention]`."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.adapters.raw_sql import RawKey
from tests.support.scenario import REPOSITORY, ZEBEDIAH, World, offer_of, rad69_request, world

DAY = 86_400 * 1_000_000  # microseconds, as rows have them


def rows(here: World, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(here.valley.data / "radgate.db")) as database:
        return database.execute(question).fetchall()


def grown_older(data: Path, days: int) -> None:
    """Everything that was noted was noted so many days earlier."""
    with closing(sqlite3.connect(data / "radgate.db")) as database:
        for table, column in (("exchanges", "updated_at"), ("raw_messages", "created_at")):
            database.execute(f"update {table} set {column} = {column} - {days * DAY}")
        database.commit()


async def test_a_message_is_kept_as_it_came_and_with_a_key_only_its_holder_reads_it(tmp_path: Path) -> None:
    key = bytes(range(32))
    (tmp_path / "raw.key").write_text(key.hex() + "\n")
    async with world(tmp_path, retention={"raw_key": tmp_path / "raw.key"}) as here:
        await here.valley.tell(ZEBEDIAH)
        ((exchange_id, failed, fingerprint, sealed),) = rows(
            here, "select exchange_id, failed, key, body from raw_messages"
        )
        assert rows(here, "select raw_key from steps") == [(f"raw:{exchange_id}",)]
        assert rows(here, "select 1 from documents") == []
    assert (failed, fingerprint) == (0, RawKey(key).fingerprint)
    assert b"Quillfeather" not in sealed
    message = RawKey(key).opened(exchange_id, sealed)
    assert message.startswith(b"MSH|")
    assert b"Quillfeather" in message


async def test_the_request_of_a_retrieval_that_was_poured_is_kept_as_others_are(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        await here.valley.provide(offer_of(study))
        await here.valley.rests("done")
        await (await here.valley.retrieve(rad69_request(study))).retrieved()
        await here.valley.closed("RAD-69")
        ((outcome, raw_key, failed, body),) = rows(
            here,
            "select outcome, raw_key, failed, body from steps join raw_messages using (exchange_id)"
            " where \"transaction\" = 'RAD-69' and direction = 'in'",
        )
    assert (outcome, failed) == ("success", 0)
    assert raw_key.startswith("raw:")
    assert study.study_instance_uid.encode() in body


async def test_a_house_lets_go_of_what_is_old_when_it_starts_and_of_nothing_else(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        stranger = offer_of(here.study())
        reply = await here.valley.provide(stranger, door=REPOSITORY, peer="Strict")
        assert await reply.codes() == ("XDSUnknownPatientId",)
        await here.valley.tell(ZEBEDIAH)
        study = here.study(seed=2)
        await here.valley.provide(offer_of(study))
        await here.valley.rests("done")
        _, bodies = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert len(bodies) == 6
        async with asyncio.timeout(30):
            while rows(here, "select 1 from exchanges where state = 'received'"):  # poured, and about to be noted so
                await asyncio.sleep(0.02)
        before = noted(here)
        audited = rows(here, "select count(*) from audit_records")
    assert before["exchanges"] == [("ask", "done", 2), ("ask", "failed", 1), ("receive", "done", 1)]
    grown_older(tmp_path / "valley", 91)

    async with world(tmp_path) as here:
        async with asyncio.timeout(30):
            while b"pruned" not in here.valley.log.getvalue() or noted(here)["exchanges"][0][1] == "done":
                await asyncio.sleep(0.02)
        assert noted(here)["exchanges"] == [("ask", "failed", 1), ("receive", "done", 1)]
        assert rows(here, "select count(*) from steps where exchange_id not in (select id from exchanges)") == [(0,)]
        assert noted(here)["steps of jobs"] == before["steps of jobs"] != [(0,)]
        assert noted(here)["raw"] == [(1,)] != before["raw"]
        assert rows(here, "select count(*) from audit_records") > audited
        status, metrics = await here.valley.get("/metrics")
        assert status == 200
        assert b'radgate_pruned_total{kind="ask",outcome="success"}' in metrics


def noted(here: World) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "exchanges": rows(here, "select kind, state, count(*) from exchanges group by 1, 2 order by 1, 2"),
        "steps of jobs": rows(
            here, "select count(*) from steps where exchange_id in (select id from exchanges where kind != 'ask')"
        ),
        "raw": rows(here, "select failed from raw_messages order by 1"),
    }
