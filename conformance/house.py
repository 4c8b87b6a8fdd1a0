"""A radgate house as a process of its own, with its own folder and settings: for the demonstration and for `run --self`.

It is talked to as anybody would: by its wires and by the command line.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.certificates import Identity
from profiles.model.identifiers import Oid

ROOT = "2.25.71190522"  # below it, everything that is named here

PORTS = range(10_000, 32_768)  # where a house is looked a place for
COMMAND_S = 180.0
START_S = 120.0  # a small machine that is busy needs its time


@dataclass(slots=True, kw_only=True)
class House:
    """One house: where it lives, under which ids it is known, and its process."""

    name: str
    folder: Path
    identity: Identity
    number: int
    http_port: int
    mllp_port: int
    authority: Oid | None = None  # of its patients' ids, where a study brings its own
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def base_url(self) -> str:
        """Where it is asked."""
        return f"https://127.0.0.1:{self.http_port}"

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.folder / "radgate.toml"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    def oid(self, leaf: int) -> Oid:
        """1 home community, 2 repository, 3 retrieve location, 4 patient ids, 5 those of elsewhere, 6 its own."""
        return Oid(f"{ROOT}.{self.number}.{leaf}")

    @property
    def patient_authority(self) -> Oid:
        """Whose ids its patients have."""
        return self.authority or self.oid(4)

    def desk_login(self) -> str:
        """User and password, as the house printed them at its first start."""
        log = (self.folder / "radgate.log").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^Desk of .*: (user .*) \(shown this once\)$", log, re.MULTILINE)
        return found.group(1) if found is not None else "user and password as you set them"

    async def start(self) -> None:
        """Start it and wait until it says that it is ready.

        Raises:
            HouseFailed: It ended, or did not become ready in time; its log is named.
        """
        log = self.folder / "radgate.log"
        with log.open("ab") as file:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "serve", "--config", str(self.config), stdout=file, stderr=file
            )
        try:
            async with asyncio.timeout(START_S):
                while not (self.data / "control.json").exists():
                    if self.process.returncode is not None:
                        raise HouseFailed(f"{self.name} did not start: {_last_line(log)} (whole: {log})")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise HouseFailed(f"{self.name} was not ready after {START_S:.0f} s; see {log}") from None

    async def stop(self) -> None:
        """Ask it to stop, and see that it does."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), 30)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def command(self, *words: str) -> Any:
        """Run a `radgate` command against it and read its JSON.

        Raises:
            CommandFailed: It did not exit with 0.
        """
        async with asyncio.timeout(COMMAND_S):
            code, out, err = await run("--config", str(self.config), *words)
        if code != 0:
            raise CommandFailed(f"radgate {' '.join(words[:2])} exited {code}: {reason_of(err.strip() or out.strip())}")
        return json.loads(out)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class HouseFailed(Exception):
    """A house ended at its start, or was not ready in time."""


class CommandFailed(Exception):
    """A `radgate` command did not do what it was asked."""


def reason_of(said: str) -> str:
    """What went wrong, of what a command said: an error and its cure, or why a job is where it is; else all of it."""
    try:
        told = json.loads(said)
    except ValueError:
        return said
    if not isinstance(told, dict):
        return said
    if isinstance(told.get("error"), dict):
        return " ".join(str(told["error"].get(key, "")) for key in ("detail", "cure")).strip() or said
    if told.get("reason"):
        return f"{told['state']}: {told['reason']}" if told.get("state") else str(told["reason"])
    return said


async def run(*words: str) -> tuple[int, str, str]:
    """Run a `radgate` command: exit code, standard output, standard error. Options follow the verb."""
    options, verb = (list(words[:2]), list(words[2:])) if words[:1] == ("--config",) else ([], list(words))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *verb, *options, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nobody has now, below those that systems give to whoever calls out.

    A port that is let go of before its house binds it is taken by the next program's connection, sooner or later, where
    systems choose for themselves (from 32768 on Linux, from 49152 elsewhere).
    """
    free: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(free) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.append(port)
    return free
