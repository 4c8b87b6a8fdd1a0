"""The suite of the RawMessages port, on every store; and what is at rest in a database when there is a key."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.adapters.raw_sql import RawKey
from gateway.adapters.store_sql import SqlStore
from gateway.ports.raw import KEPT_BYTES
from gateway.ports.store import Store
from profiles.errors import UnknownDocument
from tests.gateway.adapters.stores import no_audit
from tests.support.registered import LATER, NOW

MESSAGE = b"MSH|^~\\&|VALLEY\rPID|1||VA99402^^^&1.2.3.4&ISO||Quillfeather^Zebediah\r\xe9\x00"
SECOND = timedelta(seconds=1)


async def keep(store: Store, *messages: tuple[str, bytes, bool]) -> None:
    """Each a second after the one before."""
    async with store.unit() as work:
        for number, (id_, body, failed) in enumerate(messages):
            await work.raw.keep(id_, NOW + number * SECOND, body, failed=failed)


async def opened(store: Store, id_: str) -> bytes | None:
    async with store.view() as work:
        return await work.raw.open(id_)


async def left(store: Store, ids: str) -> str:
    return "".join([id_ for id_ in ids if await opened(store, id_) is not None])


async def tidied(store: Store, max_bytes: int, *, failed: bool = False) -> int:
    """Both steps, as housekeeping takes them."""
    async with store.view() as work:
        horizon = await work.raw.horizon(NOW - SECOND, max_bytes, failed=failed)
    async with store.unit() as work:
        return await work.raw.prune(horizon, 99, failed=failed)


# --- keeping ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [MESSAGE, b"", os.urandom(KEPT_BYTES)], ids=["message", "empty", "whole"])
async def test_a_message_is_opened_as_it_came(store: Store, body: bytes) -> None:
    await keep(store, ("1", body, False))
    assert await opened(store, "1") == body
    assert await opened(store, "2") is None


async def test_the_last_message_of_an_exchange_is_the_one_that_is_kept(store: Store) -> None:
    await keep(store, ("1", MESSAGE, False), ("1", b"again", True))
    assert await opened(store, "1") == b"again"
    assert await tidied(store, 0) == 0
    assert await tidied(store, 0, failed=True) == 1


async def test_what_was_kept_in_a_unit_that_fails_is_not_kept(store: Store) -> None:
    with pytest.raises(RuntimeError):
        async with store.unit() as work:
            await work.raw.keep("1", NOW, MESSAGE, failed=False)
            raise RuntimeError
    assert await opened(store, "1") is None


# --- letting go ---------------------------------------------------------------------------------------------------------


async def test_what_is_older_goes_the_oldest_first_and_a_batch_is_bounded(store: Store) -> None:
    await keep(store, *((id_, MESSAGE, False) for id_ in "abcde"))
    async with store.unit() as work:
        assert await work.raw.prune(NOW + 4 * SECOND, 3, failed=False) == 3
    assert await left(store, "abcde") == "de"
    async with store.unit() as work:
        assert await work.raw.prune(NOW + 4 * SECOND, 3, failed=False) == 1
        assert await work.raw.prune(NOW + 4 * SECOND, 3, failed=False) == 0
    assert await left(store, "abcde") == "e"


async def test_the_class_that_is_not_named_stays(store: Store) -> None:
    await keep(store, ("a", MESSAGE, True), ("b", MESSAGE, False), ("c", MESSAGE, True))
    async with store.unit() as work:
        assert await work.raw.prune(LATER, 99, failed=False) == 1
    assert await left(store, "abc") == "ac"
    async with store.unit() as work:
        assert await work.raw.prune(LATER, 99, failed=True) == 2
    assert await left(store, "abc") == ""


async def test_nothing_that_fits_goes_for_its_size(store: Store) -> None:
    await keep(store, *((id_, b"x" * 100, False) for id_ in "abc"))
    assert await tidied(store, 300) == 0
    assert await left(store, "abc") == "abc"


async def test_the_oldest_go_until_the_rest_fits(store: Store) -> None:
    await keep(store, ("a", b"x", False), ("b", b"x" * 200, False), ("c", b"x" * 100, False), ("d", b"x" * 50, False))
    assert await tidied(store, 151) == 2
    assert await left(store, "abcd") == "cd"
    assert await tidied(store, 49) == 2


async def test_a_flood_of_what_went_well_does_not_push_out_what_failed(store: Store) -> None:
    await keep(store, ("f", b"x" * 100, True), *((id_, b"x" * 100, False) for id_ in "abcde"))
    assert await tidied(store, 200) == 3
    assert await tidied(store, 200, failed=True) == 0
    assert await left(store, "fabcde") == "fde"


async def test_where_all_that_is_too_much_is_too_old_anyway_age_decides(store: Store) -> None:
    await keep(store, ("a", b"x" * 1000, False), ("b", b"x", False))
    async with store.view() as work:
        assert await work.raw.horizon(NOW + SECOND, 1, failed=False) == NOW + SECOND
        assert await work.raw.horizon(LATER, 0, failed=False) == LATER


# --- at rest ------------------------------------------------------------------------------------------------------------

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.judge_program)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/keyed.db"
    return str(request.getfixturevalue("database"))


async def with_key(url: str, key: bytes | None) -> AsyncIterator[SqlStore]:
    made = SqlStore(url, audit=no_audit, raw_key=key)
    await made.open()
    yield made
    await made.close()


async def test_with_a_key_a_message_is_opened_as_it_came_and_by_this_key_only(url: str) -> None:
    async for store in with_key(url, KEY):
        await keep(store, ("1", MESSAGE, False), ("2", b"", False))
        assert (await opened(store, "1"), await opened(store, "2")) == (MESSAGE, b"")
    for other in (OTHER_KEY, None):
        async for store in with_key(url, other):
            with pytest.raises(UnknownDocument) as caught:
                await opened(store, "1")
            assert "retention.raw_key" in caught.value.cure
    async for store in with_key(url, KEY):
        assert await opened(store, "1") == MESSAGE


async def test_what_was_kept_before_there_was_a_key_is_still_opened(url: str) -> None:
    async for store in with_key(url, None):
        await keep(store, ("1", MESSAGE, False))
    async for store in with_key(url, KEY):
        assert await opened(store, "1") == MESSAGE


@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without"])
async def test_with_a_key_no_word_of_the_message_is_in_any_file(tmp_path: Path, key: bytes | None) -> None:
    async for store in with_key(f"sqlite:///{tmp_path}/keyed.db", key):
        await keep(store, ("1", MESSAGE, False))
        found = [path.name for path in tmp_path.iterdir() if b"Quillfeather" in path.read_bytes()]
    assert bool(found) is (key is None)


@pytest.mark.parametrize("change", ["flip a bit", "move it", "cut it"])
async def test_a_message_that_was_changed_or_moved_at_rest_is_not_shown(tmp_path: Path, change: str) -> None:
    async for store in with_key(f"sqlite:///{tmp_path}/keyed.db", KEY):
        await keep(store, ("1", MESSAGE, False), ("2", b"another", False))
        with closing(sqlite3.connect(tmp_path / "keyed.db")) as other:
            (body,) = other.execute("select body from raw_messages where exchange_id = '1'").fetchone()
            if change == "flip a bit":
                body = body[:20] + bytes([body[20] ^ 1]) + body[21:]
            elif change == "cut it":
                body = body[:5]
            else:
                (body,) = other.execute("select body from raw_messages where exchange_id = '2'").fetchone()
            other.execute("update raw_messages set body = ? where exchange_id = '1'", (body,))
            other.commit()
        with pytest.raises(UnknownDocument, match="not what was kept"):
            await opened(store, "1")


def test_the_same_message_is_never_the_same_twice_and_a_fingerprint_does_not_tell_the_key() -> None:
    key = RawKey(KEY)
    assert key.sealed("1", MESSAGE) != key.sealed("1", MESSAGE)
    assert len(key.sealed("1", MESSAGE)) == len(MESSAGE) + 12 + 16
    assert key.fingerprint == RawKey(KEY).fingerprint != RawKey(OTHER_KEY).fingerprint
    assert key.fingerprint not in KEY.hex()
