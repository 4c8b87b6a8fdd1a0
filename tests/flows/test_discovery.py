"""Communities find out by which ids they know the same patient (ITI-55), and ask for documents by those.

Valley, Lakeside and Region are communities of their own, each with its own patient ids.

Source: ITI TF-2 3.55.4.1, 3.55.4.2, 3.38.4.1.3.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from gateway.app import running
from gateway.settings import Settings
from profiles.model.document import AvailabilityStatus
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.model.query import BirthCriteria, DocumentCriteria, NameCriteria, PatientCriteria
from profiles.pix.iti8 import FeedEvent
from profiles.wire.hl7v3.ack import AckCode
from profiles.wire.hl7v3.transmission import Device, Transmission
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import Stamp
from profiles.xcpd.iti55 import (
    DEFERRED,
    ITI_55,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    Problem,
    QueryResponseCode,
)
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from tests.support.hl7v3 import AT, THEM
from tests.support.house import command
from tests.support.identity_v3 import question, sent
from tests.support.scenario import (
    BORN,
    NAME,
    REPOSITORY,
    ZEBEDIAH,
    Valley,
    World,
    logged,
    manifest_of,
    message_of,
    nothing_leaked,
    offer_of,
    read_soap,
    world,
    write_study,
)

HOMES = {"Region": Oid("1.2.5.1"), "Valley": Oid("1.2.3.1"), "Lakeside": Oid("1.2.4.1")}
DOMAINS = {"Region": Oid("1.2.5.9"), "Valley": Oid("1.2.3.9"), "Lakeside": Oid("1.2.4.9")}
NATIONAL = Oid("1.2.99.7")
NATIONAL_ID = PatientIdentifier(value="N19610417", authority=NATIONAL)
RESPONDING, INITIATING = "/soap/responding-gateway", "/soap/initiating-gateway"


def known_at(community: str, *others: PatientIdentifier, **changes: Any) -> Patient:
    """Zebediah, as a community knows him."""
    own = PatientIdentifier(value=f"{community[:2].upper()}99402", authority=DOMAINS[community])
    return replace(ZEBEDIAH, identifiers=(own, *others), **changes)


def settings_of(data: Path, name: str, *, hours: float, deadline_s: float, peers: dict[str, str]) -> Settings:
    return Settings.model_validate(
        {
            "house": {
                "name": name, "data": data, "home_community_id": HOMES[name],
                "repository_unique_id": f"{HOMES[name]}.2", "retrieve_location_uid": f"{HOMES[name]}.3",
                "patient_authority": DOMAINS[name],
            },
            "affinity_domain": {"shared_authorities": [NATIONAL]},
            "listen": {"http_port": 0, "mllp_port": 0, "drain_timeout_s": 1.0},
            "access": {"anonymous_loopback": True},
            "limits": {"idle_timeout_s": 5.0, "community_deadline_s": deadline_s, "correlation_hours": hours},
            "peer": [
                {
                    "name": other, "home_community_id": HOMES[other], "patient_authority": DOMAINS[other],
                    "endpoint": dict.fromkeys(("ITI-38", "ITI-55", "ITI-80"), f"{url}{RESPONDING}"),
                }
                for other, url in peers.items()
            ],
        }
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Homes:
    """Region, and the communities that it knows."""

    folder: Path
    houses: dict[str, Valley]

    def __getitem__(self, name: str) -> Valley:
        return self.houses[name]

    async def has(self, name: str, patient: Patient) -> str:
        """A document of a patient at a community; its uniqueId."""
        study = write_study(self.folder / f"of-{name}", seed=len(name), series=1, instances=1)
        offer = offer_of(study, patient_id=patient.identifiers[0], manifest=manifest_of(study))
        assert await (await self[name].provide(offer, door=REPOSITORY, peer="")).codes() == ()
        return offer.submission.entries[0].unique_id

    async def found(self, patient: Patient) -> StoredQueryResponse:
        """What Region finds of its patient anywhere."""
        criteria = DocumentCriteria(patient_ids=(patient.identifiers[0],), statuses=(AvailabilityStatus.APPROVED,))
        request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
        reply = await self["Region"].post(INITIATING, await message_of(ITI_18, request), peer="")
        message = await read_soap(reply.content_type, reply.body)
        assert message.fault is None, reply.body
        answer: StoredQueryResponse = ITI_18.decode_response(message.to_codec()).value
        return answer

    def asked(self, transaction: str) -> list[tuple[str, str, str]]:
        """What Region asked of whom, how it went, and what it learned."""
        return [
            (step["peer"], step["outcome"], step["text"])
            for step in self["Region"].kept().steps
            if step["transaction"] == transaction and step["direction"] == "out"
        ]


@asynccontextmanager
async def homes(
    folder: Path, *, hours: float = 24.0, there_hours: float = 24.0, deadline_s: float = 10.0, **instead: str
) -> AsyncIterator[Homes]:
    """All three; `instead` of a house, Region finds another address. `there_hours`: what the others let be remembered."""
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=60), auto_decompress=False))
        houses: dict[str, Valley] = {}

        async def start(name: str, hours: float, peers: dict[str, str]) -> None:
            settings = settings_of(folder / name, name, hours=hours, deadline_s=deadline_s, peers=peers)
            addresses = await stack.enter_async_context(running(settings))
            houses[name] = Valley(data=settings.house.data, addresses=addresses, http=http, log=log)

        for name in ("Valley", "Lakeside"):
            if name not in instead:
                await start(name, there_hours, {})
        await start("Region", hours, {name: house.url for name, house in houses.items()} | instead)
        yield Homes(folder=folder, houses=houses)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_documents_are_found_by_the_id_that_each_community_told(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours, valleys, lakesides = known_at("Region"), known_at("Valley"), known_at("Lakeside")
        for name, patient in (("Region", ours), ("Valley", valleys), ("Lakeside", lakesides)):
            await here[name].tell(patient)
        documents = {await here.has("Valley", valleys), await here.has("Lakeside", lakesides)}
        answer = await here.found(ours)
        assert answer.errors == ()
        assert {each.unique_id for each in answer.entries} == documents
        assert {each.home_community_id for each in answer.entries} == {HOMES["Valley"], HOMES["Lakeside"]}
        assert {each.patient_id for each in answer.entries} == {valleys.identifiers[0], lakesides.identifiers[0]}
        told = [
            ("Valley", "success", "Valley knows the patient"),
            ("Lakeside", "success", "Lakeside knows the patient"),
        ]
        assert sorted(here.asked("ITI-55")) == sorted(told)
        assert b'csd-code="ITI-55"' in b"".join(here["Region"].kept().audit)
        assert b'csd-code="ITI-55"' in b"".join(here["Valley"].kept().audit)


async def collected(here: Homes, patient: Patient) -> dict[str, Any]:
    """An operator of Region fetches what Valley has of its patient; its exchange fails, for ITI-39 has no address."""
    asked = {"patient": str(patient.identifiers[0]), "registry": "Valley", "person": "ann"}
    assert "error" not in await here["Region"].ask("POST", "/collect", asked)
    return await here["Region"].rests("failed", kind="collect")


async def test_a_community_is_collected_from_by_the_id_that_it_told(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours, theirs = known_at("Region"), known_at("Valley")
        await here["Region"].tell(ours)
        await here["Valley"].tell(theirs)
        await here.has("Valley", theirs)
        await collected(here, ours)
        assert here.asked("ITI-55") == [("Valley", "success", "Valley knows the patient")]
        assert here.asked("ITI-38") == [("Valley", "success", "1 manifest(s) found")]


async def test_a_community_that_does_not_know_the_patient_is_not_asked_for_documents(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        await here["Region"].tell(known_at("Region"))
        failed = await collected(here, known_at("Region"))
        assert (failed["state"], failed["reason"]) == ("failed", "Valley does not know the patient")
        assert failed["cure"]
        assert here.asked("ITI-38") == []


async def test_who_is_who_is_remembered_and_not_asked_again(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours, theirs = known_at("Region"), known_at("Valley")
        await here["Region"].tell(ours)
        await here["Valley"].tell(theirs)
        await here.has("Valley", theirs)
        for _ in range(2):
            assert len((await here.found(ours)).entries) == 1
        assert [peer for peer, _, _ in here.asked("ITI-55")].count("Valley") == 1
        assert [peer for peer, _, _ in here.asked("ITI-38")].count("Valley") == 2


@pytest.mark.parametrize(("hours", "there_hours"), [(0.0, 24.0), (24.0, 0.0)], ids=["by us", "by them"])
async def test_what_may_not_be_remembered_is_asked_again(tmp_path: Path, hours: float, there_hours: float) -> None:
    async with homes(tmp_path, hours=hours, there_hours=there_hours) as here:
        ours, theirs = known_at("Region"), known_at("Valley")
        await here["Region"].tell(ours)
        await here["Valley"].tell(theirs)
        await here.has("Valley", theirs)
        for _ in range(2):
            assert len((await here.found(ours)).entries) == 1
        assert [peer for peer, _, _ in here.asked("ITI-55")].count("Valley") == 2


async def test_a_community_that_knows_nobody_who_fits_is_not_asked_for_documents_and_is_no_error(
    tmp_path: Path,
) -> None:
    async with homes(tmp_path) as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        await here["Valley"].tell(known_at("Valley", birth_date=Moment.from_dtm("19610418")))
        answer = await here.found(ours)
        assert (answer.errors, answer.entries) == ((), ())
        assert {text for _, _, text in here.asked("ITI-55")} == {
            "Valley knows nobody who fits",
            "Lakeside knows nobody who fits",
        }
        assert here.asked("ITI-38") == []


async def test_a_shared_id_tells_who_it_is_where_the_name_is_written_otherwise(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours = known_at("Region", NATIONAL_ID)
        theirs = known_at("Valley", NATIONAL_ID, name=PersonName(family="Quillfeather", given="Zeb"))
        await here["Region"].tell(ours)
        await here["Valley"].tell(theirs)
        await here.has("Valley", theirs)
        assert [each.patient_id for each in (await here.found(ours)).entries] == [theirs.identifiers[0]]


async def test_a_community_that_stalls_is_given_up_alone_and_named(tmp_path: Path) -> None:
    async def stall(_: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    gone = asyncio.Event()
    app = web.Application()
    app.router.add_post(RESPONDING, stall)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with homes(tmp_path, deadline_s=0.5, Lakeside=url) as here:
            ours, theirs = known_at("Region"), known_at("Valley")
            await here["Region"].tell(ours)
            await here["Valley"].tell(theirs)
            await here.has("Valley", theirs)
            answer = await here.found(ours)
            assert len(answer.entries) == 1
            assert [(each.code, each.location) for each in answer.errors] == [
                ("XDSUnavailableCommunity", HOMES["Lakeside"].urn)
            ]
    finally:
        gone.set()
        await runner.cleanup()


async def answering(response: DiscoveryResponse, received: list[DiscoveryRequest]) -> tuple[web.AppRunner, str]:
    """Another product's gateway, which says this to every question."""

    async def reply(request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        received.append(ITI_55.decode_request(message.to_codec()).value)
        assert ITI_55.stamp is not None
        out = ITI_55.encode_response(
            ITI_55.stamp(response, message.to_codec(), Stamp(id="0b7c8f2e-0000-4000-8000-000000000005", at=AT))
        )
        envelope = encode_envelope(
            out.body, action=ITI_55.response_action, message_id="urn:uuid:1",
            relates_to=message.addressing.message_id, blocks=out.header,
        )  # fmt: skip
        return web.Response(body=b"".join(envelope), content_type="application/soap+xml")

    app = web.Application()
    app.router.add_post(RESPONDING, reply)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


SOMEBODY = Candidate(patient=known_at("Lakeside"), home=HOMES["Lakeside"])


@pytest.mark.parametrize(
    ("candidates", "text"),
    [
        ((replace(SOMEBODY, patient=known_at("Lakeside", birth_date=Moment.from_dtm("19610418"))),), "knows nobody"),
        ((replace(SOMEBODY, patient=known_at("Lakeside", name=PersonName(family="Other"))),), "knows nobody"),
        ((SOMEBODY, replace(SOMEBODY, patient=known_at("Valley"))), "knows several"),
    ],
    ids=["another birth date", "another name", "several"],
)
async def test_a_match_that_contradicts_what_we_know_or_is_not_the_only_one_does_not_count(
    tmp_path: Path, candidates: tuple[Candidate, ...], text: str
) -> None:
    received: list[DiscoveryRequest] = []
    told = DiscoveryResponse(answer=CandidatesResponse(candidates=candidates), keep_for=timedelta(days=1))
    runner, url = await answering(told, received)
    try:
        async with homes(tmp_path, Lakeside=url) as here:
            await here["Region"].tell(known_at("Region"))
            assert (await here.found(known_at("Region"))).errors == ()
            assert any(text in each for peer, _, each in here.asked("ITI-55") if peer == "Lakeside")
            assert here.asked("ITI-38") == []
            assert remembered(here["Region"]) == []
    finally:
        await runner.cleanup()


async def test_what_we_tell_of_a_patient_is_what_may_be_told(tmp_path: Path) -> None:
    received: list[DiscoveryRequest] = []
    runner, url = await answering(
        DiscoveryResponse(answer=CandidatesResponse(code=QueryResponseCode.NOT_FOUND)), received
    )
    lakesides = PatientIdentifier(value="LA7", authority=DOMAINS["Lakeside"])
    valleys = PatientIdentifier(value="VA7", authority=DOMAINS["Valley"])
    try:
        async with homes(tmp_path, Lakeside=url) as here:
            ours = known_at("Region", NATIONAL_ID, lakesides, valleys)
            await here["Region"].tell(ours)
            await here.found(ours)
            (request,) = received
            assert set(request.query.criteria.identifiers) == {ours.identifiers[0], NATIONAL_ID, lakesides}
            assert request.query.criteria.birth == BirthCriteria(low=BORN, high=BORN)
            assert (request.query.reverse, request.keep_for) == (DOMAINS["Region"], timedelta(days=1))
            assert request.query.transmission.sender.organization == HOMES["Region"]
            assert request.query.transmission.receiver.organization == HOMES["Lakeside"]
    finally:
        await runner.cleanup()


async def test_a_patient_whose_name_we_do_not_know_is_asked_about_by_id(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours, theirs = known_at("Region", NATIONAL_ID, name=NAME), known_at("Valley", NATIONAL_ID)
        await here["Region"].tell(ours)
        await here["Region"].tell(replace(ours, name=PersonName()), FeedEvent.UPDATE)
        await here["Valley"].tell(theirs)
        await here.has("Valley", theirs)
        assert [each.patient_id for each in (await here.found(ours)).entries] == [theirs.identifiers[0]]


def remembered(house: Valley) -> list[tuple[str, str, str]]:
    """Who is who, as the house keeps it."""
    with closing(sqlite3.connect(f"file:{house.data / 'radgate.db'}?mode=ro", uri=True)) as database:
        return [tuple(row) for row in database.execute("SELECT patient, home, identifier FROM correlations")]


# --- answering --------------------------------------------------------------------------------------------------------

ASKER = Device(id=THEM.id, organization=HOMES["Lakeside"])
LAKESIDES = PatientIdentifier(value="LA7", authority=DOMAINS["Lakeside"])
FULL = PatientCriteria(names=(NameCriteria(name=NAME),), birth=BirthCriteria(low=BORN, high=BORN), sex=Sex.MALE)


async def asked(here: World, criteria: PatientCriteria, *, peer: str = "Lakeside", **how: Any) -> DiscoveryResponse:
    transmission: Transmission = replace(sent(), sender=ASKER)
    query = CandidatesQuery(
        criteria=criteria, question=question(), transmission=transmission, reverse=DOMAINS["Lakeside"]
    )
    reply = await here.valley.post(RESPONDING, await discovery(DiscoveryRequest(query=query, **how)), peer=peer)
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    answer: DiscoveryResponse = ITI_55.decode_response(message.to_codec()).value
    assert answer.answer.question.id == query.question.id
    return answer


async def discovery(request: DiscoveryRequest) -> Any:
    """The message, with its header."""
    whole = await message_of(ITI_55, request)
    header = ITI_55.encode_request(request).header
    return whole.spoiled(b"</s:Header>", header + b"</s:Header>")


async def test_one_id_of_our_domain_is_told_and_of_the_others_only_what_was_named(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        domain_id = ZEBEDIAH.identifiers[1]
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(*ZEBEDIAH.identifiers, NATIONAL_ID)))
        answer = await asked(here, FULL)
        (candidate,) = answer.answer.candidates
        assert candidate.patient.identifiers == (domain_id,)
        assert (candidate.home, candidate.degree) == (Oid("1.2.3.1"), 100)
        assert (answer.keep_for, answer.answer.code) == (timedelta(days=1), QueryResponseCode.OK)
        (named,) = (await asked(here, PatientCriteria(identifiers=(NATIONAL_ID,)))).answer.candidates
        assert named.patient.identifiers == (domain_id, NATIONAL_ID)


@pytest.mark.parametrize(
    ("criteria", "count"),
    [
        (FULL, 1),
        (replace(FULL, sex=None), 1),
        (replace(FULL, sex=Sex.FEMALE), 0),
        (replace(FULL, names=(NameCriteria(name=PersonName(family="Quillfeather", given="Zeb")),)), 0),
        (replace(FULL, identifiers=(LAKESIDES,)), 1),  # an id that we do not know says nothing
        (PatientCriteria(identifiers=(NATIONAL_ID,)), 1),
        (PatientCriteria(identifiers=(NATIONAL_ID,), birth=BirthCriteria(low=BORN, high=BORN)), 1),
        (PatientCriteria(identifiers=(NATIONAL_ID,), birth=BirthCriteria(high=Moment.from_dtm("1950"))), 0),
        (replace(FULL, identifiers=(NATIONAL_ID,), names=(NameCriteria(name=PersonName(family="Quill")),)), 1),
        (PatientCriteria(identifiers=(LAKESIDES,)), 0),
    ],
)
async def test_a_patient_fits_by_a_known_id_or_by_name_and_birth(
    tmp_path: Path, criteria: PatientCriteria, count: int
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(*ZEBEDIAH.identifiers, NATIONAL_ID)))
        answer = (await asked(here, criteria)).answer
        assert len(answer.candidates) == count
        assert answer.code is (QueryResponseCode.OK if count else QueryResponseCode.NOT_FOUND)
        assert answer.acknowledgement.code is AckCode.ACCEPT


async def test_several_who_fit_are_told_apart_by_what_was_not_told(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        other = replace(
            ZEBEDIAH, identifiers=tuple(replace(each, value=f"{each.value}X") for each in ZEBEDIAH.identifiers)
        )
        await here.valley.tell(replace(other, sex=Sex.FEMALE, address="2 Elsewhere^^Town"))
        answer = (await asked(here, replace(FULL, sex=None))).answer
        assert (answer.code, answer.candidates) == (QueryResponseCode.OK, ())
        assert answer.wanted == ("LivingSubjectAdministrativeGender", "PatientAddress")
        assert len((await asked(here, FULL)).answer.candidates) == 1


async def test_a_patient_without_an_id_of_our_domain_is_nobody_for_other_communities(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(replace(ZEBEDIAH, identifiers=ZEBEDIAH.identifiers[:1]))
        assert (await asked(here, FULL)).answer.code is QueryResponseCode.NOT_FOUND


async def test_too_little_is_refused_in_the_transaction_s_words(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.valley.refusing(explained=False):
        answer = (await asked(here, PatientCriteria(names=FULL.names))).answer
        assert (answer.acknowledgement.code, answer.code) == (AckCode.ERROR, QueryResponseCode.ERROR)
        assert answer.problem is Problem.NOT_AVAILABLE


async def test_a_deferred_question_is_not_taken(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        query = CandidatesQuery(criteria=FULL, question=question(), transmission=replace(sent(), sender=ASKER))
        reply = await here.valley.post(RESPONDING, await message_of(DEFERRED, DiscoveryRequest(query=query)))
        message = await read_soap(reply.content_type, reply.body)
        answer = DEFERRED.decode_response(message.to_codec()).value
        assert (answer.code, [each.code for each in answer.details]) == (AckCode.ERROR, ["NS250"])
        assert answer.target == query.transmission.id


@pytest.mark.parametrize(
    ("peers", "keep_for", "kept"),
    [
        ({"Lakeside": {"home_community_id": HOMES["Lakeside"]}}, timedelta(hours=1), True),
        ({"Lakeside": {"home_community_id": HOMES["Lakeside"]}}, None, False),
        ({"Lakeside": {"home_community_id": "1.2.77.1"}}, timedelta(hours=1), False),
    ],
    ids=["may", "may not", "claims to be another"],
)
async def test_the_asking_community_s_id_is_remembered_if_it_may_be_and_is_its_own(
    tmp_path: Path, peers: dict[str, Any], keep_for: timedelta | None, kept: bool
) -> None:
    async with world(tmp_path, peers=peers) as here:
        await here.valley.tell(ZEBEDIAH)
        await asked(here, replace(FULL, identifiers=(LAKESIDES,)), keep_for=keep_for)
        expected = [(str(ZEBEDIAH.identifiers[1]), HOMES["Lakeside"], str(LAKESIDES))] if kept else []
        assert remembered(here.valley) == expected


async def test_a_question_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        query = CandidatesQuery(criteria=FULL, question=question(), transmission=sent())
        whole = await message_of(ITI_55, DiscoveryRequest(query=query))
        async with here.valley.refusing(explained=False):
            reply = await here.valley.post(RESPONDING, whole.spoiled(b"queryByParameter", b"queryByPerimeter"))
            assert (reply.status, await reply.fault) == (400, ("Sender",))


# --- what is handed to a community ------------------------------------------------------------------------------------


async def submitted(here: Homes, name: str, patient: Patient) -> tuple[int, str]:
    """A letter that a person at Region submits to a community: how the command ended, and what it told."""
    (here.folder / "letter.txt").write_bytes(b"Dear colleague")
    code, out, err = await command(
        "document", "submit", str(here.folder / "letter.txt"), "--patient", str(patient.identifiers[0]), "--to", name,
        "--class", "LETTERS^1.2.3.8^Letters", "--data", str(here.folder / "Region"),
    )  # fmt: skip
    return code, out + err


async def test_a_document_goes_to_a_community_with_the_id_by_which_that_knows_the_patient(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        await here["Valley"].tell(known_at("Valley"))
        assert (await submitted(here, "Valley", ours))[0] == 0
        assert [step["transaction"] for step in here["Region"].kept().steps if step["direction"] == "out"] == [
            "ITI-55", "ITI-80",
        ]  # fmt: skip
        (row,) = here["Valley"].kept().rows["entries"]
        assert str(known_at("Valley").identifiers[0].value) in row
        assert (await here["Valley"].exchange())["state"] == "done"


async def test_a_study_is_shared_with_a_community_under_the_id_by_which_that_knows_the_patient(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        await here["Valley"].tell(known_at("Valley"))
        study = write_study(tmp_path / "study", patient=ours, series=1, instances=1)
        status, _ = await here["Region"].push((one.path.read_bytes() for one in study.instances), peer="")
        assert status == 200
        await here["Region"].rests("done", kind="store")
        asked = {"peer": "Valley", "person": "ann"}
        assert "error" not in await here["Region"].ask("POST", f"/studies/{study.study_instance_uid}/share", asked)
        await here["Region"].rests("done", kind="share")
        (row,) = here["Valley"].kept().rows["entries"]
        assert known_at("Valley").identifiers[0].value in row


async def test_a_community_that_does_not_know_the_patient_is_sent_our_id_and_holds_it(tmp_path: Path) -> None:
    async with homes(tmp_path) as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        assert (await submitted(here, "Valley", ours))[0] == 0
        (row,) = here["Valley"].kept().rows["entries"]
        assert ours.identifiers[0].value in row
        assert (await here["Valley"].exchange())["state"] == "held"


async def test_a_community_that_cannot_be_asked_whom_it_knows_is_sent_nothing(tmp_path: Path) -> None:
    async with homes(tmp_path, Valley="http://127.0.0.1:1") as here:
        ours = known_at("Region")
        await here["Region"].tell(ours)
        code, told = await submitted(here, "Valley", ours)
        assert code == 1, told
        assert {step["transaction"] for step in here["Region"].kept().steps if step["direction"] == "out"} == {"ITI-55"}
