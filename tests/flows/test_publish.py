"""The on-ramp: what is here is registered by the affinity domain's codes, and what has none is held and not guessed.

The house shares with its own repository, by the wire, as with anybody else's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from profiles.model.document import AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.pix.iti8 import FeedEvent
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, ResponseStatus, RetrieveDocumentSetRequest
from tests.support.house import command
from tests.support.ports import free_port
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    SOMEBODY_ELSE,
    ZEBEDIAH,
    SampleStudy,
    World,
    message_of,
    offer_of,
    read_soap,
    world,
    write_study,
)

NO_DEFAULT = """
[codes]
type = [["24627-2", "LOINC", "CT Chest"], ["24606-6", "LOINC", "MG Breast"]]
[default]
region = ""
[[map]]
modality = "MG"
type = "24606-6"
"""
ROW = '[[map]]\nmodality = "CT"\ntype = "24627-2"\n'


@asynccontextmanager
async def publishing(folder: Path, codes: str = "", **changes: Any) -> AsyncIterator[World]:
    """A house that shares what it has with Region, which is its own repository."""
    port = free_port()
    house = f"http://127.0.0.1:{port}"
    region = {
        "endpoint": {
            "RAD-68": f"{house}/soap/repository", "ITI-42": f"{house}/soap/registry",
            "ITI-61": f"{house}/soap/registry",
        }
    }  # fmt: skip
    if codes:
        (folder / "codes.toml").write_text(codes, encoding="utf-8")
        changes["affinity_domain"] = {"code_sets": folder / "codes.toml"}
    changes.setdefault("rules", [{"when": "study.available", "do": ["share:Region"]}])
    async with world(folder, listen={"http_port": port}, peers={"Region": region}, **changes) as here:
        await here.valley.tell(ZEBEDIAH)
        yield here


async def pushed(here: World, study: SampleStudy, *numbers: int) -> None:
    """Instances of the study, all without numbers."""
    instances = [study.instances[number] for number in numbers] if numbers else study.instances
    status, _ = await here.valley.push([one.path.read_bytes() for one in instances])
    assert status == 200


async def registered(
    here: World,
    status: AvailabilityStatus = AvailabilityStatus.APPROVED,
    whose: PatientIdentifier = DOMAIN_ID,
    types: tuple[EntryType, ...] = (EntryType.STABLE,),
) -> tuple[DocumentEntry, ...]:
    """What the registry has of a patient, in force or not any more."""
    criteria = DocumentCriteria(patient_ids=(whose,), statuses=(status,), entry_types=types)
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await here.valley.post("/soap/registry", await message_of(ITI_18, request))
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    return ITI_18.decode_response(message.to_codec()).value.entries


async def test_a_study_without_a_code_is_held_and_published_after_a_person_added_a_row(tmp_path: Path) -> None:
    async with publishing(tmp_path, NO_DEFAULT) as here:
        study = write_study(tmp_path / "study", series=1, instances=2)
        await pushed(here, study)
        held = await here.valley.rests("held", kind="store")
        assert "type of modality CT" in held["reason"]
        assert "Add a row" in held["cure"]
        assert await registered(here) == ()
        with (tmp_path / "codes.toml").open("a", encoding="utf-8") as table:
            table.write(ROW)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "ann"})
        await here.valley.rests("done", kind="store")
        (entry,) = await registered(here)
        assert entry.type_code.value == "24627-2"


@pytest.mark.parametrize(
    ("check", "complaints", "kept"),
    [("refuse", ("XDSRepositoryMetadataError",), 0), ("warn", ("XDSRepositoryMetadataError",), 1), ("off", (), 1)],
)
async def test_others_codes_are_refused_told_or_left_alone_as_the_house_is_set(
    tmp_path: Path, check: str, complaints: tuple[str, ...], kept: int
) -> None:
    (tmp_path / "codes.toml").write_text(NO_DEFAULT, encoding="utf-8")  # its types are not those of the manifest
    domain = {"code_sets": tmp_path / "codes.toml", "check_codes": check}
    async with world(tmp_path, affinity_domain=domain) as here:
        assert (await here.valley.tell(ZEBEDIAH)).accepted
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1), patient_id=DOMAIN_ID)
        answer = await (await here.valley.provide(offer, door=REPOSITORY)).registered()
        assert tuple(each.code for each in answer.errors) == complaints
        assert (answer.status is ResponseStatus.SUCCESS) == bool(kept)
        assert all("typeCode" in each.context for each in answer.errors)
        assert len(await registered(here)) == kept


async def test_a_study_that_is_released_too_early_is_held_again(tmp_path: Path) -> None:
    async with publishing(tmp_path, NO_DEFAULT) as here:
        await pushed(here, write_study(tmp_path / "study", series=1, instances=1))
        held = await here.valley.rests("held", kind="store")
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "ann"})
        again = await here.valley.rests("held", kind="store")
        assert again["reason"] == held["reason"]
        assert await registered(here) == ()


# --- kept true --------------------------------------------------------------------------------------------------------


async def instances_of(here: World, entry: DocumentEntry) -> int:
    """How many instances the manifest of an entry names, as the repository hands it out."""
    assert entry.repository_unique_id is not None
    wanted = DocumentRequest(
        repository_unique_id=entry.repository_unique_id, document_unique_id=entry.unique_id, home_community_id=None
    )
    message = await message_of(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
    head, documents = await (await here.valley.post("/soap/repository", message)).retrieved()
    (body,) = documents.values()
    manifest = decode_kos(body).value
    on_demand = entry.entry_type is EntryType.ON_DEMAND
    assert head.documents[0].new_document_unique_id == (manifest.sop_instance_uid if on_demand else "")
    assert on_demand == (manifest.sop_instance_uid != entry.unique_id)
    return manifest.instance_count


@pytest.mark.parametrize("rule", ["share:Region", "register"])
async def test_more_of_a_study_replaces_its_entry(tmp_path: Path, rule: str) -> None:
    async with publishing(tmp_path, rules=[{"when": "study.available", "do": [rule]}]) as here:
        study = write_study(tmp_path / "study", series=1, instances=3)
        await pushed(here, study, 0, 1)
        await here.valley.rests("done", kind="store")
        (first,) = await registered(here)
        assert await instances_of(here, first) == 2
        await pushed(here, study, 2)
        await here.valley.rests("done", kind="store")
        (second,) = await registered(here)
        assert await instances_of(here, second) == 3
        assert await registered(here, AvailabilityStatus.DEPRECATED) == (
            replace(first, availability_status=AvailabilityStatus.DEPRECATED),
        )


@pytest.mark.parametrize("rule", ["share:Region", "register"])
async def test_a_corrected_name_replaces_the_entry(tmp_path: Path, rule: str) -> None:
    async with publishing(tmp_path, rules=[{"when": "study.available", "do": [rule]}]) as here:
        await pushed(here, write_study(tmp_path / "study", series=1, instances=1))
        await here.valley.rests("done", kind="store")
        corrected = replace(ZEBEDIAH, name=replace(ZEBEDIAH.name, given="Zebadiah"))
        await here.valley.tell(corrected, FeedEvent.UPDATE)
        await here.valley.rests("done", kind="feed")
        await here.valley.rests("done", kind="keep")
        (entry,) = await registered(here)
        assert entry.source_patient is not None
        assert entry.source_patient.name.given == "Zebadiah"
        assert len(await registered(here, AvailabilityStatus.DEPRECATED)) == 1


@pytest.mark.parametrize("rule", ["share:Region", "register"])
async def test_a_merged_patient_s_study_is_published_under_the_survivor(tmp_path: Path, rule: str) -> None:
    async with publishing(tmp_path, rules=[{"when": "study.available", "do": [rule]}]) as here:
        survivor = replace(
            SOMEBODY_ELSE,
            identifiers=(*SOMEBODY_ELSE.identifiers, PatientIdentifier(value="DO99", authority=DOMAIN_ID.authority)),
        )
        await here.valley.tell(survivor)
        await pushed(here, write_study(tmp_path / "study", series=1, instances=1))
        await here.valley.rests("done", kind="store")
        await here.valley.tell(survivor, FeedEvent.MERGE, subsumed_identifiers=ZEBEDIAH.identifiers)
        await here.valley.rests("done", kind="feed")
        await here.valley.rests("done", kind="keep")
        (entry,) = await registered(here, whose=survivor.identifiers[1])
        assert entry.patient_id == survivor.identifiers[1]
        assert entry.source_patient_id == survivor.identifiers[0]
        assert len(await registered(here, AvailabilityStatus.DEPRECATED, whose=survivor.identifiers[1])) == 1


@pytest.mark.parametrize("rule", ["offer", "offer:Region"])
async def test_an_on_demand_entry_hands_out_the_manifest_of_what_is_there_when_it_is_asked_for(
    tmp_path: Path, rule: str
) -> None:
    async with publishing(tmp_path, rules=[{"when": "study.available", "do": [rule]}]) as here:
        study = write_study(tmp_path / "study", series=1, instances=3)
        await pushed(here, study, 0, 1)
        await here.valley.rests("done", kind="store")
        assert await registered(here) == ()  # a query that names no type asks for stable ones
        (entry,) = await registered(here, types=(EntryType.STABLE, EntryType.ON_DEMAND))
        assert entry.entry_type is EntryType.ON_DEMAND
        assert await instances_of(here, entry) == 2
        await pushed(here, study, 2)
        await here.valley.rests("done", kind="store")
        assert await registered(here, types=(EntryType.ON_DEMAND,)) == (entry,)
        assert await instances_of(here, entry) == 3
        taken = tmp_path / "taken.dcm"
        code, _, err = await command(
            "document", "get", entry.unique_id, "--to", str(taken), "--data", str(here.valley.data)
        )
        assert code == 0, err
        assert decode_kos(taken.read_bytes()).value.instance_count == 3


@pytest.mark.parametrize("rule", ["offer:Region", "offer"])
async def test_what_is_made_on_demand_is_kept_and_registered_where_its_entry_is(tmp_path: Path, rule: str) -> None:
    async with publishing(
        tmp_path, rules=[{"when": "study.available", "do": [rule]}], publish={"keep_on_demand": True}
    ) as here:
        study = write_study(tmp_path / "study", series=1, instances=3)
        await pushed(here, study, 0, 1)
        await here.valley.rests("done", kind="store")
        (on_demand,) = await registered(here, types=(EntryType.ON_DEMAND,))

        async def snapshot(instances: int) -> DocumentEntry:
            assert await instances_of(here, on_demand) == instances
            if rule != "offer":
                await here.valley.rests("done", kind="share")
            (found,) = await registered(here)
            assert await instances_of(here, found) == instances
            return found

        first = await snapshot(2)
        assert await snapshot(2) == first
        await pushed(here, study, 2)
        await here.valley.rests("done", kind="store")
        second = await snapshot(3)
        assert [each.unique_id for each in await registered(here, AvailabilityStatus.DEPRECATED)] == [first.unique_id]
        assert second.unique_id != first.unique_id


async def test_a_rule_s_conditions_decide_what_is_published(tmp_path: Path) -> None:
    rule = {"when": "study.available", "do": ["register"], "modality": ["MR"]}
    async with publishing(tmp_path, rules=[rule]) as here:
        await pushed(here, write_study(tmp_path / "study", series=1, instances=1))
        await here.valley.rests("done", kind="store")
        assert await registered(here) == ()


# --- what is here already ---------------------------------------------------------------------------------------------


async def test_a_back_fill_is_asked_for_at_the_command_line_and_tells_how_it_went(tmp_path: Path) -> None:
    async with publishing(tmp_path, NO_DEFAULT, rules=[], publish={"per_minute": 6000}) as here:
        studies = [write_study(tmp_path / f"study{seed}", seed=seed, series=1, instances=1) for seed in (1, 2, 3)]
        for study in studies:
            await pushed(here, study)
            await here.valley.rests("done", kind="store", study=study.study_instance_uid)
        data = ("--data", str(here.valley.data), "--json")
        code, out, _ = await command("study", "publish", "--to", "Region", "--register", "--all", "--wait", *data)
        assert code == 0, out
        assert orjson.loads(out)["payload"]["counts"] == {"published": 0, "already there": 0, "held": 6, "failed": 0}
        with (tmp_path / "codes.toml").open("a", encoding="utf-8") as table:
            table.write(ROW)
        for each in await here.valley.ask("GET", "/exchanges?state=held"):
            await here.valley.ask("POST", f"/exchanges/{each['id']}/release", {"person": "ann"})
        await until_done(here, "share", 6)
        code, out, _ = await command("publish", "--to", "Region", "--modality", "CT", "--wait", *data)
        assert orjson.loads(out)["payload"]["counts"] == {"published": 0, "already there": 3, "held": 0, "failed": 0}
        assert len(await registered(here)) == 6
        code, out, _ = await command("study", "publish", "--resume", *data)
        assert orjson.loads(out)["state"] == "done"


async def until_done(here: World, kind: str, count: int) -> None:
    """Wait until so many exchanges of a kind are done."""
    async with asyncio.timeout(30):
        while len(await here.valley.ask("GET", f"/exchanges?kind={kind}&state=done")) < count:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--all",), 2, "Say where"),
        (("--register", "--by-rules", "--all"), 2, "Say where"),
        (("--register",), 2, "Say which studies"),
        (("--register", "--all", "--since", "2024"), 2, "Say which studies"),
        (("--to", "Nobody", "--all"), 1, "there is no peer called Nobody"),
        (("--register", "--since", "yesterday"), 1, "not a DTM"),
        (("--resume",), 1, "There was no back-fill"),
        (("--resume", "--register"), 2, "what it was asked for"),
    ],
)
async def test_a_back_fill_that_cannot_be_is_refused(
    tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    async with publishing(tmp_path, rules=[]) as here:
        ended, _, err = await command("study", "publish", *words, "--data", str(here.valley.data))
        assert (ended, says in err) == (code, True), err
        assert await here.valley.ask("GET", "/exchanges?kind=backfill") == []
