"""Our own house on scratch data, told of patients and studies, as a system under test: `run --self`."""

import asyncio
import shutil
import tempfile
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from conformance.around import Around
from conformance.assertions import AssertionTerms, Issuer, PrivateKey, SentAssertionTerms
from conformance.branch import Branch
from conformance.certificates import Authority, Identity
from conformance.claims import CLAIMS, read_claims
from conformance.counterparts import standing
from conformance.house import House, HouseFailed, free_ports
from conformance.provide import push_study, tell_patient
from conformance.provoking import by_command_line
from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_us_study
from conformance.simulators.asked_later import LATER
from conformance.simulators.document_community import OF_DOCUMENTS
from conformance.simulators.imaging_community import OF_IMAGES
from conformance.simulators.mailbox import REPLY
from conformance.simulators.patient_services import OF_PATIENTS
from conformance.system import FOREIGN, HL7, WEST, Counterpart, Foreign, KnownStudy, System, claims_of, door_of, tls_of
from profiles.catalogue import TRANSACTIONS
from profiles.model.patient import Patient

STORED_S = 60.0
IDP = "https://idp.example.org"
WAIT_S = 15.0  # a house on a busy machine that was told to do something
ANNOUNCED = "MR"  # the modality of studies that are announced: the others need tell nobody
DEADLINE_S = 4.0  # other communities have so long; many cases have one that is silent
SOAP = {
    "RAD-69": "imaging-source",
    "ITI-18": "registry",
    "ITI-41": "repository",
    "ITI-43": "repository",
    "RAD-68": "repository",
    "ITI-86": "repository",
    "ITI-42": "registry",
    "ITI-51": "registry",
    "ITI-57": "registry",
    "ITI-61": "registry",
    "ITI-62": "registry",
    "ITI-92": "registry",
    "ITI-38": "responding-gateway",
    "ITI-39": "responding-gateway",
    "RAD-75": "imaging-responding-gateway",
    "ITI-55": "responding-gateway",
    "ITI-80": "responding-gateway",
    "Initiating Gateway ITI-18": "initiating-gateway",
    "Initiating Gateway ITI-43": "initiating-gateway",
    "Initiating Gateway ITI-41": "initiating-gateway",
    "Initiating Imaging Gateway RAD-69": "imaging-initiating-gateway",
    "ITI-44": "patient-registry",
    "ITI-45": "patient-manager",
    "ITI-46": "patient-manager",
    "ITI-47": "patient-manager",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Our house as a system, what stands around it, and the id of its process."""

    system: System
    around: Around
    process: int


@asynccontextmanager
async def own_house(
    *, store_url: str = "", folder: Path | None = None, tells_of_patients: bool = True
) -> AsyncIterator[Own]:
    """A house that serves, holds two studies of one patient, and knows the tester.

    Args:
        store_url: A database of its own, empty; "": SQLite in the folder.
        folder: Where everything goes; None: a scratch folder that is gone afterwards.
        tells_of_patients: Whether its counterpart wants to hear of every patient, and is asked about some.

    Raises:
        HouseFailed: It does not start, or does not say that it holds the studies.
    """
    place = folder or Path(tempfile.mkdtemp(prefix="radgate-conformance-"))
    try:
        made = scratch(place, store_url=store_url, tells_of_patients=tells_of_patients)
        branch = Branch(
            place / "branch", made.house, _patient(made.house), made.counterpart, tester=made.tester,
            simulator=made.simulator,
        )  # fmt: skip
        async with (
            standing(made.counterpart, by_command_line(made.house, branch.house)) as around,
            serving(made) as system,
        ):
            assert made.house.process is not None
            try:
                yield Own(system=system, around=around, process=made.house.process.pid)
            finally:
                await branch.stop()
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """Who asks only on somebody's behalf, who says on whose, and as whom the house says so itself."""

    clinic: Identity
    idp: Identity
    signer: Identity

    @property
    def settings(self) -> str:
        """The same to the house."""
        return f"""[assertion]
certificate = "{self.signer.certificate}"
key = "{self.signer.key}"
[[issuer]]
name = "IdP"
entity_id = "{IDP}"
certificates = ["{self.idp.certificate}"]
[[peer]]
name = "Clinic"
certificate = "{self.clinic.certificate}"
assertion = "required"
"""

    def taken_by(self, house: House) -> AssertionTerms:
        """On which terms the house takes assertions."""
        certificate, key = _pair(self.idp)
        return AssertionTerms(
            issuer=Issuer(entity_id=IDP, certificate=certificate, key=key), audience=house.base_url, required=True,
            one_time_use=True,
            tls=tls_of(trust=self.clinic.authority, certificate=self.clinic.certificate, key=self.clinic.key),
        )  # fmt: skip

    def sent_by(self, house: House) -> SentAssertionTerms:
        """As whom the house sends its own."""
        return SentAssertionTerms(issuer=house.oid(1).urn, certificate=_pair(self.signer)[0])


def _pair(identity: Identity) -> tuple[x509.Certificate, PrivateKey]:
    key = load_pem_private_key(identity.key.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)  # or we would not have made it
    return x509.load_pem_x509_certificate(identity.certificate.read_bytes()), key


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A house that has its settings and is not started, who asks it, and the counterpart that it knows."""

    house: House
    folder: Path
    tester: Identity
    simulator: Identity
    west: Identity
    counterpart: Counterpart
    persons: "Persons"


def scratch(folder: Path, *, store_url: str = "", tells_of_patients: bool = False) -> Scratch:
    """Certificates, ports and settings, below a folder; `tells_of_patients` as in `own_house`."""
    certificates = Authority(folder / "certificates", "radgate conformance root")
    http_port, mllp_port, soap_port, audit_port, hl7_port, reply_port, west_port, *ports = free_ports(7 + len(FOREIGN))
    house = House(
        name="House", folder=folder / "house", identity=certificates.issue("House"), number=9, http_port=http_port,
        mllp_port=mllp_port,
    )  # fmt: skip
    tester, simulator = certificates.issue("Tester"), certificates.issue("Simulator")
    west = certificates.issue(WEST)
    door = _door(simulator)
    counterpart = Counterpart(
        soap_port=soap_port, audit_port=audit_port, hl7_port=hl7_port, reply_port=reply_port, wait_s=WAIT_S,
        foreign=tuple(Foreign(name=name, port=port, tls=door) for name, port in zip(FOREIGN, ports, strict=True)),
        tls=door, reply_tls=_door(tester),
        west=Foreign(
            name=WEST, port=west_port, tls=_door(west),
            client=tls_of(trust=west.authority, certificate=west.certificate, key=west.key),
        ),
    )  # fmt: skip
    made = Scratch(
        house=house, folder=folder, tester=tester, simulator=simulator, west=west, counterpart=counterpart,
        persons=Persons(
            clinic=certificates.issue("Clinic"), idp=certificates.issuer("IdP"), signer=certificates.issue("Signer")
        ),
    )  # fmt: skip
    _settings(made, store_url, (*OF_IMAGES, *OF_DOCUMENTS, *(OF_PATIENTS if tells_of_patients else ())))
    return made


def _door(identity: Identity) -> SSLContext:
    return door_of(certificate=identity.certificate, key=identity.key, trust=identity.authority)


@asynccontextmanager
async def serving(made: Scratch) -> AsyncIterator[System]:
    """It serves, and holds two studies of one patient; its counterpart is somebody else's to start.

    Raises:
        HouseFailed: It does not start, or does not say that it holds the studies.
    """
    await made.house.start()
    try:
        system = await _provided(made.house, made.tester, made.folder)
        yield replace(
            system, assertion=made.persons.taken_by(made.house), sent_assertion=made.persons.sent_by(made.house)
        )
    finally:
        await made.house.stop()


def _settings(made: Scratch, store_url: str, asked: tuple[str, ...]) -> None:
    """`asked` are the transactions that its counterpart is asked by."""
    house, there = made.house, made.counterpart
    house.folder.mkdir(parents=True, exist_ok=True)
    endpoints = "\n".join(f'"{name}" = "https://{there.host}:{there.soap_port}/{name}"' for name in asked)
    foreign = "\n".join(_peer(each, there.host) for each in there.foreign)
    store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    house.config.write_text(
        f"""[house]
name = "{house.name}"
data = "data"
home_community_id = "{house.oid(1).urn}"
repository_unique_id = "{house.oid(2)}"
retrieve_location_uid = "{house.oid(3)}"
patient_authority = "{house.oid(6)}"
hl7_namespaces = {{ ELSEWHERE = "{house.oid(5)}" }}
{store}
[listen]
http_port = {house.http_port}
mllp_port = {house.mllp_port}

[affinity_domain]
patient_authority = "{house.patient_authority}"

[limits]
community_deadline_s = {DEADLINE_S}

[tls]
certificate = "{house.identity.certificate}"
key = "{house.identity.key}"
trust = ["{house.identity.authority}"]

[audit]
syslog = "tls://127.0.0.1:{there.audit_port}"
syslog_trust = ["{house.identity.authority}"]

[[peer]]
name = "Tester"
certificate = "{made.tester.certificate}"
hl7_application = "{HL7.sending_application}"
hl7_facility = "{HL7.sending_facility}"
unknown_patient = "reject"
scopes = {[each.id for each in TRANSACTIONS]}
reply_to = ["https://{there.host}:{there.reply_port}{REPLY}"]

[[peer]]
name = "{there.peer}"
home_community_id = "{there.home_community_id.urn}"
repository_unique_ids = ["{there.repository_unique_id}"]
retrieve_location_uids = ["{there.retrieve_location_uid}"]
patient_authority = "{house.patient_authority}"
certificate = "{made.simulator.certificate}"
hl7_application = "RIS"
hl7_facility = "SIMULATOR"
send_assertion = "bearer"
[peer.endpoint]
{endpoints}
MLLP = "mllps://{there.host}:{there.hl7_port}"

[[rule]]
when = "study.available"
do = ["announce:{there.peer}"]
modality = ["{ANNOUNCED}"]

{foreign}
{_west(made)}
{made.persons.settings}
""",
        encoding="utf-8",
    )


def _peer(foreign: Foreign, host: str) -> str:
    """Another community, as the house is told of it: North gives no patient ids of its own.

    No certificate is said to be theirs: they show the simulator's, which is another peer's.
    """
    own_ids = foreign.name != FOREIGN[0]
    asked = ("ITI-38", "ITI-39", "RAD-75", "ITI-80", *(("ITI-55",) if own_ids else ()))
    endpoints = "\n".join(f'"{name}" = "https://{host}:{foreign.port}/{name}"' for name in asked)
    authority = f'patient_authority = "{foreign.patient_authority}"\n' if own_ids else ""
    return f"""[[peer]]
name = "{foreign.name}"
home_community_id = "{foreign.home_community_id.urn}"
{authority}forward = true
send_assertion = "bearer"
[peer.endpoint]
{endpoints}
"""


def _west(made: Scratch) -> str:
    """Whom the house asks asynchronously."""
    there, west = made.counterpart, made.counterpart.west
    assert west is not None  # or it is no scratch of ours
    endpoints = "\n".join(f'"{name}" = "https://{there.host}:{west.port}/{name}"' for name in LATER)
    return f"""[[peer]]
name = "{west.name}"
home_community_id = "{west.home_community_id.urn}"
repository_unique_ids = ["{west.repository_unique_id}"]
retrieve_location_uids = ["{west.retrieve_location_uid}"]
patient_authority = "{made.house.patient_authority}"
certificate = "{made.west.certificate}"
ask_asynchronously = {list(LATER)}
[peer.endpoint]
{endpoints}
"""


async def _provided(house: House, tester: Identity, place: Path) -> System:
    """Tell it of a patient, give it studies, and describe it."""
    tls = tls_of(trust=tester.authority, certificate=tester.certificate, key=tester.key)
    patient = _patient(house)
    studies = await asyncio.to_thread(
        lambda: [
            write_ct_study(place / "ct", seed=41, patient=patient, series=2, instances=6, rows=128),
            write_us_study(place / "us", seed=42, patient=patient),
        ]
    )
    address = replace(HL7, receiving_facility=house.name)
    await tell_patient("127.0.0.1", house.mllp_port, patient, address=address, ssl=tls)
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
        options=frozenset((each.actor, each.name) for each in read_claims().options),
        home_community_id=house.oid(1),
        repository_unique_id=house.oid(2),
        retrieve_location_uid=house.oid(3),
        patient_authority=house.patient_authority,
        other_patient_authority=house.oid(5),
        local_patient_authority=house.oid(6),
        hl7=address,
        studies=tuple(KnownStudy(study=study, patient=patient.identifiers[0]) for study in studies),
        tls=tls,
    )


def _patient(house: House) -> Patient:
    return sample_patient(3, house.patient_authority, prefix="C")


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
