"""A manifest that takes the place of another (RPLC): what it does not name any more is hidden everywhere, and kept.

Source: RAD TF-2 4.68 (RAD68-006); what is hidden is unknown to RAD-69, WADO-RS, QIDO-RS and FHIR alike.
"""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from conformance.samples import SampleStudy
from gateway.cli import cli
from profiles.model.document import AvailabilityStatus, DocumentEntry
from profiles.model.query import DocumentCriteria
from profiles.pix.iti8 import FeedEvent
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.retrieve import DocumentRequest as Wanted
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import ResponseStatus
from tests.support.scenario import (
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
    message_of,
    offer_of,
    rad69_request,
    read_soap,
    world,
)

JSON = "application/dicom+json"


def without(study: SampleStudy, *hidden: str) -> SampleStudy:
    """What a later manifest names of it."""
    series = tuple(
        replace(each, instances=tuple(one for one in each.instances if one.sop_instance_uid not in hidden))
        for each in study.series
    )
    return replace(study, series=tuple(each for each in series if each.instances))


async def provided(here: World, study: SampleStudy, named: SampleStudy, replaces: str | None = None) -> str:
    """A manifest of these, taken and carried out; answers its entryUUID."""
    offer = offer_of(study, manifest=manifest_of(named), replaces=replaces)
    assert await (await here.valley.provide(offer)).codes() == ()
    return entry_of(await here.valley.rests("done"))


def entry_of(exchange: dict[str, Any]) -> str:
    (uuid,) = exchange["payload"]["entries"]
    return str(uuid)


async def told(valley: Valley, path: str) -> Any:
    status, body = await valley.get(f"/dicomweb{path}", JSON)
    return orjson.loads(body) if status == 200 else []


async def seen(here: World, study: SampleStudy) -> set[str]:
    """Instances that others can see; every wire must agree."""
    uid, valley = study.study_instance_uid, here.valley
    listed = {row["00080018"]["Value"][0] for row in await told(valley, f"/studies/{uid}/instances")}
    described = {each["00080018"]["Value"][0] for each in await told(valley, f"/studies/{uid}/metadata")}
    head, bodies = await (await valley.retrieve(rad69_request(study))).retrieved()
    refused = {error.location: error.code for error in head.errors}
    alone = set()
    for series in study.series:
        for one in series.instances:
            path = f"/dicomweb/studies/{uid}/series/{series.series_instance_uid}/instances/{one.sop_instance_uid}"
            status, _ = await valley.get(path, 'multipart/related; type="application/dicom"')
            assert status in (200, 404)
            alone |= {one.sop_instance_uid} if status == 200 else set()
    status, body = await valley.get(f"/dicomweb/studies/{uid}", 'multipart/related; type="application/dicom"')
    assert body.count(b"DICM") == (len(alone) if status == 200 else 0)
    assert listed == described == set(bodies) == alone
    assert refused == {
        one.sop_instance_uid: "XDSDocumentUniqueIdError" for one in study.instances if one.sop_instance_uid not in alone
    }
    assert head.status is (
        ResponseStatus.SUCCESS if not refused else ResponseStatus.PARTIAL_SUCCESS if alone else ResponseStatus.FAILURE
    )
    fhir = await imaging_study(valley, study)
    assert fhir.get("numberOfInstances", 0) == len(alone)
    assert {one["uid"] for each in fhir.get("series", ()) for one in each["instance"]} == alone
    rows = await told(valley, f"/studies?StudyInstanceUID={uid}")
    assert [row["00201208"]["Value"][0] for row in rows] == ([len(alone)] if alone else [])
    return alone


async def imaging_study(valley: Valley, study: SampleStudy) -> dict[str, Any]:
    status, body = await valley.get(f"/fhir/r4/ImagingStudy?identifier=urn:oid:{study.study_instance_uid}")
    assert status == 200
    (entry,) = orjson.loads(body)["entry"]
    status, body = await valley.get(f"/fhir/r4/ImagingStudy/{entry['resource']['id']}")
    assert status == 200
    return dict(orjson.loads(body))


def on_disk(here: World) -> set[str]:
    """SHA-256 of every file that the archive keeps as it was received."""
    files = (here.valley.data / "archive" / "studies").rglob("*.dcm")
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sums(study: SampleStudy) -> set[str]:
    return {hashlib.sha256(one.path.read_bytes()).hexdigest() for one in study.instances}


def uids(study: SampleStudy) -> set[str]:
    return {str(one.sop_instance_uid) for one in study.instances}


def texts(exchange: dict[str, Any]) -> str:
    return " | ".join(step["text"] for step in exchange["steps"])


# --- hidden, and shown again --------------------------------------------------------------------------------------------


async def test_what_the_new_manifest_leaves_out_is_hidden_everywhere_and_shown_when_it_is_named_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=2, instances=3)
        first = await provided(here, study, study)
        assert await seen(here, study) == uids(study)
        before = await imaging_study(here.valley, study)

        gone = {study.series[0].instances[1].sop_instance_uid, study.series[1].instances[2].sop_instance_uid}
        fewer = without(study, *gone)
        second = await provided(here, study, fewer, first)
        assert await seen(here, study) == uids(fewer)
        assert "; 2 that it does not name any more are hidden" in texts(await here.valley.exchange())
        after = await imaging_study(here.valley, study)
        assert int(after["meta"]["versionId"]) > int(before["meta"]["versionId"])
        assert after["meta"]["lastUpdated"] > before["meta"]["lastUpdated"]
        assert after["status"] == "available"
        assert on_disk(here) == sums(study)

        asked = len(here.source.asked)
        await provided(here, study, study, second)
        assert await seen(here, study) == uids(study)
        assert "; 2 that it names again are shown again" in texts(await here.valley.exchange())
        assert len(here.source.asked) == asked  # it was kept: nobody is asked for it


async def test_what_is_hidden_is_shown_when_somebody_pushes_it_and_then_no_manifest_hides_it(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=1, instances=3)
        one = study.instances[0]
        fewer = without(study, one.sop_instance_uid)
        second = await provided(here, study, fewer, await provided(here, study, study))
        assert await seen(here, study) == uids(fewer)
        status, _ = await here.valley.push([one.path.read_bytes()])
        assert status == 200
        await here.valley.rests("done", kind="store")
        assert await seen(here, study) == uids(study)
        await provided(here, study, fewer, second)
        assert await seen(here, study) == uids(study)


async def test_a_study_that_the_new_manifest_does_not_name_at_all_is_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study, other = here.study(seed=1, instances=2), here.study(seed=2, instances=2)
        first = await provided(here, study, study)
        second = await provided(here, other, other, first)
        assert await seen(here, study) == set()
        assert await seen(here, other) == uids(other)
        left = await imaging_study(here.valley, study)
        assert left["status"] == "cancelled"
        assert "series" not in left
        rows = await told(here.valley, f"/studies?PatientID={VALLEY_ID.value}")
        assert [row["0020000D"]["Value"][0] for row in rows] == [other.study_instance_uid]
        assert on_disk(here) == sums(study) | sums(other)
        await provided(here, study, study, second)
        assert await seen(here, study) == uids(study)
        assert (await imaging_study(here.valley, study))["status"] == "available"


async def test_a_valid_manifest_beside_the_replaced_one_keeps_everything_shown(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=1, instances=3)
        offer = offer_of(study)
        assert await (await here.valley.provide(offer)).codes() == ()
        await here.valley.rests("done")
        assert await (await here.valley.provide(offer.again())).codes() == ()
        again = entry_of(await here.valley.rests("done"))
        await provided(here, study, without(study, study.instances[0].sop_instance_uid), again)
        assert await here.valley.statuses(study) == ["Approved", "Approved", "Deprecated"]
        assert await seen(here, study) == uids(study)


async def test_operators_see_what_is_hidden_by_which_manifest_and_when(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=1, instances=2)
        first = await provided(here, study, study)
        gone = study.instances[0].sop_instance_uid
        newer = offer_of(study, manifest=manifest_of(without(study, gone)), replaces=first)
        assert await (await here.valley.provide(newer)).codes() == ()
        await here.valley.rests("done")
        shown = await here.valley.ask("GET", f"/studies/{study.study_instance_uid}")
        assert (shown["instances"], shown["missing"]) == (1, [])
        (hidden,) = shown["withdrawn"]
        assert (hidden["sop_instance_uid"], hidden["manifest"]) == (gone, newer.manifest.sop_instance_uid)
        arguments = ["study", "show", study.study_instance_uid, "--data", str(here.valley.data)]
        printed = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
        assert printed.exit_code == 0, printed.output
        assert f"{gone} by manifest {newer.manifest.sop_instance_uid} at " in printed.output


# --- what we published --------------------------------------------------------------------------------------------------


async def published(here: World, status: AvailabilityStatus) -> list[DocumentEntry]:
    """What our own registry has of the patient from us."""
    criteria = DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(status,))
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await here.valley.post("/soap/registry", await message_of(ITI_18, request))
    message = await read_soap(reply.content_type, reply.body)
    return list(ITI_18.decode_response(message.to_codec()).value.entries)


async def named_by(here: World, entry: DocumentEntry) -> set[str]:
    """Instances that the manifest of an entry names, as the repository hands it out."""
    assert entry.repository_unique_id is not None
    wanted = Wanted(repository_unique_id=entry.repository_unique_id, document_unique_id=entry.unique_id)
    message = await message_of(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
    _, documents = await (await here.valley.post(REPOSITORY, message)).retrieved()
    (body,) = documents.values()
    return {str(one.sop_instance_uid) for each in decode_kos(body).value.studies for _, one in each.instances()}


async def test_our_own_manifest_is_replaced_by_one_without_what_is_hidden_and_deprecated_when_nothing_is_left(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, rules=[{"when": "study.available", "do": ["register"]}]) as here:
        await here.valley.tell(ZEBEDIAH)
        study, other = here.study(seed=1, series=2, instances=2), here.study(seed=2, series=1, instances=1)
        first = await provided(here, study, study)
        (ours,) = await published(here, AvailabilityStatus.APPROVED)
        assert await named_by(here, ours) == uids(study)
        fewer = replace(study, series=study.series[:1])
        second = await provided(here, study, fewer, first)
        (ours,) = await published(here, AvailabilityStatus.APPROVED)
        assert await named_by(here, ours) == uids(fewer)
        third = await provided(here, other, other, second)
        await here.valley.rests("done", kind="keep")
        (ours,) = await published(here, AvailabilityStatus.APPROVED)
        assert await named_by(here, ours) == uids(other)
        assert len(await published(here, AvailabilityStatus.DEPRECATED)) == 2
        await provided(here, study, study, third)
        await here.valley.rests("done", kind="keep")
        (ours,) = await published(here, AvailabilityStatus.APPROVED)
        assert await named_by(here, ours) == uids(study)


# --- in between ---------------------------------------------------------------------------------------------------------


async def waits(source: ScriptedSource, asked: Asked) -> Any:
    await source.may_go_on.wait()
    return await honestly(source, asked)


async def test_what_is_on_its_way_when_its_manifest_is_replaced_arrives_hidden(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=1, instances=4)
        fewer = without(study, study.instances[0].sop_instance_uid, study.instances[3].sop_instance_uid)
        here.source.script = [waits]
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        older = await here.valley.rests("moving")
        newer = offer_of(study, manifest=manifest_of(fewer), replaces=entry_of(older))
        assert await (await here.valley.provide(newer)).codes() == ()
        await here.valley.rests("done")
        assert await seen(here, study) == uids(fewer)
        here.source.may_go_on.set()
        await settled(here, older["id"])
        assert await seen(here, study) == uids(fewer)
        assert on_disk(here) == sums(study)
        asked = len(here.source.asked)
        again = entry_of(await here.valley.exchange())
        await provided(here, study, study, again)
        assert await seen(here, study) == uids(study)
        assert len(here.source.asked) == asked


async def test_a_study_that_is_gone_before_it_has_come_stays_gone_and_nobody_is_told_of_it(tmp_path: Path) -> None:
    ehr = {"endpoint": {"ORU^R01": "mllp://127.0.0.1:1"}}
    async with world(tmp_path, peers={"EHR": ehr}, rules=[{"when": "study.available", "do": ["announce:EHR"]}]) as here:
        await here.valley.tell(ZEBEDIAH)
        study, other = here.study(seed=1, series=1, instances=2), here.study(seed=2, series=1, instances=2)
        here.source.script = [waits]
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        older = await here.valley.rests("moving")
        assert await (await here.valley.provide(offer_of(other, replaces=entry_of(older)))).codes() == ()
        await here.valley.rests("stored", study=other.study_instance_uid)  # the EHR does not answer
        here.source.may_go_on.set()
        await settled(here, older["id"])
        assert await seen(here, study) == set()
        assert (await imaging_study(here.valley, study))["status"] == "cancelled"
        assert on_disk(here) == sums(study) | sums(other)


async def settled(here: World, exchange_id: str) -> None:
    async with asyncio.timeout(30):
        while (await here.valley.ask("GET", f"/exchanges/{exchange_id}"))["state"] != "done":
            await asyncio.sleep(0.02)


async def test_an_exchange_that_waits_for_what_is_withdrawn_is_complete_without_it(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=1, instances=3)
        lost = study.instances[1].sop_instance_uid
        del here.source.has[lost]
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        older = await here.valley.rests("incomplete")
        asked = [uid for each in here.source.asked for uid in each.uids].count(lost)
        newer = offer_of(study, manifest=manifest_of(without(study, lost)), replaces=entry_of(older))
        assert await (await here.valley.provide(newer)).codes() == ()
        await here.valley.rests("done")
        await settled(here, older["id"])
        assert await seen(here, study) == uids(study) - {lost}
        assert [uid for each in here.source.asked for uid in each.uids].count(lost) == asked


async def test_a_merge_reaches_what_is_hidden_and_it_is_shown_as_the_survivors(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.valley.tell(SOMEBODY_ELSE)
        study = here.study(series=1, instances=2)
        first = await provided(here, study, study)
        second = await provided(here, study, without(study, study.instances[0].sop_instance_uid), first)
        await here.valley.tell(SOMEBODY_ELSE, FeedEvent.MERGE, subsumed_identifiers=ZEBEDIAH.identifiers[:1])
        await here.valley.rests("done", kind="feed")
        offer = offer_of(study, replaces=second)
        assert await (await here.valley.provide(offer)).codes() == ()
        await here.valley.rests("done")
        rows = await told(here.valley, f"/studies/{study.study_instance_uid}/metadata")
        assert {row["00100020"]["Value"][0] for row in rows} == {OTHER_ID.value}
        assert len(rows) == 2
