"""`radgate peer test`: a whole peer, one with wrong ids, one that is not there; nothing of it stays with the peer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.app import running
from gateway.settings import Settings
from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.query import StoredQuery
from profiles.xds.iti18 import ITI_18, StoredQueryRequest
from tests.support.communities import REPOSITORIES, Communities, communities, settings_of
from tests.support.house import command
from tests.support.pair import pair_of
from tests.support.ports import free_port
from tests.support.scenario import DOMAIN_ID, message_of

FIND = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS,
    criteria=DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,)),
)

WHOLE = [("name", True), ("connection", True), ("HTTP", True), ("SOAP", True), ("transaction", True)]


async def tried(
    folder: Path, endpoints: dict[str, str], **peer: Any
) -> tuple[int, dict[str, dict[str, Any]], dict[str, Any]]:
    """Another house tests a peer with these endpoints by the command: exit code, what it found, its exchange."""
    settings = settings_of(folder / "asking", "Region").model_dump(mode="python", exclude_unset=True)
    settings["peer"] = [{"name": "Valley", "endpoint": endpoints, **peer}]
    where = ("--json", "--data", str(folder / "asking"))
    async with running(Settings.model_validate(settings)):
        code, out, err = await command("peer", "test", "Valley", *where)
        assert out, err
        _, shown, err = await command("peer", "show", "Valley", *where)
        assert shown, err
        matrix = {each["transaction"]: each for each in json.loads(shown)["rows"]}
        for each in json.loads(out):
            kept = matrix[each["transaction"]]
            assert kept["probed"] == {name: value for name, value in each.items() if name != "good"}
            assert (kept["verdict"] in ("works", "can be reached")) is each["good"], kept
        _, listed, _ = await command("exchange", "list", "--kind", "ask", *where)
        _, shown, _ = await command("exchange", "show", json.loads(listed)[0]["id"], *where)
    return code, {each["transaction"]: each for each in json.loads(out)}, json.loads(shown)


def hops(endpoint: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(hop["hop"], hop["good"]) for hop in endpoint["hops"]]


def addresses(here: Communities) -> dict[str, str]:
    url = here["Valley"].url
    return {
        "ITI-18": f"{url}/soap/registry",
        "ITI-38": f"{url}/soap/responding-gateway",
        "ITI-39": f"{url}/soap/responding-gateway",
        "ITI-43": f"{url}/soap/repository",
        "RAD-68": f"{url}/soap/document-recipient",
        "RAD-69": f"{url}/soap/imaging-source",
        "RAD-75": f"{url}/soap/imaging-responding-gateway",
        "MLLP": here["Valley"].addresses["mllp"],
    }


async def test_a_peer_that_is_whole_holds_at_every_hop_and_keeps_nothing(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        before = here["Valley"].kept().clinical
        code, found, exchange = await tried(
            tmp_path, addresses(here),
            home_community_id="1.2.3.1", repository_unique_ids=["1.2.3.1.2"], retrieve_location_uids=["1.2.3.1.3"],
        )  # fmt: skip
        assert here["Valley"].kept().clinical == before
    assert code == 0, found
    for transaction in ("ITI-18", "ITI-38", "ITI-39", "ITI-43", "RAD-69", "RAD-75"):
        assert hops(found[transaction]) == WHOLE, found[transaction]
    assert hops(found["RAD-68"]) == WHOLE[:3]  # it would be kept
    assert hops(found["MLLP"]) == WHOLE[:2]
    assert {hop["cure"] for each in found.values() for hop in each["hops"]} == {""}
    assert found["ITI-18"]["supports"] == {query.name: True for query in StoredQuery}
    assert {each["asynchronous"] for name, each in found.items() if name not in ("RAD-68", "MLLP")} == {False}
    assert {found[name]["asynchronous"] for name in ("RAD-68", "MLLP")} == {None}  # nothing is asked of them
    assert exchange["state"] == "done"
    assert exchange["steps"][0]["text"].startswith("Way to Valley tested by")


async def test_a_peer_that_brings_its_answers_when_that_is_asked_is_known_for_it(tmp_path: Path) -> None:
    asked = ("ITI-18", "ITI-38", "ITI-39", "ITI-43", "RAD-69", "RAD-75")
    async with pair_of(tmp_path, region={"endpoint": asked}):
        code, out, err = await command("peer", "test", "Lakeside", "--json", "--data", str(tmp_path / "Region"))
        assert code == 0, err
        assert {each["transaction"]: each["asynchronous"] for each in json.loads(out)} == dict.fromkeys(asked, True)
        code, out, _ = await command("peer", "test", "Lakeside", "--data", str(tmp_path / "Region"))
        assert "answers are brought when that is asked" in " ".join(out.split())


async def test_ids_that_the_peer_does_not_know_end_the_way_at_the_transaction(tmp_path: Path) -> None:
    async with communities(tmp_path) as here:
        code, found, exchange = await tried(
            tmp_path, addresses(here), home_community_id="1.2.3.1",
            repository_unique_ids=[str(REPOSITORIES["Lakeside"])],
        )  # fmt: skip
    assert code == 5
    assert hops(found["ITI-43"]) == [*WHOLE[:4], ("transaction", False)]
    assert "XDSUnknownRepositoryId" in found["ITI-43"]["hops"][-1]["detail"]
    assert "repository_unique_ids" in found["ITI-43"]["hops"][-1]["cure"]
    assert hops(found["ITI-18"]) == WHOLE
    assert exchange["state"] == "failed"
    assert exchange["cure"]


async def test_each_endpoint_that_fails_says_at_which_hop_and_the_others_are_walked_all_the_same(
    tmp_path: Path,
) -> None:
    async with communities(tmp_path) as here:
        url = here["Valley"].url
        code, found, exchange = await tried(
            tmp_path,
            {
                "ITI-18": f"http://127.0.0.1:{free_port()}/soap/registry",
                "ITI-43": f"{url}/soap/registry",  # speaks SOAP, and not this transaction
                "RAD-69": f"{url}/nowhere",
                "RAD-68": f"{url}/nowhere",
                "ITI-38": f"{url}/soap/responding-gateway",
            },
            home_community_id="1.2.3.1",
        )
    assert code == 5
    assert hops(found["ITI-18"]) == [("name", True), ("connection", False)]
    assert hops(found["ITI-43"]) == [*WHOLE[:3], ("SOAP", False)]
    assert hops(found["RAD-69"]) == [*WHOLE[:3], ("SOAP", False)]
    assert hops(found["ITI-38"]) == WHOLE
    assert hops(found["RAD-68"]) == WHOLE[:3]
    assert "path" in found["RAD-68"]["hops"][-1]["cure"]  # nobody asks it anything: its page is all that is known
    assert all(found[each]["hops"][-1]["cure"] for each in ("ITI-18", "ITI-43", "RAD-69"))
    said = [step for step in exchange["steps"] if step["outcome"] == "failure" and "way ends" in step["text"]]
    assert {step["transaction"] for step in said} == {"ITI-18", "ITI-43", "RAD-69"}
    assert all(step["why"] and step["cure"] for step in said)


async def test_what_is_exchanged_with_a_peer_says_what_it_supports_and_a_restart_forgets_nothing(
    tmp_path: Path,
) -> None:
    async with communities(tmp_path) as here:
        settings = settings_of(tmp_path / "asking", "Region", {"Valley": here["Valley"].url})
        where = ("--json", "--data", str(tmp_path / "asking"))
        async with running(settings) as addresses:
            message = await message_of(ITI_18, FIND)
            asking = replace(here["Valley"], data=tmp_path / "asking", addresses=addresses)
            await asking.post("/soap/initiating-gateway", message, peer="")
        async with running(settings):
            _, shown, _ = await command("peer", "show", "Valley", *where)
            _, table, _ = await command("peer", "show", "Valley", *where[1:])
            assert (await command("peer", "show", "Nobody", *where))[0] == 1
    found = {each["transaction"]: each for each in json.loads(shown)["rows"]}
    assert [(each["what"], each["count"]) for each in found["ITI-38"]["calls"]] == [("works", 1)]
    assert (found["ITI-38"]["verdict"], found["ITI-39"]["verdict"]) == ("works", "unknown")
    assert "1 works" in table


async def test_what_was_only_tried_is_not_counted_and_queries_that_a_fault_kept_away_are_not_told_as_lacking(
    tmp_path: Path,
) -> None:
    async with communities(tmp_path) as here:
        settings = settings_of(tmp_path / "asking", "Region").model_dump(mode="python", exclude_unset=True)
        url = here["Valley"].url
        settings["peer"] = [
            {"name": "Valley", "endpoint": {"ITI-18": f"{url}/soap/registry"}},
            {"name": "Wrong", "endpoint": {"ITI-18": f"{url}/soap/imaging-source"}},
        ]
        where = ("--json", "--data", str(tmp_path / "asking"))
        async with running(Settings.model_validate(settings)):
            code, out, _ = await command("peer", "test", "Wrong", *where)
            (found,) = json.loads(out)
            assert (code, hops(found)[-1], found["supports"]) == (5, ("SOAP", False), {})
            assert (await command("peer", "test", "Valley", *where))[0] == 0
            _, shown, _ = await command("peer", "show", "Valley", *where)
    (row,) = json.loads(shown)["rows"]
    assert row["probed"]["asynchronous"] is False
    assert [(each["what"], each["count"]) for each in row["calls"]] == [("works", len(StoredQuery))]


async def test_a_peer_that_nobody_named_is_refused(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path / "asking", "Region")):
        code, _, err = await command("peer", "test", "Nobody", "--data", str(tmp_path / "asking"))
    assert code == 1
    assert "no peer called Nobody" in " ".join(err.split())
