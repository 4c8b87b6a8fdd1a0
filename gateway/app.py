"""A house, whole: settings -> adapters -> services -> actors -> listeners, started in order and stopped in the other.

Wiring is functions, read from top to bottom; there is no registry of parts and nothing registers itself on import.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from ssl import SSLContext
from typing import Any

from aiohttp import web

from gateway.inbound.control import Control
from gateway.inbound.desk import Login
from gateway.inbound.desk.login import USER
from gateway.inbound.housekeeping import Housekeeping
from gateway.inbound.https import HttpsSite
from gateway.inbound.jobs import JobRunner
from gateway.model.house import House
from gateway.settings import Settings
from gateway.telemetry import configure, logger
from gateway.wiring.adapters import Adapters, forwarder_of, listening_of, open_adapters, recover, report_orphans
from gateway.wiring.identity import house_of
from gateway.wiring.listeners import Listeners, listeners_of, retention_of
from gateway.wiring.premises import LOCK_FILE, AlreadyRunning, doors, locked, writable
from gateway.wiring.services import Services, services_of
from profiles.atna import application_started, application_stopped
from profiles.errors import HouseError
from profiles.wire.dicom import dictionary

__all__ = ["AlreadyRunning", "running", "serve"]

LINE_BYTES = 64 * 1024  # of an address or a header: a search for a hundred studies by their UIDs has 7,000 characters
READ_BYTES = 256 * 1024  # of a request at a time: whole chunks, and a turn of the loop between them


async def serve(settings: Settings, *, port_base: int = 0, as_json: bool = False) -> None:
    """Run a house until SIGTERM or SIGINT; then take nothing new, finish what is under way, and stop.

    `as_json`: what it says of itself is one JSON object a line, for programs.

    Raises:
        SettingsError: The settings cannot be used on this machine.
        AlreadyRunning: Another process uses the data folder.
    """
    configure()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    greet = _say_password_as_json if as_json else _say_password
    async with running(settings, port_base=port_base, greet=greet) as addresses:
        (_say_as_json if as_json else _say)(settings, _places(settings, addresses))
        await stop.wait()
        logger().info("stopping", house=settings.house.name)


def _places(settings: Settings, addresses: dict[str, str]) -> dict[str, str]:
    """Where everything is."""
    data, http = settings.house.data.absolute(), addresses["http"]
    database = "as store.url says" if settings.store.url else str(data / "radgate.db")
    archive = str(data / "archive") if settings.archive.kind == "files" else settings.archive.url
    return {
        "desk": f"{http}/",
        "SOAP": f"{http}/soap/",
        **{f"SOAP {each.name}": f"{http}/soap/repository/{each.name}" for each in settings.repository},
        "FHIR": f"{http}/fhir/r4",
        "DICOMweb": f"{http}/dicomweb",
        "health": f"{http}/readyz and {http}/metrics",
        **{name: address for name, address in addresses.items() if name != "http"},
        "data": str(data),
        "database": database,
        "archive": archive,
        "audit": f"{data / 'audit'}" + (f", and sent to {settings.audit.syslog}" if settings.audit.syslog else ""),
    }


def _say(settings: Settings, places: dict[str, str]) -> None:
    lines = [f"{settings.house.name} is ready."] + [f"  {name:<10} {place}" for name, place in places.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _say_as_json(settings: Settings, places: dict[str, str]) -> None:
    sys.stdout.write(json.dumps({"house": settings.house.name, "ready": True, **places}) + "\n")
    sys.stdout.flush()


def _say_password_as_json(house: House, password: str) -> None:
    sys.stdout.write(json.dumps({"house": house.name, "user": USER, "password": password}) + "\n")
    sys.stdout.flush()


def _say_password(house: House, password: str) -> None:
    """This once: only its hash is kept."""
    sys.stdout.write(f"Desk of {house.name}: user {USER}, password {password} (shown this once)\n")
    sys.stdout.flush()


@asynccontextmanager
async def running(
    settings: Settings, *, port_base: int = 0, greet: Callable[[House, str], None] = _say_password
) -> AsyncIterator[dict[str, str]]:
    """A whole house, ready: yields its addresses by name. `greet` is told the desk's first password, once."""
    with writable("house.data", settings.house.data) as data:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(data / LOCK_FILE))
        http_socket, mllp_socket = doors(stack.enter_context(ExitStack()), settings.listen, port_base)
        house = house_of(settings, http_socket.getsockname()[1])
        adapters = await open_adapters(stack, settings, house)
        await recover(adapters)
        services = services_of(settings, house, adapters)
        tls = listening_of(settings, adapters.identity)
        login = Login(data=data, clock=adapters.clock, minutes=settings.access.session_minutes, secure=tls is not None)
        if (password := login.first_password()) is not None:
            greet(house, password)
        listeners = listeners_of(settings, house, adapters, services, login=login, tls=tls)
        addresses = {"http": house.base_url}
        control = Control(
            house=house, store=adapters.store, operations=services.operations, probe=services.probe,
            matrix=services.matrix, documents=services.documents, administer=services.administer,
            directory=adapters.directory, audit=adapters.trail.archive(adapters.store), clock=adapters.clock,
            addresses=lambda: addresses, per_minute=settings.publish.per_minute,
            synchronise=services.synchronise,
        )  # fmt: skip
        async with (
            _audited(settings, house, adapters),
            _working(settings, house, adapters, services) as jobs,
            _listening(settings, listeners, jobs, http_socket, mllp_socket, tls) as mllp_address,
            _tidied(settings, adapters),
            _in_background(report_orphans(adapters), "orphans"),
            _in_background(asyncio.to_thread(dictionary.load), "dictionary"),  # else the first search would wait for it
            control.serving(data),
        ):
            addresses.update(mllp_address)
            yield addresses


@asynccontextmanager
async def _audited(settings: Settings, house: House, adapters: Adapters) -> AsyncIterator[None]:
    """Start and stop are records; what is recorded goes to the collector, if there is one."""
    store, clock, party = adapters.store, adapters.clock, house.party()
    host = await asyncio.to_thread(socket.getfqdn)  # may ask DNS
    forwarder = forwarder_of(settings, house, adapters, host)
    if forwarder is not None:
        adapters.committed.heard_by(forwarder.wake)
        await forwarder.start()
    launcher = _launcher()
    async with store.unit() as work:
        await work.audit.record(
            application_started(at=clock.now(), source_id=house.name, house=party, launcher=launcher)
        )
    try:
        yield
    finally:
        try:
            async with store.unit() as work:
                await work.audit.record(
                    application_stopped(at=clock.now(), source_id=house.name, house=party, launcher=launcher)
                )
        except HouseError as full:  # a full disk is no reason not to stop
            logger().error("the stop cannot be audited", condition=full.condition.value)
        if forwarder is not None:
            await forwarder.stop()


@asynccontextmanager
async def _working(
    settings: Settings, house: House, adapters: Adapters, services: Services
) -> AsyncIterator[JobRunner]:
    """Jobs are claimed and run."""
    clock = adapters.clock
    owner = f"{house.name}:{os.getpid()}:{clock.new_uuid()[:8]}"
    jobs = JobRunner(store=adapters.store, clock=clock, worker=services.follow, owner=owner)
    adapters.due.heard_by(jobs.wake)
    if services.synchronise is not None:
        await services.synchronise.begin()
    async with _in_background(services.matrix.serve(), "matrix"), _in_background(jobs.serve(), "jobs"):
        yield jobs


@asynccontextmanager
async def _listening(
    settings: Settings,
    listeners: Listeners,
    jobs: JobRunner,
    http_socket: socket.socket,
    mllp_socket: socket.socket | None,
    tls: SSLContext | None,
) -> AsyncIterator[dict[str, str]]:
    """The doors are open: yields the addresses that are known only now. To close drains doors and jobs side by side."""
    listen, mllp = settings.listen, listeners.mllp
    http = web.AppRunner(
        listeners.http, access_log=None, auto_decompress=False, read_bufsize=READ_BYTES,
        max_line_size=LINE_BYTES, max_field_size=LINE_BYTES, shutdown_timeout=listen.drain_timeout_s,
    )  # fmt: skip
    addresses: dict[str, str] = {}
    try:
        if mllp is not None and mllp_socket is not None:
            port = mllp.accept(mllp_socket)
            addresses["mllp"] = f"{'mllp' if tls is None else 'mllps'}://{listen.host}:{port}"
        await http.setup()
        site = web.SockSite(http, http_socket) if tls is None else HttpsSite(http, http_socket, tls, listeners.turns)
        await site.start()
        yield addresses
    finally:
        listeners.ops.draining = True
        within = listen.drain_timeout_s
        await asyncio.gather(
            http.cleanup(),
            listeners.soap.close(within),
            jobs.stop(within),
            *([] if mllp is None else [mllp.close(within)]),
        )


@asynccontextmanager
async def _tidied(settings: Settings, adapters: Adapters) -> AsyncIterator[None]:
    """What is kept no longer than the settings say, goes."""
    housekeeping = Housekeeping(
        store=adapters.store, objects=adapters.objects, clock=adapters.clock,
        retention=retention_of(settings.retention), give_back=adapters.store.give_back,
    )  # fmt: skip
    async with _in_background(housekeeping.serve(), "housekeeping"):
        yield


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _launcher() -> str:
    try:
        return os.getlogin()
    except OSError:
        return str(os.getuid())
