"""A house with a DICOMweb address, all of its ports in memory, and a client's session to it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from conformance.samples import SampleStudy
from gateway.actors.answering import answers_of
from gateway.actors.image_manager import ImageManager
from gateway.actors.image_server import ImageServer
from gateway.adapters.arrival import Reading
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.memory import MemoryStore
from gateway.adapters.memory.archive import MemoryArchive
from gateway.adapters.policy_table import TablePolicy
from gateway.inbound.http import HttpListener
from gateway.inbound.turn import Turn
from gateway.model.house import House
from gateway.model.peer import Caller
from gateway.services.push import Push
from gateway.services.retrieve import Retrieve
from gateway.services.search import Search
from gateway.services.viewing import Viewing
from profiles.model.identifiers import Oid
from profiles.wire.dicom.web import refused
from profiles.wire.multipart import MultipartLimits
from tests.support.clock import FixedClock

AUTHORITY = Oid("1.2.3.4")
BASE = "https://valley.example/dicomweb"

HOUSE = House(
    name="Valley",
    home_community_id=Oid("1.2.3.1"),
    repository_unique_id=Oid("1.2.3.2"),
    retrieve_location_uid=Oid("1.2.3.3"),
    source_id=Oid("1.2.3.5"),
    patient_authority=AUTHORITY,
    affinity_authority=None,
    zone=ZoneInfo("Europe/Zurich"),
    base_url="https://valley.example",
    ae_title="RADGATE",
    hl7_application="RADGATE",
    hl7_facility="VALLEY",
    process_id="1",
    network_address="127.0.0.1",
)


@dataclass
class DicomwebHouse:
    """The house, and what it has."""

    http: ClientSession
    url: str
    store: MemoryStore
    archive: MemoryArchive

    def audited(self) -> list[tuple[str, str, str, int]]:
        """Event, action, type and outcome of every audit record, in order."""
        return [
            (record.event.text, record.action.value, record.types[0].code if record.types else "", record.outcome)
            for record in self.store.audited()
        ]

    async def push(self, bodies: Iterable[bytes], path: str = "/studies", **headers: str) -> tuple[int, bytes]:
        """STOW-RS."""
        body = multipart(bodies)
        told = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bbb', **headers}
        async with self.http.post(self.url + path, data=body, headers=told) as answer:
            return answer.status, await answer.read()

    async def know(self, study: SampleStudy) -> None:
        """Have the study's patient known, so that it is not held."""
        async with self.store.unit() as work:
            await work.identity.put(study.patient, FixedClock().now())

    async def get(self, path: str, accept: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """GET, with everything that came."""
        headers = {"Accept": accept} if accept is not None else {}
        async with self.http.get(self.url + path, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.read()


def multipart(bodies: Iterable[bytes], boundary: str = "bbb") -> bytes:
    """A multipart body of Part 10 files."""
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join(head + body for body in bodies)[2:] + f"\r\n--{boundary}--\r\n".encode()


def files_of(study: SampleStudy) -> list[bytes]:
    """The study's files."""
    return [instance.path.read_bytes() for instance in study.instances]


@asynccontextmanager
async def dicomweb_house(
    *, idle_timeout_s: float = 5.0, parts: MultipartLimits | None = None, person: str = "tester"
) -> AsyncIterator[DicomwebHouse]:
    """A house that serves; `person` "" makes callers nobody."""
    clock = FixedClock()
    store = MemoryStore()
    archive = MemoryArchive(
        clock=clock, reading=Reading(authority=AUTHORITY, zone=ZoneInfo("Europe/Zurich"), system="RADGATE")
    )
    compute = ThreadCompute(2)
    turns = Turn(house=HOUSE, store=store, clock=clock, policy=TablePolicy(anonymous_loopback=False))
    listener = HttpListener(
        "dicomweb",
        base=BASE,
        turns=turns,
        identify=lambda request: Caller(peer=None, network_address="127.0.0.1", person=person),
        clock=clock,
        refuse=refused,
        idle_timeout_s=idle_timeout_s,
        **({"parts": parts} if parts is not None else {}),
    )
    images = ImageServer(
        retrieve=Retrieve(house=HOUSE, store=store, archive=archive),
        search=Search(store=store),
        viewing=Viewing(store=store, archive=archive, compute=compute),
    )
    push = Push(house=HOUSE, store=store, archive=archive, clock=clock)
    listener.add(answers_of(images))
    listener.add(answers_of(ImageManager(push=push)))
    app = web.Application(client_max_size=0)
    listener.routes(app)
    async with TestServer(app) as server, ClientSession(auto_decompress=False) as http:
        yield DicomwebHouse(http, str(server.make_url("/dicomweb")), store, archive)
    compute.close()
