"""A PostgreSQL server of our own: in a folder of its own, on a Unix socket only, gone when the tests are."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.judges import require_program

_START_S = 60.0


@contextmanager
def postgresql() -> Iterator[str]:
    """Start it; the address of an empty database. `fsync` is off: what is judged here is answers, not disks."""
    initdb, postgres = require_program("initdb"), require_program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has at most 107 bytes
    user: str | None = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres"
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    data = folder / "data"
    try:
        subprocess.run(
            [initdb, "--pgdata", data, "--username", "radgate", "--auth", "trust", "--encoding", "UTF8",
             "--locale", "C.UTF-8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder,
        )  # fmt: skip
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off",
                 "-c", "max_connections=60", "-c", "shared_buffers=64MB"],
                stdout=log, stderr=log, user=user, cwd=folder,
            )  # fmt: skip
        try:
            _wait(folder, server)
            yield f"postgresql://radgate@/postgres?host={folder}"
        finally:
            server.terminate()  # a smart shutdown waits for its clients
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path, server: "subprocess.Popen[bytes]") -> None:
    ready = require_program("pg_isready")
    until = time.monotonic() + _START_S
    while subprocess.run([ready, "-q", "-h", folder, "-U", "radgate"], check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the server did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
