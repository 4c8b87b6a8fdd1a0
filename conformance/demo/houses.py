"""Three houses, each its own `radgate serve` process with its own folder and settings.

**Lakeside** is an outside hospital, **Valley** the local gateway, **Region** a health information exchange. The demo talks
to them as anybody would: by their wires and by the command line.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from conformance.certificates import Authority, Identity
from profiles.model.identifiers import Oid

ROOT = "2.25.71190522"  # below it, everything that the demo names

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
        """1 home community, 2 repository, 3 retrieve location, 4 patient ids."""
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
            raise CommandFailed(f"radgate {' '.join(words[:2])} exited {code}: {err.strip() or out.strip()}")
        return json.loads(out)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


class HouseFailed(Exception):
    """A house ended at its start, or was not ready in time."""


class CommandFailed(Exception):
    """A `radgate` command did not do what it was asked."""


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


@dataclass(slots=True, kw_only=True)
class Neighbourhood:
    """The three houses, and the EHR that the demo plays."""

    folder: Path
    lakeside: House
    valley: House
    region: House
    ehr: Identity
    ehr_port: int

    @property
    def all(self) -> Sequence[House]:
        """In the order in which a study meets them."""
        return (self.lakeside, self.valley, self.region)

    def client_context(self) -> ssl.SSLContext:
        """The EHR's side of mutual TLS."""
        context = ssl.create_default_context(cafile=str(self.ehr.authority))
        context.load_cert_chain(self.ehr.certificate, self.ehr.key)
        return context

    def server_context(self) -> ssl.SSLContext:
        """The EHR's listener: it too asks who is calling."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ehr.authority))
        context.load_cert_chain(self.ehr.certificate, self.ehr.key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def session(self) -> aiohttp.ClientSession:
        """An HTTP client that is the EHR."""
        connector = aiohttp.TCPConnector(ssl=self.client_context())
        return aiohttp.ClientSession(connector=connector, trust_env=False, headers={"Accept-Encoding": "identity"})


def build(folder: Path, *, announce: bool = True, share: bool = True, authority: Oid | None = None) -> Neighbourhood:
    """Make certificates, ids and settings for everybody below a folder.

    Args:
        folder: Everything goes there.
        announce: Whether Valley has the standing rule to tell the EHR; sabotage leaves it out.
        share: The same for Region.
        authority: Whose ids Lakeside's patients have, where the study is somebody's own.
    """
    certificates = Authority(folder / "certificates")
    ports = free_ports(7)
    houses = [
        House(
            name=name, folder=folder / name.lower(), identity=certificates.issue(name), number=number,
            http_port=ports[2 * index], mllp_port=ports[2 * index + 1],
        )
        for index, (name, number) in enumerate((("Lakeside", 1), ("Valley", 2), ("Region", 3)))
    ]  # fmt: skip
    lakeside, valley, region = houses
    lakeside.authority = authority
    all_of_us = Neighbourhood(
        folder=folder, lakeside=lakeside, valley=valley, region=region, ehr=certificates.issue("EHR"), ehr_port=ports[6]
    )
    actions = [*(["announce:EHR"] if announce else []), *(["share:Region"] if share else [])]
    _write(lakeside, [_peer(valley, **{"RAD-68": f"{valley.base_url}/soap/document-recipient"}), _ehr(all_of_us)])
    _write(
        valley,
        [
            _peer(lakeside, **{"RAD-69": f"{lakeside.base_url}/soap/imaging-source"}),
            _peer(region, **{"RAD-68": f"{region.base_url}/soap/repository"}),
            _ehr(all_of_us),
            f'[[rule]]\nwhen = "study.available"\ndo = {json.dumps(actions)}\n' if actions else "",
        ],
        affinity=region,
    )
    _write(
        region,
        [
            _peer(valley, **{"RAD-69": f"{valley.base_url}/soap/imaging-source"}),
            # As a consumer, Region asks its own registry and repository, by their wires.
            _peer(
                region,
                **{"ITI-18": f"{region.base_url}/soap/registry", "ITI-43": f"{region.base_url}/soap/repository"},
            ),
            _ehr(all_of_us),
        ],
    )
    return all_of_us


def _write(house: House, blocks: Sequence[str], affinity: House | None = None) -> None:
    house.folder.mkdir(parents=True, exist_ok=True)
    domain = f'\n[affinity_domain]\npatient_authority = "{affinity.patient_authority}"\n' if affinity else ""
    text = f"""[house]
name = "{house.name}"
data = "data"
home_community_id = "{house.oid(1).urn}"
repository_unique_id = "{house.oid(2)}"
retrieve_location_uid = "{house.oid(3)}"
patient_authority = "{house.patient_authority}"
{domain}
[listen]
http_port = {house.http_port}
mllp_port = {house.mllp_port}

[tls]
certificate = "{house.identity.certificate}"
key = "{house.identity.key}"
trust = ["{house.identity.authority}"]
"""
    house.config.write_text("\n".join([text, *blocks]), encoding="utf-8")


def _peer(house: House, **endpoints: str) -> str:
    lines = "\n".join(f'"{transaction}" = "{address}"' for transaction, address in endpoints.items())
    return f"""[[peer]]
name = "{house.name}"
home_community_id = "{house.oid(1).urn}"
repository_unique_ids = ["{house.oid(2)}"]
retrieve_location_uids = ["{house.oid(3)}"]
patient_authority = "{house.patient_authority}"
certificate = "{house.identity.certificate}"
unknown_patient = "hold"
[peer.endpoint]
{lines}
"""


def _ehr(all_of_us: Neighbourhood) -> str:
    return f"""[[peer]]
name = "EHR"
certificate = "{all_of_us.ehr.certificate}"
hl7_application = "EHR"
hl7_facility = "VALLEY"
[peer.endpoint]
MLLP = "mllps://127.0.0.1:{all_of_us.ehr_port}"
"""
