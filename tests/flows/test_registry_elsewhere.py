"""A house that keeps documents, and another that has the registry: ITI-41 in, ITI-42 out, ITI-43 from where they are.

In the first part both are ours; in the second the registry is a script, which refuses, warns, breaks off and says nothing.

Source: ITI TF-2 3.41.4.1.3, 3.42.4.1.3; ITI TF-3 table 4.2.4.1-2.
"""

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from gateway.app import running
from gateway.settings import Settings
from profiles.findings import Severity
from profiles.model.document import STUDY_INSTANCE_UID as STUDY
from profiles.model.document import AvailabilityStatus, EntryType, Submission
from profiles.model.identifiers import Uid
from profiles.model.query import DocumentCriteria
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.ebxml.response import (
    CURES,
    ERROR_CODES,
    RegistryError,
    ResponseStatus,
)
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from tests.support.communities import REPOSITORIES, settings_of
from tests.support.house import command, serving
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    REPOSITORY,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Offer,
    Valley,
    World,
    logged,
    message_of,
    new_oid,
    nothing_leaked,
    offer_of,
    outcome_of,
    rad68,
    read_soap,
    world,
    write_study,
)
from tests.support.scripted_registry import ScriptedRegistry, scripted_registry

DUPLICATE = "XDSDuplicateUniqueIdInRegistry"
WARNING = Severity.WARNING
SECRET = "Quillfeather, Zebediah, DO55218"  # what a registry may write into codeContext, and its sender is told


def offer(folder: Path, seed: int = 1) -> Offer:
    """A manifest with the metadata that its sender must give, and no more."""
    made = offer_of(write_study(folder / f"study-{seed}", seed=seed, series=1, instances=1), patient_id=DOMAIN_ID)
    return made.entry(hash=None, size_bytes=None, repository_unique_id=None)


async def fetch(
    house: Valley, unique_id: str, repository: str, *, peer: str = "Lakeside"
) -> tuple[tuple[str, ...], bytes]:
    """ITI-43: the codes of the answer, and the document."""
    asked = DocumentRequest(repository_unique_id=repository, document_unique_id=unique_id)
    reply = await house.post(
        REPOSITORY, await message_of(ITI_43, RetrieveDocumentSetRequest(documents=(asked,))), peer=peer
    )
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    response = ITI_43.decode_response(message.to_codec()).value
    bodies = [b"".join([chunk async for chunk in part.chunks]) async for part in response.pour]
    return tuple(error.code for error in response.head.errors), b"".join(bodies)


IN_FORCE = DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,))


async def find(house: Valley, criteria: DocumentCriteria = IN_FORCE) -> StoredQueryResponse:
    """ITI-18: what its registry has of the patient."""
    asked = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await house.post("/soap/registry", await message_of(ITI_18, asked))
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    return ITI_18.decode_response(message.to_codec()).value


# --- two houses -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Houses:
    """Valley keeps, Region registers."""

    valley: Valley
    region: Valley


def told_of(folder: Path, region: str, **more: Any) -> Settings:
    """Valley's settings, with Region's registry in them."""
    told = settings_of(folder / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
    told["affinity_domain"]["registry"] = "Region"
    ways = ("ITI-18", "ITI-42", "ITI-51", "ITI-57", "ITI-61", "ITI-62", "ITI-92")
    told["peer"] = [{"name": "Region", "endpoint": dict.fromkeys(ways, f"{region}/soap/registry")}]
    return Settings.model_validate({**told, **more})


@asynccontextmanager
async def houses(folder: Path, **more: Any) -> AsyncIterator[Houses]:
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(auto_decompress=False))

        async def start(settings: Settings) -> Valley:
            addresses = await stack.enter_async_context(running(settings))
            return Valley(data=settings.house.data, addresses=addresses, http=http, log=log)

        region = await start(settings_of(folder / "Region", "Region"))
        valley = await start(told_of(folder, region.url, **more))
        for house in (region, valley):
            await house.tell(ZEBEDIAH)
        yield Houses(valley=valley, region=region)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


async def test_a_document_is_kept_in_one_house_and_registered_in_the_other(tmp_path: Path) -> None:
    async with houses(tmp_path) as here:
        sent = offer(tmp_path)
        unique_id = sent.submission.entries[0].unique_id
        reply = await here.valley.post(REPOSITORY, await rad68(sent))
        assert await reply.codes() == ()
        (entry,) = (await find(here.region)).entries
        assert entry.unique_id == unique_id
        assert entry.repository_unique_id == REPOSITORIES["Valley"]
        assert entry.hash == hashlib.sha1(sent.body, usedforsecurity=False).hexdigest()
        assert entry.size_bytes == len(sent.body)
        assert (await find(here.valley)).count == 0  # our own registry was not told
        assert await fetch(here.valley, unique_id, REPOSITORIES["Valley"]) == ((), sent.body)
        assert (await fetch(here.region, unique_id, REPOSITORIES["Region"]))[0] == ("XDSDocumentUniqueIdError",)
        for audit in (here.valley.kept().audit, here.region.kept().audit):
            (record,) = (each for each in audit if b"ITI-42" in each)
            assert outcome_of(record) == 0
            assert b"DO55218" in record or str(DOMAIN_ID).encode() in record
        assert any(b"ITI-43" in each and outcome_of(each) == 0 for each in here.valley.kept().audit)


async def test_what_the_registry_refuses_is_refused_in_its_words_and_leaves_nothing(tmp_path: Path) -> None:
    async with houses(tmp_path) as here:
        stranger = replace(DOMAIN_ID, value="DO00000")
        sent = offer_of(write_study(tmp_path / "study", instances=1), patient_id=stranger)
        before = here.valley.kept()
        reply = await here.valley.post(REPOSITORY, await rad68(sent))
        assert await reply.codes() == ("XDSUnknownPatientId",)
        after = here.valley.kept()
        assert after.rows == before.rows and after.files == before.files
        unique_id = sent.submission.entries[0].unique_id
        assert (await fetch(here.valley, unique_id, REPOSITORIES["Valley"]))[0] == ("XDSDocumentUniqueIdError",)
        assert (await find(here.region)).count == 0


async def test_the_same_document_in_another_set_is_a_second_entry_and_one_document(tmp_path: Path) -> None:
    async with houses(tmp_path) as here:
        sent = offer(tmp_path)
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ()
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == (DUPLICATE,)
        assert await (await here.valley.post(REPOSITORY, await rad68(sent.again()))).codes() == ()
        assert len((await find(here.region)).entries) == 2
        assert len(here.valley.kept().rows["documents"]) == 1
        other = replace(sent.again(), body=offer(tmp_path, seed=2).body)
        refused = await here.valley.post(REPOSITORY, await rad68(other))
        assert await refused.codes() != ()
        unique_id = sent.submission.entries[0].unique_id
        assert await fetch(here.valley, unique_id, REPOSITORIES["Valley"]) == ((), sent.body)


def all_true(rows: Iterable[bytes], transaction: str, outcome: int = 0) -> int:
    """How many audit records there are of a transaction; each says that it went so."""
    found = [each for each in rows if f'"{transaction}"'.encode() in each]
    assert all(outcome_of(each) == outcome for each in found), found
    return len(found)


async def test_what_the_rules_publish_is_kept_here_and_registered_there_and_kept_true(tmp_path: Path) -> None:
    async with houses(tmp_path, rule=[{"when": "study.available", "do": ["register"]}]) as here:
        study = write_study(tmp_path / "study", patient=ZEBEDIAH, series=1, instances=2)
        first, second = (one.path.read_bytes() for one in study.instances)
        assert (await here.valley.push([first], peer=""))[0] == 200
        await here.valley.rests("done", kind="store")
        (entry,) = (await find(here.region)).entries
        assert entry.repository_unique_id == REPOSITORIES["Valley"]
        assert STUDY in {each.type for each in entry.reference_ids}
        codes, manifest = await fetch(here.valley, entry.unique_id, REPOSITORIES["Valley"])
        assert (codes, hashlib.sha1(manifest, usedforsecurity=False).hexdigest()) == ((), entry.hash)
        assert decode_kos(manifest).value.instance_count == 1

        assert (await here.valley.push([second], peer=""))[0] == 200
        await here.valley.rests("done", kind="store")
        async with asyncio.timeout(20):
            while [each.unique_id for each in (await find(here.region)).entries] == [entry.unique_id]:
                await asyncio.sleep(0.05)
        (newer,) = (await find(here.region)).entries  # in the place of the one before
        _, manifest = await fetch(here.valley, newer.unique_id, REPOSITORIES["Valley"])
        assert decode_kos(manifest).value.instance_count == 2
        assert (await fetch(here.valley, entry.unique_id, REPOSITORIES["Valley"]))[0] == ()  # deprecated, and kept
        assert (await find(here.valley)).count == 0
        assert all_true(here.valley.kept().audit, "ITI-42") == all_true(here.region.kept().audit, "ITI-42") == 2


async def test_what_is_made_on_demand_is_registered_there_and_made_here(tmp_path: Path) -> None:
    async with houses(tmp_path, rule=[{"when": "study.available", "do": ["offer"]}]) as here:
        study = write_study(tmp_path / "study", patient=ZEBEDIAH, series=1, instances=1)
        assert (await here.valley.push([one.path.read_bytes() for one in study.instances], peer=""))[0] == 200
        await here.valley.rests("done", kind="store")
        criteria = DocumentCriteria(
            patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,), entry_types=(EntryType.ON_DEMAND,)
        )
        (entry,) = (await find(here.region, criteria)).entries
        codes, manifest = await fetch(here.valley, entry.unique_id, REPOSITORIES["Valley"])
        assert codes == () and decode_kos(manifest).value.instance_count == 1
        assert all_true(here.valley.kept().audit, "ITI-61") == 1


async def test_a_person_submits_replaces_fetches_and_removes_what_is_kept_here_and_registered_there(
    tmp_path: Path,
) -> None:
    async def run(*words: str) -> Any:
        code, out, err = await command("document", *words, "--json", "--data", str(tmp_path / "Valley"))
        assert code == 0, err
        return json.loads(out)

    async with houses(tmp_path) as here:
        letter, better, taken = (tmp_path / name for name in ("letter.txt", "better.txt", "taken.txt"))
        letter.write_bytes(b"Dear colleague. " * 10_000)
        better.write_bytes(b"Dear colleagues. " * 10_000)
        entry = await run("submit", str(letter), "--patient", str(DOMAIN_ID), "--class", "LETTERS^1.2.3.8^Letters")
        (there,) = (await find(here.region)).entries
        assert (there.unique_id, there.repository_unique_id) == (entry["unique_id"], REPOSITORIES["Valley"])
        await run("get", entry["unique_id"], "--to", str(taken), "--at", "Region")
        assert taken.read_bytes() == letter.read_bytes()
        await run("get", entry["unique_id"], "--to", str(taken))  # our repository has it, whoever has the registry
        assert taken.read_bytes() == letter.read_bytes()
        newer = await run("replace", entry["unique_id"], str(better), "--at", "Region")
        (there,) = (await find(here.region)).entries
        assert (there.unique_id, there.repository_unique_id) == (newer["unique_id"], REPOSITORIES["Valley"])
        assert all_true(here.valley.kept().audit, "ITI-42") == 2
        assert len(here.valley.kept().rows["registrations"]) == 2
        for each in (newer, entry):
            await run("remove", each["unique_id"], "--at", "Region")
        kept = here.valley.kept()
        assert kept.rows["documents"] == kept.rows["registrations"] == ()
        assert here.region.kept().rows["entries"] == ()
        assert all_true(here.valley.kept().audit, "ITI-62") == 2


# --- a registry that does as it is told -------------------------------------------------------------------------------


@asynccontextmanager
async def repository(folder: Path, registry: ScriptedRegistry, *, query: bool = True) -> AsyncIterator[World]:
    ways = ("ITI-18", "ITI-42") if query else ("ITI-42",)
    peers = {"Region": {"endpoint": dict.fromkeys(ways, registry.url)}}
    async with world(folder, peers=peers, affinity_domain={"registry": "Region"}) as here:
        yield here


def nothing_stays(here: World, unique_id: str) -> None:
    kept = here.valley.kept()
    assert kept.rows["documents"] == kept.rows["registrations"] == ()
    assert unique_id not in str(kept.files)


WARNINGS = {"XDSExtraMetadataNotSaved"}
REFUSALS = sorted({code for code, those in ERROR_CODES.items() if "ITI-42" in those} - WARNINGS)


@pytest.mark.parametrize("code", [*REFUSALS, "OursAlone"])
async def test_every_code_of_the_registry_reaches_the_sender_and_nothing_stays_and_a_retry_is_taken(
    tmp_path: Path, code: str
) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry) as here:
        registry.refuse(RegistryError(code=code, context=SECRET, location="urn:uuid:x"))
        sent = offer(tmp_path)
        unique_id = sent.submission.entries[0].unique_id
        async with here.valley.refusing(audits=2) as refusal:
            reply = await here.valley.post(REPOSITORY, await rad68(sent))
            (error,) = (await reply.registered()).errors
            assert (error.code, error.severity) == (code, Severity.ERROR)
            assert error.context.startswith(SECRET)
        nothing_stays(here, unique_id)
        assert code in str(refusal.step["why"])
        assert refusal.step["cure"] == CURES.get(code, "The peer says no, in a word of its own: ask it for its log.")
        (call,) = (step for step in here.valley.kept().steps if step["transaction"] == "ITI-42")
        assert (call["outcome"], call["why"]) == ("failure", f"the peer answered {code}")
        assert SECRET not in str(here.valley.kept().steps)
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ()
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)
        assert len(registry.registered) == 2  # the sender asked twice, and so did we


@pytest.mark.parametrize("code", sorted(WARNINGS))
async def test_a_warning_of_the_registry_reaches_the_sender_of_what_was_taken(tmp_path: Path, code: str) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry) as here:
        registry.refuse(RegistryError(code=code, context="a slot was not kept", severity=WARNING))
        reply = await here.valley.post(REPOSITORY, await rad68(offer(tmp_path)))
        answer = await reply.registered()
        assert answer.status is ResponseStatus.SUCCESS
        assert [(each.code, each.severity, each.context) for each in answer.errors] == [
            (code, WARNING, "a slot was not kept")
        ]
        (taken,) = (step for step in here.valley.kept().steps if step["direction"] == "in")
        assert (taken["why"], taken["cure"]) == (f"the peer warns: {code}", CURES[code])


async def test_all_errors_and_warnings_of_one_answer_are_passed_on(tmp_path: Path) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry) as here:
        registry.refuse(
            RegistryError(code="XDSPatientIdDoesNotMatch", context="one"),
            RegistryError(code="XDSRegistryMetadataError", context="two"),
            RegistryError(code="XDSExtraMetadataNotSaved", context="three", severity=WARNING),
        )
        answer = await (await here.valley.post(REPOSITORY, await rad68(offer(tmp_path)))).registered()
        assert [(each.code, each.context) for each in answer.errors] == [
            ("XDSPatientIdDoesNotMatch", "one"), ("XDSRegistryMetadataError", "two"), ("XDSExtraMetadataNotSaved", "three")
        ]  # fmt: skip


async def test_a_registry_that_nobody_reaches_leaves_nothing_and_a_retry_is_taken(tmp_path: Path) -> None:
    sent = offer(tmp_path)
    unique_id = sent.submission.entries[0].unique_id
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(scripted_registry())
        here = await stack.enter_async_context(repository(tmp_path, registry))
        await registry.stop()
        async with here.valley.refusing(audits=2):
            reply = await here.valley.post(REPOSITORY, await rad68(sent))
            assert await reply.codes() == ("XDSRegistryNotAvailable",)
        nothing_stays(here, unique_id)
        (call,) = (step for step in here.valley.kept().steps if step["transaction"] == "ITI-42")
        assert "nothing answers at" in call["why"] and "Check that the peer is up" in call["cure"]
        assert (await fetch(here.valley, unique_id, VALLEY_REPOSITORY))[0] == ("XDSDocumentUniqueIdError",)
        await registry.start_again()
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ()
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)


@pytest.mark.parametrize("query", [True, False], ids=["asked what it has", "believed"])
async def test_a_registry_that_takes_it_and_breaks_off_knows_it_already_when_the_sender_comes_again(
    tmp_path: Path, query: bool
) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry, query=query) as here:
        registry.breaks_off = 1
        sent = offer(tmp_path)
        unique_id = sent.submission.entries[0].unique_id
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ("XDSRegistryNotAvailable",)
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)  # it may be asked for
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ()
        assert len(registry.sets) == 1
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == (DUPLICATE,)  # by the book
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)


@pytest.mark.parametrize("query", [True, False], ids=["asked what it has", "not asked"])
@pytest.mark.parametrize("code", ["XDSRegistryBusy", "XDSUnknownPatientId", ""], ids=str)
async def test_what_a_registry_may_have_taken_stays_whatever_it_says_the_next_time(
    tmp_path: Path, code: str, query: bool
) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry, query=query) as here:
        registry.breaks_off = 1
        sent = offer(tmp_path)
        unique_id = sent.submission.entries[0].unique_id
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ("XDSRegistryNotAvailable",)
        if code:
            registry.refuse(RegistryError(code=code, context=""))
        else:
            await registry.stop()
        again = await (await here.valley.post(REPOSITORY, await rad68(sent))).codes()
        assert again == ((code,) if code and not query else () if code else ("XDSRegistryNotAvailable",))
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)
        if not code:
            await registry.start_again()
        if again:
            assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ()
        assert await fetch(here.valley, unique_id, VALLEY_REPOSITORY) == ((), sent.body)
        assert len(registry.sets) == 1


async def test_a_set_that_somebody_else_has_registered_is_no_set_of_ours(tmp_path: Path) -> None:
    async with scripted_registry() as registry, repository(tmp_path, registry) as here:
        sent = offer(tmp_path)
        entry = replace(
            sent.submission.entries[0], unique_id=Uid(new_oid()), hash="0" * 40, size_bytes=1,
            repository_unique_id=REPOSITORIES["Lakeside"],
        )  # fmt: skip
        registry.sets[sent.submission.submission_set.unique_id] = Submission(
            submission_set=sent.submission.submission_set, entries=(entry,)
        )
        registry.silent = 1
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == ("XDSRegistryNotAvailable",)
        assert await (await here.valley.post(REPOSITORY, await rad68(sent))).codes() == (DUPLICATE,)
        nothing_stays(here, sent.submission.entries[0].unique_id)


SETTINGS = """
[house]
name = "Valley"
data = "data"
repository_unique_id = "{repository}"
[affinity_domain]
patient_authority = "{domain}"
registry = "Region"
[listen]
http_port = 0
mllp_port = 0
[access]
anonymous_loopback = true
[[peer]]
name = "Region"
[peer.endpoint]
"ITI-18" = "{url}"
"ITI-42" = "{url}"
"""


@pytest.mark.parametrize("taken", [True, False], ids=["after the registry's yes", "before it"])
async def test_a_house_that_is_killed_before_it_answers_doubles_and_loses_nothing_when_the_sender_comes_again(
    tmp_path: Path, taken: bool
) -> None:
    sent = offer(tmp_path)
    unique_id = sent.submission.entries[0].unique_id
    async with scripted_registry() as registry, ClientSession(auto_decompress=False) as http:
        settings = SETTINGS.format(repository=VALLEY_REPOSITORY, domain=DOMAIN, url=registry.url)
        async with serving(tmp_path / "house", settings) as house:
            registry.instead = house.process.kill
            registry.breaks_off, registry.silent = int(taken), int(not taken)
            valley = Valley(data=house.data, addresses=await house.addresses(), http=http, log=io.BytesIO())
            with pytest.raises(ClientError):
                await valley.post(REPOSITORY, await rad68(sent), peer="")
        assert len(registry.sets) == int(taken)
        (tmp_path / "house" / "data" / "control.json").unlink(missing_ok=True)
        async with serving(tmp_path / "house", settings) as house:
            valley = Valley(data=house.data, addresses=await house.addresses(), http=http, log=io.BytesIO())
            assert await fetch(valley, unique_id, VALLEY_REPOSITORY, peer="") == ((), sent.body)  # it may be registered
            assert await (await valley.post(REPOSITORY, await rad68(sent), peer="")).codes() == ()
            assert await fetch(valley, unique_id, VALLEY_REPOSITORY, peer="") == ((), sent.body)
        assert [each.entries[0].unique_id for each in registry.sets.values()] == [unique_id]
