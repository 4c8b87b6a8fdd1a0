"""A house with something to see at its desk: patients, studies, one that is held, one that failed, peers, audit."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_mr_study, write_us_study
from profiles.model.identifiers import Oid
from profiles.model.patient import Patient
from tests.support.dicomweb_house import files_of, multipart
from tests.support.house import HouseProcess, serving

AUTHORITY = Oid("1.2.3.4")
SETTINGS = """\
[house]
name = "Valley"
patient_authority = "1.2.3.4"
home_community_id = "1.2.3.1"
[affinity_domain]
patient_authority = "1.2.3.9"
[listen]
http_port = 0
mllp_port = 0
[access]
anonymous_loopback = true
[[peer]]
name = "Lakeside"
home_community_id = "urn:oid:1.2.4.1"
retrieve_location_uids = ["1.2.4.3"]
patient_authority = "1.2.4.4"
[peer.endpoint]
"RAD-69" = "http://127.0.0.1:9/soap/imaging-source"
[[peer]]
name = "Region"
home_community_id = "urn:oid:1.2.5.1"
patient_authority = "1.2.3.9"
[peer.endpoint]
"RAD-68" = "http://127.0.0.1:9/soap/repository"
"ITI-18" = "http://127.0.0.1:9/soap/registry"
"ITI-43" = "http://127.0.0.1:9/soap/repository"
"""


@dataclass(kw_only=True)
class Scene:
    """What is there."""

    house: HouseProcess
    url: str
    password: str
    shown: SampleStudy  # a CT that can be scrolled
    held: SampleStudy  # of a patient nobody here knows
    held_patient: Patient


@asynccontextmanager
async def desk_scene(folder: Path) -> AsyncIterator[Scene]:
    """The house, serving."""
    async with serving(folder, SETTINGS) as house:
        addresses = await house.addresses()
        found = re.search(r"user admin, password (\S+)", house.log())
        assert found is not None, "the first password was not printed"
        known = [sample_patient(seed, AUTHORITY) for seed in range(3)]
        stranger = sample_patient(5, AUTHORITY)
        for patient in known:
            await send_adt(addresses["mllp"], patient)
        shown = write_ct_study(folder / "ct", seed=1, patient=known[0], series=2, instances=12, rows=256)
        others = [
            write_mr_study(folder / "mr", seed=2, patient=known[1], instances=4, rows=128),
            write_us_study(folder / "us", seed=3, patient=known[2]),
        ]
        held = write_ct_study(folder / "held", seed=4, patient=stranger, series=1, instances=4, rows=128)
        for study in (*others, shown, held):
            await push(addresses["http"], study)
        failed = await house.ask("POST", f"/studies/{shown.study_instance_uid}/share", {"peer": "Region"})
        await resting(house, failed["id"])
        yield Scene(
            house=house, url=addresses["http"], password=found[1], shown=shown, held=held, held_patient=stranger
        )


async def push(url: str, study: SampleStudy) -> None:
    """STOW-RS."""
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bbb'}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + "/dicomweb/studies", data=multipart(files_of(study)), headers=headers) as answer,
    ):
        assert answer.status in (200, 202), await answer.text()


async def send_adt(address: str, patient: Patient) -> None:
    """ADT A04 by MLLP, as a registration desk sends it."""
    identifier, name = patient.identifiers[0], patient.name
    born = patient.birth_date.dtm[:8] if patient.birth_date is not None else ""
    header = f"MSH|^~\\&|ADT|VALLEY|RADGATE|Valley|20261124080000||ADT^A04^ADT_A01|{identifier.value}|P|2.3.1"
    person = f"PID|||{identifier}||{name.family}^{name.given}||{born}|{patient.sex.value}"
    message = "\r".join((f"{header}||||||UNICODE UTF-8", "EVN||20261124080000", person, "PV1||O"))
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(b"\x0b" + message.encode() + b"\r\x1c\r")
    acknowledged = await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 20)
    writer.close()
    assert b"MSA|AA" in acknowledged, acknowledged


async def resting(house: HouseProcess, exchange_id: str) -> str:
    """The state in which an exchange comes to rest."""
    async with asyncio.timeout(30):
        while True:
            job = await house.ask("GET", f"/exchanges/{exchange_id}")
            if job["state"] in ("held", "failed", "done", "abandoned", "incomplete"):
                return str(job["state"])
            await asyncio.sleep(0.05)
