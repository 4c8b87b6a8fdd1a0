"""What becomes of a patient here is told to those who want to know: by ITI-44, and of ids by ITI-46.

Source: ITI TF-2 3.44.4, 3.46.4.1.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.services import transfer
from profiles.errors import Busy, UnknownPatient
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.pix.iti8 import FeedEvent
from profiles.pixv3.iti44 import BY_EVENT, RecordEvent
from profiles.pixv3.iti46 import ITI_46, notification
from profiles.wire.hl7v3.ack import ACCEPTED, AckCode, of_error
from tests.support.identity_peer import IdentityPeer, identity_peer
from tests.support.identity_v3 import MANAGER, answered, fed, identified, sent
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE,
    LAKESIDE_ID,
    OTHER_ID,
    SOMEBODY_ELSE,
    VALLEY_ID,
    ZEBEDIAH,
    World,
    offer_of,
    world,
)

SURVIVOR_ID = replace(VALLEY_ID, value="VA99402B")
SURVIVOR = replace(ZEBEDIAH, identifiers=(SURVIVOR_ID,))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


@asynccontextmanager
async def told(folder: Path, *transactions: str, **settings: Any) -> AsyncIterator[tuple[World, IdentityPeer]]:
    """Valley, and Region, which has endpoints for these."""
    async with identity_peer() as region:
        for transaction in (*BY_EVENT.values(), ITI_46):
            if transaction.id in transactions:
                region.on(transaction, lambda _: ACCEPTED)
        endpoints = dict.fromkeys(transactions, region.url)
        peers = {"Region": {"home_community_id": "1.2.5.1", "endpoint": endpoints, **settings}}
        async with world(folder, peers=peers) as here:
            yield here, region


# --- records (ITI-44) -------------------------------------------------------------------------------------------------


async def test_a_new_patient_a_change_and_a_merge_are_told_in_their_own_events(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-44") as (here, region):
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID, DOMAIN_ID, LAKESIDE_ID)))
        (added,) = await region.until(1)
        assert added.event is RecordEvent.ADD
        assert added.patient.identifiers == (VALLEY_ID, DOMAIN_ID)  # Lakeside's is nothing of Region's
        assert (added.patient.name, added.patient.birth_date, added.patient.sex) == (
            ZEBEDIAH.name, ZEBEDIAH.birth_date, Sex.MALE,
        )  # fmt: skip
        assert added.transmission.sender.organization == Oid("1.2.3.1")
        assert added.transmission.receiver.organization == Oid("1.2.5.1")

        await here.valley.tell(replace(ZEBEDIAH, birth_date=Moment.from_dtm("19610418")), FeedEvent.UPDATE)
        (_, revised) = await region.until(2)
        assert revised.event is RecordEvent.REVISE
        assert revised.patient.birth_date == Moment.from_dtm("19610418")

        await here.valley.tell(SURVIVOR)
        await region.until(3)
        await here.valley.tell(SURVIVOR, FeedEvent.MERGE, subsumed_identifiers=(VALLEY_ID,))
        merged = (await region.until(4))[3]
        assert merged.event is RecordEvent.MERGE
        assert merged.merges == ((VALLEY_ID, SURVIVOR_ID),)
        await here.valley.rests("done", kind="feed")


async def test_what_says_nothing_new_is_not_told(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-44", "ITI-46") as (here, region):
        await here.valley.tell(ZEBEDIAH)
        await region.until(2)
        await here.valley.tell(ZEBEDIAH, FeedEvent.UPDATE)
        await here.valley.tell(SOMEBODY_ELSE)
        await region.until(4)
        assert {each.patient.identifiers[0] for each in region.received[2:]} == {OTHER_ID}


async def test_whoever_told_us_is_not_told_again(tmp_path: Path) -> None:
    async with identity_peer() as lakeside:
        lakeside.on(BY_EVENT[RecordEvent.ADD], lambda _: ACCEPTED)
        peers = {"Lakeside": {"device_id": "1.2.4.1.8", "endpoint": {"ITI-44": lakeside.url}}}
        async with world(tmp_path, peers=peers) as here:
            assert (await fed(here.valley, ZEBEDIAH)).accepted
            await here.valley.tell(SOMEBODY_ELSE)  # by somebody else
            (only,) = await lakeside.until(1)
            assert only.patient.identifiers == (OTHER_ID,)
            assert only.transmission.receiver.id.root == "1.2.4.1.8"


async def test_a_receiver_that_is_busy_is_told_again_with_the_same_message_id(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-44") as (here, region):
        region.on(
            BY_EVENT[RecordEvent.ADD], lambda _: of_error(Busy("later")) if len(region.received) < 2 else ACCEPTED
        )
        await here.valley.tell(ZEBEDIAH)
        first, second = await region.until(2)
        assert first.transmission.id == second.transmission.id
        assert len(set(region.message_ids)) == 1
        await here.valley.rests("done", kind="feed")


async def test_a_receiver_that_refuses_is_a_failure_with_its_code_that_a_person_sees(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-44") as (here, region):
        region.on(BY_EVENT[RecordEvent.ADD], lambda _: of_error(UnknownPatient("no")))
        await here.valley.tell(ZEBEDIAH)
        failed = await here.valley.rests("failed", kind="feed")
        assert failed["reason"] == "Region refused the message"
        records = [body for body in here.valley.kept().audit if b"ITI-44" in body]
        assert b'EventOutcomeIndicator="8"' in records[-1]
        assert b"Region refused the message" in records[-1]


# --- ids (ITI-46) -----------------------------------------------------------------------------------------------------


async def test_a_consumer_is_told_the_whole_list_of_its_domains_when_it_changes_and_not_otherwise(
    tmp_path: Path,
) -> None:
    async with told(tmp_path, "ITI-46", identifier_domains=[DOMAIN, LAKESIDE]) as (here, region):
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID,)))  # none of its domains
        await here.valley.tell(ZEBEDIAH)
        (first,) = await region.until(1)
        assert first == notification((DOMAIN_ID,), ZEBEDIAH.name, first.transmission)
        await here.valley.tell(replace(ZEBEDIAH, sex=Sex.OTHER), FeedEvent.UPDATE)  # nothing of ids
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID, LAKESIDE_ID)), FeedEvent.UPDATE)
        (_, second) = await region.until(2)
        assert set(second.patient.identifiers) == {DOMAIN_ID, LAKESIDE_ID}
        await here.valley.rests("done", kind="feed")
        assert len(region.received) == 2


async def test_after_a_merge_the_list_is_that_of_the_survivor(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-46") as (here, region):
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SURVIVOR)
        await region.until(2)
        await here.valley.tell(SURVIVOR, FeedEvent.MERGE, subsumed_identifiers=(VALLEY_ID,))
        last = (await region.until(3))[2]
        assert set(last.patient.identifiers) == {SURVIVOR_ID, DOMAIN_ID}


async def test_a_link_that_demographics_or_a_person_made_is_told_too(tmp_path: Path) -> None:
    async with told(tmp_path, "ITI-46", identifier_domains=[LAKESIDE]) as (here, region):
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SOMEBODY_ELSE)
        assert await (await here.valley.provide(offer_of(here.study()))).codes() == ()  # his demographics
        (first,) = await region.until(1)
        assert first.patient.identifiers == (LAKESIDE_ID,)
        assert first.patient.name == ZEBEDIAH.name

        stranger = replace(ZEBEDIAH, identifiers=(replace(LAKESIDE_ID, value="LK9"),), name=PersonName(family="X"))
        offer = offer_of(here.study(seed=2, patient=stranger), patient_id=stranger.identifiers[0])
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)
        held = await here.valley.rests("held")
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "ann", "patient": str(OTHER_ID)})
        (_, second) = await region.until(2)
        assert second.patient.identifiers == stranger.identifiers
        assert second.patient.name == SOMEBODY_ELSE.name


async def heard(here: World, patient: Patient) -> AckCode:
    request = notification(patient.identifiers, patient.name, sent())
    code: AckCode = (await answered(here.valley, MANAGER, ITI_46, request)).code
    return code


async def test_what_a_manager_elsewhere_says_of_ids_is_known_here(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        assert await heard(here, replace(ZEBEDIAH, identifiers=(LAKESIDE_ID, DOMAIN_ID))) is AckCode.COMMIT_ACCEPT
        assert set((await identified(here.valley, LAKESIDE_ID)).identifiers) == {VALLEY_ID, DOMAIN_ID}
        status, body = await here.valley.get(
            f"/fhir/r4/Patient?identifier=urn:oid:{VALLEY_ID.authority}|{VALLEY_ID.value}"
        )
        assert status == 200
        assert b"1961-04-17" in body  # the notification speaks of no demographics, and takes none away


async def test_ids_of_nobody_here_are_taken_and_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        before = here.valley.kept()
        stranger = PatientIdentifier(value="LK9", authority=LAKESIDE)
        assert await heard(here, replace(ZEBEDIAH, identifiers=(stranger,))) is AckCode.COMMIT_ACCEPT
        assert here.valley.kept().rows == before.rows


async def test_ids_that_belong_to_two_patients_here_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SOMEBODY_ELSE)
        async with here.valley.refusing():
            assert await heard(here, replace(ZEBEDIAH, identifiers=(DOMAIN_ID, OTHER_ID))) is AckCode.COMMIT_ERROR
