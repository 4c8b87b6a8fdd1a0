"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from gateway.adapters.durable import write_whole


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
