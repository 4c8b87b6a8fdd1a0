"""`radgate document`: a report goes to a registry, is found and taken there bit for bit, and a better one replaces it."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from conformance.samples import SampleStudy
from gateway.app import running
from gateway.settings import Settings
from tests.support.communities import REPOSITORIES, settings_of
from tests.support.house import command
from tests.support.scenario import DOMAIN_ID, ZEBEDIAH, Valley, logged, nothing_leaked, write_study

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400 + b"\n%%EOF\n"
BETTER = PDF.replace(b"%%EOF", b"Addendum.\n%%EOF")
CDA = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3.77" extension="R7"/><title>CT of the chest</title>'
    b'<effectiveTime value="20260301093000+0000"/><component><nonXMLBody><text mediaType="text/plain">No finding.</text>'
    b"</nonXMLBody></component></ClinicalDocument>"
)
CLASS = ("--class", "REPORTS^1.2.3.8^Reports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Valley's command line, and Region that it knows."""

    folder: Path
    region: Valley
    study: SampleStudy

    async def run(self, *words: str) -> tuple[int, Any, str]:
        code, out, err = await command("document", *words, "--json", "--data", str(self.folder / "Valley"))
        return code, json.loads(out) if out else None, " ".join(err.split())

    async def submit(self, name: str, body: bytes, *words: str) -> tuple[int, Any, str]:
        (self.folder / name).write_bytes(body)
        return await self.run(
            "submit",
            str(self.folder / name),
            "--study",
            self.study.study_instance_uid,
            "--to",
            "Region",
            *CLASS,
            *words,
        )

    async def find(self, *words: str) -> list[dict[str, Any]]:
        code, found, err = await self.run("find", "--patient", str(DOMAIN_ID), *words)
        assert code == 0, err
        return list(found)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(auto_decompress=False))
        addresses = await stack.enter_async_context(running(settings_of(folder / "Region", "Region")))
        region = Valley(data=folder / "Region", addresses=addresses, http=http, log=log)
        settings = settings_of(folder / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
        settings["peer"] = [
            {
                "name": "Region",
                "repository_unique_ids": [REPOSITORIES["Region"]],
                "endpoint": {
                    "RAD-68": f"{region.url}/soap/repository",
                    "ITI-18": f"{region.url}/soap/registry",
                    "ITI-43": f"{region.url}/soap/repository",
                },
            }
        ]
        ours = await stack.enter_async_context(running(Settings.model_validate(settings)))
        valley = Valley(data=folder / "Valley", addresses=ours, http=http, log=log)
        await region.tell(ZEBEDIAH)
        await valley.tell(ZEBEDIAH)
        study = write_study(folder / "study", instances=1)
        status, _ = await valley.push((one.path.read_bytes() for one in study.instances), peer="")
        assert status == 200
        yield Desk(folder=folder, region=region, study=study)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


async def test_a_report_goes_to_a_registry_is_found_and_comes_back_bit_for_bit(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        code, entry, err = await here.submit("report.pdf", PDF, "--title", "CT of the chest")
        assert code == 0, err
        assert (entry["mime_type"], entry["format"]) == ("application/pdf", "urn:ihe:rad:PDF")
        (found,) = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert (found["unique_id"], found["title"]) == (entry["unique_id"], "CT of the chest")
        assert found["size_bytes"] == len(PDF)
        assert await here.find() == []  # ours is not the registry that has it
        code, taken, err = await here.run(
            "get", entry["unique_id"], "--at", "Region", "--to", str(tmp_path / "back.pdf")
        )
        assert (code, taken["size_bytes"]) == (0, len(PDF)), err
        assert (tmp_path / "back.pdf").read_bytes() == PDF


async def test_a_cda_has_its_own_id_title_and_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        code, entry, err = await here.submit("report.xml", CDA)
        assert code == 0, err
        assert entry["unique_id"] == "1.2.3.77^R7"
        (found,) = await here.find("--at", "Region")
        assert (found["title"], found["created"], found["format"]) == (
            "CT of the chest", "20260301093000", "urn:ihe:rad:TEXT",
        )  # fmt: skip
        code, _, err = await here.run("get", "1.2.3.77^R7", "--at", "Region", "--to", str(tmp_path / "back.xml"))
        assert code == 0, err
        assert (tmp_path / "back.xml").read_bytes() == CDA


async def test_a_better_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, first, _ = await here.submit("report.pdf", PDF)
        (registered,) = await here.find("--at", "Region")
        code, second, err = await here.submit("better.pdf", BETTER, "--replaces", registered["entry_uuid"])
        assert code == 0, err
        assert [each["unique_id"] for each in await here.find("--at", "Region")] == [second["unique_id"]]
        assert first["unique_id"] != second["unique_id"]


async def test_what_is_no_report_and_what_is_nowhere_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        before = here.region.kept().rows
        code, _, err = await here.submit("letter.txt", b"Dear colleague")
        assert (code, "PDF or CDA" in err) == (1, True), err
        code, _, err = await here.run(
            "submit", str(tmp_path / "letter.txt"), "--study", "1.2.3", "--to", "Region", *CLASS
        )
        assert (code, "no such study" in err) == (1, True), err
        code, _, err = await here.submit(
            "report.pdf", PDF, "--replaces", "urn:uuid:5a0f3c1e-0000-4000-8000-00000000beef"
        )
        assert (code, "UnresolvedReferenceException" in err) == (1, True), err
        for at in ((), ("--at", "Region")):
            code, _, err = await here.run("get", "1.2.3.4.5", *at, "--to", str(tmp_path / "nothing"))
            assert code == 1, err
            assert "no such document" in err
        assert not list(tmp_path.glob("nothing*"))
        assert here.region.kept().rows == before
        with closing(sqlite3.connect(tmp_path / "Region" / "radgate.db")) as database:
            left = {path for (path,) in database.execute("SELECT path FROM removed_files")}
        staged = {
            str(path.relative_to(tmp_path / "Region" / "objects"))
            for path in Path(tmp_path / "Region" / "objects" / "kept").glob("*/*")
        }
        assert staged
        assert left == staged  # and so it goes within hours


async def test_who_looked_and_who_took_stands_in_the_audit_and_on_a_timeline(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.submit("report.pdf", PDF)
        await here.find("--at", "Region")
        where = ("--json", "--data", str(tmp_path / "Valley"))
        _, out, _ = await command("audit", "list", *where)
        told = [each["sentence"] for each in json.loads(out)]
        assert any("Documents looked for" in each for each in told)
        assert any("A report submitted to Region" in each for each in told)
        _, out, _ = await command("exchange", "list", "--kind", "ask", "--peer", "Region", *where)
        assert {each["state"] for each in json.loads(out)} == {"done"}
