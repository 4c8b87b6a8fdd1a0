"""A house as a process: starts without a file's help, refuses a second one, stops when told, says what it needs."""

import asyncio
import json
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.support.house import LOOPBACK, command, serving, start
from tests.support.postgres import postgresql


async def test_a_house_is_ready_tells_where_it_is_and_stops_when_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        addresses = await house.addresses()
        async with aiohttp.ClientSession() as session:
            async with session.get(addresses["http"] + "/healthz") as answer:
                assert answer.status == 200
            async with session.get(addresses["http"] + "/readyz") as answer:
                assert await answer.json() == {"ready": True, "reasons": {}}
            async with session.get(addresses["http"] + "/metrics") as answer:
                assert "radgate_turns_total" in await answer.text()
        assert addresses["http"] in house.log()
        assert await house.stop() == 0
        assert not (house.data / "control.json").exists()


async def test_two_houses_never_share_a_folder(tmp_path: Path) -> None:
    async with serving(tmp_path):
        second = await start(tmp_path)
        assert await second.process.wait() == 1
        assert "Another house is running" in second.log()


async def test_two_houses_never_keep_their_documents_in_one_folder(tmp_path: Path) -> None:
    """Each would take what the other one's rows name for left by a crash, and remove it."""
    common = f'[store]\nobjects = "file://{tmp_path}/common"\n{LOOPBACK}'
    async with serving(tmp_path / "first", common) as first:
        (tmp_path / "second").mkdir()
        (tmp_path / "second" / "radgate.toml").write_text(common, encoding="utf-8")
        code, _, err = await command("serve", "--config", str(tmp_path / "second" / "radgate.toml"))
        assert code == 3
        assert "store.objects" in err and "of another database" in " ".join(err.split()), err
        await first.stop()
    async with serving(tmp_path / "first", common) as again:
        assert again.process.returncode is None


async def test_a_second_start_finds_the_ids_of_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        first = json.loads((house.data / "house.json").read_bytes())
        await house.stop()
    async with serving(tmp_path) as house:
        assert json.loads((house.data / "house.json").read_bytes()) == first


async def test_settings_that_cannot_work_are_refused_with_key_reason_and_cure(tmp_path: Path) -> None:
    path = tmp_path / "radgate.toml"
    path.write_text("[house]\nnmae = 'x'\n", encoding="utf-8")
    for words in (("serve",), ("config", "check")):
        code, _, err = await command(*words, "--config", str(path))
        assert code == 3
        assert "house.nmae" in err
        assert "config init" in err


@pytest.mark.parametrize(
    ("port_base", "told"), [(0, "listen.mllp_port"), (65_000, "--port-base"), (-65_000, "--port-base")]
)
async def test_ports_that_cannot_be_had_are_refused_before_anything_is_opened(
    tmp_path: Path, port_base: int, told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        path = tmp_path / "radgate.toml"
        path.write_text(f"[listen]\nhttp_port = 0\nmllp_port = {other.getsockname()[1]}\n", encoding="utf-8")
        code, _, err = await command("serve", "--config", str(path), "--port-base", str(port_base))
    assert code == 3
    assert told in err
    assert "Traceback" not in err
    assert not (tmp_path / "data" / "radgate.db").exists()


async def test_codes_that_cannot_be_used_are_told_together_before_the_house_serves(tmp_path: Path) -> None:
    path = tmp_path / "radgate.toml"
    path.write_text(
        '[affinity_domain]\ncode_sets = "codes.toml"\n[listen]\nhttp_port = 0\nmllp_port = 0\n', encoding="utf-8"
    )
    (tmp_path / "codes.toml").write_text(
        '[codes]\nevent = [["X", "MINE", "x"]]\n[[map]]\nmodality = "CT"\ntype = "Y"\n', encoding="utf-8"
    )
    for words in (("serve",), ("config", "check")):
        code, _, err = await command(*words, "--config", str(path))
        assert code == 3
        assert "codes.event.0: 'MINE' is not a code system" in err
        assert "map.0.type: Y is not among the codes" in err


@pytest.mark.parametrize(
    ("key", "value", "reason", "code"),
    [
        ("house.data", "/proc/no-folder-here", "cannot be used", 3),
        ("store.objects", "file:///proc/no-folder-here", "cannot be used", 3),
        ("store.url", "postgresql://me:secret@127.0.0.1:1/radgate", "Connect call failed", 1),
        ("store.url", "sqlite:////proc/no-folder-here/radgate.db", "cannot be used", 1),
    ],
)
async def test_a_place_that_cannot_be_used_is_told_in_a_sentence(
    tmp_path: Path, key: str, value: str, reason: str, code: int
) -> None:
    section, name = key.split(".")
    places = {"house": {"data": str(tmp_path / "data")}, "store": {}}
    places[section][name] = value
    path = tmp_path / "radgate.toml"
    path.write_text(
        "\n".join(f"[{each}]\n" + "".join(f"{k} = '{v}'\n" for k, v in keys.items()) for each, keys in places.items())
        + LOOPBACK.partition("[listen]")[1] + LOOPBACK.partition("[listen]")[2],
        encoding="utf-8",
    )  # fmt: skip
    answered, _, err = await command("serve", "--config", str(path))
    assert answered == code, err
    assert key in err
    assert reason in " ".join(err.split())
    assert "Traceback" not in err
    assert "secret" not in err


async def test_a_file_that_is_no_database_is_told_in_a_sentence_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "radgate.db").write_bytes(letter := b"Dear reader, this is a letter and not a database. " * 40)
    answered, _, err = await command("serve", "--data", str(tmp_path))
    assert answered == 1
    assert "not a database" in " ".join(err.split())
    assert "Traceback" not in err
    assert (tmp_path / "radgate.db").read_bytes() == letter


async def test_the_written_file_is_accepted_and_the_doctor_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "radgate.toml"
    code, _, _ = await command("config", "init", str(path))
    assert code == 0
    code, _, _ = await command("config", "check", "--config", str(path))
    assert code == 0
    path.write_text(LOOPBACK, encoding="utf-8")
    code, out, _ = await command("doctor", "--config", str(path), "--json")
    assert code == 0, out
    assert {"good"} <= set(json.loads(out)[0])


async def test_a_command_without_a_house_says_so(tmp_path: Path) -> None:
    path = tmp_path / "radgate.toml"
    path.write_text(LOOPBACK, encoding="utf-8")
    code, _, err = await command("exchange", "list", "--config", str(path))
    assert code == 4
    assert "radgate serve" in err


async def test_every_verb_explains_itself() -> None:
    for words in ((), ("exchange",), ("audit", "verify"), ("study", "fetch"), ("config", "init")):
        code, out, _ = await command(*words, "--help")
        assert code == 0
        assert "Usage" in out


async def test_one_audit_record_is_shown_whole_and_looking_is_audited(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        record = await house.ask("GET", "/audit/1")
        assert record["number"] == 1
        assert "started" in record["sentence"]
        assert record["xml"].startswith("<AuditMessage")
        missing = await house.ask("GET", "/audit/999")
        assert missing["error"]["condition"] == "unknown document"
        sentences = [each["sentence"] for each in await house.ask("GET", "/audit")]
        assert [each for each in sentences if "looked at the audit log" in each]


async def test_an_export_that_is_refused_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        kept = tmp_path / "march.ndjson"
        kept.write_bytes(b"last month's\n")
        code, _, err = await command("audit", "export", str(kept), "--since", "foo", "--data", str(house.data))
        assert code == 1, err
        assert kept.read_bytes() == b"last month's\n"
        code, _, err = await command("audit", "export", str(kept), "--data", str(house.data))
        assert code == 0, err
        assert b"Application" in kept.read_bytes()
        assert not list(tmp_path.glob("*.part"))


async def test_a_house_whose_control_file_is_broken_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "control.json").write_text("{", encoding="utf-8")
    code, _, err = await command("exchange", "list", "--data", str(tmp_path))
    assert code == 4
    assert "cannot be read" in " ".join(err.split())


async def test_a_peer_is_listed_with_lists_and_not_with_words_about_them(tmp_path: Path) -> None:
    settings = LOOPBACK + '[[peer]]\nname = "A"\nscopes = ["RAD-69", "ITI-18"]\n'
    async with serving(tmp_path, settings) as house:
        _, out, _ = await command("peer", "list", "--json", "--data", str(house.data))
        (peer,) = json.loads(out)
        assert peer["scopes"] == ["ITI-18", "RAD-69"]
        assert peer["source_ids"] == []


@pytest.mark.judge_program
async def test_the_chain_of_a_house_on_postgresql_is_verified_by_the_house(tmp_path: Path) -> None:
    with postgresql() as url:
        async with serving(tmp_path, LOOPBACK + f'[store]\nurl = "{url}"\n') as house:
            code, out, err = await command("audit", "verify", "--json", "--config", str(house.folder / "radgate.toml"))
            assert (code, json.loads(out)) == (0, {"ok": True, "faults": []}), err


async def test_a_search_for_many_studies_fits_into_an_address(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        base = (await house.addresses())["http"] + "/fhir/r4/ImagingStudy?_id="
        async with aiohttp.ClientSession() as session:
            uids = ",".join(f"1.2.840.113619.2.55.3.2831868886.{number:032d}" for number in range(90))
            assert len(uids) > 5_000
            async with session.get(base + uids + "," + "9" * 4_000) as answer:
                assert answer.status == 200, await answer.text()
            async with session.get(base + "9" * 100_000) as answer:
                assert answer.status == 400


async def test_a_house_tells_programs_where_everything_is(tmp_path: Path) -> None:
    (tmp_path / "radgate.toml").write_text(LOOPBACK, encoding="utf-8")
    house = await start(tmp_path, options=("--json",))
    try:
        await house.ready()
        async with asyncio.timeout(10):
            while '"ready"' not in house.log():
                await asyncio.sleep(0.02)
    finally:
        await house.stop()
    said = [json.loads(line) for line in house.log().splitlines()]
    password, places = (next(each for each in said if key in each) for key in ("password", "ready"))
    assert (password["user"], bool(password["password"])) == ("admin", True)
    assert places["ready"]
    assert places["desk"].startswith("http://")
