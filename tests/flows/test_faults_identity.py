"""Whose it is, when that changes or cannot be: merges, corrections, a study under two patients.

Source: ITI TF-2 3.8.4.2 (A40: irreversible, the only way to change a patient id); hl7v2 notes 4.3.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from pydicom import dcmread

from conformance.samples import SampleStudy
from gateway.services import transfer
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient, PersonName
from profiles.pix.iti8 import FeedEvent
from profiles.wire.multipart import parts_of
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    OTHER_ID,
    REPOSITORY,
    SOMEBODY_ELSE,
    VALLEY_ID,
    ZEBEDIAH,
    Asked,
    ScriptedSource,
    Valley,
    World,
    honestly,
    manifest_of,
    offer_of,
    world,
)

SURVIVOR_ID = PatientIdentifier(value="VA99402B", authority=VALLEY_ID.authority)
SURVIVOR_DOMAIN_ID = PatientIdentifier(value="DO55218B", authority=DOMAIN)
SURVIVOR = replace(
    ZEBEDIAH, identifiers=(SURVIVOR_ID, SURVIVOR_DOMAIN_ID), name=PersonName(family="Quillfeather", given="Zeb")
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


async def merged(valley: Valley, subsumed: PatientIdentifier, surviving: Patient) -> bool:
    answer = await valley.tell(surviving, FeedEvent.MERGE, subsumed_identifiers=(subsumed,))
    return answer.accepted


async def served_patients(valley: Valley, study: SampleStudy) -> set[tuple[str, str]]:
    """PatientID and name in every file that WADO-RS hands out."""
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    async with valley.http.get(
        valley.url + f"/dicomweb/studies/{study.study_instance_uid}", headers={"Accept": accept}
    ) as answer:
        assert answer.status == 200
        found = set()
        async for part in parts_of(answer.content.iter_any(), answer.headers["Content-Type"]):
            body = b"".join([chunk async for chunk in part.chunks])
            dataset = dcmread(io.BytesIO(body), stop_before_pixels=True)
            found.add((str(dataset.PatientID), str(dataset.PatientName)))
        return found


async def told_patients(valley: Valley, study: SampleStudy) -> set[str]:
    """PatientID in every object of the study's metadata."""
    status, body = await valley.get(f"/dicomweb/studies/{study.study_instance_uid}/metadata")
    assert status == 200
    return {each["00100020"]["Value"][0] for each in orjson.loads(body)}


async def found_for(valley: Valley, patient: PatientIdentifier) -> int:
    """How many ImagingStudy a search for this patient finds."""
    path = f"/fhir/r4/ImagingStudy?patient.identifier=urn:oid:{patient.authority}|{patient.value}"
    async with valley.http.get(valley.url + path) as answer:
        return int((await answer.json(content_type=None))["total"])


# --- A40 --------------------------------------------------------------------------------------------------------------


async def test_a_merge_reaches_study_entry_imaging_study_served_headers_and_audit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SURVIVOR)
        study = here.study()
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        await here.valley.rests("done")
        assert await (await here.valley.provide(offer_of(study, patient_id=DOMAIN_ID), door=REPOSITORY)).codes() == ()
        assert await here.valley.statuses(study, DOMAIN_ID) == ["Approved"]
        assert await served_patients(here.valley, study) == {(VALLEY_ID.value, "Quillfeather^Zebediah")}
        before = here.valley.kept()

        assert await merged(here.valley, VALLEY_ID, replace(SURVIVOR, identifiers=(SURVIVOR_ID,)))
        after = here.valley.kept()
        gone, changed = (body for body in after.audit[len(before.audit) :] if b"ITI-8" in body)
        assert VALLEY_ID.value.encode() in gone
        assert SURVIVOR_ID.value.encode() in changed

        await here.valley.rests("done", kind="feed")
        shown = await here.valley.ask("GET", f"/studies/{study.study_instance_uid}")
        assert shown["patient_id"] == str(SURVIVOR_ID)
        assert await found_for(here.valley, SURVIVOR_ID) == 1
        assert await found_for(here.valley, VALLEY_ID) == 0
        assert await served_patients(here.valley, study) == {(SURVIVOR_ID.value, "Quillfeather^Zeb")}
        assert await told_patients(here.valley, study) == {SURVIVOR_ID.value}

        assert await merged(here.valley, DOMAIN_ID, replace(SURVIVOR, identifiers=(SURVIVOR_DOMAIN_ID,)))
        assert await here.valley.statuses(study, SURVIVOR_DOMAIN_ID) == ["Approved"]
        assert await here.valley.statuses(study, DOMAIN_ID) == []


async def test_what_was_subsumed_is_not_valid_any_more_and_there_is_no_way_back(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SURVIVOR)
        assert await merged(here.valley, DOMAIN_ID, replace(SURVIVOR, identifiers=(SURVIVOR_DOMAIN_ID,)))
        async with here.valley.refusing():
            answer = await here.valley.tell(replace(ZEBEDIAH, identifiers=(DOMAIN_ID,)))
            assert not answer.accepted
        async with here.valley.refusing():
            reply = await here.valley.provide(offer_of(here.study(), patient_id=DOMAIN_ID), door=REPOSITORY)
            assert await reply.codes() == ("XDSUnknownPatientId",)


@pytest.mark.parametrize(
    ("subsumed", "surviving"),
    [
        (PatientIdentifier(value="VANOBODY", authority=VALLEY_ID.authority), ZEBEDIAH),
        (VALLEY_ID, replace(ZEBEDIAH, identifiers=(VALLEY_ID,))),
        (VALLEY_ID, replace(ZEBEDIAH, identifiers=(PatientIdentifier(value="X", authority=VALLEY_ID.authority),))),
    ],
    ids=["nobody has the subsumed id", "both are the same", "nobody has the surviving id"],
)
async def test_a_merge_that_cannot_be_changes_nothing(
    tmp_path: Path, subsumed: PatientIdentifier, surviving: Patient
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        async with here.valley.refusing(audits=2) as refused:
            assert not await merged(here.valley, subsumed, surviving)
        assert refused.step["transaction"] == "ITI-8"


async def held_back(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    """Busy, until the test says that it may go on."""
    await source.may_go_on.wait()
    return web.Response(status=503)


async def provided_and_held_back(here: World, study: SampleStudy) -> None:
    here.source.script = [held_back]
    assert await (await here.valley.provide(offer_of(study))).codes() == ()
    async with asyncio.timeout(20):
        while not here.source.asked:
            await asyncio.sleep(0.02)


async def test_a_study_on_its_way_arrives_for_the_survivor(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SURVIVOR)
        study = here.study()
        await provided_and_held_back(here, study)
        assert await merged(here.valley, VALLEY_ID, replace(SURVIVOR, identifiers=(SURVIVOR_ID,)))
        here.source.may_go_on.set()
        done = await here.valley.rests("done", "failed")
        assert done["state"] == "done", done
        assert await found_for(here.valley, SURVIVOR_ID) == 1
        assert await served_patients(here.valley, study) == {(SURVIVOR_ID.value, "Quillfeather^Zeb")}
        assert await told_patients(here.valley, study) == {SURVIVOR_ID.value}


async def test_a_merge_in_the_middle_of_an_answer_ends_well_too(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SURVIVOR)
        study = here.study()

        async def answers_late(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
            await source.may_go_on.wait()
            return await honestly(source, asked)

        here.source.script = [answers_late]
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        async with asyncio.timeout(20):
            while not here.source.asked:
                await asyncio.sleep(0.02)
        assert await merged(here.valley, VALLEY_ID, replace(SURVIVOR, identifiers=(SURVIVOR_ID,)))
        await here.valley.rests("done", kind="feed")
        here.source.may_go_on.set()
        done = await here.valley.rests("done", "failed")
        assert done["state"] == "done", done
        assert await served_patients(here.valley, study) == {(SURVIVOR_ID.value, "Quillfeather^Zeb")}
        assert await told_patients(here.valley, study) == {SURVIVOR_ID.value}


# --- one study, two patients ------------------------------------------------------------------------------------------


async def test_a_manifest_of_a_study_that_is_another_patient_s_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SOMEBODY_ELSE)
        study = here.study()
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        await here.valley.rests("done")
        other = replace(study, patient=SOMEBODY_ELSE)
        async with here.valley.refusing() as refused:
            offer = offer_of(other, patient_id=OTHER_ID, manifest=manifest_of(other))
            reply = await here.valley.provide(offer)
            assert await reply.codes() == ("XDSPatientIdDoesNotMatch",)
        assert "patient" in refused.step["why"]
        assert len(here.source.asked) == 1


# --- sent again, when the first time came to nothing ------------------------------------------------------------------


async def gave_up(here: World, study: SampleStudy) -> None:
    held = await here.valley.exchange()
    assert held["state"] == "held"
    await here.valley.ask("POST", f"/exchanges/{held['id']}/give-up", {"person": "clerk", "reason": "a mistake"})


async def stayed_held(here: World, study: SampleStudy) -> None:
    assert (await here.valley.exchange())["state"] == "held"


@pytest.mark.parametrize("what_happened", [gave_up, stayed_held], ids=lambda value: value.__name__)
async def test_what_is_sent_again_after_it_came_to_nothing_is_fetched(
    tmp_path: Path, what_happened: Callable[[World, SampleStudy], Awaitable[None]]
) -> None:
    async with world(tmp_path) as here:
        study = here.study()
        offer = offer_of(study)
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)
        await what_happened(here, study)
        await here.valley.tell(ZEBEDIAH)
        assert await (await here.valley.provide(offer.again())).codes() == ()
        done = await here.valley.rests("done")
        assert done["patient_id"] == str(VALLEY_ID)
        assert len(here.valley.kept().rows["instances"]) == 6
