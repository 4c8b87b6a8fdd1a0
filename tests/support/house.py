"""A house as its own process: started on loopback with free ports, stopped by its own handle."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

START_S = 120.0  # on a busy machine
BYTECODE = Path(tempfile.gettempdir()) / "radgate-tests-bytecode"
LOOPBACK = "[listen]\nhttp_port = 0\nmllp_port = 0\n[access]\nanonymous_loopback = true\n"


class HouseProcess:
    """`radgate serve` on a folder."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process

    @property
    def data(self) -> Path:
        return self.folder / "data"

    async def ready(self) -> None:
        """Wait until it serves; fails with its log when it ends instead."""
        async with asyncio.timeout(START_S):
            while not (self.data / "control.json").exists():
                if self.process.returncode is not None:
                    raise AssertionError(f"the house ended with {self.process.returncode}: {self.log()[-2000:]}")
                await asyncio.sleep(0.02)

    async def addresses(self) -> dict[str, str]:
        status = await self.ask("GET", "/status")
        return dict(status["addresses"])

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control address."""
        import aiohttp

        found = json.loads((self.data / "control.json").read_bytes())
        headers = {"Authorization": f"Bearer {found['token']}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, found["address"] + path, json=body, headers=headers) as answer,
        ):
            return await answer.json(content_type=None)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 40)

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


@asynccontextmanager
async def serving(folder: Path, settings: str = LOOPBACK) -> AsyncIterator[HouseProcess]:
    """A house that is ready, and gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "radgate.toml").write_text(settings, encoding="utf-8")
    house = await start(folder)
    try:
        await house.ready()
        yield house
    finally:
        if house.process.returncode is None:
            house.process.kill()
        await house.process.wait()


async def start(
    folder: Path, wrap: Sequence[str] = (), program: Sequence[str] = ("-m", "gateway"), options: Sequence[str] = ()
) -> HouseProcess:
    """Start it; `wrap` is a program to run it under, `program` what Python runs."""
    (folder / "data" / "control.json").unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPYCACHEPREFIX": str(BYTECODE)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling everything again is most of a start
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *wrap, sys.executable, *program, "serve", "--config", str(folder / "radgate.toml"),
            *options, stdout=log, stderr=log, cwd=Path(__file__).resolve().parents[2],
            env=environment,
        )  # fmt: skip
    return HouseProcess(folder, process)


async def command(*words: str) -> tuple[int, str, str]:
    """Run `radgate` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
