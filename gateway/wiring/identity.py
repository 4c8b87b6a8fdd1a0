"""Who we are and whom we know, as the settings say."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import orjson

from gateway.adapters.clock import SystemClock
from gateway.adapters.durable import write_whole
from gateway.adapters.tls import fingerprint_of_file
from gateway.model.house import House, Repository
from gateway.model.peer import Peer
from gateway.settings import PeerSection, Problem, RepositorySection, Settings, SettingsError
from profiles.model.identifiers import Oid
from profiles.wire.hl7v2.address import Hl7Address

IDS_FILE = "house.json"


def house_of(settings: Settings, http_port: int) -> House:
    """Who we are; ids that the settings do not give are made at the first start and kept.

    Raises:
        SettingsError: A further repository has the id that was made for our own.
    """
    if problems := not_their_own(settings):
        raise SettingsError(problems)
    section, listen = settings.house, settings.listen
    made = _made_ids(section.data)
    scheme = "https" if settings.tls.enabled else "http"
    base_url = listen.base_url.rstrip("/") or f"{scheme}://{listen.host}:{http_port}"
    repository = section.repository_unique_id or made("repository_unique_id")
    house = House(
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
        recipients=section.recipients,
    )
    return replace(house, further=tuple(_repository_of(each, house) for each in settings.repository))


def not_their_own(settings: Settings) -> tuple[Problem, ...]:
    """Further repositories with the id that was made for our own; what the settings say themselves was checked before."""
    own = None if settings.house.repository_unique_id else _kept_ids(settings.house.data).get("repository_unique_id")
    return tuple(
        Problem(
            f"repository.{index}.unique_id", "was made for the house's own repository", "Give it an id of its own"
        )
        for index, each in enumerate(settings.repository)
        if each.unique_id == own
    )  # fmt: skip


def _repository_of(section: RepositorySection, house: House) -> Repository:
    return Repository(
        name=section.name,
        unique_id=section.unique_id,
        home_community_id=section.home_community_id or house.home_community_id,
        patient_authority=section.patient_authority or house.domain_authority,
    )


def _kept_ids(data: Path) -> dict[str, str]:
    path = data / IDS_FILE
    kept: dict[str, str] = orjson.loads(path.read_bytes()) if path.exists() else {}
    return kept


def _made_ids(data: Path) -> Callable[[str], Oid]:
    """Ids of our own making: looked up, and made and written when they are asked for the first time."""
    path, kept = data / IDS_FILE, _kept_ids(data)
    clock = SystemClock()

    def made(name: str) -> Oid:
        if name not in kept:
            kept[name] = clock.new_uid()
            write_whole(path, orjson.dumps(kept, option=orjson.OPT_INDENT_2))  # what was published names them
        return Oid(kept[name])

    return made


def peers_of(settings: Settings, house: House) -> tuple[tuple[Peer, ...], dict[str, str]]:
    """The peers, and their names by the SHA-256 of their tokens."""
    entities = {issuer.name: issuer.entity_id or issuer.name for issuer in settings.issuer}
    peers = tuple(_peer_of(section, house, entities) for section in settings.peer)
    tokens = {section.token_sha256.lower(): section.name for section in settings.peer if section.token_sha256}
    return peers, tokens


def _peer_of(section: PeerSection, house: House, entities: Mapping[str, str]) -> Peer:
    named = section.hl7_application or section.hl7_facility
    hl7: Hl7Address | None = house.hl7_address(section.hl7_application, section.hl7_facility) if named else None
    return Peer(
        name=section.name,
        home_community_id=section.home_community_id,
        homes=section.homes,
        forward=section.forward,
        of_our_community=section.of_our_community,
        repository_unique_ids=section.repository_unique_ids,
        source_ids=section.source_ids,
        retrieve_location_uids=section.retrieve_location_uids,
        patient_authority=section.patient_authority,
        certificate_sha256=(fingerprint_of_file(section.certificate),) if section.certificate is not None else (),
        endpoints=dict(section.endpoint),
        reply_to=section.reply_to,
        ask_asynchronously=section.ask_asynchronously,
        answer_timeout_s=section.answer_timeout_s,
        deferred_discovery=section.deferred_discovery,
        unknown_patient=section.unknown_patient,
        tolerances=section.tolerances,
        hl7=hl7,
        hl7_namespaces=dict(section.hl7_namespaces),
        device_id=section.device_id,
        identifier_domains=section.identifier_domains,
        scopes=section.scopes,
        batch_instances=section.batch_instances,
        idle_timeout_s=section.idle_timeout_s,
        assertion=section.assertion,
        issuers=frozenset(entities[name] for name in section.issuers),
        purposes=section.purposes,
        roles=section.roles,
        send_assertion=section.send_assertion,
        audience=section.audience,
    )
