"""`radgate document deprecate`, `update`, `remove` and `find`, between two houses and in one."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from gateway.app import running
from gateway.settings import Settings
from profiles.model.identifiers import PatientIdentifier
from tests.support.communities import REPOSITORIES, settings_of
from tests.support.house import command
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    OTHER_ID,
    SOMEBODY_ELSE,
    ZEBEDIAH,
    Valley,
    logged,
    nothing_leaked,
    outcome_of,
    write_study,
)

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400 + b"\n%%EOF\n"
REMOVING = ("RAD-68", "ITI-43", "ITI-86")
OTHER_DOMAIN_ID = PatientIdentifier(value="DO66329", authority=DOMAIN)
OTTOLINE = replace(SOMEBODY_ELSE, identifiers=(OTHER_ID, OTHER_DOMAIN_ID))


async def test_a_report_is_deprecated_and_then_removed_at_the_registry_that_has_it(tmp_path: Path) -> None:
    async with two_houses(tmp_path) as (region, valley):
        run, find = runner(tmp_path)
        study = write_study(tmp_path / "study", instances=1)
        status, _ = await valley.push((one.path.read_bytes() for one in study.instances), peer="")
        assert status == 200
        (tmp_path / "report.pdf").write_bytes(PDF)
        code, entry, err = await run(
            "submit", str(tmp_path / "report.pdf"), "--study", study.study_instance_uid, "--to", "Region",
            "--class", "REPORTS^1.2.3.8^Reports",
        )  # fmt: skip
        assert code == 0, err
        document = entry["unique_id"]
        assert [each["unique_id"] for each in await find()] == [document]

        assert (await run("deprecate", document, "--at", "Region"))[:2] == (0, {"entries": 1})
        assert await find() == []
        code, _, err = await run("deprecate", document, "--at", "Region")
        assert code != 0 and "in force" in err
        code, gone, err = await run("remove", document, "--at", "Region")
        assert code == 0, err
        assert gone["objects"] == 5  # the entry, two sets, and what tied them to it
        kept = region.kept()
        assert kept.rows["entries"] == kept.rows["documents"] == kept.rows["associations"] == ()
        code, _, err = await run("remove", document, "--at", "Region")
        assert code != 0 and "no such document" in err
        for transaction in ("ITI-57", "ITI-62", "ITI-86"):
            assert any(transaction.encode() in each for each in kept.audit)
            assert any(transaction.encode() in each for each in valley.kept().audit)


async def test_an_entry_is_updated_at_the_registry_that_has_it_and_only_as_it_may_be(tmp_path: Path) -> None:
    async with two_houses(tmp_path) as (region, valley):
        run, find = runner(tmp_path)
        (tmp_path / "letter.txt").write_bytes(b"Dear colleague")
        code, entry, err = await run(
            "submit", str(tmp_path / "letter.txt"), "--patient", str(DOMAIN_ID), "--to", "Region",
            "--class", "LETTERS^1.2.3.8^Letters", "--title", "first",
        )  # fmt: skip
        assert code == 0, err
        document = entry["unique_id"]
        code, (second,), err = await run(
            "update", document, "--at", "Region", "--title", "second", "--availability", "offline",
            "--confidentiality", "R^2.16.840.1.113883.5.25^Restricted",
        )  # fmt: skip
        assert (code, second["title"], second["version"]) == (0, "second", 2), err
        (found,) = await find()
        assert (found["title"], found["entry_uuid"]) == ("second", second["entry_uuid"])
        code, (third,), err = await run("update", document, "--at", "Region", "--title", "third", "--by", "ITI-57")
        assert (code, third["version"]) == (0, 3), err

        kept = region.kept()
        assert "documentAvailability" in str(kept.rows["entries"]) and "Restricted" in str(kept.rows["entries"])
        for each in (kept, valley.kept()):
            for transaction, times in (("ITI-92", 1), ("ITI-57", 1)):
                records = [one for one in each.audit if f'"{transaction}"'.encode() in one]
                assert [outcome_of(one) for one in records] == [0] * times
        for words, said in {
            ("--title", "third"): "the entry says all of this already",
            (): "the entry says all of this already",
            ("--title", "x", "--by", "ITI-62"): "ITI-62 changes no metadata",
            ("--availability", "gone"): "online or offline",
            ("--class", "LETTERS"): "a code is VALUE^SYSTEM^DISPLAY",
        }.items():
            code, _, err = await run("update", document, "--at", "Region", *words)
            assert code != 0 and said in err, (words, err)
        assert region.kept().rows == kept.rows
        code, _, err = await run("update", "1.2.3.404", "--at", "Region", "--title", "x")
        assert code != 0 and "no entry of this document is in force" in err


async def test_a_document_whose_metadata_went_without_it_is_removed_by_asking_again(tmp_path: Path) -> None:
    async with two_houses(tmp_path) as (region, _):
        run, find = runner(tmp_path)
        (tmp_path / "letter.txt").write_bytes(b"Dear colleague")
        code, entry, err = await run(
            "submit", str(tmp_path / "letter.txt"), "--patient", str(DOMAIN_ID), "--to", "Region",
            "--class", "LETTERS^1.2.3.8^Letters",
        )  # fmt: skip
        assert code == 0, err
        code, gone, err = await run("remove", entry["unique_id"], "--at", "Region", "--metadata-only")
        assert (code, gone["objects"], await find()) == (0, 3, []), err
        assert len(region.kept().rows["documents"]) == 1
        assert (await run("remove", entry["unique_id"], "--at", "Region"))[:2] == (0, {"objects": 0})
        assert region.kept().rows["documents"] == ()


async def test_an_entry_of_our_own_registry_is_updated_by_hand(tmp_path: Path) -> None:
    async with two_houses(tmp_path) as (_, valley):
        run, _ = runner(tmp_path)
        (tmp_path / "letter.txt").write_bytes(b"Dear colleague")
        code, entry, err = await run(
            "submit", str(tmp_path / "letter.txt"), "--patient", str(DOMAIN_ID), "--class", "LETTERS^1.2.3.8^Letters"
        )
        assert code == 0, err
        code, (second,), err = await run("update", entry["unique_id"], "--title", "second", "--comments", "seen by Ann")
        assert (code, second["title"], second["version"]) == (0, "second", 2), err
        _, found, _ = await run("find", "--patient", str(DOMAIN_ID))
        assert [each["title"] for each in found] == ["second"]
        assert len(valley.kept().rows["entries"]) == 2


async def test_what_several_patients_have_is_asked_at_once_where_the_registry_knows_how(tmp_path: Path) -> None:
    for ways, transactions in ((("ITI-18", "ITI-51"), ["ITI-51"]), (("ITI-18",), ["ITI-18", "ITI-18"])):
        folder = tmp_path / ways[-1]
        async with two_houses(folder, *ways) as (region, valley):
            run, _ = runner(folder)
            for house in (region, valley):
                await house.tell(OTTOLINE)
            for of in (DOMAIN_ID, OTHER_DOMAIN_ID):
                (folder / "letter.txt").write_bytes(str(of).encode())
                code, _, err = await run(
                    "submit", str(folder / "letter.txt"), "--patient", str(of), "--to", "Region",
                    "--class", "LETTERS^1.2.3.8^Letters",
                )  # fmt: skip
                assert code == 0, err
            both = ("--patient", str(DOMAIN_ID), "--patient", str(OTHER_DOMAIN_ID))
            before = len(valley.kept().steps)
            code, found, err = await run("find", *both, "--at", "Region")
            assert code == 0, err
            assert sorted(each["patient_id"] for each in found) == sorted(map(str, (DOMAIN_ID, OTHER_DOMAIN_ID)))
            asked = [each["transaction"] for each in valley.kept().steps[before:] if each["direction"] == "out"]
            assert asked == transactions
            code, found, err = await run("find", *both, "--at", "Region", "--study", "1.2.3.404")
            assert (code, found) == (0, []), err
            code, found, err = await run("find", *both)
            assert (code, found) == (0, []), err  # our own registry has nothing
            looked = [each for each in valley.kept().audit if b"Documents looked for" in each]
            assert all(str(of.value).encode() in looked[0] for of in (DOMAIN_ID, OTHER_DOMAIN_ID))
            for each in (region, valley):
                told = [one for one in each.kept().audit if f'"{transactions[0]}"'.encode() in one]
                assert told and {outcome_of(one) for one in told} == {0}


@asynccontextmanager
async def two_houses(folder: Path, *ways: str) -> AsyncIterator[tuple[Valley, Valley]]:
    """Region, whose registry and repository Valley knows, and Valley; `ways`: what the registry is asked; else all."""
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(auto_decompress=False))
        addresses = await stack.enter_async_context(running(settings_of(folder / "Region", "Region")))
        region = Valley(data=folder / "Region", addresses=addresses, http=http, log=log)
        told = settings_of(folder / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
        asked = ways or ("ITI-18", "ITI-51", "ITI-57", "ITI-62", "ITI-92")
        told["peer"] = [
            {
                "name": "Region",
                "repository_unique_ids": [REPOSITORIES["Region"]],
                "endpoint": {
                    **dict.fromkeys(asked, f"{region.url}/soap/registry"),
                    **dict.fromkeys((*REMOVING, "ITI-41"), f"{region.url}/soap/repository"),
                },
            }
        ]
        ours = await stack.enter_async_context(running(Settings.model_validate(told)))
        valley = Valley(data=folder / "Valley", addresses=ours, http=http, log=log)
        for house in (region, valley):
            await house.tell(ZEBEDIAH)
        yield region, valley
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


def runner(folder: Path) -> tuple[Callable[..., Awaitable[tuple[int, Any, str]]], Callable[[], Awaitable[list[Any]]]]:
    """`radgate document …` of Valley, and what it finds of the patient at Region."""

    async def run(*words: str) -> tuple[int, Any, str]:
        code, out, err = await command("document", *words, "--json", "--data", str(folder / "Valley"))
        return code, json.loads(out) if out else None, " ".join((out + err).split()) if code else err

    async def find() -> list[Any]:
        code, found, err = await run("find", "--patient", str(DOMAIN_ID), "--at", "Region")
        assert code == 0, err
        return list(found)

    return run, find
