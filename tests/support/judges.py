"""Judges from outside: programs that nobody here wrote, and the standards' own files, read in place.

On a machine without one, its tests skip with the reason. In CI (`CI=true`) the programs are installed, so a missing one
is a failure and not a skip.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_JUDGED = "not judged: "
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")


def require_program(name: str) -> str:
    """The path of a program; skips here, fails in CI, where it is absent."""
    found = shutil.which(name) or next(
        (str(Path(folder, name)) for folder in SYSTEM_FOLDERS if Path(folder, name).exists()), None
    )
    if found is None:
        absent(f"{name} is not installed")
    return found


def absent(reason: str) -> NoReturn:
    """A judge is not here."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def unable(reason: str) -> NoReturn:
    """A judge cannot be had here, whatever is installed: a registry's bad day, a machine that may not do it. Told, also in
    CI, and no failure.
    """
    pytest.skip(f"{NOT_JUDGED}{reason}")


def standards(*below: str) -> Path:
    """A file or folder of the standards collection; skips where the collection is absent."""
    folder = Path(os.environ.get("RADGATE_STANDARDS", ROOT.parent / "shared" / "standards"))
    path = folder.joinpath(*below)
    if not path.exists():
        pytest.skip(f"the standards collection has no {'/'.join(below)} here: not judged")
    return path
