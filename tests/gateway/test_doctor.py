"""The doctor looks at what a start would need, and changes nothing."""

import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.migrations import heads
from gateway.adapters.store_sql import SqlStore
from gateway.doctor import Examined, examine
from gateway.settings import Settings, SettingsError
from gateway.wiring.identity import house_of
from tests.gateway.adapters.stores import no_audit


async def examined(folder: Path, **tables: Any) -> dict[str, Examined]:
    settings = Settings.model_validate(
        {"house": {"data": folder}, "listen": {"http_port": 0, "mllp_port": 0}, **tables}
    )
    return {each.what.partition(" /")[0]: each for each in await examine(settings)}


def made(path: Path, *revisions: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table alembic_version (version_num varchar(32))")
        database.executemany("insert into alembic_version values (?)", [(each,) for each in revisions])
    database.close()


async def test_a_database_that_is_not_there_yet_is_good_and_not_made(tmp_path: Path) -> None:
    assert (await examined(tmp_path))["database"].good
    assert list(tmp_path.iterdir()) == []


async def test_a_database_that_we_know_is_good(tmp_path: Path) -> None:
    made(tmp_path / "radgate.db", *heads())
    assert (await examined(tmp_path))["database"].good


async def test_a_database_of_a_later_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "radgate.db"
    made(path, "9999")
    before = path.read_bytes()
    found = (await examined(tmp_path))["database"]
    assert "9999" in found.state
    assert found.cure
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "radgate.db").write_bytes(b"not a database" * 100)
    found = (await examined(tmp_path))["database"]
    assert not found.good
    assert "not a database" in found.state


async def test_a_database_server_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://u:s3cret@127.0.0.1:{unused.getsockname()[1]}/d"
        found = (await examined(tmp_path, store={"url": url}))["database of store.url"]
    assert not found.good
    assert "s3cret" not in repr(found)


async def test_an_address_that_the_driver_cannot_read_is_told(tmp_path: Path) -> None:
    url = "postgresql://u:s3cret@/d?port=x"
    found = (await examined(tmp_path, store={"url": url}))["database of store.url"]
    assert found.state == "the address of store.url cannot be read"
    assert "s3cret" not in repr(found)


async def test_a_folder_of_another_databases_documents_is_told(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/radgate.db", audit=no_audit)
    await store.open()
    async with store.named() as (name, _):
        pass
    await store.close()
    common = tmp_path / "common"
    common.mkdir()
    for owner, good in (("", True), (name, True), ("another", False)):
        (common / "database").write_text(owner, encoding="ascii")
        found = (await examined(tmp_path, store={"objects": f"file://{common}"}))["documents"]
        assert found.good is good
    assert "of another database" in found.state
    assert (await examined(tmp_path))["documents"].good  # below the data folder nobody else can be


async def test_an_archive_and_a_collector_that_nobody_serves_are_told(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        archive, syslog = f"http://127.0.0.1:{port}/dicom-web", f"tls://127.0.0.1:{port}"
        found = await examined(tmp_path, archive={"kind": "dicomweb", "url": archive}, audit={"syslog": syslog})
    for what in (f"archive {archive}", f"audit collector {syslog}"):
        assert found[what].state == "nobody answers there"


async def test_an_archive_and_a_collector_that_answer_are_good(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as served:
        port = served.getsockname()[1]
        archive, syslog = f"http://127.0.0.1:{port}/dicom-web", f"tcp://127.0.0.1:{port}"
        found = await examined(tmp_path, archive={"kind": "dicomweb", "url": archive}, audit={"syslog": syslog})
    assert found[f"archive {archive}"].good
    assert found[f"audit collector {syslog}"].good


async def test_an_archive_of_files_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file where a folder should be", encoding="utf-8")
    assert not (await examined(tmp_path))["archive"].good


async def test_a_listener_that_is_off_needs_no_port(tmp_path: Path) -> None:
    found = await examined(tmp_path, listen={"http_port": 0, "mllp": False})
    assert "listen.http_port 0" in found
    assert not any(what.startswith("listen.mllp_port") for what in found)


async def test_a_further_repository_is_told_with_its_address(tmp_path: Path) -> None:
    clinic = {"name": "clinic", "unique_id": "1.2.8.2"}
    found = (await examined(tmp_path, repository=[clinic]))["repository clinic"]
    assert (found.good, found.state) == (True, "1.2.8.2, at /soap/repository/clinic")


async def test_a_further_repository_with_the_id_that_was_made_for_our_own_is_told(tmp_path: Path) -> None:
    own = house_of(Settings.model_validate({"house": {"data": tmp_path}}), 8080).repository_unique_id
    clinic = {"name": "clinic", "unique_id": own}
    found = (await examined(tmp_path, repository=[clinic]))["repository clinic"]
    assert not found.good
    assert found.cure
    with pytest.raises(SettingsError, match=r"repository\.0\.unique_id"):
        house_of(Settings.model_validate({"house": {"data": tmp_path}, "repository": [clinic]}), 8080)
