"""The suite of the Documents port, on every store, with the objects that go with it."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.adapters.compute import ThreadCompute
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.store_sql import SqlStore
from gateway.ports.objects import INLINE_BYTES, StagedObject
from gateway.ports.store import Store
from profiles.errors import InternalFault, RuleViolation
from profiles.model.content import Content
from tests.gateway.adapters.stores import no_audit
from tests.support.registered import LATER, NOW

SMALL = b"%PDF-1.7 a report"
LARGE = bytes(range(256)) * (INLINE_BYTES // 128)


def inline(body: bytes, sha1: str | None = None) -> StagedObject:
    return StagedObject(content=Content.of(body, "application/pdf", sha1), inline=body, path=None)


async def test_a_document_is_opened_as_it_was_kept_any_number_of_times(store: Store) -> None:
    async with store.unit() as work:
        await work.documents.keep("1.2.3", inline(SMALL, hashlib.sha1(SMALL).hexdigest()))
    async with store.view() as work:
        content = await work.documents.open("1.2.3")
        assert await work.documents.open("1.2.4") is None
    assert content is not None
    assert (content.media_type, content.size_bytes) == ("application/pdf", len(SMALL))
    assert content.sha1 == hashlib.sha1(SMALL).hexdigest()
    assert [await content.read(1000), await content.read(1000)] == [SMALL, SMALL]


async def test_the_same_bytes_again_change_nothing_and_others_are_refused(store: Store) -> None:
    async with store.unit() as work:
        await work.documents.keep("1.2.3", inline(SMALL))
        await work.documents.keep("1.2.3", inline(SMALL, hashlib.sha1(SMALL).hexdigest()))
    with pytest.raises(RuleViolation) as caught:
        async with store.unit() as work:
            await work.documents.keep("1.2.3", inline(SMALL + b"!"))
    assert (caught.value.code, caught.value.location) == ("XDSNonIdenticalHash", "1.2.3")
    async with store.view() as work:
        content = await work.documents.open("1.2.3")
    assert content is not None
    assert await content.read(1000) == SMALL


async def test_an_empty_document_is_a_document(store: Store) -> None:
    async with store.unit() as work:
        await work.documents.keep("1.2.3", inline(b""))
    async with store.view() as work:
        content = await work.documents.open("1.2.3")
    assert content is not None
    assert (content.size_bytes, await content.read(10)) == (0, b"")


async def test_large_documents_stay_in_files_and_every_path_is_known(tmp_path: Path, compute: ThreadCompute) -> None:
    objects = FileObjects(tmp_path / "objects", compute)
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, kept=objects)
    await store.open()
    large = await objects.stage(Content.of(LARGE, "application/dicom"))
    small = await objects.stage(Content.of(SMALL, "application/pdf"))
    assert large.path is not None
    async with store.unit() as work:
        await work.documents.keep("1.2.3", large)
        await work.documents.keep("1.2.4", small)
    async with store.view() as work:
        content = await work.documents.open("1.2.3")
    assert content is not None
    assert (await content.read(len(LARGE)), content.media_type) == (LARGE, "application/dicom")
    assert [path async for path in store.paths()] == [large.path]
    await store.close()


async def test_a_store_opened_without_its_files_says_so(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await store.open()
    async with store.unit() as work:
        await work.documents.keep("1.2.3", StagedObject(content=Content.of(SMALL), inline=None, path="kept/ab/abc"))
        with pytest.raises(InternalFault):
            await work.documents.open("1.2.3")
    await store.close()


async def test_a_removed_document_is_not_there_and_its_id_may_be_used_for_other_bytes(store: Store) -> None:
    async with store.unit() as work:
        await work.documents.keep("1.2.3", inline(SMALL))
        await work.documents.keep("1.2.4", inline(SMALL))
    async with store.unit() as work:
        await work.documents.remove("1.2.3", NOW)
        await work.documents.remove("1.2.5", NOW)
    async with store.unit() as work:
        assert await work.documents.open("1.2.3") is None
        assert await work.documents.open("1.2.4") is not None
        assert list(await work.documents.left(LATER, 10)) == []
        await work.documents.keep("1.2.3", inline(SMALL + b"!"))


async def test_files_of_removed_documents_are_left_until_they_are_forgotten(
    tmp_path: Path, compute: ThreadCompute
) -> None:
    objects = FileObjects(tmp_path / "objects", compute)
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, kept=objects)
    await store.open()
    large = await objects.stage(Content.of(LARGE, "application/dicom"))
    async with store.unit() as work:
        await work.documents.keep("1.2.3", large)
        await work.documents.remove("1.2.3", NOW)
        assert list(await work.documents.left(NOW, 10)) == []
        assert list(await work.documents.left(LATER, 10)) == [large.path]
        await work.documents.forget([large.path or ""])
        assert list(await work.documents.left(LATER, 10)) == []
    assert not await objects.discard(large.path or "", NOW)  # placed again since, as its time says
    after = datetime.now(UTC) + timedelta(days=1)
    assert await objects.discard(large.path or "", after)
    assert not (tmp_path / "objects" / (large.path or "")).exists()
    assert await objects.discard(large.path or "", after)  # gone is gone
    await store.close()


async def test_a_file_that_came_to_nothing_is_left_and_one_that_a_document_has_is_not(
    tmp_path: Path, compute: ThreadCompute
) -> None:
    objects = FileObjects(tmp_path / "objects", compute)
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit, kept=objects)
    await store.open()
    kept = await objects.stage(Content.of(LARGE, "application/dicom"))
    refused = await objects.stage(Content.of(LARGE + b"?", "application/dicom"))
    async with store.unit() as work:
        await work.documents.keep("1.2.3", kept)
        await work.documents.leave([kept.path or "", refused.path or ""], NOW)
        assert list(await work.documents.left(LATER, 10)) == [refused.path]
    await store.close()
