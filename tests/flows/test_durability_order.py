"""Safe before said, by order of system calls: SIGKILL does not lose the page cache, so no kill can prove this.

The house runs under strace. For each wire, what was written for a request to the database's log (and to the archive) is
synced, and the sync has returned, before the first byte of the answer is written. A house that does not sync fails.
"""

import asyncio
import io
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from profiles.model.content import Content
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest
from tests.support.communities import RESPONDING, VALLEY_HOME
from tests.support.house import LOOPBACK, HouseProcess, start
from tests.support.judges import require_program
from tests.support.scenario import VALLEY, ZEBEDIAH, Valley, message_of, offer_of, write_study

pytestmark = pytest.mark.judge_program

CALLS = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg,rename,renameat,renameat2"
UNDURABLE = Path(__file__).resolve().parents[1] / "support" / "undurable.py"
SETTINGS = LOOPBACK + f'[house]\nname = "Valley"\nhome_community_id = "{VALLEY_HOME}"\npatient_authority = "{VALLEY}"\n'

_RETURNED = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)")


@dataclass(frozen=True)
class Call:
    """A system call that has returned. `target` is the path or socket that it was about, `text` the whole line."""

    name: str
    target: str
    text: str


def calls(lines: Sequence[str]) -> list[Call]:
    """Calls in the order in which they *returned*; writes to a socket where they *began*: then the bytes may be out."""
    found: list[Call] = []
    pending: dict[tuple[str, str], str] = {}
    for line in lines:
        match = _RETURNED.match(line)
        if match is None:
            continue
        thread, name = match.groups()
        if "resumed>" in line:
            begun = pending.pop((thread, name), "")
            if begun and not _is_socket(begun):
                found.append(Call(name, _target(begun), begun))
        elif line.rstrip().endswith("<unfinished ...>"):
            pending[thread, name] = line
            if _is_socket(line):
                found.append(Call(name, _target(line), line))
        else:
            found.append(Call(name, _target(line), line))
    return found


def _target(line: str) -> str:
    found = re.search(r"\(\d+<(.*?)>[,) ]", line)
    return found.group(1) if found is not None else ""


def _is_socket(line: str) -> bool:
    return _target(line).startswith(("socket:", "TCP:", "TCPv6:"))


def safe_before_said(trace: Sequence[Call], marker: str, *, stored: int = 0) -> None:
    """What was written before the answer with this marker was synced before it; `stored` files of the archive too."""
    answers = [at for at, call in enumerate(trace) if _is_socket(call.text) and marker in call.text]
    assert answers, f"no answer with {marker}"
    before = trace[: answers[0]]
    written = [at for at, call in enumerate(before) if call.target.endswith("radgate.db-wal") and "write" in call.name]
    assert written, "nothing was written to the log of the database"
    synced = [at for at, call in enumerate(before) if call.target.endswith("radgate.db-wal") and "sync" in call.name]
    assert synced, "the log of the database was not synced before the answer"
    assert synced[-1] > written[-1], "something was written to the log of the database after its last sync"
    if stored:
        files = [call for call in before if "/archive/incoming/" in call.target and "sync" in call.name]
        folders = [call for call in before if "/archive/studies/" in call.target and "sync" in call.name]
        assert len(files) >= stored, f"{len(files)} of {stored} files of the archive were synced before the answer"
        assert folders, "the archive's folder was not synced before the answer"


class Traced:
    """A house under strace, and what it has done."""

    def __init__(self, house: HouseProcess, log: Path, valley: Valley) -> None:
        self.house = house
        self.log = log
        self.valley = valley
        self._seen = 0

    def begin(self) -> None:
        """From here on."""
        self._seen = self.log.stat().st_size

    async def trace(self, marker: str) -> list[Call]:
        """What was done since, as soon as the answer is among it: strace writes a little later."""
        async with asyncio.timeout(20):
            while True:
                with self.log.open("rb") as file:
                    file.seek(self._seen)
                    lines = file.read().decode("utf-8", "replace").splitlines()
                if any(marker in line for line in lines):
                    return calls(lines)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def traced(folder: Path, program: Sequence[str] = ("-m", "gateway")) -> AsyncIterator[Traced]:
    strace = require_program("strace")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "radgate.toml").write_text(SETTINGS, encoding="utf-8")
    log = folder / "strace.log"
    wrap = (strace, "-f", "-y", "-s", "4096", "-e", CALLS, "-e", "signal=none", "-o", str(log))
    house = await start(folder, wrap=wrap, program=program)
    try:
        await house.ready()
        addresses = await house.addresses()
        async with ClientSession(timeout=ClientTimeout(total=60)) as http:
            yield Traced(house, log, Valley(data=house.data, addresses=addresses, http=http, log=io.BytesIO()))
    finally:
        # A tracer that is killed lets go of what it traces, so the house goes first.
        with suppress(FileNotFoundError, ProcessLookupError):
            for pid in Path(f"/proc/{house.process.pid}/task/{house.process.pid}/children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        await house.process.wait()


async def adt(here: Traced, folder: Path) -> None:
    here.begin()
    assert (await here.valley.tell(ZEBEDIAH)).accepted
    safe_before_said(await here.trace("MSA|AA"), "MSA|AA")


async def rad68(here: Traced, folder: Path) -> None:
    offer = offer_of(write_study(folder / "offered", series=1, instances=2))
    here.begin()
    reply = await here.valley.provide(offer, peer="")
    assert await reply.codes() in ((), ("DocumentQueued",))
    safe_before_said(await here.trace("ResponseStatusType:Success"), "ResponseStatusType:Success")


async def iti80(here: Traced, folder: Path) -> None:
    offer = offer_of(write_study(folder / "handed", seed=3, series=1, instances=2))
    request = ProvideAndRegisterRequest(
        submission=offer.submission, documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body)},
        home_community_id=VALLEY_HOME,
    )  # fmt: skip
    message = await message_of(ITI_80, request)
    here.begin()
    reply = await here.valley.post(RESPONDING, message, peer="")
    assert await reply.codes() in ((), ("DocumentQueued",))
    safe_before_said(await here.trace("ResponseStatusType:Success"), "ResponseStatusType:Success")


async def stow(here: Traced, folder: Path) -> None:
    study = write_study(folder / "pushed", seed=2, series=1, instances=3)
    here.begin()
    status, _ = await here.valley.push((one.path.read_bytes() for one in study.instances), peer="")
    assert status == 200
    safe_before_said(await here.trace("HTTP/1.1 200"), "HTTP/1.1 200", stored=3)


WIRES = {"ADT": adt, "RAD-68": rad68, "ITI-80": iti80, "STOW-RS": stow}


async def test_what_is_acknowledged_was_synced_before(tmp_path: Path) -> None:
    async with traced(tmp_path / "house") as here:
        for ask in WIRES.values():
            await ask(here, tmp_path)


async def test_a_house_that_does_not_sync_is_found_out_on_every_wire(tmp_path: Path) -> None:
    async with traced(tmp_path / "house", (str(UNDURABLE),)) as here:
        for ask in WIRES.values():
            with pytest.raises(AssertionError, match="synced before the answer"):
                await ask(here, tmp_path)
