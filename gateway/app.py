"""The only place that knows who is who: settings -> adapters -> services -> actors -> listeners.

Wiring is a function, read from top to bottom; there is no registry of parts and nothing registers itself on import.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import aiohttp
import orjson
from aiohttp import web

from gateway.actors.answering import Answering, answers_of
from gateway.actors.document_registry import DocumentRegistry
from gateway.actors.document_repository import DocumentRecipient, DocumentRepository
from gateway.actors.fhir_server import FhirServer
from gateway.actors.image_manager import ImageManager
from gateway.actors.image_server import ImageServer
from gateway.actors.imaging_document_source import ImagingDocumentSource
from gateway.actors.initiating_gateway import InitiatingGateway
from gateway.actors.initiating_imaging_gateway import InitiatingImagingGateway
from gateway.actors.patient_identity_consumer import PatientIdentityConsumer
from gateway.actors.responding_gateway import RespondingGateway
from gateway.actors.responding_imaging_gateway import RespondingImagingGateway
from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.archive_files import FilesArchive
from gateway.adapters.arrival import Reading
from gateway.adapters.audit_sql import AuditTrail
from gateway.adapters.audit_syslog import Collector, SyslogForwarder
from gateway.adapters.clock import SystemClock
from gateway.adapters.code_sets import site_codes
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.durable import write_whole
from gateway.adapters.http import HttpSessions
from gateway.adapters.objects_files import FileObjects
from gateway.adapters.overlays import Overlays
from gateway.adapters.peers import CallingPeers, StaticDirectory
from gateway.adapters.peers_mllp import MllpCarrier
from gateway.adapters.peers_soap import SoapCarrier
from gateway.adapters.policy_table import TablePolicy
from gateway.adapters.store_sql import SqlStore
from gateway.adapters.tls import (
    ClientCertificate,
    TlsIdentity,
    client_context,
    expiry_of_file,
    fault_of,
    fingerprint_of_file,
    peer_fingerprint,
    server_context,
)
from gateway.inbound.control import Control
from gateway.inbound.desk import Desk, Login
from gateway.inbound.desk.login import USER
from gateway.inbound.fhir import FhirListener
from gateway.inbound.housekeeping import Housekeeping, Retention
from gateway.inbound.http import HttpListener
from gateway.inbound.identify import Identifier
from gateway.inbound.jobs import JobRunner
from gateway.inbound.mllp import MllpListener, MllpListenerLimits
from gateway.inbound.ops import Ops
from gateway.inbound.soap import SoapListener
from gateway.inbound.turn import Turn
from gateway.model.house import House
from gateway.model.peer import Caller, Peer
from gateway.ports.archive import Archive
from gateway.services.collect import Collect
from gateway.services.federate import Federate
from gateway.services.feed import Feed
from gateway.services.follow import Follow, Rule
from gateway.services.ingest import Ingest
from gateway.services.notify import Notify
from gateway.services.operations import Operations
from gateway.services.publish import Publish
from gateway.services.retrieve import Retrieve
from gateway.services.rewrite import Rewrite
from gateway.services.search import Search
from gateway.services.stored_query import StoredQueries
from gateway.services.synchronise import Synchronise
from gateway.services.transfer import Transfer
from gateway.services.viewing import Viewing
from gateway.settings import FAILED_TIMES, PeerSection, Problem, RetentionSection, Settings, SettingsError
from gateway.telemetry import configure, logger, registry
from profiles.atna import application_started, application_stopped
from profiles.errors import HouseError
from profiles.model.identifiers import Oid
from profiles.pix.iti8 import ITI_8, iti_8
from profiles.pix.iti30 import ITI_30, iti_30
from profiles.transaction import Hl7Transaction, SoapTransaction
from profiles.wire.audit.syslog import Origin
from profiles.wire.dicom.web import refused
from profiles.wire.fhir.capability import Software
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v2.datatypes import Site
from profiles.wire.soap.mtom import SoapLimits

VERSION = version("radgate")
IDS_FILE = "house.json"
LOCK_FILE = "lock"
READ_BYTES = 256 * 1024  # of a request at a time: whole chunks, and a turn of the loop between them
SYSLOG_TLS_PORT = 6514  # RFC 5425 4.1


class AlreadyRunning(Exception):
    """Another process uses the data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One thing that was looked at before a start; `state` says what is wrong, `cure` what helps."""

    what: str
    good: bool
    state: str = ""
    cure: str = ""


# --- serving ----------------------------------------------------------------------------------------------------------


async def serve(settings: Settings, *, port_base: int = 0) -> None:
    """Run a house until SIGTERM or SIGINT; then take nothing new, finish what is under way, and stop.

    Raises:
        SettingsError: The settings cannot be used on this machine.
        AlreadyRunning: Another process uses the data folder.
    """
    configure()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, port_base=port_base) as addresses:
        _say(settings, addresses)
        await stop.wait()
        logger().info("stopping", house=settings.house.name)


def _say(settings: Settings, addresses: dict[str, str]) -> None:
    """Where everything is."""
    data, http = settings.house.data.absolute(), addresses["http"]
    database = "as store.url says" if settings.store.url else str(data / "radgate.db")
    archive = str(data / "archive") if settings.archive.kind == "files" else settings.archive.url
    places = {
        "desk": f"{http}/",
        "SOAP": f"{http}/soap/",
        "FHIR": f"{http}/fhir/r4",
        "DICOMweb": f"{http}/dicomweb",
        "health": f"{http}/readyz and {http}/metrics",
        **{name: address for name, address in addresses.items() if name != "http"},
        "data": str(data),
        "database": database,
        "archive": archive,
        "audit": f"{data / 'audit'}" + (f", and sent to {settings.audit.syslog}" if settings.audit.syslog else ""),
    }
    lines = [f"{settings.house.name} is ready."] + [f"  {name:<10} {place}" for name, place in places.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _say_password(house: House, password: str) -> None:
    """This once: only its hash is kept."""
    sys.stdout.write(f"Desk of {house.name}: user {USER}, password {password} (shown this once)\n")
    sys.stdout.flush()


@asynccontextmanager
async def running(settings: Settings, *, port_base: int = 0) -> AsyncIterator[dict[str, str]]:
    """A whole house, ready: yields its addresses by name."""
    data = settings.house.data
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        stack.enter_context(_locked(data / LOCK_FILE))
        http_socket = stack.enter_context(_bound(settings.listen.host, settings.listen.http_port, port_base))
        house = house_of(settings, http_socket.getsockname()[1])
        peers, tokens = peers_of(settings, house)
        directory = StaticDirectory(peers, tokens)
        tls = settings.tls
        identity = TlsIdentity(certificate=tls.certificate, key=tls.key) if tls.certificate and tls.key else None
        pinned = [peer.certificate for peer in settings.peer if peer.certificate is not None]
        listening: SSLContext | None = None
        if identity is not None:
            listening = server_context(
                identity,
                trust=tls.trust,
                pinned=pinned,
                client_certificate=ClientCertificate[tls.client_certificate.upper()],
            )

        # --- adapters
        clock = SystemClock()
        compute = ThreadCompute()
        stack.callback(compute.close)
        objects = FileObjects(objects_folder(settings), compute)
        runner: JobRunner | None = None

        def wake() -> None:
            if runner is not None:
                runner.wake()

        forwarder: SyslogForwarder | None = None

        def committed() -> None:
            trail.committed()
            if forwarder is not None:
                forwarder.wake()

        url = settings.store.url.get_secret_value() if settings.store.url else f"sqlite:///{data.absolute()}/radgate.db"
        trail = AuditTrail(
            folder=data / "audit", clock=clock, source_id=house.name, party=house.party(),
            enterprise_site_id=settings.audit.enterprise_site_id,
            checkpoint_records=settings.audit.checkpoint_records, checkpoint_s=settings.audit.checkpoint_s,
        )  # fmt: skip
        store = SqlStore(
            url, audit=trail.sink, kept=objects, raw_key=raw_key_of(settings.retention), committed=committed, due=wake
        )
        await store.open()
        stack.push_async_callback(store.close)
        await trail.start(store)
        stack.push_async_callback(trail.stop)
        sessions = HttpSessions(identity=identity, trust=tls.trust)
        stack.push_async_callback(sessions.close)
        archive = archive_of(settings, house, compute, clock, sessions)
        mllp_out = MllpCarrier(
            house=house,
            clock=clock,
            secure=lambda peer: client_context(identity, trust=tls.trust, pins=peer.certificate_sha256),
        )
        stack.push_async_callback(mllp_out.close)
        calls = CallingPeers(
            house=house, store=store, clock=clock,
            carriers={
                SoapTransaction: SoapCarrier(sessions=sessions, objects=objects, clock=clock),
                Hl7Transaction: mllp_out,
            },
        )  # fmt: skip
        policy = TablePolicy(anonymous_loopback=settings.access.anonymous_loopback)
        await _recover(store, objects, archive, clock)

        # --- services
        ingest = Ingest(house=house, store=store, archive=archive, objects=objects, compute=compute, clock=clock)
        retrieve = Retrieve(house=house, store=store, archive=archive)
        synchronise = (
            Synchronise(house=house, store=store, archive=archive, clock=clock)
            if isinstance(archive, DicomwebArchive)
            else None
        )
        search = Search(store=store, notice=lambda: synchronise.notice if synchronise is not None else "")
        feed = Feed(house=house, clock=clock)
        publish = Publish(
            house=house, store=store, objects=objects, peers=calls, directory=directory, compute=compute, clock=clock,
            codes=site_codes(settings.affinity_domain.code_sets, house.patient_authority),
        )  # fmt: skip
        rewrite = Rewrite(store=store, archive=archive, compute=compute, clock=clock)
        follow = Follow(
            store=store, rewrite=rewrite, clock=clock, system=house.name, publish=publish,
            transfer=Transfer(
                house=house, store=store, archive=archive, peers=calls, directory=directory, compute=compute,
                clock=clock, rewrite=rewrite,
            ),
            collect=Collect(
                house=house, store=store, objects=objects, peers=calls, directory=directory, compute=compute, clock=clock
            ),
            notify=Notify(house=house, store=store, peers=calls, directory=directory, clock=clock),
            rules=[Rule(do=rule.do) for rule in settings.rule], synchronise=synchronise,
        )  # fmt: skip
        operations = Operations(house=house, store=store, compute=compute, clock=clock, directory=directory, wake=wake)

        # --- actors, by address
        queries = StoredQueries(house=house, store=store, limit=settings.limits.results)
        registry_actor = DocumentRegistry(ingest=ingest, queries=queries)
        repository = DocumentRepository(ingest=ingest, retrieve=retrieve)
        recipient = DocumentRecipient(ingest=ingest)
        source = ImagingDocumentSource(retrieve=retrieve)
        fhir = FhirServer(house=house, search=search, software=_software())
        identities = PatientIdentityConsumer(feed=feed)
        images = ImageServer(
            retrieve=retrieve, search=search, viewing=Viewing(store=store, archive=archive, compute=compute)
        )

        # --- listeners
        login = Login(data=data, clock=clock, minutes=settings.access.session_minutes, secure=listening is not None)
        password = login.first_password()
        identifier = Identifier(
            directory=directory, fingerprint=peer_fingerprint, person=login.person,
            anonymous_loopback=settings.access.anonymous_loopback,
        )  # fmt: skip
        turns = Turn(house=house, store=store, clock=clock, policy=policy, site=settings.audit.enterprise_site_id)
        app = web.Application(client_max_size=0)
        soap = SoapListener(
            turns=turns, objects=objects, identify=identifier.of_request, clock=clock,
            document_bytes=settings.limits.document_bytes, idle_timeout_s=settings.limits.idle_timeout_s,
            anonymous_loopback=settings.access.anonymous_loopback, base_url=house.base_url,
            limits=SoapLimits(
                root_bytes=settings.limits.soap_root_bytes, message_bytes=settings.limits.request_bytes or None
            ),
        )  # fmt: skip
        soap.add("/soap/registry", answers_of(registry_actor))
        soap.add("/soap/repository", answers_of(repository))
        soap.add("/soap/document-recipient", answers_of(recipient))
        soap.add("/soap/imaging-source", answers_of(source))
        federate = Federate(
            house=house, store=store, peers=calls, directory=directory,
            deadline_s=settings.limits.community_deadline_s,
        )  # fmt: skip
        for path, actor in (
            ("responding-gateway", RespondingGateway(house=house, queries=queries, repository=repository)),
            ("initiating-gateway", InitiatingGateway(federate=federate, queries=queries, repository=repository)),
            ("imaging-responding-gateway", RespondingImagingGateway(house=house, source=source)),
            ("imaging-initiating-gateway", InitiatingImagingGateway(federate=federate, source=source)),
        ):
            soap.add(f"/soap/{path}", answers_of(actor))
        soap.routes(app)
        ehr = FhirListener(
            turns=turns, identify=identifier.of_request, base=house.fhir_url,
            idle_timeout_s=settings.limits.idle_timeout_s,
        )  # fmt: skip
        ehr.add(answers_of(fhir))
        ehr.routes(app)
        dicomweb = HttpListener(
            "dicomweb", base=house.dicomweb_url, turns=turns, identify=identifier.of_request, clock=clock, refuse=refused,
            idle_timeout_s=settings.limits.idle_timeout_s,
        )  # fmt: skip
        dicomweb.add(answers_of(images))
        dicomweb.add(answers_of(ImageManager(ingest=ingest)))
        dicomweb.routes(app)
        desk = Desk(
            house=house, store=store, operations=operations, directory=directory, audit=trail.archive(store),
            login=login, clock=clock,
        )  # fmt: skip
        desk.routes(app)
        ops = Ops(
            probes={"archive": archive.ready, "store": lambda: _store_ready(store)},
            registry=registry, identify=identifier.of_request,
        )  # fmt: skip
        ops.routes(app)

        site = Site(zone=house.zone, namespaces=settings.house.hl7_namespaces)
        mllp: MllpListener | None = None
        addresses = {"http": house.base_url}
        if password is not None:
            _say_password(house, password)
        if settings.listen.mllp:
            mllp = MllpListener(
                turns, [_at_this_site(each, site) for each in answers_of(identities)], identifier.of_transport, clock,
                limits=MllpListenerLimits(message_bytes=settings.limits.hl7_message_bytes), ssl=listening,
                spoken_by=_in_the_words_of(site),
            )  # fmt: skip
            port = await mllp.start(settings.listen.host, _shifted(settings.listen.mllp_port, port_base))
            scheme = "mllps" if listening is not None else "mllp"
            addresses["mllp"] = f"{scheme}://{settings.listen.host}:{port}"

        runner = JobRunner(
            store=store, clock=clock, worker=follow, owner=f"{house.name}:{os.getpid()}:{clock.new_uuid()[:8]}"
        )
        http_runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, read_bufsize=READ_BYTES,
            shutdown_timeout=settings.listen.drain_timeout_s,
        )  # fmt: skip
        await http_runner.setup()
        await web.SockSite(http_runner, http_socket, ssl_context=listening).start()
        control = Control(
            house=house, store=store, operations=operations, directory=directory, audit=trail.archive(store), clock=clock,
            addresses=lambda: addresses,
        )  # fmt: skip
        if synchronise is not None:
            await synchronise.begin()
        working = asyncio.create_task(runner.serve(), name="jobs")
        host = await asyncio.to_thread(socket.getfqdn)  # may ask DNS
        forwarder = forwarder_of(settings, house, store, clock, identity, host)
        if forwarder is not None:
            await forwarder.start()
        async with store.unit() as work:
            await work.audit.record(
                application_started(at=clock.now(), source_id=house.name, house=house.party(), launcher=_launcher())
            )
        housekeeping = Housekeeping(
            store=store, clock=clock, retention=retention_of(settings.retention), give_back=store.give_back
        )
        tidying: asyncio.Task[None] | None = None
        try:
            async with control.serving(data):
                tidying = asyncio.create_task(housekeeping.serve(), name="housekeeping")
                yield addresses
        finally:
            ops.draining = True
            if tidying is not None:
                tidying.cancel()
                with suppress(asyncio.CancelledError):
                    await tidying
            within = settings.listen.drain_timeout_s
            await asyncio.gather(
                http_runner.cleanup(), runner.stop(within), *([mllp.close(within)] if mllp is not None else [])
            )
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            try:
                async with store.unit() as work:
                    await work.audit.record(
                        application_stopped(
                            at=clock.now(), source_id=house.name, house=house.party(), launcher=_launcher()
                        )
                    )
            except HouseError as full:  # a full disk is no reason not to stop
                logger().error("the stop cannot be audited", condition=full.condition.value)
            if forwarder is not None:
                await forwarder.stop()


# --- parts ------------------------------------------------------------------------------------------------------------


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the data folder; two houses on one would write over each other."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"Another house is running on {path.parent.absolute()}.") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _is_running(lock: Path) -> bool:
    """Whether a house holds the data folder."""
    if not lock.exists():
        return False
    try:
        with _locked(lock):
            return False
    except AlreadyRunning:
        return True


def _shifted(port: int, port_base: int) -> int:
    return port + port_base if port else 0


@contextmanager
def _bound(host: str, port: int, port_base: int) -> Iterator[socket.socket]:
    """The listening socket, bound before anything else so that port 0 has a number when addresses are made of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, _shifted(port, port_base)))
        except OSError as error:
            raise SettingsError(
                (Problem("listen.http_port", f"port {_shifted(port, port_base)} cannot be used: {error.strerror}",
                         "Stop what uses it, choose another, or use 0 for a free one"),)
            ) from None  # fmt: skip
        yield listening


def house_of(settings: Settings, http_port: int) -> House:
    """Who we are; ids that the settings do not give are made at the first start and kept."""
    section, listen = settings.house, settings.listen
    made = _made_ids(section.data)
    scheme = "https" if settings.tls.enabled else "http"
    base_url = listen.base_url.rstrip("/") or f"{scheme}://{listen.host}:{http_port}"
    repository = section.repository_unique_id or made("repository_unique_id")
    return House(
        name=section.name,
        home_community_id=section.home_community_id or made("home_community_id"),
        repository_unique_id=repository,
        retrieve_location_uid=section.retrieve_location_uid or made("retrieve_location_uid"),
        source_id=section.source_id or repository,
        patient_authority=section.patient_authority or made("patient_authority"),
        affinity_authority=settings.affinity_domain.patient_authority,
        zone=ZoneInfo(section.time_zone),
        base_url=base_url,
        ae_title=section.ae_title,
        hl7_application=section.hl7_application,
        hl7_facility=section.hl7_facility or section.name,
        process_id=str(os.getpid()),
        network_address=urlsplit(base_url).hostname or listen.host,
    )


def _made_ids(data: Path) -> Any:
    """Ids of our own making: looked up, and made and written when they are asked for the first time."""
    path = data / IDS_FILE
    kept: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    clock = SystemClock()

    def made(name: str) -> Oid:
        if name not in kept:
            kept[name] = clock.new_uid()
            write_whole(path, orjson.dumps(kept, option=orjson.OPT_INDENT_2))  # what was published names them
        return Oid(kept[name])

    return made


def peers_of(settings: Settings, house: House) -> tuple[tuple[Peer, ...], dict[str, str]]:
    """The peers, and their names by the SHA-256 of their tokens."""
    peers = tuple(_peer_of(section, house) for section in settings.peer)
    tokens = {section.token_sha256.lower(): section.name for section in settings.peer if section.token_sha256}
    return peers, tokens


def _peer_of(section: PeerSection, house: House) -> Peer:
    named = section.hl7_application or section.hl7_facility
    hl7: Hl7Address | None = house.hl7_address(section.hl7_application, section.hl7_facility) if named else None
    return Peer(
        name=section.name,
        home_community_id=section.home_community_id,
        repository_unique_ids=section.repository_unique_ids,
        retrieve_location_uids=section.retrieve_location_uids,
        patient_authority=section.patient_authority,
        certificate_sha256=(fingerprint_of_file(section.certificate),) if section.certificate is not None else (),
        endpoints=dict(section.endpoint),
        unknown_patient=section.unknown_patient,
        tolerances=section.tolerances,
        hl7=hl7,
        hl7_namespaces=dict(section.hl7_namespaces),
        scopes=section.scopes,
        batch_instances=section.batch_instances,
        idle_timeout_s=section.idle_timeout_s,
    )


def objects_folder(settings: Settings) -> Path:
    """Where documents are kept: below the data folder, or where `store.objects` says."""
    where = settings.store.objects
    return settings.house.data / "objects" if where is None else Path(where.removeprefix("file://"))


def retention_of(section: RetentionSection) -> Retention:
    """How long what is kept."""
    raw, ask = timedelta(days=section.raw_days), timedelta(days=section.ask_days)
    return Retention(
        raw=raw, raw_failed=raw * FAILED_TIMES, raw_bytes=section.raw_bytes, ask=ask, ask_failed=ask * FAILED_TIMES
    )


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


def forwarder_of(
    settings: Settings, house: House, store: SqlStore, clock: SystemClock, identity: TlsIdentity | None, host: str
) -> SyslogForwarder | None:
    """Who hands audit on to the collector that the settings name; None: nobody."""
    if not settings.audit.syslog:
        return None
    where = urlsplit(settings.audit.syslog)
    secure = client_context(identity, trust=settings.audit.syslog_trust or settings.tls.trust)
    return SyslogForwarder(
        Collector(
            host=where.hostname or "",
            port=where.port or SYSLOG_TLS_PORT,
            context=secure if where.scheme == "tls" else None,
        ),
        store=store,
        clock=clock,
        origin=Origin(host=host, application="radgate", process_id=house.process_id),
        source_id=house.name,
        party=house.party(),
        enterprise_site_id=settings.audit.enterprise_site_id,
    )


def _at_this_site(answering: Answering[Any, Any], site: Site) -> Answering[Any, Any]:
    """Times without a zone and ids without an OID are the site's."""
    here = {ITI_8.id: iti_8(site), ITI_30.id: iti_30(site)}
    return Answering(here[answering.transaction.id], answering.method, answering.refine)


def _in_the_words_of(site: Site) -> Callable[[Answering[Any, Any], Caller], Answering[Any, Any]]:
    """A namespace means what the sender's [[peer]] says it means, then what the house says."""
    made: dict[tuple[str, str], Answering[Any, Any]] = {}

    def spoken_by(answering: Answering[Any, Any], caller: Caller) -> Answering[Any, Any]:
        peer = caller.peer
        if peer is None or not peer.hl7_namespaces:
            return answering
        key = peer.name, answering.transaction.id
        if key not in made:
            theirs = replace(site, namespaces={**site.namespaces, **peer.hl7_namespaces})
            made[key] = _at_this_site(answering, theirs)
        return made[key]

    return spoken_by


def _software() -> Software:
    return Software(
        name="radgate",
        version=VERSION,
        published=datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC),
        description="Imaging-exchange gateway",
    )


def _launcher() -> str:
    try:
        return os.getlogin()
    except OSError:
        return str(os.getuid())


async def _store_ready(store: SqlStore) -> str:
    try:
        async with asyncio.timeout(2), store.view() as work:
            await work.ledger.next_due()
    except (TimeoutError, OSError) as error:
        return f"the database does not answer ({type(error).__name__})"
    return ""


async def _recover(store: SqlStore, objects: FileObjects, archive: Archive, clock: SystemClock) -> None:
    """After a crash: half files go, open steps become failures, orphans are reported.

    On a database that several processes share, the folder of documents may be shared too: what looks like half a file or
    nobody's is what a living one is about to commit, so it stays.
    """
    async with store.unit() as work:
        closed = await work.ledger.close_open_steps(clock.now())
        if store.is_embedded:  # the folder is ours alone: nobody lives who holds a lease
            await work.ledger.end_leases()
    lost = await objects.reconcile(store.paths()) if store.is_embedded else ()
    orphans = await archive.reconcile(store.instances())
    logger().info("recovered", count=closed, number=len(lost) + len(orphans))


# --- examining --------------------------------------------------------------------------------------------------------

LEAST_FREE_BYTES = 2 * 1024**3
ENDS_SOON = timedelta(days=30)  # time to get a new one signed


async def examine(settings: Settings) -> list[Examined]:
    """What a house needs, looked at without starting it: folder, disk, ports, certificates, peers."""
    found = [_folder(settings), _disk(settings), *_certificates(settings, datetime.now(UTC))]
    for key, port in (("http_port", settings.listen.http_port), ("mllp_port", settings.listen.mllp_port)):
        found.append(_port(settings, key, port))
    for peer in settings.peer:
        for service, address in peer.endpoint.items():
            found.append(await _reachable(f"{peer.name}, {service}", address))
    return found


def _folder(settings: Settings) -> Examined:
    data = settings.house.data.absolute()
    existing = next(each for each in (data, *data.parents) if each.exists())
    good = os.access(existing, os.W_OK)
    return Examined(
        what=f"data folder {data}",
        good=good,
        state="" if good else "it cannot be written",
        cure="" if good else "Change owner or path",
    )


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
    """Ours, those that we trust, those of peers: readable, the key fits, and not about to end."""
    tls = settings.tls
    if tls.certificate is not None and tls.key is not None:
        fault = fault_of(TlsIdentity(certificate=tls.certificate, key=tls.key))
        cure = "Put the key of this certificate there" if fault else ""
        yield Examined(what="tls.key", good=not fault, state=fault, cure=cure)
    named = {
        "tls.certificate": tls.certificate,
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


def _port(settings: Settings, key: str, port: int) -> Examined:
    try:
        with _bound(settings.listen.host, port, 0):
            return Examined(what=f"listen.{key} {port}", good=True)
    except SettingsError as error:
        if _is_running(settings.house.data / LOCK_FILE):
            return Examined(what=f"listen.{key} {port}", good=True, state="in use; a house is running on this folder")
        return Examined(
            what=f"listen.{key} {port}", good=False, state=error.problems[0].reason, cure=error.problems[0].cure
        )


async def _reachable(what: str, address: str) -> Examined:
    parts = urlsplit(address)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 2575)
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
