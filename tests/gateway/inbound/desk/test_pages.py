"""The desk's pages say what the ledger, the index and the audit trail say; its forms do what the operator's verbs do."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.model.job import Direction, Event, Kind, State, Step, StepOutcome
from gateway.model.peer import AssertionPolicy, Peer, SentAssertion
from gateway.model.sighting import Ended, Sort
from gateway.model.study import StudyStatus
from gateway.ports.publications import Publication, Snapshot
from gateway.ports.studies import ArrivedInstance, Origin
from gateway.services.backfill import Asked, asked_of, open_backfill
from gateway.services.rules import Rule
from gateway.services.synchronise import Looked
from profiles.atna import operator_decision
from profiles.model.audit import Outcome
from profiles.model.document import STUDY_INSTANCE_UID, ReferenceId, Submission
from profiles.model.identifiers import Oid, Uid
from profiles.model.patient import Patient, PersonName
from tests.support.clock import NOON, FixedClock
from tests.support.desk_pages import Pages, desk_pages, person
from tests.support.dicomweb_house import HOUSE
from tests.support.registered import entry, submission

PAGES = ("/inbox", "/exchanges", "/studies", "/documents", "/on-ramp", "/peers", "/audit")
ATTACK = """<script>alert(1)</script>"><img src=x onerror=alert(2)>'{{7*7}}"""


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Pages]:
    async with desk_pages(tmp_path) as pages:
        await pages.enter()
        yield pages


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[Pages]:
    """A desk at which nobody sits."""
    async with desk_pages(tmp_path) as pages:
        yield pages


def step(exchange_id: str, **fields: object) -> Step:
    given: dict[str, object] = {
        "exchange_id": exchange_id, "at": NOON, "transaction": "RAD-69", "direction": Direction.OUT,
        "outcome": StepOutcome.SUCCESS, "text": "60 instances came",
    }  # fmt: skip
    return Step(**{**given, **fields})  # type: ignore[arg-type]


# --- login ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/exchanges/x", "/exchanges/x/raw", "/studies/1.2.3"])
async def test_a_stranger_sees_no_page(stranger: Pages, path: str) -> None:
    async with stranger.http.get(stranger.url + path, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == f"/login?next=%2F{path[1:].replace('/', '%2F')}"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_stranger_does_nothing(stranger: Pages) -> None:
    job = await stranger.open(State.FAILED)
    status, location, _ = await stranger.post(f"/exchanges/{job.id}/release", form_token="")
    assert (status, location) == (303, f"/login?next=%2Fexchanges%2F{job.id}")
    assert await stranger.state(job) is State.FAILED


async def test_logging_in_out_and_in_vain_is_audited(stranger: Pages) -> None:
    status, _, text = await stranger.post("/login", user="admin", password="guess")
    assert status == 401
    assert "User or password is wrong." in text
    await stranger.enter()
    status, location, _ = await stranger.act("/logout")
    assert (status, location) == (303, "/login")
    assert (await stranger.get("/inbox"))[0] == 303
    out, entered, refused = (await stranger.audited(user="admin"))[:3]
    assert [each.types[0].text for each in (out, entered, refused)] == ["Logout", "Login", "Login"]
    assert [each.outcome for each in (out, entered)] == [Outcome.SUCCESS, Outcome.SUCCESS]
    assert refused.outcome is not Outcome.SUCCESS


async def test_a_wrong_user_is_told_the_same_as_a_wrong_password(stranger: Pages) -> None:
    told = [
        (await stranger.post("/login", user=user, password=password))[2].replace(user, "")
        for user, password in (("nobody", stranger.password), ("admin", "guess"))
    ]
    assert told[0] == told[1]


async def test_guessing_is_slowed_down_and_audited_once(stranger: Pages) -> None:
    for _ in range(10):
        assert (await stranger.post("/login", user="admin", password="guess"))[0] == 401
    for _ in range(3):  # even with the right one
        assert (await stranger.post("/login", user="admin", password=stranger.password))[0] == 429
    records = await stranger.audited()
    assert sum(record.outcome_description == "too many tries" for record in records) == 1
    assert len([record for record in records if record.types and record.types[0].text == "Login"]) == 11
    stranger.clock.advance(61)
    await stranger.enter()


async def test_a_session_ends_when_it_is_left_alone(desk: Pages) -> None:
    desk.clock.advance(29 * 60)
    await desk.page("/inbox")  # keeps it alive
    desk.clock.advance(29 * 60)
    await desk.page("/inbox")
    desk.clock.advance(30 * 60)
    assert (await desk.get("/inbox"))[0] == 303


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(stranger: Pages) -> None:
    form = {"user": "admin", "password": stranger.password}
    async with stranger.http.post(stranger.url + "/login", data=form, allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(
    ("wish", "granted"),
    [
        ("/studies?q=x", "/studies?q=x"),
        ("//evil.example/x", "/inbox"),
        ("https://evil.example", "/inbox"),
        ("/\\evil.example", "/inbox"),
        ("/inbox\r\nSet-Cookie: a=b", "/inbox"),
        ("javascript:alert(1)", "/inbox"),
        ("", "/inbox"),
    ],
)
async def test_after_login_one_stays_in_the_house(stranger: Pages, wish: str, granted: str) -> None:
    form = {"user": "admin", "password": stranger.password}
    address = stranger.url + "/login"
    async with stranger.http.post(address, params={"next": wish}, data=form, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, granted)


async def test_the_first_password_is_told_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    async with desk_pages(tmp_path) as pages:
        kept = (tmp_path / "desk.json").read_text()
        assert pages.password not in kept
        assert (tmp_path / "desk.json").stat().st_mode & 0o077 == 0
        assert len(pages.password) >= 18


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "guess", "é"])
async def test_a_form_of_another_session_does_nothing(desk: Pages, token: str) -> None:
    job = await desk.open(State.FAILED)
    status, _, text = await desk.post(f"/exchanges/{job.id}/release", form_token=token)
    assert status == 403
    assert "not of this session" in text
    assert f'href="/exchanges/{job.id}"' in text
    assert await desk.state(job) is State.FAILED


async def test_a_form_posted_by_another_site_does_nothing(desk: Pages) -> None:
    job = await desk.open(State.FAILED)
    headers = {"Sec-Fetch-Site": "cross-site"}
    status, _, _ = await desk.post(f"/exchanges/{job.id}/release", headers, form_token=desk.form_token)
    assert status == 403
    status, _, _ = await desk.post("/login", headers, user="admin", password=desk.password)
    assert status == 403
    assert await desk.state(job) is State.FAILED


async def test_a_form_without_end_is_cut_off(stranger: Pages) -> None:
    status, _, _ = await stranger.post("/login", user="a" * 100_000, password="")
    assert status == 413


async def test_a_failed_exchange_is_tried_again(desk: Pages) -> None:
    job = await desk.open(State.FAILED, Kind.SHARE, peer="Region", reason="the peer refused", cure="ask them")
    assert "Try again" in await desk.page("/inbox")
    status, location, _ = await desk.act(f"/exchanges/{job.id}/release")
    assert (status, location) == (303, f"/exchanges/{job.id}")
    assert await desk.state(job) is State.READY
    assert desk.woken == ["wake"]
    assert "Released by admin" in await desk.page(location)


async def test_what_is_here_of_an_incomplete_one_is_accepted(desk: Pages) -> None:
    study = await desk.arrive("1.2.3.9", person("P1"))
    job = await desk.open(
        State.INCOMPLETE, Kind.RECEIVE, peer="Lakeside", study_instance_uid=study.study_instance_uid,
        payload={"missing": {"1.2.3.9.1.2": "the source does not have it"}}, reason="1 of 2 is missing",
    )  # fmt: skip
    text = await desk.page(f"/exchanges/{job.id}")
    assert "1.2.3.9.1.2" in text
    assert "the source does not have it" in text
    status, _, _ = await desk.act(f"/exchanges/{job.id}/accept")
    assert status == 303
    assert await desk.state(job) is State.STORED


@pytest.mark.parametrize("status", [StudyStatus.REGISTERED, StudyStatus.CANCELLED])
async def test_accepting_makes_a_study_available_but_for_one_that_was_withdrawn(
    desk: Pages, status: StudyStatus
) -> None:
    study = await desk.arrive("1.2.3.9", person("P1"))
    async with desk.store.unit() as work:
        await work.studies.set_status("1.2.3.9", status, NOON)
    job = await desk.open(State.INCOMPLETE, Kind.RECEIVE, study_instance_uid=study.study_instance_uid)
    assert (await desk.act(f"/exchanges/{job.id}/accept"))[0] == 303
    async with desk.store.view() as work:
        record = await work.studies.get("1.2.3.9")
    assert record is not None
    assert record.status is (StudyStatus.AVAILABLE if status is StudyStatus.REGISTERED else status)


async def test_giving_up_says_why_on_timeline_and_audit(desk: Pages) -> None:
    job = await desk.open(State.FAILED)
    assert (await desk.act(f"/exchanges/{job.id}/give-up", reason="sent twice"))[0] == 303
    assert await desk.state(job) is State.ABANDONED
    assert "Given up: sent twice by admin" in await desk.page(f"/exchanges/{job.id}")
    assert "sent twice" in (await desk.audited())[0].outcome_description
    status, _, text = await desk.act(f"/exchanges/{job.id}/give-up", reason="again")
    assert status == 422
    assert "That did not work" in text


async def test_a_study_is_shared_with_a_peer_that_takes_manifests(desk: Pages) -> None:
    study = await desk.arrive("1.2.3.9", person("P1"))
    text = await desk.page("/studies/1.2.3.9")
    assert "<option>Region</option>" in text
    assert "<option>Lakeside</option>" not in text
    status, location, _ = await desk.act(f"/studies/{study.study_instance_uid}/share", peer="Region")
    assert status == 303
    assert "Share with Region" in await desk.page(location)
    status, _, text = await desk.act(f"/studies/{study.study_instance_uid}/share", peer="Nowhere")
    assert status == 422
    assert "Nowhere" in text


async def test_a_study_says_what_is_hidden_by_which_manifest_and_when(desk: Pages) -> None:
    study = await desk.arrive("1.2.3.9", person("P1"))
    assert "withdrawn" not in await desk.page("/studies/1.2.3.9")
    alone = replace(
        study.series[0], instances=(replace(study.series[0].instances[0], sop_instance_uid=Uid("1.2.3.9.1.2")),)
    )
    manifest = replace(study, series=(alone,))
    async with desk.store.unit() as work:
        await work.studies.expect(manifest, "Lakeside", NOON, ("1.2.77",))
        fetched = ArrivedInstance(study=manifest, metadata=b"{}")
        await work.studies.add((fetched,), study.patient, "Lakeside", NOON, Origin.FETCHED)
        await work.studies.withdraw(("1.2.77",), (), "1.2.78", NOON)
    text = await desk.page("/studies/1.2.3.9")
    for shown in ("<strong>1 instance hidden</strong>", "by manifest", "1.2.78", NOON.isoformat(), "1.2.3.9.1.2"):
        assert shown in text
    assert 'data-instances="1.2.3.9.1.1"' in text


async def test_what_lacks_a_code_asks_for_a_row_and_not_for_a_patient(desk: Pages) -> None:
    study = await desk.arrive("1.2.3.9", person("P1"))
    job = await desk.open(
        State.HELD, study_instance_uid=study.study_instance_uid, patient_id=str(study.patient.identifiers[0]),
        payload={"held": "codes"}, reason="the table of codes has nothing for: type of modality CT", cure="add a row",
    )  # fmt: skip
    for path in ("/inbox", f"/exchanges/{job.id}"):
        text = await desk.page(path)
        assert "The table of codes has nothing for: type of modality CT" in text
        assert "Release publishes it by what the table of codes says now" in text
        for other in ("Whose study is it?", "Choose the patient", "Find a patient"):
            assert other not in text
    assert (await desk.act(f"/exchanges/{job.id}/release"))[0] == 303
    assert await desk.state(job) is State.READY


async def test_a_back_fill_has_a_page_that_says_how_far_it_is(desk: Pages) -> None:
    async with desk.store.unit() as work:
        job = await open_backfill(work, FixedClock(), Asked(actions=("register",)))
        await work.ledger.advance(job.id, Event.TEMPORARY, NOON, reason="3 of 9 studies: 3 published")
    text = await desk.page(f"/exchanges/{job.id}")
    assert "Publish what is here" in text
    assert "3 of 9 studies: 3 published" in text
    assert "publishing what is here" in await desk.page("/exchanges")


# --- deciding whose it is ---------------------------------------------------------------------------------------------


async def held(desk: Pages, claimed: Patient) -> str:
    study = await desk.arrive("1.2.3.9", claimed, description="Chest")
    async with desk.store.unit() as work:
        await work.studies.set_status("1.2.3.9", StudyStatus.UNKNOWN, NOON)
    job = await desk.open(
        State.HELD, study_instance_uid=study.study_instance_uid, patient_id=str(claimed.identifiers[0]),
        reason="nobody here has this id", cure="decide",
    )  # fmt: skip
    return job.id


async def test_the_inbox_shows_who_it_is_said_to_be_and_who_of_ours_is_like_that(desk: Pages) -> None:
    foreign = person("F9", "Doe", "Anna", Oid("1.2.99"))
    await desk.put(person("P1", "Doe", "Ann"), person("P2", "Roe", "Ben"))
    exchange = await held(desk, foreign)
    text = await desk.page("/inbox")
    for shown in ("Doe, Anna", "F9", "1.2.99", "Chest", "Nobody here has this id.", "Release to Doe, Ann, P1"):
        assert shown in text
    assert "Roe" not in text
    assert f"/exchanges/{exchange}" in text


async def test_a_person_finds_the_patient_and_releases_to_them(desk: Pages) -> None:
    await desk.put(person("P1", "Doe", "Ann"), person("P2", "Roe", "Ben"))
    exchange = await held(desk, person("F9", "Moe", "Cat", Oid("1.2.99")))
    assert "Roe" not in await desk.page(f"/exchanges/{exchange}")
    assert "Release to Roe, Ben, P2" in await desk.page(f"/exchanges/{exchange}?find=roe")
    assert "Nobody here has this id or name" in await desk.page(f"/exchanges/{exchange}?find=zzz")
    status, _, text = await desk.act(f"/exchanges/{exchange}/release", patient=str(person("P2").identifiers[0]))
    assert status == 303, text
    assert "P2" in await desk.page("/studies/1.2.3.9")
    decision = (await desk.audited())[0]
    assert "admin" in {who.user_id for who in decision.participants}


@pytest.mark.parametrize(("patient", "status"), [("nonsense", 400), ("P77^^^&1.2.3.4&ISO", 404), ("", 404)])
async def test_a_release_that_settles_nothing_says_so(desk: Pages, patient: str, status: int) -> None:
    exchange = await held(desk, person("F9", "Moe", "Cat", Oid("1.2.99")))
    found, _, text = await desk.act(f"/exchanges/{exchange}/release", patient=patient)
    assert found == status
    assert "What helps:" in text


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_the_way_to_a_peer_is_walked_and_told_on_its_card(desk: Pages) -> None:
    status, _, page = await desk.act("/peers/Lakeside/test")
    assert status == 200
    assert "does not work" in page
    assert "it has no address" in page
    assert "Check the &lt;name&gt; server" in page
    jobs = await desk.audited()
    assert any("Way to Lakeside tested" in repr(record) for record in jobs)
    page = await desk.page("/peers")
    assert "Way to Lakeside tested" in page  # we asked them: it is no question from Lakeside
    assert "Question from Lakeside" not in page
    assert (await desk.act("/peers/Nobody/test"))[0] == 422
    assert (await desk.post("/peers/Lakeside/test"))[0] == 403


async def test_an_empty_house_says_what_will_be_here(tmp_path: Path) -> None:
    async with desk_pages(tmp_path, peers=()) as desk:
        await desk.enter()
        for path, text in (
            ("/inbox", "Nothing waits for a person"), ("/exchanges", "No exchange fits"),
            ("/studies", "No study is here yet"), ("/peers", "No peer is configured"),
        ):  # fmt: skip
            assert text in await desk.page(path)


async def test_the_root_leads_to_the_inbox(desk: Pages) -> None:
    async with desk.http.get(desk.url + "/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/inbox")


@pytest.mark.parametrize("path", [*PAGES, "/login", "/studies/none", "/static/desk.css"])
async def test_every_answer_has_the_security_headers(desk: Pages, path: str) -> None:
    async with desk.http.get(desk.url + path, allow_redirects=False) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert ("no-store" in answer.headers["Cache-Control"]) == (not path.startswith("/static"))


async def test_a_timeline_tells_step_transaction_peer_bytes_time_outcome_why_and_cure(desk: Pages) -> None:
    job = await desk.open(State.READY, Kind.RECEIVE, peer="Lakeside")
    async with desk.store.unit() as work:
        await work.ledger.note(step(job.id, peer="Lakeside", size_bytes=31_500_000, duration_ms=1234.0))
        await work.ledger.note(
            step(
                job.id, outcome=StepOutcome.FAILURE, text="tried to fetch", why="the peer does not answer",
                cure="it is asked again", peer="Lakeside",
            )
        )  # fmt: skip
    text = await desk.page(f"/exchanges/{job.id}")
    for shown in (
        "Study offered by Lakeside", "<div>60 instances came</div>", "RAD-69", "31.5 MB", "1.2 s", "done",
        "13:00:00", "failed", "The peer does not answer.", "It is asked again.",
    ):  # fmt: skip
        assert shown in text, shown


async def test_single_questions_are_shown_when_they_are_asked_for(desk: Pages) -> None:
    question = await desk.open(State.DONE, Kind.ASK, peer="Region")
    transfer = await desk.open(State.DONE, Kind.RECEIVE, peer="Lakeside")
    text = await desk.page("/exchanges")
    assert transfer.id in text
    assert question.id not in text
    assert question.id in await desk.page("/exchanges?kind=all")
    assert transfer.id not in await desk.page("/exchanges?kind=ask")
    assert transfer.id not in await desk.page("/exchanges?peer=Region&kind=all")


@pytest.mark.parametrize(
    "path", ["/exchanges?kind=x", "/exchanges?state=x", "/studies?offset=x", "/studies?offset=-1", "/audit?since=x",
             "/audit?outcome=x", "/audit?before=x"],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_a_page_and_not_a_defect(desk: Pages, path: str) -> None:
    status, text = await desk.get(path)
    assert status == 400
    assert "That did not work" in text


async def test_exchanges_go_on_over_pages(desk: Pages) -> None:
    jobs = [await desk.open(State.DONE) for _ in range(51)]
    first = await desk.page("/exchanges")
    assert jobs[0].id not in first
    assert f"before={jobs[1].id}" in first
    second = await desk.page(f"/exchanges?before={jobs[1].id}")
    assert jobs[0].id in second
    assert jobs[1].id not in second


async def test_the_inbox_goes_on_over_pages(desk: Pages) -> None:
    jobs = [await desk.open(State.FAILED) for _ in range(21)]
    first = await desk.page("/inbox")
    assert jobs[0].id not in first
    assert jobs[0].id in await desk.page(f"/inbox?before={jobs[1].id}")


@pytest.mark.parametrize("word", ["P1", "A7", "1.2.3.9", "Doe", "doe ann"])
async def test_a_study_is_found_by_what_a_person_has_in_hand(desk: Pages, word: str) -> None:
    await desk.arrive("1.2.3.9", person("P1"), description="Chest")
    await desk.arrive("1.2.3.8", person("P2", "Roe"), description="Knee", accession_numbers=())
    text = await desk.page(f"/studies?q={word}")
    assert "Chest" in text
    assert ">Knee<" not in text
    assert "/dicomweb/studies/1.2.3.9/series/1.2.3.9.1/thumbnail" in text


async def test_a_study_shows_its_series_and_from_where_dragging_starts(desk: Pages) -> None:
    await desk.arrive("1.2.3.9", person("P1"), description="Chest")
    text = await desk.page("/studies/1.2.3.9")
    for shown in ("Doe, Ann", "born 1950-03-14", "female", "P1", "A7", 'data-level="-600"', 'data-width="1500"'):
        assert shown in text, shown
    assert (await desk.get("/studies/9.9"))[0] == 404


async def test_peers_say_what_they_are_asked_for(desk: Pages) -> None:
    await desk.open(State.FAILED, Kind.SHARE, peer="Region")
    text = await desk.page("/peers")
    for shown in ("Lakeside", "https://lakeside.example/soap", "1.2.4.1", "Share with Region", "no exchange yet"):
        assert shown in text, shown
    assert "everything but ITI-57, ITI-62, ITI-86, ITI-92" in text


async def test_what_a_peer_supports_is_on_its_card_by_the_last_test_and_by_what_was_seen_since(desk: Pages) -> None:
    text = await desk.page("/peers")
    assert "What Lakeside supports" in text
    assert "unknown" in text
    await desk.act("/peers/Lakeside/test")
    assert "does not work" in await desk.page("/peers")  # it is kept
    desk.clock.advance(300)
    desk.sightings.note("Lakeside", "RAD-69", Sort.OUTCOME, Ended.WORKS, desk.clock.now())
    desk.sightings.note("Lakeside", "RAD-69", Sort.FINDING, "lf-only-mime", desk.clock.now())
    text = await desk.page("/peers")
    assert "does not work" not in text
    for shown in ("works", "1 works", "lf-only-mime in RAD-69, 1 time"):
        assert shown in text, shown


async def test_peers_say_on_whose_behalf_they_ask_and_are_asked(tmp_path: Path) -> None:
    asks = Peer(name="Asks", assertion=AssertionPolicy.REQUIRED, purposes=frozenset({"TREAT", "ETREAT"}))
    asked = Peer(name="Asked", send_assertion=SentAssertion.HOLDER_OF_KEY)
    for peer, shown, hidden in (
        (asks, "always; served for ETREAT, TREAT", "Is told for whom we ask"),
        (asked, "holder-of-key", "Says for whom it asks"),
    ):
        folder = tmp_path / peer.name
        folder.mkdir()
        async with desk_pages(folder, peers=(peer,)) as desk:
            await desk.enter()
            text = await desk.page("/peers")
            assert shown in text
            assert hidden not in text


async def test_a_raw_message_is_shown_as_text_and_looking_is_audited(desk: Pages) -> None:
    job = await desk.open(State.DONE, Kind.ASK)
    body = b"MSH|^~\\&|<b>ADT</b>\rPID|||P1\x00"
    async with desk.store.unit() as work:
        await work.raw.keep(job.id, job.opened_at, body, failed=False)
        await work.ledger.note(step(job.id, raw_key=f"raw:{job.id}"))
    assert f"/exchanges/{job.id}/raw" in await desk.page(f"/exchanges/{job.id}")
    text = await desk.page(f"/exchanges/{job.id}/raw")
    assert "&lt;b&gt;ADT&lt;/b&gt;\nPID|||P1" in text
    looked = (await desk.audited(user="admin"))[0]
    assert "raw message" in str(looked)
    assert (await desk.get("/exchanges/none/raw"))[0] == 404


async def test_audit_is_told_in_sentences_and_searching_it_is_audited(desk: Pages) -> None:
    async with desk.store.unit() as work:
        for text, patient, study in (("Shared", "P1", "1.2.3.9"), ("Accepted", "P2", "1.2.3.8")):
            await work.audit.record(
                operator_decision(
                    at=NOON, source_id="valley", house=HOUSE.party(), person="clara", text=text,
                    patient=person(patient).identifiers[0], study_instance_uid=study,
                )
            )  # fmt: skip
    everything = await desk.page("/audit")
    assert "Saturday, 14 March 2026" in everything
    assert 'href="/studies/1.2.3.9"' in everything
    before = len(await desk.audited())
    for query, shown, hidden in (
        ("patient=P1", "Shared", "Accepted"), ("user=clara&study=1.2.3.8", "Accepted", "Shared"),
        ("since=2026-03-14&until=2026-03-15&user=clara", "Shared", "logged in"),
    ):  # fmt: skip
        text = await desk.page(f"/audit?{query}")
        assert shown in text, query
        assert hidden not in text, query
    assert "No record fits" in await desk.page("/audit?until=2026-03-14")  # a day begins where the house is
    assert "No record fits" in await desk.page("/audit?outcome=12&organisation=Nowhere")
    assert len(await desk.audited()) == before + 5


async def test_the_audit_of_a_study_has_the_records_of_its_exchanges(desk: Pages) -> None:
    job = await desk.open(State.DONE, Kind.RECEIVE, study_instance_uid="1.2.3.9", peer="Lakeside")
    async with desk.store.unit() as work:
        await work.audit.record(
            operator_decision(at=NOON, source_id="valley", house=HOUSE.party(), person="clara", text="Came in",
                              patient=person("P1").identifiers[0], study_instance_uid=""),
            job.id,
        )  # fmt: skip
    assert "Came in" in await desk.page("/audit?study=1.2.3.9")
    assert "Came in" not in await desk.page("/audit?study=1.2.3.8")


# --- what others wrote ------------------------------------------------------------------------------------------------


async def test_nothing_that_others_wrote_becomes_markup(tmp_path: Path) -> None:
    evil = Peer(name=ATTACK, endpoints={"RAD-68": f"https://x/{ATTACK}"})
    async with desk_pages(tmp_path, peers=(evil,)) as desk:
        await desk.enter()
        patient = replace(person("P1"), name=PersonName(family=ATTACK, given=ATTACK))
        await desk.put(patient)
        study = await desk.arrive("1.2.3.9", patient, description=ATTACK)
        job = await desk.open(
            State.HELD, Kind.STORE, peer=ATTACK, reason=ATTACK, cure=ATTACK, study_instance_uid="1.2.3.9",
            patient_id=str(patient.identifiers[0]), payload={"missing": {ATTACK: ATTACK}},
        )  # fmt: skip
        async with desk.store.unit() as work:
            fields = dict.fromkeys(("transaction", "text", "peer", "why", "cure"), ATTACK)
            await work.ledger.note(step(job.id, **fields))
            await work.audit.record(
                operator_decision(at=NOON, source_id="v", house=HOUSE.party(), person=ATTACK, text=ATTACK), job.id
            )
        for path in (
            *PAGES, f"/exchanges/{job.id}", f"/exchanges/{job.id}?find=P1", f"/studies/{study.study_instance_uid}",
            "/studies?q=%22%3E%3Cscript%3E", "/audit?user=%22%3E%3Cscript%3E", "/exchanges?study=%22%3E%3Cscript%3E",
            "/exchanges?kind=%3Cscript%3E",
        ):  # fmt: skip
            _, text = await desk.get(path)
            assert "<script>" not in text, path
            assert "<img src=x" not in text, path
        inbox = await desk.page("/inbox")
        assert escape(ATTACK, quote=False)[:20] in inbox
        assert "{{7*7}}" in inbox  # a template is not made of what others wrote


# --- quick ------------------------------------------------------------------------------------------------------------


async def test_fifty_exchanges_are_shown_quickly(desk: Pages) -> None:
    for number in range(50):
        await desk.open(State.FAILED, Kind.RECEIVE, peer="Lakeside", study_instance_uid=f"1.2.{number}", reason="no")
    await desk.page("/exchanges")  # compiles the template
    took = []
    for _ in range(10):
        began = time.process_time()
        await desk.page("/exchanges")
        took.append(time.process_time() - began)
    assert min(took) < 0.010, took


# --- documents --------------------------------------------------------------------------------------------------------


REPORT = ReferenceId(value="1.2.3.77", type=STUDY_INSTANCE_UID)
REGISTERED = submission(entry(reference_ids=(REPORT,)))


async def registered(desk: Pages, submission: Submission) -> None:
    async with desk.store.unit() as work:
        await work.registry.put(submission, NOON)


async def test_a_document_is_found_by_its_id_its_study_and_its_patient_and_looking_is_audited(desk: Pages) -> None:
    await registered(desk, REGISTERED)
    kept = REGISTERED.entries[0]
    study = next(each.value for each in kept.reference_ids if each.type == STUDY_INSTANCE_UID)
    for text in (kept.unique_id, study, str(kept.patient_id)):
        page = await desk.page(f"/documents?{urlencode({'q': text})}")
        assert f"/documents/{kept.entry_uuid}" in page
    assert "No document fits" in await desk.page("/documents?q=1.2.3.4")
    looked = [record for record in await desk.audited() if "looked for documents" in repr(record)]
    assert len(looked) == 4
    assert kept.patient_id.value in repr(looked[-1])
    assert "Search for a document" in await desk.page("/documents")
    assert len([record for record in await desk.audited() if "looked for documents" in repr(record)]) == 4


async def test_a_document_shows_what_hangs_on_it_and_its_ebxml(desk: Pages) -> None:
    await registered(desk, REGISTERED)
    kept = REGISTERED.entries[0]
    page = await desk.page(f"/documents/{kept.entry_uuid}")
    assert kept.unique_id in page
    assert "is in" in page
    assert "submission set" in page
    assert "&lt;rim:ExtrinsicObject" in page
    assert "looked at document" in repr((await desk.audited())[0])
    assert (await desk.get("/documents/urn:uuid:none"))[0] == 404


async def test_a_document_shows_its_other_versions_and_no_other_entry_of_the_same_document(desk: Pages) -> None:
    await registered(desk, REGISTERED)
    first, whole = REGISTERED.entries[0], REGISTERED.submission_set
    second = replace(
        first, entry_uuid="urn:uuid:00000000-0000-4000-8000-000000000002", version=2, title="A better title",
        logical_id=first.entry_uuid,
    )  # fmt: skip
    again = replace(first, entry_uuid="urn:uuid:00000000-0000-4000-8000-000000000003", title="The same once more")
    for number, one in ((2, second), (3, again)):
        of_its_own = replace(whole, entry_uuid=f"urn:uuid:set-{number}", unique_id=f"{whole.unique_id}.{number}")
        await registered(desk, replace(REGISTERED, submission_set=of_its_own, entries=(one,), associations=()))
    page = " ".join((await desk.page(f"/documents/{first.entry_uuid}")).split())
    assert f'is followed by</td><td class="nowrap">version 2</td><td><a href="/documents/{second.entry_uuid}"' in page
    assert again.entry_uuid not in page
    page = " ".join((await desk.page(f"/documents/{second.entry_uuid}")).split())
    assert f'follows</td><td class="nowrap">version 1</td><td><a href="/documents/{first.entry_uuid}"' in page


@pytest.mark.parametrize("path", ["/documents/x/y", "/studies/x/y", "/peers/nobody", "/audit/none"])
async def test_an_address_below_a_tab_that_leads_nowhere_is_a_page_that_says_so(desk: Pages, path: str) -> None:
    status, page = await desk.get(path)
    assert status == 404
    assert "There is no such page" in page


# --- on-ramp ----------------------------------------------------------------------------------------------------------

CHEST = Rule(
    do=("register", "offer:Region", "announce:EHR"), modality=("CT", "MR"), institution=("Lake*",),
    younger_than=timedelta(days=90),
)  # fmt: skip


@asynccontextmanager
async def at_the_ramp(folder: Path, **more: Any) -> AsyncIterator[Pages]:
    async with desk_pages(folder, **more) as pages:
        await pages.enter()
        yield pages


async def published(pages: Pages, number: int, peer: str = "", **fields: Any) -> Publication:
    kept = Publication(
        study_instance_uid=f"1.2.50.{number}", peer=peer, at=NOON + timedelta(minutes=number),
        entry_uuid=f"urn:uuid:{number}", unique_id=f"1.2.77.{number}", in_force=True, **fields,
    )  # fmt: skip
    async with pages.store.unit() as work:
        await work.publications.keep(kept)
    return kept


async def test_rules_are_told_in_words_with_what_registries_have_by_them(tmp_path: Path) -> None:
    async with at_the_ramp(tmp_path, rules=(CHEST,)) as desk:
        for number in range(3):
            await published(desk, number)
        await published(desk, 7, "Region", on_demand=True)
        await published(desk, 8, "Region", on_demand=True, snapshot=None)
        text = await desk.page("/on-ramp")
        assert "When a study is available, of modality CT or MR, of institution Lake*, younger than 90 days" in text
        rows = re.findall(r"<td class=.nowrap.>([^<]+)</td><td>([0-9]*)</td>", text)
        assert rows == [("registered here", "3"), ("offered on demand at Region", "2"), ("announced to EHR", "")]


async def test_a_house_without_rules_says_how_to_get_one(desk: Pages) -> None:
    text = await desk.page("/on-ramp")
    assert "No rule is set" in text
    assert "Nothing was published yet" in text
    assert "The archive behind us" not in text


async def test_what_is_held_for_a_code_is_grouped_by_what_is_missing_and_released_by_a_button(desk: Pages) -> None:
    lacks = {"payload": {"held": "codes"}, "reason": "no type of modality XA", "cure": "Add a row to [[map]]"}
    jobs = [await desk.open(State.HELD, study_instance_uid=f"1.2.50.{number}", **lacks) for number in range(3)]
    await desk.open(State.HELD, reason="nobody here has this id", cure="Decide")
    text = await desk.page("/on-ramp")
    assert text.count("No type of modality XA") == 1
    assert "3 waiting" in text
    assert "Add a row to [[map]]" in text
    assert "nobody here has this id" not in text.lower()
    assert f'action="/exchanges/{jobs[0].id}/release"' in text
    status, location, _ = await desk.act(f"/exchanges/{jobs[0].id}/release")
    assert (status, location) == (303, f"/exchanges/{jobs[0].id}")
    assert "2 waiting" in await desk.page("/on-ramp")


async def test_a_back_fill_is_started_at_the_desk_and_tells_how_far_it_is(desk: Pages) -> None:
    await desk.arrive("1.2.50.1", person("P1"))
    status, location, _ = await desk.act(
        "/on-ramp/publish", where="at Region", entries="on demand", modality="ct, mr", since="2024", per_minute="30"
    )
    assert status == 303
    async with desk.store.view() as work:
        job = await work.ledger.get(location.rpartition("/")[2])
    assert job is not None
    assert asked_of(job) == Asked(actions=("offer:Region",), modalities=("CT", "MR"), since="2024", per_minute=30)
    assert desk.woken == ["wake"]
    text = await desk.page("/on-ramp")
    assert "Modality CT or MR; since 2024: offered on demand at Region" in text
    assert "30 a minute" in text
    assert "0 of 1" in text


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"where": "at Nobody"}, "Nobody"),
        ({"where": "here", "per_minute": "many"}, "a number cannot be read"),
        ({"where": "here", "since": "soon"}, "Write a time as 2026, 202601 or 20260131"),
    ],
)
async def test_a_back_fill_that_cannot_be_is_refused_and_none_is_opened(
    desk: Pages, form: dict[str, str], why: str
) -> None:
    status, _, text = await desk.act("/on-ramp/publish", **form)
    assert status >= 400
    assert why.lower() in text.lower()
    async with desk.store.view() as work:
        assert await work.ledger.list(kinds=frozenset({Kind.BACKFILL})) == []


async def test_what_registries_took_last_leads_to_its_entry_and_is_found_by_study(desk: Pages) -> None:
    kept = Snapshot(entry_uuid="urn:uuid:kept", unique_id="1.2.80", digest="d")
    await published(desk, 1, on_demand=True, snapshot=kept)
    await published(desk, 2, "Region", offered=("urn:uuid:9",))
    text = await desk.page("/on-ramp")
    assert text.index("/studies/1.2.50.2") < text.index("/studies/1.2.50.1")
    assert 'href="/documents/urn:uuid:1"' in text
    assert 'href="/documents/urn:uuid:kept"' in text
    assert "/documents/urn:uuid:2" not in text
    assert "no answer yet" in text
    only = await desk.page("/on-ramp?study=1.2.50.1")
    assert "/studies/1.2.50.1" in only
    assert "/studies/1.2.50.2" not in only
    assert "No registry has anything of this study" in await desk.page("/on-ramp?study=1.2.3")


class Looking:
    """An archive behind us that is looked at when somebody says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def look(self, who: str, *, study: str = "", patient: str = "") -> Looked:
        self.asked.append((who, study, patient))
        return Looked("x7", "1 studies seen")


async def test_the_archive_is_looked_at_by_a_button(tmp_path: Path) -> None:
    archive = Looking()
    async with at_the_ramp(tmp_path, synchronise=archive) as desk:
        assert "It is being walked through for the first time" in await desk.page("/on-ramp")
        for what in ("1.2.50.1", "V12.3", "4711"):
            assert (await desk.act("/on-ramp/look", what=what))[:2] == (303, "/exchanges/x7")
        assert archive.asked == [("admin", "1.2.50.1", ""), ("admin", "", "V12.3"), ("admin", "", "4711")]
        assert (await desk.act("/on-ramp/look", what=" "))[0] == 400


async def test_nothing_is_looked_at_where_the_archive_is_the_house_s_own(desk: Pages) -> None:
    assert (await desk.act("/on-ramp/look", what="1.2.50.1"))[0] == 400
