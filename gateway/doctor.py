"""What a house needs, looked at without starting it."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from gateway.adapters.objects_files import owner_of
from gateway.adapters.store_sql import examine_database
from gateway.adapters.tls import expiry_of_file
from gateway.settings import Settings, SettingsError
from gateway.wiring.adapters import SYSLOG_TLS_PORT, database_of, not_common, objects_folder
from gateway.wiring.identity import not_their_own
from gateway.wiring.premises import LOCK_FILE, bound, is_running
from profiles.errors import HouseError

LEAST_FREE_BYTES = 2 * 1024**3
DATABASE_S = 5.0
PORTS = {"https": 443, "http": 80, "tls": SYSLOG_TLS_PORT, "tcp": SYSLOG_TLS_PORT}
ENDS_SOON = timedelta(days=30)  # time to get a new one signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One thing that was looked at before a start; `state` says what is wrong, `cure` what helps."""

    what: str
    good: bool
    state: str = ""
    cure: str = ""


async def examine(settings: Settings) -> list[Examined]:
    """What a house needs: folder, disk, database, archive, ports, certificates, collector of audit, repositories, peers."""
    database, name = await _database(settings)
    found = [_folder("data folder", settings.house.data), _disk(settings), database]
    if settings.store.objects is not None or name:
        found.append(_documents(settings, name))
    if settings.archive.kind == "files":
        found.append(_folder("archive", settings.house.data / "archive"))
    else:
        found.append(await _reachable(f"archive {settings.archive.url}", settings.archive.url))
    found += _certificates(settings, datetime.now(UTC))
    listen = settings.listen
    found.append(_port(settings, "http_port", listen.http_port))
    if listen.mllp:
        found.append(_port(settings, "mllp_port", listen.mllp_port))
    if settings.audit.syslog:
        found.append(await _reachable(f"audit collector {settings.audit.syslog}", settings.audit.syslog))
    found += _repositories(settings)
    for peer in settings.peer:
        for service, address in peer.endpoint.items():
            found.append(await _reachable(f"{peer.name}, {service}", address))
    return found


def _folder(what: str, folder: Path) -> Examined:
    folder = folder.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    good = existing.is_dir() and os.access(existing, os.W_OK)
    return Examined(
        what=f"{what} {folder}",
        good=good,
        state="" if good else "it cannot be written",
        cure="" if good else "Change owner or path",
    )


async def _database(settings: Settings) -> tuple[Examined, str]:
    """Whether it can be opened and is not newer than we are, and who it is; nothing is changed in it."""
    what = "database of store.url" if settings.store.url else "database"
    try:
        async with asyncio.timeout(DATABASE_S):
            name = await examine_database(database_of(settings))
    except HouseError as error:
        return Examined(what=what, good=False, state=error.detail, cure=error.cure), ""
    except TimeoutError:
        state, cure = "it does not answer", "Is it running, and may we reach it?"
        return Examined(what=what, good=False, state=state, cure=cure), ""
    return Examined(what=what, good=True), name


def _documents(settings: Settings, database: str) -> Examined:
    """Whether their folder can be written and is this database's; of a database that has no name yet, any may become it."""
    folder = objects_folder(settings)
    found = _folder("documents", folder)
    problem = not_common(settings, database, owner_of(folder)) if found.good and database else None
    return found if problem is None else Examined(what=found.what, good=False, state=problem.reason, cure=problem.cure)


def _disk(settings: Settings) -> Examined:
    data = settings.house.data.absolute()
    free = shutil.disk_usage(next(each for each in (data, *data.parents) if each.exists())).free
    good = free >= LEAST_FREE_BYTES
    return Examined(
        what="free disk",
        good=good,
        state=f"{free / 1024**3:.1f} GiB",
        cure="" if good else "Make room: studies are large",
    )


def _certificates(settings: Settings, now: datetime) -> Iterator[Examined]:
    """Ours, those that we trust, those of peers: not about to end."""
    tls = settings.tls
    named = {
        "tls.certificate": tls.certificate,
        "assertion.certificate": settings.assertion.certificate,
        **{f"certificate of {each.name} {path.name}": path for each in settings.issuer for path in each.certificates},
        **{f"tls.trust {path.name}": path for path in tls.trust},
        **{f"audit.syslog_trust {path.name}": path for path in settings.audit.syslog_trust},
        **{f"certificate of {peer.name}": peer.certificate for peer in settings.peer},
    }
    for what, path in named.items():
        if path is not None:
            yield _certificate(what, path, now)


def _certificate(what: str, path: Path, now: datetime) -> Examined:
    try:
        ends = expiry_of_file(path)
    except ValueError:
        return Examined(
            what=what, good=False, state="there is no certificate in it", cure="Put a PEM certificate there"
        )
    if ends <= now:
        return Examined(what=what, good=False, state=f"ended on {ends:%Y-%m-%d}", cure="Renew it")
    if ends <= now + ENDS_SOON:
        left = (ends - now).days
        return Examined(what=what, good=False, state=f"ends on {ends:%Y-%m-%d}, in {left} days", cure="Renew it")
    return Examined(what=what, good=True, state=f"until {ends:%Y-%m-%d}")


def _repositories(settings: Settings) -> Iterator[Examined]:
    """Further ones: where each is asked, and that its id is not the one that this data folder has for our own."""
    faults = {problem.key: problem for problem in not_their_own(settings)}
    for index, each in enumerate(settings.repository):
        problem = faults.get(f"repository.{index}.unique_id")
        yield Examined(
            what=f"repository {each.name}",
            good=problem is None,
            state=f"{each.unique_id}, at /soap/repository/{each.name}" if problem is None else problem.reason,
            cure="" if problem is None else problem.cure,
        )


def _port(settings: Settings, key: str, port: int) -> Examined:
    try:
        with bound(key, settings.listen.host, port):
            return Examined(what=f"listen.{key} {port}", good=True)
    except SettingsError as error:
        if is_running(settings.house.data / LOCK_FILE):
            return Examined(what=f"listen.{key} {port}", good=True, state="in use; a house is running on this folder")
        return Examined(
            what=f"listen.{key} {port}", good=False, state=error.problems[0].reason, cure=error.problems[0].cure
        )


async def _reachable(what: str, address: str) -> Examined:
    parts = urlsplit(address)
    port = parts.port or PORTS.get(parts.scheme, 2575)
    try:
        await asyncio.get_running_loop().getaddrinfo(parts.hostname, port)
    except OSError:
        return Examined(what=what, good=False, state="its name has no address", cure="Check the name and DNS")
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()
    except (OSError, TimeoutError):
        return Examined(what=what, good=False, state="nobody answers there", cure="Is it running, and may we reach it?")
    return Examined(what=what, good=True)
