"""`radgate document deprecate` and `remove`, between two houses and in one: what is gone is found by nobody."""

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from gateway.app import running
from gateway.settings import Settings
from tests.support.communities import REPOSITORIES, settings_of
from tests.support.house import command
from tests.support.scenario import DOMAIN_ID, ZEBEDIAH, Valley, logged, nothing_leaked, write_study

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400 + b"\n%%EOF\n"
REMOVING = ("RAD-68", "ITI-43", "ITI-86")


async def test_a_report_is_deprecated_and_then_removed_at_the_registry_that_has_it(tmp_path: Path) -> None:
    async def run(*words: str) -> tuple[int, Any, str]:
        code, out, err = await command("document", *words, "--json", "--data", str(tmp_path / "Valley"))
        return code, json.loads(out) if out else None, " ".join(err.split())

    async def find() -> list[Any]:
        code, found, err = await run("find", "--patient", str(DOMAIN_ID), "--at", "Region")
        assert code == 0, err
        return list(found)

    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(auto_decompress=False))
        addresses = await stack.enter_async_context(running(settings_of(tmp_path / "Region", "Region")))
        region = Valley(data=tmp_path / "Region", addresses=addresses, http=http, log=log)
        told = settings_of(tmp_path / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
        registry, repository = (f"{region.url}/soap/{each}" for each in ("registry", "repository"))
        told["peer"] = [
            {
                "name": "Region",
                "repository_unique_ids": [REPOSITORIES["Region"]],
                "endpoint": {
                    **dict.fromkeys(("ITI-18", "ITI-57", "ITI-62"), registry),
                    **dict.fromkeys(REMOVING, repository),
                },
            }
        ]
        ours = await stack.enter_async_context(running(Settings.model_validate(told)))
        valley = Valley(data=tmp_path / "Valley", addresses=ours, http=http, log=log)
        for house in (region, valley):
            await house.tell(ZEBEDIAH)
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
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]
