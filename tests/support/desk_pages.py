"""The desk over an SQLite store, without a browser and without a house: what its pages say, and what its forms do."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer

from gateway.adapters.audit_sql import AuditTrail
from gateway.adapters.compute import ThreadCompute
from gateway.adapters.peers import CallingPeers, StaticDirectory
from gateway.adapters.store_sql import SqlStore
from gateway.inbound.desk import Desk, Login
from gateway.model.job import ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.model.probe import Hop, Walked
from gateway.model.sighting import Sightings
from gateway.ports.audit import AuditCriteria
from gateway.ports.studies import ArrivedInstance
from gateway.services.matrix import Matrix
from gateway.services.operations import Operations
from gateway.services.probe import Probe
from gateway.services.rules import Rule
from profiles.model.audit import AuditRecord
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from tests.support.clock import NOON, FixedClock
from tests.support.dicomweb_house import HOUSE

OURS = HOUSE.patient_authority
LAKESIDE = Peer(
    name="Lakeside", home_community_id=Oid("1.2.4.1"), endpoints={"RAD-69": "https://lakeside.example/soap"}
)
REGION = Peer(name="Region", endpoints={"RAD-68": "https://region.example/soap"})
CT = Uid("1.2.840.10008.5.1.4.1.1.2")
BORN = Moment(NOON.replace(year=1950), Precision.DAY, zoned=False)


def person(value: str, family: str = "Doe", given: str = "Ann", authority: Oid = OURS) -> Patient:
    """A patient."""
    identifier = PatientIdentifier(value=value, authority=authority)
    return Patient(
        identifiers=(identifier,), name=PersonName(family=family, given=given), birth_date=BORN, sex=Sex.FEMALE
    )


@dataclass(kw_only=True)
class Pages:
    """A desk, and somebody who may sit at it."""

    http: ClientSession
    url: str
    store: SqlStore
    clock: FixedClock
    trail: AuditTrail
    password: str
    sightings: Sightings
    woken: list[str] = field(default_factory=list)
    form_token: str = ""

    async def get(self, path: str) -> tuple[int, str]:
        """A page, redirects not followed."""
        async with self.http.get(self.url + path, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def page(self, path: str) -> str:
        """A page that must be there."""
        status, text = await self.get(path)
        assert status == 200, text
        return text

    async def post(self, path: str, headers: Mapping[str, str] | None = None, **form: str) -> tuple[int, str, str]:
        """Status, location, text."""
        async with self.http.post(self.url + path, data=form, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def act(self, path: str, **form: str) -> tuple[int, str, str]:
        """Post a form of this session."""
        return await self.post(path, None, form_token=self.form_token, **form)

    async def enter(self) -> None:
        """Log in."""
        status, location, _ = await self.post("/login", user="admin", password=self.password)
        assert (status, location) == (303, "/inbox")
        found = re.search(r'name="form_token" value="([^"]+)"', await self.page("/peers"))
        assert found is not None
        self.form_token = found[1]

    async def audited(self, **criteria: object) -> list[AuditRecord]:
        """Newest first."""
        records = await self.trail.archive(self.store).list(AuditCriteria(**criteria))  # type: ignore[arg-type]
        return [each.record for each in records if each.record is not None]

    async def open(self, state: State, kind: Kind = Kind.STORE, **fields: object) -> ExchangeJob:
        """Have an exchange in this state."""
        job = ExchangeJob(
            id=self.clock.new_uuid(), kind=kind, state=state, opened_at=self.clock.now(), updated_at=self.clock.now(),
            **fields,  # type: ignore[arg-type]
        )  # fmt: skip
        async with self.store.unit() as work:
            await work.ledger.open(job)
        return job

    async def state(self, job: ExchangeJob) -> State:
        """Where an exchange stands now."""
        async with self.store.view() as work:
            found = await work.ledger.get(job.id)
        assert found is not None
        return found.state

    async def put(self, *patients: Patient) -> None:
        """Have patients known."""
        async with self.store.unit() as work:
            for patient in patients:
                await work.identity.put(patient, self.clock.now())

    async def arrive(self, uid: str, patient: Patient, **fields: object) -> Study:
        """Have a study of one image here."""
        image = Instance(sop_instance_uid=Uid(f"{uid}.1.1"), sop_class_uid=CT, number=1, rows=8, columns=8)
        series = Series(series_instance_uid=Uid(f"{uid}.1"), modality="CT", number=1, instances=(image,))
        study = Study(
            study_instance_uid=Uid(uid), patient=patient, started=Moment(NOON), series=(series,),
            accession_numbers=(AccessionNumber(value="A7"),),
        )  # fmt: skip
        study = replace(study, **fields)  # type: ignore[arg-type]
        metadata = b'{"00281050":{"vr":"DS","Value":[-600]},"00281051":{"vr":"DS","Value":[1500]}}'
        async with self.store.unit() as work:
            await work.studies.add((ArrivedInstance(study=study, metadata=metadata),), patient, "", self.clock.now())
        return study


class NoWay:
    """Every way ends where it begins."""

    async def walk(self, address: str, peer: Peer) -> tuple[Walked, ...]:
        return (Walked(hop=Hop.NAME, good=False, detail="it has no address", cure="Check the <name> server"),)


@asynccontextmanager
async def desk_pages(
    folder: Path,
    peers: tuple[Peer, ...] = (LAKESIDE, REGION),
    *,
    rules: tuple[Rule, ...] = (),
    synchronise: Any = None,
) -> AsyncIterator[Pages]:
    """A desk that serves; nobody is logged in. `synchronise` is as much of one as is asked."""
    clock = FixedClock()
    trail = AuditTrail(folder=folder / "audit", clock=clock, source_id=HOUSE.name, party=HOUSE.party())
    store = SqlStore(f"sqlite:///{folder}/radgate.db", audit=trail.sink, committed=trail.committed)
    await store.open()
    await trail.start(store)
    compute = ThreadCompute(1)
    directory = StaticDirectory(peers, {})
    login = Login(data=folder, clock=clock, minutes=30, secure=False)
    password = login.first_password()
    assert password is not None
    woken: list[str] = []
    sightings = Sightings()
    operations = Operations(
        house=HOUSE, store=store, compute=compute, clock=clock, directory=directory, wake=lambda: woken.append("wake")
    )
    probe = Probe(
        house=HOUSE, store=store, ways=NoWay(), directory=directory, clock=clock,
        peers=CallingPeers(house=HOUSE, store=store, clock=clock, carriers={}),
    )  # fmt: skip
    desk = Desk(
        house=HOUSE, store=store, operations=operations, probe=probe, directory=directory, audit=trail.archive(store),
        matrix=Matrix(store=store, directory=directory, sightings=sightings),
        login=login, clock=clock, rules=rules, synchronise=synchronise,
    )  # fmt: skip
    app = web.Application(client_max_size=0)
    desk.routes(app)
    try:
        async with TestServer(app) as server, ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
            url = str(server.make_url("")).rstrip("/")
            yield Pages(
                http=http, url=url, store=store, clock=clock, trail=trail, password=password, woken=woken,
                sightings=sightings,
            )  # fmt: skip
    finally:
        compute.close()
        await trail.stop()
        await store.close()
