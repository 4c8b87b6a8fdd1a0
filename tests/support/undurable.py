"""A house that forgets to wait for the disk: fsync does nothing, and SQLite is told not to ask for it.

Run as a script instead of `-m gateway`. It exists to show that the test of durability notices.
"""

import os
import runpy
import sqlite3
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

os.fsync = lambda _: None  # type: ignore[assignment]
os.fdatasync = lambda _: None  # type: ignore[assignment]


class _Careless(sqlite3.Connection):
    """Whoever asks for durability gets none."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous = OFF" if "synchronous" in sql else sql, parameters)


_connect = sqlite3.connect
sqlite3.connect = lambda *args, **options: _connect(*args, **{"factory": _Careless, **options})

runpy.run_module("gateway", run_name="__main__", alter_sys=True)
