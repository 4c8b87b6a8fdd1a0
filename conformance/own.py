"""Our own house on scratch data, told of patients and studies, as a system under test: `run --self`."""

import asyncio
import shutil
import ssl
import tempfile
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from conformance.around import Around, Provoke
from conformance.certificates import Authority, Identity
from conformance.house import ROOT, CommandFailed, House, HouseFailed, free_ports
from conformance.provide import push_study, tell_patient
from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_us_study
from conformance.simulators.audit_repository import AuditRepository
from conformance.simulators.imaging_community import ImagingCommunity
from conformance.simulators.soap_server import SoapCounterpart
from conformance.system import KnownStudy, System, claims_of, tls_of
from conformance.verdict import Failed
from profiles.model.identifiers import Oid

CLAIMS = Path(__file__).parent / "claims.toml"
STORED_S = 60.0
PEER = "Simulator"
COMMUNITY = tuple(Oid(f"{ROOT}.10.{leaf}") for leaf in (1, 2, 3))  # home, repository, retrieve location
SOAP = {
    "RAD-69": "imaging-source",
    "ITI-18": "registry",
    "ITI-41": "repository",
    "ITI-43": "repository",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Our house as a system, and what stands around it."""

    system: System
    around: Around


@asynccontextmanager
async def own_house(*, store_url: str = "", folder: Path | None = None) -> AsyncIterator[Own]:
    """A house that serves, holds two studies of one patient, and knows the tester.

    Args:
        store_url: A database of its own, empty; "": SQLite in the folder.
        folder: Where everything goes; None: a scratch folder that is gone afterwards.

    Raises:
        HouseFailed: It does not start, or does not say that it holds the studies.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="radgate-conformance-"))
    try:
        certificates = Authority(place / "certificates", "radgate conformance root")
        http_port, mllp_port = free_ports(2)
        house = House(
            name="House", folder=place / "house", identity=certificates.issue("House"), number=9,
            http_port=http_port, mllp_port=mllp_port,
        )  # fmt: skip
        tester = certificates.issue("Tester")
        async with AsyncExitStack() as stack:
            audit = AuditRepository("127.0.0.1", 0, ssl=_door(certificates.issue("Collector")))
            counterpart = SoapCounterpart("127.0.0.1", 0, ssl=_door(certificates.issue(PEER)))
            for each in (audit, counterpart):
                await each.start()
                stack.push_async_callback(each.stop)
            community = ImagingCommunity(counterpart, repository=COMMUNITY[1], retrieve_location=COMMUNITY[2])
            _settings(house, tester, store_url, audit, counterpart)
            await house.start()
            stack.push_async_callback(house.stop)
            around = Around(audit=audit, community=community, provoke=_provoking(house), peer=PEER)
            yield Own(system=await _provided(house, tester, place), around=around)
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _door(identity: Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(identity.authority))
    context.load_cert_chain(identity.certificate, identity.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _provoking(house: House) -> Provoke:
    """Our house does what it is told by its command line."""

    async def provoke(what: str, facts: Mapping[str, str]) -> None:
        words = {
            "fetch": ("study", "fetch", "--patient", facts.get("patient", ""), "--registry", facts["peer"], "--study"),
            "share": ("study", "share", "--to", facts["peer"]),
        }[what]
        try:
            await house.command(*words, facts["study"], "--wait")
        except CommandFailed as failed:
            raise Failed(f"it did not {what} the study: {failed}") from failed

    return provoke


def _settings(
    house: House, tester: Identity, store_url: str, audit: AuditRepository, counterpart: SoapCounterpart
) -> None:
    house.folder.mkdir(parents=True, exist_ok=True)
    endpoints = "\n".join(
        f'"{name}" = "{counterpart.address(name)}"' for name in ("ITI-18", "ITI-43", "RAD-69", "RAD-68")
    )
    store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    house.config.write_text(
        f"""[house]
name = "{house.name}"
data = "data"
home_community_id = "{house.oid(1).urn}"
repository_unique_id = "{house.oid(2)}"
retrieve_location_uid = "{house.oid(3)}"
patient_authority = "{house.patient_authority}"
{store}
[listen]
http_port = {house.http_port}
mllp_port = {house.mllp_port}

[tls]
certificate = "{house.identity.certificate}"
key = "{house.identity.key}"
trust = ["{house.identity.authority}"]

[audit]
syslog = "tls://127.0.0.1:{audit.port}"
syslog_trust = ["{house.identity.authority}"]

[[peer]]
name = "Tester"
certificate = "{tester.certificate}"
hl7_application = "EHR"
hl7_facility = "VALLEY"
unknown_patient = "reject"

[[peer]]
name = "{PEER}"
home_community_id = "{COMMUNITY[0].urn}"
repository_unique_ids = ["{COMMUNITY[1]}"]
retrieve_location_uids = ["{COMMUNITY[2]}"]
patient_authority = "{house.patient_authority}"
certificate = "{house.identity.certificate.with_name(f"{PEER.lower()}.pem")}"
[peer.endpoint]
{endpoints}
""",
        encoding="utf-8",
    )


async def _provided(house: House, tester: Identity, place: Path) -> System:
    """Tell it of a patient, give it studies, and describe it."""
    tls = tls_of(trust=tester.authority, certificate=tester.certificate, key=tester.key)
    patient = sample_patient(3, house.patient_authority, prefix="C")
    studies = await asyncio.to_thread(
        lambda: [
            write_ct_study(place / "ct", seed=41, patient=patient, series=2, instances=6, rows=128),
            write_us_study(place / "us", seed=42, patient=patient),
        ]
    )
    await tell_patient("127.0.0.1", house.mllp_port, patient, receiver=house.name, ssl=tls)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), trust_env=False) as session:
        for study in studies:
            await push_study(session, f"{house.base_url}/dicomweb", study)
        for study in studies:
            await _stored(house, study)
    return System(
        name="radgate, on scratch data",
        endpoints={
            **{id: f"{house.base_url}/soap/{path}" for id, path in SOAP.items()},
            "FHIR": f"{house.base_url}/fhir/r4",
            "DICOMWEB": f"{house.base_url}/dicomweb",
            "MLLP": f"mllps://127.0.0.1:{house.mllp_port}",
        },
        claims=claims_of(tomllib.loads(CLAIMS.read_text(encoding="utf-8"))["claims"], CLAIMS),
        home_community_id=house.oid(1),
        repository_unique_id=house.oid(2),
        retrieve_location_uid=house.oid(3),
        patient_authority=house.patient_authority,
        studies=tuple(KnownStudy(study=study, patient=patient.identifiers[0]) for study in studies),
        tls=tls,
    )


async def _stored(house: House, study: SampleStudy) -> None:
    """Wait until it says that all of a study is available."""
    try:
        async with asyncio.timeout(STORED_S):
            while True:
                shown = await house.command("study", "show", str(study.study_instance_uid))
                if shown["status"] == "available" and shown["instances"] == len(study.instances):
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise HouseFailed(f"the house did not store its study within {STORED_S:.0f} s") from None
