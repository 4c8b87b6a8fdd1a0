"""Zero loss: a house is killed at random moments under mixed traffic, and nothing that it acknowledged is lost or doubled.

Senders do what senders do: they remember what was acknowledged, and send again what was not. When the last kill is
survived, everything acknowledged is there exactly once, byte for byte, announced at least once with one message id,
audited, and no half thing is left.
"""

import asyncio
import hashlib
import io
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from conformance.samples import SampleStudy
from conformance.simulators.hl7_listener import Hl7Receiver
from gateway.adapters.audit_verify import verify_database
from profiles.errors import PeerError
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient, PersonName
from tests.support.chance import seed
from tests.support.house import HouseProcess, start
from tests.support.ports import free_port
from tests.support.scenario import (
    DOMAIN,
    LAKESIDE_LOCATION,
    TOKENS,
    VALLEY,
    VALLEY_LOCATION,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Offer,
    ScriptedSource,
    Valley,
    kept_in,
    offer_of,
    outcome_of,
    write_study,
)

BROKEN = (ClientError, OSError, asyncio.TimeoutError, PeerError)
"""What a sender sees of a house that was killed under its hands."""

WORKING = {"received", "ready", "moving", "stored", "incomplete", "awaiting reply"}


@dataclass
class Acknowledged:
    """What was acknowledged, and so must be there."""

    offers: list[tuple[Offer, SampleStudy]] = field(default_factory=list)
    pushed: list[SampleStudy] = field(default_factory=list)
    patients: list[Patient] = field(default_factory=list)
    broken: int = 0  # attempts that ended without an answer

    @property
    def studies(self) -> list[SampleStudy]:
        return [study for _, study in self.offers] + self.pushed

    def __len__(self) -> int:
        return len(self.offers) + len(self.pushed) + len(self.patients)


class Siege:
    """A house that is killed again and again, and everybody who talks to it meanwhile."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.source = ScriptedSource()
        self.ehr = Hl7Receiver("127.0.0.1", 0)
        self.acknowledged = Acknowledged()
        self.http_port, self.mllp_port = free_port(), free_port()
        self.made = 0
        self.stopping = False
        self.up = asyncio.Event()
        self.house: HouseProcess | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def settings(self) -> str:
        token = hashlib.sha256(TOKENS["Lakeside"].encode()).hexdigest()
        return f"""[house]
name = "Valley"
data = "data"
repository_unique_id = "{VALLEY_REPOSITORY}"
retrieve_location_uid = "{VALLEY_LOCATION}"
patient_authority = "{VALLEY}"
[affinity_domain]
patient_authority = "{DOMAIN}"
[listen]
http_port = {self.http_port}
mllp_port = {self.mllp_port}
[access]
anonymous_loopback = true
[[peer]]
name = "Lakeside"
retrieve_location_uids = ["{LAKESIDE_LOCATION}"]
token_sha256 = "{token}"
[peer.endpoint]
"RAD-69" = "{self.source.url}"
[[peer]]
name = "EHR"
hl7_application = "EHR"
hl7_facility = "VALLEY"
[peer.endpoint]
MLLP = "mllp://127.0.0.1:{self.ehr.port}"
[[rule]]
when = "study.available"
do = ["announce:EHR"]
"""

    # --- the house ----------------------------------------------------------------------------------------------------

    async def begin(self) -> HouseProcess:
        """Start it; it is `up` when it says so."""
        self.house = await start(self.folder)
        return self.house

    async def kill(self) -> None:
        """Without a warning."""
        assert self.house is not None
        self.up.clear()
        with suppress(ProcessLookupError):
            self.house.process.send_signal(signal.SIGKILL)
        await self.house.process.wait()

    # --- the senders --------------------------------------------------------------------------------------------------

    def study(self) -> SampleStudy:
        self.made += 1
        return write_study(self.folder / "studies" / str(self.made), seed=1000 + self.made, series=1, instances=2)

    async def until_acknowledged(self, attempt: Callable[[Valley], Awaitable[bool]]) -> None:
        """Send it again and again until it is acknowledged."""
        while True:
            await self.up.wait()
            try:
                async with asyncio.timeout(30), ClientSession(timeout=ClientTimeout(total=30)) as http:
                    valley = Valley(
                        data=self.data, http=http, log=io.BytesIO(),
                        addresses={
                            "http": f"http://127.0.0.1:{self.http_port}", "mllp": f"mllp://127.0.0.1:{self.mllp_port}"
                        },
                    )  # fmt: skip
                    if await attempt(valley):
                        return
            except BROKEN:
                self.acknowledged.broken += 1
            await asyncio.sleep(0.01)

    async def provide(self) -> None:
        """RAD-68; a submission set that is known already was taken the last time."""
        study = self.study()
        self.source.keep(study)
        offer = offer_of(study)

        async def attempt(valley: Valley) -> bool:
            return set(await (await valley.provide(offer)).codes()) <= {"XDSDuplicateUniqueIdInRegistry"}

        await self.until_acknowledged(attempt)
        self.acknowledged.offers.append((offer, study))

    async def push(self) -> None:
        """STOW-RS."""
        study = self.study()

        async def attempt(valley: Valley) -> bool:
            return (await valley.push(one.path.read_bytes() for one in study.instances))[0] == 200

        await self.until_acknowledged(attempt)
        self.acknowledged.pushed.append(study)

    async def register(self) -> None:
        """ADT A04."""
        self.made += 1
        number = self.made
        patient = Patient(
            identifiers=(PatientIdentifier(value=f"K{number:06}", authority=VALLEY),),
            name=PersonName(family=f"Killed{number}", given="Ann"), birth_date=ZEBEDIAH.birth_date, sex=ZEBEDIAH.sex,
        )  # fmt: skip

        async def attempt(valley: Valley) -> bool:
            return (await valley.tell(patient)).accepted

        await self.until_acknowledged(attempt)
        self.acknowledged.patients.append(patient)

    async def sending(self, send: Callable[[], Awaitable[None]]) -> None:
        """One sender's day."""
        while not self.stopping:
            await send()
            await asyncio.sleep(self.random.uniform(0, 0.05))

    # --- the siege ----------------------------------------------------------------------------------------------------

    async def run(self, kills: int) -> None:
        """Kill it so often; then let it come to rest and stop it."""
        await self.source.start()
        await self.ehr.start()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "radgate.toml").write_text(self.settings(), encoding="utf-8")
        senders: list[asyncio.Task[None]] = []
        try:
            await (await self.begin()).ready()
            self.up.set()
            await self.until_acknowledged(self._zebediah)
            senders = [
                asyncio.create_task(self.sending(each))
                for each in (self.provide, self.provide, self.push, self.push, self.register)
            ]
            for _ in range(kills):
                await asyncio.sleep(self.random.uniform(0.02, 0.7))
                await self.kill()
                house = await self.begin()
                if self.random.random() < 0.2:  # also while it recovers from the last one
                    await asyncio.sleep(self.random.uniform(0.2, 2.0))
                    await self.kill()
                    house = await self.begin()
                await house.ready()
                self.up.set()
            self.stopping = True
            async with asyncio.timeout(60):
                await asyncio.gather(*senders)
            await self._rest()
            assert self.house is not None
            assert await self.house.stop() == 0
        finally:
            for task in senders:
                task.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            if self.house is not None and self.house.process.returncode is None:
                self.house.process.kill()
                await self.house.process.wait()
            await self.source.stop()
            await self.ehr.stop()

    async def _zebediah(self, valley: Valley) -> bool:
        return (await valley.tell(ZEBEDIAH)).accepted

    async def _rest(self) -> None:
        """Until nothing is under way any more. A lease of a killed house runs out after a minute."""
        assert self.house is not None
        async with asyncio.timeout(100):
            while True:
                counts = (await self.house.ask("GET", "/status"))["exchanges"]
                if not any(count for state, count in counts.items() if state in WORKING):
                    return
                await asyncio.sleep(0.2)


def check(siege: Siege) -> None:
    """Everything that was acknowledged, and nothing by halves."""
    said = siege.acknowledged
    kept = kept_in(siege.data)
    with closing(sqlite3.connect(f"file:{siege.data / 'radgate.db'}?mode=ro", uri=True)) as database:

        def count(statement: str, *values: object) -> int:
            return int(database.execute(statement, values).fetchone()[0])

        # --- there exactly once
        for patient in said.patients:
            assert count("SELECT count(*) FROM patients WHERE patient_id = ?", str(patient.identifiers[0])) == 1
        for offer, _ in said.offers:
            unique_id = offer.submission.entries[0].unique_id
            assert count("SELECT count(*) FROM entries WHERE unique_id = ?", unique_id) == 1, unique_id
            ((body,),) = database.execute("SELECT body FROM documents WHERE document_unique_id = ?", (unique_id,))
            assert bytes(body) == offer.body
        instances = Counter(uid for (uid,) in database.execute("SELECT sop_instance_uid FROM instances"))
        wanted = Counter(str(one.sop_instance_uid) for study in said.studies for one in study.instances)
        assert instances == wanted
        assert count("SELECT count(*) FROM expected_instances") == 0
        statuses = Counter(status for (status,) in database.execute("SELECT status FROM studies"))
        assert statuses == {"available": len(said.studies)}

        # --- nothing by halves
        states = Counter(each["state"] for each in kept.exchanges)
        assert not WORKING & states.keys(), states
        assert "held" not in states
        assert count("SELECT count(*) FROM steps WHERE outcome = 'open'") == 0
        assert count("SELECT count(*) FROM audit_open_intents") == 0
        named = {path for (path,) in database.execute("SELECT path FROM documents WHERE path IS NOT NULL")}
        exchanges = {
            each["study_instance_uid"]: each["state"]
            for each in kept.exchanges
            if each["kind"] in ("receive", "store") and each["study_instance_uid"]
        }
        assert set(exchanges) >= {str(study.study_instance_uid) for study in said.studies}
    for folder in ("archive/incoming", "objects/incoming"):
        assert not list((siege.data / folder).iterdir()), folder
    assert {
        str(path.relative_to(siege.data / "objects")) for path in (siege.data / "objects/kept").glob("*/*")
    } == named

    # --- archived, byte for byte
    archived = Counter(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (siege.data / "archive" / "studies").rglob("*.dcm")
    )
    sent = Counter(
        hashlib.sha256(one.path.read_bytes()).hexdigest() for study in said.studies for one in study.instances
    )
    assert archived == sent

    # --- announced, at least once and always the same
    announced: dict[str, set[bytes]] = {}
    for message in siege.ehr.messages:
        control_id = message.split(b"\r", 1)[0].split(b"|")[9]
        for study in said.studies:
            if str(study.study_instance_uid).encode() in message:
                announced.setdefault(str(study.study_instance_uid), set()).add(control_id)
    for study in said.studies:
        assert len(announced.get(str(study.study_instance_uid), ())) == 1, announced.get(study.study_instance_uid)

    # --- audited
    audited = b"\n".join(record for record in kept.audit if outcome_of(record) == 0)
    for study in said.studies:
        assert study.study_instance_uid.encode() in audited
    for patient in said.patients:
        assert patient.identifiers[0].value.encode() in audited
    assert not verify_database(siege.data / "radgate.db", siege.data / "audit")


async def survive(folder: Path, kills: int) -> None:
    print(f"RADGATE_SEED={seed()}")
    siege = Siege(folder, int(seed()))
    await siege.run(kills)
    said = siege.acknowledged
    print(
        f"{kills} kills: {len(said.offers)} manifests, {len(said.pushed)} pushes, {len(said.patients)} patients "
        f"acknowledged; {said.broken} attempts broken"
    )
    check(siege)
    assert said.offers
    assert said.pushed
    assert said.patients
    assert said.broken, "no kill hit anybody"


@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_in_twenty_kills(tmp_path: Path) -> None:
    await survive(tmp_path, 20)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("siege", range(10))  # ten houses: what breaks in one is found, and repeated, in minutes
async def test_nothing_acknowledged_is_lost_in_a_thousand_kills(siege: int, tmp_path: Path) -> None:
    await survive(tmp_path, 100)
