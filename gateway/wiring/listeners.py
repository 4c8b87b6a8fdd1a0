"""Listeners: the doors of this house, and which actor answers at which address."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from ssl import SSLContext
from typing import Any

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
from gateway.actors.patient_manager import PatientManager
from gateway.actors.patient_registry import PatientRegistry
from gateway.actors.responding_gateway import RespondingGateway
from gateway.actors.responding_imaging_gateway import RespondingImagingGateway
from gateway.adapters.policy_table import TablePolicy
from gateway.adapters.tls import peer_certificate, peer_fingerprint
from gateway.inbound.desk import Desk, Login
from gateway.inbound.fhir import FhirListener
from gateway.inbound.housekeeping import Retention
from gateway.inbound.http import HttpListener
from gateway.inbound.identify import Identifier
from gateway.inbound.mllp import MllpListener, MllpListenerLimits
from gateway.inbound.ops import Ops
from gateway.inbound.replies import ReplyListener
from gateway.inbound.soap import SoapListener
from gateway.inbound.turn import Turn
from gateway.model.house import House
from gateway.model.peer import Caller
from gateway.settings import FAILED_TIMES, RetentionSection, Settings
from gateway.telemetry import registry
from gateway.wiring.adapters import Adapters, store_ready
from gateway.wiring.assertions import assertions_of
from gateway.wiring.services import Services
from profiles.model.identifiers import Oid
from profiles.pix.iti8 import ITI_8, iti_8
from profiles.pix.iti30 import ITI_30, iti_30
from profiles.wire.dicom.web import refused
from profiles.wire.fhir.capability import Software
from profiles.wire.hl7v2.datatypes import Site
from profiles.wire.soap.mtom import SoapLimits

VERSION = version("radgate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """The doors, not open yet; `mllp` is None where the settings close it."""

    http: web.Application
    soap: SoapListener
    mllp: MllpListener | None
    ops: Ops
    turns: Turn


def listeners_of(
    settings: Settings, house: House, adapters: Adapters, services: Services, *, login: Login, tls: SSLContext | None
) -> Listeners:
    """Every address of the house, with who answers there."""
    identifier = Identifier(
        directory=adapters.directory, fingerprint=peer_fingerprint, person=login.person,
        anonymous_loopback=settings.access.anonymous_loopback, certificate=peer_certificate,
    )  # fmt: skip
    turns = Turn(
        house=house, store=adapters.store, clock=adapters.clock,
        policy=TablePolicy(anonymous_loopback=settings.access.anonymous_loopback),
        site=settings.audit.enterprise_site_id, sightings=adapters.sightings,
    )  # fmt: skip
    ops = Ops(
        probes={"archive": adapters.archive.ready, "store": lambda: store_ready(adapters.store)},
        registry=registry, identify=identifier.of_request,
    )  # fmt: skip
    desk = Desk(
        house=house, store=adapters.store, operations=services.operations, probe=services.probe, matrix=services.matrix,
        directory=adapters.directory, audit=adapters.trail.archive(adapters.store), login=login, clock=adapters.clock,
        rules=services.rules, per_minute=settings.publish.per_minute, synchronise=services.synchronise,
    )  # fmt: skip
    soap = _soap(settings, house, adapters, services, turns, identifier)
    replies = ReplyListener(
        turns=turns, questions=adapters.questions, objects=adapters.objects, identify=identifier.of_request,
        clock=adapters.clock, document_bytes=settings.limits.document_bytes,
        idle_timeout_s=settings.limits.idle_timeout_s,
    )  # fmt: skip
    app = web.Application(client_max_size=0)
    for listener in (
        soap,
        replies,
        _fhir(settings, house, services, turns, identifier),
        _dicomweb(settings, house, adapters, services, turns, identifier),
        desk,
        ops,
    ):
        listener.routes(app)
    mllp = _mllp(settings, house, adapters, services, turns, identifier, tls) if settings.listen.mllp else None
    return Listeners(http=app, soap=soap, mllp=mllp, ops=ops, turns=turns)


def _soap(
    settings: Settings, house: House, adapters: Adapters, services: Services, turns: Turn, identifier: Identifier
) -> SoapListener:
    limits = settings.limits
    listener = SoapListener(
        turns=turns, objects=adapters.objects, identify=identifier.of_request, clock=adapters.clock,
        document_bytes=limits.document_bytes, idle_timeout_s=limits.idle_timeout_s,
        anonymous_loopback=settings.access.anonymous_loopback, base_url=house.base_url,
        replies=adapters.replies,
        limits=SoapLimits(root_bytes=limits.soap_root_bytes, message_bytes=limits.request_bytes or None),
        assertions=assertions_of(
            settings, house, store=adapters.store, compute=adapters.compute, clock=adapters.clock
        ),
    )  # fmt: skip
    ingest, queries, federate = services.ingest, services.queries, services.federate
    repository = DocumentRepository(ingest=ingest, retrieve=services.retrieve, removal=services.removal)
    recipient = DocumentRecipient(ingest=ingest)
    ours = DocumentRepository(ingest=ingest, retrieve=services.retrieve_any, removal=services.removal)
    doors: dict[Oid, DocumentRecipient] = {house.home_community_id: recipient}
    for one, keeping in services.further.items():
        doors.setdefault(one.home_community_id, DocumentRecipient(ingest=keeping.ingest))
        keeper = DocumentRepository(ingest=keeping.ingest, retrieve=keeping.retrieve, removal=keeping.removal)
        listener.add(one.path, answers_of(keeper))
    source = ImagingDocumentSource(retrieve=services.retrieve)
    for path, actor in {
        "registry": DocumentRegistry(ingest=ingest, queries=queries, update=services.update, removal=services.removal),
        "repository": repository,
        "document-recipient": recipient,
        "imaging-source": source,
        "responding-gateway": RespondingGateway(
            house=house,
            queries=queries,
            repository=ours,
            recipient=recipient,
            doors=doors,
            forward=services.forward,
            discover=services.discover,
            federate=federate,
        ),
        "initiating-gateway": InitiatingGateway(
            federate=federate,
            forward=services.forward,
            queries=queries,
            repository=ours,
            recipient=recipient,
            doors=doors,
            discover=services.discover,
        ),
        "imaging-responding-gateway": RespondingImagingGateway(house=house, source=source, federate=federate),
        "imaging-initiating-gateway": InitiatingImagingGateway(federate=federate, source=source),
        "patient-registry": PatientRegistry(feed=services.feed),
        "patient-manager": PatientManager(resolve=services.resolve, feed=services.feed),
    }.items():
        listener.add(f"/soap/{path}", answers_of(actor))
    return listener


def _fhir(settings: Settings, house: House, services: Services, turns: Turn, identifier: Identifier) -> FhirListener:
    listener = FhirListener(
        turns=turns, identify=identifier.of_request, base=house.fhir_url, idle_timeout_s=settings.limits.idle_timeout_s
    )
    listener.add(answers_of(FhirServer(house=house, search=services.search, software=_software())))
    return listener


def _dicomweb(
    settings: Settings, house: House, adapters: Adapters, services: Services, turns: Turn, identifier: Identifier
) -> HttpListener:
    listener = HttpListener(
        "dicomweb", base=house.dicomweb_url, turns=turns, identify=identifier.of_request, clock=adapters.clock,
        refuse=refused, idle_timeout_s=settings.limits.idle_timeout_s,
    )  # fmt: skip
    images = ImageServer(retrieve=services.retrieve, search=services.search, viewing=services.viewing)
    listener.add(answers_of(images))
    listener.add(answers_of(ImageManager(push=services.push)))
    return listener


def _mllp(
    settings: Settings, house: House, adapters: Adapters, services: Services, turns: Turn, identifier: Identifier,
    tls: SSLContext | None,
) -> MllpListener:  # fmt: skip
    site = Site(zone=house.zone, namespaces=settings.house.hl7_namespaces)
    identities = PatientIdentityConsumer(feed=services.feed)
    return MllpListener(
        turns, [_at_this_site(each, site) for each in answers_of(identities)], identifier.of_transport, adapters.clock,
        limits=MllpListenerLimits(message_bytes=settings.limits.hl7_message_bytes), ssl=tls,
        spoken_by=_in_the_words_of(site),
    )  # fmt: skip


def retention_of(section: RetentionSection) -> Retention:
    """How long what is kept."""
    raw, ask = timedelta(days=section.raw_days), timedelta(days=section.ask_days)
    return Retention(
        raw=raw, raw_failed=raw * FAILED_TIMES, raw_bytes=section.raw_bytes, ask=ask, ask_failed=ask * FAILED_TIMES
    )


def _at_this_site(answering: Answering[Any, Any], site: Site) -> Answering[Any, Any]:
    """Times without a zone and ids without an OID are the site's."""
    here = {ITI_8.id: iti_8(site), ITI_30.id: iti_30(site)}
    return Answering(here[answering.transaction.id], answering.method, answering.refine, answering.refusing)


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
