"""A source that does not give what its manifest promised: what is kept, what is asked for again, what the timeline says.

Source: RAD TF-2 4.69; decisions: 58 of 60 arrive, instances are compared as sets of UIDs and SOP classes.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from aiohttp import web

from conformance.samples import SampleStudy
from gateway.services import transfer
from profiles.model.codes import DCM, Code
from profiles.model.identifiers import Oid, Uid
from profiles.model.imaging import Manifest
from tests.support.scenario import (
    RETRIEVE_TYPE,
    ZEBEDIAH,
    Asked,
    Behaviour,
    ScriptedSource,
    World,
    honestly,
    manifest_of,
    offer_of,
    retrieve_answer,
    whole,
    world,
    write_study,
)

IDLE_S = 0.6
SECONDARY_CAPTURE = Uid("1.2.840.10008.5.1.4.1.1.7")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds between attempts become hundredths."""
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


def impatient(folder: Path, **changes: Any) -> Any:
    peers = changes.pop("peers", {"Lakeside": {"idle_timeout_s": IDLE_S}})
    return world(folder, peers=peers, **changes)


async def provided(here: World, study: SampleStudy, **how: Any) -> None:
    await here.valley.tell(ZEBEDIAH)
    assert await (await here.valley.provide(offer_of(study, **how))).codes() == ()


def archived(here: World) -> dict[str, int]:
    """SHA-256 of every file in the archive, and how often."""
    found: dict[str, int] = {}
    for path in (here.valley.data / "archive" / "studies").rglob("*.dcm"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[digest] = found.get(digest, 0) + 1
    assert not list((here.valley.data / "archive" / "incoming").iterdir())
    return found


def files_of(study: SampleStudy, *, without: frozenset[str] = frozenset()) -> dict[str, int]:
    return {
        hashlib.sha256(one.path.read_bytes()).hexdigest(): 1
        for one in study.instances
        if one.sop_instance_uid not in without
    }


def explained(exchange: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps that went wrong; each says why and what helps."""
    wrong = [step for step in exchange["steps"] if step["outcome"] in ("failure", "partial")]
    for step in wrong:
        if step["outcome"] == "failure":
            assert step["why"], step
            assert step["cure"], step
    return wrong


async def recovered(here: World, study: SampleStudy) -> dict[str, Any]:
    """It went wrong and ended well: everything is here once, and the timeline tells of both."""
    done = await here.valley.rests("done", "failed", "incomplete")
    if done["state"] == "incomplete":
        done = await here.valley.rests("done", "failed")
    assert done["state"] == "done", done
    assert archived(here) == files_of(study)
    assert len(here.valley.kept().rows["instances"]) == len(study.instances)
    assert explained(done)
    return done


# --- nothing comes, or not all ----------------------------------------------------------------------------------------


async def hangs(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    await source.hang()
    return web.Response()


async def waits(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    await source.may_go_on.wait()
    return await honestly(source, asked)


async def hangs_half_way(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    body = retrieve_answer(asked, [(uid, source.has[uid]) for uid in asked.uids])
    response = web.StreamResponse(headers={"Content-Type": RETRIEVE_TYPE, "Content-Length": str(len(body))})
    await response.prepare(asked.http)
    await response.write(body[: len(body) // 2])
    await source.hang()
    return response


async def closes_half_way(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    body = retrieve_answer(asked, [(uid, source.has[uid]) for uid in asked.uids])
    response = web.StreamResponse(headers={"Content-Type": RETRIEVE_TYPE, "Content-Length": str(len(body))})
    await response.prepare(asked.http)
    await response.write(body[: len(body) // 2])
    await asyncio.sleep(0.05)
    assert asked.http.transport is not None
    asked.http.transport.close()
    return response


async def closes_half_way_without_a_length(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    """As HTTP/1.0 does: the end of the connection looks like the end of the body."""
    body = retrieve_answer(asked, [(uid, source.has[uid]) for uid in asked.uids])
    transport = asked.http.transport
    assert isinstance(transport, asyncio.WriteTransport)
    transport.write(f"HTTP/1.0 200 OK\r\nContent-Type: {RETRIEVE_TYPE}\r\n\r\n".encode() + body[: len(body) // 2])
    transport.close()
    return web.Response()


async def closes_at_once(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    assert asked.http.transport is not None
    asked.http.transport.abort()
    return web.Response()


async def is_busy(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    return web.Response(status=503, text="come back")


async def says_receiver_fault(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    fault = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
        "<s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>Quillfeather is away</s:Text></s:Reason>"
        "</s:Fault></s:Body></s:Envelope>"
    )
    return web.Response(status=500, body=fault.encode(), content_type="application/soap+xml")


@pytest.mark.parametrize(
    ("misbehave", "some_arrived"),
    [
        (hangs, False),
        (hangs_half_way, True),
        (closes_half_way, True),
        (closes_half_way_without_a_length, True),
        (closes_at_once, False),
        (is_busy, False),
        (says_receiver_fault, False),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_a_source_that_breaks_off_is_asked_again_for_what_is_missing(
    tmp_path: Path, misbehave: Behaviour, some_arrived: bool
) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=2, instances=6)
        here.source.script = [misbehave]
        await provided(here, study)
        await recovered(here, study)
        first, second = here.source.asked
        assert len(first.uids) == 12
        assert set(second.uids) <= set(first.uids)
        assert (len(second.uids) < len(first.uids)) is some_arrived


# --- what comes is not what was promised ------------------------------------------------------------------------------


def answering(change: Callable[[ScriptedSource, Asked, list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> Behaviour:
    """A behaviour that sends other documents than it should."""

    async def behave(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
        documents = [(uid, source.has[uid]) for uid in asked.uids if uid in source.has]
        return whole(retrieve_answer(asked, change(source, asked, documents)))

    behave.__name__ = change.__name__
    return behave


def rubbish_in_one(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(documents[0][0], b"<html>Quillfeather was moved</html>" * 30), *documents[1:]]


def one_cut_short(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(documents[0][0], documents[0][1][:-100]), *documents[1:]]


def one_is_empty(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(documents[0][0], b""), *documents[1:]]


def two_exchanged(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    (one, first), (two, second), *rest = documents
    return [(one, second), (two, first), *rest]


def one_left_out(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return documents[1:]


def one_twice(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [documents[0], *documents[:-1]]


@pytest.mark.parametrize(
    ("change", "missing"),
    [(rubbish_in_one, 1), (one_cut_short, 1), (one_is_empty, 1), (two_exchanged, 2), (one_left_out, 1), (one_twice, 1)],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_what_is_wrong_is_not_kept_and_asked_for_again(tmp_path: Path, change: Any, missing: int) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=2, instances=3)
        here.source.script = [answering(change)]
        await provided(here, study)
        done = await recovered(here, study)
        assert [len(asked.uids) for asked in here.source.asked] == [6, missing]
        partial = [step for step in done["steps"] if step["outcome"] == "partial"]
        assert partial
        assert f"{6 - missing} of 6" in partial[0]["text"]


async def test_an_instance_that_nobody_asked_for_is_turned_away(tmp_path: Path) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=1, instances=3)
        foreign = write_study(tmp_path / "foreign", seed=9, series=1, instances=1).instances[0]

        def more(_: ScriptedSource, __: Asked, documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
            return [*documents, (foreign.sop_instance_uid, foreign.path.read_bytes())]

        here.source.script = [answering(more)]
        await provided(here, study)
        await here.valley.rests("done")
        assert archived(here) == files_of(study)
        assert foreign.sop_instance_uid not in str(here.valley.kept().rows["instances"])


@pytest.mark.parametrize("what", ["class", "series", "study"])
async def test_a_manifest_that_says_something_else_than_the_files_ends_incomplete(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "ATTEMPTS", 2)
    async with impatient(tmp_path) as here:
        study = here.study(series=1, instances=3)
        manifest = manifest_of(study)
        (listed,), (series,) = manifest.studies, manifest.studies[0].series
        if what == "class":
            mistaken = replace(series.instances[0], sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.4"))
            series = replace(series, instances=(mistaken, *series.instances[1:]))
            reason, wrong = "SOP class", {series.instances[0].sop_instance_uid}
        elif what == "series":
            series = replace(series, series_instance_uid=Uid("1.2.3.4.5"))
            reason, wrong = "another study or series", {each.sop_instance_uid for each in series.instances}
        else:
            listed = replace(listed, study_instance_uid=Uid("1.2.3.4.6"))
            reason, wrong = "another study or series", {each.sop_instance_uid for each in series.instances}
        await provided(here, study, manifest=replace(manifest, studies=(replace(listed, series=(series,)),)))
        async with asyncio.timeout(20):
            while not (found := await here.valley.rests("incomplete"))["due_at"].startswith(
                "9999"
            ):  # nobody tries again
                await asyncio.sleep(0.05)
        assert set(found["payload"]["missing"]) == set(map(str, wrong))
        assert all(reason in why for why in found["payload"]["missing"].values())
        assert reason in found["reason"]
        assert found["cure"]
        assert archived(here) == files_of(study, without=frozenset(map(str, wrong)))
        accepted = await here.valley.ask("POST", f"/exchanges/{found['id']}/accept", {"person": "clerk"})
        assert accepted["state"] in ("stored", "done")
        await here.valley.rests("done")


async def test_a_manifest_of_instances_that_do_not_exist_ends_incomplete_with_the_source_s_reason(
    tmp_path: Path,
) -> None:
    async with impatient(tmp_path) as here:
        study = write_study(tmp_path / "nowhere", series=1, instances=3)  # the source does not have it
        await provided(here, study)
        found = await here.valley.rests("incomplete", "failed")
        assert (found["state"], found["attempt"], found["due_at"][:4]) == ("incomplete", 1, "9999")
        assert len(found["payload"]["missing"]) == 3
        assert all("XDSDocumentUniqueIdError" in why for why in found["payload"]["missing"].values())
        assert archived(here) == {}
        assert len(here.source.asked) == 1
        study_now = await here.valley.ask("GET", f"/studies/{study.study_instance_uid}")
        assert study_now["status"] == "registered"
        explained(found)


async def test_what_is_there_of_a_study_that_is_partly_gone_is_kept(tmp_path: Path) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=1, instances=5)
        gone = {str(one.sop_instance_uid): here.source.has.pop(one.sop_instance_uid) for one in study.instances[:2]}
        here.source.script = [honestly]
        await provided(here, study)
        found = await here.valley.rests("incomplete", "failed")
        assert set(found["payload"]["missing"]) == set(gone)
        assert found["due_at"].startswith("9999")  # nobody is asked again before a person says so
        told = next(step for step in found["steps"] if "not asked for again" in step["text"])
        assert "XDSDocumentUniqueIdError (2)" in told["why"]
        assert told["cure"]
        here.source.has |= gone
        await here.valley.ask("POST", f"/exchanges/{found['id']}/release", {"person": "clerk"})
        await recovered(here, study)
        assert set(here.source.asked[1].uids) == set(gone)
        assert len(here.source.asked) == 2


def refusing(**codes: tuple[str, str]) -> Behaviour:
    """A source that has an error for the first, second, ... instance that it is asked for: code and words."""

    async def behave(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
        errors = dict(zip(asked.uids, codes.values(), strict=False))
        given = [(uid, source.has[uid]) for uid in asked.uids if uid not in errors]
        body = retrieve_answer(asked, given, errors)
        for uid, (code, words) in errors.items():
            mine = next(each for each in re.findall(rb"<r:RegistryError .*?/>", body) if uid.encode() in each)
            named = re.sub(rb'errorCode="[^"]*"', f'errorCode="{code}"'.encode(), mine)
            named = re.sub(rb'codeContext="[^"]*"', f'codeContext="{words}"'.encode(), named)
            body = body.replace(mine, named)
        return whole(body)

    return behave


async def test_what_a_source_refuses_for_good_is_not_asked_for_again_and_what_it_cannot_give_now_is(
    tmp_path: Path,
) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=1, instances=6)
        here.source.script = [
            refusing(
                one=("XDSDocumentUniqueIdError", "gone"),
                two=("urn:dicom:wado:0007", "Quillfeather"),
                three=("XDSRepositoryError", "no such Transfer Syntax here"),
                four=("XDSRepositoryBusy", "later"),
                five=("XDSRepositoryError", "the archive is down"),
            )
        ]
        await provided(here, study)
        async with asyncio.timeout(20):
            while not (found := await here.valley.rests("incomplete", "failed"))["due_at"].startswith("9999"):
                await asyncio.sleep(0.02)
        assert found["state"] == "incomplete"
        first, second = here.source.asked
        assert set(second.uids) == set(first.uids[3:5])
        assert found["payload"]["ended"] == {
            first.uids[0]: "XDSDocumentUniqueIdError",
            first.uids[1]: "urn:dicom:wado:0007",
            first.uids[2]: "XDSRepositoryError",
        }
        assert set(found["payload"]["missing"]) == set(first.uids[:3])
        assert "Quillfeather" not in json.dumps(found)
        (told,) = (step for step in found["steps"] if "not asked for again" in step["text"])
        assert "urn:dicom:wado:0007 (1)" in told["why"]
        accepted = await here.valley.ask("POST", f"/exchanges/{found['id']}/accept", {"person": "clerk"})
        assert accepted["state"] in ("stored", "done")
        explained(await here.valley.rests("done"))
        assert archived(here) == files_of(study, without=frozenset(first.uids[:3]))


async def test_a_source_that_nobody_is_known_at_holds_up_no_other_one(tmp_path: Path) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=2, instances=3)
        manifest = manifest_of(study)
        (listed,) = manifest.studies
        nowhere = replace(listed.series[0], retrieve_location_uid=Oid("1.2.4.99"))
        manifest = replace(manifest, studies=(replace(listed, series=(nowhere, *listed.series[1:])),))
        await provided(here, study, manifest=manifest)
        found = await here.valley.rests("incomplete", "failed")
        lost = frozenset(str(each.sop_instance_uid) for each in nowhere.instances)
        assert found["state"] == "incomplete"
        assert set(found["payload"]["missing"]) == lost
        assert all("1.2.4.99" in why for why in found["payload"]["missing"].values())
        assert any("retrieve_location_uids" in step["cure"] for step in found["steps"])
        assert archived(here) == files_of(study, without=lost)


# --- answers that are none --------------------------------------------------------------------------------------------


async def speaks_html(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    return web.Response(text="<html>Quillfeather</html>", content_type="text/html")


async def sends_noise(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    return whole(bytes(range(256)) * 400)


async def answers_somebody_else(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    other = replace(asked, message_id="urn:uuid:00000000-0000-4000-8000-000000000000")
    return whole(retrieve_answer(other, [(uid, source.has[uid]) for uid in asked.uids]))


async def sends_a_bomb(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    body = retrieve_answer(asked, [(uid, source.has[uid]) for uid in asked.uids])
    bomb = b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><s:Envelope'
    return whole(body.replace(b"<s:Envelope", bomb))


async def redirects(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})


@pytest.mark.parametrize(
    "misbehave",
    [speaks_html, sends_noise, answers_somebody_else, sends_a_bomb, redirects],
    ids=lambda value: value.__name__,
)
async def test_an_answer_that_cannot_be_one_stops_the_exchange_until_a_person_releases_it(
    tmp_path: Path, misbehave: Callable[..., Awaitable[web.StreamResponse]]
) -> None:
    async with impatient(tmp_path) as here:
        study = here.study(series=1, instances=3)
        here.source.script = [misbehave]
        await provided(here, study)
        failed = await here.valley.rests("failed")
        assert failed["reason"]
        assert failed["cure"]
        assert archived(here) == {}
        explained(failed)
        await here.valley.ask("POST", f"/exchanges/{failed['id']}/release", {"person": "clerk"})
        await recovered(here, study)


async def test_a_retrieve_location_that_nobody_is_known_at_stops_the_exchange(tmp_path: Path) -> None:
    async with impatient(tmp_path) as here:
        study = here.study()
        await provided(here, study, manifest=manifest_of(study, Oid("1.2.4.99")))
        failed = await here.valley.rests("failed")
        assert "1.2.4.99" in failed["reason"]
        assert "retrieve_location_uids" in failed["cure"]


@pytest.mark.parametrize(
    ("sop_class", "events", "shown"),
    [
        (None, ("PT",), "CT"),  # the SOP class is asked first
        (SECONDARY_CAPTURE, ("PT",), "PT"),
        (SECONDARY_CAPTURE, ("PT", "CT"), "OT"),
        (SECONDARY_CAPTURE, (), "OT"),
    ],
)
async def test_a_study_on_its_way_shows_what_is_expected_and_then_what_it_is(
    tmp_path: Path, sop_class: Uid | None, events: tuple[str, ...], shown: str
) -> None:
    async with world(tmp_path) as here:
        study = here.study()
        here.source.script = [waits]
        if sop_class is not None:
            reclass(study, sop_class)
            here.source.keep(study)
        offer = offer_of(study, manifest=reclassed(manifest_of(study), sop_class))
        await here.valley.tell(ZEBEDIAH)
        offer = offer.entry(event_codes=tuple(Code(value=each, system=DCM) for each in events))
        assert await (await here.valley.provide(offer)).codes() == ()
        async with asyncio.timeout(10):
            while not here.source.asked:
                await asyncio.sleep(0.02)
        uid = study.study_instance_uid
        resource = await told(here, f"/fhir/r4/ImagingStudy/{uid}")
        assert resource["status"] == "registered"
        assert {each["modality"]["code"] for each in resource["series"]} == {shown}
        assert all(("extension" in each["modality"]) is (shown == "OT") for each in resource["series"])
        found = await told(here, f"/dicomweb/studies/{uid}/series")
        # QIDO-RS has no word for a guess that nothing supports: the attribute is empty then.
        known = [] if shown == "OT" else [shown]
        assert [each["00080060"].get("Value", []) for each in found] == [known, known]
        assert len(await told(here, f"/dicomweb/studies?ModalitiesInStudy={shown}")) == len(known)
        here.source.may_go_on.set()
        await here.valley.rests("done")
        resource = await told(here, f"/fhir/r4/ImagingStudy/{uid}")
        assert (resource["status"], [each["code"] for each in resource["modality"]]) == ("available", ["CT"])


async def test_what_was_held_shows_what_its_entry_lets_expect_when_it_is_released(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = here.study()
        here.source.script = [waits]
        offer = offer_of(study, manifest=reclassed(manifest_of(study), SECONDARY_CAPTURE))
        offer = offer.entry(event_codes=(Code(value="PT", system=DCM),))
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)
        held = await here.valley.exchange()
        await here.valley.tell(ZEBEDIAH)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "clerk"})
        resource = await told(here, f"/fhir/r4/ImagingStudy/{study.study_instance_uid}")
        assert {each["modality"]["code"] for each in resource["series"]} == {"PT"}


async def told(here: World, path: str) -> Any:
    status, body = await here.valley.get(path, "application/json")
    assert status in (200, 204), body
    return json.loads(body or b"[]")


def reclass(study: SampleStudy, sop_class: Uid) -> None:
    """Make its files instances of another SOP class; their Modality stays."""
    for one in study.instances:
        file = pydicom.dcmread(one.path)
        file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = sop_class
        file.save_as(one.path)


def reclassed(manifest: Manifest, sop_class: Uid | None) -> Manifest:
    """The same, naming another SOP class for every instance; None: as it is."""
    if sop_class is None:
        return manifest
    (study,) = manifest.studies
    series = tuple(
        replace(each, instances=tuple(replace(one, sop_class_uid=sop_class) for one in each.instances))
        for each in study.series
    )
    return replace(manifest, studies=(replace(study, series=series),))


async def test_a_source_that_is_down_is_asked_again(tmp_path: Path) -> None:
    async with impatient(tmp_path) as here:
        study = here.study()
        await here.source.stop()
        await provided(here, study)
        async with asyncio.timeout(20):
            while (found := await here.valley.rests("ready", "moving", "failed"))["attempt"] < 2:
                await asyncio.sleep(0.02)
        assert found["state"] != "failed"
        assert any("nothing answers" in step["why"] for step in found["steps"])
        explained(found)
