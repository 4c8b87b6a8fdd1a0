"""A house and its judge on loopback, made ready for measuring."""

import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gateway.adapters.executor import Executor
from gateway.adapters.store_sql import SqlStore
from gateway.ports.audit import AuditSink
from profiles.model.identifiers import Oid
from profiles.model.patient import Patient
from tests.support.house import HouseProcess, serving

AUTHORITY, LOCATION, HOME = Oid("1.2.3.4"), Oid("1.2.3.3"), Oid("1.2.3.1")
SETTINGS = f"""
[house]
home_community_id = "{HOME}"
patient_authority = "{AUTHORITY}"
retrieve_location_uid = "{LOCATION}"
[listen]
http_port = 0
mllp_port = 0
[access]
anonymous_loopback = true
"""
LOCAL = Path("/var/tmp")  # a disk, where the system has one: fsync on a file system in memory would be for nothing


def no_audit(executor: Executor) -> AuditSink:
    """Nothing is recorded before the house is there."""
    raise AssertionError("no audit sink was asked for")


@asynccontextmanager
async def store_of(folder: Path) -> AsyncIterator[SqlStore]:
    """The rows of a house that does not run yet."""
    (folder / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
    store = SqlStore(f"sqlite:///{folder}/data/radgate.db", audit=no_audit)
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def house(
    folder: Path, *, knows: Iterable[Patient] = (), more: str = "", location: Oid = LOCATION, home: Oid = HOME
) -> AsyncIterator["House"]:
    """A `radgate serve` without TLS that knows these patients; `more` goes to its settings."""
    settings = SETTINGS.replace(f'"{LOCATION}"', f'"{location}"').replace(f'"{HOME}"', f'"{home}"')
    async with store_of(folder) as store, store.unit() as work:
        for patient in knows:
            await work.identity.put(patient, datetime.now(UTC))
    async with serving(folder, settings + more) as process:
        yield House(process, await process.addresses())


class House:
    """Where it is."""

    def __init__(self, process: HouseProcess, addresses: dict[str, str]) -> None:
        self.process = process
        self.pid = process.process.pid
        self.http = urlsplit(addresses["http"]).port or 0
        self.mllp = urlsplit(addresses["mllp"]).port or 0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a disk, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=LOCAL if LOCAL.is_dir() else None, prefix="radgate-bench-") as folder:
        yield Path(folder)


def stow_body(bodies: Sequence[bytes]) -> bytes:
    """A STOW-RS request of these."""
    parts = b"".join(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in bodies)
    return parts + b"--x--\r\n"


STOW_TYPE = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
