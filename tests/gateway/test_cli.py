"""The command line: whoever reads its help can use it, whoever scripts it can trust what it prints and how it ends.

Commands run in this process; the house that they ask is a process of its own.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner

from gateway.cli import Exit, cli
from gateway.cli.saying import PIPED_COLUMNS, console, of_dtm
from tests.support.certificates import make_certificate
from tests.support.desk import AUTHORITY, Scene, desk_scene
from tests.support.house import command


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with desk_scene(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("RADGATE")]:
        monkeypatch.delenv(name)


def run(*words: str, code: int = Exit.DONE) -> str:
    """What a command prints, both streams."""
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def read(*words: str, code: int = Exit.DONE) -> Any:
    """What a command tells a program, on stdout alone."""
    result = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def at(scene: Scene) -> tuple[str, str]:
    return "--data", str(scene.house.data)


def leaves(command_: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    inner = getattr(command_, "commands", None)
    if inner is None:
        yield path, command_
        return
    for name, each in inner.items():
        yield from leaves(each, (*path, name))


LEAVES = dict(leaves(typer.main.get_command(cli)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("20260131093005", "2026-01-31 09:30:05"), ("202601310930", "2026-01-31 09:30"), ("202601", "2026-01"), ("", "")],
)
def test_a_time_of_metadata_is_shown_as_people_read_it(text: str, shown: str) -> None:
    assert of_dtm(text) == shown


# --- help -------------------------------------------------------------------------------------------------------------


def test_the_nouns_and_verbs_are_all_there() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "serve", "demo", "conformance", "doctor", "publish", "config check", "config codes", "config show", "config init",
        "exchange list",
        "exchange show", "exchange release", "exchange accept", "exchange give-up", "study list", "study show",
        "study share", "study publish", "study fetch", "study look", "document find", "document get", "document submit",
        "document deprecate", "document remove", "document replace", "document update", "peer list", "peer test",
        "peer show", "patient list", "audit list", "audit show", "audit verify",
        "audit export",
    }  # fmt: skip


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_and_every_option_is_explained(path: tuple[str, ...]) -> None:
    said = LEAVES[path]
    assert said.help
    assert said.help.strip().split("\n\n")[0].endswith((".", ")"))
    for parameter in said.params:
        assert getattr(parameter, "help", None), f"{path} {parameter.name}"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_speaks_json_and_can_be_told_the_folder(path: tuple[str, ...]) -> None:
    names = {option for parameter in LEAVES[path].params for option in parameter.opts}
    if path not in (("demo",), ("conformance",)):  # they hand their words on
        assert "--json" in names
    assert ("--config" in names) == ("--data" in names)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_examples_name_commands_and_options_that_exist(path: tuple[str, ...]) -> None:
    for line in (LEAVES[path].epilog or "").splitlines():
        words = line.partition("radgate ")[2].partition("  #")[0].partition(" | ")[0].split()
        if not words:
            continue
        called = tuple(words[:2]) if tuple(words[:2]) in LEAVES else tuple(words[:1])
        options = {option for parameter in LEAVES[called].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_help_names_the_exit_codes() -> None:
    told = " ".join(run("--help").split())
    for code in Exit:
        assert f"{code.value} " in told[told.index("Exit codes") :]


async def test_a_question_loads_neither_house_nor_settings(tmp_path: Path) -> None:
    code, _, err = await command("exchange", "list", "--data", str(tmp_path))
    assert code == Exit.NOT_RUNNING
    script = "import sys, gateway.cli; assert not {'gateway.app', 'gateway.settings', 'aiohttp'} & set(sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=Path(__file__).resolve().parents[2]
    )
    assert await process.wait() == 0
    assert "radgate serve" in err


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_what_the_house_refuses_ends_with_1_and_says_why_and_what_helps(scene: Scene) -> None:
    for words, said, cure in (
        (("exchange", "show", "none"), "no such exchange", "radgate exchange list"),
        (("study", "show", "9.9"), "no such study", "radgate study list"),
        (("study", "share", scene.shown.study_instance_uid, "--to", "Nowhere"), "Nowhere", "Region"),
        (("exchange", "list", "--state", "asleep"), "asleep", "--help"),
        (("audit", "list", "--since", "yesterday"), "yesterday", "--help"),
        (("audit", "show", "999999"), "no such audit record", "radgate audit list"),
        (("study", "fetch", "--patient", "nonsense", "--registry", "Region"), "", "ID^^^&OID&ISO"),
    ):
        told = run(*words, *at(scene), code=Exit.REFUSED)
        assert said in told
        assert cure in told


def test_what_is_piped_is_not_folded_unless_somebody_says_how_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console().width == PIPED_COLUMNS
    monkeypatch.setenv("COLUMNS", "60")
    assert console().width == 60


def test_a_command_that_is_written_wrongly_ends_with_2() -> None:
    run("exchange", "lsit", code=Exit.USAGE)
    run("exchange", "list", "--limit", "many", code=Exit.USAGE)
    run("exchange", "give-up", "x", code=Exit.USAGE)  # without a reason


def test_settings_that_cannot_be_used_end_with_3(tmp_path: Path) -> None:
    path = tmp_path / "radgate.toml"
    path.write_text("[house]\nnmae = 'x'\n[listen]\nhost = '0.0.0.0'\n", encoding="utf-8")
    for words in (("serve",), ("doctor",), ("config", "show"), ("config", "check"), ("exchange", "list")):
        assert "house.nmae" in run(*words, "--config", str(path), code=Exit.SETTINGS)
    told = read("config", "check", "--config", str(path), code=Exit.SETTINGS)
    assert told["ok"] is False
    assert told["problems"][0].keys() == {"key", "reason", "cure"}


def test_where_no_house_runs_it_ends_with_4(tmp_path: Path) -> None:
    told = run("peer", "list", "--data", str(tmp_path), code=Exit.NOT_RUNNING)
    assert "radgate serve" in told
    (tmp_path / "control.json").write_text('{"address": "http://127.0.0.1:9", "token": "x"}', encoding="utf-8")
    assert "does not answer" in run("peer", "list", "--data", str(tmp_path), code=Exit.NOT_RUNNING)


def test_programs_are_told_in_json_how_a_command_failed_and_nothing_else(scene: Scene, tmp_path: Path) -> None:
    bad = tmp_path / "radgate.toml"
    bad.write_text("[house]\nnmae = 'x'\n", encoding="utf-8")
    for words, code, said in (
        (("exchange", "show", "none", *at(scene)), Exit.REFUSED, "no such exchange"),
        (("study", "publish", "--all", *at(scene)), Exit.USAGE, "--register"),
        (("exchange", "list", "--limit", "many"), Exit.USAGE, "--limit"),
        (("exchange", "lsit"), Exit.USAGE, "lsit"),
        (("exchange", "give-up", "x"), Exit.USAGE, "--reason"),
        (("serve", "--config", str(bad)), Exit.SETTINGS, "settings"),
        (("exchange", "list", "--config", str(bad)), Exit.SETTINGS, "settings"),
        (("peer", "list", "--data", str(tmp_path)), Exit.NOT_RUNNING, "No house is running"),
        (("audit", "verify", "--data", str(tmp_path)), Exit.REFUSED, "no audit trail"),
    ):
        result = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
        assert result.exit_code == code, result.output
        assert result.stderr == ""
        error = json.loads(result.stdout)["error"]
        assert error["code"] == code
        assert said in error["detail"]
        if code == Exit.SETTINGS:
            assert [each["key"] for each in error["problems"]] == ["house.nmae"]
            assert error["problems"][0]["cure"]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_exchanges_are_listed_and_shown(scene: Scene) -> None:
    (failed,) = read("exchange", "list", "--state", "failed", *at(scene))
    assert (failed["kind"], failed["peer"]) == ("share", "Region")
    assert len(read("exchange", "list", "--limit", "2", *at(scene))) == 2
    assert read("exchange", "list", "--peer", "Lakeside", *at(scene)) == []
    assert "Nothing." in run("exchange", "list", "--peer", "Lakeside", *at(scene))
    assert failed["id"] in run("exchange", "list", "--kind", "share", *at(scene))
    told = run("exchange", "show", failed["id"], *at(scene))
    for shown in ("Region", scene.shown.study_instance_uid, "no id in the affinity domain", "PID-3", "operator"):
        assert shown in told
    assert read("exchange", "show", failed["id"], *at(scene))["steps"]


def test_studies_patients_and_peers_are_listed(scene: Scene) -> None:
    uid = scene.shown.study_instance_uid
    assert [each["study_instance_uid"] for each in read("study", "list", "--patient", "P1000", *at(scene))] == [uid]
    whole = read("study", "show", uid, *at(scene))["patient_id"]
    assert "^^^&" in whole
    assert [each["study_instance_uid"] for each in read("study", "list", "--patient", whole, *at(scene))] == [uid]
    assert read("study", "list", "--patient", "P1000^^^&1.2.3.999&ISO", *at(scene)) == []
    assert len(read("study", "list", "--modality", "MR", "--modality", "US", *at(scene))) == 2
    assert uid in run("study", "list", *at(scene))
    told = run("study", "show", uid, *at(scene))
    for shown in ("Synthetic chest CT", "A20260001", "Soft tissue 1.5 mm", "Lung 1.5 mm", "P1000"):
        assert shown in told
    assert [each["instances"] for each in read("study", "show", uid, *at(scene))["details"]] == [12, 12]
    assert len(read("patient", "list", *at(scene))) == 3
    assert [each["family"] for each in read("patient", "list", "bra", *at(scene))] == ["Brandt"]
    assert "Brandt, Jürgen" in run("patient", "list", "P1001", *at(scene))
    assert [each["name"] for each in read("peer", "list", *at(scene))] == ["Lakeside", "Region"]
    assert "ITI-18 ITI-43 RAD-68" in run("peer", "list", *at(scene))


def test_the_settings_lead_to_the_house_as_the_folder_does(scene: Scene) -> None:
    config = str(scene.house.folder / "radgate.toml")
    assert read("peer", "list", "--config", config) == read("peer", "list", *at(scene))


def test_audit_is_read_shown_verified_and_exported(scene: Scene, tmp_path: Path) -> None:
    uid = scene.shown.study_instance_uid
    records = read("audit", "list", "--study", uid, *at(scene))
    assert any("sent the study" in each["sentence"] for each in records)
    assert "sent the study" in run("audit", "list", "--event", "RAD-108", *at(scene))
    number = str(records[-1]["number"])
    assert read("audit", "show", number, *at(scene))["xml"].startswith("<AuditMessage")
    assert "<AuditMessage" in run("audit", "show", number, *at(scene))
    assert read("audit", "verify", *at(scene)) == {"ok": True, "faults": []}
    assert "The chain is whole." in run("audit", "verify", *at(scene))
    told = read("audit", "export", str(tmp_path / "all"), *at(scene))
    lines = (tmp_path / "all").read_text(encoding="utf-8").splitlines()
    assert told == {"path": str(tmp_path / "all"), "records": len(lines), "bytes": (tmp_path / "all").stat().st_size}
    assert [json.loads(line)["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert "records to" in run("audit", "export", str(tmp_path / "some"), "--study", uid, *at(scene))
    assert 0 < len((tmp_path / "some").read_text(encoding="utf-8").splitlines()) < len(lines)
    assert "cannot be written" in run("audit", "export", str(tmp_path / "no" / "folder"), *at(scene), code=Exit.REFUSED)


def test_a_chain_that_was_tampered_with_ends_with_5(scene: Scene, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(scene.house.data / "audit", copy / "audit")
    with sqlite3.connect(scene.house.data / "radgate.db") as source, sqlite3.connect(copy / "radgate.db") as target:
        source.backup(target)
    assert read("audit", "verify", "--data", str(copy))["ok"] is True
    with sqlite3.connect(copy / "radgate.db") as database:
        database.execute("update audit_records set body = replace(body, 'P1001', 'P1009') where number = 3")
    told = read("audit", "verify", "--data", str(copy), code=Exit.FAULTY)
    assert next((fault["number"], fault["kind"]) for fault in told["faults"]) == (3, "changed")
    assert "changed" in run("audit", "verify", "--data", str(copy), code=Exit.FAULTY)
    assert "no audit trail" in run("audit", "verify", "--data", str(tmp_path), code=Exit.REFUSED)
    (tmp_path / "radgate.db").write_bytes(b"not a database at all")
    assert "no audit trail" in run("audit", "verify", "--data", str(tmp_path), code=Exit.REFUSED)


# --- changing ---------------------------------------------------------------------------------------------------------


def test_whoever_waits_sees_how_it_goes_and_how_it_ended(scene: Scene) -> None:
    uid = scene.shown.study_instance_uid
    told = run("study", "share", uid, "--to", "Region", "--wait", *at(scene), code=Exit.REFUSED)
    assert "no id in the affinity domain" in told
    (held,) = read("exchange", "list", "--state", "held", *at(scene))
    assert "Register the patient" in run("exchange", "release", held["id"], *at(scene), code=Exit.REFUSED)
    decided = f"P1001^^^&{AUTHORITY}&ISO"
    told = read("exchange", "release", held["id"], "--patient", decided, "--wait", *at(scene))
    assert told["state"] == "done"
    assert told["patient_id"] == decided


def test_what_others_wrote_is_no_markup_and_no_command_to_the_terminal(scene: Scene) -> None:
    (failed, *_) = read("exchange", "list", "--state", "failed", *at(scene))
    run("exchange", "give-up", failed["id"], "--reason", "[red]twice[/red] \x1b[2J", *at(scene))
    told = run("exchange", "show", failed["id"], *at(scene))
    assert "[red]twice[/red]" in told
    assert "\x1b" not in told
    assert read("exchange", "show", failed["id"], *at(scene))["state"] == "abandoned"
    assert (
        "\x1b" in read("exchange", "show", failed["id"], *at(scene))["steps"][-1]["text"]
    )  # a program gets it as it is


# --- before it runs ---------------------------------------------------------------------------------------------------


def test_a_written_file_is_accepted_and_shown_with_its_secrets_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "valley" / "radgate.toml"
    assert read("config", "init", str(path)) == {"path": str(path)}
    assert "there already" in run("config", "init", str(path), code=Exit.REFUSED)
    assert "Next:" in run("config", "init", str(path), "--force")
    assert read("config", "check", "--config", str(path)) == {"ok": True, "problems": []}
    assert str(tmp_path / "valley" / "data") in run("config", "check", "--config", str(path))
    monkeypatch.setenv("RADGATE__ARCHIVE__PASSWORD", "open sesame")
    for told in (
        run("config", "show", "--config", str(path)),
        json.dumps(read("config", "show", "--config", str(path))),
    ):
        assert "sesame" not in told
        assert "8080" in told
    assert read("config", "show", "--data", str(tmp_path))["house"]["data"] == str(tmp_path)


def test_the_codes_that_are_printed_can_be_used_and_what_is_wrong_with_them_is_told(tmp_path: Path) -> None:
    settings, codes = tmp_path / "radgate.toml", tmp_path / "codes.toml"
    settings.write_text('[affinity_domain]\ncode_sets = "codes.toml"\n', encoding="utf-8")
    printed = run("config", "codes")
    assert read("config", "codes") == {"codes": printed}
    codes.write_text(printed, encoding="utf-8")
    assert read("config", "check", "--config", str(settings))["ok"]
    codes.write_text(printed.replace('type = "24627-2"', 'type = "24627-9"'), encoding="utf-8")
    (problem,) = read("config", "check", "--config", str(settings), code=Exit.SETTINGS)["problems"]
    assert problem["key"] == "affinity_domain.code_sets: map.0.type"
    assert "24627-9 is not among the codes" in problem["reason"]
    assert problem["cure"]


def test_the_doctor_knows_a_house_that_is_running(scene: Scene) -> None:
    found = {
        each["what"]: each for each in read("doctor", "--config", str(scene.house.folder / "radgate.toml"), code=5)
    }
    assert found[f"data folder {scene.house.data}"]["good"]
    assert not found["Region, RAD-68"]["good"]  # nobody answers there
    told = run("doctor", "--config", str(scene.house.folder / "radgate.toml"), code=Exit.FAULTY)
    assert "nobody answers there" in told


def test_the_doctor_looks_at_certificates(tmp_path: Path) -> None:
    good = make_certificate(tmp_path, "good", until=timedelta(days=400))
    other = make_certificate(tmp_path, "other", until=timedelta(days=10, hours=1))
    gone = make_certificate(tmp_path, "gone", since=timedelta(days=-9), until=timedelta(days=-1))
    path = tmp_path / "radgate.toml"
    path.write_text(
        f"[listen]\nhttp_port = 0\nmllp_port = 0\n[tls]\ncertificate = '{good.certificate}'\nkey = '{good.key}'\n"
        f"trust = ['{other.certificate}']\n[[peer]]\nname = 'A'\ncertificate = '{gone.certificate}'\n",
        encoding="utf-8",
    )
    found = {each["what"]: each for each in read("doctor", "--config", str(path), code=Exit.FAULTY)}
    assert found["tls.certificate"]["good"]
    assert "in 10 days" in found["tls.trust other.pem"]["state"]
    assert "ended on" in found["certificate of A"]["state"]
    path.write_text("[listen]\nhttp_port = 0\nmllp_port = 0\n", encoding="utf-8")
    assert all(each["good"] for each in read("doctor", "--config", str(path)))


def test_serving_says_where_everything_is(scene: Scene) -> None:
    said = scene.house.log()
    for shown in (
        "Valley is ready.",
        f"{scene.url}/fhir/r4",
        f"{scene.url}/dicomweb",
        str(scene.house.data / "radgate.db"),
    ):
        assert shown in said, shown
    assert said.count("password") == 1
