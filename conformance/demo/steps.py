"""The steps of the main job, in order. Each does something by a wire or a command, checks it, and says what it saw.

A step fails by raising `StepFailed` (or by a wire or command failing); `sabotage` breaks one on purpose, so that a step
that cannot fail is found out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from PIL import Image

from conformance.demo import tamper
from conformance.demo.compare import Comparer, files_of
from conformance.demo.houses import Neighbourhood
from conformance.house import House, run
from conformance.provide import push_study, tell_patient
from conformance.samples import SampleStudy
from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.system import HL7
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient
from profiles.wire.multipart import parts_of

DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
REST_S = 90.0  # the longest that a step waits for an exchange to rest
TOLD_S = 15.0  # and for an announcement, which goes out as soon as the study is stored


class StepFailed(Exception):
    """A step did not hold; the text says what was seen."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a step saw: `size_bytes` on the wire, and a sentence."""

    detail: str
    size_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class Scene:
    """What the steps share."""

    houses: Neighbourhood
    session: aiohttp.ClientSession
    ehr: Hl7Receiver
    study: SampleStudy
    unknown: SampleStudy
    sabotage: str = ""
    patients: dict[str, Patient] = field(default_factory=dict)
    exchanges: dict[str, str] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    coerced: frozenset[str] = frozenset()

    def broken(self, step: str) -> bool:
        """Whether this step is to be broken on purpose."""
        return self.sabotage == step


Step = Callable[[Scene], Awaitable[Seen]]


# --- the story --------------------------------------------------------------------------------------------------------


async def prepare(scene: Scene) -> Seen:
    """Lakeside learns of its patients and archives what its scanner made."""
    if scene.broken("prepare"):
        _cut_short(files_of(scene.study)[-1])
    for sample in (scene.study, scene.unknown):
        await _tell(scene, scene.houses.lakeside, sample.patient)
    size = await _store(scene, scene.houses.lakeside, scene.study)
    size += await _store(scene, scene.houses.lakeside, scene.unknown)
    return Seen(detail="Lakeside's archive has two studies from its scanner", size_bytes=size)


async def patients(scene: Scene) -> Seen:
    """ADT A04 tells Valley and Region of the patient, each in its own domain."""
    houses = scene.houses
    lakeside = scene.study.patient
    valley_id = PatientIdentifier(value="V-1001", authority=houses.valley.patient_authority)
    region_id = PatientIdentifier(value="R-77", authority=houses.region.patient_authority)
    if scene.broken("patients"):
        valley_id = PatientIdentifier(value="V-1001", authority=houses.lakeside.oid(9))
    # Without a birth date nobody can be recognised: then the feed names the outside id too.
    named = () if lakeside.birth_date is not None and lakeside.name.family else lakeside.identifiers[:1]
    told = (valley_id,) if scene.broken("patients") else (valley_id, region_id, *named)
    for house, identifiers in ((houses.valley, told), (houses.region, (region_id,))):
        patient = Patient(identifiers=identifiers, name=lakeside.name, birth_date=lakeside.birth_date, sex=lakeside.sex)
        scene.patients[house.name] = patient
        await _tell(scene, house, patient)
    return Seen(detail=f"Valley knows {valley_id.value}, Region knows {region_id.value}")


async def publish(scene: Scene) -> Seen:
    """Lakeside offers the study: a KOS by RAD-68 to Valley, under Lakeside's own patient id."""
    if scene.broken("receive"):
        next((scene.houses.lakeside.data / "archive").rglob("*.dcm")).unlink()
    return await _offer(scene, scene.study, "Nobody" if scene.broken("publish") else "Valley")


async def receive(scene: Scene) -> Seen:
    """Valley reconciles the patient, fetches by RAD-69 from Lakeside, archives, and checks against the manifest."""
    houses, study = scene.houses, scene.study
    job = await _resting(houses.valley, study, "receive", ("stored", "done", "failed", "held", "incomplete"))
    scene.exchanges["receive"] = job["id"]
    shown = await houses.valley.command("study", "show", study.study_instance_uid)
    expected = sum(len(series.instances) for series in study.series)
    if shown["instances"] != expected or shown["missing"] or shown["status"] != "available":
        raise StepFailed(f"{shown['instances']} of {expected} instances at Valley, {job['state']}: {job['reason']}")
    moved = sum(step["size_bytes"] for step in job["steps"] if step["direction"] == "out")
    return Seen(detail=f"{expected} instances, set equal to the manifest's", size_bytes=moved)


async def announce(scene: Scene) -> Seen:
    """Valley tells the EHR by ORU^R01, and the EHR acknowledges."""
    uid = str(scene.study.study_instance_uid).encode()
    message = await _eventually(
        lambda: next((each for each in scene.ehr.messages if uid in each), None), "no ORU^R01 names the study"
    )
    return Seen(detail="ORU^R01 acknowledged with AA", size_bytes=len(message))


async def share(scene: Scene) -> Seen:
    """Valley shares onward: its own KOS by RAD-68 to Region."""
    job = await _resting(scene.houses.valley, scene.study, "receive", ("done", "failed"))
    steps = [step for step in job["steps"] if step["peer"] == "Region" and step["outcome"] == "success"]
    if job["state"] != "done" or not steps:
        raise StepFailed(f"not shared with Region: {job['state']}; {job['reason']}")
    return Seen(detail="Valley's own manifest is registered at Region", size_bytes=steps[-1]["size_bytes"])


async def collect(scene: Scene) -> Seen:
    """Region finds it by ITI-18, takes the manifest by ITI-43, the instances by RAD-69 from Valley."""
    houses = scene.houses
    patient = scene.patients["Region"].identifiers[0]
    study = "1.2.3" if scene.broken("collect") else str(scene.study.study_instance_uid)
    job = await houses.region.command(
        "study", "fetch", "--patient", str(patient), "--registry", "Region",
        "--study", study, "--wait",
    )  # fmt: skip
    if job["state"] not in ("stored", "done"):
        raise StepFailed(f"Region's exchange is {job['state']}: {job['reason']}")
    comparer = Comparer(scene.study)
    async for body in _instances(scene, houses.region, f"{houses.region.base_url}/dicomweb"):
        comparer.take(body)
    return _verdict(scene, comparer)


async def search(scene: Scene) -> Seen:
    """The EHR searches FHIR by patient, by accession number and by Study UID, and follows the Endpoint."""
    fhir = f"{scene.houses.valley.base_url}/fhir/r4"
    patient = scene.patients["Valley"].identifiers[0]
    uid = scene.study.study_instance_uid
    accession = "no-such-number" if scene.broken("search") else scene.study.accession_number
    size = 0
    queries = [
        f"patient.identifier={quote(f'urn:oid:{patient.authority}|{patient.value}')}",
        f"identifier={quote(f'urn:dicom:uid|urn:oid:{uid}')}",
        *([f"identifier={quote(accession)}"] if accession else []),
    ]
    for query in queries:
        async with scene.session.get(f"{fhir}/ImagingStudy?{query}") as answer:
            body = await answer.read()
        size += len(body)
        bundle = orjson.loads(body)
        found = [
            entry["resource"]
            for entry in bundle.get("entry", [])
            if entry["resource"]["resourceType"] == "ImagingStudy"
        ]
        if answer.status != 200 or [each["id"] for each in found] != [uid]:
            raise StepFailed(f"{query}: {answer.status}, {bundle.get('total')} found")
    study = found[0]
    if study["status"] != "available" or study["numberOfInstances"] != len(files_of(scene.study)):
        raise StepFailed(f"the ImagingStudy says {study['status']}, {study['numberOfInstances']} instances")
    reference = study["endpoint"][0]["reference"].rpartition("/")[2]
    async with scene.session.get(f"{fhir}/Endpoint/{reference}") as answer:
        endpoint = await answer.json(content_type=None)
    scene.exchanges["dicomweb"] = endpoint["address"]
    return Seen(detail=f"found {len(queries)} ways; its Endpoint is {endpoint['address']}", size_bytes=size)


async def images(scene: Scene) -> Seen:
    """The EHR follows the Endpoint: metadata, then all instances by WADO-RS, compared with what was generated."""
    address = scene.exchanges.get("dicomweb", f"{scene.houses.valley.base_url}/dicomweb")
    uid = scene.study.study_instance_uid
    async with scene.session.get(f"{address}/studies/{uid}/metadata") as answer:
        metadata = await answer.json(content_type=None)
    if len(metadata) != len(files_of(scene.study)):
        raise StepFailed(f"/metadata has {len(metadata)} objects")
    comparer = Comparer(scene.study)
    async for body in _instances(scene, scene.houses.valley, address):
        comparer.take(body[:-1] + bytes([body[-1] ^ 1]) if scene.broken("images") else body)
    return _verdict(scene, comparer)


async def frame(scene: Scene) -> Seen:
    """One frame, rendered as JPEG."""
    address = scene.exchanges.get("dicomweb", f"{scene.houses.valley.base_url}/dicomweb")
    series = next(each for each in scene.study.series if each.instances[0].pixels_sha256)
    instance = series.instances[len(series.instances) // 2].sop_instance_uid
    number = 9999 if scene.broken("frame") else 1
    path = f"/studies/{scene.study.study_instance_uid}/series/{series.series_instance_uid}/instances/{instance}"
    headers = {"Accept": "image/jpeg"}
    async with scene.session.get(f"{address}{path}/frames/{number}/rendered", headers=headers) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise StepFailed(f"rendered: HTTP {answer.status}")
    picture = Image.open(BytesIO(body))
    darkest, brightest = picture.convert("L").getextrema()
    if darkest == brightest:
        raise StepFailed("the rendered frame is one flat grey")
    return Seen(detail=f"{picture.width} x {picture.height} JPEG", size_bytes=len(body))


async def hold(scene: Scene) -> Seen:
    """A study of a patient nobody knows is held, shown with its reason, released by command, and completes."""
    valley, study = scene.houses.valley, scene.unknown
    offered = await _offer(scene, study)
    held = await _resting(valley, study, "receive", ("held",))
    listed = await valley.command("exchange", "list", "--state", "held")
    if held["id"] not in {each["id"] for each in listed} or not held["reason"]:
        raise StepFailed("the held exchange is not listed with its reason")
    if (await valley.command("study", "list"))[0]["study_instance_uid"] == study.study_instance_uid:
        raise StepFailed("a held study is visible")
    if not scene.broken("hold"):
        identifier = PatientIdentifier(value="V-2002", authority=valley.patient_authority)
        region = PatientIdentifier(value="R-78", authority=scene.houses.region.patient_authority)
        person = study.patient
        patient = Patient(
            identifiers=(identifier, region), name=person.name, birth_date=person.birth_date, sex=person.sex
        )
        await _tell(scene, valley, patient)
        await _tell(
            scene,
            scene.houses.region,
            Patient(identifiers=(region,), name=person.name, birth_date=person.birth_date, sex=person.sex),
        )
    job = await valley.command("exchange", "release", held["id"], "--wait")
    if job["state"] != "done":
        raise StepFailed(f"released, and then {job['state']}: {job['reason']}")
    return Seen(detail=f"held because {held['reason']}; released; done", size_bytes=offered.size_bytes)


async def audit(scene: Scene) -> Seen:
    """The records of this study, in plain sentences; the chain is whole."""
    uid = "1.2.3" if scene.broken("audit") else str(scene.study.study_instance_uid)
    records = await scene.houses.valley.command("audit", "list", "--study", uid)
    scene.sentences = [f"{record['received_at'][11:19]}  {record['sentence']}" for record in reversed(records)]
    named = {code for record in records for code in record["types"]}
    for transaction in ("RAD-69",):
        if transaction not in named:
            raise StepFailed(f"no record of {transaction} names this study; there are {sorted(named)}")
    found = await scene.houses.valley.command("audit", "verify")
    if not found["ok"]:
        raise StepFailed(f"the chain is not whole: {found['faults'][:1]}")
    return Seen(detail=f"{len(records)} records name the study; the chain is whole")


async def tampering(scene: Scene) -> Seen:
    """In copies: a byte changed, a record deleted, two swapped, the tail cut, everything rewritten; each is found."""
    found = []
    for attack in tamper.ATTACKS:
        copy = scene.houses.folder / "tampered" / attack.name
        expected = tamper.copy_and_attack(scene.houses.valley.data, copy, attack, spare=scene.broken("tampering"))
        code, out, _ = await run("audit", "verify", "--data", str(copy))
        faults = orjson.loads(out)["faults"]
        if code == 0 or not any(tamper.located(fault, attack, expected) for fault in faults):
            raise StepFailed(f"{attack.name}: not found (expected {attack.kind} at {expected}, saw {faults[:2]})")
        found.append(attack.name)
    return Seen(detail=f"{len(found)} attacks, each found and located")


STEPS: tuple[tuple[str, str, Step], ...] = (
    ("prepare", "ITI-8, RAD-108", prepare),
    ("patients", "ITI-8", patients),
    ("publish", "RAD-68", publish),
    ("receive", "RAD-69", receive),
    ("announce", "ORU^R01", announce),
    ("share", "RAD-68", share),
    ("collect", "ITI-18, ITI-43, RAD-69", collect),
    ("search", "FHIR R4", search),
    ("images", "RAD-107", images),
    ("frame", "WADO-RS rendered", frame),
    ("hold", "RAD-68, RAD-69", hold),
    ("audit", "ITI-20", audit),
    ("tampering", "audit chain", tampering),
)
"""Name, transaction, and what is done."""


# --- what the steps do ------------------------------------------------------------------------------------------------


async def _tell(scene: Scene, house: House, patient: Patient) -> None:
    address = replace(HL7, receiving_facility=house.name)
    await tell_patient("127.0.0.1", house.mllp_port, patient, address=address, ssl=scene.houses.client_context())


async def _store(scene: Scene, house: House, study: SampleStudy) -> int:
    size = await push_study(scene.session, f"{house.base_url}/dicomweb", study)
    await _resting(house, study, "store", ("done",))
    return size


def _cut_short(path: Path) -> None:
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])


async def _offer(scene: Scene, study: SampleStudy, peer: str = "Valley") -> Seen:
    job = await scene.houses.lakeside.command("study", "share", str(study.study_instance_uid), "--to", peer, "--wait")
    if job["state"] != "done":
        raise StepFailed(f"Lakeside's exchange is {job['state']}: {job['reason']}")
    sent = [step for step in job["steps"] if step["direction"] == "out"]
    return Seen(detail=sent[-1]["text"], size_bytes=sent[-1]["size_bytes"])


async def _instances(scene: Scene, house: House, address: str) -> AsyncIterator[bytes]:
    url = f"{address}/studies/{scene.study.study_instance_uid}"
    async with scene.session.get(url, headers={"Accept": DICOM_PARTS}) as answer:
        if answer.status != 200:
            raise StepFailed(f"WADO-RS from {house.name}: HTTP {answer.status}")
        async for part in parts_of(answer.content.iter_any(), answer.headers["Content-Type"]):
            yield b"".join([chunk async for chunk in part.chunks])


def _verdict(scene: Scene, comparer: Comparer) -> Seen:
    result = comparer.finish()
    scene.coerced |= result.coerced
    if result.wrong:
        raise StepFailed("; ".join(result.wrong[:3]))
    return Seen(detail=f"{result.same} instances, pixel bytes identical", size_bytes=result.size_bytes)


async def _resting(house: House, study: SampleStudy, kind: str, states: tuple[str, ...]) -> Any:
    """The newest exchange of a kind about a study, as soon as it is in one of these states."""

    async def look() -> Any:
        jobs = await house.command("exchange", "list", "--study", str(study.study_instance_uid), "--kind", kind)
        return next((job for job in jobs if job["state"] in states), None)

    async with asyncio.timeout(REST_S):
        job = await look()
        while job is None:
            await asyncio.sleep(0.2)
            job = await look()
    return await house.command("exchange", "show", job["id"])


async def _eventually(look: Callable[[], Any], otherwise: str) -> Any:
    for _ in range(int(TOLD_S / 0.1)):
        if (found := look()) is not None:
            return found
        await asyncio.sleep(0.1)
    raise StepFailed(otherwise)
