"""Adapters: what stands behind the ports of this house, as the settings say."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

import aiohttp
from sqlalchemy import make_url

from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.arrival import Reading
from gateway.adapters.audit_sql import AuditTrail
from gateway.adapters.audit_syslog import Collector, SyslogForwarder
from gateway.adapters.clock import SystemClock
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.http import HttpSessions
from gateway.adapters.objects_files import OWNER, FileObjects
from gateway.adapters.overlays import Overlays
from gateway.adapters.peers import CallingPeers, StaticDirectory
from gateway.adapters.peers_mllp import MllpCarrier
from gateway.adapters.peers_soap import SoapCarrier
from gateway.adapters.questions import OpenQuestions
from gateway.adapters.replies_soap import SoapReplies
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.tls import ClientCertificate, TlsIdentity, client_context, server_context
from gateway.adapters.ways import NetworkWays
from gateway.model.house import House
from gateway.model.sighting import Sightings
from gateway.ports.archive import Archive
from gateway.settings import Problem, RetentionSection, Settings, SettingsError
from gateway.telemetry import logger
from gateway.wiring.assertions import asserting_of
from gateway.wiring.identity import peers_of
from gateway.wiring.premises import writable
from profiles.errors import ExchangeError
from profiles.transaction import Hl7Transaction, SoapTransaction
from profiles.wire.audit.syslog import Origin

NOBODYS = timedelta(days=1)  # a document is named by a row within minutes, if ever; clocks may differ by more
SYSLOG_TLS_PORT = 6514  # RFC 5425 4.1


class Bell:
    """Rung by what is made early, heard by what is made late."""

    def __init__(self) -> None:
        """Ring in an empty house."""
        self._hearing: list[Callable[[], None]] = []

    def heard_by(self, listener: Callable[[], None]) -> None:
        """Call `listener` at every ring from now on."""
        self._hearing.append(listener)

    def ring(self) -> None:
        """Tell all."""
        for each in self._hearing:
            each()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """A house's adapters, open; `due` rings when a job may be due, `committed` after each commit."""

    clock: SystemClock
    compute: ThreadCompute
    objects: FileObjects
    store: SqlStore
    trail: AuditTrail
    archive: Archive
    peers: CallingPeers
    ways: NetworkWays
    replies: SoapReplies
    questions: OpenQuestions
    directory: StaticDirectory
    identity: TlsIdentity | None  # what we show; None: no TLS
    sightings: Sightings
    due: Bell
    committed: Bell


async def open_adapters(stack: AsyncExitStack, settings: Settings, house: House) -> Adapters:
    """Open all, in the order in which they need each other; `stack` closes them in the other.

    Raises:
        SettingsError: A file that the settings name cannot be used.
    """
    data, tls = settings.house.data, settings.tls
    identity = identity_of(settings)
    directory = StaticDirectory(*peers_of(settings, house))
    clock, compute, due, committed = SystemClock(), ThreadCompute(), Bell(), Bell()
    sightings = Sightings()
    stack.callback(compute.close)
    with writable("store.objects", objects_folder(settings)) as folder:
        objects = FileObjects(folder, compute)
    trail = AuditTrail(
        folder=data / "audit", clock=clock, source_id=house.name, party=house.party(),
        enterprise_site_id=settings.audit.enterprise_site_id,
        checkpoint_records=settings.audit.checkpoint_records, checkpoint_s=settings.audit.checkpoint_s,
    )  # fmt: skip
    committed.heard_by(trail.committed)
    store = SqlStore(
        database_of(settings), audit=trail.sink, kept=objects, raw_key=raw_key_of(settings.retention),
        committed=committed.ring, due=due.ring,
    )  # fmt: skip
    await store.open()
    stack.push_async_callback(store.close)
    await common(settings, store, objects, compute)
    await trail.start(store)
    stack.push_async_callback(trail.stop)
    sessions = HttpSessions(identity=identity, trust=tls.trust)
    stack.push_async_callback(sessions.close)
    with writable("house.data", data):
        archive = archive_of(settings, house, compute, clock, sessions)
    mllp = MllpCarrier(
        house=house,
        clock=clock,
        secure=lambda peer: client_context(identity, trust=tls.trust, pins=peer.certificate_sha256),
    )
    stack.push_async_callback(mllp.close)
    asserting = asserting_of(settings, house, compute=compute, clock=clock)
    questions = OpenQuestions(settings.listen.reply_url or f"{house.base_url}/soap/reply")
    soap = SoapCarrier(sessions=sessions, objects=objects, clock=clock, asserting=asserting, questions=questions)
    return Adapters(
        clock=clock, compute=compute, objects=objects, store=store, trail=trail,
        archive=archive,
        peers=CallingPeers(
            house=house, store=store, clock=clock, carriers={SoapTransaction: soap, Hl7Transaction: mllp},
            sightings=sightings,
        ),
        sightings=sightings,
        replies=SoapReplies(sessions=sessions), questions=questions,
        ways=NetworkWays(sessions=sessions, identity=identity, trust=tls.trust),
        directory=directory, identity=identity, due=due, committed=committed,
    )  # fmt: skip


async def common(settings: Settings, store: SqlStore, objects: FileObjects, compute: ThreadCompute) -> None:
    """See to it that the folder of documents is this database's: whoever stands on the one needs the other.

    Below a data folder with its own database nobody else can be, so that it is taken as it is found.

    Raises:
        SettingsError: It is another database's, or the documents of this one are elsewhere.
    """
    with writable("store.objects", objects_folder(settings)):
        async with store.named() as (database, is_new):
            owner = await compute.run(objects.owner)
            if owner == database:
                return
            if not (is_new and not owner) and (problem := not_common(settings, database, owner)) is not None:
                raise SettingsError((problem,))
            await compute.run(partial(objects.own, database))


def not_common(settings: Settings, database: str, owner: str) -> Problem | None:
    """What is wrong with a folder that says it is `owner`'s ("": it says nothing), for a database of that name."""
    embedded = make_url(database_of(settings)).get_backend_name() == "sqlite"
    if owner == database or (embedded and (not owner or settings.store.objects is None)):
        return None
    where = objects_folder(settings).absolute() / OWNER
    if owner:
        reason = f"{where.parent} keeps the documents of another database"
        cure = f"Name a folder of its own; if no other house uses this one, remove {where}"
    else:
        reason = f"the documents of this database are not in {where.parent}"
        cure = (
            "Name the folder that all processes of this database have in common; "
            f"if its documents were moved here without that file, write {database} into {where}"
        )
    return Problem("store.objects", reason, cure)


def identity_of(settings: Settings) -> TlsIdentity | None:
    """The certificate that we show; None: no TLS."""
    tls = settings.tls
    return TlsIdentity(certificate=tls.certificate, key=tls.key) if tls.certificate and tls.key else None


def listening_of(settings: Settings, identity: TlsIdentity | None) -> SSLContext | None:
    """TLS of our listeners: who we are, whom we let in. None: no TLS."""
    if identity is None:
        return None
    return server_context(
        identity,
        trust=settings.tls.trust,
        pinned=[peer.certificate for peer in settings.peer if peer.certificate is not None],
        client_certificate=ClientCertificate[settings.tls.client_certificate.upper()],
    )


def objects_folder(settings: Settings) -> Path:
    """Where documents are kept: below the data folder, or where `store.objects` says."""
    where = settings.store.objects
    return settings.house.data / "objects" if where is None else Path(where.removeprefix("file://"))


def database_of(settings: Settings) -> str:
    """The address of the database, which may hold a password."""
    url = settings.store.url
    return url.get_secret_value() if url else f"sqlite:///{settings.house.data.absolute()}/radgate.db"


def raw_key_of(section: RetentionSection) -> bytes | None:
    """What raw messages are encrypted with; None: nothing."""
    return None if section.raw_key is None else bytes.fromhex(section.raw_key.read_text("utf-8").strip())


def archive_of(
    settings: Settings, house: House, compute: ThreadCompute, clock: SystemClock, sessions: HttpSessions
) -> Archive:
    """The archive that the settings name."""
    reading = Reading(authority=house.patient_authority, zone=house.zone, system=house.name)
    section, folder = settings.archive, settings.house.data / "archive"
    if section.kind == "files":
        return FilesArchive(folder, compute=compute, clock=clock, reading=reading)
    headers = {}
    if section.user:
        headers["Authorization"] = aiohttp.BasicAuth(section.user, section.password.get_secret_value()).encode()
    return DicomwebArchive(
        section.url,
        session=sessions.session,
        overlays=Overlays(folder, compute),
        clock=clock,
        reading=reading,
        native_url=section.native_url or None,
        headers=headers,
    )


def forwarder_of(settings: Settings, house: House, adapters: Adapters, host: str) -> SyslogForwarder | None:
    """Who hands audit on to the collector that the settings name; None: nobody."""
    if not settings.audit.syslog:
        return None
    where = urlsplit(settings.audit.syslog)
    secure = client_context(adapters.identity, trust=settings.audit.syslog_trust or settings.tls.trust)
    return SyslogForwarder(
        Collector(
            host=where.hostname or "",
            port=where.port or SYSLOG_TLS_PORT,
            context=secure if where.scheme == "tls" else None,
        ),
        store=adapters.store,
        clock=adapters.clock,
        origin=Origin(host=host, application="radgate", process_id=house.process_id),
        source_id=house.name,
        party=house.party(),
        enterprise_site_id=settings.audit.enterprise_site_id,
    )


async def recover(adapters: Adapters) -> None:
    """After a crash: half files go, documents that no row names too, and open steps become failures.

    On a database that several processes share, they share the folder of documents too: what looks like half a file or
    nobody's may be what a living one is about to commit, so it stays for a day.
    """
    store = adapters.store
    async with store.unit() as work:
        closed = await work.ledger.close_open_steps(adapters.clock.now())
        if store.is_embedded:  # the folder is ours alone: nobody lives who holds a lease
            await work.ledger.end_leases()
    before = None if store.is_embedded else adapters.clock.now() - NOBODYS
    lost = await adapters.objects.reconcile(store.paths(), before)
    await adapters.archive.clear()
    logger().info("recovered", count=closed, number=len(lost))


async def report_orphans(adapters: Adapters) -> None:
    """Say how many instances of the archive the index does not know; the house works meanwhile, for it may take minutes."""
    try:
        orphans = await adapters.archive.orphans(adapters.store.instances())
    except ExchangeError as error:
        logger().warning("the archive cannot be compared with its index", condition=error.condition.value)
        return
    logger().info("archive compared with its index", number=len(orphans))


async def store_ready(store: SqlStore) -> str:
    """Why the database does not answer; "": it does."""
    try:
        async with asyncio.timeout(2), store.view() as work:
            await work.ledger.next_due()
    except (TimeoutError, OSError) as error:
        return f"the database does not answer ({type(error).__name__})"
    return ""
