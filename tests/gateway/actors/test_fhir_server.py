"""The FHIR server over a real index and the real turn, asked over a socket."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.actors.answering import answers_of
from gateway.actors.fhir_server import FhirServer
from gateway.adapters.memory import MemoryStore
from gateway.adapters.policy_table import TablePolicy
from gateway.inbound.fhir import FhirListener
from gateway.inbound.turn import Turn
from gateway.model.peer import Caller, Peer
from gateway.model.study import StudyStatus
from gateway.services.search import Search
from profiles.model.audit import AuditRecord
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Study
from profiles.model.moment import Moment, Precision
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.fhir.patient import patient_id_of
from tests.support.clock import FixedClock
from tests.support.fhir import typed
from tests.support.fhir_house import SOFTWARE, uids
from tests.support.hl7 import HOUSE
from tests.support.registered import arrived, instance, series

ZURICH = ZoneInfo("Europe/Zurich")
OURS = Oid("1.2.3.4")
ANN = PatientIdentifier(value="ann", authority=OURS)
BEN = PatientIdentifier(value="ben", authority=OURS)
NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def person(*identifiers: PatientIdentifier, family: str) -> Patient:
    return Patient(identifiers=identifiers, name=PersonName(family=family, given="X"), sex=Sex.FEMALE)


ANN_DOE = person(ANN, PatientIdentifier(value="F-1", authority=Oid("1.2.3.9")), family="Doe")
BEN_ROE = person(BEN, family="Roe")


def study(number: int, of: Patient, started: Moment | None, modality: str = "CT", instances: int = 2) -> Study:
    root = f"1.2.3.50.{number}"
    return Study(
        study_instance_uid=Uid(root),
        patient=of,
        accession_numbers=(AccessionNumber(value=f"A{number}", authority=Oid("1.2.3.5")),),
        started=started,
        series=(
            series(
                f"{root}.1",
                *(instance(f"{root}.1.{each}", each) for each in range(1, instances + 1)),
                modality=modality,
            ),
        ),
    )


# A minute after midnight in Zurich: still the day before in UTC.
JUST_AFTER_MIDNIGHT = study(1, ANN_DOE, Moment(datetime(2026, 1, 5, 0, 1, tzinfo=ZURICH)))
THE_DAY_ONLY = study(2, ANN_DOE, Moment(datetime(2026, 1, 5, tzinfo=ZURICH), Precision.DAY, False), modality="MR")
YESTERDAY = study(3, BEN_ROE, Moment(datetime(2026, 1, 4, 23, 59, tzinfo=ZURICH)))
UNDATED = study(4, BEN_ROE, None)
ON_ITS_WAY = study(5, BEN_ROE, Moment(datetime(2026, 2, 1, 8, 0, tzinfo=ZURICH)))


@dataclass
class Running:
    store: MemoryStore
    clock: FixedClock
    http: ClientSession
    caller: Caller

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        url = self.http._base_url
        assert url is not None
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.get(URL(f"{url}fhir/r4{path}", encoded=True), headers=told) as response:
            body = await response.read()
            return response.status, json.loads(body) if body else None

    async def found(self, query: str) -> list[str]:
        status, bundle = await self.get(f"/ImagingStudy?{query}")
        assert status == 200, bundle
        typed(bundle)
        assert bundle["total"] >= len(uids(bundle))
        return [uid.removeprefix("1.2.3.50.") for uid in uids(bundle)]

    def audited(self) -> list[AuditRecord]:
        return list(self.store.audited())


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    store, clock = MemoryStore(), FixedClock(NOW)
    house = replace(HOUSE, zone=ZURICH, patient_authority=OURS)
    async with store.unit() as work:
        await work.identity.put(ANN_DOE, NOW)
        await work.identity.put(BEN_ROE, NOW)
        for each in (JUST_AFTER_MIDNIGHT, THE_DAY_ONLY, YESTERDAY, UNDATED):
            await work.studies.add(arrived(each), each.patient, "", NOW)
        await work.studies.expect(ON_ITS_WAY, "Lakeside", NOW)
    turns = Turn(house=house, store=store, clock=clock, policy=TablePolicy(anonymous_loopback=False))
    made = Running(store, clock, None, Caller(peer=Peer(name="EHR"), network_address="127.0.0.1"))  # type: ignore[arg-type]
    listener = FhirListener(turns=turns, identify=lambda request: made.caller, base=house.fhir_url)
    listener.add(answers_of(FhirServer(house=house, search=Search(store=store), software=SOFTWARE)))
    app = web.Application()
    listener.routes(app)
    async with TestServer(app) as server, ClientSession(base_url=server.make_url("/")) as http:
        made.http = http
        yield made


FINDS = [
    ("everything, newest first and undated last", "", ["5", "1", "2", "3", "4"]),
    ("a patient", f"patient.identifier=urn:oid:{OURS}%7Cann", ["1", "2"]),
    ("a patient by an id of others", "patient.identifier=urn:oid:1.2.3.9%7CF-1", ["1", "2"]),
    ("a patient by value", "patient.identifier=ben", ["5", "3", "4"]),
    ("a patient by reference", f"patient=Patient/{patient_id_of(ANN)}", ["1", "2"]),
    ("nobody", "patient.identifier=urn:oid:9.9%7Cann&patient.identifier=urn:oid:9.9%7Cann", []),
    ("an accession number of its issuer", "identifier=urn:oid:1.2.3.5%7CA2", ["2"]),
    ("an accession number", "identifier=A2,A3", ["2", "3"]),
    ("an accession number of another issuer", "identifier=urn:oid:1.2.3.6%7CA2", []),
    ("a study", "identifier=urn:dicom:uid%7Curn:oid:1.2.3.50.3", ["3"]),
    ("by id", "_id=1.2.3.50.3,1.2.3.50.4", ["3", "4"]),
    ("what nothing can meet", "_id=1.2.3.50.3&identifier=urn:oid:1.2.3.50.4", []),
    ("a series", "series=1.2.3.50.2.1", ["2"]),
    ("an instance", "instance=urn:oid:1.2.3.50.2.1.1", ["2"]),
    ("a modality", "modality=MR", ["2"]),
    ("what can be had", "status=available", ["1", "2", "3", "4"]),
    ("what is on its way", "status=registered", ["5"]),
    ("what cannot be", "status=unknown", []),
    ("a day by the clock of the house", "started=2026-01-05", ["1", "2"]),
    ("the day before", "started=2026-01-04", ["3"]),
    ("since a day", "started=ge2026-01-05", ["5", "1", "2"]),
    ("until a day", "started=lt2026-01-05", ["3"]),
    ("a month", "started=2026-01", ["1", "2", "3"]),
    ("a minute with its zone", "started=2026-01-04T23:01Z", ["1"]),
    ("a minute by the clock of the house", "started=2026-01-05T00:01", ["1"]),
    ("updated since", "_lastUpdated=ge2026-03-14&_sort=-_lastUpdated", ["1", "2", "3", "4", "5"]),
    ("updated later", "_lastUpdated=gt2026-03-14T13:00:00Z", []),
]


@pytest.mark.parametrize(("_", "query", "expected"), FINDS, ids=[name for name, *_ in FINDS])
async def test_a_search_finds(running: Running, _: str, query: str, expected: list[str]) -> None:
    assert sorted(await running.found(query)) == sorted(expected)
    if "_lastUpdated" not in query:
        assert await running.found(query) == expected


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("sort", ["-started", "-_lastUpdated"])
async def test_pages_hold_every_study_once(running: Running, count: int, sort: str) -> None:
    seen: list[str] = []
    path = f"/ImagingStudy?_count={count}&_sort={sort}"
    while path:
        status, bundle = await running.get(path)
        assert status == 200
        assert bundle["total"] == 5
        seen += uids(bundle)
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        path = links.get("next", "").removeprefix(f"{HOUSE.base_url}/fhir/r4")
    assert len(seen) == 5
    assert len(set(seen)) == 5


async def test_a_page_counts_and_lists_instances_as_asked(running: Running) -> None:
    _, whole = await running.get("/ImagingStudy?identifier=A1")
    (study,) = [entry["resource"] for entry in whole["entry"]]
    assert study["numberOfInstances"] == 2
    assert [each["uid"] for each in study["series"][0]["instance"]] == ["1.2.3.50.1.1.1", "1.2.3.50.1.1.2"]
    assert "tag" not in study["meta"]
    _, listed = await running.get("/ImagingStudy?identifier=A1&_summary=true")
    (summary,) = [entry["resource"] for entry in listed["entry"]]
    assert summary["numberOfInstances"] == 2
    assert summary["series"][0]["numberOfInstances"] == 2
    assert "instance" not in summary["series"][0]


async def test_a_study_on_its_way_becomes_available_under_a_new_version(running: Running) -> None:
    _, before = await running.get("/ImagingStudy/1.2.3.50.5")
    assert (before["status"], before["numberOfInstances"], "endpoint" in before) == ("registered", 0, False)
    running.clock.advance(60)
    async with running.store.unit() as work:
        await work.studies.add(arrived(ON_ITS_WAY), BEN_ROE, "Lakeside", running.clock.now())
        await work.studies.set_status("1.2.3.50.5", StudyStatus.AVAILABLE, running.clock.now())
    assert (await running.get("/ImagingStudy/1.2.3.50.5", If_None_Match=f'W/"{before["meta"]["versionId"]}"'))[0] == 200
    _, after = await running.get("/ImagingStudy/1.2.3.50.5")
    assert (after["status"], after["numberOfInstances"]) == ("available", 2)
    assert int(after["meta"]["versionId"]) > int(before["meta"]["versionId"])
    assert await running.found("_lastUpdated=gt2026-03-14T12:00:30Z") == ["5"]
    for reference in after["endpoint"]:
        assert (await running.get(f"/{reference['reference']}"))[0] == 200


async def test_a_merge_moves_studies_and_leaves_the_subsumed_patient_pointing_on(running: Running) -> None:
    async with running.store.unit() as work:
        survivor = await work.identity.merge(BEN, ANN, NOW + timedelta(minutes=1))
        await work.studies.merge(BEN, survivor, NOW + timedelta(minutes=1))
    assert len(await running.found(f"patient.identifier=urn:oid:{OURS}%7Cann")) == 5
    status, gone = await running.get(f"/Patient/{patient_id_of(BEN)}")
    assert status == 200
    typed(gone)
    assert gone["active"] is False
    assert gone["link"][0]["other"]["reference"] == f"Patient/{patient_id_of(ANN)}"
    assert gone["link"][0]["type"] == "replaced-by"
    _, study = await running.get("/ImagingStudy/1.2.3.50.3")
    assert study["subject"]["identifier"]["value"] == "ann"


async def test_patients_are_found_and_read(running: Running) -> None:
    _, bundle = await running.get("/Patient?identifier=urn:oid:1.2.3.9%7CF-1")
    assert [entry["resource"]["name"][0]["family"] for entry in bundle["entry"]] == ["Doe"]
    _, bundle = await running.get(f"/Patient?_id={patient_id_of(BEN)}")
    assert [entry["resource"]["name"][0]["family"] for entry in bundle["entry"]] == ["Roe"]
    assert (await running.get("/Patient?identifier=nobody"))[1]["total"] == 0
    assert (await running.get(f"/Patient/{patient_id_of(PatientIdentifier(value='zoe', authority=OURS))}"))[0] == 404


async def test_everything_is_audited_but_the_capabilities(running: Running) -> None:
    await running.get("/metadata")
    assert running.audited() == []
    await running.found("patient.identifier=ben")
    (search,) = running.audited()
    assert [each.id for each in search.objects] == [str(BEN), "ImagingStudy"]
    assert search.objects[1].query is not None
    assert search.objects[1].query.endswith(b"/fhir/r4/ImagingStudy?patient.identifier=ben")
    await running.get("/ImagingStudy/1.2.3.50.1")
    await running.get("/ImagingStudy/1.2.3.50.99")
    read, missing = running.audited()[1:]
    assert [each.id for each in read.objects] == [str(ANN), "1.2.3.50.1"]
    assert [each.id for each in missing.objects] == ["1.2.3.50.99"]
    assert (read.outcome.value, missing.outcome.value) == (0, 4)


async def test_strangers_may_ask_what_we_can_do_and_nothing_else(running: Running) -> None:
    running.caller = Caller(peer=None, network_address="10.9.9.9", via="nobody")
    assert (await running.get("/metadata"))[0] == 200
    for path in ("/ImagingStudy", "/ImagingStudy/1.2.3.50.1", "/Patient?identifier=ben", "/Endpoint"):
        status, outcome = await running.get(path)
        assert status == 401
        assert outcome["issue"][0]["code"] == "login"
    running.caller = Caller(peer=Peer(name="EHR", scopes=frozenset({"FHIR Patient read"})), network_address="10.9.9.9")
    status, outcome = await running.get("/ImagingStudy")
    assert (status, outcome["issue"][0]["code"]) == (403, "forbidden")
    assert all(record.outcome.value for record in running.audited())
