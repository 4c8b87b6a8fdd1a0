"""A million rows: a house that has worked for years answers, and starts, as one that has worked for weeks.

Two houses are filled through the ports: a thousand people, and a hundred thousand with a million documents and a million
instances. Then both are asked the same, in turns, about people all over them. What is compared is what the quickest quarter
of the answers took at most: on a shared machine the slow ones tell of the machine.
"""

import http.client
import json
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from gateway.adapters.store_sql import SqlStore
from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria, PageKey
from profiles.wire.fhir.bundle import page_token
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from tests.bench.houses import SETTINGS, no_audit, scratch
from tests.gateway.adapters.plans import ALSO_BY_INDEX, BY_PATIENT, find, plans, scans
from tests.gateway.adapters.trails import started
from tests.support import crowd
from tests.support.house import HouseProcess, serving, start
from tests.support.registered import ANN
from tests.support.scenario import message_of

SMALL, LARGE = 1_000, 100_000  # people
ROUNDS = 80
STARTS = 5
MOST_GROWTH = 1.5
SEED = int(os.environ.get("RADGATE_SEED", "0")) or time.time_ns() % 1_000_000
FHIR, JSON = {"Accept": "application/fhir+json"}, {"Accept": "application/dicom+json"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request, and what its answer must name."""

    path: str
    names: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""
    of_control: bool = False


class Full:
    """A house that is full of so many people, running."""

    def __init__(self, people: int, process: HouseProcess) -> None:
        self.people = people
        self.process = process
        self.seconds: dict[str, list[float]] = {}

    async def meet(self) -> None:
        """Learn where it is, and stay connected."""
        found = json.loads((self.process.data / "control.json").read_bytes())
        self.token = found["token"]
        addresses = await self.process.addresses()
        self.http = self._connected(addresses["http"])
        self.control = self._connected(found["address"])

    def _connected(self, address: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=60)

    def ask(self, name: str, asked: Asked) -> None:
        """Once, timed; the answer must be the right one."""
        connection = self.control if asked.of_control else self.http
        headers = {"Authorization": f"Bearer {self.token}"} if asked.of_control else {}
        begun = time.perf_counter()
        connection.request(asked.method, asked.path, body=asked.body or None, headers={**headers, **asked.headers})
        answer = connection.getresponse()
        body = answer.read().decode()
        self.seconds.setdefault(name, []).append(time.perf_counter() - begun)
        assert answer.status == 200, (name, answer.status, body[:300])
        assert all(each in body for each in asked.names), (name, asked.path, body[:300])

    def quick_s(self, name: str) -> float:
        """What the quickest quarter took at most."""
        return statistics.quantiles(self.seconds[name], n=4)[0]


@asynccontextmanager
async def full(folder: Path, people: int) -> AsyncIterator[Full]:
    """Fill it, run it."""
    folder.mkdir()
    house = await started(folder / "data")
    await crowd.populate(house.store, range(people))
    await house.stop()
    async with serving(folder, SETTINGS) as process:
        yield Full(people, process)


# --- what is asked ----------------------------------------------------------------------------------------------------


def studies(path: str, headers: dict[str, str], *who: int, **parameters: str) -> Asked:
    """An answer with the studies of these."""
    named = tuple(f'"{crowd.study_uid(each)}"' for each in who)
    return Asked(path=f"{path}?{urlencode(parameters)}", headers=headers, names=named)


def of_a_day(number: int) -> Asked:
    """Ten."""
    first = number - number % crowd.A_DAY
    day = f"{crowd.day(number):%Y%m%d}"
    return studies("/dicomweb/studies", JSON, *range(first, first + crowd.A_DAY), StudyDate=day)


def next_page(number: int) -> Asked:
    """Ten, newest first, behind somebody in the middle of it all."""
    key = PageKey(value=crowd.day(number).isoformat(), study_instance_uid=crowd.study_uid(number))
    asked = studies("/fhir/r4/ImagingStudy", FHIR, _count="10", _total="none", _page=page_token(key))
    return replace(asked, names=tuple(f"urn:oid:{crowd.study_uid(number - each)}" for each in range(1, 11)))


async def documents(number: int) -> Asked:
    """FindDocuments: all that is approved of somebody, whole."""
    criteria = DocumentCriteria(patient_ids=(crowd.identifier(number),), statuses=(AvailabilityStatus.APPROVED,))
    message = await message_of(ITI_18, StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria))
    return Asked(
        path="/soap/registry", method="POST", headers={"Content-Type": message.content_type}, body=message.body,
        names=tuple(f'"{crowd.document_id(number, which)}"' for which in range(crowd.DOCUMENTS)),
    )  # fmt: skip


def looked_up(number: int) -> Asked:
    """What was done with somebody's data."""
    asked = urlencode({"patient": crowd.identifier(number).value, "limit": "10"})
    return Asked(path=f"/audit?{asked}", names=(crowd.study_uid(number),), of_control=True)


QUESTIONS: dict[str, Callable[[int], Asked]] = {
    "QIDO-RS by patient": lambda number: studies(
        "/dicomweb/studies", JSON, number, PatientID=crowd.identifier(number).value
    ),
    "QIDO-RS by accession number": lambda number: studies(
        "/dicomweb/studies", JSON, number, AccessionNumber=crowd.accession(number)
    ),
    "QIDO-RS by date": of_a_day,
    "QIDO-RS by instance": lambda number: studies(
        "/dicomweb/instances", JSON, number, SOPInstanceUID=f"{crowd.study_uid(number)}.1.1"
    ),
    "metadata of a study": lambda number: Asked(
        path=f"/dicomweb/studies/{crowd.study_uid(number)}/metadata", headers=JSON,
        names=(f"{crowd.study_uid(number)}.2.5",),
    ),
    "ImagingStudy by patient": lambda number: Asked(
        path=f"/fhir/r4/ImagingStudy?patient.identifier=urn:oid:{crowd.AUTHORITY}|{crowd.identifier(number).value}",
        headers=FHIR, names=(f"urn:oid:{crowd.study_uid(number)}",),
    ),
    "ImagingStudy, a page in the middle": next_page,
    "audit by patient": looked_up,
}  # fmt: skip
DOCUMENTS = "FindDocuments, LeafClass of ten"


async def ask_in_turns(houses: list[Full]) -> None:
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        for house in houses:
            number = chance.randrange(20, house.people)
            house.ask(DOCUMENTS, await documents(number))
            for name, question in QUESTIONS.items():
                house.ask(name, question(number))


async def start_in_turns(houses: list[Full]) -> None:
    """Without a warning, and up again."""
    for _ in range(STARTS):
        for house in houses:
            house.process.process.kill()
            await house.process.process.wait()
            begun = time.perf_counter()
            house.process.process = (again := await start(house.process.folder)).process
            await again.ready()
            house.seconds.setdefault("start after a kill", []).append(time.perf_counter() - begun)


async def compare(folder: Path, small: int, large: int) -> dict[str, tuple[float, float]]:
    """Milliseconds in each."""
    async with full(folder / "small", small) as one, full(folder / "large", large) as other:
        houses = [one, other]
        for house in houses:
            await house.meet()
        await ask_in_turns(houses)
        await start_in_turns(houses)
        return {name: (one.quick_s(name) * 1000, other.quick_s(name) * 1000) for name in one.seconds}


async def walked(folder: Path) -> dict[str, list[str]]:
    """Questions that read a whole table, and how."""
    store = SqlStore(f"sqlite:///{folder}/data/radgate.db", audit=no_audit)
    await store.open()
    try:
        asked = {name: lambda work, of=of: find(work, patient_ids=(ANN,), **of) for name, of in BY_PATIENT.items()}
        found = {name: scans(await plans(store, ask)) for name, ask in {**asked, **ALSO_BY_INDEX}.items()}
    finally:
        await store.close()
    return {name: steps for name, steps in found.items() if steps}


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_a_house_with_a_million_rows_answers_and_starts_like_one_with_ten_thousand() -> None:
    print(f"RADGATE_SEED={SEED}")
    with scratch() as folder:
        figures = await compare(folder, SMALL, LARGE)
        for name, (small, large) in figures.items():
            print(f"{name}: {small:.1f} ms of {SMALL * 10:,}, {large:.1f} ms of {LARGE * 10:,}: {large / small:.2f}")
        assert await walked(folder / "large") == {}
    assert {name: both for name, both in figures.items() if both[1] > MOST_GROWTH * both[0]} == {}
