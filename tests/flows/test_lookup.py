"""A patient without an id in the affinity domain is looked up before a study is published (ITI-45, then ITI-47).

Source: ITI TF-2 3.45.4.2.3, 3.47.4.2.3.
"""

from collections.abc import AsyncIterator
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
from profiles.model.query import BirthCriteria
from profiles.pdqv3.iti47 import ITI_47, Candidate, CandidatesQuery, CandidatesResponse, QueryResponseCode
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery, IdentifiersResponse
from tests.support.identity_peer import IdentityPeer, identity_peer
from tests.support.identity_v3 import identified
from tests.support.scenario import (
    BORN,
    DOMAIN,
    DOMAIN_ID,
    NAME,
    VALLEY,
    VALLEY_ID,
    ZEBEDIAH,
    World,
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
