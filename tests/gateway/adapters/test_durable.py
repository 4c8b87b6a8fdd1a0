"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from gateway.adapters.durable import create, write_all, write_whole


def test_a_file_is_written_synced_and_only_then_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "house.json"
    path.write_bytes(b"before")
    seen: list[bytes] = []

    def sync(descriptor: int) -> None:
        seen.append(path.read_bytes())
        os.fsync(descriptor)

    write_whole(path, b"after", sync)
    assert seen == [b"before", b"after"]  # the file before the rename, the folder after it
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["house.json"]


def test_what_a_house_left_half_written_is_no_hindrance_and_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "house.json"
    path.write_bytes(b"before")

    def down(_: int) -> None:
        raise OSError("the house goes down here")

    with pytest.raises(OSError, match="goes down"):
        write_whole(path, b"after", down)
    assert path.read_bytes() == b"before"
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"


@pytest.mark.parametrize("most", [1, 7, 1000, 1 << 20])
def test_short_writes_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    chunks = [
        bytes([number % 251]) * (number % 5) for number in range(3000)
    ]  # empty ones too, more than one call takes

    def short(descriptor: int, views: list[memoryview]) -> int:
        return os.write(descriptor, b"".join(views)[:most])

    whole = tmp_path / "whole"
    descriptor = create(whole)
    write_all(descriptor, chunks)
    os.close(descriptor)
    assert whole.read_bytes() == b"".join(chunks)
    monkeypatch.setattr(os, "writev", short)
    descriptor = create(tmp_path / "short")
    write_all(descriptor, chunks)
    os.close(descriptor)
    assert (tmp_path / "short").read_bytes() == b"".join(chunks)
