"""A patient without an id in the affinity domain is looked up before a study is published (ITI-45, then ITI-47).

Source: ITI TF-2 3.45.4.2.3, 3.47.4.2.3.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.services import transfer
from profiles.errors import Busy, RuleViolation, UnknownPatient
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import PersonName
from profiles.model.query import BirthCriteria
from profiles.pdqv3.iti47 import ITI_47, Candidate, CandidatesQuery, CandidatesResponse, QueryResponseCode
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery, IdentifiersResponse
from tests.support.identity_peer import IdentityPeer, identity_peer
from tests.support.identity_v3 import identified
from tests.support.scenario import (
    BORN,
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE_ID,
    NAME,
    OTHER_ID,
    SOMEBODY_ELSE,
    VALLEY,
    VALLEY_ID,
    ZEBEDIAH,
    World,
    offer_of,
    world,
    write_study,
)

OURS = replace(ZEBEDIAH, identifiers=(VALLEY_ID,))
OTHER = replace(DOMAIN_ID, value="DO55218C")
UNKNOWN = ITI_45.refuse(UnknownPatient("nobody here has this id"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


@asynccontextmanager
async def asking(folder: Path, *transactions: str) -> AsyncIterator[tuple[World, IdentityPeer]]:
    """Valley, which registers what it has, and an MPI that has endpoints for these."""
    async with identity_peer() as mpi:
        peers = {"MPI": {"device_id": "1.2.6.1", "endpoint": dict.fromkeys(transactions, mpi.url)}}
        rules = [{"when": "study.available", "do": ["register"]}]
        async with world(folder, peers=peers, rules=rules) as here:
            await here.valley.tell(OURS)
            yield here, mpi


async def published(here: World, *states: str) -> dict[str, Any]:
    """What became of a study that was pushed."""
    study = write_study(here.folder / "study", series=1, instances=1)
    status, _ = await here.valley.push([one.path.read_bytes() for one in study.instances])
    assert status == 200
    return await here.valley.rests(*states, kind="store")


def who(*identifiers: PatientIdentifier, **changes: Any) -> Candidate:
    return Candidate(patient=replace(ZEBEDIAH, identifiers=identifiers, **changes))


async def test_the_manager_is_asked_by_our_id_for_the_domain_and_what_it_says_is_kept(tmp_path: Path) -> None:
    async with asking(tmp_path, "ITI-45") as (here, mpi):
        mpi.on(ITI_45, lambda _: IdentifiersResponse(identifiers=(DOMAIN_ID,), name=NAME))
        await published(here, "done")
        (query,) = mpi.received
        assert isinstance(query, IdentifiersQuery)
        assert (query.identifier, query.domains) == (VALLEY_ID, (DOMAIN,))
        assert query.transmission.receiver.id.root == "1.2.6.1"
        assert (await identified(here.valley, VALLEY_ID, DOMAIN)).identifiers == (DOMAIN_ID,)
        records = [body for body in here.valley.kept().audit if b'csd-code="ITI-45"' in body]
        assert records
        assert VALLEY_ID.value.encode() in records[0]


async def test_a_patient_whose_id_is_known_is_not_looked_up(tmp_path: Path) -> None:
    async with asking(tmp_path, "ITI-45") as (here, mpi):
        await here.valley.tell(ZEBEDIAH)
        await published(here, "done")
        assert mpi.received == []


async def test_whom_the_manager_does_not_know_the_supplier_is_asked_for_by_demographics(tmp_path: Path) -> None:
    async with asking(tmp_path, "ITI-45", "ITI-47") as (here, mpi):
        mpi.on(ITI_45, lambda _: UNKNOWN)
        mpi.on(ITI_47, lambda _: CandidatesResponse(candidates=(who(DOMAIN_ID),)))
        await published(here, "done")
        _, query = mpi.received
        assert isinstance(query, CandidatesQuery)
        assert query.criteria.birth == BirthCriteria(low=BORN, high=BORN)
        assert [each.name for each in query.criteria.names] == [NAME]
        assert (query.domains, query.initial_quantity) == ((DOMAIN,), 2)
        assert (await identified(here.valley, DOMAIN_ID, VALLEY)).identifiers == (VALLEY_ID,)


@pytest.mark.parametrize(
    ("by_id", "by_demographics"),
    [
        (IdentifiersResponse(identifiers=(DOMAIN_ID, OTHER)), None),
        (UNKNOWN, CandidatesResponse(candidates=(who(DOMAIN_ID), who(OTHER)))),
        (UNKNOWN, CandidatesResponse(candidates=(who(DOMAIN_ID, birth_date=Moment.from_dtm("19610418")),))),
        (UNKNOWN, CandidatesResponse(code=QueryResponseCode.NOT_FOUND)),
        (
            IdentifiersResponse(code=QueryResponseCode.NOT_FOUND),
            CandidatesResponse(candidates=(who(PatientIdentifier(value="1", authority=Oid("1.9"))),)),
        ),
    ],
    ids=["two ids", "two patients", "another birth date", "nobody", "another domain"],
)
async def test_what_is_not_one_certain_id_is_none_and_a_person_decides(
    tmp_path: Path, by_id: IdentifiersResponse, by_demographics: CandidatesResponse | None
) -> None:
    async with asking(tmp_path, "ITI-45", "ITI-47") as (here, mpi):
        mpi.on(ITI_45, lambda _: by_id)
        mpi.on(ITI_47, lambda _: by_demographics)
        failed = await published(here, "failed")
        assert failed["reason"] == "the patient has no id in the affinity domain"
        assert (await identified(here.valley, VALLEY_ID, DOMAIN)).code is QueryResponseCode.NOT_FOUND


async def test_a_manager_that_is_busy_is_asked_again_and_one_that_refuses_is_a_failure(tmp_path: Path) -> None:
    async with asking(tmp_path, "ITI-45") as (here, mpi):
        found = IdentifiersResponse(identifiers=(DOMAIN_ID,))
        mpi.on(ITI_45, lambda _: ITI_45.refuse(Busy("later")) if len(mpi.received) < 2 else found)
        await published(here, "done")
        assert len(mpi.received) == 2


async def test_a_refusal_is_not_taken_for_nobody(tmp_path: Path) -> None:
    async with asking(tmp_path, "ITI-45", "ITI-47") as (here, mpi):
        mpi.on(ITI_45, lambda _: ITI_45.refuse(RuleViolation("not like this")))
        failed = await published(here, "failed")
        assert failed["reason"] == "MPI refused the message"
        assert len(mpi.received) == 1


# --- whose it is that is held -----------------------------------------------------------------------------------------

UNLIKE = replace(OURS, name=PersonName(family="Quillfeather", given="Zeb"), birth_date=Moment.from_dtm("19610418"))
"""As we know him, so that his demographics alone do not tell who Lakeside's patient is."""


@asynccontextmanager
async def holding(folder: Path, answer: Callable[[Any], Any]) -> AsyncIterator[tuple[World, IdentityPeer]]:
    """Valley, and an MPI that says this; Lakeside has offered a study of a patient of its own."""
    async with identity_peer() as mpi:
        mpi.on(ITI_45, answer)
        peers = {"MPI": {"device_id": "1.2.6.1", "endpoint": {"ITI-45": mpi.url}}}
        async with world(folder, peers=peers) as here:
            await here.valley.tell(UNLIKE)
            reply = await here.valley.provide(offer_of(here.study()))
            assert await reply.codes() == ("DocumentQueued",)
            yield here, mpi


async def test_what_is_held_is_released_when_a_manager_knows_whose_it_is(tmp_path: Path) -> None:
    async with holding(tmp_path, lambda _: IdentifiersResponse(identifiers=(VALLEY_ID,))) as (here, mpi):
        await here.valley.rests("done")
        (query,) = mpi.received
        assert (query.identifier, set(query.domains)) == (LAKESIDE_ID, {VALLEY, DOMAIN})
        assert (await identified(here.valley, LAKESIDE_ID, VALLEY)).identifiers == (VALLEY_ID,)
        decisions = [step for step in here.valley.kept().steps if step["text"].startswith("Released")]
        assert all("MPI (ITI-45)" in step["text"] for step in decisions)
        assert decisions
        await here.valley.rests("done", kind="feed")


@pytest.mark.parametrize(
    "answer",
    [
        UNKNOWN,
        IdentifiersResponse(code=QueryResponseCode.NOT_FOUND),
        IdentifiersResponse(identifiers=(replace(VALLEY_ID, value="VANOBODY"),)),
        IdentifiersResponse(identifiers=(VALLEY_ID, OTHER_ID)),
    ],
    ids=["unknown there", "no id of ours", "nobody here", "two of ours"],
)
async def test_what_no_manager_knows_for_certain_stays_held(tmp_path: Path, answer: IdentifiersResponse) -> None:
    async with holding(tmp_path, lambda _: answer) as (here, mpi):
        await here.valley.tell(SOMEBODY_ELSE)
        await mpi.until(1)
        await here.valley.rests("done", kind="feed")
        assert (await here.valley.exchange())["state"] == "held"


async def test_a_manager_that_is_down_is_asked_again_and_what_is_held_waits(tmp_path: Path) -> None:
    replies = iter([ITI_45.refuse(Busy("later")), IdentifiersResponse(identifiers=(VALLEY_ID,))])
    async with holding(tmp_path, lambda _: next(replies)) as (here, mpi):
        await mpi.until(2)
        await here.valley.rests("done")


async def test_a_pushed_study_that_is_held_is_released_too(tmp_path: Path) -> None:
    async with identity_peer() as mpi:
        mpi.on(ITI_45, lambda _: IdentifiersResponse(identifiers=(VALLEY_ID,)))
        async with world(tmp_path, peers={"MPI": {"device_id": "1.2.6.1", "endpoint": {"ITI-45": mpi.url}}}) as here:
            await here.valley.tell(UNLIKE)
            await published(here, "done")
            assert len(mpi.received) == 1
